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
    front_bytes,
    held,
    pipeline_seconds,
    port_bandwidth,
)
from parity.layout.layout import Column, Layout
from parity.layout.legal import illegal
from parity.search.grid import axes, cross, divisors, keep
from parity.search.train import CHUNK, comparable
from parity.timing.software import Software
from parity.workload.operator import Architecture
from parity.workload.training import TrainingJob


@dataclass(frozen=True)
class Table:
    """Every layout of one kind with every number of layers of its fullest stage, flat.

    Entry `start[row] + f - 1` has `f` layers in each stage; of the last kind the entries alternate:
    all stages full, or the last ones a layer short.
    """

    layout: Layout
    start: Column
    row: Column  # of each entry
    layers: Column
    held: Held
    sequences: Column  # of all replicas at once, of each row


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
    inner = cols["tp"] * cols["cp"] * cols["dp"]
    cols = keep(cols, chips % inner == 0)
    cols["pp"] = chips // (cols["tp"] * cols["cp"] * cols["dp"])
    cols = keep(cols, cols["pp"] < arch.num_hidden_layers)
    cols = cross(cols, "microbatch", a["microbatch"])
    cols = keep(cols, cols["dp"] * cols["microbatch"] <= job.global_batch_sequences)
    cols = cross(cols, "ep", a["ep"])
    cols = cross(cols, "recompute", a["recompute"])
    ones = np.ones_like(cols["tp"])
    zero = np.where(cols["dp"] * cols["cp"] > 1, 1, 0)
    layout = Layout(**cols, interleave=ones, zero=zero, sequence_parallel=ones)
    return layout.take(illegal(arch, layout, job.seq_len, job.global_batch_sequences) == 0)


def table(
    arch: Architecture, job: TrainingJob, layout: Layout, target: Machine, software: Software,
    *, first: bool,
) -> Table:  # fmt: skip
    """The layouts with every number of layers that a stage may hold."""
    total = arch.num_hidden_layers
    entries = 1 if first else 2
    most = entries * -(-(total - 1) // layout.pp)
    start = np.cumsum(most) - most
    row = np.repeat(np.arange(len(layout)), most)
    at = np.arange(len(row)) - start[row]
    fullest, short = at // entries + 1, at % entries
    layers = np.minimum(fullest * layout.pp[row] - short, total - 1)
    figures = []
    for begin in range(0, len(row), CHUNK):
        some = slice(begin, begin + CHUNK)
        part = held(arch, job, layout.take(row[some]), layers[some], target, software, first=first)
        figures.append([np.broadcast_to(v, (len(row[some]),)) for v in vars(part).values()])
    whole = Held(*(np.concatenate(column) for column in zip(*figures, strict=True)))
    return Table(layout, start, row, layers, whole, layout.dp * layout.microbatch)


def best_split(
    arch: Architecture, job: TrainingJob, kinds: tuple[Machine, Machine], chips: tuple[int, int],
    software: Software,
) -> Split | None:  # fmt: skip
    """The fastest pipeline with `kinds[0]` in front and `kinds[1]` last; None if none fits."""
    spaces = [
        stage_layouts(arch, job, one, software, count)
        for one, count in zip(kinds, chips, strict=True)
    ]
    together = [space.dp * space.microbatch for space in spaces]
    spaces = [
        space.take(np.isin(own, other))
        for space, own, other in zip(spaces, together, reversed(together), strict=True)
    ]
    if not all(len(space) for space in spaces):
        return None
    front = table(arch, job, spaces[0], kinds[0], software, first=True)
    last = table(arch, job, spaces[1], kinds[1], software, first=False)
    vendors = frozenset(one.chip.vendor for one in kinds)
    ports = [port_bandwidth(one, vendors) for one in kinds]
    best: Split | None = None
    for sequences in np.unique(front.sequences):
        found = _best_of(arch, job, front, last, kinds, ports, software, int(sequences))
        if found and (best is None or comparable(found.time_s) < comparable(best.time_s)):
            best = found
    return best


def _best_of(
    arch: Architecture, job: TrainingJob, front: Table, last: Table,
    kinds: tuple[Machine, Machine], ports: list[Number], software: Software, sequences: int,
) -> Split | None:  # fmt: skip
    """The fastest pair of layouts that take `sequences` at once, over all splits of the layers."""
    ours = np.flatnonzero(front.sequences[front.row] == sequences)
    theirs = np.flatnonzero(last.sequences == sequences)
    ours = ours[np.asarray(front.held.one_bytes)[ours] <= kinds[0].memory_bytes]
    i, j = (x.ravel() for x in np.meshgrid(ours, theirs, indexing="ij"))
    if not len(i):
        return None
    a, b = front.layout.take(front.row[i]), last.layout.take(j)
    left = arch.num_hidden_layers - front.layers[i]
    entry = last.start[j] + 2 * (-(-left // b.pp) - 1) + (left % b.pp > 0)
    one, two = _at(front.held, i), _at(last.held, entry)
    stages = a.pp + b.pp
    m = np.ceil(job.global_batch_sequences / sequences)
    sides = [x.tp * x.cp * x.dp * port for x, port in zip((a, b), ports, strict=True)]
    width = np.minimum(*sides)
    handing = boundary_seconds(arch, sequences, job.seq_len, width, kinds[0], software)
    rest = two.all_s - (last.layers[entry] - left) * two.layer_s
    time = pipeline_seconds(
        m,
        np.maximum(one.slowest_s, two.slowest_s),
        one.all_s + rest,
        np.maximum(handing, np.maximum(one.hop_s, two.hop_s)),
        stages,
        np.maximum(one.end_s, two.end_s),
    )
    fits = front_bytes(one, m, stages) <= kinds[0].memory_bytes
    time = np.where(fits & (two.one_bytes <= kinds[1].memory_bytes), time, np.inf)
    k = int(np.argmin(comparable(time)))
    if not np.isfinite(time[k]):
        return None
    row = np.array([k])
    return Split(a.take(row), b.take(row), int(front.layers[i[k]]), float(time[k]))


def _at(figures: Held, index: Number) -> Held:
    return Held(*(value[index] for value in vars(figures).values()))
