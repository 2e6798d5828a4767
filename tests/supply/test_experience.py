"""Experience curves, the change of products, lives of chips, and how far one fleet is behind."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parity.supply.experience import (
    experience,
    first_year,
    in_use,
    learned_defects,
    product_shares,
    surviving,
    wright,
    years_behind,
)

YEARS = np.arange(2022, 2031)


@pytest.mark.parametrize(
    ("ratio", "learning", "left"), [(2, 0.2, 0.8), (8, 0.2, 0.512), (4, 0.0, 1.0), (0.5, 0.2, 1.25)]
)
def test_each_doubling_takes_off_the_learning_rate(ratio, learning, left):
    assert wright(1.0, ratio, learning) == pytest.approx(left)


def test_defects_stop_at_the_mature_node_and_one_that_began_below_it_stays():
    assert learned_defects(0.2, 1e6, 0.2, 0.09) == 0.09
    assert learned_defects(0.05, 4.0, 0.2, 0.09) == 0.05


def test_experience_is_one_in_the_base_year_or_the_first_in_which_something_is_made():
    made = np.array([[1.0, 1.0, 2.0, 4.0], [0.0, 0.0, 0.0, 3.0]])
    assert experience(made, 1).tolist() == [[0.5, 1.0, 2.0, 4.0], [1.0, 1.0, 1.0, 1.0]]


def test_a_product_takes_the_lines_within_its_ramp():
    since = np.array([2022.0, 2025.0])[:, None]
    shares = product_shares(YEARS, since, 2.0)
    assert shares[0, :4].tolist() == [0.25, 0.75, 1.0, 0.75]
    assert shares[1, 3:6].tolist() == [0.25, 0.75, 1.0]


@given(
    st.lists(st.floats(2018, 2032), min_size=1, max_size=5), st.floats(0.1, 5),
)  # fmt: skip
def test_shares_of_products_never_sum_to_more_than_one(since, ramp):
    shares = product_shares(YEARS, np.array(since)[:, None], ramp)
    assert np.all(shares >= 0)
    assert np.all(shares.sum(axis=0) <= 1 + 1e-12)


def test_half_of_the_chips_are_gone_about_their_life_and_hardly_any_at_first():
    assert surviving(0.0, 5.0, 1.5) == 1.0
    assert surviving(5.0, 5.0, 1.5) == pytest.approx(0.5, abs=0.01)
    assert surviving(1.0, 5.0, 1.5) > 0.98
    assert surviving(-1.0, 5.0, 1.5) == 0.0


@settings(max_examples=40)
@given(
    st.lists(st.floats(0, 1e7), min_size=2, max_size=12), st.floats(1, 12), st.floats(0.2, 4),
)  # fmt: skip
def test_the_fleet_is_the_sum_of_its_vintages_and_never_more_than_was_bought(bought, life, spread):
    bought = np.array([bought])
    vintages = in_use(bought, np.array([life]), np.array([spread]))
    fleet = vintages.sum(axis=-2)
    assert vintages.shape == (1, bought.size, bought.size)
    assert np.all(np.tril(vintages[0], -1) == 0)  # none before it was bought
    assert np.all(fleet <= np.cumsum(bought, axis=-1) * (1 + 1e-9))
    assert np.all(np.diff(vintages[0], axis=-1)[np.triu_indices(bought.size - 1)] <= 1e-6)


def test_years_behind_a_fleet_that_doubles_each_year():
    of = np.arange(2020, 2031)
    other = 2.0 ** (of - 2020.0)[None, :]
    years = np.arange(2024, 2026)
    own = np.array([[4.0, 2**2.5]])
    assert years_behind(own, other, years, of)[0] == pytest.approx([2.0, 2.5])
    own = np.array([[0.5, 1e9]])
    assert years_behind(own, other, years, of)[0].tolist() == [np.inf, 0.0]


@given(st.floats(0.5, 5000), st.floats(1.0, 3.0))
def test_a_larger_fleet_is_never_further_behind(own, more):
    of = np.arange(2020, 2031)
    other = 2.0 ** (of - 2020.0)[None, :]
    small, large = (
        years_behind(np.array([[size]]), other, np.array([2030]), of)[0, 0]
        for size in (own, own * more)
    )
    assert large <= small


def test_a_reference_that_shrinks_again_is_met_where_it_first_was_as_large():
    of = np.arange(2020, 2025)
    other = np.array([[1.0, 4.0, 16.0, 2.0, 1.0]])
    behind = years_behind(np.array([[2.0, 20.0]]), other, np.array([2024, 2024]), of)
    assert behind[0] == pytest.approx([3.5, 0.0])


def test_the_first_year_that_is_enough_or_never():
    enough = np.array([[False, True, False, True], [False] * 4])
    assert first_year(enough, YEARS[:4]).tolist() == [2023.0, np.inf]
