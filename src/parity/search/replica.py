"""Replicas for serving: how one copy of a model may be divided, and how many requests it holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from parity.catalogue.machine import Draw, Machine, Number, central
from parity.errors import Infeasible
from parity.evaluate.serving import Steady, most_decoding, steady_state
from parity.evaluate.serving_memory import cache_per_request, room_for_cache
from parity.evaluate.step import Served, multiplied_in, served
from parity.evaluate.together import Ask, steady_states, taken
from parity.layout.layout import Layout, columns
from parity.record import Finding
from parity.search.findings import note
from parity.search.grid import Columns, cross, divisors, keep
from parity.search.replica_rules import accepted
from parity.timing.engine import Engine
from parity.units import render
from parity.workload.operator import Architecture
from parity.workload.precision import Precision
from parity.workload.request import Request

#: Decoding requests of a lane that are tried: every number to 16, then 6 % apart.
BATCHES = (
    0.0625, 0.125, 0.25, 0.5,  # long prompts, short answers: most of the time nobody decodes
    *sorted({*range(1, 17), *(round(16 * 2 ** (i / 12)) for i in range(97))}),
)  # fmt: skip
#: Tokens of a step that are tried beside the engine's default, where latency counts.
SMALL_BUDGETS = (512, 2048)
#: Chips of one replica: dense models, mixtures of experts, whose experts spread wide, and chips
#: that hold their part of a model in SRAM.
WIDEST_REPLICA, WIDEST_EXPERTS, WIDEST_SRAM = 64, 256, 4096


@dataclass(frozen=True)
class ServingJob:
    """Requests, in what precision they are served, and how soon their tokens must come."""

    request: Request
    precision: Precision
    ttft_s: float = np.inf
    tpot_s: float = np.inf

    @property
    def patient(self) -> bool:
        """Whether nothing is asked of latency."""
        return bool(np.isinf(self.ttft_s) and np.isinf(self.tpot_s))


@dataclass(frozen=True)
class Replica:
    """One way to run one copy of a model: a single row of everything."""

    model: Served
    layout: Layout
    decoding: float  # requests of a lane that decode
    token_budget: int
    request: Request
    steady: Steady

    @property
    def machine(self) -> Machine:
        """What it runs on."""
        return self.model.machine

    @property
    def chips(self) -> int:
        """Chips of the replica."""
        return int(self.layout.chips[0])

    @property
    def lanes(self) -> int:
        """Batches that go through it side by side: a stage of the pipeline each, on each rank."""
        return int(self.layout.pp[0] * self.layout.dp[0])

    @property
    def batch(self) -> int:
        """Requests that decode at a time, all lanes together."""
        return round(self.decoding * self.lanes)

    @property
    def multiplied(self) -> str:
        """The dtype in which most of its products run."""
        return multiplied_in(self.machine, self.model.precision.weights, self.model.precision)

    @property
    def requests_per_s(self) -> float:
        """Of the replica."""
        return float(self.steady.requests_per_s[0])

    @property
    def requests_per_s_per_chip(self) -> float:
        """Of one chip."""
        return self.requests_per_s / self.chips


@dataclass(frozen=True)
class Replicas:
    """Many ways to run one copy, as columns."""

    model: Served
    request: Request
    layout: Layout
    token_budget: Number
    steady: Steady

    def some(self, at: Number) -> Replicas:
        """The ways at the columns `at`."""
        return Replicas(
            self.model,
            self.request,
            self.layout.take(at),
            self.token_budget[at],
            taken(self.steady, at, len(self.layout)),
        )

    def row(self, i: int) -> Replica:
        """The way at column `i`."""
        at = np.array([i])
        return Replica(
            self.model,
            self.layout.take(at),
            float(self.steady.decoding[i]),
            int(self.token_budget[i]),
            self.request,
            taken(self.steady, at, len(self.layout)),
        )


def replica(
    model: Served, layout: Layout, decoding: float, token_budget: int, request: Request
) -> Replica:
    """The steady state of one row of a layout with so many requests that decode in each lane."""
    steady = steady_state(model, layout, np.array([decoding]), request, token_budget)
    return Replica(model, layout, decoding, token_budget, request, steady)


def divisions(arch: Architecture, target: Machine, most_chips: float) -> Layout:
    """Every way to divide one copy over at most `most_chips`, one column each.

    tp within a scale-up domain or node; stages across; experts over ranks that hold requests of
    their own (attention data parallelism), over the tensor-parallel group, or not at all.
    """
    sram = target.chip.memory.kind == "SRAM"
    widest = WIDEST_SRAM if sram else WIDEST_EXPERTS if arch.num_experts else WIDEST_REPLICA
    heads = max(arch.num_attention_heads, 1)
    sizes = (heads, arch.num_hidden_layers, arch.num_experts)
    return _divisions(*sizes, min(most_chips, widest), target.closest, sram=sram)


@lru_cache(maxsize=64)
def _divisions(
    heads: int, layers: int, experts: int, most: float, closest: int, *, sram: bool
) -> Layout:
    """The same for all models and chips that are alike in this; many stages 6 % apart."""
    deep = sorted({min(layers, round(b)) for b in BATCHES if b >= 1} | {layers})
    stages = deep if sram else (p for p in (1, 2, 4, 8, 16) if p <= layers)
    axes: Columns = cross({}, "tp", divisors(heads, min(WIDEST_REPLICA, closest)))
    axes = cross(axes, "pp", list(stages))
    ranks = [2**i for i in range(9)] if experts else [1]
    axes = cross(axes, "dp", ranks)
    axes = keep(axes, axes["tp"] * axes["pp"] * axes["dp"] <= most)
    if experts:
        axes = cross(axes, "spread", [0, 1])
        wide = axes["spread"] * axes["tp"] * axes["dp"]
        axes["ep"] = np.where(wide > 0, wide, 1)
        legal = (wide <= experts) & ((axes["dp"] == 1) | (wide > 0))
        axes = keep(axes, legal & (wide != 1))
        axes.pop("spread")
    none = np.zeros_like(axes["tp"])
    return columns(**axes, zero=none, sequence_parallel=none)


def replicas(
    arch: Architecture,
    job: ServingJob,
    target: Machine,
    engine: Engine,
    most_chips: float = np.inf,
    draw: Draw = central,
    batches: Sequence[float] = BATCHES,
) -> Replicas:
    """Every division with every batch that fits, at its steady state; memory first.

    Raises `Infeasible` with P105 where the model does not fit.
    """
    asked = ways(served(arch, job.precision, target, engine, draw), job, most_chips, batches)
    return at_steady_state(asked, steady_states([asked])[0])


def at_steady_state(asked: Ask, steady: Steady) -> Replicas:
    """The ways of `ways` with what they come to."""
    return Replicas(asked.model, asked.request, asked.layout, asked.columns[1], steady)


def ways(
    model: Served,
    job: ServingJob,
    most_chips: float = np.inf,
    batches: Sequence[float] = BATCHES,
) -> Ask:
    """Every division with every batch that fits, to be evaluated; memory first.

    Raises `Infeasible` with P105 where the model does not fit.
    """
    arch, target, engine = model.arch, model.machine, model.engine
    layout = divisions(arch, target, most_chips)
    layout = accepted(arch, target.chip, layout, job.precision.weights)
    layout = _where_it_fits(model, job.request, layout, target, most_chips)
    axes = {"at": np.arange(len(layout))}
    tried = np.array([b for b in batches if b <= engine.max_sequences])
    axes = cross(axes, "batch", range(len(tried)))
    axes = cross(axes, "budget", _budgets(engine, job))
    held = _most_held(model, job.request, layout)
    full = most_decoding(model, job.request, axes["budget"])  # more change nothing
    useful = axes["batch"] <= np.searchsorted(tried, full)
    axes = keep(axes, useful & (tried[axes["batch"]] <= np.maximum(held[axes["at"]], 1.0)))
    batch, budget = tried[axes["batch"]], axes["budget"].astype(float)
    return Ask(model, layout.take(axes["at"]), job.request, (batch, budget))


def _budgets(engine: Engine, job: ServingJob) -> list[int]:
    """Tokens of a step that are tried.

    Where latency counts small budgets too, as prompts hold up those that decode. Replicas that are
    handed their prompts need no more than all their requests take.
    """
    if job.patient:
        return [engine.token_budget]
    every = sorted({engine.token_budget, *SMALL_BUDGETS})
    if job.request.new_tokens > 1:
        return every
    taken = engine.max_sequences * (job.request.drafted + 1)
    return [next((budget for budget in every if budget >= taken), every[-1])]


def _most_held(model: Served, request: Request, layout: Layout) -> Number:
    """Requests of a lane that a chip's memory has room for. [1]"""
    budget = float(model.engine.token_budget)
    each = cache_per_request(model, layout, request.mean_context) * layout.pp
    return room_for_cache(model, layout, min(budget, 512.0)) / np.maximum(each, 1.0)


