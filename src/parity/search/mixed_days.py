"""How many of one kind of chip finish a run in time, beside the chips that are there already."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from parity.catalogue.machine import Machine
from parity.errors import Infeasible
from parity.evaluate.goodput import Stated
from parity.record import Finding
from parity.search.findings import note
from parity.search.mixed import Fleet, MixedPlan, best_mixed
from parity.search.mixed_run import stretch_of
from parity.search.run import SECONDS_A_DAY
from parity.search.train import ROUNDING, TrainingPlan, fewest_chips, in_nodes
from parity.timing.software import Software
from parity.units import significant
from parity.workload.operator import Architecture
from parity.workload.training import TrainingJob

#: Counts that are tried, over what would do if no chip ever waited for another kind: steps of a
#: sixteenth, then wider. Finer ones would mostly not divide into layouts.
TRIED = (0.875, 0.9375, 1.0, 1.0625, 1.125, 1.1875, 1.25, 1.5, 2.0, 4.0)


@dataclass(frozen=True)
class Deadline:
    """The plan with the fewest more chips in time, or the fastest that was found."""

    plan: MixedPlan
    missed: tuple[Finding, ...]  # P104 where no count that was tried is in time


def fewest_beside(
    arch: Architecture,
    job: TrainingJob,
    held: Fleet,
    more: Machine | None,
    software: Software,
    step_s: float,
    stated: Stated,
) -> Deadline:
    """The fewest of the kind `more`, in whole nodes, with which `held` makes a step within
    `step_s`, what interrupts the run included.

    None of them where `held` alone is in time, or where there is no kind to add. Raises
    `Infeasible` where nothing fits, `MissingFact`.
    """
    stretch = stretch_of(arch, job, software, stated)

    def planned(fleet: Fleet) -> MixedPlan | None:
        try:
            return best_mixed(arch, job, fleet, software, stretch)
        except Infeasible:
            if more is None:
                raise
            return None

    own = planned(held)
    found = [own] if own else []
    if more is not None and not (own and _in_time(own, step_s)):
        for count in _counts(arch, job, own, more, software, step_s):
            plan = planned((*held, (more, count)))
            found += [plan] if plan else []
            if plan and _in_time(plan, step_s):
                return Deadline(plan, ())
    if not found:
        best_mixed(arch, job, held, software, stretch)  # raises what stands in the way
    best = min(found, key=lambda plan: plan.way.run_s)
    if _in_time(best, step_s):
        return Deadline(best, ())
    asked, took = (significant(job.steps * s / SECONDS_A_DAY) for s in (step_s, best.way.run_s))
    words = f"{asked} days are out of reach: the fastest plan found takes {took}."
    return Deadline(best, (note("P104", words, "error", "a larger --gbs, or more days"),))


def _in_time(plan: MixedPlan, step_s: float) -> bool:
    return plan.way.run_s <= step_s * (1 + ROUNDING)


def _counts(
    arch: Architecture, job: TrainingJob, own: MixedPlan | None, more: Machine, software: Software,
    step_s: float,
) -> list[int]:  # fmt: skip
    """Counts worth a try, ascending, around what takes the work that is left in the same time."""
    left = 1 - step_s / own.way.run_s if own else 1.0
    ideal = fewest_chips(arch, job, more, software, step_s / left)
    if not isinstance(ideal, TrainingPlan):
        return []
    tried = in_nodes(np.ceil(ideal.chips * np.array(TRIED)), more.node)
    return [int(count) for count in np.unique(tried)]
