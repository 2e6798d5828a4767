"""Pipelines whose front stages stand on one kind of chip and whose last stages on another.

Exhaustive over both orders, every pair of layouts that take equally many sequences at once, and
every number of layers of a stage in front. Its stages are then filled and the rest falls to the
other kind: with fewer layers in front its fullest stage takes as long.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from parity.catalogue.machine import Machine, Number
from parity.evaluate.mixed import (
    Held,
    boundary_seconds,
    bytes_held,
    held,
    pipeline_seconds,
    port_bandwidth,
)
from parity.evaluate.schedule import runs
from parity.layout.layout import SCHEDULES, Column, Layout, columns, concatenate
from parity.layout.legal import illegal
from parity.search.candidates import DIVISIONS, comparable
from parity.search.grid import axes, cross, divisors, keep
from parity.timing.software import Software
from parity.workload.operator import Architecture
from parity.workload.training import TrainingJob

#: Schedules of a pipeline over two kinds: DualPipe puts both ends of the model on one chip.
JOINED = ("1f1b", "zero-bubble")


@dataclass(frozen=True)
class Table:
    """Every layout of one kind with every number of layers of its fullest stage, flat.

    Of layout `row` the entries from `start[row]` on have 1, 1, 2, 2, 3, … layers in the fullest
    stage: all stages full, then the one at the end of the model a layer short.
    """

    layout: Layout
    start: Column
    row: Column  # of each entry
    layers: Column
    held: Held
    flow: Column  # of each row: sequences of all replicas at once and schedule, as one number


@dataclass(frozen=True)
class Split:
    """A pipeline over two kinds: layouts of the kind in front and of the last, its layers."""

    front: Layout
    last: Layout
    front_layers: int
    time_s: float


def stage_layouts(
    arch: Architecture, job: TrainingJob, target: Machine, software: Software, chips: int
) -> Layout:
    """Every division of exactly `chips` chips into stages that leaves the other kind a layer."""
    a = axes(arch, job, target, software)
    cols: dict[str, Column] = {}
    for name in ("tp", "cp"):
        cols = cross(cols, name, a[name])
    cols = cross(cols, "dp", divisors(chips, job.global_batch_sequences))
    cols = keep(cols, chips % (cols["tp"] * cols["cp"] * cols["dp"]) == 0)
    cols["pp"] = chips // (cols["tp"] * cols["cp"] * cols["dp"])
    cols = keep(cols, cols["pp"] < arch.num_hidden_layers)
    for name in ("microbatch", "ep", "recompute", "cp_method"):
        cols = cross(cols, name, a[name])
    cols["zero"] = np.where(cols["dp"] * cols["cp"] > 1, 1, 0)
    layout = columns(**keep(cols, (cols["cp_method"] == 0) | (cols["cp"] > 1)))
    legal = illegal(arch, layout, job.seq_len, job.global_batch_sequences) == 0
    space = layout.take(legal)
    kinds = [SCHEDULES.index(name) for name in software.schedules if name in JOINED]
    return concatenate([space.replace(schedule=np.full_like(space.tp, kind)) for kind in kinds])


def table(
    arch: Architecture, job: TrainingJob, layout: Layout, target: Machine, software: Software,
    *, first: bool,
) -> Table:  # fmt: skip
    """The layouts with every number of layers that a stage may hold."""
    total = arch.num_hidden_layers
    most = 2 * -(-(total - 1) // layout.pp)
    start = np.cumsum(most) - most
    row = np.repeat(np.arange(len(layout)), most)
    at = np.arange(len(row)) - start[row]
    layers = np.clip((at // 2 + 1) * layout.pp[row] - at % 2, 1, total - 1)
    figures = []
    for begin in range(0, len(row), DIVISIONS):
        some = slice(begin, begin + DIVISIONS)
        part = held(arch, job, layout.take(row[some]), layers[some], target, software, first=first)
        figures.append([np.broadcast_to(v, (len(row[some]),)) for v in vars(part).values()])
    whole = Held(*(np.concatenate(column) for column in zip(*figures, strict=True)))
    return Table(layout, start, row, layers, whole, _flow(layout))


def _flow(layout: Layout) -> Column:
    """What both kinds of a pipeline have in common: sequences at once, and the schedule."""
    return layout.dp * layout.microbatch * len(SCHEDULES) + layout.schedule


def best_split(
    arch: Architecture, job: TrainingJob, kinds: tuple[Machine, Machine], chips: tuple[int, int],
    software: Software,
) -> Split | None:  # fmt: skip
    """The fastest pipeline with `kinds[0]` in front and `kinds[1]` last; None if none fits."""
    ours, theirs = (
        stage_layouts(arch, job, one, software, count)
        for one, count in zip(kinds, chips, strict=True)
    )
    common = np.intersect1d(_flow(ours), _flow(theirs))
    if not len(common):
        return None
    ours, theirs = (space.take(np.isin(_flow(space), common)) for space in (ours, theirs))
    front = table(arch, job, ours, kinds[0], software, first=True)
    last = table(arch, job, theirs, kinds[1], software, first=False)
    vendors = frozenset(one.chip.vendor for one in kinds)
    ports = [port_bandwidth(one, vendors) for one in kinds]
    best: Split | None = None
    for flow in common:
        found = _best_of(arch, job, front, last, kinds, ports, software, int(flow))
        if found and (best is None or comparable(found.time_s) < comparable(best.time_s)):
            best = found
    return best


def _best_of(
    arch: Architecture, job: TrainingJob, front: Table, last: Table,
    kinds: tuple[Machine, Machine], ports: list[Number], software: Software, flow: int,
) -> Split | None:  # fmt: skip
    """The fastest pair of layouts of one flow, over all splits of the layers."""
    fits = (front.held.one_bytes <= kinds[0].memory_bytes) & (
        front.layers >= front.layout.pp[front.row]
    )
    ours = np.flatnonzero((front.flow[front.row] == flow) & fits)
    i, j = (x.ravel() for x in np.meshgrid(ours, np.flatnonzero(last.flow == flow), indexing="ij"))
    left = arch.num_hidden_layers - front.layers[i]
    enough = left >= last.layout.pp[j]
    i, j, left = i[enough], j[enough], left[enough]
    if not len(i):
        return None
    a, b = front.layout.take(front.row[i]), last.layout.take(j)
    one = _at(front.held, i)
    two = _at(last.held, last.start[j] + 2 * (-(-left // b.pp) - 1) + (left % b.pp > 0))
    sequences = flow // len(SCHEDULES)
    m, stages = -(-job.global_batch_sequences // sequences), a.pp + b.pp
    handing = handing_seconds(arch, job, (a, b), ports, kinds[0], software)
    time = pipeline_seconds(one, two, front.layers[i], left, m, handing, a.replace(pp=stages))
    room = [machine.memory_bytes for machine in kinds]
    held_s = [bytes_held(part, m, stages) for part in (one, two)]
    able = (held_s[0] <= room[0]) & (held_s[1] <= room[1])
    able &= runs(a, "1f1b") | (m >= stages)
    time = np.where(able, time, np.inf)
    k = int(np.argmin(comparable(time)))
    if not np.isfinite(time[k]):
        return None
    row = np.array([k])
    return Split(a.take(row), b.take(row), int(front.layers[i[k]]), float(time[k]))


def handing_seconds(
    arch: Architecture, job: TrainingJob, sides: tuple[Layout, Layout], ports: list[Number],
    ends: Machine, software: Software,
) -> Number:  # fmt: skip
    """`boundary_seconds` between a stage of either side, over the narrower of their ports. [s]"""
    width = np.minimum(
        *(side.tp * side.cp * side.dp * port for side, port in zip(sides, ports, strict=True))
    )
    at_once = sides[0].dp * sides[0].microbatch
    return boundary_seconds(arch, at_once, job.seq_len, width, ends, software)


def _at(figures: Held, index: Number) -> Held:
    return Held(*(value[index] for value in vars(figures).values()))