def _where_it_fits(
    model: Served, request: Request, layout: Layout, target: Machine, most_chips: float
) -> Layout:
    """The divisions with room for one request, within one node or domain where any is.

    A dense replica leaves its node only where it must; experts spread as they like.
    """
    held = _most_held(model, request, layout)
    fits = held >= 1.0
    if not fits.any():
        each = cache_per_request(model, layout, request.mean_context) * layout.pp
        short = each - room_for_cache(model, layout, 512.0)
        raise Infeasible(*does_not_fit(model, layout, short, most_chips))
    inside = fits & (layout.chips <= target.closest)
    return layout.take(inside if inside.any() and not model.arch.num_experts else fits)


def best_replica(
    arch: Architecture,
    job: ServingJob,
    target: Machine,
    engine: Engine,
    most_chips: float = np.inf,
) -> Replica:
    """The replica of at most `most_chips` chips with the highest requests/s per chip within TPOT
    and TTFT.

    Raises `Infeasible` with P105 where the model does not fit, P106 where no batch is fast enough.
    """
    return best_of(replicas(arch, job, target, engine, most_chips), job)


def best_of(found: Replicas, job: ServingJob) -> Replica:
    """The one with the highest requests/s per chip within TPOT and TTFT.

    Raises `Infeasible` with P106 where no batch is fast enough.
    """
    rate = np.where(meeting(found, job), found.steady.requests_per_s / found.layout.chips, -1.0)
    i = int(np.argmax(np.asarray(rate, dtype=np.float32)))
    return found.row(i)


