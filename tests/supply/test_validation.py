"""Costs that others published, and how near ours are."""

from __future__ import annotations

import pytest

from parity.catalogue import load
from parity.outputs.accuracy_making import making, verdict
from parity.supply import tables
from parity.supply.recipe import priced_on, recipe_of
from parity.supply.validation import PART_BAR, TOTAL_BAR, published, table
from parity.timing.draw import USUAL_SAMPLES

#: Counted, and outside the bars at the stated figures. Epoch's 720 is its low end; at the median,
#: where the range of the defects of 4NP has its say, it is within.
OUTSIDE = {("b200-sxm", "logic")}


def test_what_is_counted_is_within_the_bars_at_the_median():
    counted = [one for one in table(USUAL_SAMPLES) if one.published.counted]
    assert len(counted) >= 20
    for one in counted:
        bar = TOTAL_BAR if one.published.part == "total" else PART_BAR
        assert abs(one.usd / one.published.usd - 1) <= bar, one.published


def test_at_the_stated_figures_one_is_outside_and_is_named():
    outside = {
        (one.published.chip, one.published.part)
        for one in table()
        if one.published.counted and not one.within
    }
    assert outside == OUTSIDE
    assert "logic of b200-sxm" in verdict(table(USUAL_SAMPLES))


def test_one_source_is_counted_once_for_a_part():
    counted = [(one.chip, one.source, one.part) for one in published() if one.counted]
    assert len(counted) == len(set(counted))


def test_the_page_shows_every_estimate_and_why_one_is_not_counted():
    said, rows = making()
    assert len(rows.rows) == len(published())
    assert "within 25 % and a total within 35 %" in " ".join(said.split())
    left = [row for row in rows.rows if "not counted" in row]
    assert left
    assert all(row[-1] for row in left)


@pytest.mark.parametrize(
    ("day", "dollars"),
    [("2023", 15), ("2025", 15), ("2025-10", 15), ("2025-11", 10.3), ("2026-06", 10.3),
     ("2026-07", 12.4)],
)  # fmt: skip
def test_memory_costs_what_it_cost_on_the_day(day, dollars):
    made = priced_on(recipe_of(load.chip("h200-sxm")), day)
    assert made.memory is not None
    price = made.memory.hbm.usd_per_gb
    assert price is not None
    assert price.value == dollars


def test_the_newest_price_is_taken_where_no_day_is_said():
    for one in tables.memories().values():
        assert one.usd_per_gb == (one.prices[-1].price if one.prices else None)
        assert [price.since for price in one.prices] == sorted(p.since for p in one.prices)


def test_memory_without_a_published_price_is_priced_by_the_user_alone(run):
    words = ("fab", "h20", "--hbm", "6xcxmt-hbm3")
    assert run(*words).code == 3
    parts = run(*words, "--hbm-price", "20", "--json").json["answer"]["parts"]
    (memory,) = (part for part in parts if part["part"] == "memory")
    assert memory["p50"] == pytest.approx(6 * 16 * 20)
