"""A scenario worked out: the minimum of its inputs, conservation, and what may never go down."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
from msgspec import structs

from parity.catalogue.machine import central
from parity.errors import Infeasible, UsageError
from parity.record import Fact
from parity.supply import capacity
from parity.supply.cost import cost_of
from parity.supply.lines import made_by_year, recipes_of
from parity.supply.outlook import project
from parity.supply.scenario import POLICIES
from parity.supply.scenario_file import names, scenario
from parity.timing.draw import Sampler

#: Work of one chip over that of an H100, roughly: what the outlook is told, not what it finds.
SPEEDS = {
    "h100-sxm": 1.0, "ascend910b3": 0.3, "ascend910c": 0.8, "ascend950dt": 0.45, "ascend960": 1.0,
    "ascend970": 1.9, "a100-sxm-80": 0.4, "a800-sxm-80": 0.4, "h800-sxm": 0.9, "h20-96": 0.24,
    "h200-sxm": 1.1, "b300-sxm": 2.3, "b200-sxm": 1.9, "ppu-96": 0.12,
}  # fmt: skip
DRAW = Sampler(64)


def worked(name, *typed, draw=DRAW, last=None):
    found = scenario(name, typed)
    found = found.until(last or found.last)
    return project(found, SPEEDS, draw, recipes_of(found))


def fact(value):
    return Fact(value, value, value, "1", "user", "command line")


def test_one_year_of_one_product_is_what_the_one_year_function_counts():
    """In its base year, without stock, the line is `capacity.units_of` with the same inputs."""
    found = scenario("ban-holds", ("common.use_of_stock=0.001",))
    base = found.common.learning_year
    product = structs.replace(found.products["910c"], since=fact(2000))
    memory = structs.replace(found.memory["domestic"], id="imported")
    stacks = structs.replace(memory.stacks, years={base: fact(1e6)}, nothing_after=True)
    found = structs.replace(
        found, first=base, last=base, products={"910c": product}, dies={},
        memory={"imported": structs.replace(memory, stacks=stacks)},
    )  # fmt: skip
    recipe = recipes_of(found)["910c"]
    made = made_by_year(found, np.array([base]), central, {"910c": recipe})["910c"]
    one = capacity.Scenario(
        id="x", title="x", chip="910c", hbm_stacks=fact(1e6),
        wafers_per_month=fact(found.logic["smic"].wafers_per_month.years[base].value),
        share=fact(found.logic["smic"].share.value),
    )  # fmt: skip
    counted = capacity.units_of(one, recipe, cost_of(recipe, central), central)
    assert float(made.units[0, 0]) == pytest.approx(float(counted.units))
    for name in ("logic", "memory"):
        assert float(made.alone[name][0, 0]) == pytest.approx(float(counted.alone[name]))


@pytest.mark.parametrize("name", names())
def test_units_are_the_least_of_what_inputs_give_and_stocks_are_not_used_twice(name):
    found = scenario(name)
    out = worked(name)
    for made in out.made.values():
        least = np.minimum.reduce(np.broadcast_arrays(*made.alone.values()))
        assert made.units == pytest.approx(least)
    recipes = recipes_of(found)
    stacks = sum(
        out.made[key].units.sum(axis=-1) * recipes[key].memory.count
        for key, one in found.products.items()
        if one.memory == "imported"
    )
    assert np.all(stacks <= 13e6)  # all that came in, less what assembly loses


@pytest.mark.parametrize("name", names())
def test_the_fleet_is_no_more_than_all_that_was_made_and_came_in(name):
    out = worked(name)
    bought = np.cumsum(out.units + sum(out.imported.values()), axis=-1)
    assert np.all(out.fleet_chips <= bought * (1 + 1e-9))
    assert np.all(out.fleet <= np.cumsum(out.domestic + out.foreign, axis=-1) * (1 + 1e-9))
    assert sum(out.runs_out().values())[1:] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("few", "many"),
    [
        ("logic.smic.share=0.1", "logic.smic.share=0.4"),
        ("products.970.sold=5%", "products.970.sold=60%"),
        ("memory.domestic.stacks.2027=1M", "memory.domestic.stacks.2027=9M"),
        ("memory.domestic.stacks.growth=1.1", "memory.domestic.stacks.growth=1.5"),
        ("dies.ascend910b.bank.2024=500k", "dies.ascend910b.bank.2024=2M"),
        ("logic.smic.wafers_per_month.growth=1", "logic.smic.wafers_per_month.growth=1.5"),
    ],
)
def test_more_wafers_yield_dies_or_memory_never_give_fewer_chips(few, many):
    less, more = worked("ban-holds", few), worked("ban-holds", many)
    total = [np.cumsum(out.units, axis=-1) for out in (less, more)]
    assert np.all(total[1] >= total[0] * (1 - 1e-9))
    assert np.any(total[1] > total[0])


def test_a_looser_policy_never_gives_less_compute():
    fleets = [worked("ban-holds", f"policy={policy}").fleet for policy in POLICIES]
    assert np.all(fleets[1] >= fleets[0])
    assert np.all(fleets[2] >= fleets[1])
    assert np.all(fleets[2][:, -1] > fleets[0][:, -1])
    assert np.all(worked("ban-lifted").fleet == fleets[2])


def test_the_policy_changes_nothing_before_it_begins():
    held, open_ = worked("ban-holds"), worked("ban-holds", "policy=open")
    before = held.years < 2026
    assert np.array_equal(held.fleet[:, before], open_.fleet[:, before])


def test_scarcer_memory_and_no_further_node_give_less_and_the_ramp_more():
    units = {name: np.median(worked(name).domestic[:, -1]) for name in names()}
    assert units["hbm-limited"] < units["duv-only"] < units["ban-holds"]
    assert units["ban-holds"] < units["ban-lifted"] < units["tsmc-scale-ramp"]


def test_the_published_counts_lie_in_or_near_the_range_of_their_year():
    """2025: 200,000 (BIS, at most) to 812,000 (IDC); 2024: 450,000 (Epoch AI)."""
    out = worked("ban-holds", draw=Sampler(256))
    low, high = np.quantile(out.units, [0.1, 0.9], axis=0)
    at = {int(year): i for i, year in enumerate(out.years)}
    assert low[at[2024]] < 450_000 < high[at[2024]]
    for said in (400_000, 500_000, 800_000, 805_000, 812_000):
        assert low[at[2025]] * 0.95 < said < high[at[2025]] * 1.05
    assert 200_000 < low[at[2025]] < 2 * 200_000  # BIS gives a bound, and it is exceeded
    assert low[at[2026]] < 300_000 < high[at[2026]]


def test_twice_the_speed_of_every_chip_changes_no_year():
    found = scenario("ban-holds")
    twice = {name: 2 * speed for name, speed in SPEEDS.items()}
    one, other = (project(found, each, DRAW, recipes_of(found)) for each in (SPEEDS, twice))
    assert np.array_equal(one.meets, other.meets)
    assert one.coverage == pytest.approx(other.coverage)
    assert np.nan_to_num(one.behind, posinf=-1) == pytest.approx(
        np.nan_to_num(other.behind, posinf=-1)
    )


def test_at_stated_figures_there_is_one_sample():
    out = worked("ban-holds", draw=central)
    assert out.fleet.shape == (1, out.years.size)
    assert out.meets.shape == (1,)


def test_demand_grows_from_what_was_bought():
    out = worked("ban-holds", draw=central)
    at = out.years.tolist().index(2025)
    bought = 531e3 * 0.24 + 295e3 + 200e3 * 0.3 + 600e3 * 0.8 + 265e3 * 0.12
    assert out.demand[0, at] == pytest.approx(bought * 1.068)
    assert out.demand[0, at + 2] == pytest.approx(bought * 1.068 * 1.6**2)


def test_what_a_year_gives_does_not_depend_on_how_far_it_is_worked_out():
    short, long = worked("ban-holds", last=2027), worked("ban-holds", last=2036)
    for name in ("domestic", "fleet", "reference", "demand", "behind"):
        assert getattr(short, name) == pytest.approx(getattr(long, name)[:, : short.years.size])


def test_a_package_that_takes_more_stacks_makes_fewer_chips_of_them():
    four, eight = (worked("ban-holds", f"products.950.stacks={n}") for n in (4, 8))
    at = four.years.tolist().index(2027)
    few, many = (out.made["950"].alone["memory"][:, at] for out in (eight, four))
    assert np.all(few <= many / 2)  # and a few more are lost in assembly
    assert np.all(few > 0.8 * many / 2)


def test_the_growth_of_what_the_reference_bought_is_as_its_note_says():
    found = scenario("ban-holds")
    added = {
        year: sum(
            line.units.years[year].value * SPEEDS[line.chip]
            for line in found.reference.values()
            if year in line.units.years
        )
        for year in range(2023, 2027)
    }
    grown = [added[year] / added[year - 1] for year in (2024, 2025, 2026)]
    assert grown == pytest.approx([3.2, 2.4, 1.8], abs=0.06)


@pytest.mark.parametrize("path", sorted(scenario("ban-holds").figures()))
def test_no_figure_leads_to_a_number_that_is_none_or_to_a_warning(path):
    """Refused in words, or worked out: never a traceback, never a NaN."""
    for value in (0.001, 0.5, 1000.0, 1e16):
        with suppress(UsageError, Infeasible):
            found = scenario("ban-holds", (f"{path}={value:.3f}",))
            out = project(found, SPEEDS, Sampler(8), recipes_of(found))
            for name in ("domestic", "foreign", "fleet", "reference", "demand", "behind", "units"):
                assert not np.isnan(getattr(out, name)).any(), name
            assert np.all(out.fleet >= 0)