def best_of_each_size(rate: Number, chips: Number) -> list[int]:
    """The column with the highest rate above zero, for each count of chips."""
    some = np.flatnonzero(rate > 0)
    order = some[np.lexsort((-np.asarray(rate[some], dtype=np.float32), chips[some]))]
    _, first = np.unique(chips[order], return_index=True)
    return [int(i) for i in order[first]]


def meeting(found: Replicas, job: ServingJob) -> Number:
    """Which columns fit and are fast enough. Raises `Infeasible` with P105 where none fits, with
    P106 where none is fast enough.
    """
    steady = found.steady
    if not np.any(steady.fits):
        short = steady.cache_bytes - steady.room_bytes
        raise Infeasible(*does_not_fit(found.model, found.layout, short, np.inf))
    quick = steady.fits & (steady.ttft_s <= job.ttft_s) & (steady.tpot_s <= job.tpot_s)
    if not np.any(quick):
        raise Infeasible(*_too_slow(found, job))
    return quick


def does_not_fit(
    model: Served, layout: Layout, short: Number, most_chips: float
) -> tuple[str, tuple[Finding, ...]]:
    """What to say where no division has room: a sentence, and P105 with by how much.

    short: bytes that a chip of each division lacks for one request in each lane.
    """
    arch, chip = model.arch, model.machine.chip
    i = int(np.argmin(short))
    lacking = render(float(np.mean(short[..., i])), "byte")
    widest = int(layout.chips[i])
    more = most_chips < WIDEST_REPLICA
    finding = note(
        "P105",
        f"{arch.name} in {model.precision.weights} lacks {lacking} on each of {widest:,} "
        f"{chip.id}, the replica that lacks least, to hold one request in each lane.",
        "error",
        "more chips, --dtype fp8 or int4, or a chip with more memory" if more
        else "--dtype fp8 or int4, or a chip with more memory",
    )  # fmt: skip
    return f"{arch.name} does not fit on {chip.id}.", (finding,)


def _too_slow(found: Replicas, job: ServingJob) -> tuple[str, tuple[Finding, ...]]:
    arch, chip, steady = found.model.arch, found.model.machine.chip, found.steady
    fits = np.broadcast_to(steady.fits, steady.tpot_s.shape)
    tpot, ttft = (float(np.min(x[fits])) for x in (steady.tpot_s, steady.ttft_s))
    if tpot > job.tpot_s:
        what, best, asked, option = "a token every", tpot, job.tpot_s, "--tpot"
    else:
        what, best, asked, option = "the first token after", ttft, job.ttft_s, "--ttft"
    if best <= asked:
        both = f"each of --ttft {render(job.ttft_s, 's')} and --tpot {render(job.tpot_s, 's')}"
        message = f"{arch.name} on {chip.id} meets {both} alone, but no batch meets both."
        fix = "a wider --tpot or --ttft, or prefill on chips of its own"
    else:
        message = (
            f"{arch.name} on {chip.id} makes {what} {render(best, 's')} at best; "
            f"{render(asked, 's')} was asked for."
        )
        fix = f"{option} {render(1.2 * best, 's', 2).replace(' ', '')}"
    return f"{chip.id} cannot serve {arch.name} that fast.", (note("P106", message, "error", fix),)
