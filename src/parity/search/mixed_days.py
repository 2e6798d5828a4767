"""How many of one kind of chip finish a run in time, beside the chips that are there already."""

from __future__ import annotations

from dataclasses import dataclass

from parity.catalogue.machine import Machine
from parity.errors import Infeasible
from parity.evaluate.goodput import Stated
from parity.record import Finding
from parity.search.beside_step import Case, Goal, added, ways_beside
from parity.search.findings import note
from parity.search.mixed import Fleet, MixedPlan, best_mixed
from parity.search.mixed_run import stretch_of
from parity.search.run import SECONDS_A_DAY
from parity.search.train import ROUNDING
from parity.timing.software import Software
from parity.units import significant
from parity.workload.operator import Architecture
from parity.workload.training import TrainingJob


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
        case = Case(arch, job, held, software, Goal(step_s, stated))
        for fleet in _fleets(case, more):
            plan = planned(fleet)
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


def _fleets(case: Case, more: Machine) -> list[Fleet]:
    """All that is held with the fewest of `more`, then the chips that these need; where none are in
    time, with as many as are the fastest by themselves.
    """
    ways, walls = ways_beside(case, more)
    if not ways:
        counts = {wall.fastest.chips for wall in walls if wall.fastest}
        return [(*case.held, (more, count)) for count in sorted(counts)]
    way = min(ways, key=lambda way: (added(way, more), way.run_s))
    needed = tuple((part.machine, part.chips) for part in way.parts)
    return [(*case.held, (more, added(way, more))), needed]
