"""Chips and rules, worked by hand, come out of the equations and out of the catalogue.

The table was worked from dense data-sheet peaks, die areas (Epoch AI, CC BY, for most) and total
bidirectional I/O; TPP of H100, H20, L20, L2, RTX 4090 and 4090D, A100 is also as published. An
empty cell is a figure that nobody published, or a verdict that the table does not give.
"""

from __future__ import annotations

import csv
from datetime import date
from pathlib import Path

import pytest
from msgspec import structs

from parity.catalogue import load
from parity.catalogue.schema import Chip, Compute, Dense, Market, Memory, Physical, ScaleUp
from parity.record import Fact
from parity.supply.rules import assess, ruling, trade
from parity.supply.rules_data import book
from parity.supply.thresholds import thresholds

ROWS = list(csv.DictReader((Path(__file__).parent / "worked_table.csv").read_text().splitlines()))
CHINA = trade("US", "CN")
RULES = {rule.id: rule for rule in book().rules}
#: What the words of the table mean, as rules say it.
MET = {"yes": True, "no": False}


def fact(text: str, scale: float, unit: str) -> Fact | None:
    if not text:
        return None
    value = float(text) * scale
    return Fact(value, value, value, unit, "user", "test")


def sold_for(word: str) -> Market | None:
    return Market(word, "user", "test") if word else None  # type: ignore[arg-type]


def made(row: dict[str, str]) -> Chip:
    """A chip of exactly the figures of a row; its I/O is one link."""
    half = fact(row["io"], 0.5e9, "byte/s")
    return Chip(
        id="made", name=row["chip"], vendor="NVIDIA", status="shipping", family="other",
        market=sold_for(row["market"]), host_link="pcie5-x16",
        compute=Compute(structs.replace(
            Dense(), **{row["dtype"]: fact(row["rate"], 1e12, "FLOP/s")})),
        memory=Memory(kind="HBM", bandwidth=fact(row["dram"], 1e9, "byte/s")),
        scale_up=ScaleUp(kind="PCIe", bandwidth=half),
        physical=Physical(process="5nm", die_area=fact(row["die"], 1, "mm2")),
    )  # fmt: skip


def met(rule: str, chip: Chip) -> bool | None:
    return ruling(RULES[rule], thresholds(chip), CHINA).met


def test_the_table_has_the_chips_that_it_says():
    assert len(ROWS) == 28
    assert sum(bool(row["id"]) for row in ROWS) == 22


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["chip"])
def test_the_quantities_of_a_row(row):
    facts = thresholds(made(row)).quantities
    assert facts["tpp"].value == pytest.approx(float(row["tpp"]), rel=3e-4)
    if row["pd"]:
        assert facts["performance_density"].value == pytest.approx(float(row["pd"]), rel=0.011)
    else:
        assert facts["performance_density"].value is None
    if row["io"]:
        assert facts["io_bandwidth"].value == float(row["io"]) * 1e9


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["chip"])
def test_the_verdicts_of_a_row(row):
    chip = made(row)
    if row["y2022"]:
        assert met("us-3a090-2022", chip) is MET[row["y2022"]]
    if row["letter"]:
        assert met("us-letters-2025", chip) is (
            MET[row["letter"]] if row["io"] or row["letter"] == "yes" else None
        )
    if row["box"]:
        assert met("us-case-by-case-2026", chip) is MET[row["box"]]
    found = assess(thresholds(chip), CHINA, date(2023, 12, 1))
    if row["y2023"] == "none":
        assert found.verdict == "not_caught"
    else:
        assert found.verdict == "caught"
        assert found.deciding.clause.startswith(f"3A090.{row['y2023']}")


@pytest.mark.parametrize("row", [row for row in ROWS if row["id"]], ids=lambda row: row["chip"])
def test_the_catalogue_says_the_same(row):
    """Within what rounding does to a rate."""
    facts = thresholds(load.chip(row["id"]))
    assert facts.quantities["tpp"].value == pytest.approx(float(row["tpp"]), rel=3e-3)
    if row["pd"]:
        assert facts.quantities["performance_density"].value == pytest.approx(
            float(row["pd"]), rel=0.015
        )
    if row["io"] and row["id"] != "zhenwu-m890":  # whose 800 GB/s leave its host link out
        assert facts.quantities["io_bandwidth"].value == pytest.approx(
            float(row["io"]) * 1e9, rel=0.02
        )
    found = assess(facts, CHINA, date(2023, 12, 1))
    assert found.verdict == ("not_caught" if row["y2023"] == "none" else "caught")
    if found.verdict == "caught":
        assert f"3A090.{row['y2023']}" in found.deciding.clause


def margin(rule: str, name: str, quantity: str, threshold: float) -> float:
    found = ruling(RULES[rule], thresholds(load.chip(name)), CHINA)
    return next(
        m.margin for m in found.margins if (m.quantity, m.threshold) == (quantity, threshold)
    )


def test_the_knife_edges():
    # A10: 2,000 / 628 mm2 = 3.185 against 3.2.
    assert margin("us-3a090-2023", "a10", "performance_density", 3.2) == pytest.approx(
        -0.0048, abs=1e-4
    )
    # RTX 5090D V2: 1,344 GB/s against 1,400, and 1,472 in all against 1,700.
    chip = made(next(row for row in ROWS if row["chip"] == "RTX 5090D V2"))
    found = ruling(RULES["us-letters-2025"], thresholds(chip), CHINA)
    assert found.met is False
    assert found.margins[0].margin == pytest.approx(-0.04)
    # H20: 2,368 against 2,400.
    assert margin("us-3a090-2023", "h20", "tpp", 2400) == pytest.approx(-0.0133, abs=1e-4)
    # A100 and A800: 4,992 and the same dies; 663 and 463 GB/s against 600.
    assert met("us-3a090-2022", load.chip("a100")) is True
    assert met("us-3a090-2022", load.chip("a800")) is False


def test_consumer_cards_below_4800_are_outside_by_note_2():
    """RTX 4090D: 4,704 and 7.7 per mm2 would be 3A090.a.2, were it made for data centres."""
    chip = load.chip("rtx4090d")
    day = date(2023, 12, 1)
    assert assess(thresholds(chip), CHINA, day).verdict == "not_caught"
    found = ruling(RULES["us-3a090-2023"], thresholds(chip), CHINA)
    assert found.clause == "Note 2 to 3A090"
    centre = thresholds(structs.replace(chip, market=sold_for("data-centre")))
    assert assess(centre, CHINA, day).verdict == "caught"
    unsaid = assess(thresholds(structs.replace(chip, market=None)), CHINA, day)
    assert (unsaid.verdict, unsaid.unknown) == ("cannot_tell", ("data_centre",))


def test_exceptions_and_the_tariff():
    assert met("us-nac", load.chip("rtx4090")) is True
    assert met("us-nac", load.chip("rtx5090")) is True
    assert met("us-nac", load.chip("h100")) is False
    assert met("us-nac", load.chip("a30")) is True
    windows = {
        name: met("us-tariff-2026", load.chip(name)) for name in ("h200", "mi325x", "h100", "b200")
    }
    assert windows == {"h200": True, "mi325x": True, "h100": False, "b200": False}


def test_an_mi308x_whose_peak_nobody_published_cannot_be_told():
    found = assess(thresholds(load.chip("mi308x")), CHINA, date(2024, 6, 1))
    assert found.verdict == "cannot_tell"
    assert set(found.unknown) <= {"tpp", "performance_density"}
    assert assess(thresholds(load.chip("mi308x")), CHINA, date(2025, 6, 1)).verdict == "caught"
