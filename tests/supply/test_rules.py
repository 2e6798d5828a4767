"""Rules by date and destination; what is unknown; what more of a figure does."""

from __future__ import annotations

import itertools
import math
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from parity.catalogue import load
from parity.catalogue.schema import Market
from parity.catalogue.spec import override
from parity.errors import UnknownName
from parity.record import Fact
from parity.supply.countries import country, geography, home_of
from parity.supply.rules import assess, column, ruling, trade
from parity.supply.rules_condition import Condition, answered, holds
from parity.supply.rules_data import book, in_force, reaches, stack
from parity.supply.thresholds import (
    Quantity,
    Thresholds,
    bidirectional,
    memory_bandwidth_density,
    nonplanar,
    performance_density,
    stack_thresholds,
    thresholds,
    total_processing_performance,
)

CHINA = trade("US", "CN")
RULES = {rule.id: rule for rule in book().rules}
LEVEL = {"not_caught": 0, "cannot_tell": 1, "caught": 2}
DAY = date(2024, 6, 1)


def test_the_examples_of_the_rule():
    """600 TOPS at 8 bits and 300 TFLOP/s at 16 are 4,800 (88 FR 73458)."""
    assert total_processing_performance(600e12, 8) == 4800
    assert total_processing_performance(300e12, 16) == 4800


def test_the_equations_broadcast():
    np = pytest.importorskip("numpy")
    tpp = total_processing_performance(np.array([[1e14], [2e14]]), np.array([8, 16]))
    assert tpp.tolist() == [[800, 1600], [1600, 3200]]
    assert performance_density(tpp, 800.0).shape == (2, 2)
    assert bidirectional(np.array([25e9, 300e9])).tolist() == [50e9, 600e9]


def exact(value: float, unit: str) -> Fact:
    return Fact(value, value, value, unit, "user", "test")


@pytest.mark.parametrize(
    ("name", "bandwidth", "area", "density", "controlled", "exception"),
    [
        ("HBM2", 256, 92, 2.8, True, True), ("HBM2E", 460, 110, 4.2, True, False),
        ("HBM3", 819, 121, 6.8, True, False), ("HBM3E", 1229, 121, 10.2, True, False),
        ("HBM4", 2048, 141, 14.5, True, False), ("GDDR7", 128, 168, 0.8, False, False),
        ("LPDDR5X", 68, 174, 0.4, False, False),
    ],
)  # fmt: skip
def test_memory_sold_by_itself(name, bandwidth, area, density, controlled, exception):
    facts = stack_thresholds(name, exact(bandwidth * 1e9, "byte/s"), exact(area, "mm2"))
    quantity = facts.quantities["memory_bandwidth_density"]
    assert quantity.value == pytest.approx(density, abs=0.06)
    assert ruling(RULES["us-3a090c-2024"], facts, CHINA).met is controlled
    assert ruling(RULES["us-exception-hbm"], facts, CHINA).met is exception
    assert assess(facts, CHINA, date(2024, 12, 1)).verdict == "not_caught"
    assert (assess(facts, CHINA, date(2024, 12, 2)).verdict == "caught") is controlled


@pytest.mark.parametrize("name", ["hbm2", "hbm2e", "HBM3", "hbm3e", "hbm4"])
def test_every_stack_in_production_is_over_2(name):
    """As the rule of 2024 says of those that were in production then."""
    assert ruling(RULES["us-3a090c-2024"], stack(name), CHINA).met is True


def test_an_hbm2_stack_is_on_either_side_of_the_exception():
    """256 to 307 GB/s over some 92 mm2: 2.8 to 3.3 and above, against 3.3."""
    assert ruling(RULES["us-exception-hbm"], stack("hbm2"), CHINA).met is None
    assert ruling(RULES["us-exception-hbm"], stack("hbm3"), CHINA).met is False


def test_what_is_no_stack_is_none():
    assert stack("h100") is None


def test_memory_bandwidth_density_is_in_gb_per_s_and_mm2():
    assert memory_bandwidth_density(819e9, 121.0) == pytest.approx(6.77, abs=0.01)


