"""Layouts evaluated by the chunk, memory first: those that fit, each with the time of its step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from parity.catalogue.machine import Machine, Number
from parity.evaluate.goodput import Stretch, steps_alone
from parity.evaluate.training import prepared, timed
from parity.layout.layout import Layout
from parity.search.grid import Report, flat
from parity.timing.software import Software
from parity.workload.operator import Architecture
from parity.workload.training import TrainingJob

#: Layouts, and divisions of a layer, evaluated at once; measured with benchmarks/search.py.
CHUNK, DIVISIONS = 65_536, 8_192


@dataclass(frozen=True)
class Candidates:
    """Evaluated layouts that fit, each with its step, stretched; memory of the leanest of all."""

    layout: Layout
    time_s: Number
    memory_bytes: Number
    leanest_bytes: float
    tried: int


def evaluate(
    arch: Architecture,
    job: TrainingJob,
    tried: Sequence[Layout],
    target: Machine,
    software: Software,
    stretch: Stretch = steps_alone,
    report: Report | None = None,
) -> Candidates:
    """Evaluate every layout in chunks, memory first, and keep those that fit.

    report: called with how many layouts are done, of how many, after each chunk.
    """
    fitting: list[Layout] = []
    times: list[Number] = []
    needs: list[Number] = []
    leanest, done, count = np.inf, 0, sum(block.count for block in tried)
    for part in _chunks(tried):
        ready = prepared(arch, job, part, target, software)
        total = np.broadcast_to(ready.memory.total_bytes, part.shape)
        leanest = min(leanest, float(total.min()))
        fits = total <= target.memory_bytes
        if fits.any():
            some = fits.reshape(-1, len(part)).any(axis=0)
            left, fits = part.take(some), fits[..., some]
            step = timed(arch, left, target, ready.take(some))
            time_s = np.broadcast_to(step.time_s * stretch(left, step), left.shape)
            fitting.append(left.rows(fits))
            times.append(time_s[fits])
            needs.append(total[..., some][fits])
        done += part.count
        if report:
            report(done, count)
    time, need = (np.concatenate([np.zeros(0), *each]) for each in (times, needs))
    return Candidates(flat(fitting), time, need, leanest, count)


def _chunks(tried: Sequence[Layout]) -> Iterator[Layout]:
    """Parts of the blocks, of so many layouts that their temporaries stay in the cache."""
    for block in tried:
        width = max(1, min(DIVISIONS, CHUNK * len(block) // block.count))
        for start in range(0, len(block), width):
            yield block.take(np.arange(start, min(start + width, len(block))))


def comparable(figure: Number) -> Number:
    """The figure to seven digits: layouts that differ by rounding keep the order of the search,
    so that every machine gives the same answer.
    """
    return np.asarray(figure, dtype=np.float32)
