"""Where the time of a step on several kinds of chip goes: of each kind, and which is waited for.

    step = own time of a kind + waiting for the slowest kind + what comes once all kinds are done

What comes then is the gradients between kinds, or of a pipeline its bubble, gradients and
optimizer. A figure of one kind helps as far as that kind is waited for; with the shares of the work
moved anew (`mixed_step.balanced`) it helps whatever the kind.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from parity.evaluate.classes import Parts, training_parts
from parity.evaluate.goodput import Stated
from parity.evaluate.losses import Rung, interrupted, training_rungs
from parity.search.mixed import MixedPlan
from parity.search.mixed_replicas import with_sequences
from parity.search.mixed_run import way_goodput
from parity.search.mixed_step import Part, Way, balanced, mixed_step
from parity.search.why_figures import FACTORS, Effect, figures, improved, ratio, words_of
from parity.timing.software import Software
from parity.workload.operator import Architecture


@dataclass(frozen=True)
class KindTime:
    """What one kind of chip does in a step. Seconds; own, waits and rest add up to the step."""

    part: Part
    work_s: float  # of its own time: compute units or memory at work
    own_s: float
    waits_s: float  # for the slowest kind
    rest_s: float  # once all kinds are done
    parts: Parts | None  # of its own time, where it holds whole replicas
    rungs: tuple[Rung, ...]  # from its own peak to the run, where it holds whole replicas

    @property
    def spent(self) -> tuple[tuple[str, float], ...]:
        """Seconds of the step by what the kind does in it."""
        return (
            ("work", self.work_s), ("exchanges", self.own_s - self.work_s),
            ("waiting", self.waits_s), ("closing", self.rest_s),
        )  # fmt: skip


@dataclass(frozen=True)
class FleetWhy:
    """The answer for a fleet: its kinds, the one that is waited for, and what would help."""

    plan: MixedPlan
    kinds: tuple[KindTime, ...]
    slowest: int
    effects: tuple[Effect, ...]


def why_fleet(arch: Architecture, plan: MixedPlan, software: Software, stated: Stated) -> FleetWhy:
    """Why a training plan of several kinds of chip is as fast as it is."""
    own = [_number(seconds) for seconds in plan.step.own_s]
    lost = interrupted(plan.time_s, way_goodput(arch, plan.job, plan.way, software, stated))
    kinds = tuple(_kind(arch, plan, software, i, lost) for i in range(len(own)))
    effects = sorted(fleet_effects(arch, plan, software), key=lambda one: -one.size)
    return FleetWhy(plan, kinds, int(np.argmax(own)), tuple(effects))


def _number(value: object) -> float:
    return float(np.ravel(np.asarray(value))[0])


def _kind(
    arch: Architecture, plan: MixedPlan, software: Software, i: int, lost: tuple[Rung, ...]
) -> KindTime:
    """lost: the step with its part of what slows and interrupts the run."""
    way, step = plan.way, plan.step
    own = [_number(seconds) for seconds in step.own_s]
    whole, slowest, part = _number(step.time_s), max(own), way.parts[i]
    work = min(_number(step.busy[i]) * whole, own[i])
    parts, rungs = None, ()
    if way.manner != "stages":
        job = with_sequences(plan.job, part.rounds)
        args = (arch, job, part.layout, part.machine, software)
        parts = training_parts(*args)
        more = (Rung("waiting", slowest), Rung("closing", whole)) if len(way.parts) > 1 else ()
        rungs = (*training_rungs(*args), *more, *lost)
    return KindTime(part, work, own[i], slowest - own[i], whole - slowest, parts, rungs)


def fleet_effects(arch: Architecture, plan: MixedPlan, software: Software) -> Iterator[Effect]:
    """The effect of every figure of every kind on tokens/s: with the work shared as it is, and as
    if it were shared so finely that no kind waits, with the figure as without; layouts are held in
    both. Capacity changes neither.
    """
    way, job = plan.way, plan.job
    before = balanced(way, plan.step)
    dtypes = (job.dtype, "bf16" if _has(plan, "bf16") else "fp16")
    for part in way.parts:
        own = [dtype for dtype in dtypes if dtype in part.machine.peak_flop_per_s]
        for figure in figures(part.machine, own):
            if figure.key == "memory.capacity":
                continue
            for factor in FACTORS:
                better = improved(part.machine, figure, factor)
                if better is None:
                    continue
                other = _with(way, part, replace(part, machine=better))
                step = mixed_step(arch, job, other, software)
                held = ratio(_number(plan.step.time_s), _number(step.time_s))
                moved = ratio(_number(before), _number(balanced(other, step)))
                lever = f"{part.machine.chip.id}@{figure.key}"
                yield Effect(lever, words_of(factor), held, moved)


def _has(plan: MixedPlan, dtype: str) -> bool:
    return all(dtype in part.machine.peak_flop_per_s for part in plan.way.parts)


def _with(way: Way, old: Part, new: Part) -> Way:
    return replace(way, parts=tuple(new if part is old else part for part in way.parts))
