"""Fits what each chip family holds of its kernel rates over hours, to published training steps.

One number a family: `sustained` of `timing/data/efficiency.toml`. Each source counts by the square
root of its rows, so that a table of two hundred does not drown the others; large misses count
linearly, since some rows were run by software we do not know; a prior holds families with few
rows. Families without rows take the mean of those that have some. Only dense models are fitted to:
what steps of mixtures of experts cost besides is not this number's to explain.

The equations are evaluated once on a grid of the number; any choice of rows is then fitted on the
same grid, so that leaving out each source in turn costs no more than one fit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from parity.catalogue import load
from parity.catalogue.machine import Draw, Number
from parity.evidence.layouts import Placed
from parity.evidence.predict import prepare, step_times
from parity.evidence.schema import Row
from parity.timing.efficiency import book

#: Never fitted to: what the tests hold the model against.
HELD_OUT = ("korthikanti",)
#: Half-width of the prior around the stated one [natural log], and the miss from which on a row
#: counts linearly.
PRIOR_WIDTH, LARGE_MISS = 0.12, 0.10
GRID = np.linspace(0.40, 1.0, 13)
FINE = np.linspace(0.40, 1.0, 601)
_SUFFIX = ".sustained"


@dataclass(frozen=True)
class Steps:
    """Cases that say something of a family's number, and their step at each point of the grid."""

    family: NDArray[np.str_]
    source: NDArray[np.str_]
    log_miss: NDArray[np.float64]  # log of predicted over measured, shape (fine grid, cases)


def fit(rows: Sequence[Row], leave_out: str = "") -> Draw:
    """A draw that gives each family the number fitted without the source `leave_out`."""
    found = sustained(steps_of(tuple(rows)), leave_out)
    usual = float(np.exp(np.mean(np.log(list(found.values()))))) if found else None

    def draw(key: str, value: float, low: float, high: float) -> Number:  # noqa: ARG001
        owner = key.removesuffix(_SUFFIX)
        if owner == key or owner in book().chips:
            return value
        return found.get(owner, usual or value)

    return draw


def sustained(steps: Steps, leave_out: str = "") -> dict[str, float]:
    """The fitted number of each family that has rows, without those of `leave_out`."""
    used = ~np.isin(steps.source, [*HELD_OUT, leave_out])
    return {
        str(family): _best(steps, used & (steps.family == family))
        for family in np.unique(steps.family[used])
    }


def _best(steps: Steps, which: NDArray[np.bool_]) -> float:
    counts = Counter(steps.source[which])
    weight = np.array([counts[s] ** -0.5 for s in steps.source[which]])
    miss = steps.log_miss[:, which] / LARGE_MISS
    loss = (weight * 2 * (np.sqrt(1 + miss**2) - 1)).sum(axis=1)
    centre = book().prior.sustained.value
    prior = (np.log(FINE / centre) / PRIOR_WIDTH) ** 2
    return float(FINE[np.argmin(loss + prior)])


@lru_cache(maxsize=2)
def steps_of(rows: tuple[Row, ...]) -> Steps:
    """Every predicted case of a dense model with its step over the grid."""
    prepared = [one for one in prepare(rows) if isinstance(one, Placed)]
    placed = [one for one in prepared if one.case.kind == "dense"]
    times = step_times(placed, _over_grid)
    measured = np.array([one.case.measured_s for one in placed])
    coarse = np.log(np.broadcast_to(times, (len(GRID), len(placed))) / measured)
    fine = np.stack([np.interp(FINE, GRID, column) for column in coarse.T], axis=1)
    return Steps(
        family=np.array([load.chip(one.case.target.chip).family for one in placed]),
        source=np.array([one.case.row.set for one in placed]),
        log_miss=fine,
    )


def _over_grid(key: str, value: float, low: float, high: float) -> Number:  # noqa: ARG001
    return GRID[:, None] if key.endswith(_SUFFIX) else value
