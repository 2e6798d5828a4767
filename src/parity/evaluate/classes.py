"""Where the time of a step goes: by class of operator, by exchange, and what is left.

    step = Σ compute of each class + Σ memory beyond compute + launches + exchanges + …

Compute is what operators would take if memory were infinitely fast, so that memory counts only
where it is what an operator waits for [Williams, Waterman, Patterson 2009, "Roofline"]. The parts
add up to the step, in training and in serving.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import numpy as np

from parity.catalogue.machine import Machine, Number
from parity.evaluate.kernels import Rates, add
from parity.evaluate.layer import operators_cost
from parity.evaluate.serving import Loads
from parity.evaluate.step import Served, draft_time, exchanges, operator_costs, step
from parity.evaluate.training import (
    Breakdown,
    Prepared,
    layer_seconds,
    prepared,
    slowest_stage,
    timed,
)
from parity.layout.layout import Layout
from parity.layout.step import Load
from parity.timing.roofline import Cost
from parity.timing.software import Software
from parity.workload.operator import (
    Architecture,
    Attention,
    Block,
    Linear,
    Lookup,
    Operator,
    Recurrence,
)
from parity.workload.training import TrainingJob

#: Classes of operators, in the order in which they are shown.
CLASSES = ("projections", "scores", "scan", "mlp", "experts", "ends", "elementwise")


@dataclass(frozen=True)
class Parts:
    """Seconds of a step by what they are spent on."""

    compute: Mapping[str, Number]  # by class of operator, if memory were infinitely fast
    memory: Mapping[str, Number]  # by class of operator, beyond its compute
    others: Mapping[str, Number]  # launches, exchanges and all else
    memory_bound_s: Number = 0.0  # of compute and memory, operators that wait for memory

    @property
    def total_s(self) -> Number:
        """The step."""
        kinds = (self.compute, self.memory, self.others)
        return sum(value for kind in kinds for value in kind.values())


def classes(operators: tuple[Operator, ...]) -> tuple[str, ...]:
    """The class of each operator of one layer.

    Products up to the one that ends the mixer are its projections, and with a recurrence part of
    the scan; those after it are the MLP, or the experts where a router or experts are among them.
    """
    mixer = next(
        (i for i, op in enumerate(operators) if isinstance(op, (Attention, Recurrence))), -1
    )
    ends = (i for i, op in enumerate(operators) if i > mixer and isinstance(op, Linear))
    end = next((i for i in ends if _sums(operators[i])), mixer) if mixer >= 0 else -1
    around = "scan" if mixer >= 0 and isinstance(operators[mixer], Recurrence) else "projections"
    sparse = any(isinstance(op, Linear) and op.experts > 1 for op in operators)
    found = []
    for i, op in enumerate(operators):
        match op:
            case Attention():
                found.append("scores")
            case Recurrence():
                found.append("scan")
            case Lookup():
                found.append("ends")
            case Linear():
                after = "experts" if sparse else "mlp"
                found.append(around if i <= end else after)
            case _:
                found.append("elementwise")
    return tuple(found)


def _sums(op: Operator) -> bool:
    return isinstance(op, Linear) and op.split in ("row", "none")


def training_parts(
    arch: Architecture, job: TrainingJob, layout: Layout, machine: Machine, software: Software
) -> Parts:
    """The parts of a training step of each layout; they add up to `training_step(…).time_s`. [s]

    Classes are of the slowest stage, forward and backward, in all microbatches.
    """
    ready = prepared(arch, job, layout, machine, software)
    whole = timed(arch, layout, machine, ready).breakdown
    layers = _stage(ready, layout)
    fast = _unbound(ready.rate)
    compute: dict[str, Number] = {}
    both: dict[str, Number] = {}
    for name, share, cost in _training_classes(arch, job, layout, machine, ready, ready.rate):
        seconds = ready.parts.microbatches * layers[share] * (cost.compute_s + cost.memory_s)
        both[name] = both.get(name, 0.0) + seconds
    for name, share, cost in _training_classes(arch, job, layout, machine, ready, fast):
        seconds = ready.parts.microbatches * layers[share] * cost.compute_s
        compute[name] = compute.get(name, 0.0) + seconds
    others = {f.name: getattr(whole, f.name) for f in fields(Breakdown)}
    for name in ("compute_s", "memory_s"):
        others.pop(name)
    memory = {name: both[name] - compute[name] for name in both}
    return Parts(compute, memory, others, whole.memory_s)


def _stage(ready: Prepared, layout: Layout) -> tuple[Number, Number, Number]:
    """Layers, embedding and head of the slowest stage."""
    plain = layout.replace(recompute=np.zeros(len(layout), dtype=np.int64))
    pieces = (
        (ready.parts.layer, layout),
        (ready.parts.embedding, plain),
        (ready.parts.head, plain),
    )
    whole = [sum(layer_seconds(piece, at, ready.software).values()) for piece, at in pieces]
    return slowest_stage(ready.parts, layout, *whole)


def _training_classes(
    arch: Architecture,
    job: TrainingJob,
    layout: Layout,
    machine: Machine,
    ready: Prepared,
    rate: Rates,
) -> list[tuple[str, int, Cost]]:
    """(class, 0 for a mean layer, 1 for the embedding, 2 for the head, time of both passes)."""
    args = (layout, job.seq_len, machine, rate, ready.software)
    found = []
    total = sum(block.count for block in arch.blocks)
    for block in arch.blocks:
        named = classes(block.operators)
        for name in dict.fromkeys(named):
            some = tuple(op for op, own in zip(block.operators, named, strict=True) if own == name)
            layer = operators_cost(some, *args)
            cost = add(layer.forward, layer.backward)
            share = block.count / total
            cost = Cost(share * cost.compute_s, share * cost.memory_s, share * cost.launch_s)
            found.append((name, 0, cost))
    for place, operators in ((1, arch.embedding), (2, arch.head)):
        layer = operators_cost(operators, *args)
        found.append(("ends", place, add(layer.forward, layer.backward)))
    return found


def serving_parts(model: Served, layout: Layout, loads: Loads) -> Parts:
    """The parts of the mean step of a replica, drafting included; they add up to it. [s]"""
    decode, prompt = (one_step(model, layout, load) for load in (loads.decode, loads.prompt))

    def mean(first: Mapping[str, Number], second: Mapping[str, Number]) -> dict[str, Number]:
        names = dict.fromkeys((*first, *second))
        return {k: loads.mean(first.get(k, 0.0), second.get(k, 0.0)) for k in names}

    drafts = draft_time(model, layout, loads.decode, int(np.max(loads.decode.queries)) - 1)
    others = mean(decode.others, prompt.others)
    others["drafts_s"] = loads.mean(drafts, drafts * (loads.prompt.sequences > 0))
    return Parts(
        mean(decode.compute, prompt.compute),
        mean(decode.memory, prompt.memory),
        others,
        loads.mean(decode.memory_bound_s, prompt.memory_bound_s),
    )


def one_step(model: Served, layout: Layout, load: Load) -> Parts:
    """The parts of one step of `load`; they add up to `step(…).total_s`. [s]

    Where halves of a step hide each other's exchanges, exchanges are what shows of them; where
    the host works ahead, the host is what shows of it.
    """
    whole = step(model, layout, load)
    both = {name: cost.compute_s + cost.memory_s for name, cost in _costs(model, layout, load)}
    fast = replace(model, by_dtype={k: _unbound(rate) for k, rate in model.by_dtype.items()})
    compute = {name: cost.compute_s for name, cost in _costs(fast, layout, load)}
    apart = exchanges(model, layout, load)
    shown = (whole.chip_s - whole.cost.total_s) / np.maximum(sum(apart.values()), 1e-30)
    others = {
        "launch_s": whole.cost.launch_s,
        **{name: seconds * shown for name, seconds in apart.items()},
        "host_s": whole.total_s / model.elapsed - whole.chip_s,
    }
    return Parts(
        {name: model.elapsed * seconds for name, seconds in compute.items()},
        {name: model.elapsed * (both[name] - compute[name]) for name in both},
        {name: model.elapsed * seconds for name, seconds in others.items()},
        model.elapsed * whole.cost.memory_s,
    )


def _costs(model: Served, layout: Layout, load: Load) -> list[tuple[str, Cost]]:
    """Time of each class of operators in one step."""
    sums: dict[str, Cost] = {}
    named: dict[int, dict[int, str]] = {}
    for op, block, _, cost in operator_costs(model, layout, load):
        name = "ends"
        if block is not None:
            own = named.setdefault(id(block), _by_operator(block))
            name = own[id(op)]
        sums[name] = add(sums[name], cost) if name in sums else cost
    return list(sums.items())


def _by_operator(block: Block) -> dict[int, str]:
    return dict(zip(map(id, block.operators), classes(block.operators), strict=True))


def _unbound(rate: Rates) -> Rates:
    """Rates with infinitely fast memory."""
    return replace(
        rate,
        bytes_per_s=np.inf,
        gemm_bytes_per_s=np.inf,
        cache_bytes_per_s=np.inf,
        weights=rate.weights and _unbound(rate.weights),
    )
