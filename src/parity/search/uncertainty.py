"""How sure an answer is: its range, what most of that comes from, and what knowing it would leave.

An answer is a function of the figures it rests on. Its samples go through the equations of the
answer itself, all in one broadcast, so that what two chips share cancels in their ratio.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

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
#: With fewer samples for each figure no lines are drawn through them.
LEAST_SAMPLES = 2
#: What makes a range wide: what chips are said to have; what kernels, software and equations make
#: of it; and what happens besides.
Kind: TypeAlias = Literal["specification", "model", "scenario"]
KINDS: tuple[Kind, ...] = ("specification", "model", "scenario")
#: What is in the keys of figures that a data sheet states, and before those of a run.
SPECIFIED = (
    ".compute.dense.", ".memory.capacity", ".memory.bandwidth", ".scale_up.bandwidth",
    ".scale_out.bandwidth", ".tdp",
)  # fmt: skip
SCENARIO = "run."
#: Between the name and the source of a figure of money.
PRICED = ": "
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
class Effects:
    """What figures do to the variance of an answer, each of shape (figures,), over the variance.

    noise: what chance puts into `first_order`. on_line: squared standardised coefficients of a
    regression on ranks [Saltelli et al. 2008, section 1.2.5].
    """

    first_order: Number
    noise: Number
    on_line: Number


@dataclass(frozen=True)
class Spread:
    """P10, P50 and P90 of an answer, in its own unit, and where they come from.

    sources: figures, the most telling first. known: P10 and P90 if the first were known. kinds:
    parts of the variance by kind of figure.
    """

    low: float
    median: float
    high: float
    sources: tuple[Source, ...] = ()
    known: tuple[float, float] | None = None
    kinds: Mapping[Kind, float] = field(default_factory=dict)

    def through(self, change: Callable[[float], float]) -> Spread:
        """The same in another unit, of which there are more for a greater answer."""
        known = self.known and (change(self.known[0]), change(self.known[1]))
        low, median, high = (change(end) for end in (self.low, self.median, self.high))
        return replace(self, low=low, median=median, high=high, known=known)

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
    if not seen.columns or not varies(values):
        return Spread(low, median, high)
    effects = effects_of(values, np.stack([seen.order(key) for key in seen.columns], axis=-1))
    keys = tuple(seen.columns)
    found = Spread(low, median, high, largest(effects, keys), kinds=kinds_of(effects, keys))
    if not found.sources or not narrowed:
        return found
    first = found.sources[0].key
    held = replace(sampler, held=sampler.held | {first, *wholes(first)})
    return replace(found, known=p10_p90(answering(held)))


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


def varies(values: Number) -> bool:
    """Whether samples differ by more than rounding."""
    return bool(np.ptp(values) > ROUNDING * np.max(np.abs(values)))


def sources_of(values: Number, columns: Mapping[str, Number]) -> tuple[Source, ...]:
    """The figures that most of the variance of `values` comes from; columns: their samples."""
    if not columns or not varies(values):
        return ()
    orders = np.argsort(np.stack(list(columns.values()), axis=-1), axis=0)
    return largest(effects_of(values, orders), tuple(columns))


def largest(effects: Effects, keys: Sequence[str]) -> tuple[Source, ...]:
    """The figures that most of the variance of an answer comes from, the most telling first.

    What is drawn as `a/b` is the part of `a` that one thing has for itself, and `a/b/c` a part of
    that: who measures it measures all of them, so that its share is that of all.
    """
    clear = effects.first_order >= np.maximum(LEAST_SHARE, CLEAR * effects.noise)
    found = zip(keys, effects.first_order, clear, strict=True)
    alone = {key: float(share) for key, share, told in found if told}
    divided = {whole for key in keys for whole in wholes(key)}
    shares = {
        key: sum(alone.get(each, 0.0) for each in (key, *wholes(key)))
        for key in keys
        if key not in divided
    }
    order = sorted((key for key in shares if shares[key]), key=lambda key: -shares[key])
    return tuple(Source(key, shares[key]) for key in order[:MOST_SOURCES])


def wholes(key: str) -> tuple[str, ...]:
    """What a part belongs to, the widest first."""
    return tuple(key[:at] for at, letter in enumerate(key) if letter == "/")


def kinds_of(effects: Effects, keys: Sequence[str]) -> dict[Kind, float]:
    """Parts of the variance by kind of figure, summing to 1; empty where none is told. [1]

    Of what figures do on a line, which is nearly all, added up by kind.
    """
    parts: dict[Kind, float] = dict.fromkeys(KINDS, 0.0)
    for key, own in zip(keys, effects.on_line, strict=True):
        parts[kind_of(key)] += float(own)
    whole = sum(parts.values())
    return {kind: part / whole for kind, part in parts.items()} if whole else {}


def effects_of(values: Number, orders: Number) -> Effects:
    """What each figure does to the variance of an answer, from samples that are given.

    First-order Sobol indices Var(E[answer | figure]) / Var(answer) [Saltelli et al. 2008, section
    1.2.1]: sorted up and down again by a figure, the answer repeats once, and what follows the
    figure lies in its lowest harmonics [Plischke 2010, doi 10.1016/j.ress.2009.11.005, EASI]. What
    noise puts there is taken off [Tissot, Prieur 2012, doi 10.1016/j.ress.2012.06.010, section 3].
    What the other figures do on a line is taken off before, as a control variate: figures are
    independent, so that no index changes by it, and of the noise little is left. So is what they
    seem to do together in samples that chance makes alike: the variance is the sum of the parts.

    values: (samples,), that vary; orders: (samples, figures), what sorts each figure's samples.
    """
    count, figures = orders.shape
    deviation = values - np.mean(values)
    straight = on_lines(deviation, orders)
    rest = deviation - straight.sum(axis=-1)
    variance = np.var(straight, axis=0).sum() + np.var(rest)
    alone = rest[:, None] + straight
    around = np.concatenate([orders[::2], orders[1::2][::-1]])
    size = np.abs(np.fft.rfft(np.take_along_axis(alone, around, axis=0), axis=0)) ** 2
    left = np.var(alone, axis=0) / variance
    raw = 2 * size[1 : HARMONICS + 1].sum(axis=0) / (count**2 * variance)
    chance = 2 * HARMONICS / count
    slack = np.sum(rest**2) / max(count - figures - 1, 1) / count
    return Effects(
        first_order=np.clip(raw - chance / (1 - chance) * (left - raw), 0.0, 1.0),
        noise=chance * left,
        on_line=np.maximum(np.var(straight, axis=0) - slack, 0.0) / variance,
    )


def on_lines(deviation: Number, orders: Number) -> Number:
    """What follows each figure on a line in its rank, shape (samples, figures).

    All lines are fitted together. None are where figures are nearly as many as samples.
    """
    count, figures = orders.shape
    if count < LEAST_SAMPLES * (figures + 1):
        return np.zeros((count, figures))
    line = np.empty((count, figures))
    np.put_along_axis(line, orders, (np.arange(count)[:, None] + 0.5) / count - 0.5, axis=0)
    both = np.einsum("ij,ik->jk", line, line)
    along = np.einsum("ij,i->j", line, deviation)
    return line * np.linalg.lstsq(both, along, rcond=None)[0]


def kind_of(key: str) -> Kind:
    """What kind of figure is drawn by `key`."""
    if key.startswith(SCENARIO) or key.endswith(".mtbf_hours") or PRICED in key:
        return "scenario"
    return "specification" if any(part in key for part in SPECIFIED) else "model"
