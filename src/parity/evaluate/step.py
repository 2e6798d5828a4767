"""One step of a serving engine: prompts, decoding requests, or both at once.

    t = max( Σ operators + exchanges,  host )        or their sum, where the host does not run ahead

Operators come from the same model and rates as in training; an engine adds what its host does and
what its kernels reach. All results broadcast over columns of layouts and loads.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from msgspec import structs

from parity.catalogue.machine import Draw, Machine, Number, central
from parity.evaluate.kernels import (
    ACTIVATION_BYTES,
    Rates,
    add,
    forward_cost,
    permute_cost,
    rates,
    times,
)
from parity.evaluate.layer import context_parallel_time
from parity.layout.layout import Layout
from parity.layout.shard import AttentionWork, Gemm, Work, is_routed
from parity.layout.step import Load, one_product, ranks, shares_input, step_works
from parity.timing.collective import all_gather, all_reduce, all_to_all, send
from parity.timing.engine import Engine, drawn_engine
from parity.timing.misses import missed
from parity.timing.roofline import Cost
from parity.timing.software import Software
from parity.workload.dtype import DTYPE_BYTES
from parity.workload.operator import (
    Architecture,
    Attention,
    Block,
    Linear,
    Operator,
    Recurrence,
)
from parity.workload.precision import HALVES, MULTIPLIED, Precision, stored


@dataclass(frozen=True)
class Served:
    """A model in a precision, on a machine, under an engine."""

    arch: Architecture
    precision: Precision
    machine: Machine
    engine: Engine
    software: Software
    by_dtype: dict[str, Rates]  # achieved rates by what weights are stored in
    elapsed: Number = 1.0  # time of a step over what the equations say, for ranges

    def rate(self, op: Operator, *, outside: bool) -> Rates:
        """Rates of the products of `op`."""
        return self.by_dtype[stored(op, self.arch, self.precision, outside=outside)]

    @property
    def kv_bytes(self) -> float:
        """Of a cached element."""
        return DTYPE_BYTES[self.precision.kv]


def served(
    arch: Architecture,
    precision: Precision,
    machine: Machine,
    engine: Engine,
    draw: Draw = central,
) -> Served:
    """A model with the rates it has; weights that the chip does not multiply are widened."""
    own = drawn_engine(engine, draw)
    software = own.software
    kinds = {precision.half} | {
        stored(op, arch, precision, outside=False) for b in arch.blocks for op in b.operators
    }
    by_dtype = {}
    for kind in kinds:
        multiplied = multiplied_in(machine, kind, precision)
        widened = kind if multiplied != MULTIPLIED.get(kind, kind) else ""
        held = rates(machine, multiplied, draw, software, widened, serving=True)
        by_dtype[kind] = replace(
            held,
            cast=own.casts,
            gemm_bytes_per_s=held.gemm_bytes_per_s * own.bandwidth_share,
            cache_bytes_per_s=held.cache_bytes_per_s * own.bandwidth_share,
            launch_s=held.launch_s * own.launch_share,
            gemm_launch_s=held.gemm_launch_s * own.launch_share,
            cache_launch_s=held.cache_launch_s * own.launch_share,
        )
    elapsed = missed("serving", engine.name, machine.chip, draw)
    return Served(arch, precision, machine, own, software, by_dtype, elapsed)


def multiplied_in(machine: Machine, kind: str, precision: Precision) -> str:
    """The dtype in which products run whose weights are stored in `kind`.

    The same where the chip has it; else the 16 bits that the chip has, as weights are widened.
    """
    halves = [h for h in (precision.half, *HALVES) if h in machine.peak_flop_per_s]
    own = MULTIPLIED.get(kind, kind)
    native = own in machine.peak_flop_per_s and own in _native(machine)
    return own if native and not (precision.weight_only and kind not in HALVES) else halves[0]


def _native(machine: Machine) -> set[str]:
    dtypes = machine.chip.dtypes
    names = ("bf16", "fp16", "fp8", "int8", "fp4", "int4")
    taken = ("native", "half-rate", "vector")
    return {n for n in names if (d := getattr(dtypes, n, None)) and d.support in taken}


@dataclass(frozen=True)
class Step:
    """Where the time of one step goes, for one pipeline lane of a replica. [s]"""

    products: Cost  # everything on the chip but attention
    decode_attention: Cost
    prompt_attention: Cost
    communication_s: Number
    chip_s: Number  # all of these, as far as they do not hide one another
    host_s: Number  # what the host takes, hidden or not
    total_s: Number

    @property
    def cost(self) -> Cost:
        """What runs on the chip."""
        return add(self.products, self.decode_attention, self.prompt_attention)


def step(model: Served, layout: Layout, load: Load) -> Step:
    """One step of `load` on each chip of `layout`. [s]

    Where the engine can, two halves of the step hide each other's exchange of tokens between
    experts [DeepSeek-V3 report, arXiv 2412.19437, §3.4]; it does so where that is faster.
    """
    whole = _one_batch(model, layout, load)
    exchanged = (layout.ep > 1) & (ranks(layout) > 1)
    shown, busy = whole.chip_s, whole.total_s
    if model.engine.two_batch_overlap and np.any(exchanged):
        half = _one_batch(model, layout, load.share(0.5))
        halves = 2 * np.maximum(half.cost.total_s, half.communication_s)
        better = exchanged & (halves < whole.chip_s)
        shown = np.where(better, halves, whole.chip_s)
        busy = with_host(shown, whole.host_s, model.engine)
    return Step(
        whole.products, whole.decode_attention, whole.prompt_attention,
        whole.communication_s, shown, whole.host_s, busy * model.elapsed,
    )  # fmt: skip


def with_host(chip_s: Number, host_s: Number, engine: Engine) -> Number:
    """Time of a step whose chip works `chip_s` and whose host works `host_s`. [s]"""
    return np.maximum(chip_s, host_s) if engine.overlapped else chip_s + host_s


def _one_batch(model: Served, layout: Layout, load: Load) -> Step:
    kinds: tuple[list[Cost], ...] = ([], [], [])
    for _, _, work, cost in operator_costs(model, layout, load):
        kind = (1 if work.cached else 2) if isinstance(work, AttentionWork) else 0
        kinds[kind].append(cost)
    none = Cost(0.0, 0.0, 0.0)
    products, decode, prompt = (add(none, *costs) for costs in kinds)
    communication = sum(exchanges(model, layout, load).values())
    chip = add(products, decode, prompt).total_s + communication
    host = host_time(model, load, chip)
    total = with_host(chip, host, model.engine)
    return Step(products, decode, prompt, communication, chip, host, total)


def operator_costs(
    model: Served, layout: Layout, load: Load
) -> Iterator[tuple[Operator, Block | None, Work, Cost]]:
    """Every operator of a step with the block it is of (None: embedding and head), its work on a
    chip, and its time in all layers. [s]
    """
    arch, filled = model.arch, filled_up(load, model.engine)
    hottest = hottest_share(arch, layout, filled.tokens(layout), model.engine.expert_skew)
    for block in arch.blocks:
        for op, work, there in _works(block.operators, model, layout, load, filled, hottest):
            slower = model.engine.routed if is_routed(op) else 1.0
            cost = _cost(work, model.rate(op, outside=False), model)
            yield op, block, work, times(np.where(there, block.count, 0) * slower, cost)
    half = model.by_dtype[model.precision.half]
    last = Load(np.maximum(filled.decode_tokens + load.prompts, 1e-9), load.context)
    for operators, taken in ((arch.embedding, load), (arch.head, last)):
        for op in operators:
            work = step_works(op, layout, taken, model.kv_bytes)[0][0]
            yield op, None, work, _cost(work, half, model)


def exchanges(model: Served, layout: Layout, load: Load) -> dict[str, Number]:
    """Time of what chips exchange in a step, by the kind of parallelism, hidden or not. [s]"""
    arch, filled = model.arch, filled_up(load, model.engine)
    found: dict[str, Number] = dict.fromkeys(("tp_s", "ep_s", "cp_s"), np.zeros(len(layout)))
    for block in arch.blocks:
        layer = layer_exchanges(block.operators, model, layout, filled)
        found = {kind: found[kind] + block.count * layer[kind] for kind in found}
    whole = filled.tokens(layout) * arch.hidden_size * ACTIVATION_BYTES
    handed = send(whole / layout.tp, layout.tp, model.machine)
    return {**found, "pp_s": (layout.pp - 1) * handed}


def filled_up(load: Load, engine: Engine) -> Load:
    """The load with as many requests as the smallest graph that holds them was made for.

    Where a step without prompts is replayed as a graph, empty requests make up the difference;
    beyond the largest graph there are none. Attention has nothing to read for them.
    """
    sizes = np.array(engine.graph_sizes, dtype=float)
    if not len(sizes):
        return load
    at = np.searchsorted(sizes, load.sequences - 1e-9)
    size = np.append(sizes, 0.0)[at]
    replayed = (load.prompt_tokens <= 0) & (load.sequences > 0)
    return replace(
        load, sequences=np.where(replayed, np.maximum(load.sequences, size), load.sequences)
    )


def _works(
    operators: tuple[Operator, ...],
    model: Served,
    layout: Layout,
    load: Load,
    filled: Load,
    hottest: Number,
) -> list[tuple[Operator, Work, Number]]:
    """The works of a layer, those of one input and weight as one product."""
    found: list[tuple[Operator, Work, Number]] = []
    for op in operators:
        held = load if isinstance(op, Attention) else filled
        for work, there in step_works(op, layout, held, model.kv_bytes, hottest):
            if found and shares_input(op, found[-1][0]):
                before, merged, _ = found[-1]
                assert isinstance(work, Gemm)
                assert isinstance(merged, Gemm)
                found[-1] = (before, one_product(merged, work), there)
            else:
                found.append((op, work, there))
    return found


def _cost(work: Work, rate: Rates, model: Served) -> Cost:
    return add(forward_cost(work, rate, model.software), permute_cost(work, rate))


def host_time(model: Served, load: Load, chip_s: Number) -> Number:
    """What the host does for one step: a part per step, per request, and, where prompts are in it
    and no graph is replayed, per operator. [s]

    The chip works on one operator while the next is started, so that starting them only shows
    beyond `chip_s`; a host that prepares the next step meanwhile does one thing after another.
    """
    arch, engine = model.arch, model.engine
    operators = sum(b.count * len(b.operators) for b in arch.blocks)
    eager = (load.prompt_tokens > 0) | (not engine.graphs)
    starting = np.where(eager, engine.launches_s * operators, 0.0)
    shown = starting if engine.overlapped else np.maximum(starting - chip_s, 0.0)
    return engine.step_s + engine.sequence_s * (load.sequences + load.prompts) + shown


def draft_time(model: Served, layout: Layout, load: Load, drafted: int) -> Number:
    """Time to draft `drafted` tokens of each decoding request, one after another. [s]

    A prediction layer is one more layer of the kind the model ends with, and its head
    [DeepSeek-V3 report, arXiv 2412.19437, §2.2]; EAGLE's are alike [Li et al. 2024, 2401.15077].
    """
    if not drafted:
        return 0.0
    arch = model.arch
    last = arch.blocks[arch.order[-1]] if arch.order else arch.blocks[-1]
    layer = structs.replace(arch, blocks=(structs.replace(last, count=1),), order=(0,))
    one = _one_batch(replace(model, arch=layer), layout, Load(load.sequences, load.context))
    return drafted * (one.cost.total_s + one.communication_s)


def hottest_share(arch: Architecture, layout: Layout, tokens: Number, skew: Number) -> Number:
    """Load of the busiest expert-parallel chip over the mean. [1]

    Popularity of experts spreads by `skew` of its mean, less over the experts of a chip; so do the
    counts of few tokens (Poisson). The largest of n is √(2 ln n) deviations above the mean.
    """
    if not arch.num_experts:
        return np.ones(len(layout))
    experts = np.maximum(arch.num_experts / layout.ep, 1.0)
    copies = tokens * ranks(layout) * arch.num_experts_per_tok / layout.ep
    spread = np.sqrt(skew**2 / experts + 1.0 / np.maximum(copies, 1.0))
    most = np.minimum(1 + spread * np.sqrt(2 * np.log(np.maximum(layout.ep, 1))), layout.ep)
    return np.where(layout.ep > 1, most, 1.0)


def layer_exchanges(
    operators: tuple[Operator, ...], model: Served, layout: Layout, load: Load
) -> dict[str, Number]:
    """Exchanges of one layer: `tp_s`, `ep_s`, `cp_s`. [s]

    One all-reduce for each sum that row-divided products leave behind. Where the experts of a
    layer lie among ranks with tokens of their own, theirs is a dispatch and a combine instead,
    all to all [DeepEP], and what a rank's chips hold is gathered.
    """
    machine, tokens = model.machine, load.tokens(layout)
    message = tokens * model.arch.hidden_size * ACTIVATION_BYTES
    reduced = all_reduce(message, layout.tp, 1, machine)
    routed = [op for op in operators if is_routed(op)]
    mixers, networks = row_sums(operators)
    prompts = load.prompt_tokens / layout.cp
    around = _context(operators, layout, prompts, machine)
    if not routed:
        return {"tp_s": (mixers + networks) * reduced, "ep_s": 0.0, "cp_s": around}
    away = ranks(layout) > 1
    own = tokens * model.arch.hidden_size / layout.tp
    there, back = (1.0 if model.engine.narrow_dispatch else 2.0), ACTIVATION_BYTES
    active, reach = routed[0].active, routed[0].reach
    spread = sum(
        all_to_all(own * size, active, layout.ep, layout.etp, machine, reach)
        for size in (there, back)
    )
    spread = spread + all_gather(message, layout.tp, 1, machine)
    return {
        "tp_s": mixers * reduced + np.where(away, 0.0, networks * reduced),
        "ep_s": np.where(away, spread, 0.0),
        "cp_s": around,
    }


def _context(
    operators: tuple[Operator, ...], layout: Layout, tokens: Number, machine: Machine
) -> Number:
    if np.all(layout.cp == 1):
        return 0.0
    return np.where(layout.cp > 1, context_parallel_time(operators, layout, tokens, machine), 0.0)


def row_sums(operators: tuple[Operator, ...]) -> tuple[int, int]:
    """Sums over the tensor-parallel group of a layer: of its mixer, of its network. [1]

    Products whose sums are added to the same residual at once (routed and shared experts) are
    reduced together.
    """
    entries = [op for op in operators if isinstance(op, Linear) and op.split == "column"]
    mixers = any(isinstance(op, (Attention, Recurrence)) for op in operators)
    networks = any(
        op.saves_input and not op.name.startswith(("q_", "kv_", "qkv")) for op in entries
    )
    return int(mixers), int(networks)
