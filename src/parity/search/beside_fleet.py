"""Owned kinds of chip and an added one in serving: who does what, and how many chips that takes.

Of stated figures, or of samples of them: the same functions take kinds whose replicas have one rate
or many (`drawn`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import permutations
from typing import TypeAlias

import numpy as np

from parity.catalogue.machine import Number
from parity.search.beside_kinds import Kind, joined
from parity.search.beside_units import (
    Able,
    Joined,
    Unit,
    division,
    enough,
    fewest,
    most,
    most_joined,
    needed_beside,
)
from parity.search.serving_plan import WORTH

#: A replica at stated figures, or over samples of them.
View: TypeAlias = Callable[[Unit], Unit]


@dataclass(frozen=True)
class Fleet:
    """Owned kinds; `pair`: two of them (ours, theirs) in pools, where that carries more."""

    kinds: tuple[Kind, ...]
    pair: tuple[int, int, Joined] | None = None


@dataclass(frozen=True)
class Way:
    """How an added kind works beside the owned ones: by itself, or in pools with kind `to`."""

    to: int | None = None
    pools: Joined | None = None


@dataclass(frozen=True)
class Group:
    """Replicas of one kind that do everything, or two pools, and what they carry. [1/s]"""

    replicas: tuple[tuple[Kind, Unit, int], ...]
    requests_per_s: float


def fleet_of(kinds: tuple[Kind, ...]) -> Fleet:
    """The owned kinds as they carry the most: each by itself, or two of them in two pools."""
    alone = Fleet(kinds)
    best, rate = alone, WORTH * float(carries(alone))
    for i, j in permutations(range(len(kinds)), 2):
        if i < j:
            for pools in joined(kinds[i], kinds[j]):
                pair = replace(alone, pair=(i, j, pools))
                if (found := float(np.ravel(carries(pair))[0])) > rate:
                    best, rate = pair, found
    return best


def carries(fleet: Fleet, without: int | None = None) -> Number:
    """Requests/s of all owned chips, or of all but one kind, () or of shape (samples, 1). [1/s]"""
    total: Number = np.float64(0.0)
    paired = fleet.pair[:2] if fleet.pair and without not in fleet.pair[:2] else ()
    for i, kind in enumerate(fleet.kinds):
        if i != without and i not in paired:
            total = total + most(kind.able, np.float64(kind.owned))
    if fleet.pair and paired:
        one, two = (fleet.kinds[i] for i in paired)
        both = most_joined(one.able, one.owned, fleet.pair[2], two.able, two.owned)
        total = total + both[:, None]
    return total


def needed(requests_per_s: Number, fleet: Fleet, new: Kind, way: Way) -> Number:
    """Chips of the added kind, owned ones included, for so many requests/s; inf where none do.

    Of shape (samples or 1,). [1]
    """
    if way.to is None or way.pools is None:
        return np.ravel(fewest(new.able, requests_per_s - carries(fleet)))
    own = fleet.kinds[way.to]
    left = requests_per_s - carries(fleet, way.to)
    return needed_beside(left, own.able, own.owned, way.pools, new.able).chips


def best_way(requests_per_s: float, fleet: Fleet, new: Kind) -> tuple[Way, float]:
    """(the way that takes the fewest chips of the added kind, how many) [1]"""
    best = Way()
    count = float(needed(requests_per_s, fleet, new, best)[0])
    limit = count / WORTH
    for to, own in enumerate(fleet.kinds):
        for pools in joined(own, new):
            way = Way(to, pools)
            if (found := float(needed(requests_per_s, fleet, new, way)[0])) < limit:
                best, count, limit = way, found, found
    return best, count


def limit_of(fleet: Fleet, new: Kind) -> float:
    """Requests/s that are served with any number of chips of a kind that does not do everything
    itself: the owned kind it works with sets the limit. [1/s]
    """
    found = [float(np.ravel(carries(fleet))[0])]
    for to, own in enumerate(fleet.kinds):
        rest = float(np.ravel(carries(fleet, to))[0])
        for pools in joined(own, new):
            splits = np.arange(own.owned // pools.ours.chips + 1)
            alone = most(own.able, own.owned - splits * pools.ours.chips)
            found.append(rest + float(np.max(splits * pools.ours.requests_per_s + alone)))
    return max(found)


def drawn(kind: Kind, view: View) -> Kind:
    """The kind with each of its replicas as `view` has it."""
    able = Able(
        tuple(view(unit) for unit in kind.able.whole),
        tuple((view(one), view(two)) for one, two in kind.able.pools),
    )
    return replace(kind, able=able)


def drawn_fleet(fleet: Fleet, view: View) -> Fleet:
    """The fleet with each of its replicas as `view` has it."""
    pair = fleet.pair and (*fleet.pair[:2], drawn_pools(fleet.pair[2], view))
    return Fleet(tuple(drawn(kind, view) for kind in fleet.kinds), pair)


def drawn_pools(pools: Joined, view: View) -> Joined:
    """The pools with each replica as `view` has it."""
    return replace(pools, ours=view(pools.ours), theirs=view(pools.theirs))


def chosen(kind: Kind, replicas: tuple[tuple[Unit, int], ...]) -> Kind:
    """The kind with only the replicas that are used, and its stand-by: for samples."""
    used = tuple(unit for unit, _ in replicas)
    if len(used) == 2:
        return replace(kind, able=Able(kind.standby, ((used[0], used[1]),)))
    best = max(kind.able.whole, key=lambda u: u.requests_per_s / u.chips, default=None)
    whole = used or ((best,) if best else ())
    return replace(kind, able=Able((*whole, *kind.standby)))


def groups(
    requests_per_s: float, fleet: Fleet, new: Kind | None = None, way: Way | None = None
) -> Iterator[Group]:
    """Who does what, at stated figures: the owned kinds, and with a way the added one."""
    way = way or Way()
    paired = fleet.pair[:2] if fleet.pair and way.to not in fleet.pair[:2] else ()
    for i, kind in enumerate(fleet.kinds):
        if i != way.to and i not in paired:
            yield from _group(kind, division(kind.able, kind.owned))
    if fleet.pair and paired:
        yield from _paired(fleet, fleet.pair)
    if new is None:
        return
    if way.to is None or way.pools is None:
        left = requests_per_s - float(np.ravel(carries(fleet))[0])
        yield from _group(new, enough(new.able, left))
        return
    own = fleet.kinds[way.to]
    left = requests_per_s - float(np.ravel(carries(fleet, way.to))[0])
    found = needed_beside(left, own.able, own.owned, way.pools, new.able)
    ours, theirs = int(found.ours[0]), int(found.theirs[0])
    yield from _pools(own, new, way.pools, ours, theirs)
    yield from _group(own, division(own.able, own.owned - ours * way.pools.ours.chips))
    yield from _group(new, enough(new.able, float(found.rest_per_s[0])))


def _group(kind: Kind, replicas: tuple[tuple[Unit, int], ...]) -> Iterator[Group]:
    if replicas:
        rate = min(n * float(unit.requests_per_s) for unit, n in replicas)
        yield Group(tuple((kind, unit, n) for unit, n in replicas), rate)


def _paired(fleet: Fleet, pair: tuple[int, int, Joined]) -> Iterator[Group]:
    """Two owned kinds in two pools, each with its rest by itself."""
    one, two, pools = fleet.kinds[pair[0]], fleet.kinds[pair[1]], pair[2]
    tried = []
    for ours in range(1, one.owned // pools.ours.chips + 1):
        ideal = ours * pools.ours.requests_per_s / pools.theirs.requests_per_s
        for theirs in {int(np.floor(ideal)), int(np.ceil(ideal))}:
            theirs = min(theirs, two.owned // pools.theirs.chips)
            found = [
                *_pools(one, two, pools, ours, theirs),
                *_group(one, division(one.able, one.owned - ours * pools.ours.chips)),
                *_group(two, division(two.able, two.owned - theirs * pools.theirs.chips)),
            ]
            tried.append(found)
    yield from max(tried, key=lambda groups: sum(group.requests_per_s for group in groups))


def _pools(own: Kind, new: Kind, pools: Joined, ours: int, theirs: int) -> Iterator[Group]:
    """Two pools over two kinds, prompts first."""
    if ours and theirs:
        rate = min(ours * pools.ours.requests_per_s, theirs * pools.theirs.requests_per_s)
        both = ((own, pools.ours, ours), (new, pools.theirs, theirs))
        yield Group(both if pools.prompts_ours else both[::-1], float(rate))
