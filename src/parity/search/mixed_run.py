"""A whole run on a fleet: its days, failures and slow chips of all kinds included."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from parity.catalogue.machine import Draw, Number, central
from parity.evaluate.goodput import (
    Goodput,
    Reliability,
    Stated,
    checkpoint_bytes,
    goodput,
    reliability,
)
from parity.search.mixed import MixedPlan
from parity.search.mixed_step import Way, mixed_step, step_samples
from parity.search.run import LEAST_GOODPUT, SECONDS_A_DAY, Course, no_progress
from parity.search.uncertainty import p10_p90, spread
from parity.timing.draw import USUAL_SAMPLES, Sampler
from parity.timing.software import Software
from parity.workload.operator import Architecture
from parity.workload.training import TrainingJob


@dataclass(frozen=True)
class MixedRun(Course):
    """A plan of a fleet carried through."""

    plan: MixedPlan


def mixed_run(
    arch: Architecture,
    plan: MixedPlan,
    software: Software,
    stated: Stated,
    sampler: Sampler = USUAL_SAMPLES,
) -> MixedRun:
    """The run that `plan` makes, with its range over chips, software and what interrupts it.

    Raises `Infeasible` with P107 where failures leave it no time to train.
    """
    found = way_goodput(arch, plan.job, plan.way, software, stated)
    share = float(np.ravel(found.fraction)[0])
    if share < LEAST_GOODPUT:
        names = " and ".join(f"{part.chips:,} {part.machine.chip.id}" for part in plan.way.parts)
        raise no_progress(names, found)
    steps = plan.job.steps / SECONDS_A_DAY

    def fraction(draw: Draw) -> Number:
        return np.ravel(way_goodput(arch, plan.job, plan.way, software, stated, draw).fraction)

    def days(draw: Draw) -> Number:
        return steps * step_samples(arch, plan.job, plan.way, software, draw) / fraction(draw)

    return MixedRun(
        goodput=found,
        goodput_range=p10_p90(fraction(sampler)),
        days=steps * plan.time_s / share,
        spread=spread(days, sampler),
        plan=plan,
    )


def stretch_of(
    arch: Architecture, job: TrainingJob, software: Software, stated: Stated
) -> Callable[[Way], float]:
    """How much longer than its steps a run takes in each way to use a fleet: 1 / goodput."""

    def stretch(way: Way) -> float:
        return 1 / float(np.ravel(way_goodput(arch, job, way, software, stated).fraction)[0])

    return stretch


def way_goodput(
    arch: Architecture, job: TrainingJob, way: Way, software: Software, stated: Stated,
    draw: Draw = central,
) -> Goodput:  # fmt: skip
    """The share of a run's time that trains in one way to use the fleet. [1]"""
    chips = sum(part.chips for part in way.parts)
    busy = max(float(np.ravel(one)[0]) for one in mixed_step(arch, job, way, software).busy)
    return goodput(chips, checkpoint_bytes(arch), busy, fleet_reliability(way, stated, draw))


def fleet_reliability(way: Way, stated: Stated, draw: Draw = central) -> Reliability:
    """Figures of a fleet whose kinds fail independently: rates of failure add up."""
    each = [reliability(part.machine.chip.family, stated, draw) for part in way.parts]
    counts = [part.chips for part in way.parts]
    rate = sum(count / one.mtbf_hours for count, one in zip(counts, each, strict=True))
    return replace(each[0], mtbf_hours=sum(counts) / rate)