class TestDates:
    def test_before_any_rule_nothing_is_caught(self):
        found = assess(thresholds(load.chip("b200")), CHINA, date(2022, 10, 6))
        assert (found.verdict, found.deciding, found.rulings) == ("not_caught", None, ())

    @pytest.mark.parametrize(
        ("chip", "day", "verdict"),
        [
            ("a100", date(2022, 10, 7), "caught"), ("a800", date(2023, 11, 16), "not_caught"),
            ("a800", date(2023, 11, 17), "caught"), ("h20", date(2025, 4, 8), "not_caught"),
            ("h20", date(2025, 4, 9), "caught"), ("l4", date(2023, 11, 16), "not_caught"),
            ("l4", date(2023, 11, 17), "caught"),
        ],
    )  # fmt: skip
    def test_rules_hold_from_their_first_to_their_last_day(self, chip, day, verdict):
        assert assess(thresholds(load.chip(chip)), CHINA, day).verdict == verdict

    def test_the_rule_of_2022_ends_the_day_before_that_of_2023_begins(self):
        old, new = RULES["us-3a090-2022"], RULES["us-3a090-2023"]
        last = date(2023, 11, 16)
        assert (in_force(old, last), in_force(new, last)) == (True, False)
        after = last + timedelta(1)
        assert (in_force(old, after), in_force(new, after)) == (False, True)

    def test_history_has_no_gap_and_ends_open(self):
        for name in ("a100", "a800", "h20", "mi308x", "v100", "810e"):
            found = assess(thresholds(load.chip(name)), CHINA, DAY).history
            assert found[0].since is None
            assert found[-1].until is None
            for one, after in itertools.pairwise(found):
                assert one.until + timedelta(1) == after.since
                assert (one.verdict, one.rule, one.clause) != (
                    after.verdict,
                    after.rule,
                    after.clause,
                )

    def test_history_says_what_each_day_says(self):
        facts = thresholds(load.chip("a800"))
        for period in assess(facts, CHINA, DAY).history:
            assert assess(facts, CHINA, period.since or date(2000, 1, 1)).verdict == period.verdict

    def test_every_rule_is_over_after_it_began_and_has_a_source(self):
        assert len({rule.id for rule in book().rules}) == len(book().rules)
        for rule in book().rules:
            assert rule.until is None or rule.since <= rule.until
            assert rule.source in book().sources
            assert rule.clauses or rule.kind == "party"
            assert not in_force(rule, rule.since - timedelta(1))
        assert {rule.source for rule in book().rules} == set(book().sources)


class TestDestinations:
    @pytest.mark.parametrize(
        ("to", "reached"),
        [("CN", True), ("HK", True), ("MO", True), ("RU", True), ("VN", True), ("AE", True),
         ("JP", False), ("IL", False), ("TW", False), ("US", False), ("BR", None)],
    )  # fmt: skip
    def test_the_rule_of_2023_reaches_these(self, to, reached):
        way = trade("US", to)
        assert reaches(RULES["us-3a090-2023"], *(way.origin, way.to, way.headquarters)) is reached

    def test_a_buyer_with_headquarters_in_china_is_reached_anywhere(self):
        facts = thresholds(load.chip("h100"))
        assert assess(facts, trade("US", "JP"), DAY).verdict == "not_caught"
        assert assess(facts, trade("US", "JP", "CN"), DAY).verdict == "caught"

    def test_a_country_whose_group_is_not_held_cannot_be_told(self):
        found = assess(thresholds(load.chip("h100")), trade("US", "BR"), DAY)
        assert (found.verdict, found.unknown) == ("cannot_tell", ("destination",))
        assert assess(thresholds(load.chip("t4")), trade("US", "BR"), DAY).verdict == "not_caught"

    def test_within_a_country_nothing_is_exported(self):
        assert assess(thresholds(load.chip("910c")), trade("CN", "CN"), DAY).verdict == "not_caught"

    def test_guidance_on_910c_reaches_its_use_anywhere(self):
        found = assess(thresholds(load.chip("910c")), trade("CN", "CN"), date(2026, 1, 1))
        assert "us-gp10-2025" in {r.rule.id for r in found.rulings if r.met}

    def test_case_by_case_review_is_for_exports_from_the_united_states(self):
        day, facts = date(2026, 2, 1), thresholds(load.chip("h200"))
        eased = [{r.rule.id for r in assess(facts, trade(origin, "CN"), day).rulings if r.met}
                 for origin in ("US", "TW")]  # fmt: skip
        assert "us-case-by-case-2026" in eased[0]
        assert "us-case-by-case-2026" not in eased[1]

    def test_a_rule_on_all_the_world_is_not_on_its_maker(self):
        way = trade("TW", "US")
        assert reaches(RULES["us-diffusion-2025"], *(way.origin, way.to, way.headquarters)) is False

    def test_china_s_own_measures_look_at_foreign_chips(self):
        day = date(2026, 2, 1)
        own = assess(thresholds(load.chip("910c")), CHINA, day).rulings
        foreign = assess(thresholds(load.chip("h20")), CHINA, day).rulings
        assert {r.rule.id for r in own if r.met and r.rule.by == "CN"} == set()
        assert {r.rule.id for r in foreign if r.met and r.rule.by == "CN"} == {
            "cn-h20-2025", "cn-power-2025", "cn-state-2025",
        }  # fmt: skip

    @pytest.mark.parametrize(
        ("typed", "code"), [("cn", "CN"), ("China", "CN"), ("UK", "GB"), (" macao ", "MO")]
    )
    def test_countries_go_by_code_and_name(self, typed, code):
        assert country(typed).code == code

    @pytest.mark.parametrize("typed", ["", "Chin", "zz", "x" * 10_000, "\x00"])
    def test_an_unknown_country_is_said_with_the_nearest(self, typed):
        with pytest.raises(UnknownName, match="No country called") as error:
            country(typed)
        assert len(str(error.value)) < 300
        assert ("China" in str(error.value)) == (typed == "Chin")

    def test_every_vendor_of_the_catalogue_has_a_home(self):
        for chip in load.chips():
            assert home_of(chip.vendor) in geography().countries, chip.vendor


