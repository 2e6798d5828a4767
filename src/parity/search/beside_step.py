"""Ways to reach a step in time with chips beside those that are owned, and how many each takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain, combinations

import numpy as np

from parity.catalogue.machine import Draw, Machine, Number
from parity.evaluate.goodput import Stated
from parity.search.grid import powers_of_two
from parity.search.mixed import Fleet, steps_alone
from parity.search.mixed_replicas import (
    Replicas,
    Share,
    most_within,
    replicas_of,
    with_sequences,
)
from parity.search.mixed_run import stretch_of, way_goodput
from parity.search.mixed_stages import best_split
from parity.search.mixed_step import Part, Way, mixed_step
from parity.search.train import ROUNDING, TrainingPlan, Wall, fewest_chips, in_nodes
from parity.search.uncertainty import Answering
from parity.timing.software import Software
from parity.workload.operator import Architecture
from parity.workload.training import TrainingJob

#: Times that what the kinds exchange is taken off the step before a count is given up.
ROUNDS = 6
#: Counts below that of replicas at which stages are tried, while they are in time.
FEWER = (0.9375, 0.875, 0.75, 0.5)


@dataclass(frozen=True)
class Goal:
    """The time of a step that is to be reached.

    stated: when given, with all that interrupts a run. relative: over `step_s`, for samples, where
    chips set the goal.
    """

    step_s: float
    stated: Stated | None = None
    relative: Answering | None = None

    def over(self, draw: Draw) -> Number:
        """Of each sample, over the stated goal. [1]"""
        return 1.0 if self.relative is None else self.relative(draw)


@dataclass(frozen=True)
class Case:
    """A training job, and the owned kinds that it may use."""

    arch: Architecture
    job: TrainingJob
    held: Fleet
    software: Software
    goal: Goal

    def stretched(self, way: Way) -> Way:
        """The way with how much longer than its steps a run takes."""
        if self.goal.stated is None:
            return replace(way, stretch=steps_alone(way))
        stretch = stretch_of(self.arch, self.job, self.software, self.goal.stated)
        return replace(way, stretch=stretch(way))

    def in_time(self, way: Way) -> bool:
        """Whether the run takes no longer than the goal."""
        return way.run_s <= self.goal.step_s * (1 + ROUNDING)

    def fraction(self, way: Way, draw: Draw) -> Number:
        """Share of the time that trains, of each sample. [1]"""
        if self.goal.stated is None:
            return 1.0
        found = way_goodput(self.arch, self.job, way, self.software, self.goal.stated, draw)
        return np.ravel(found.fraction)


def ways_beside(case: Case, more: Machine) -> tuple[list[Way], list[Wall]]:
    """(ways in time with the fewest chips of `more` beside every set of owned kinds, what stands in
    the way where there is none)
    """
    able = [(one, _replicas(case, one, count)) for one, count in case.held]
    sets = chain.from_iterable(combinations(able, n) for n in range(len(able), -1, -1))
    found = [_beside(case, chosen, more) for chosen in sets]
    ways = [way for way in found if isinstance(way, Way)]
    if ways:
        fewest = min(added(way, more) for way in ways)
        ways += _stages(case, more, fewest)
    return ways, [wall for wall in found if isinstance(wall, Wall)]


def added(way: Way, more: Machine) -> int:
    """Chips of `more`, in whole nodes."""
    return sum(part.chips for part in way.parts if part.machine is more)


def _replicas(case: Case, target: Machine, owned: int) -> list[tuple[int, Replicas]]:
    """Layouts of an owned kind, of all its chips and of numbers that divide by more."""
    steps = [target.node * n for n in powers_of_two(max(owned // target.node, 1))]
    counts = sorted({owned, *(owned // step * step for step in steps)} - {0})
    found = [
        (count, replicas_of(case.arch, case.job, target, case.software, count)) for count in counts
    ]
    return [(count, kind) for count, kind in found if kind is not None]


def _beside(
    case: Case, chosen: tuple[tuple[Machine, list[tuple[int, Replicas]]], ...], more: Machine
) -> Way | Wall:
    """Replicas of `more` that take what those of the `chosen` kinds leave of the batch in time.

    What the kinds exchange and how often so many chips fail depends on the count: both are taken
    off the step as they were for the count before.
    """
    batch, goal_s = case.job.global_batch_sequences, case.goal.step_s
    step_s, wall = goal_s, Wall(None, "what the kinds exchange takes longer than the step")
    for _ in range(ROUNDS):
        parts = [
            part for part in (_most(one, kinds, case, step_s) for one, kinds in chosen) if part
        ]
        left = max(batch - sum(part.sequences for part in parts), 1)
        found = _fewest(case, more, left, step_s)
        if isinstance(found, Wall):
            return found
        parts.append(_part(found, case, more, left))
        way = Way("replicas" if len(parts) > 1 else "alone", _shared(parts, batch), 0.0)
        step = mixed_step(case.arch, case.job, way, case.software)
        time_s = float(np.ravel(step.time_s)[0])
        way = case.stretched(replace(way, time_s=time_s))
        if case.in_time(way):
            return way
        slowest = max(float(np.ravel(own)[0]) for own in step.own_s)
        step_s = min(goal_s / way.stretch - (time_s - slowest), step_s * (1 - ROUNDING))
        if step_s <= 0:
            return wall
    return wall


def _most(
    target: Machine, kinds: list[tuple[int, Replicas]], case: Case, step_s: float
) -> Part | None:
    """The most sequences that an owned kind takes within a step; None where it takes none."""
    best: tuple[int, Share] | None = None
    for count, kind in kinds:
        share = most_within(kind, step_s)
        if share and (best is None or share.sequences > best[1].sequences):
            best = count, share
    if best is None:
        return None
    count, share = best
    layers = case.arch.num_hidden_layers
    return Part(target, count, share.layout, layers, share.sequences, share.sequences)


def _fewest(case: Case, more: Machine, sequences: int, step_s: float) -> TrainingPlan | Wall:
    """The fewest chips that take so many sequences: as they are, or a few more that divide well."""
    smooth = max(1, 2 ** (max(sequences // 16, 1).bit_length() - 1))
    tried = {sequences, -(-sequences // smooth) * smooth}
    found = [
        fewest_chips(case.arch, with_sequences(case.job, n), more, case.software, step_s)
        for n in sorted(tried)
    ]
    plans = [plan for plan in found if isinstance(plan, TrainingPlan)]
    return min(plans, key=lambda plan: plan.chips) if plans else found[0]


def _part(found: TrainingPlan, case: Case, more: Machine, sequences: int) -> Part:
    """The replicas of a plan, with room for whole microbatches."""
    at_once = int(found.layout.dp[0] * found.layout.microbatch[0])
    room = -(-sequences // at_once) * at_once
    count, layers = int(in_nodes(found.chips, more.node)), case.arch.num_hidden_layers
    return Part(more, count, found.layout, layers, room, sequences)


def _shared(parts: list[Part], batch: int) -> tuple[Part, ...]:
    """The parts with what they take of the batch: the largest less than it has room for."""
    over = sum(part.sequences for part in parts) - batch
    i = max(range(len(parts)), key=lambda i: parts[i].sequences)
    parts[i] = replace(parts[i], sequences=parts[i].sequences - over)
    return tuple(parts)


def _stages(case: Case, more: Machine, fewest: int) -> Iterator[Way]:
    """Pipelines over `more` and one owned kind, in both orders, with fewer chips than replicas."""
    for one, owned in case.held:
        for order in (1, -1):
            for share in FEWER:
                count = int(in_nodes(np.ceil(share * fewest), more.node))
                way = _split(case, ((one, owned), (more, count))[::order])
                if way is None or not case.in_time(way):
                    break
                yield way


def _split(case: Case, kinds: Fleet) -> Way | None:
    """The fastest pipeline with the first of two kinds in front."""
    (front, a), (last, b) = kinds
    found = best_split(case.arch, case.job, (front, last), (a, b), case.software)
    if found is None:
        return None
    batch, rest = case.job.global_batch_sequences, case.arch.num_hidden_layers - found.front_layers
    parts = (
        Part(front, a, found.front, found.front_layers, batch, batch),
        Part(last, b, found.last, rest, batch, batch),
    )
    return case.stretched(Way("stages", parts, found.time_s))
