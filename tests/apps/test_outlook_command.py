"""`parity outlook`."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET

import pytest

import parity


def first(run, *words):
    return " ".join(run("outlook", *words).out.split("\n\n")[0].split())


def test_the_first_line_says_when_and_how_far_behind_with_ranges_and_that_it_is_a_scenario(run):
    said = first(run, "tsmc-scale-ramp")
    assert re.fullmatch(
        r"In P50 of the scenario tsmc-scale-ramp domestic supply .*; at the end of 2032 its fleet "
        r"does the work of .* \(.*–.*\) h100-sxm, and is [\d.]+ years \([\d.]+–[\d.]+\) behind the "
        r"reference \(P10–P90; a scenario, no forecast\)\.",
        said,
    )


def test_a_year_is_given_with_its_ends_or_never(run):
    met = first(run, "tsmc-scale-ramp", "--set", "common.demand_growth=1.2..1.4")
    assert re.search(r"domestic supply meets demand in 20\d\d \(20\d\d–(20\d\d|never)\);", met)
    assert "does not meet demand by 2032 (it does in" in first(run, "ban-holds")


def test_it_states_policy_work_rules_assumptions_and_what_others_say(run):
    out = run("outlook", "ban-holds").out
    for words in (
        "From 2026 on the policy is `ban`", "training llama-3.1-70b on 256 chips of a kind",
        "Rules known to 2026-08; a screening aid, not", "what it assumes",
        "what it takes from others", "beside the estimates of others", "what decides how far",
    ):  # fmt: skip
        assert words in " ".join(out.split()), words
    codes = re.findall(r"^(P\d{3}) ", out, re.M)
    assert codes == ["P341", "P342", "P332", "P343"]


def test_the_json_has_the_same_content_and_percentiles_in_order(run):
    found = run("outlook", "ban-holds", "--compare", "ban-lifted", "--json").json
    answer = found["answer"]
    assert (answer["scenario"], answer["policy"]) == ("ban-holds", "ban")
    assert [one["year"] for one in answer["years"]] == list(range(2022, 2033))
    for one in (answer, *found["compared"]):
        for year in one["years"]:
            for name in ("domestic_chips", "fleet_compute", "demand_compute", "covered"):
                span = year[name]
                assert 0 <= span["low"] <= span["p50"] <= span["high"], (year["year"], name)
            assert year["products"][0]["sold_yield"]["high"] <= 1
    assert answer["years"][0]["years_behind"]["p50"] is None  # before the reference is known
    assert answer["meets_demand"]["p50"] is None
    assert 0 < answer["meets_demand"]["share"] < 0.5
    assert sum(one["share"] for one in answer["behind_uncertainty"]) <= 1.1
    h100 = next(one for one in answer["chips"] if one["chip"] == "h100-sxm")
    assert h100["units_of_work"] == {"low": 1, "p50": 1, "high": 1}
    flop = answer["years"][-1]["fleet_flop_per_s"]["p50"]
    tokens = answer["years"][-1]["fleet_tokens_per_s"]["p50"]
    assert 6 * 69e9 < flop / tokens < 7 * 71e9  # six times the parameters, and attention


def test_python_and_the_command_give_the_same(run):
    words = ("outlook", "duv-only", "--years", "2024..2028", "--set", "policy=licence", "--json")
    answer = parity.outlook("duv-only", years="2024..2028", set_=["policy=licence"])
    assert run(*words).json == json.loads(json.dumps(answer.to_dict()))


def test_years_say_what_is_shown_and_how_far_it_goes(run):
    answer = run("outlook", "hbm-limited", "--years", "2025..2035", "--json").json["answer"]
    assert [one["year"] for one in answer["years"]] == list(range(2025, 2036))
    assert answer["meets_demand"]["until"] == 2035


def test_scenarios_stand_side_by_side(run):
    out = run("outlook", "ban-holds", "--compare", "ban-lifted,hbm-limited", "-q").out
    table = out.split("scenarios side by side, in")[1].split("\n\n")[0]
    assert re.findall(r"^  (\S+)", table, re.M)[1:] == ["ban-holds", "ban-lifted", "hbm-limited"]
    assert "* ban-holds   o ban-lifted   + hbm-limited   x reference" in out


def test_chips_may_be_measured_by_serving(run):
    found = run("outlook", "ban-holds", "--set", "workload.kind=serve", "--json").json
    chips = {one["chip"]: one["units_of_work"]["p50"] for one in found["answer"]["chips"]}
    trained = run("outlook", "ban-holds", "--json").json["answer"]["chips"]
    before = {one["chip"]: one["units_of_work"]["p50"] for one in trained}
    assert chips["h20-96"] > 1.2 * before["h20-96"]  # decoding goes by memory, not by arithmetic
    assert found["answer"]["years"][-1]["fleet_flop_per_s"]["p50"] is None


def test_a_page_and_charts_are_written(run, tmp_path):
    page, chart = tmp_path / "a.html", tmp_path / "a.svg"
    done = run("outlook", "ban-holds", "--html", str(page), "--svg", str(chart))
    assert done.code == 0
    text = page.read_text()
    assert text.count("<figure><svg") == 2
    assert "vega-lite" in text
    assert "http-equiv" not in text
    root = ET.fromstring(chart.read_text())
    assert len(root.findall("{http://www.w3.org/2000/svg}svg")) == 2


def test_more_samples_change_little(run):
    few, many = (
        run("outlook", "ban-holds", "--samples", count, "--json").json["answer"]["years"][-1]
        for count in ("1024", "4096")
    )
    for name in ("fleet_compute", "domestic_chips"):
        assert few[name]["p50"] == pytest.approx(many[name]["p50"], rel=0.1)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("ban-lift",), "Did you mean `ban-lifted`"),
        (("none.toml",), "no file"),
        (("ban-holds", "--years", "2030..2024"), "back to 2024"),
        (("ban-holds", "--years", "2024..1000000000"), "to 2060"),
        (("ban-holds", "--years", "1900..2030"), "from 2022"),
        (("ban-holds", "--years", "soon"), "2024..2032"),
        (("ban-holds", "--compare", "ban-holds"), "twice"),
        (("ban-holds", "--compare", "a,b,c,d,e,f"), "at most 5"),
        (("ban-holds", "--compare", "moon"), "moon"),
        (("ban-holds", "--set", "products.970.sold=-1"), "-1"),
        (("ban-holds", "--set", "products.970.sold=1.01"), "above one"),
        (("ban-holds", "--set", "products.970.chip=h1000"), "h1000"),
        (("ban-holds", "--set", "products.970.node=n99"), "n99"),
        (("ban-holds", "--set", "workload.model=gpt-9000"), "gpt-9000"),
        (("ban-holds", "--set", "workload.kind=play"), "play"),
        (("ban-holds", "--set", "workload.chips=0"), "workload.chips"),
        (("ban-holds", "--samples", "3"), "--samples"),
        (("ban-holds", "--samples", "65536"), "64 to 8,192"),
        (("ban-holds", "--set", "first=2035"), "from 2035 to 2032"),
        ((), "SCENARIO"),
    ],
)
def test_bad_words_are_said_in_a_sentence_with_exit_2(run, words, says):
    done = run("outlook", *words)
    assert done.code == 2
    assert says in done.err
    assert "Traceback" not in done.err


def test_a_year_that_nothing_is_said_of_is_named(run, tmp_path):
    text = 'base = "ban-holds"\nwithout = ["memory.domestic.stacks.growth"]\n'
    (tmp_path / "mine.toml").write_text(text)
    done = run("outlook", str(tmp_path / "mine.toml"))
    assert done.code == 2
    assert "memory.domestic.stacks says nothing of 2029" in " ".join(done.err.split())
