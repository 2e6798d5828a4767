"""Costs of dies, packages and chips, against worked examples, and what must hold of any."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from parity.catalogue import load
from parity.catalogue.machine import central
from parity.errors import BadQuantity, Infeasible, MissingFact, UnknownName, UsageError
from parity.record import Fact
from parity.supply import recipe, tables
from parity.supply.carbon import carbon_kg_per_cm2
from parity.supply.cost import PARTS, cost_of
from parity.supply.package import lost_in_assembly, packaging
from parity.supply.recipe import DieRecipe, Recipe
from parity.timing.draw import Sampler


def fact(value, unit="1"):
    return Fact(value, value, value, unit, "user", "command line")


def made_of(area, node="tsmc-5", *, count=1, hbm="5xhbm3", **figures):
    where = structs.replace(
        tables.node(node), **{name: fact(value) for name, value in figures.items()}
    )
    die = DieRecipe(name="die", node=where, area=fact(area, "mm2"), count=count)
    stacks = recipe.parse_stacks(hbm)
    sites = stacks.count if stacks else 0
    package = recipe.usual_package((die,), stacks, sites)
    return Recipe(name="x", dies=(die,), package=package, memory=stacks, sites=sites)


def total(one):
    return float(cost_of(one, central).total_usd)


class TestDies:
    @pytest.mark.parametrize(
        ("wafer", "good", "usd"),
        [(16_988, 71.4, 238), (13_400, 65, 206), (13_500, 32, 422)],
        ids=["CSET, 610 mm2 at 5 nm", "szyunze, H100", "910B, 80 dies at 40 %"],
    )
    def test_a_good_die_is_a_wafer_over_good_dies(self, wafer, good, usd):
        one = made_of(610.0, wafer_usd=float(wafer))
        gross = float(cost_of(one, central).dies[0].per_wafer)
        die = cost_of(recipe.selling(one, good / gross), central).dies[0]
        assert float(die.good_usd) == pytest.approx(usd, abs=1)

    @pytest.mark.parametrize(("wafer", "sold", "usd"), [(15_000, 0.85, 520), (20_000, 0.6, 980)])
    def test_the_two_dies_of_a_b200_span_what_epoch_says(self, wafer, sold, usd):
        one = recipe.selling(made_of(800.0, "tsmc-4np", count=2, wafer_usd=float(wafer)), sold)
        cost = cost_of(one, central)
        assert float(cost.parts["silicon"] + cost.parts["die yield loss"]) == pytest.approx(
            usd, rel=0.005
        )

    def test_carbon_of_seven_nanometres_is_acts_sum(self):
        per_cm2 = carbon_kg_per_cm2(tables.node("tsmc-7"), central)
        assert per_cm2 == pytest.approx((2.15 * 481 + 350 + 500) / 1000)
        cost = cost_of(recipe.selling(made_of(500.0, "tsmc-7", hbm="none"), 0.5), central)
        assert float(cost.dies[0].carbon_kg) == pytest.approx(5 * per_cm2 / 0.5)

    def test_a_node_without_a_figure_has_no_carbon(self):
        assert cost_of(made_of(500.0, "tsmc-2"), central).carbon_kg is None


class TestPackage:
    def test_what_is_lost_is_chiplet_actuarys_sum(self):
        pack = packaging(made_of(814.0), 814.0, central)
        y1, y2, y3 = (float(y) for y in (pack.interposer_yield, pack.bond_yield, pack.attach_yield))
        lost = (
            float(pack.interposer_usd) * (1 / (y1 * y2 * y3) - 1)
            + float(pack.substrate_usd) * (1 / y3 - 1)
            + 1500.0 * (1 / (y2 * y3) - 1)
        )
        assert lost_in_assembly(pack, 300.0, 1200.0) == pytest.approx(lost)
        assert y2 == pytest.approx(0.985**6)

    def test_interposers_on_a_wafer_are_as_many_as_reported_for_h100(self):
        pack = cost_of(recipe.recipe_of(load.chip("h100")), central).packaging
        assert 27 <= float(pack.per_wafer) <= 30  # about 28 packages a wafer

    def test_a_stacked_die_takes_no_interposer(self):
        one = recipe.recipe_of(load.chip("mi300x"))
        fields = recipe.interposer_fields(one.dies, one.memory, one.sites, one.package)
        flat = tuple(structs.replace(die, stacked=False) for die in one.dies)
        assert one.package.id == "cowos-s"
        assert recipe.interposer_fields(flat, one.memory, one.sites, one.package) > fields + 1

    def test_a_package_that_is_too_large_says_which_holds_it(self):
        one = made_of(850.0, count=3, hbm="8xhbm3")
        assert one.package.id == "cowos-l"
        small = structs.replace(one, package=tables.package("cowos-s"))
        with pytest.raises(Infeasible, match="reticles") as raised:
            recipe.check_package(small)
        assert raised.value.findings[0].code == "P122"
        assert "cowos-l" in raised.value.findings[0].fix


class TestRecipes:
    def test_every_chip_that_is_listed_is_of_the_catalogue_and_has_a_cost(self):
        for name in tables.makings():
            one = recipe.recipe_of(load.chip(name))
            recipe.check_package(one)
            assert total(one) > 0, name

    def test_every_chip_either_has_a_cost_or_says_what_is_missing(self):
        priced, refused = 0, {}
        for chip in load.chips():
            try:
                one = recipe.recipe_of(chip)
                recipe.check_package(one)
                priced += total(one) > 0
            except (MissingFact, UsageError, Infeasible) as error:
                refused[chip.id] = str(error)
        assert priced >= 60
        assert [name for name, said in refused.items() if name not in said] == []

    def test_the_stacks_of_a_listed_chip_hold_what_the_catalogue_says(self):
        for name in tables.makings():
            chip, one = load.chip(name), recipe.recipe_of(load.chip(name))
            stated = chip.memory.capacity.value / 1e9
            assert one.memory.count * one.memory.gb == pytest.approx(stated, rel=0.08), name

    def test_an_area_that_is_typed_is_taken(self):
        typed = load.chip("h20")
        from parity.catalogue.spec import override

        one = recipe.recipe_of(override(typed, "die.area", "700mm2"))
        assert one.dies[0].area.value == 700

    def test_a_die_beyond_the_reticle_is_refused_with_a_way_out(self):
        with pytest.raises(Infeasible) as raised:
            recipe.check_die(made_of(1200.0).dies[0], "x")
        (finding,) = raised.value.findings
        assert finding.code == "P121"
        assert "--die 600mm2 --dies 2" in finding.fix

    def test_the_same_transistors_on_a_sparser_node_take_more_dies(self):
        own = recipe.recipe_of(load.chip("h20"))
        moved = recipe.same_transistors(own, tables.node("smic-n2"))
        assert moved.dies[0].count == 2
        area = moved.dies[0].area.value * 2
        assert area == pytest.approx(814 * 137.6 / 89, rel=1e-6)

    @pytest.mark.parametrize(
        ("words", "node"),
        [("SMIC N+2", "smic-n2"), ("n7", "tsmc-7"), ("4N", "tsmc-4n"), ("N7+", "tsmc-7plus"),
         ("tsmc n3e", "tsmc-3e"), ("TSMC-5", "tsmc-5"), ("n2", "tsmc-2"), ("n+3", "smic-n3")],
    )  # fmt: skip
    def test_nodes_are_found_by_the_names_people_use(self, words, node):
        assert tables.node(words).id == node

    def test_no_two_nodes_claim_the_same_words_of_the_catalogue(self):
        claimed = [(one.foundry, word) for one in tables.nodes().values() for word in one.processes]
        assert len(claimed) == len(set(claimed))

    @pytest.mark.parametrize("words", ["5hbm3", "0xhbm3", "999xhbm3", "5xhbm3:999", "xhbm3", "5x"])
    def test_stacks_that_cannot_be_are_refused(self, words):
        with pytest.raises(BadQuantity, match=r"hbm|stack"):
            recipe.parse_stacks(words)

    @pytest.mark.parametrize("words", ["145/144", "0/144", "144", "a/b", "1/99999"])
    def test_a_harvest_that_cannot_be_is_refused(self, words):
        with pytest.raises(BadQuantity, match="--harvest"):
            recipe.parse_harvest(words)

    def test_unknown_names_come_with_the_nearest(self):
        with pytest.raises(UnknownName, match="smic-n2"):
            tables.node("smic-m2")
        with pytest.raises(UnknownName, match="hbm3e"):
            tables.memory("hbm3f")
        with pytest.raises(UnknownName, match="poisson"):
            recipe.yield_model("poison")


class TestSources:
    def test_every_figure_has_a_source_and_every_source_is_used(self):
        used = set()

        def walk(value):
            if isinstance(value, Fact):
                assert tables.source(value.source).title
                assert value.low <= value.value <= value.high
                used.add(value.source)
                used.update(other.source for other in value.also)
            elif isinstance(value, tuple):
                for item in value:
                    walk(item)
            elif hasattr(value, "__struct_fields__"):
                for name in value.__struct_fields__:
                    walk(getattr(value, name))
            elif isinstance(value, dict):
                for item in value.values():
                    walk(item)

        from parity.supply import blocks, capacity, validation

        for read in (
            blocks.logic, blocks.arrays, blocks.phys, blocks.rest, blocks.joint, blocks.energy,
            blocks.scales, blocks.coolings, blocks.cores, blocks.known,
        ):  # fmt: skip
            walk(read())
        for read in (tables.nodes, tables.memories, tables.packages, tables.designs, tables.dies):
            walk(read())
        walk(tables.emissions())
        walk(tables.constants())
        walk(tables.substrate())
        scenarios = [capacity.scenario(name) for name in capacity.names()]
        walk(tuple(scenarios))
        used |= {one.source for each in scenarios for one in each.estimates}
        used |= {one.source for one in validation.published()}
        assert set(tables.sources()) - used == set()

    def test_what_was_read_was_read_in_a_source_that_was(self):
        for node in tables.nodes().values():
            for name in node.__struct_fields__:
                figure = getattr(node, name)
                if isinstance(figure, Fact) and figure.provenance == "read":
                    assert tables.source(figure.source).seen in ("read", "secondary"), node.id


areas = st.floats(50.0, 850.0)
shares = st.floats(0.05, 1.0)


@settings(max_examples=40)
@given(areas, st.floats(0.02, 1.0), st.floats(1.05, 3.0))
def test_more_defects_cost_more(area, density, factor):
    clean, dirty = (made_of(area, defects_per_cm2=each) for each in (density, density * factor))
    assert total(clean) < total(dirty)


@settings(max_examples=40)
@given(areas, shares, st.floats(1.01, 3.0))
def test_a_dearer_wafer_costs_more_and_a_better_yield_less(area, share, factor):
    one = recipe.selling(made_of(area, wafer_usd=10_000.0), share)
    dearer = recipe.selling(made_of(area, wafer_usd=10_000.0 * factor), share)
    assert total(one) < total(dearer)
    assert total(recipe.selling(one, min(share * factor, 1.0))) <= total(one)


@settings(max_examples=40)
@given(areas, st.floats(1.0, 1e8), st.floats(1.0, 1e3))
def test_more_volume_never_costs_more_a_chip(area, units, factor):
    one = made_of(area)
    few, many = (structs.replace(one, units=fact(each)) for each in (units, units * factor))
    assert total(many) <= total(few)
    assert total(many) > total(one)


@settings(max_examples=40)
@given(st.floats(50.0, 700.0), st.floats(1.1, 1.2))
def test_yield_falls_and_silicon_grows_with_the_area(area, factor):
    small, large = (cost_of(made_of(each), central).dies[0] for each in (area, area * factor))
    assert large.whole_yield < small.whole_yield
    assert large.per_wafer <= small.per_wafer
    assert large.good_usd > small.good_usd


@pytest.mark.parametrize("name", ["h100", "mi300x", "910c"])
def test_parts_add_up_in_every_sample(name):
    cost = cost_of(recipe.recipe_of(load.chip(name)), Sampler(64))
    assert set(cost.parts) <= set(PARTS)
    assert np.all(cost.total_usd > 0)
    assert sum(cost.parts.values()) == pytest.approx(cost.total_usd)
    assert np.all(cost.dies[0].sold_yield >= cost.dies[0].whole_yield - 1e-6)


def test_design_and_masks_of_five_nanometres_are_chiplet_actuarys():
    one = structs.replace(made_of(300.0, hbm="none"), units=fact(1e6))
    parts = cost_of(one, central).parts
    assert float(parts["design"] + parts["masks"]) == pytest.approx(542e6 / 1e6)
    assert float(parts["masks"]) == pytest.approx(18.1)
