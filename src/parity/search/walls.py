"""What stands between a chip and a target that no number of it reaches: in figures, with what would
move it, found by planning again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Literal, TypeVar

import numpy as np
from msgspec import structs

from parity.catalogue.machine import Machine
from parity.errors import Infeasible
from parity.evaluate.goodput import Stated
from parity.evaluate.training import Breakdown
from parity.search.run import fewest_chips_within
from parity.search.train import (
    MOST_CHIPS,
    WORDS,
    TrainingPlan,
    Wall,
    fewest_chips,
    roofline_chips,
    what_binds,
)
from parity.search.why_figures import figures, stated
from parity.timing.software import Software
from parity.units import render, significant
from parity.workload.operator import Architecture
from parity.workload.training import TrainingJob

Kind = Literal["critical batch", "latency floor", "memory", "KV heads", "link", "failures", "peak"]

#: Batches and figures that are tried, as multiples.
MULTIPLES = (1.25, 1.5, 2.0, 4.0, 8.0, 16.0)
#: Parts of a step that are exchanges between chips.
EXCHANGES = ("tp_s", "cp_s", "ep_s", "pp_s", "dp_s")
#: Exchanges that take more of a step than this are what stands in the way.
LINK_SHARE = 0.5
#: A part is named if it is so much of the whole; so many at most.
LEAST_PART, MOST_PARTS = 0.03, 5
#: Tokens of a batch are written in these.
MEGA = 2**20

T = TypeVar("T")


@dataclass(frozen=True)
class Obstacle:
    """What stands in the way: `value` of it where `needed` would do, in `unit`.

    needed: None where nothing that was tried would do. words: one sentence. parts: of the time or
    the memory, in s or byte, the largest first. works: changes that each reach the target alone.
    """

    kind: Kind
    value: float
    needed: float | None
    unit: str
    words: str
    parts: tuple[tuple[str, float], ...] = ()
    works: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrainingCase:
    """A step that no number of `target` makes in `time_s`.

    interrupted: when given, a step and what interrupts it must take no longer together.
    """

    arch: Architecture
    job: TrainingJob
    target: Machine
    software: Software
    time_s: float
    interrupted: Stated | None = None

    def planned(
        self, job: TrainingJob | None = None, target: Machine | None = None, time_s: float = 0.0
    ) -> TrainingPlan | None:
        """The fewest chips for the same with some of it changed, if any number does."""
        asked = (self.arch, job or self.job, target or self.target, self.software)
        time_s = time_s or self.time_s
        try:
            if self.interrupted is None:
                found = fewest_chips(*asked, time_s)
            else:
                found = fewest_chips_within(*asked, time_s, self.interrupted)
        except Infeasible:
            return None
        return found if isinstance(found, TrainingPlan) else None


def training_wall(case: TrainingCase, wall: Wall) -> Obstacle:
    """The wall before a training target, by what it is made of."""
    match wall.kind:
        case "memory":
            return memory_wall(case, wall)
        case "failures":
            return failure_wall(case, wall)
        case "peak":
            return peak_wall(case)
    if wall.fastest and exchanged_share(wall.fastest) > LINK_SHARE:
        return link_wall(case, wall)
    return batch_wall(case, wall) if wall.kind == "batch" else floor_wall(case, wall)


def batch_wall(case: TrainingCase, wall: Wall) -> Obstacle:
    """The global batch has no sequence left for more replicas.

    As many tokens a second with more of them in a batch: whether the loss bears that is another
    question [McCandlish et al. 2018, arXiv 1812.06162, section 2].
    """
    sequences = case.job.global_batch_sequences
    words = f"The global batch of {sequences:,} sequences is used up"
    if wall.fastest:
        words += f": {_reach(case, wall)}"
    elif wall.kind == "batch":
        ideal = roofline_chips(case.arch, case.job, case.target, case.time_s)
        words = (
            f"A global batch of {sequences:,} sequences does not divide over {ideal:,.0f} chips, "
            "the fewest that could at the peak"
        )
    needed, works = _larger_batch(case, wall)
    return Obstacle("critical batch", sequences, needed, "1", f"{words}.", _parts(wall), works)


def floor_wall(case: TrainingCase, wall: Wall) -> Obstacle:
    """What of a step does not shrink with more chips."""
    assert wall.fastest is not None
    parts, whole = _parts(wall), wall.fastest.time_s
    words = f"B{_reach(case, wall)[1:]}: {listed(parts, whole)}"
    _, works = _larger_batch(case, wall)
    return Obstacle("latency floor", whole, case.time_s, "s", f"{words}.", parts, works)


def link_wall(case: TrainingCase, wall: Wall) -> Obstacle:
    """Exchanges are most of the step; the bandwidth of the link that binds more."""
    assert wall.fastest is not None
    bound = what_binds(case.arch, case.job, case.target, case.software, wall.fastest.layout).gains
    inside = bound["scale-up link"] > bound["network"]
    key = "scale_up.bandwidth" if inside else "scale_out.bandwidth"
    now = {one.key: one.value for one in figures(case.target, [case.job.dtype])}.get(key)
    parts, whole = _parts(wall), wall.fastest.time_s
    share = exchanged_share(wall.fastest)
    words = (
        f"B{_reach(case, wall)[1:]}, {100 * share:.0f} % of it exchanges between chips: "
        f"{listed(parts, whole)}."
    )
    _, works = _larger_batch(case, wall)
    if now is None:
        return Obstacle("link", whole, case.time_s, "s", words, parts, works)
    found = first_that(
        MULTIPLES, lambda times: case.planned(target=stated(case.target, key, now * times))
    )
    if not found:
        return Obstacle("link", now, None, "byte/s", words, parts, works)
    needed = found[0] * now
    works = (f"{key} {render(needed, 'byte/s')} ({found[1].chips:,} chips)", *works)
    return Obstacle("link", now, needed, "byte/s", words, parts, works)


def exchanged_share(plan: TrainingPlan) -> float:
    """Share of a step that chips wait for one another's data. [1]"""
    parts = plan.step.breakdown
    return sum(float(np.mean(getattr(parts, name))) for name in EXCHANGES) / plan.time_s


