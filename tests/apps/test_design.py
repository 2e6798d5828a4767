"""`parity chips design`."""

from __future__ import annotations

import json
import re

import pytest

DENSE = ("--portfolio", "transformer-dense-only")

OWN = """
like = "h100"
node = "tsmc-5"
dtypes = ["bf16", "fp8"]

[die]
area = "814mm2"
[area]
matrix = "40%"
cores  = "100mm2"
sram   = "100mm2"
[memory]
kind   = "hbm3e"
stacks = 6
[links]
count = 18
[power]
budget  = "800W"
cooling = "cold-plate"
"""


def refused(run, *words, code=2):
    found = run("chips", "design", *words, *DENSE)
    assert found.code == code
    assert "Traceback" not in found.err
    return " ".join((found.out + found.err).split())


def design(run, *words):
    return run("chips", "design", *words, *DENSE, "--json").json


def test_the_first_line_says_what_it_is_costs_and_is_worth(run):
    first = " ".join(run("chips", "design", "--from", "h100", *DENSE).out.split("\n\n")[0].split())
    assert re.fullmatch(
        r"my-h100-sxm on tsmc-4n: 989 TFLOP/s bf16, 80 GB at 3\.35 TB/s, 700 W; it costs about "
        r"[\d,]+ USD \([\d,]+–[\d,]+\) to make; worth 1 h100-sxm on `transformer-dense-only`, 1 "
        r"for a dollar\.",
        first,
    )


def test_the_floor_plan_fills_the_dies(run):
    answer = design(run, "--from", "h20@memory.stacks=5")["answer"]
    assert sum(one["mm2"]["value"] for one in answer["blocks"]) == pytest.approx(814)
    assert sum(one["w"] or 0 for one in answer["blocks"]) == pytest.approx(answer["tdp_w"]["value"])
    assert answer["figures"]["memory.capacity"]["value"] == pytest.approx(80e9)
    for part in answer["usd"]:
        assert part["low"] <= part["p50"] <= part["high"]


def test_stacks_beyond_the_edge_are_said_with_a_way_out_and_exit_code_3(run):
    found = run("chips", "design", "--from", "h20@memory.stacks=9", *DENSE, "--json")
    assert found.code == 3
    said = found.json
    fixes = {one["code"]: one["fix"] for one in said["findings"] if one["severity"] == "error"}
    assert "memory.stacks=6" in fixes["P124"]
    assert "dies=2" in fixes["P121"]  # the interfaces make the die larger than the reticle
    assert "speeds" not in said["answer"]
    wide = design(run, "--from", "h20@memory.stacks=9,dies=2")
    assert wide["answer"]["figures"]["memory.bandwidth"]["value"] == pytest.approx(6e12)


