"""Yields, against published values, and what may be sold, against a simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parity.supply.yields import MODELS, die_yield, negative_binomial, sellable_yield

models = st.sampled_from(MODELS)


@pytest.mark.parametrize(
    ("model", "share"),
    [("poisson", 0.443), ("murphy", 0.468), ("negative-binomial", 0.505), ("seeds", 0.551)],
)
def test_yields_of_814_mm2_at_a_tenth_of_a_defect(model, share):
    assert die_yield(model, 8.14 * 0.1, 2.0, 12.0) == pytest.approx(share, abs=5e-4)


def test_the_negative_binomial_is_seeds_at_one_and_poisson_at_infinity():
    x = np.linspace(0, 4, 9)
    assert negative_binomial(x, 1.0) == pytest.approx(die_yield("seeds", x, 3, 12))
    assert negative_binomial(x, 1e9) == pytest.approx(die_yield("poisson", x, 3, 12), rel=1e-6)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("defects", [0.0, 0.3, 1.0, 3.0])
def test_a_die_that_needs_all_its_cores_is_a_whole_die(model, defects):
    """The average over densities is the closed formula."""
    whole = die_yield(model, defects, 3.0, 12.0)
    sold = sellable_yield(model, defects, 3.0, 12.0, (144, 144, 0.5))
    assert sold == pytest.approx(whole, rel=2e-5)


@pytest.mark.parametrize("alpha", [2.0, 10.0])
def test_what_can_be_sold_is_what_a_simulation_of_dies_gives(alpha):
    rng = np.random.default_rng(7)
    defects, share, made, needed, dies = 1.2, 0.6, 40, 36, 400_000
    density = rng.gamma(alpha, 1 / alpha, dies)
    rest = rng.poisson(defects * (1 - share) * density) == 0
    good_core = np.exp(-defects * share * density / made)
    sold = np.mean(rest & (rng.binomial(made, good_core) >= needed))
    found = sellable_yield("negative-binomial", defects, alpha, 12.0, (needed, made, share))
    assert found == pytest.approx(sold, abs=3e-3)


@given(models, st.floats(0.0, 5.0), st.floats(0.01, 2.0), st.floats(1.0, 10.0))
def test_more_defects_never_yield_more(model, defects, more, alpha):
    few, many = (die_yield(model, x, alpha, 12.0) for x in (defects, defects + more))
    assert 0 < many < few <= 1


@given(models, st.floats(0.0, 5.0), st.integers(1, 40), st.floats(0.1, 0.9))
def test_what_can_be_sold_is_never_less_than_what_is_whole(model, defects, needed, share):
    whole = die_yield(model, defects, 3.0, 12.0)
    sold = sellable_yield(model, defects, 3.0, 12.0, (needed, 40, share))
    assert whole - 1e-4 <= sold <= 1 + 1e-12
    if needed > 1:
        fewer = sellable_yield(model, defects, 3.0, 12.0, (needed - 1, 40, share))
        assert fewer >= sold - 1e-12


def test_samples_broadcast():
    x = np.array([[0.2], [0.8]])
    alpha = np.array([[2.0], [10.0]])
    both = sellable_yield("negative-binomial", x, alpha, 12.0, (30, 36, 0.5))
    each = [
        float(sellable_yield("negative-binomial", a, b, 12.0, (30, 36, 0.5)))
        for a, b in [(0.2, 2.0), (0.8, 10.0)]
    ]
    assert both.ravel() == pytest.approx(each)
