"""The best plan of a training run on a fleet of several kinds of chip.

Two ways are searched together, beside each kind alone: whole replicas on every kind
(`mixed_replicas`), over every set of kinds, and pipelines over two kinds (`mixed_stages`), over
every pair in both orders.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import combinations, permutations
from typing import TypeAlias

import numpy as np

from parity.catalogue.machine import Machine, machine
from parity.catalogue.schema import Chip
from parity.catalogue.spec import Batch
from parity.errors import Infeasible, UsageError
from parity.evaluate.energy import chip_power
from parity.layout.layout import Layout
from parity.record import Finding
from parity.search.candidates import comparable
from parity.search.findings import choose_dtype, computes_in, note
from parity.search.mixed_replicas import Replicas, replicas_of, shares
from parity.search.mixed_stages import best_split
from parity.search.mixed_step import MixedStep, Part, Way, mixed_step, step_samples, what_binds
from parity.search.run import SECONDS_A_DAY
from parity.search.train import Bound, TrainingPlan, best_plans
from parity.search.uncertainty import p10_p90
from parity.timing.draw import Sampler
from parity.timing.software import Software
from parity.units import significant
from parity.workload.flop import flop_per_token
from parity.workload.operator import Architecture
from parity.workload.training import TrainingJob

#: More kinds than this in one job are refused: sets and orders of them grow too fast to mean much.
MOST_KINDS = 4

#: Kinds of chip, and how many there are of each.
Fleet: TypeAlias = tuple[tuple[Machine, int], ...]


@dataclass(frozen=True)
class Idle:
    """A kind that the best plan leaves out."""

    machine: Machine
    chips: int
    joined: Way | None  # the best way in which it takes part with others


@dataclass(frozen=True)
class MixedPlan:
    """The fastest way, with the others, each kind alone, and what is left idle."""

    job: TrainingJob
    fleet: Fleet
    way: Way
    step: MixedStep
    low_s: float
    high_s: float
    bound: Bound
    others: tuple[Way, ...]
    alone: tuple[TrainingPlan | Infeasible, ...]  # each kind of the fleet
    idle: tuple[Idle, ...]

    @property
    def time_s(self) -> float:
        """Seconds of a step."""
        return self.way.time_s

    @property
    def chips(self) -> int:
        """Chips of all kinds at work."""
        return sum(part.chips for part in self.way.parts)

    @property
    def tokens_per_s(self) -> float:
        """Tokens of all chips."""
        return self.job.global_batch_tokens / self.time_s

    @property
    def gain(self) -> float | None:
        """Speed of the run over that on the best kind alone; None where none can do it alone."""
        best = self.best_alone
        return best.run_s / self.way.run_s if best else None

    @property
    def best_alone(self) -> Way | None:
        """The fastest run on one kind; None where none can do it alone."""
        single = [way for way in (self.way, *self.others) if way.manner == "alone"]
        return single[0] if single else None

    def days(self, way: Way) -> float:
        """Days of the whole run one way."""
        return self.job.steps * way.run_s / SECONDS_A_DAY

    @property
    def of_sum(self) -> float | None:
        """Speed of a step over the sum of all kinds' alone; None where one cannot do it alone."""
        able = [plan for plan in self.alone if isinstance(plan, TrainingPlan)]
        if len(able) < len(self.alone):
            return None
        return 1 / self.time_s / sum(1 / plan.time_s for plan in able)

    @property
    def power_w(self) -> float | None:
        """Mean draw of the chips at work; None where a rating is not published."""
        drawn_w = [self.part_power_w(i) for i in range(len(self.way.parts))]
        return None if None in drawn_w else sum(w for w in drawn_w if w is not None)

    def part_power_w(self, i: int) -> float | None:
        """Mean draw of the chips of one part; None where no rating is published."""
        part = self.way.parts[i]
        if part.machine.tdp_w is None:
            return None
        return part.chips * float(np.mean(chip_power(part.machine.tdp_w, self.step.busy[i])))

    def mfu(self, arch: Architecture) -> float:
        """Model FLOPs of a step over what all chips at work could do."""
        work = flop_per_token(arch, self.job.seq_len, "training") * self.tokens_per_s
        peak = sum(
            part.chips * np.mean(part.machine.peak_flop_per_s[self.job.dtype])
            for part in self.way.parts
        )
        return float(work / peak)


