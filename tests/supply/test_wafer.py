"""Dies on a wafer, against counts that others print and against a slower count."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parity.supply.wafer import (
    OFFSETS,
    RETICLE_MM2,
    WAFER_MM,
    closed_dies,
    die_shape,
    edge_dies,
    fields_needed,
    grid_dies,
)


@pytest.mark.parametrize(
    ("area", "by_area", "by_edge"), [(814, 63.5, 57.6), (665.6, 80.4, 72.9), (115, 552.5, 494.6)]
)
def test_the_closed_formulas(area, by_area, by_edge):
    assert closed_dies(area) == pytest.approx(by_area, abs=0.05)
    assert edge_dies(area) == pytest.approx(by_edge, abs=0.05)


@pytest.mark.parametrize(
    ("width", "height", "count"), [(26, 814 / 26, 67), (21.32, 31.22, 85), (26, 800 / 26, 68)]
)
def test_the_grid_count_of_large_dies(width, height, count):
    assert grid_dies(width, height, 3.0, 0.1) == count


def slow_count(width, height, edge, scribe):
    """Die by die, corner by corner."""
    w, h, radius = width + scribe, height + scribe, WAFER_MM / 2 - edge
    best = 0
    for i in range(OFFSETS):
        for j in range(OFFSETS):
            count = 0
            for column in range(-80, 80):
                for row in range(-80, 80):
                    x, y = (column + i / OFFSETS) * w, (row + j / OFFSETS) * h
                    corners = [(x, y), (x + w, y), (x, y + h), (x + w, y + h)]
                    count += all(np.hypot(*corner) <= radius for corner in corners)
            best = max(best, count)
    return best


@pytest.mark.parametrize(("width", "height"), [(26.0, 31.3), (20.0, 12.5)])
def test_the_grid_count_is_that_of_every_corner(width, height):
    assert grid_dies(width, height, 3.0, 0.1) == slow_count(width, height, 3.0, 0.1)


def test_arrays_give_what_numbers_give():
    areas = np.array([[100.0], [400.0], [814.0]])
    each = [float(grid_dies(*die_shape(area), 3.0, 0.1)) for area in areas.ravel()]
    assert grid_dies(*die_shape(areas), 3.0, 0.1).ravel().tolist() == each


@given(st.floats(20, RETICLE_MM2), st.floats(2, 5), st.floats(0.05, 0.2))
def test_dies_never_cover_more_than_the_wafer_and_fewer_fit_within_a_wider_edge(area, edge, scribe):
    width, height = die_shape(area)
    count = grid_dies(width, height, edge, scribe)
    assert count * area <= np.pi * (WAFER_MM / 2 - edge) ** 2
    assert grid_dies(width, height, edge + 1, scribe) <= count
    assert width * height == pytest.approx(area)


def test_a_die_larger_than_the_wafer_does_not_fit():
    assert grid_dies(300.0, 300.0, 3.0, 0.1) == 0
    assert closed_dies(80_000.0) == 0


@pytest.mark.parametrize(("area", "parts"), [(800, 1), (858, 1), (859, 2), (1716, 2), (2600, 4)])
def test_an_area_is_cut_into_as_many_dies_as_the_reticle_asks_for(area, parts):
    assert fields_needed(area) == parts
