"""What is left of measurements that were predicted without their source, beside what is known.

Two things say how far a measurement may lie from its prediction: the ranges of the figures that go
in, and what remains when these are taken off. `misses` finds the second from what is kept here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from parity.catalogue.load import chip
from parity.catalogue.machine import Draw, Number, central
from parity.catalogue.schema import Chip
from parity.evidence import fit, fit_serving, read
from parity.evidence.fitting import Array, left_out
from parity.evidence.pairs import same_work
from parity.evidence.predict import step_times
from parity.evidence.read import AnyRow
from parity.evidence.serving_predict import Ran
from parity.timing.draw import Sampler
from parity.timing.misses import Task

#: Samples of each row: P10 and P90 of its time are good to a few percent of their distance.
SAMPLES = 256


@dataclass(frozen=True)
class Residuals:
    """Rows of one task that can be predicted and measure how fast the chips are.

    left_out: log(measured / predicted) time, predicted by a fit without the row's source, shape
    (rows,). known: log of the time over the ranges of all figures over that at stated ones, shape
    (samples, rows): the same figure has the same samples in every row.
    """

    task: Task
    rows: tuple[AnyRow, ...]
    chips: tuple[Chip, ...]
    counts: NDArray[np.int64]  # chips that a row was measured on
    generations: NDArray[np.str_]
    left_out: Array
    known: Array

    @property
    def sources(self) -> NDArray[np.str_]:
        """The source of each row."""
        return np.array([row.set for row in self.rows])

    def pairs(self) -> NDArray[np.int64]:
        """Rows that measured the same work on two chips, shape (pairs, 2)."""
        groups: dict[object, list[int]] = defaultdict(list)
        for i, row in enumerate(self.rows):
            groups[same_work(row, int(self.counts[i]))].append(i)
        found = [
            (a, b)
            for group in groups.values()
            for a, b in combinations(sorted(group, key=lambda i: self.chips[i].id), 2)
            if self.chips[a].id != self.chips[b].id
        ]
        return np.array(found, dtype=np.int64).reshape(-1, 2)


def without_misses(sampler: Draw) -> Draw:
    """Draws every figure but how far measurements are from predictions."""

    def draw(key: str, value: float, low: float, high: float) -> Number:
        return value if ".elapsed." in key else sampler(key, value, low, high)

    return draw


@cache
def residuals(task: Task) -> Residuals:
    """Of the bundled rows of one task. Raises `NeedsExtra` where SciPy is not installed."""
    return _training() if task == "training" else _serving()


def _training() -> Residuals:
    rows = read.bundled()
    placed = fit.placed(rows)
    cases = [one.case for one in placed]
    left, known = left_out(fit.steps_of(rows)), _known(lambda draw: step_times(placed, draw))
    return Residuals(
        task="training",
        rows=tuple(case.row for case in cases),
        chips=tuple(chip(case.target.chip) for case in cases),
        counts=np.array([case.chips for case in cases]),
        generations=np.array([case.software for case in cases]),
        left_out=left,
        known=known,
    )


def _serving() -> Residuals:
    every = fit_serving.ran(read.bundled_serving())
    told = np.array([not load_sets(one) for one in every])
    runs = [one for one, own in zip(every, told, strict=True) if own]
    left = left_out(fit_serving.runs_of(read.bundled_serving()))[told]
    known = _known(lambda draw: fit_serving.times(runs, draw))
    return Residuals(
        task="serving",
        rows=tuple(one.case.row for one in runs),
        chips=tuple(chip(one.case.target.chip) for one in runs),
        counts=np.array([one.case.chips for one in runs]),
        generations=np.array([one.engine.name for one in runs]),
        left_out=left,
        known=known,
    )


def load_sets(one: Ran) -> bool:
    """Whether a row is a rate that is that of the requests that come, whatever the chips do."""
    return one.case.row.rate_per_s > 0 and not one.case.measure.time


def _known(times: Callable[[Draw], Array]) -> Array:
    """Logarithms of times over the ranges of all figures, over those at stated figures."""
    return np.asarray(np.log(times(without_misses(Sampler(SAMPLES))) / times(central)))