def memory_wall(case: TrainingCase, wall: Wall) -> Obstacle:
    """No layout fits, on any number of chips."""
    have = float(np.mean(case.target.memory_bytes))
    lacking = wall.leanest_bytes - have
    words = (
        f"The leanest layout takes {render(wall.leanest_bytes, 'byte')} of a chip; "
        f"{render(have, 'byte')} are there, {render(lacking, 'byte')} too little"
    )
    needed = round_up(wall.leanest_bytes)
    found = case.planned(target=stated(case.target, "memory.capacity", needed))
    works = (f"memory.capacity {render(needed, 'byte')} ({found.chips:,} chips)",) if found else ()
    return Obstacle("memory", have, wall.leanest_bytes, "byte", f"{words}.", works=works)


def failure_wall(case: TrainingCase, wall: Wall) -> Obstacle:
    """More chips fail more often than they save time."""
    assert wall.fastest is not None
    steps = case.job.steps / 86400.0
    asked = steps * case.time_s
    words = (
        f"More chips fail too often: {wall.fastest.chips:,} are the fastest, whose steps alone "
        f"take {significant(steps * wall.fastest.time_s)} of {significant(asked)} days"
    )
    found = first_that(MULTIPLES, lambda times: case.planned(time_s=case.time_s * times))
    needed = case.time_s * found[0] if found else None
    works = (f"{significant(asked * found[0])} days ({found[1].chips:,} chips)",) if found else ()
    return Obstacle("failures", case.time_s, needed, "s", f"{words}.", _parts(wall), works)


def peak_wall(case: TrainingCase) -> Obstacle:
    """More chips than any job has, even at their peak."""
    ideal = roofline_chips(case.arch, case.job, case.target, case.time_s)
    words = f"Even at the peak it takes {ideal:,.0f} chips; no job has more than {MOST_CHIPS:,}."
    return Obstacle("peak", MOST_CHIPS, ideal, "1", words)


def _larger_batch(case: TrainingCase, wall: Wall) -> tuple[int | None, tuple[str, ...]]:
    """(sequences of a batch that would do at as many tokens/s, in words with the chips)

    A replica takes as long for its last sequence in any batch, so that the batch, and with it the
    time for it, must be as many times as large as the fastest step is too long. Just beyond a wall
    the count is still high: the next larger batch is told too where it takes half as many chips.
    """
    job, sequences = case.job, case.job.global_batch_sequences
    least = wall.fastest.time_s / case.time_s if wall.fastest else 1.0
    plans: list[TrainingPlan] = []
    for times in (times for times in MULTIPLES if times >= least):
        more = math.ceil(sequences * times)
        larger = structs.replace(job, global_batch_tokens=more * job.seq_len)
        found = case.planned(job=larger, time_s=case.time_s * more / sequences)
        if found is None:
            continue
        if not plans:
            plans.append(found)
            continue
        if 2 * found.chips <= plans[0].chips:
            plans.append(found)
        break
    needed = plans[0].job.global_batch_sequences if plans else None
    return needed, tuple(
        f"--gbs {_tokens(plan.job.global_batch_tokens)} ({plan.chips:,} chips)" for plan in plans
    )


def _tokens(count: int) -> str:
    """Tokens as `--gbs` reads them: `32M`, or the whole number."""
    return f"{count / MEGA:g}M" if count % (MEGA // 4) == 0 else str(count)


def first_that(
    tried: Sequence[float], works: Callable[[float], T | None]
) -> tuple[float, T] | None:
    """(the first of `tried` that works, what it gives); where one works, those after it do."""
    low, high, found = 0, len(tried), None
    while low < high:
        middle = (low + high) // 2
        if (given := works(tried[middle])) is not None:
            high, found = middle, (tried[middle], given)
        else:
            low = middle + 1
    return found


def round_up(value: float, digits: int = 2) -> float:
    """`value` up to so many significant digits."""
    unit = 10.0 ** (math.floor(math.log10(value)) - digits + 1)
    return float(f"{math.ceil(value / unit - 1e-9) * unit:.6g}")


def listed(parts: Sequence[tuple[str, float]], whole: float) -> str:
    """The largest parts in words: `matrix products 2.1 s, the pipeline bubble 1.2 s`."""
    some = [(name, size) for name, size in parts if size >= LEAST_PART * whole][:MOST_PARTS]
    return ", ".join(f"{name} {render(size, 's')}" for name, size in some)


def _reach(case: TrainingCase, wall: Wall) -> str:
    """How far chips go."""
    assert wall.fastest is not None
    best, chips = wall.fastest.time_s, wall.enough or wall.fastest.chips
    return (
        f"beyond {chips:,} chips a step stays at {render(best, 's')}, "
        f"{best / case.time_s:.2f} times the {render(case.time_s, 's')} asked for"
    )


def _parts(wall: Wall) -> tuple[tuple[str, float], ...]:
    """The parts of the fastest step in words, the largest first. [s]"""
    if wall.fastest is None:
        return ()
    parts = wall.fastest.step.breakdown
    found = [(WORDS[f.name], float(np.mean(getattr(parts, f.name)))) for f in fields(Breakdown)]
    return tuple(sorted((one for one in found if one[1] > 0), key=lambda one: -one[1]))
