"""A chip of one's own: what a known chip is, what a change implies, and what breaks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from parity.catalogue.build import parse_toml, read_record
from parity.catalogue.figures import Place
from parity.catalogue.files import Text
from parity.catalogue.load import catalogue, chip
from parity.catalogue.machine import central
from parity.catalogue.schema import Chip
from parity.errors import UsageError
from parity.supply import tables
from parity.supply.cost import cost_of
from parity.supply.custom import cooling_of, exact, figures, from_chip, making, recipe
from parity.supply.custom_change import (
    closed,
    cut,
    like,
    on_node,
    with_clock,
    with_dies,
    with_links,
    with_logic,
    with_memory,
)
from parity.supply.custom_chip import as_chip, at_end, to_toml
from parity.supply.custom_limits import feasible, limits
from parity.supply.recipe import recipe_of
from parity.timing.draw import Sampler

SAMPLES = Sampler(64)
KNOWN = ["h100", "a100", "h20", "h200", "v100", "b200-sxm", "910b", "ascend910c", "mi250x"]


def codes(design):
    return [one.code for one in limits(design, figures(design, central)) if one.severity == "error"]


@pytest.mark.parametrize("name", KNOWN)
def test_a_known_chip_comes_back_as_it_is(name):
    known = chip(name)
    at = figures(from_chip(known), central)
    peak = known.compute.dense.bf16 or known.compute.dense.fp16
    assert at.peak_flop_per_s == pytest.approx(peak.value)
    assert at.memory_bytes == pytest.approx(known.memory.capacity.value)
    assert at.memory_bytes_per_s == pytest.approx(known.memory.bandwidth.value)
    assert at.tdp_w == pytest.approx(known.physical.tdp.value)
    assert at.sram_bytes == pytest.approx(known.memory.sram.value)
    assert sum(at.plan.areas.values()) == pytest.approx(known.physical.die_area.value, rel=0.01)
    assert codes(from_chip(known)) == []


@pytest.mark.parametrize("name", ["h100", "a100", "h20", "b200-sxm"])
def test_a_known_chip_costs_what_fab_says(name):
    design = from_chip(chip(name))
    own, _ = making(design, figures(design, central), central)
    theirs = cost_of(recipe_of(chip(name)), central)
    assert own.parts["memory"] == theirs.parts["memory"]
    assert own.total_usd == pytest.approx(theirs.total_usd, rel=0.06)


def test_its_dies_close_around_its_blocks():
    for name in KNOWN:
        design = from_chip(chip(name))
        assert closed(design).whole_mm2 == pytest.approx(design.whole_mm2)


def test_a_stack_more_takes_area_interposer_watts_and_dollars():
    base = from_chip(chip("h100"))
    more = closed(with_memory(base, base.memory.hbm, 6))
    assert more.whole_mm2 == base.whole_mm2  # a place for a sixth is there already
    wide = closed(with_dies(with_memory(base, base.memory.hbm, 9), 2))
    was, now = (figures(one, central) for one in (base, wide))
    assert now.plan.areas["HBM PHYs"] == pytest.approx(1.5 * was.plan.areas["HBM PHYs"])
    assert now.memory_bytes_per_s == pytest.approx(9 / 5 * was.memory_bytes_per_s)
    assert now.power.memory == pytest.approx(9 / 5 * was.power.memory)
    assert now.plan.macs == pytest.approx(was.plan.macs)
    old, new = (making(one, figures(one, central), central)[0] for one in (base, wide))
    assert new.packaging.interposer_mm2 > old.packaging.interposer_mm2
    assert new.parts["memory"] == pytest.approx(9 / 5 * old.parts["memory"])


def test_stacks_beyond_the_edges_are_refused():
    base = from_chip(chip("h20"))
    assert codes(closed(with_memory(base, base.memory.hbm, 6))) == []
    assert "P124" in codes(closed(with_memory(base, base.memory.hbm, 8)))
    assert codes(closed(with_dies(with_memory(base, base.memory.hbm, 8), 2))) == []


def test_limits_of_reticle_package_area_and_heat():
    base = from_chip(chip("h100"))
    assert "P121" in codes(closed(with_logic(base, 2.0)))
    assert "P122" in codes(cut(with_memory(with_logic(base, 6.0), base.memory.hbm, 12)))
    assert "P123" in codes(replace(base, whole_mm2=700.0))
    assert "P125" in codes(replace(base, budget_w=100.0))
    hot = with_clock(base, exact(2.9, "1"))
    assert "P125" in codes(hot)
    air = replace(base, cooling=cooling_of(base, figures(base, central)))
    assert air.cooling.id == "air"
    assert "P125" in codes(with_clock(air, exact(2.4, "1")))
    assert not feasible(hot, figures(hot, central))


def test_sram_that_cannot_feed_the_matrix_units_is_a_warning():
    base = from_chip(chip("h100"))
    bare = replace(base, split=(base.split[0] + base.split[2] - 1, base.split[1], 1.0))
    (found,) = [one for one in limits(bare, figures(bare, central)) if one.code == "P224"]
    assert found.severity == "warning"
    assert "P224" not in [one.code for one in limits(base, figures(base, central))]


def test_less_power_slows_the_matrix_units_and_nothing_else():
    base = from_chip(chip("h100"))
    capped = figures(replace(base, budget_w=450.0), central)
    free = figures(base, central)
    assert capped.tdp_w == pytest.approx(450.0, rel=1e-4)
    assert 450 / 700 < capped.peak_flop_per_s / free.peak_flop_per_s < 1
    assert capped.memory_bytes_per_s == free.memory_bytes_per_s
    assert capped.clock < 1


def test_hotter_chips_are_charged_for_their_cooling():
    base = from_chip(chip("h100"))
    fast = with_clock(base, exact(2.1, "1"))
    at = figures(fast, central)
    assert cooling_of(fast, at).id == "cold-plate"
    assert making(fast, at, central)[1] == pytest.approx(0.365 * at.tdp_w)
    # Voltage rises with the clock: more energy for each operation.
    was = figures(base, central)
    assert at.power.matrix / was.power.matrix > at.peak_flop_per_s / was.peak_flop_per_s


def test_another_node_keeps_what_it_holds_in_other_area_and_power():
    base = from_chip(chip("h100"))
    moved = closed(on_node(base, tables.node("tsmc-3e")))
    was, now = figures(base, central), figures(moved, central)
    assert now.peak_flop_per_s == pytest.approx(was.peak_flop_per_s)
    assert now.sram_bytes == pytest.approx(was.sram_bytes)
    assert moved.whole_mm2 < base.whole_mm2
    assert now.plan.areas["HBM PHYs"] > 0.7 * was.plan.areas["HBM PHYs"]  # they hardly shrink
    assert now.tdp_w < was.tdp_w


def test_a_design_like_another_is_all_predicted_and_says_how_sure_that_is():
    own = closed(like(from_chip(chip("h100")), "own"))
    over = figures(own, SAMPLES)
    assert np.ptp(over.peak_flop_per_s) > 0
    made = as_chip(own, figures(own, central), over)
    assert made.compute.dense.bf16.low < made.compute.dense.bf16.value
    assert made.compute.dense.bf16.value < made.compute.dense.bf16.high
    low, high = at_end(made, "low"), at_end(made, "high")
    assert low.compute.dense.bf16.value < high.compute.dense.bf16.value
    assert low.physical.die_area == made.physical.die_area


def test_links_of_another_kind_are_of_that_kind_alone():
    base = from_chip(chip("h100"))
    fewer = with_links(base, 9)
    assert figures(fewer, central).link_bytes_per_s == pytest.approx(225e9)
    newer = with_links(base, 18, "nvlink5")
    assert figures(newer, central).link_bytes_per_s == pytest.approx(900e9)
    assert newer.held.ports.links == 0
    assert with_links(base, 9).held.ports.links == 9


def test_a_saved_design_is_a_chip_of_the_catalogue():
    design = replace(from_chip(chip("h20")), name="own")
    made = as_chip(design, figures(design, central), figures(design, SAMPLES))
    text = Text(1, "chips", "own", "own.toml", to_toml(made).encode())
    table = {key: value for key, value in parse_toml(text).items() if key != "sources"}
    back = read_record(table, Chip, Place("own.toml"), "own", catalogue().sources)
    assert back == made


def test_chips_that_no_design_can_start_from():
    with pytest.raises(UsageError, match="dies of several kinds"):
        from_chip(chip("mi300x"))
    with pytest.raises(UsageError, match="node of `groq"):
        from_chip(chip("groq"))


def test_the_recipe_harvests_as_the_chip_it_is_like():
    (die,) = recipe(from_chip(chip("h100"))).dies
    assert (die.needed, die.cores) == (132, 144)