def fleet_of(batches: tuple[Batch, ...], deadline: bool) -> tuple[Fleet, Machine | None]:
    """The machines of a fleet as asked for, each kind in its usual cluster; and the kind that has
    no count, which a deadline gives it.

    deadline: whether days were asked for. Raises `UsageError` for what a fleet cannot be asked,
    `MissingFact`.
    """
    if len(batches) > MOST_KINDS:
        raise UsageError(
            f"--on names {len(batches)} kinds of chip; at most {MOST_KINDS} train together."
        )
    open_ = [batch for batch in batches if batch.count is None]
    if len(open_) > deadline:
        asked = "; with --days one kind may go without" if deadline else ", or give --days"
        text = open_[-1].text
        raise UsageError(f"`{text}` has no count; say how many, as in `64x{text}`{asked}.")
    held = tuple((machine(batch.chip), batch.count) for batch in batches if batch.count)
    return held, machine(open_[0].chip) if open_ else None


def steps_alone(way: Way) -> float:  # noqa: ARG001
    """A run of nothing but steps: no failure, no checkpoint."""
    return 1.0


def best_mixed(
    arch: Architecture,
    job: TrainingJob,
    fleet: Fleet,
    software: Software,
    stretch: Callable[[Way], float] = steps_alone,
) -> MixedPlan:
    """The fastest way to train on `fleet`.

    stretch: how much longer than its steps a run takes, for each way: a larger fleet fails more.
    Raises `Infeasible` with the findings of every kind where nothing fits, `MissingFact`.
    """
    alone = tuple(_alone(arch, job, one, software, count) for one, count in fleet)
    ways = [
        Way("alone", (_part(plan.machine, plan.chips, plan.layout, arch, job),), plan.time_s)
        for plan in alone
        if isinstance(plan, TrainingPlan)
    ]
    ways += _replica_ways(arch, job, fleet, software)
    ways += _stage_ways(arch, job, fleet, software)
    if not ways:
        findings = tuple(f for plan in alone if isinstance(plan, Infeasible) for f in plan.findings)
        names = " and ".join(f"{count:,} {one.chip.id}" for one, count in fleet)
        raise Infeasible(f"{names} cannot train {arch.name}, apart or together.", findings)
    ways = [replace(way, stretch=stretch(way)) for way in ways]
    order = np.argsort(comparable(np.array([way.run_s for way in ways])), kind="stable")
    way, *others = (ways[i] for i in order)
    low, high = p10_p90(step_samples(arch, job, way, software, Sampler()))
    return MixedPlan(
        job=job,
        fleet=fleet,
        way=way,
        step=mixed_step(arch, job, way, software),
        low_s=min(low, way.time_s),
        high_s=max(high, way.time_s),
        bound=what_binds(arch, job, way, software),
        others=tuple(others),
        alone=alone,
        idle=tuple(_idle(fleet, way, others)),
    )


def _alone(
    arch: Architecture, job: TrainingJob, target: Machine, software: Software, chips: int
) -> TrainingPlan | Infeasible:
    try:
        return best_plans(arch, job, target, software, chips, 1)[0]
    except Infeasible as error:
        return error


def _part(
    target: Machine, chips: int, layout: Layout, arch: Architecture, job: TrainingJob,
    layers: int | None = None,
) -> Part:  # fmt: skip
    """A part that takes the whole batch."""
    own = arch.num_hidden_layers if layers is None else layers
    batch = job.global_batch_sequences
    return Part(target, chips, layout, own, batch, batch)


def _replica_ways(
    arch: Architecture, job: TrainingJob, fleet: Fleet, software: Software
) -> Iterator[Way]:
    """Replicas on every set of two kinds or more that helps."""
    batch = job.global_batch_sequences
    kinds = [replicas_of(arch, job, one, software, count) for one, count in fleet]
    able = [(kind, *fleet[i]) for i, kind in enumerate(kinds) if kind is not None]
    for size in range(2, len(able) + 1):
        for chosen in combinations(able, size):
            yield from _replicas(arch, job, chosen, software, batch)