def test_a_design_of_a_file(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.toml").write_text(OWN)
    answer = design(run, "own.toml")["answer"]
    assert (answer["chip"], answer["like"], answer["node"]) == ("own", "h100-sxm", "tsmc-5")
    peak = answer["figures"]["compute.dense.bf16"]
    assert peak["low"] < peak["value"] < peak["high"]
    assert answer["tdp_w"]["p90"] <= 800 * (1 + 1e-6)
    assert answer["cooling"] == "cold-plate"
    assert all(one["p10"] < one["p90"] for one in answer["speeds"])


def test_what_a_design_cannot_run_is_left_to_the_other_chip(run):
    words = ("--from", "h100@without=experts+latent attention", "--portfolio", "today")
    answer = run("chips", "design", *words, "--against", "h100", "--json").json["answer"]
    reasons = {one["work"]: one["reason"] for one in answer["speeds"] if not one["tokens_per_s"]}
    assert set(reasons) == {"train MoE", "MoE, MLA"}
    assert "experts, latent attention" in reasons["MoE, MLA"]
    (worth,) = answer["worth"]
    assert worth["chips"] == 0
    assert worth["per_usd"] == pytest.approx(1)


def test_designs_against_each_other(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.toml").write_text(OWN)
    first, second = design(run, "own.toml", "--against", "own.toml,h100")["answer"]["worth"]
    assert (first["chip"], second["chip"]) == ("own", "h100-sxm")
    assert first["chips"] == pytest.approx(1)
    assert first["per_usd"] == pytest.approx(1)


def test_a_saved_design_is_a_chip_for_every_other_command(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PARITY_CATALOGUE", str(tmp_path))
    run("chips", "design", "--from", "h20@memory.stacks=5", *DENSE, "--save", "own.toml")
    (chip,) = run("chips", "own", "--json").json["chips"]
    assert chip["status"] == "design"
    assert chip["memory"]["bandwidth"]["value"] == pytest.approx(10e12 / 3)
    plan = run("plan", "serve", "llama-3.1-8b", "--on", "own", "--rps", "4", "--json").json
    assert plan["answer"]["chips"] >= 1
    assert run("fab", "own", "--json").json["answer"]["total_usd"]["p50"] > 1000


def test_a_search_shows_the_regret_of_each_best_design(run):
    words = ("--from", "h100", "--optimise", "tokens/s/$", "--tries", "16", "--seed", "1")
    said = design(run, *words, "--later", "transformer-dense-only")["search"]
    names = [one["name"] for one in said["designs"]]
    assert names[0] == "as given"
    assert names[-1] == "least regret"
    assert said["designs"][1]["regrets"][0] == 0
    assert said["designs"][1]["merits"][0] >= said["designs"][0]["merits"][0]
    assert said["front"]


def test_a_page_of_a_search(run, tmp_path):
    page = tmp_path / "design.html"
    words = ("--from", "h20", "--optimise", "tokens/s/W", "--tries", "16", *DENSE)
    run("chips", "design", *words, "--later", "transformer-dense-only", "--html", str(page))
    assert "none beats the front" in page.read_text()


def test_rules_are_shown_only_for_a_country(run):
    assert "supply" not in design(run, "--from", "h20")
    said = design(run, "--from", "h20", "--to", "CN")
    assert json.dumps(said["supply"])


@pytest.mark.parametrize(
    ("change", "message", "code"),
    [
        ("area.matrix=-5mm2", "an area from 0 mm²", 2),
        ("die.area=-800mm2", "die.area", 2),
        ("die.area=900mm2", "P121", 3),
        ("die.area=700mm2", "P123", 3),
        ("node=tsmc-1", "No process node", 2),
        ("power.budget=0W", "power.budget", 2),
        ("power.budget=90W", "P125", 3),
        ("power.cooling=ice", "No cooling", 2),
        ("memory.stacks=1000", "whole number", 2),
        ("memory.stacks=2.5", "whole number", 2),
        ("memory.kind=hbm9", "No memory", 2),
        ("clock=nan", "clock", 2),
        ("clock=1THz", "clock", 2),
        ("links.kind=string", "No link interface", 2),
        ("dies=0", "whole number", 2),
        ("sold=120%", "sold", 2),
        ("dtypes=fp8", "bf16 or fp16", 2),
        ("colour=red", "No word of a design", 2),
        ("memory.stacks", "key=value", 2),
        ("name=../x", "name of a design", 2),
        ("without=colour", "No kind of operator", 2),
    ],
)
def test_what_cannot_be_is_one_sentence(run, change, message, code):
    assert message in refused(run, "--from", f"h100@{change}", code=code)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "names one chip"),
        ('like = "h100"', "area.matrix"),
        ('from = "h100"\nlike = "h20"', "names one chip"),
        ('from = "h100"\n[a.b]\nc = 1', "No word of a design"),
        ('from = "h100"\n[a.b.c.d]\ne = 1', "too deep"),
        ('from = "h100"\nclock = [1]', "a text or a number"),
        ("x = [" * 3000, "not valid TOML"),
        ('from = "h9000"', "No chip"),
        ('from = "mi300x"', "several kinds"),
    ],
)
def test_hostile_files(run, tmp_path, monkeypatch, text, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.toml").write_text(text)
    assert message in refused(run, "own.toml")


def test_words_that_conflict(run):
    assert "starts from a file or from a chip" in refused(run)
    for words, message in (
        (("--from", "h100", "--optimise", "beauty"), "No objective"),
        (("--from", "h100", "--tries", "1"), "--tries"),
        (("--from", "h100", "--seed", "-1"), "--seed"),
        (("--from", "h100", "--against", "8xh20"), "No chip"),
        (("--from", "h100", "--against", ","), "--against takes"),
        (("--from", "h100", "--against", "h20@memory.bandwidth=5TB/s"), "--against takes"),
        (("--from", "h100", "--save", "own.txt"), ".toml"),
        (("own.txt",), "no TOML file"),
    ):
        assert message in refused(run, *words)


def test_the_list_of_chips_is_still_there(run):
    assert "chips are known" in run("chips").out
    assert "H20" in run("chips", "h20").out
