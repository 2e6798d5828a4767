"""How many chips to add to those owned so that one training job on all of them is fast enough.

The added kind holds whole replicas beside those of the owned kinds, stages of pipelines that it
shares with one of them, or the whole job.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from parity.catalogue.machine import Draw, Machine, Number
from parity.catalogue.schema import Chip
from parity.errors import Infeasible
from parity.layout.layout import describe, to_dict
from parity.record import Finding
from parity.search.beside import Added, Duty, Owned, more_in_nodes
from parity.search.beside_step import Case, added, ways_beside
from parity.search.findings import note
from parity.search.mixed import best_mixed, joined_findings
from parity.search.mixed_step import MixedStep, Way, mixed_step, step_samples, what_binds
from parity.search.train import MOST_CHIPS, Wall
from parity.search.uncertainty import Spread, spread
from parity.search.walls import TrainingCase, training_wall
from parity.timing.draw import USUAL_SAMPLES, Sampler

#: Where the owned chips may turn out too slow, a reserve is sized for a step so much shorter.
SHORTER = 0.8


def owned_training(case: Case, sampler: Sampler = USUAL_SAMPLES) -> tuple[Owned, Way | None]:
    """What the owned chips do of the goal in one job of their own, with its range."""
    try:
        plan = best_mixed(
            case.arch, case.job, case.held, case.software, lambda way: case.stretched(way).stretch
        )
    except Infeasible as error:
        reason = error.findings[0].message if error.findings else str(error)
        return Owned(0.0, None, (), "", reason), None
    way = plan.way
    reach = case.goal.step_s / way.run_s

    def of_goal(draw: Draw) -> Number:
        times = step_samples(case.arch, case.job, way, case.software, draw)
        return case.goal.step_s * case.goal.over(draw) * case.fraction(way, draw) / times

    found = spread(of_goal, sampler).holding(reach)
    return Owned(reach, found, duties(case, way), plan.bound.word), way


def added_training(
    case: Case, more: Machine, owned: Owned, alone: Way | None, owned_more: int = 0,
    sampler: Sampler = USUAL_SAMPLES,
) -> Added:  # fmt: skip
    """How many chips of `more`, whole nodes, reach the goal beside the kinds of `case`.

    owned, alone: what all owned chips do. owned_more: those of `more` among them, which are then
    not in `case`. Raises `Infeasible`, `MissingFact` where the kind cannot train the model.
    """
    if alone is not None and case.in_time(alone):
        reserve = _reserve(case, more, owned, alone, owned_more, sampler)
        return Added(
            more.chip, 0, "owned", owned.reach, owned.bound_by, owned.duties, spread=reserve
        )
    ways, walls = ways_beside(case, more)
    if not ways:
        return _wall(case, more, walls)
    way = min(ways, key=lambda way: (added(way, more), way.run_s))
    count = int(more_in_nodes(added(way, more), owned_more, more.node))
    idle = _idle(case, way)
    return Added(
        chip=more.chip,
        count=count,
        manner="replicas" if owned_more and way.manner == "alone" else way.manner,
        reach=case.goal.step_s / way.run_s,
        bound_by=what_binds(case.arch, case.job, way, case.software).word,
        duties=duties(case, way),
        idle=idle,
        spread=_spread(case, way, more, way.run_s, owned_more, sampler).holding(float(count)),
        findings=(*_idle_findings(idle, more), *joined_findings(_chips(way))),
    )


def _reserve(
    case: Case, more: Machine, owned: Owned, alone: Way, owned_more: int, sampler: Sampler
) -> Spread | None:
    """The range of a count that is none at stated figures; None where no number would do."""
    if owned.spread is None or owned.spread.low >= 1:
        return Spread(0.0, 0.0, 0.0)
    harder = replace(case.goal, step_s=SHORTER * min(case.goal.step_s, alone.run_s))
    ways, _ = ways_beside(replace(case, goal=harder), more)
    if not ways:
        return None
    way = min(ways, key=lambda way: (added(way, more), way.run_s))
    return _spread(case, way, more, case.goal.step_s, owned_more, sampler).holding(0.0)


def _spread(
    case: Case, way: Way, more: Machine, run_s: float, owned_more: int, sampler: Sampler
) -> Spread:
    """The range of the chips to add with which a step takes `run_s`, what interrupts it included.

    As in `balanced`, parts take shares by their speeds: what the owned kinds do not do in the time
    that exchanges and failures leave, the added kind does, by as many chips as that takes.
    """
    i = next(i for i, part in enumerate(way.parts) if part.machine is more)
    chips = way.parts[i].chips

    def over(step: MixedStep, time_s: Number) -> Number:
        """Chips over those of the way for a step of `time_s`, shape (samples,). [1]"""
        work = [p.layers if way.manner == "stages" else p.sequences for p in way.parts]
        speeds = [w / np.ravel(own) for w, own in zip(work, step.own_s, strict=True)]
        slowest = np.maximum.reduce(np.broadcast_arrays(*step.own_s))
        left_s = np.maximum(time_s - np.ravel(step.time_s - slowest), 1e-9 * way.time_s)
        rest = sum(work) / left_s - sum(s for j, s in enumerate(speeds) if j != i)
        return np.maximum(rest, 0.0) / speeds[i]

    stated = over(mixed_step(case.arch, case.job, way, case.software), way.time_s)

    def total(draw: Draw) -> Number:
        step = mixed_step(case.arch, case.job, way, case.software, draw)
        time_s = run_s * case.goal.over(draw) * case.fraction(way, draw)
        return np.minimum(chips * over(step, time_s) / stated, MOST_CHIPS)

    return spread(total, sampler).through(
        lambda total: float(more_in_nodes(total, owned_more, more.node))
    )


def _wall(case: Case, more: Machine, walls: list[Wall]) -> Added:
    """No number does: what stands in the way of the kind alone, the set of no owned ones."""
    alone, goal = walls[-1], case.goal
    asked = TrainingCase(case.arch, case.job, more, case.software, goal.step_s, goal.stated)
    wall = training_wall(asked, alone)
    reach = goal.step_s / alone.fastest.time_s if alone.fastest else None
    message = f"No number of {more.chip.id} is in time beside them. {wall.words}"
    found = note("P104", message, "error", "a larger --gbs, or more time")
    return Added(
        more.chip, None, "", reach, "P104", reason=wall.words, findings=(found,), wall=wall
    )


def duties(case: Case, way: Way) -> tuple[Duty, ...]:
    """What each kind takes of the batch, or of the layers, and how long that keeps it busy."""
    step = mixed_step(case.arch, case.job, way, case.software)
    staged = way.manner == "stages"
    work = [part.layers if staged else part.sequences for part in way.parts]
    return tuple(
        Duty(
            part.machine.chip,
            part.chips,
            "stages" if staged else "replicas",
            own / sum(work),
            describe(part.layout),
            to_dict(part.layout),
            {
                "layers": float(part.layers),
                "sequences": float(part.sequences),
                "own_time_s": float(np.ravel(own_s)[0]),
            },
        )
        for part, own, own_s in zip(way.parts, work, step.own_s, strict=True)
    )


def _chips(way: Way) -> tuple[Chip, ...]:
    return tuple(part.machine.chip for part in way.parts)


def _idle(case: Case, way: Way) -> tuple[tuple[Chip, int], ...]:
    """Owned chips that the way leaves out, by kind."""
    left = []
    for one, owned in case.held:
        used = sum(part.chips for part in way.parts if part.machine is one)
        left.append((one.chip, owned - used))
    return tuple((chip, count) for chip, count in left if count > 0)


def _idle_findings(idle: tuple[tuple[Chip, int], ...], more: Machine) -> tuple[Finding, ...]:
    words = "with them in the job no fewer {} are needed"
    return tuple(
        note("P311", f"{count:,} {chip.id} stay idle: {words.format(more.chip.id)}.", "warning")
        for chip, count in idle
    )
