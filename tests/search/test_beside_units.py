"""Replicas behind a router: what numbers of them carry, against every number tried by hand."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parity.search.beside_units import (
    Able,
    Joined,
    Unit,
    carried,
    division,
    enough,
    fewest,
    most,
    most_joined,
    needed_beside,
    worthwhile,
)

NOBODY: Any = None  # what a replica is of, which its numbers do not ask


def unit(chips: int, requests_per_s: float) -> Unit:
    return Unit(chips, requests_per_s, NOBODY, NOBODY)


units = st.builds(unit, st.integers(1, 8), st.floats(0.1, 10))
ables = st.builds(
    Able,
    st.lists(units, max_size=2).map(tuple),
    st.lists(st.tuples(units, units), max_size=1).map(tuple),
)
pools = st.builds(Joined, units, units, st.booleans())
loads = st.floats(0.01, 60)


def by_hand(able: Able, chips: int) -> float:
    """Requests/s of at most so many chips: every number of replicas."""
    rates = [chips // one.chips * one.requests_per_s for one in able.whole]
    for prompts, tokens in able.pools:
        for n in range(1, chips // prompts.chips + 1):
            rest = (chips - n * prompts.chips) // tokens.chips
            rates.append(min(n * prompts.requests_per_s, rest * tokens.requests_per_s))
    return max(rates, default=0.0)


@given(ables, st.integers(0, 40))
def test_what_chips_carry_is_the_best_of_every_division(able: Able, chips: int) -> None:
    assert float(most(able, chips)) == pytest.approx(by_hand(able, chips))
    assert carried(division(able, chips)) == pytest.approx(by_hand(able, chips))


@given(ables, loads)
def test_the_fewest_chips_carry_a_load_and_one_less_does_not(able: Able, load: float) -> None:
    count = float(fewest(able, load))
    if not (able.whole or able.pools):
        assert count == np.inf
        return
    assert by_hand(able, int(count)) >= load * (1 - 1e-6)
    assert by_hand(able, int(count) - 1) < load
    assert sum(one.chips * n for one, n in enough(able, load)) == count
    assert carried(enough(able, load)) >= load * (1 - 1e-6)


def joined_by_hand(load: float, own: Able, chips: int, both: Joined, new: Able) -> float:
    """Chips of the new kind: every split of the owned one with every number of the new in pools."""
    best = np.inf
    for n in range(chips // both.ours.chips + 1):
        rest = load - by_hand(own, chips - n * both.ours.chips)
        most_theirs = int(np.ceil(n * both.ours.requests_per_s / both.theirs.requests_per_s))
        for theirs in range(most_theirs + 1):
            rates = n * both.ours.requests_per_s, theirs * both.theirs.requests_per_s
            left = rest - min(rates)
            alone = float(fewest(new, left)) if left > 1e-6 * load else 0.0
            best = min(best, theirs * both.theirs.chips + alone)
    return best


@given(loads, ables, st.integers(0, 24), pools, ables)
def test_two_pools_take_no_replica_more_than_the_best_of_every_split(
    load: float, own: Able, chips: int, both: Joined, new: Able
) -> None:
    found = needed_beside(load, own, chips, both, new)
    expected = joined_by_hand(load, own, chips, both, new)
    assert expected <= float(found.chips[0]) <= expected + both.theirs.chips
    if np.isfinite(found.chips[0]):
        ours, theirs = int(found.ours[0]), int(found.theirs[0])
        passed = min(ours * both.ours.requests_per_s, theirs * both.theirs.requests_per_s)
        rest = by_hand(own, chips - ours * both.ours.chips)
        assert passed + rest + float(found.rest_per_s[0]) >= load * (1 - 1e-6)


@given(loads, ables, st.integers(0, 24), pools, ables, st.integers(0, 8), st.floats(1, 2))
def test_more_owned_never_needs_more_and_more_load_never_less(
    load: float, own: Able, chips: int, both: Joined, new: Able, extra: int, factor: float
) -> None:
    count = float(needed_beside(load, own, chips, both, new).chips[0])
    assert float(needed_beside(load, own, chips + extra, both, new).chips[0]) <= count
    assert float(needed_beside(load * factor, own, chips, both, new).chips[0]) >= count


@given(ables, st.integers(0, 24), pools, ables, st.integers(0, 24))
def test_two_owned_kinds_in_pools_carry_no_less_than_each_by_itself(
    own: Able, chips: int, both: Joined, other: Able, others: int
) -> None:
    alone = float(most(own, chips)) + float(most(other, others))
    assert float(most_joined(own, chips, both, other, others)[0]) >= alone * (1 - 1e-9)


def test_samples_are_each_answered_as_if_alone() -> None:
    rates = np.array([[1.0], [2.0], [4.0]])
    able, both = Able((unit(4, 3.0),)), Joined(unit(2, 2.0), Unit(4, rates, NOBODY, NOBODY), True)
    new = Able((Unit(2, rates / 4, NOBODY, NOBODY),))
    at_once = needed_beside(9.0, able, 12, both, new).chips
    for i, rate in enumerate(rates[:, 0]):
        one = Joined(both.ours, unit(4, rate), prompts_ours=True)
        alone = needed_beside(9.0, able, 12, one, Able((unit(2, rate / 4),)))
        assert at_once[i] == alone.chips[0]


def test_pools_of_one_kind_must_save_a_twentieth() -> None:
    whole, close = unit(1, 1.0), (unit(1, 2.06), unit(1, 2.06))
    assert worthwhile(Able((whole,), (close,))).pools == ()
    assert worthwhile(Able((whole,), ((unit(1, 2.2), unit(1, 2.2)),))).pools
