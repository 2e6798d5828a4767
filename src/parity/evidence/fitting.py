"""Fits figures of a kind to measured times, on equations made linear around the stated figures.

The logarithm of a time is close to linear in the logarithms of these figures, so the equations are
evaluated once around the stated values, with a column for each figure, and any choice of rows is
then fitted on that linear model: leaving out each source in turn costs no more than one fit.

Figures of one kind hang together: each is drawn to their common mean, and the mean to a prior, so
that a family or generation without rows takes what the others suggest. A row counts less the more
its source has, so that a table of two hundred does not drown the others; a large miss counts little
more than a middling one [Cauchy's loss], since some rows were run by software we do not know.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity.catalogue.machine import Draw, Number
from parity.errors import NeedsExtra

Array = NDArray[np.float64]

#: The miss beyond which a row's say grows ever less [natural log].
LARGE_MISS = 0.15
#: A row counts by this power of the rows of its source.
CROWD = -0.25
#: How far each figure is moved to find the slope [natural log].
NUDGE = 0.05


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


@dataclass(frozen=True)
class Steps:
    """Near the stated figures, log(predicted / measured) = miss + slope · log(figure / stated)."""

    groups: tuple[Group, ...]
    keys: tuple[str, ...]
    stated: Array
    source: NDArray[np.str_]
    miss: Array  # shape (cases,)
    slope: Array  # shape (cases, keys)

    def group(self, key: str) -> Group:
        """The kind of figure that `key` is."""
        return next(g for g in self.groups if g.holds(key))


@dataclass(frozen=True)
class Fitted:
    """What a fit finds: each figure by its key, and the mean of each kind."""

    figures: dict[str, float]
    means: dict[Group, float]

    def draw(self, kept: Callable[[str], bool]) -> Draw:
        """A draw of the fitted figures. What no row drew takes the mean of its kind, unless `kept`
        says that it stays as it is stated.
        """

        def drawn(key: str, value: float, low: float, high: float) -> Number:  # noqa: ARG001
            if not value or key in self.figures or kept(key):
                return self.figures.get(key, value)
            return next((mean for g, mean in self.means.items() if g.holds(key)), value)

        return drawn


def linear(
    times: Callable[[Draw], Array],
    measured: Array,
    source: Sequence[str],
    groups: tuple[Group, ...],
    stated_only: tuple[str, ...] = (),
) -> Steps:
    """The linear model of `times` around what is stated.

    times: predicted times, shape (cases,), or (samples, cases) where the draw gives samples.
    Figures that no case depends on are left out, and those of `stated_only`, which are what the
    others are measured against.
    """
    stated: dict[str, float] = {}

    def listen(key: str, value: float, low: float, high: float) -> Number:  # noqa: ARG001
        if value > 0 and any(g.holds(key) for g in groups):
            stated[key] = value
        return value

    times(listen)
    keys = tuple(sorted(stated))
    column = {key: i for i, key in enumerate(keys)}

    def nudged(key: str, value: float, low: float, high: float) -> Number:  # noqa: ARG001
        if key not in column:
            return value
        samples = np.full((len(keys) + 1, 1), value)
        samples[column[key]] *= np.exp(NUDGE)
        return samples

    found = np.log(times(nudged))
    slope = ((found[:-1] - found[-1]) / NUDGE).T
    felt = [
        i
        for i, key in enumerate(keys)
        if key not in stated_only and np.abs(slope[:, i]).max() > 1e-6
    ]
    return Steps(
        groups=groups,
        keys=tuple(keys[i] for i in felt),
        stated=np.array([stated[keys[i]] for i in felt]),
        source=np.array(source),
        miss=found[-1] - np.log(measured),
        slope=slope[:, felt],
    )


def fitted(steps: Steps, without: Sequence[str] = ()) -> Fitted:
    """Every fitted figure, without the rows of the sources `without`.

    Raises `NeedsExtra` where SciPy is not installed.
    """
    try:
        from scipy.optimize import least_squares
    except ImportError:
        raise NeedsExtra("Fitting needs SciPy: pip install 'chipparity[fit]'.") from None
    used = ~np.isin(steps.source, list(without))
    counts = Counter(steps.source[used])
    weight = np.array([counts[s] ** CROWD for s in steps.source[used]])
    miss, slope = steps.miss[used] / LARGE_MISS, steps.slope[used] / LARGE_MISS
    prior, offset = _prior(steps)
    figures = len(steps.keys)
    wide_slope = np.hstack([slope, np.zeros((len(slope), len(steps.groups)))])
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

    most = np.log(np.array([steps.group(k).most for k in steps.keys]) / steps.stated)
    upper = np.concatenate([np.maximum(most, 1e-6), np.full(len(steps.groups), np.inf)])
    solution: Any = least_squares(
        residuals, start, jac=lambda _: jacobian, loss=loss, bounds=(-np.inf, upper)
    )
    values = steps.stated * np.exp(solution.x[:figures])
    means = [
        g.centre * float(np.exp(x)) for g, x in zip(steps.groups, solution.x[figures:], strict=True)
    ]
    return Fitted(
        figures=dict(zip(steps.keys, values.tolist(), strict=True)),
        means=dict(zip(steps.groups, means, strict=True)),
    )


def left_out(steps: Steps) -> Array:
    """log(measured / predicted) of each case, predicted by the fit without its source."""
    found = np.empty(len(steps.miss))
    for source in np.unique(steps.source):
        own = steps.source == source
        figures = fitted(steps, (source,)).figures
        moved = np.log(np.array([figures[key] for key in steps.keys]) / steps.stated)
        found[own] = -(steps.miss[own] + steps.slope[own] @ moved)
    return found


def _prior(steps: Steps) -> tuple[Array, Array]:
    """Rows of the priors: (matrix, right side) over the figures and then the means of groups."""
    rows, right = [], []
    total = len(steps.keys) + len(steps.groups)
    for i, (key, stated) in enumerate(zip(steps.keys, steps.stated, strict=True)):
        group = steps.group(key)
        row = np.zeros(total)
        row[i] = 1.0
        row[len(steps.keys) + steps.groups.index(group)] = -1.0
        rows.append(row / group.width)
        right.append(np.log(group.centre / stated) / group.width)
    for j, group in enumerate(steps.groups):
        row = np.zeros(total)
        row[len(steps.keys) + j] = 1.0 / group.mean_width
        rows.append(row)
        right.append(0.0)
    return np.array(rows), np.array(right)
