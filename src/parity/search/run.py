"""Whole training runs: how many days a plan takes, failures and slow chips included."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from parity.catalogue.machine import Draw, Machine, Number, central
from parity.catalogue.schema import Chip
from parity.errors import Infeasible
from parity.evaluate.goodput import (
    Goodput,
    Stated,
    checkpoint_bytes,
    counted,
    goodput,
    reliability,
    stretch_of,
)
from parity.record import Finding
from parity.search.findings import note
from parity.search.grid import USUAL, Space
from parity.search.train import TrainingPlan, Wall, fewest_chips, sampled_times
from parity.search.uncertainty import Spread, p10_p90, spread
from parity.timing.draw import USUAL_SAMPLES, Sampler
from parity.timing.software import Software
from parity.units import render
from parity.workload.operator import Architecture
from parity.workload.training import TrainingJob

SECONDS_A_DAY = 86400.0
#: Below this share of its time a run does not get anywhere that anybody would wait for.
LEAST_GOODPUT = 0.01


@dataclass(frozen=True)
class Course:
    """How a run goes to its last token; ranges are P10 and P90."""

    goodput: Goodput
    goodput_range: tuple[float, float]
    days: float
    spread: Spread  # of the days

    @property
    def days_range(self) -> tuple[float, float]:
        """P10 and P90 of the days."""
        return self.spread.low, self.spread.high

    @property
    def failures(self) -> float:
        """Failures to expect in the run."""
        return self.days * 24 / float(self.goodput.mtbf_hours)


@dataclass(frozen=True)
class Run(Course):
    """A plan carried through."""

    plan: TrainingPlan
    step_range: tuple[float, float]  # seconds of a step


def run_of(
    arch: Architecture,
    plan: TrainingPlan,
    software: Software,
    stated: Stated,
    sampler: Sampler = USUAL_SAMPLES,
) -> Run:
    """The run that `plan` makes, with its range over chips, software and what interrupts it.

    Raises `Infeasible` with P107 where failures leave it no time to train.
    """
    found = plan_goodput(arch, plan, stated)
    share = float(found.fraction)
    if share < LEAST_GOODPUT:
        raise no_progress(f"{plan.chips:,} {plan.machine.chip.id}", found)
    steps = plan.job.steps / SECONDS_A_DAY
    return Run(
        plan=plan,
        goodput=found,
        goodput_range=p10_p90(plan_goodput(arch, plan, stated, sampler).fraction),
        days=steps * plan.time_s / share,
        spread=spread(
            lambda draw: steps * interrupted_times(arch, plan, software, stated, draw), sampler
        ),
        step_range=p10_p90(sampled_times(arch, plan, software, sampler)),
    )


def plan_goodput(
    arch: Architecture, plan: TrainingPlan, stated: Stated, draw: Draw = central
) -> Goodput:
    """What of a run's time trains, at the layout of `plan`."""
    busy = float(plan.step.busy_fraction[0])
    figures = reliability(plan.machine.chip.family, stated, draw)
    return goodput(int(plan.layout.chips[0]), checkpoint_bytes(arch), busy, figures)


def interrupted_times(
    arch: Architecture, plan: TrainingPlan, software: Software, stated: Stated, draw: Draw
) -> Number:
    """Step times of a plan with their share of what interrupts a run, shape (samples,). [s]"""
    drawn = plan_goodput(arch, plan, stated, draw).fraction
    return sampled_times(arch, plan, software, draw) / np.ravel(drawn)


def no_progress(chips: str, found: Goodput) -> Infeasible:
    """P107: `chips`, as in `1,024 h100-sxm`, fail too often to train."""
    every = render(float(found.mtbf_hours) * 3600, "s")
    finding = note(
        "P107",
        f"{chips} fail every {every} and take {render(float(found.restart_s), 's')} "
        f"to restart: less than {100 * LEAST_GOODPUT:g} % of the time trains.",
        "error",
        "fewer chips, or a shorter --restart",
    )
    return Infeasible(f"{chips} cannot train through their failures.", (finding,))


def fewest_chips_within(
    arch: Architecture,
    job: TrainingJob,
    target: Machine,
    software: Software,
    time_s: float,
    stated: Stated,
    space: Space = USUAL,
) -> TrainingPlan | Wall:
    """The smallest count that makes a step in `time_s` on average over a run, with all that
    interrupts it; or the wall.
    """
    stretch = stretch_of(arch, reliability(target.chip.family, stated))
    found = fewest_chips(arch, job, target, software, time_s, stretch, space)
    if isinstance(found, Wall) and found.fastest:
        alone = fewest_chips(arch, job, target, software, time_s, space=space)
        larger = alone if isinstance(alone, TrainingPlan) else alone.fastest
        if larger and larger.chips > found.fastest.chips:
            rest = found.reason.split(": ", 1)[-1]
            return replace(found, reason=f"more chips fail too often: {rest}", kind="failures")
    return found


def run_findings(chip: Chip, stated: Stated) -> tuple[Finding, ...]:
    """P204 where nobody published how often chips of this family fail."""
    if counted(chip.family) or stated.mtbf_hours is not None:
        return ()
    words = (
        f"Nobody published how often {chip.family} chips fail: those of other families stand in."
    )
    return (note("P204", words, "note", "--mtbf with a figure of your own"),)
