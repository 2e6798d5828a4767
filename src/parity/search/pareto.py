"""Layouts that nothing beats: no other is as fast, as small and on as few chips."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parity.catalogue.machine import Machine, Number
from parity.layout.layout import Layout
from parity.search.candidates import evaluate
from parity.search.grid import USUAL, Space, layouts
from parity.timing.software import Software
from parity.workload.operator import Architecture
from parity.workload.training import TrainingJob

#: Layouts closer than this in every figure are one.
TOLERANCE = 0.02
#: More are not shown: the slowest are left out.
MOST_SHOWN = 40


@dataclass(frozen=True)
class Trade:
    """A layout that nothing beats: its step, the memory it takes of a chip, its chips."""

    layout: Layout  # a single row
    time_s: float
    memory_bytes: float
    chips: int


def trades(
    arch: Architecture,
    job: TrainingJob,
    target: Machine,
    software: Software,
    chips: int,
    space: Space = USUAL,
) -> tuple[Trade, ...]:
    """The front of time, memory and chips among layouts of up to `chips` chips, fastest first."""
    blocks = layouts(arch, job, target, software, most=chips, space=space)
    found = evaluate(arch, job, blocks, target, software, report=space.report)
    count = found.layout.chips
    # Of layouts alike in chips and memory the fastest: a few thousand are left of millions.
    alike = np.floor(np.log(np.maximum(found.memory_bytes, 1)) / np.log1p(TOLERANCE))
    order = np.lexsort((found.time_s.astype(np.float32), alike, count))
    first = np.ones(len(order), dtype=bool)
    first[1:] = (np.diff(count[order]) != 0) | (np.diff(alike[order]) != 0)
    some = order[first]
    figures = np.stack([found.time_s[some], found.memory_bytes[some], count[some]], axis=1)
    best = some[front(figures, TOLERANCE)][:MOST_SHOWN]
    return tuple(
        Trade(
            found.layout.take(np.array([i])),
            float(found.time_s[i]),
            float(found.memory_bytes[i]),
            int(count[i]),
        )
        for i in best
    )


def front(figures: Number, tolerance: float = 0.0) -> NDArray[np.int64]:
    """Indices of the rows of `figures`, shape (rows, figures), that no other row beats.

    Less is better. A row beats another that is no better in any figure by more than `tolerance`, a
    share; of equal rows the first stays. In the order of the first figure.
    """
    values = np.asarray(figures, dtype=np.float32)
    order = np.lexsort(values.T[::-1])
    kept = np.zeros((0, values.shape[1]), dtype=np.float32)
    chosen: list[int] = []
    for i in order:
        if not np.any(np.all(kept <= values[i] * np.float32(1 + tolerance), axis=1)):
            chosen.append(int(i))
            kept = np.vstack([kept, values[i]])
    return np.array(chosen, dtype=np.int64)