class TestUnknownFigures:
    def test_an_unknown_die_area_leaves_an_interval(self):
        """Two dies are no larger than two reticles of 858 mm2; more is not known."""
        chip = load.chip("ppu-96")
        density = thresholds(chip).quantities["performance_density"]
        assert density.value is None
        assert density.missing == ("physical.die_area",)
        assert density.low == pytest.approx(thresholds(chip).quantities["tpp"].low / 1716)
        assert density.high == math.inf

    def test_the_figure_that_is_missing_is_named_and_settles_it(self):
        chip, day = load.chip("810e"), date(2024, 6, 1)
        found = assess(thresholds(chip), CHINA, day)
        assert found.verdict == "cannot_tell"
        assert "performance_density" in found.unknown
        chip = override(chip, "compute.dense.int8", "238TOP/s")
        for dtype in ("fp16", "bf16"):
            chip = override(chip, f"compute.dense.{dtype}", "119TFLOP/s")
        small = assess(thresholds(override(chip, "die", "300mm2")), CHINA, day)
        large = assess(thresholds(override(chip, "die", "800mm2")), CHINA, day)
        assert (small.verdict, large.verdict) == ("caught", "not_caught")

    def test_a_chip_without_any_rate_is_unknown(self):
        found = assess(thresholds(load.chip("jalapeno")), CHINA, DAY)
        assert found.verdict == "cannot_tell"
        assert "tpp" in found.unknown

    def test_sram_is_no_dram(self):
        dram = thresholds(load.chip("groq-lpu-v1")).quantities["dram_bandwidth"]
        assert (dram.value, dram.low, dram.high) == (None, 0, math.inf)

    def test_a_range_across_a_threshold_is_not_decided(self):
        chip = override(load.chip("l4"), "die", "300mm2..600mm2")
        assert assess(thresholds(chip), CHINA, DAY).verdict == "caught"  # 3.2 to 6.5: .b or .a
        chip = override(load.chip("l4"), "die", "500mm2..700mm2")
        found = assess(thresholds(chip), CHINA, DAY)
        assert (found.verdict, found.unknown) == ("cannot_tell", ("performance_density",))

    @pytest.mark.parametrize(
        ("process", "known"),
        [("7nm class", True), ("N3P XCD + N6 IOD", True), ("4N (5nm class)", True), ("28nm", False),
         ("16nm", True), ("Intel 7 + N5/N7", True), ("unknown", None), ("", None)],
    )  # fmt: skip
    def test_nodes_of_16_nm_and_below_are_not_planar(self, process, known):
        chip = load.chip("a10")
        physical = structs.replace(chip.physical, process=process)
        assert nonplanar(structs.replace(chip, physical=physical)) is known

    def test_planar_dies_do_not_count(self):
        chip = load.chip("l4")
        physical = structs.replace(chip.physical, process="28nm")
        found = assess(thresholds(structs.replace(chip, physical=physical)), CHINA, DAY)
        assert found.verdict == "not_caught"


def made(tpp: tuple[float, float], density: tuple[float, float], centre: bool | None) -> Thresholds:
    def quantity(low: float, high: float) -> Quantity:
        return Quantity("1", low, low, high)

    words = {True: "data-centre", False: "consumer"}
    market = None if centre is None else Market(words[centre], "user", "test")  # type: ignore[arg-type]
    quantities = {"tpp": quantity(*tpp), "performance_density": quantity(*density)}
    return Thresholds("made", "NVIDIA", quantities, market)


ranges = st.tuples(st.floats(0, 1e4), st.floats(0, 1e4)).map(sorted).map(tuple)
densities = st.tuples(st.floats(0, 12), st.floats(0, 12)).map(sorted).map(tuple)


