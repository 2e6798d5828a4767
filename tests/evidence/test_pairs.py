"""Ratios of chips: measured in one source, predicted from the same two rows."""

import numpy as np
import pytest

from parity.evidence import read
from parity.evidence.pairs import ALIKE, Pair, by_chips, pair_summary, pairs
from parity.evidence.validate import validate


@pytest.fixture(scope="module")
def everything():
    rows = (*read.bundled(), *read.bundled_serving())
    return pairs(rows, validate().rows)


def pair(measured, predicted):
    return Pair("serving", "s", "m", "a", "b", measured, predicted)


def test_a_pair_is_two_chips_that_did_the_same(everything):
    assert len(everything) > 1000
    assert all(one.first < one.second for one in everything)
    assert {one.kind for one in everything} == {"training", "serving"}
    found = by_chips(everything)
    assert sum(map(len, found.values())) == len(everything)
    assert len(found["h100-sxm", "h200-sxm"]) > 50


def test_the_faster_chip_is_the_faster_one_whatever_the_metric(everything):
    """H200 is an H100 with more memory and bandwidth: never much slower, in times as in rates."""
    ratios = [
        one.measured for one in everything if (one.first, one.second) == ("h100-sxm", "h200-sxm")
    ]
    assert 0.6 < np.median(ratios) < 1.0
    assert np.quantile(ratios, 0.9) < 1.05


@pytest.mark.parametrize("kind", ["training", "serving"])
def test_ratios_are_predicted_better_than_times(everything, kind):
    found = pair_summary([one for one in everything if one.kind == kind])
    assert found.median_abs_error <= 0.12
    assert found.kendall_tau >= 0.85


def test_orders_count_where_chips_are_apart():
    wrong, right, alike = pair(2.0, 0.5), pair(2.0, 1.5), pair(1 + ALIKE / 2, 0.5)
    assert pair_summary([right]).kendall_tau == 1
    assert pair_summary([wrong]).kendall_tau == -1
    assert pair_summary([wrong, right, alike]).kendall_tau == 0
    assert pair_summary([right]).median_abs_error == pytest.approx(0.25)
