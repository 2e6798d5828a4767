"""Fits the coefficients that only whole steps can show, to published training steps.

What is fitted: `sustained` of each chip family and width of operand, and the figures of each
generation of software in `GROUPS`. Everything else comes from kernels measured alone or from
specifications. The logarithm of a step is close to linear in the logarithms of these figures, so
the equations are evaluated once around the stated values, with a column for each figure, and any
choice of rows is then fitted on that linear model: leaving out each source in turn costs no more
than one fit.

Figures of one kind hang together: each is drawn to their common mean, and the mean to a prior, so
that a family or generation without rows takes what the others suggest. A row counts less the more
its source has, so that a table of two hundred does not drown the others; a large miss counts little
more than a middling one [Cauchy's loss], since some rows were run by software we do not know.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity.catalogue.machine import Draw, Number
from parity.errors import NeedsExtra
from parity.evidence.layouts import Placed
from parity.evidence.predict import prepare, step_times
from parity.evidence.schema import Row
from parity.timing.efficiency import book

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Group:
    """Figures of one kind: which keys, around what, how far apart. Widths in natural logarithms."""

    ending: str  # of their keys
    centre: float
    mean_width: float  # of the prior of their common mean
    width: float  # of one around the mean
    most: float  # none is fitted above
    among: tuple[str, ...] = ("",)  # texts of which their keys contain one

    def holds(self, key: str) -> bool:
        """Whether the figure `key` is of this kind."""
        return key.endswith(self.ending) and any(text in key for text in self.among)


#: Generations that start every kernel from Python, one by one.
EAGER = (".2023.",)
GROUPS = (
    Group(".sustained.16", 0.75, 0.15, 0.12, 1.0),
    Group(".sustained.8", 0.80, 0.15, 0.12, 1.0),
    Group(".sustained.4", 0.80, 0.15, 0.12, 1.0),
    Group(".attention_sustained", 0.80, 0.10, 0.12, 1.0),
    Group(".kernel_share", 1.00, 0.03, 0.08, 1.2),
    # Eager PyTorch needed 39 ms for a token of Llama 7B, 32 layers of 48 kernels: 25 us a kernel
    # [PyTorch blog, "GPT, Fast", 2023]. A layer has 14 operators and exchanges, so 87 us for each;
    # Megatron's fused layer is 20 kernels for 16 of them, 32 us. The geometric mean of the two.
    Group(".issue_s", 53e-6, 0.40, 0.30, 200e-6, EAGER),
    Group(".issue_s", 30e-6, 0.50, 0.50, 200e-6),
    Group(".traffic", 2.0, 0.20, 0.25, 4.0),
    Group(".routed", 1.3, 0.20, 0.25, 4.0),
    Group(".routing_s", 0.7e-3, 0.50, 0.30, 10e-3),
    Group("power_exponent", 0.5, 0.20, 0.20, 1.5),
)
#: Not fitted: what the others are measured against, and what comes from elsewhere.
STATED = ("software.current.kernel_share", "software.current.issue_s")
#: Never fitted to: what the tests hold the model against.
HELD_OUT = ("korthikanti",)
#: The miss beyond which a row's say grows ever less [natural log].
LARGE_MISS = 0.15
#: A row counts by this power of the rows of its source.
CROWD = -0.25
#: How far each figure is moved to find the slope [natural log].
NUDGE = 0.05


@dataclass(frozen=True)
class Steps:
    """Near the stated figures, log(predicted / measured) = miss + slope · log(figure / stated)."""

    keys: tuple[str, ...]
    stated: Array
    source: NDArray[np.str_]
    miss: Array  # shape (cases,)
    slope: Array  # shape (cases, keys)


@dataclass(frozen=True)
class Fitted:
    """What a fit finds: each figure by its key, and the mean of each kind."""

    figures: dict[str, float]
    means: dict[Group, float]


def fit(rows: Sequence[Row], leave_out: str = "") -> Draw:
    """A draw that gives each fitted figure its value without the source `leave_out`.

    Figures of a kind that no row drew (a family that nobody trained on) take the mean of the kind;
    those of single chips stay.
    """
    found = fitted(steps_of(tuple(rows)), leave_out)

    def draw(key: str, value: float, low: float, high: float) -> Number:  # noqa: ARG001
        if not value or key in found.figures or key.split(".")[0] in book().chips:
            return found.figures.get(key, value)
        return next((mean for g, mean in found.means.items() if g.holds(key)), value)

    return draw


def fitted(steps: Steps, leave_out: str = "") -> Fitted:
    """Every fitted figure, without the rows of `leave_out`.

    Raises `NeedsExtra` where SciPy is not installed.
    """
    try:
        from scipy.optimize import least_squares
    except ImportError:
        raise NeedsExtra("Fitting needs SciPy: pip install 'chipparity[fit]'.") from None
    used = ~np.isin(steps.source, [*HELD_OUT, leave_out])
    counts = Counter(steps.source[used])
    weight = np.array([counts[s] ** CROWD for s in steps.source[used]])
    miss, slope = steps.miss[used] / LARGE_MISS, steps.slope[used] / LARGE_MISS
    prior, offset = _prior(steps)
    figures = len(steps.keys)
    wide_slope = np.hstack([slope, np.zeros((len(slope), len(GROUPS)))])
    jacobian = np.vstack([wide_slope, prior])
    start = np.zeros(prior.shape[1])

    def residuals(x: Array) -> Array:
        return np.concatenate([miss + wide_slope @ x, prior @ x - offset])

    def loss(squares: Array) -> Array:
        n = len(miss)
        one = np.ones(len(squares))
        rho = np.array([squares, one, 0.0 * one])
        grown = 1 + squares[:n]
        rho[:, :n] = weight * np.array([np.log(grown), 1 / grown, -1 / grown**2])
        return rho

    most = np.log(np.array([_group(k).most for k in steps.keys]) / steps.stated)
    upper = np.concatenate([np.maximum(most, 1e-6), np.full(len(GROUPS), np.inf)])
    solution: Any = least_squares(
        residuals, start, jac=lambda _: jacobian, loss=loss, bounds=(-np.inf, upper)
    )
    values = steps.stated * np.exp(solution.x[:figures])
    means = [g.centre * float(np.exp(x)) for g, x in zip(GROUPS, solution.x[figures:], strict=True)]
    return Fitted(
        figures=dict(zip(steps.keys, values.tolist(), strict=True)),
        means=dict(zip(GROUPS, means, strict=True)),
    )


def _prior(steps: Steps) -> tuple[Array, Array]:
    """Rows of the priors: (matrix, right side) over the figures and then the means of groups."""
    rows, right = [], []
    total = len(steps.keys) + len(GROUPS)
    for i, (key, stated) in enumerate(zip(steps.keys, steps.stated, strict=True)):
        group = _group(key)
        row = np.zeros(total)
        row[i] = 1.0
        row[len(steps.keys) + GROUPS.index(group)] = -1.0
        rows.append(row / group.width)
        right.append(np.log(group.centre / stated) / group.width)
    for j, group in enumerate(GROUPS):
        row = np.zeros(total)
        row[len(steps.keys) + j] = 1.0 / group.mean_width
        rows.append(row)
        right.append(0.0)
    return np.array(rows), np.array(right)


def _group(key: str) -> Group:
    return next(g for g in GROUPS if g.holds(key))


@lru_cache(maxsize=2)
def steps_of(rows: tuple[Row, ...]) -> Steps:
    """Every predicted case with its slopes at the stated figures, of those it has any for."""
    placed = [one for one in prepare(rows) if isinstance(one, Placed)]
    stated: dict[str, float] = {}

    def listen(key: str, value: float, low: float, high: float) -> Number:  # noqa: ARG001
        if value > 0 and any(g.holds(key) for g in GROUPS):
            stated[key] = value
        return value

    step_times(placed, listen)
    keys = tuple(sorted(stated))
    column = {key: i for i, key in enumerate(keys)}

    def nudged(key: str, value: float, low: float, high: float) -> Number:  # noqa: ARG001
        if key not in column:
            return value
        samples = np.full((len(keys) + 1, 1), value)
        samples[column[key]] *= np.exp(NUDGE)
        return samples

    times = np.log(step_times(placed, nudged))
    measured = np.array([one.case.measured_s for one in placed])
    slope = ((times[:-1] - times[-1]) / NUDGE).T
    felt = [
        i for i, key in enumerate(keys) if key not in STATED and np.abs(slope[:, i]).max() > 1e-6
    ]
    return Steps(
        keys=tuple(keys[i] for i in felt),
        stated=np.array([stated[keys[i]] for i in felt]),
        source=np.array([one.case.row.set for one in placed]),
        miss=times[-1] - np.log(measured),
        slope=slope[:, felt],
    )