@given(ranges, densities, st.sampled_from([True, False, None]), st.floats(1, 3))
def test_more_peak_is_never_less_caught_by_3a090(tpp, density, centre, factor):
    """More TPP on the same dies: its density grows with it."""
    rule = RULES["us-3a090-2023"]
    level = {False: 0, None: 1, True: 2}
    less = ruling(rule, made(tpp, density, centre), CHINA).met
    more = made(tuple(factor * end for end in tpp), tuple(factor * end for end in density), centre)
    assert level[ruling(rule, more, CHINA).met] >= level[less]


@given(ranges, densities, st.integers(0, 10), st.integers(0, 10))
def test_a_verdict_on_a_range_is_that_of_every_point_in_it(tpp, density, i, j):
    rule = RULES["us-3a090-2023"]
    met = ruling(rule, made(tpp, density, True), CHINA).met
    point = tuple(low + (high - low) * at / 10 for (low, high), at in ((tpp, i), (density, j)))
    there = ruling(rule, made((point[0],) * 2, (point[1],) * 2, True), CHINA).met
    assert met is None or met is there


@pytest.mark.parametrize(
    ("field", "value", "inside"),
    [("memory.bandwidth", "6.49TB/s", True), ("memory.bandwidth", "6.5TB/s", False),
     ("fp8", "2624TFLOP/s", True), ("fp8", "2625TFLOP/s", False)],
)  # fmt: skip
def test_case_by_case_review_ends_at_21_000_and_6500(field, value, inside):
    facts = thresholds(override(load.chip("h200"), field, value))
    assert ruling(RULES["us-case-by-case-2026"], facts, CHINA).met is inside


def test_rates_that_differ_by_more_than_rounding_are_not_one():
    """TF32 and FP16 of an L4 are its FP8 units at another width; half of it would be others."""
    chip = load.chip("l4")
    assert thresholds(override(chip, "fp16", "100TFLOP/s")).quantities["tpp"].value == 242 * 8
    assert thresholds(override(chip, "fp16", "125TFLOP/s")).quantities["tpp"].value == 2000
    wide = override(override(chip, "int8", "230..300TOP/s"), "fp8", "230..300TFLOP/s")
    tpp = thresholds(wide).quantities["tpp"]
    assert (tpp.low, tpp.value, tpp.high) == (121 * 16, 265 * 8, 300 * 8)


def test_a_range_is_tried_between_thresholds_too():
    between = Condition(quantity="tpp", above=2.0, below=3.0)
    facts = {"tpp": Quantity("1", 2.0, 2.0, 3.0)}
    assert answered(lambda at: holds(between, at, "y"), (between,), facts).met is None


def test_exactly_2_gb_per_s_and_mm2_is_not_over_2():
    facts = stack_thresholds("made", exact(200e9, "byte/s"), exact(100, "mm2"))
    assert ruling(RULES["us-3a090c-2024"], facts, CHINA).met is False


def test_a_condition_is_data():
    condition = Condition(any=(Condition(quantity="tpp", at_least=4800.0), Condition(chips=("x",))))
    assert holds(condition, {"tpp": 4800.0}, "y")
    assert holds(condition, {}, "x")
    assert not holds(condition, {"tpp": 4799.0}, "y")
    facts = {"tpp": Quantity("1", None, 0.0, math.inf)}
    found = answered(lambda at: holds(condition, at, "y"), (condition,), facts)
    assert found == (None, ("tpp",))


def test_the_column_of_another_answer():
    assert column(load.chip("h100"), "CN") == "caught, 3A090.a.1; 2 measures in CN"
    assert column(load.chip("h100"), "CN", DAY) == "caught, 3A090.a.1"
    assert column(load.chip("t4"), "JP") == "not caught"
    assert column(load.chip("910c"), "CN") == "no export; US guidance: a risk"
    assert column(load.chip("h100"), "BR", DAY) == "cannot tell: destination"
    with pytest.raises(UnknownName):
        column(load.chip("h100"), "nowhere")


def test_every_word_on_the_market_of_a_chip_has_a_source():
    known = {chip.id: chip.market for chip in load.chips()}
    for chip, market in known.items():
        if market is not None:
            assert load.source(market.source).title, chip
    assert known["jalapeno"] is None  # nobody held says


def test_the_groups_are_those_of_july_2026():
    """15 CFR 740 Supplement 1, as copied on 2026-07-08; Hong Kong, not listed, is as China."""
    listed = {
        "D1": "AM AZ BY CN GE IQ KG KH KP KZ LA LY MD MM MN MO NI RU TJ TM UZ VE VN YE",
        "D4": "AE BH BY CN EG IL IQ IR JO KP KW LB LY MO OM PK QA RU SA SY VE YE",
        "D5": "AF BY CD CF CN CU ER HT IQ IR KP LB LY MM NI RU SD SO SS SY VE ZW",
    }
    for group, codes in listed.items():
        held = {code for code, one in geography().countries.items() if group in one.groups}
        assert held == {*codes.split(), "HK"}
