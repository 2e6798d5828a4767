"""What changes with the years: experience, the change of products, how long chips stay in use.

All take numbers or arrays and broadcast over (samples, years).
"""

from __future__ import annotations

import math

import numpy as np

from parity.catalogue.machine import Number

#: Standard deviation of a logistic distribution of scale one.
_LOGISTIC = math.pi / math.sqrt(3)


def wright(first: Number, ratio: Number, learning: Number) -> Number:
    """Wright's law: `first · ratio^log2(1 - learning)`, in the unit of `first`.

    What falls by the share `learning` with each doubling of all that was ever made; ratio: made by
    now over made when it was `first` [Wright 1936, J. Aeronautical Sciences 3(4); tested by Nagy
    et al. 2013, doi 10.1371/journal.pone.0052669]. learning: 0 to below 1.
    """
    return first * np.asarray(ratio, dtype=float) ** np.log2(1.0 - np.asarray(learning))


def learned_defects(defects: Number, ratio: Number, learning: Number, floor: Number) -> Number:
    """Defect density after so much more experience; never below `floor`, unless it began there.

    In the unit of `defects` [1/cm²]; by Wright's law, to the density of a mature node of the class.
    """
    return np.maximum(wright(defects, ratio, learning), np.minimum(defects, floor))


def experience(made: Number, since: int) -> Number:
    """All made up to each year, over all made up to the end of the base year. [1]

    made: in each year, years on the last axis. since: index of the base year; where nothing had
    been made by then, the base is the first year in which something is. One before anything is
    made.
    """
    total = np.cumsum(made, axis=-1)
    later = (np.arange(total.shape[-1]) >= since) & (total > 0)
    base = np.take_along_axis(total, np.argmax(later, axis=-1)[..., None], axis=-1)
    return np.where((total > 0) & (base > 0), total / np.where(base > 0, base, 1.0), 1.0)


def product_shares(years: Number, since: Number, ramp: Number) -> Number:
    """Share of the lines that each product has in each year; they sum to one or to none. [1]

    years: whole years, (years,). since: when each product comes, a fraction of a year, on the last
    axis but one of (samples, products, 1), in the order of products. ramp: years until a product
    has the lines of those before it to itself. A product has what it has reached by the middle of
    the year, less what those after it have.
    """
    reached = np.clip((years + 0.5 - since) / ramp, 0.0, 1.0)
    after = np.cumprod(1.0 - reached[..., ::-1, :], axis=-2)[..., ::-1, :]
    left = np.concatenate([after[..., 1:, :], np.ones_like(after[..., :1, :])], axis=-2)
    return reached * left


def surviving(age: Number, life: Number, spread: Number) -> Number:
    """Share of chips still in use at an age; one at none. [1]

    A logistic distribution of service lives around `life` with standard deviation `spread`, all in
    years, cut off at age zero.
    """
    scale = np.asarray(spread) / _LOGISTIC

    def alive(years: Number) -> Number:
        return 0.5 * (1.0 - np.tanh((years - life) / (2.0 * scale)))

    return np.where(age < 0, 0.0, alive(np.maximum(age, 0.0)) / alive(np.zeros_like(age)))


def in_use(bought: Number, life: Number, spread: Number) -> Number:
    """What is in use at the end of each year of what was bought in each: the fleet by vintage.

    bought: (…, years), in any unit. Returns (…, vintages, years): the fleet is the sum over the
    vintages. Chips are bought in the middle of their year.
    """
    years = np.arange(bought.shape[-1], dtype=float)
    age = years[None, :] - years[:, None] + 0.5
    kept = surviving(
        np.where(years[None, :] >= years[:, None], age, -1.0),
        np.asarray(life)[..., None], np.asarray(spread)[..., None],
    )  # fmt: skip
    return bought[..., :, None] * kept


def years_behind(own: Number, other: Number, years: Number, of: Number) -> Number:
    """How many years ago the other fleet became as large as this one is. [year]

    own: (samples, years), other: (samples, of). Between its years the other is taken to grow by an
    even factor. Zero where it never became larger; infinite where it was from its first year on.
    """
    own, other = np.broadcast_arrays(own[:, None, :], other[:, :, None])
    larger = other > own
    upper = np.where(larger.any(axis=1), np.argmax(larger, axis=1), of.size - 1)
    lower = np.maximum(upper - 1, 0)

    def log_at(index: Number) -> Number:
        return np.log(np.take_along_axis(other, index[:, None, :], axis=1)[:, 0, :])

    step = log_at(upper) - log_at(lower)
    with np.errstate(divide="ignore"):  # of a fleet of none
        gone = np.log(own[:, 0, :]) - log_at(lower)
    share = np.where(step > 0, gone / np.where(step > 0, step, 1.0), 1.0)
    behind = np.maximum(years - (of[lower] + np.clip(share, 0.0, 1.0)), 0.0)
    return np.where(larger[:, 0, :], np.inf, np.where(larger.any(axis=1), behind, 0.0))


def first_year(enough: Number, years: Number) -> Number:
    """The first year in which it is enough; infinite where it never is. (samples,)"""
    when = years[np.argmax(enough, axis=-1)].astype(float)
    return np.where(enough.any(axis=-1), when, np.inf)
