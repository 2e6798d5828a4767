"""A condition over the quantities of a chip, as data, and what is so of it.

    all = [{ quantity = "tpp", at_least = 1600 }, { quantity = "performance_density", above = 2 }]

Nothing is evaluated but comparisons. Where a quantity is an interval, a condition is true or false
only if it is so at every point of it: between thresholds nothing changes, so the ends of the
interval and the thresholds inside it are all the points there are.
"""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from parity.record import Record
from parity.supply.thresholds import Quantity, Thresholds

Point = Mapping[str, float]

COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "at_least": operator.ge, "above": operator.gt, "below": operator.lt,
}  # fmt: skip

#: What a chip is, as a quantity that is 0 or 1.
DATA_CENTRE, FOREIGN = "data_centre", "foreign"


class Condition(Record, frozen=True):
    """One comparison, a fact of the chip, or several conditions."""

    all: tuple[Condition, ...] = ()
    any: tuple[Condition, ...] = ()
    quantity: str = ""
    at_least: float | None = None
    above: float | None = None
    below: float | None = None
    data_centre: bool | None = None
    foreign: bool | None = None  # whether its vendor is at home elsewhere than the rule
    chips: tuple[str, ...] = ()  # ids


class Margin(Record, frozen=True):
    """How far a quantity is from a threshold, as a fraction of it; None where it is unknown."""

    quantity: str
    unit: str
    comparison: str
    threshold: float
    value: float | None
    margin: float | None

    @property
    def unmet(self) -> bool:
        """Whether the value is known and on the other side of the threshold."""
        compare = COMPARISONS[self.comparison]
        return self.value is not None and not compare(self.value, self.threshold)


class Answered(NamedTuple):
    """What is so at all points, and which quantities it hangs on where it is not the same."""

    met: bool | None
    unknown: tuple[str, ...]


def own_thresholds(condition: Condition) -> Iterator[tuple[str, str, float]]:
    """The (quantity, comparison, threshold) that a condition states itself."""
    for comparison in COMPARISONS:
        threshold = getattr(condition, comparison)
        if threshold is not None:
            yield condition.quantity, comparison, threshold


def thresholds_of(condition: Condition) -> Iterator[tuple[str, str, float]]:
    """Every (quantity, comparison, threshold) of a condition and of those inside it."""
    yield from own_thresholds(condition)
    for inner in (*condition.all, *condition.any):
        yield from thresholds_of(inner)


def holds(condition: Condition, point: Point, chip: str) -> bool:
    """Whether the condition is true where every quantity has one value."""
    own = (
        COMPARISONS[how](point.get(name, 0.0), at) for name, how, at in own_thresholds(condition)
    )
    return (
        all(own)
        and condition.data_centre in (None, bool(point.get(DATA_CENTRE)))
        and condition.foreign in (None, bool(point.get(FOREIGN)))
        and (not condition.chips or chip in condition.chips)
        and all(holds(inner, point, chip) for inner in condition.all)
        and (not condition.any or any(holds(inner, point, chip) for inner in condition.any))
    )


def answered(
    test: Callable[[Point], bool], looked_at: tuple[Condition, ...], facts: Mapping[str, Quantity]
) -> Answered:
    """What `test`, which looks at no more than the conditions do, says over all of `facts`."""
    marks: dict[str, set[float]] = {name: set() for name in _names(looked_at)}
    for condition in looked_at:
        for name, _, threshold in thresholds_of(condition):
            marks[name].add(threshold)
    names = [name for name in marks if name in facts]
    choices = [_points(facts[name], marks[name]) for name in names]
    found = {point: test(dict(zip(names, point, strict=True)))
             for point in itertools.product(*choices)}  # fmt: skip
    if len(set(found.values())) == 1:
        return Answered(next(iter(found.values())), ())
    turning = [name for at, name in enumerate(names) if _turns(found, at)]
    return Answered(None, tuple(turning))


def measured(condition: Condition, facts: Thresholds) -> tuple[float, tuple[Margin, ...]]:
    """How far a chip is from meeting a condition, as the largest shortfall [fraction of the
    threshold], infinite where it cannot be told; and the margin to each threshold on the way."""
    far, margins = 0.0, list[Margin]()
    for name, comparison, threshold in own_thresholds(condition):
        quantity = facts.quantities.get(name)
        value = quantity.value if quantity else None
        margin = None if value is None else value / threshold - 1
        if value is None or margin is None:
            far = math.inf
        elif not COMPARISONS[comparison](value, threshold):
            far = max(far, abs(margin))
        unit = quantity.unit if quantity else ""
        margins.append(Margin(name, unit, comparison, threshold, value, margin))
    nearest = (
        [min((measured(inner, facts) for inner in condition.any), key=lambda pair: pair[0])]
        if condition.any
        else []
    )
    for distance, more in [*(measured(inner, facts) for inner in condition.all), *nearest]:
        far = max(far, distance)
        margins += more
    return far, tuple(margins)


def _names(conditions: tuple[Condition, ...]) -> list[str]:
    names = dict.fromkeys(n for c in conditions for n, _, _ in thresholds_of(c))
    return [*names, DATA_CENTRE, FOREIGN]


def _points(quantity: Quantity, thresholds: set[float]) -> tuple[float, ...]:
    low, high = quantity.low, quantity.high
    inside = {t for t in thresholds if low <= t <= high}
    beside = {math.nextafter(t, side) for t in inside for side in (-math.inf, math.inf)}
    return tuple(sorted({low, high} | inside | {t for t in beside if low <= t <= high}))


def _turns(found: Mapping[tuple[float, ...], bool], at: int) -> bool:
    """Whether the value at one place alone can change what is found."""
    seen: dict[tuple[float, ...], bool] = {}
    return any(
        seen.setdefault((*point[:at], *point[at + 1 :]), met) != met for point, met in found.items()
    )
