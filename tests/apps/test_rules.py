"""`parity rules`."""

from __future__ import annotations

import pytest

import parity
from parity.errors import UnknownName, UsageError

NOTICE = "Rules known to 2026-08; a screening aid, not legal advice."


def test_one_chip_says_verdict_clause_and_margin(run):
    done = run("rules", "a10")
    first = " ".join(done.out.split("\n\n")[0].split())
    assert done.code == 0
    assert first == (
        "a10, United States to China, 2026-08-15: not caught by the thresholds held; "
        "nearest is 3A090.b.2, performance density 3.18, 0.48 % under 3.2."
    )


@pytest.mark.parametrize(
    "words", [("h20",), ("h20", "-q"), ("h20,a10",), ("all",), ("vendor=huawei",), ("hbm3e",)]
)
def test_every_answer_says_what_it_is_not(run, words):
    assert NOTICE in run("rules", *words).out
    assert run("rules", *words, "--json").json["answer"]["notice"] == NOTICE


def test_no_answer_advises_to_change_a_chip(run):
    """A figure of one's own is asked for where it is unknown, never one that passes."""
    for name in ("a10", "h20", "l2", "h100", "rtx4090d"):
        assert "Fix:" not in run("rules", name).out
    assert "with a figure of your own" in run("rules", "810e", "--on-date", "2024-06-01").out


def test_check_fails_where_something_is_caught_or_open(run):
    assert run("rules", "t4", "--check").code == 0
    assert run("rules", "t4,h100", "--check").code == 5
    assert run("rules", "h100").code == 0
    assert run("rules", "810e", "--on-date", "2024-06-01", "--check").code == 3
    assert run("rules", "810e,h100", "--on-date", "2024-06-01", "--check").code == 5


def test_figures_of_one_s_own_and_filters(run):
    answer = run("rules", "h20@memory.bandwidth=1TB/s,scale_up.bandwidth=100GB/s", "--json").json
    (chip,) = answer["answer"]["chips"]
    assert (chip["chip"], chip["verdict"]) == ("h20-96", "not_caught")
    assert chip["label"] == "h20-96@memory.bandwidth=1TB/s,scale_up.bandwidth=100GB/s"
    named = run("rules", "market=consumer", "--json").json["answer"]["chips"]
    assert {"rtx4090", "rtx4090d", "rtx5090"} <= {chip["chip"] for chip in named}


def test_json_has_every_quantity_rule_and_margin(run):
    (chip,) = run("rules", "h20", "--json").json["answer"]["chips"]
    assert chip["quantities"]["tpp"]["value"] == 2368
    by = {rule["id"]: rule for rule in chip["rules"]}
    letter = by["us-letters-2025"]
    assert (letter["met"], letter["status"]) == (True, "company_letter")
    assert letter["margins"][0]["margin"] == pytest.approx(4000 / 1400 - 1)
    assert [period["verdict"] for period in chip["history"]] == ["not_caught", "caught"]


def test_an_open_interval_is_null_in_json(run):
    (chip,) = run("rules", "810e", "--json").json["answer"]["chips"]
    density = chip["quantities"]["performance_density"]
    assert (density["value"], density["high"]) == (None, None)
    assert density["missing"] == ["physical.die_area"]


@pytest.mark.parametrize(
    ("day", "code"), [("2021-01-01", "P602"), ("2027-01-01", "P602"), ("2024-06-01", "")]
)
def test_a_day_outside_the_rules_held_is_said(run, day, code):
    findings = run("rules", "t4", "--on-date", day, "--json").json["findings"]
    assert {f["code"] for f in findings if f["severity"] == "warning"} == (
        {code} if code else set()
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("h21",), "No chip called 'h21'"),
        (("h20", "--to", "Chin"), "Did you mean `China`"),
        (("h20", "--from", ""), "No country called ''"),
        (("h20", "--on-date", "yesterday"), "a day was expected, as in `2023-11-17`"),
        (("h20", "--on-date", "2023-13-40"), "a day was expected"),
        (("8xh20",), "without a count"),
        (("hbm3e,h100",), "one after the other"),
        (("vendor=nobody",), "No chip meets"),
        (("",), "names no chip"),
        (("h20@memory.bandwidth=-1TB/s",), "memory.bandwidth is '-1TB/s'"),
    ],
)
def test_what_cannot_be_read_is_said_in_a_sentence(run, words, said):
    done = run("rules", *words)
    assert done.code == 2
    assert said in done.err
    assert "Traceback" not in done.err


def test_history_is_drawn(run, tmp_path):
    page, image = tmp_path / "a.html", tmp_path / "a.svg"
    assert run("rules", "a800,h20", "--html", str(page), "--svg", str(image)).code == 0
    assert "Verdict over time" in image.read_text()
    assert image.read_text().count('fill="none"/>') >= 2
    assert "3A090.a.1" in page.read_text()
    assert NOTICE in page.read_text()


def test_more_chips_than_a_chart_can_show_have_none(run, tmp_path):
    done = run("rules", "vendor=huawei", "--svg", str(tmp_path / "a.svg"))
    assert done.code == 2
    assert "this answer has no chart" in done.err


def test_a_chip_of_the_destination_is_said_not_to_be_exported(run):
    found = run("rules", "910c,h100", "--json").json["findings"]
    (home,) = (f for f in found if "nothing is exported" in f["message"])
    assert home["message"].startswith("ascend910c: the vendor is at home in China")
    (chip,) = run("rules", "910c", "--from", "CN", "--json").json["answer"]["chips"]
    assert chip["verdict"] == "not_caught"


def test_a_processor_for_general_use_is_said_to_be_one(run):
    assert "for general use" in run("rules", "xeon-8592p").out
    assert "for general use" not in run("rules", "a10").out


def test_every_known_quantity_says_its_source(run):
    known = run("chips", "h20", "--json").json["chips"][0]["sources"]
    (chip,) = run("rules", "h20", "--json").json["answer"]["chips"]
    for name, quantity in chip["quantities"].items():
        assert quantity["sources"], name
    assert set(chip["quantities"]["tpp"]["sources"]) <= set(known)


def test_from_python():
    answer = parity.rules("a800", on_date="2023-11-16")
    assert answer.to_dict()["answer"]["chips"][0]["verdict"] == "not_caught"
    with pytest.raises(UnknownName):
        parity.rules("a800", to="Atlantis")
    with pytest.raises(UsageError):
        parity.rules("2xa800")
