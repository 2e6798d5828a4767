"""What is missed beyond the ranges of figures: how it is drawn, and what two chips share of it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parity.catalogue.load import chip, chips
from parity.catalogue.machine import central
from parity.timing.draw import Recorder, Sampler
from parity.timing.misses import Miss, drawn_apart, drawn_by, missed, misses, stretched

MANY = Sampler(4096)
ends = st.floats(0.0, 1.0)


@st.composite
def parts(draw: st.DrawFn) -> tuple[float, float, float]:
    """Parts of a variance that sum to 1."""
    family = draw(st.floats(0.0, 1.0))
    vendor = draw(st.floats(0.0, 1.0)) * family
    return vendor, family - vendor, 1.0 - family


@pytest.mark.parametrize("task", ["training", "serving"])
def test_at_stated_figures_nothing_is_missed(task) -> None:
    assert missed(task, "current", chip("h100"), central) == 1.0


@given(parts(), ends, ends)
def test_four_of_five_samples_lie_between_the_ends(shares, down: float, up: float) -> None:
    keys = drawn_by("serving", "current", chip("h100"))
    drawn = stretched(drawn_apart(shares, keys, MANY), Miss(-down, up))
    low, middle, high = np.quantile(drawn, [0.1, 0.5, 0.9])
    assert (low, middle, high) == pytest.approx((-down, 0.0, up), abs=0.05 * (down + up) + 1e-9)


@given(parts())
def test_what_is_common_to_two_chips_is_as_correlated_as_its_share(shares) -> None:
    vendor, family, _ = shares
    one, kin, other = (
        np.ravel(drawn_apart(shares, drawn_by("serving", "current", chip(name)), MANY))
        for name in ("h100", "h200", "a100")
    )
    assert np.corrcoef(one, kin)[0, 1] == pytest.approx(vendor + family, abs=0.06)
    assert np.corrcoef(one, other)[0, 1] == pytest.approx(vendor, abs=0.06)


@pytest.mark.parametrize("task", ["training", "serving"])
def test_chips_of_two_vendors_and_two_engines_share_nothing(task) -> None:
    keys = [
        set(drawn_by(task, generation, chip(name)))
        for generation, name in (("current", "h100"), ("current", "mi300x"), ("other", "h100"))
    ]
    assert not keys[0] & keys[1]
    assert not keys[0] & keys[2]


def test_a_chip_is_drawn_by_names_of_its_own() -> None:
    last = {drawn_by("serving", "current", one)[-1] for one in chips()}
    assert len(last) == len(chips())
    assert {key.count("/") for key in last} == {2}


def test_who_shares_nothing_draws_one_number() -> None:
    seen = Recorder(Sampler(16))
    drawn_apart((0.0, 0.0, 1.0), drawn_by("serving", "current", chip("h100")), seen)
    assert len(seen.columns) == 1


@pytest.mark.parametrize("task", ["training", "serving"])
def test_the_file_is_of_shares_and_of_ranges_around_what_is_predicted(task) -> None:
    known = misses(task)
    assert 0 <= known.vendor <= known.family <= 1
    assert sum(known.parts) == pytest.approx(1.0)
    assert known.of("nobody's") == known.others
    assert all(one.low <= 0 <= one.high for one in (known.others, *known.classes.values()))
