"""How far measurements lie from predictions beyond what the ranges of figures cover, by class.

A class is a generation of software or of an engine. What a row is off, e, and what the ranges of
its figures already explain, u (from P50 to P90 of its time), leave for the miss

    h² = Q₉₀( sign(e)·e² − u² )            and as much below, with P10

the quantile over rows, so that nothing is counted twice. Rows of one source go wrong together: of n
they count for n / (1 + (n - 1)·ρ), ρ their correlation. A class with few sources borrows from all
others, one with few rows takes what all have.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from parity.catalogue.machine import Number
from parity.evidence.fitting import Array
from parity.evidence.residuals import SAMPLES, Residuals
from parity.timing.draw import Sampler
from parity.timing.misses import Miss, Misses, drawn_apart, drawn_by, stretched

#: Ends of a range, and what lies between.
LOW, HIGH = 0.1, 0.9
HELD = HIGH - LOW
#: With fewer rows a class has no tenth to leave outside.
FEWEST = 10
#: Rows, counted as if none went wrong together, that a class borrows from all: of 0 to 64, less
#: leaves a new source of a class out too often, and more the classes that differ from the rest.
BORROWED = 4.0
#: Steps in which the shares of vendors and families are sought.
STEPS = np.linspace(0.0, 1.0, 41)


@dataclass(frozen=True)
class Held:
    """How many rows of a class lie in their range."""

    name: str
    rows: int
    sources: int
    share: float


def clustering(values: Array, sources: NDArray[np.str_]) -> float:
    """Part of the variance that rows of a source have in common. [1]

    The correlation of rows within a source, by one-way analysis of variance
    [Donner 1986, doi 10.2307/1403259, section 2].
    """
    names, counts = np.unique(sources, return_counts=True)
    if len(names) < 2 or len(names) == len(values):
        return 0.0
    means = np.array([values[sources == name].mean() for name in names])
    whole = counts.sum()
    within = sum(np.sum((values[sources == n] - m) ** 2) for n, m in zip(names, means, strict=True))
    within = within / (whole - len(names))
    between = np.sum(counts * (means - values.mean()) ** 2) / (len(names) - 1)
    typical = (whole - np.sum(counts**2) / whole) / (len(names) - 1)
    apart = max((between - within) / typical, 0.0)
    return float(apart / (apart + within)) if apart + within else 0.0


def counted(sources: NDArray[np.str_], rho: float) -> Array:
    """What each row counts for, so that n of a source make n / (1 + (n - 1)·rho). [1]"""
    _, which, counts = np.unique(sources, return_inverse=True, return_counts=True)
    return np.asarray(1.0 / (1.0 + (counts[which] - 1.0) * rho))


def fit_misses(found: Residuals) -> Misses:
    """Misses of every class, and what chips share of them: as much as leaves measured ratios of two
    chips in their range as often as they should be.

    What families share is found from chips of one, then what vendors share from all others.
    """
    misses, pairs = class_misses(found), found.pairs()
    kin = np.array([found.chips[a].family == found.chips[b].family for a, b in pairs], dtype=bool)

    def nearest(some: NDArray[np.int64], tried: Sequence[Misses]) -> Misses:
        if not len(some):
            return tried[0]
        shares = [float(np.mean(held_ratios(found, some, one))) for one in tried]
        return tried[int(np.argmin([round(abs(share - HELD), 3) for share in shares]))]

    misses = nearest(pairs[kin], [replace(misses, family=float(x)) for x in STEPS])
    family = misses.family
    return nearest(pairs[~kin], [replace(misses, vendor=float(x * family)) for x in STEPS])


def class_misses(found: Residuals, *, without: str = "") -> Misses:
    """Misses of every class, of which chips share nothing; without the rows of a source."""
    use = found.sources != without
    low, middle, high = np.quantile(found.known, [LOW, 0.5, HIGH], axis=0)
    off = found.left_out - middle
    above = np.sign(off) * off**2 - (high - middle) ** 2
    below = -np.sign(off) * off**2 - (middle - low) ** 2
    rho = clustering(off[use], found.sources[use])

    def miss(weight: Array) -> Miss:
        down, up = _ends(below, above, weight)
        return Miss(-down, up)

    every = np.zeros(len(off))
    every[use] = counted(found.sources[use], rho)
    every /= every.sum()
    classes = {}
    for name in np.unique(found.generations):
        own = use & (found.generations == name)
        if own.sum() < FEWEST:
            continue
        weight = np.zeros(len(off))
        weight[own] = counted(found.sources[own], rho)
        classes[str(name)] = miss(weight + BORROWED * every)
    return Misses(0.0, 0.0, miss(every), classes)


def _ends(below: Array, above: Array, weight: Array) -> tuple[float, float]:
    """How far down and up a miss reaches: a tenth of the rows lies beyond each.

    Where fewer do although nothing is added, the other end may leave the rest outside.
    """

    def reach(squares: Array, outside: float) -> float:
        return float(np.sqrt(max(weighted_quantile(squares, weight, 1.0 - outside), 0.0)))

    def beyond(squares: Array) -> float:
        return float(weight[squares > 0].sum() / weight.sum())

    down, up = reach(below, LOW), reach(above, LOW)
    if not down:
        up = reach(above, 2 * LOW - min(beyond(below), LOW))
    elif not up:
        down = reach(below, 2 * LOW - min(beyond(above), LOW))
    return down, up


def weighted_quantile(values: Array, weight: Array, at: float) -> float:
    """The value below which a part `at` of the weight lies, between the middles of neighbours."""
    order = np.argsort(values, kind="stable")
    upto = np.cumsum(weight[order])
    return float(np.interp(at, (upto - weight[order] / 2) / upto[-1], values[order]))


def drawn(found: Residuals, misses: Misses, rows: Sequence[int] | NDArray[np.int64]) -> Number:
    """Logarithms of the times of some rows over all ranges, misses as well: (samples, rows)."""
    sampler = Sampler(SAMPLES)
    columns = []
    for i in rows:
        generation = str(found.generations[i])
        keys = drawn_by(found.task, generation, found.chips[i])
        missed = stretched(drawn_apart(misses.parts, keys, sampler), misses.of(generation))
        columns.append(found.known[:, i] + missed[:, 0])
    return np.stack(columns, axis=-1) if columns else np.zeros((SAMPLES, 0))


def held(found: Residuals, misses: Misses) -> NDArray[np.bool_]:
    """Whether each measurement lies in its range, predicted by a fit without its source."""
    low, high = np.quantile(drawn(found, misses, range(len(found.rows))), [LOW, HIGH], axis=0)
    return np.asarray((low <= found.left_out) & (found.left_out <= high))


def held_unseen(found: Residuals) -> NDArray[np.bool_]:
    """The same, where misses as well are found without the source of a row."""
    out = np.zeros(len(found.rows), dtype=bool)
    for source in np.unique(found.sources):
        own = found.sources == source
        out[own] = held(found, class_misses(found, without=str(source)))[own]
    return out


def held_ratios(found: Residuals, pairs: NDArray[np.int64], misses: Misses) -> NDArray[np.bool_]:
    """Whether each measured ratio of two chips lies in the range of the predicted one."""
    if not len(pairs):
        return np.zeros(0, dtype=bool)
    ratio = drawn(found, misses, pairs[:, 0]) - drawn(found, misses, pairs[:, 1])
    low, high = np.quantile(ratio, [LOW, HIGH], axis=0)
    measured = found.left_out[pairs[:, 0]] - found.left_out[pairs[:, 1]]
    return np.asarray((low <= measured) & (measured <= high))


def by_class(found: Residuals, inside: NDArray[np.bool_]) -> tuple[Held, ...]:
    """How many rows of each class are held, those with most rows first."""
    out = []
    for name in np.unique(found.generations):
        own = found.generations == name
        sources = len(set(found.sources[own]))
        out.append(Held(str(name), int(own.sum()), sources, float(inside[own].mean())))
    return tuple(sorted(out, key=lambda one: (-one.rows, one.name)))
