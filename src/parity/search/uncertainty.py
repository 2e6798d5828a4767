"""How sure an answer is: its range, what most of that comes from, and what knowing it would leave.

An answer is a function of the figures it rests on. Its samples go through the equations of the
answer itself, all in one broadcast, so that what two chips share cancels in their ratio.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from parity.catalogue.machine import Draw, Number
from parity.timing.draw import Recorder, Sampler

#: An answer for figures that a draw gives, of shape (samples,), or () where none has a range.
Answering: TypeAlias = Callable[[Draw], Number]

#: Harmonics counted as the effect of one figure [Plischke 2010, section 4: 6].
HARMONICS = 6
#: A share is named where it is so many times what noise puts into the harmonics, and this much.
CLEAR, LEAST_SHARE = 2, 0.02
#: Sources that are named.
MOST_SOURCES = 5
#: What differs by less is the same.
ROUNDING = 1e-12
#: The ends and the middle of a range.
P10, P50, P90 = 0.1, 0.5, 0.9


@dataclass(frozen=True)
class Source:
    """A figure that an answer rests on: what it is drawn by, and its share of the variance."""

    key: str
    share: float


@dataclass(frozen=True)
class Spread:
    """P10, P50 and P90 of an answer, in its own unit, and where they come from.

    sources: figures, the most telling first. known: P10 and P90 if the first were known.
    """

    low: float
    median: float
    high: float
    sources: tuple[Source, ...] = ()
    known: tuple[float, float] | None = None

    def through(self, change: Callable[[float], float]) -> Spread:
        """The same in another unit, of which there are more for a greater answer."""
        known = self.known and (change(self.known[0]), change(self.known[1]))
        low, median, high = (change(end) for end in (self.low, self.median, self.high))
        return Spread(low, median, high, self.sources, known)

    def holding(self, value: float) -> Spread:
        """The same, wide enough for the answer at stated figures."""
        known = self.known and (min(self.known[0], value), max(self.known[1], value))
        return replace(self, low=min(self.low, value), high=max(self.high, value), known=known)


def spread(answering: Answering, sampler: Sampler, *, narrowed: bool = True) -> Spread:
    """The range of an answer over all figures that it draws, and what that comes from.

    narrowed: also the range with the first of these figures known.
    """
    seen = Recorder(sampler)
    values = np.ravel(answering(seen))
    low, median, high = (float(end) for end in np.quantile(values, [P10, P50, P90]))
    sources = sources_of(values, seen.columns)
    if not sources or not narrowed:
        return Spread(low, median, high, sources)
    held = replace(sampler, held=sampler.held | {sources[0].key, *wholes(sources[0].key)})
    first, last = p10_p90(answering(held))
    return Spread(low, median, high, sources, (first, last))


def ratio(over: Answering, under: Answering | None) -> Answering:
    """How much more an answer is than another, sample by sample; alone without `under`. [1]"""
    return lambda draw: over(draw) / (under(draw) if under else 1.0)


def once(answering: Answering, sampler: Sampler) -> Answering:
    """The same answer, worked out once for all that is compared with it.

    Only where a figure is held that it draws is it worked out again.
    """
    seen = Recorder(sampler)
    values = answering(seen)

    def known(draw: Draw) -> Number:
        if isinstance(draw, Recorder) and draw.sampler == sampler:
            draw.columns.update(seen.columns)
            return values
        held = draw.held if isinstance(draw, Sampler) else frozenset(seen.columns)
        return answering(draw) if held & seen.columns.keys() else values

    return known


def p10_p90(samples: Number) -> tuple[float, float]:
    """The ends of the range that is shown."""
    low, high = np.quantile(samples, [P10, P90])
    return float(low), float(high)


def sources_of(values: Number, columns: dict[str, Number]) -> tuple[Source, ...]:
    """The figures that most of the variance of `values` comes from, the most telling first.

    What is drawn as `a/b` is the part of `a` that one thing has for itself, and `a/b/c` a part of
    that: who measures it measures all of them, so that its share is that of all.
    """
    if not columns or np.ptp(values) <= ROUNDING * np.max(np.abs(values)):
        return ()
    found = first_order(values, np.stack(list(columns.values()), axis=-1))
    least = max(LEAST_SHARE, CLEAR * noise(len(values)))
    alone = {key: float(x) for key, x in zip(columns, found, strict=True) if x >= least}
    divided = {whole for key in columns for whole in wholes(key)}
    shares = {
        key: sum(alone.get(each, 0.0) for each in (key, *wholes(key)))
        for key in columns
        if key not in divided
    }
    order = sorted((key for key in shares if shares[key]), key=lambda key: -shares[key])
    return tuple(Source(key, shares[key]) for key in order[:MOST_SOURCES])


def wholes(key: str) -> tuple[str, ...]:
    """What a part belongs to, the widest first."""
    return tuple(key[:at] for at, letter in enumerate(key) if letter == "/")


def first_order(values: Number, columns: Number) -> Number:
    """First-order Sobol indices of samples that are given, shape (figures,). [1]

    Var(E[answer | figure]) / Var(answer) [Saltelli et al. 2008, section 1.2.1]. Sorted up and down
    again by a figure, the answer repeats once, and what follows the figure lies in its lowest
    harmonics [Plischke 2010, doi 10.1016/j.ress.2009.11.005, EASI]. What noise puts there is taken
    off [Tissot, Prieur 2012, doi 10.1016/j.ress.2012.06.010, section 3].

    values: (samples,); columns: (samples, figures), independent of each other.
    """
    rising = np.argsort(columns, axis=0, kind="stable")
    order = np.concatenate([rising[::2], rising[1::2][::-1]])
    count = len(values)
    size = np.abs(np.fft.rfft((values - np.mean(values))[order], axis=0)) ** 2
    raw = 2 * size[1 : HARMONICS + 1].sum(axis=0) / (count**2 * np.var(values))
    chance = noise(count)
    return np.clip(raw - chance / (1 - chance) * (1 - raw), 0.0, 1.0)


def noise(samples: int) -> float:
    """Share of the variance that lies in the harmonics of a figure that does nothing. [1]"""
    return 2 * HARMONICS / samples
