"""How far a step is from the limit of its chips: one loss after another, by the same equations.

    training   model FLOPs / peak  →  all work  →  kernels  →  shapes  →  memory  →  exchanges
               →  pipeline  →  launches = the step
    serving    max( Σ FLOP / peak, Σ bytes / bandwidth )  →  operators one by one  →  kernels
               →  shapes  →  imbalance  →  exchanges  →  launches  →  host = the step

Every rung is the step with the losses so far, and all later ones switched off: kernels that reach
peaks and bandwidth of the data sheet, shapes that all suit the chip, links without latency or end.
What the first rung is over the last is the share of the limit: in training MFU [Chowdhery et al.
2022, PaLM, arXiv 2204.02311, appendix B], in serving the share of the roofline of the step
[Williams, Waterman, Patterson 2009].
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, replace

import numpy as np
from msgspec import structs

from parity.catalogue.machine import Machine, Number
from parity.evaluate.goodput import Goodput
from parity.evaluate.kernels import Rates, rates
from parity.evaluate.serving import Loads
from parity.evaluate.step import Served, Step, draft_time, step
from parity.evaluate.training import Step as TrainingStep
from parity.evaluate.training import prepared_at, stage_seconds, timed
from parity.layout.layout import Layout
from parity.timing.roofline import AttentionShape
from parity.timing.software import Software
from parity.workload.flop import flop_per_token
from parity.workload.operator import Architecture
from parity.workload.training import TrainingJob

#: Losses that can be switched off, in the order in which they come back.
TRAINING = ("kernels", "shapes", "memory", "exchanges", "pipeline", "launches")
SERVING = ("kernels", "shapes", "imbalance", "exchanges", "launches", "host")
#: Rates of compute, and of memory.
_COMPUTE = (
    "gemm_flop_per_s", "attention_forward_flop_per_s", "cached_flop_per_s", "scan_flop_per_s",
)  # fmt: skip
_MEMORY = ("bytes_per_s", "gemm_bytes_per_s", "cache_bytes_per_s")
#: Attention that has no short rows and no narrow heads.
_ANY_SHAPE = AttentionShape(half_keys=0.0, full_width=1e-9, half_cached=0.0)


@dataclass(frozen=True)
class Rung:
    """A step with the losses up to this one."""

    loss: str
    time_s: float


def training_rungs(
    arch: Architecture, job: TrainingJob, layout: Layout, machine: Machine, software: Software
) -> tuple[Rung, ...]:
    """The step of one layout from the peak down; the last rung is `training_step(…).time_s`. [s]

    `peak`: the model's FLOPs at the data sheet's rate. `work`: all that is computed, recomputation
    and the 16-bit parts of a narrow job included, on stages that are all alike.
    """
    whole = flop_per_token(arch, job.seq_len, "training") * job.global_batch_tokens
    peak = float(np.mean(machine.peak_flop_per_s[job.dtype]))
    found = [Rung("peak", float(whole / (peak * layout.chips[0])))]
    for i, loss in enumerate(("work", *TRAINING)):
        off = frozenset(TRAINING[i:])
        balanced, full = _training_seconds(arch, job, layout, machine, software, off)
        found.append(Rung(loss, balanced if "pipeline" in off else full))
    return tuple(found)


def _training_seconds(
    arch: Architecture,
    job: TrainingJob,
    layout: Layout,
    machine: Machine,
    software: Software,
    off: Set[str],
) -> tuple[float, float]:
    """A step without the losses that are `off`: if all stages took as long and none waited, and
    with its pipeline. [s]
    """
    some, own = linked(machine, off), started(software, off)
    rate = without(rates(machine, job.dtype, software=software), machine, off)
    ready = prepared_at(arch, job, layout, some, own, rate)
    found: TrainingStep = timed(arch, layout, some, ready)
    slowest, mean, _, _ = stage_seconds(arch, ready.parts, layout, own)
    waits = found.breakdown.bubble_s + ready.parts.microbatches * (sum(slowest.values()) - mean)
    return tuple(float(np.ravel(x)[0]) for x in (found.time_s - waits, found.time_s))  # type: ignore[return-value]


def interrupted(step_s: float, lost: Goodput) -> tuple[Rung, ...]:
    """A step with its part of what slows and interrupts a run: slow chips, then all else. [s]"""
    whole = step_s / float(np.ravel(lost.fraction)[0])
    slow = float(np.ravel(lost.lost.stragglers)[0]) * whole
    return Rung("stragglers", step_s + slow), Rung("interruptions", whole)


def serving_rungs(model: Served, layout: Layout, loads: Loads) -> tuple[Rung, ...]:
    """The mean step of a replica from its roofline down; the last rung is that step. [s]

    `roofline`: all its FLOPs at the peak, or all its bytes at the bandwidth, whichever is longer.
    """
    every = frozenset(SERVING)
    found = [Rung("roofline", max(roofs(model, layout, loads)))]
    for i, loss in enumerate(("one by one", *SERVING)):
        off = every - set(SERVING[:i])
        some = _served_without(model, off)
        chip, whole = _mean_step(some, layout, loads)
        found.append(Rung(loss, chip if "host" in off else whole))
    return tuple(found)


def roofs(model: Served, layout: Layout, loads: Loads) -> tuple[float, float]:
    """The FLOPs of the mean step at the peak, and its bytes at the bandwidth. [s]"""
    ideal = _served_without(model, frozenset(SERVING))
    out = []
    for endless in (_MEMORY, _COMPUTE):
        none: dict[str, Number] = dict.fromkeys(endless, np.inf)
        by_dtype = {kind: replace(rate, **none) for kind, rate in ideal.by_dtype.items()}
        out.append(_mean_step(replace(ideal, by_dtype=by_dtype), layout, loads)[0])
    return out[0], out[1]


def _mean_step(model: Served, layout: Layout, loads: Loads) -> tuple[float, float]:
    """The mean step without its host, and with it; drafting included in both. [s]"""
    kinds: list[Step] = [step(model, layout, load) for load in (loads.decode, loads.prompt)]
    drafts = draft_time(model, layout, loads.decode, int(np.max(loads.decode.queries)) - 1)
    more = loads.mean(drafts, drafts * (loads.prompt.sequences > 0))
    chip = loads.mean(*(one.chip_s * model.elapsed for one in kinds)) + more
    whole = loads.mean(*(one.total_s for one in kinds)) + more
    return float(np.ravel(chip)[0]), float(np.ravel(whole)[0])


def _served_without(model: Served, off: Set[str]) -> Served:
    engine, software = model.engine, started(model.software, off)
    if "kernels" in off:
        engine = structs.replace(engine, routed=1.0)
        software = structs.replace(software, traffic=1.0)
    if "imbalance" in off:
        engine = structs.replace(engine, expert_skew=0.0, graph_sizes=())
    return replace(
        model,
        machine=linked(model.machine, off),
        engine=engine,
        software=software,
        by_dtype={k: without(rate, model.machine, off, bound=True)
                  for k, rate in model.by_dtype.items()},
    )  # fmt: skip


def without(rate: Rates, machine: Machine, off: Set[str], *, bound: bool = False) -> Rates:
    """Rates with the losses `off` taken away.

    bound: whether memory is part of the limit, so that ideal kernels reach its bandwidth.
    """
    half = "bf16" if "bf16" in machine.peak_flop_per_s else "fp16"
    peak, wide = machine.peak_flop_per_s[rate.dtype], machine.peak_flop_per_s[half]
    new: dict[str, Number] = {}
    if "kernels" in off:
        new |= {
            "gemm_flop_per_s": peak, "attention_forward_flop_per_s": wide,
            "attention_backward_flop_per_s": wide, "cached_flop_per_s": wide,
            "scan_flop_per_s": wide, "routed_passes": 0.0, "cast": False,
        }  # fmt: skip
    if "shapes" in off:
        new |= {"tiling": None, "attention_shape": _ANY_SHAPE}
    if "launches" in off:
        new |= dict.fromkeys(
            ("launch_s", "gemm_launch_s", "routed_launch_s", "attention_launch_s",
             "cache_launch_s"), 0.0,
        )  # fmt: skip
    if "memory" in off:
        new |= dict.fromkeys(_MEMORY, np.inf)
    elif bound and "kernels" in off:
        new |= dict.fromkeys(_MEMORY, machine.memory_bandwidth_bytes_per_s)
    own = rate.weights and without(rate.weights, machine, off, bound=bound)
    return replace(rate, **new, weights=own)


def linked(machine: Machine, off: Set[str]) -> Machine:
    """The machine, its links without latency or end where exchanges are `off`."""
    if "exchanges" not in off:
        return machine
    levels = tuple(
        replace(level, bandwidth_bytes_per_s=np.inf, latency_share=0.0) for level in machine.levels
    )
    return replace(machine, levels=levels)


def started(software: Software, off: Set[str]) -> Software:
    """The software with the losses `off` taken away."""
    new: dict[str, float] = {"routed": 1.0} if "kernels" in off else {}
    if "launches" in off:
        new |= {"issue_s": 0.0, "routing_s": 0.0}
    return structs.replace(software, **new)
