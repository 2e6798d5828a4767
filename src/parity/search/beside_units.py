"""Replicas behind one router: what a number of chips carries, and how many a load takes.

A router gives each group of replicas what it carries, so their rates add up. Of two pools, one for
prompts and one for decoding, both pass the same requests, so that the slower sets the rate [Patel
et al. 2024, Splitwise, arXiv 2311.18677, §IV; Zhong et al. 2024, DistServe, arXiv 2401.09670, §4].

All rates are () or of shape (samples, 1), and numbers of chips or of replicas of shape (splits,):
one evaluation answers for stated figures and for samples of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce

import numpy as np

from parity.catalogue.machine import Machine, Number
from parity.search.prefill import Prefill
from parity.search.replica import Replica, ServingJob
from parity.search.serving_plan import WORTH

#: What rounding leaves of a whole number of replicas.
ROUNDING = 1e-9
#: Ways to divide a kind between two jobs that are tried, evenly spaced where there are more.
MOST_SPLITS = 1024


@dataclass(frozen=True)
class Unit:
    """One replica: its chips, and the requests/s it carries within the latencies of its job."""

    chips: int
    requests_per_s: Number
    by: Replica | Prefill
    job: ServingJob
    to: Machine | None = None  # that prompts hand their cache to


@dataclass(frozen=True)
class Able:
    """What one kind of chip does by itself: replicas that do everything, of each size worth having,
    and two pools of its own, where these are worth their trouble.
    """

    whole: tuple[Unit, ...] = ()
    pools: tuple[tuple[Unit, Unit], ...] = ()  # for prompts, and for decoding


def most(able: Able, chips: Number) -> Number:
    """Requests/s that at most so many chips of a kind carry. [1/s]"""
    chips = np.asarray(chips, dtype=float)
    ways = [np.floor(chips / unit.chips) * unit.requests_per_s for unit in able.whole]
    ways += [_passed(pair, n) for pair in able.pools for n in _pools(chips, pair)]
    return reduce(np.maximum, ways, np.zeros_like(chips))


def fewest(able: Able, requests_per_s: Number) -> Number:
    """Chips of a kind that carry so many requests/s; inf where it carries none. [1]"""
    ways = [counted(unit, requests_per_s) * unit.chips for unit in able.whole]
    ways += [
        sum(counted(unit, requests_per_s) * unit.chips for unit in pair) for pair in able.pools
    ]
    none = np.where(np.asarray(requests_per_s) > 0, np.inf, 0.0)
    return reduce(np.minimum, ways, none)


def counted(unit: Unit, requests_per_s: Number) -> Number:
    """Replicas that carry so many requests/s. [1]"""
    needed = np.maximum(np.asarray(requests_per_s), 0.0) / unit.requests_per_s
    return np.ceil(needed - ROUNDING * np.maximum(needed, 1.0))


def worthwhile(able: Able) -> Able:
    """The same without pools that save less than `WORTH` of the chips."""
    best = max((u.requests_per_s / u.chips for u in able.whole), default=0.0)
    pools = tuple(pair for pair in able.pools if _per_chip(pair) > WORTH * best)
    return Able(able.whole, pools)


def _per_chip(pair: tuple[Unit, Unit]) -> float:
    """Requests/s of a chip of two pools in matched numbers."""
    return float(1 / sum(unit.chips / unit.requests_per_s for unit in pair))


def _pools(chips: Number, pair: tuple[Unit, Unit]) -> Iterator[tuple[Number, Number]]:
    """Replicas for prompts and for decoding that match best: the whole numbers around equal rates
    of either pool, the other filled with what is left.
    """
    for first in (0, 1):
        one, other = pair[first], pair[1 - first]
        per_other = one.requests_per_s / other.requests_per_s
        ideal = np.floor(chips / (one.chips + other.chips * per_other))
        for own in (ideal, ideal + 1):
            rest = np.floor((chips - own * one.chips) / other.chips)
            yield (own, rest) if first == 0 else (rest, own)


def _passed(pair: tuple[Unit, Unit], numbers: tuple[Number, Number]) -> Number:
    """Requests/s that both pools pass; none where one has less than no replica. [1/s]"""
    rates = (n * unit.requests_per_s for unit, n in zip(pair, numbers, strict=True))
    return np.maximum(np.minimum(*rates), 0.0)


def division(able: Able, chips: int) -> tuple[tuple[Unit, int], ...]:
    """The replicas with which so many chips of a kind carry the most, at stated figures."""
    ways: list[tuple[tuple[Unit, int], ...]] = [
        ((unit, chips // unit.chips),) for unit in able.whole if unit.chips <= chips
    ]
    for pair in able.pools:
        ways += [
            tuple((unit, int(n)) for unit, n in zip(pair, numbers, strict=True))
            for numbers in _pools(np.float64(chips), pair)
            if min(numbers) >= 1
        ]
    return max(ways, key=carried, default=())


def carried(replicas: tuple[tuple[Unit, int], ...]) -> float:
    """Requests/s that one group of replicas, or two pools, carry at stated figures. [1/s]"""
    return min((n * float(unit.requests_per_s) for unit, n in replicas), default=0.0)


def enough(able: Able, requests_per_s: float) -> tuple[tuple[Unit, int], ...]:
    """The fewest replicas of a kind that carry so many requests/s, at stated figures."""
    if requests_per_s <= 0:
        return ()
    ways: tuple[tuple[Unit, ...], ...] = (*((unit,) for unit in able.whole), *able.pools)
    sized = [tuple((unit, int(counted(unit, requests_per_s))) for unit in way) for way in ways]
    return min(sized, key=lambda way: sum(unit.chips * n for unit, n in way), default=())


@dataclass(frozen=True)
class Joined:
    """Two pools of two kinds: what the owned kind does of them, and the kind that is added."""

    ours: Unit
    theirs: Unit
    prompts_ours: bool  # whether the owned kind takes the prompts


@dataclass(frozen=True)
class Needed:
    """Chips of the added kind at the best split of the owned one: all of shape (samples or 1,).

    ours: replicas of the owned kind in the pool. theirs: of the added kind. rest_per_s: requests/s
    that the added kind carries by itself.
    """

    chips: Number
    ours: Number
    theirs: Number
    rest_per_s: Number


def needed_beside(
    requests_per_s: Number, own: Able, chips: int, joined: Joined, new: Able
) -> Needed:
    """The fewest chips of a kind that, joined with `chips` of an owned kind in two pools, carry
    what is asked.

    At each split of the owned kind, from none of it in the pool to all, the rest of it does
    everything by itself, and so does the added kind with what the pools do not pass.
    """
    ours, theirs = joined.ours, joined.theirs
    splits = _splits(chips // ours.chips)
    left = np.maximum(requests_per_s - most(own, chips - splits * ours.chips), 0.0)
    can = splits * ours.requests_per_s
    asked = np.minimum(left, can)
    numbers = (
        counted(theirs, asked),
        np.floor(asked / theirs.requests_per_s),
        np.minimum(counted(theirs, left), np.floor(can / theirs.requests_per_s)),
    )
    total, number, rest = (
        np.concatenate(columns, axis=-1)
        for columns in zip(*(_with(n, can, left, theirs, new) for n in numbers), strict=True)
    )
    best = np.argmin(total, axis=-1)[:, None]
    total, number, rest = (
        np.take_along_axis(column, best, axis=-1)[:, 0] for column in (total, number, rest)
    )
    return Needed(total, np.tile(splits, len(numbers))[best[:, 0]], number, rest)


def _with(
    number: Number, can: Number, left: Number, theirs: Unit, new: Able
) -> tuple[Number, Number, Number]:
    """(chips of the added kind, `number`, what it carries by itself) with so many replicas of it in
    the pool, each of shape (samples or 1, splits).
    """
    passed = np.minimum(can, number * theirs.requests_per_s)
    rest = np.where(left - passed > ROUNDING * left, left - passed, 0.0)
    total = number * theirs.chips + fewest(new, rest)
    total, number, rest = np.broadcast_arrays(np.atleast_2d(total), number, rest)
    return total, number, rest


def most_joined(own: Able, chips: int, joined: Joined, other: Able, others: int) -> Number:
    """Requests/s that an owned kind and `others` of another carry at most, joined in two pools and
    each with its rest by itself, shape (samples or 1,). [1/s]
    """
    found: list[Number] = []
    splits = _splits(chips // joined.ours.chips)
    ideal = splits * joined.ours.requests_per_s / joined.theirs.requests_per_s
    for number in (np.floor(ideal), np.ceil(ideal)):
        number = np.minimum(number, others // joined.theirs.chips)
        passed = np.minimum(
            splits * joined.ours.requests_per_s, number * joined.theirs.requests_per_s
        )
        rest = most(own, chips - splits * joined.ours.chips)
        found.append(passed + rest + most(other, others - number * joined.theirs.chips))
    return np.max(np.atleast_2d(np.maximum(*found)), axis=-1)


def _splits(number: int) -> Number:
    """0 to `number`, all of them or as many as `MOST_SPLITS`."""
    some = np.linspace(0, number, min(number, MOST_SPLITS) + 1)
    return np.unique(np.round(some)).astype(int)