def _replicas(
    arch: Architecture, job: TrainingJob, chosen: tuple[tuple[Replicas, Machine, int], ...],
    software: Software, batch: int,
) -> Iterator[Way]:  # fmt: skip
    found = shares([kind for kind, _, _ in chosen], batch)
    if found is None:
        return
    room = [share.sequences for share in found]
    taken = list(room)
    taken[int(np.argmax(room))] -= sum(room) - batch  # what is left free of the last microbatches
    parts = tuple(
        Part(target, count, share.layout, arch.num_hidden_layers, share.sequences, own)
        for (_, target, count), share, own in zip(chosen, found, taken, strict=True)
    )
    way = Way("replicas", parts, 0.0)
    yield Way("replicas", parts, float(mixed_step(arch, job, way, software).time_s[0]))


def _stage_ways(
    arch: Architecture, job: TrainingJob, fleet: Fleet, software: Software
) -> Iterator[Way]:
    """A pipeline over every pair of kinds, in both orders."""
    for front, last in permutations(fleet, 2):
        counts = (front[1], last[1])
        found = best_split(arch, job, (front[0], last[0]), counts, software)
        if found is not None:
            rest = arch.num_hidden_layers - found.front_layers
            parts = (
                _part(*front, found.front, arch, job, found.front_layers),
                _part(*last, found.last, arch, job, rest),
            )
            yield Way("stages", parts, found.time_s)


def _idle(fleet: Fleet, way: Way, others: list[Way]) -> Iterator[Idle]:
    """The kinds without a part in the best way."""
    for target, count in fleet:
        if all(part.machine is not target for part in way.parts):
            joined = (
                other
                for other in others
                if len(other.parts) > 1 and any(part.machine is target for part in other.parts)
            )
            yield Idle(target, count, next(joined, None))


def common_dtype(chips: tuple[Chip, ...], dtype: str) -> tuple[str, tuple[Finding, ...]]:
    """The dtype that all kinds compute in: one job has one.

    `auto` takes bf16 where all have it, else fp16. Raises `Infeasible` with P101 for a kind that
    does not take it, `MissingFact`.
    """
    if dtype == "auto" and not all(computes_in(chip, "bf16") for chip in chips):
        lacking = [chip for chip in chips if not computes_in(chip, "bf16")]
        if all(computes_in(chip, "fp16") for chip in chips):
            names = " and ".join(chip.id for chip in lacking)
            why = f"Computed in fp16 on all chips ({names} has no bf16; fp16 needs loss scaling)."
            return "fp16", (note("P304", why),)
        dtype = "bf16"
    found = [choose_dtype(chip, dtype) for chip in chips]
    return found[0]


def mixed_findings(plan: MixedPlan) -> tuple[Finding, ...]:
    """What to know of the plan: kinds left idle, and how the kinds reach each other."""
    found = []
    for idle in plan.idle:
        name = f"{idle.chips:,} {idle.machine.chip.id}"
        slower = (
            f"the run takes {significant(plan.days(idle.joined))} days with them and "
            f"{significant(plan.days(plan.way))} without"
            if idle.joined
            else "no layout gives them a part that fits"
        )
        found.append(note("P311", f"{name} stay idle: {slower}.", "warning"))
    return (*found, *joined_findings(tuple(part.machine.chip for part in plan.way.parts)))


def joined_findings(chips: tuple[Chip, ...], what: str = "messages") -> tuple[Finding, ...]:
    """How chips that work together reach each other; nothing of one kind. what: is exchanged."""
    names = " and ".join(dict.fromkeys(chip.id for chip in chips))
    if len({chip.id for chip in chips}) < 2:
        return ()
    joined = f"The networks of {names} are taken as joined, each port at its own speed."
    if len({chip.vendor for chip in chips}) == 1:
        return (note("P313", joined),)
    staged = f"Between {names} {what} pass through host memory."
    return note("P312", staged, "warning"), note("P313", joined)
