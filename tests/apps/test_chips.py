"""`parity chips`."""

from __future__ import annotations

from typing import get_args

import pytest

from parity.record import Provenance

PROVENANCES = get_args(Provenance)

FIGURE = {"value", "low", "high", "unit", "provenance", "source", "note", "also"}


def figures(table):
    """Every figure in a JSON tree."""
    if isinstance(table, dict):
        if "provenance" in table and "unit" in table:
            yield table
        else:
            for value in table.values():
                yield from figures(value)
    elif isinstance(table, list):
        for value in table:
            yield from figures(value)


def test_one_chip_shows_every_figure_its_range_and_its_source(run):
    lines = run("chips", "h20").out.splitlines()
    assert lines[0] == "H20 96GB (h20-96): 148 TFLOP/s bf16, 96 GB at 4 TB/s; shipping."
    (bandwidth,) = (line for line in lines if line.startswith("  memory.bandwidth"))
    assert bandwidth.split()[1:4] == ["4", "TB/s", "read"]
    (power,) = (line for line in lines if line.startswith("  physical.tdp"))
    assert "400–550" in power
    cited = {word for line in lines for word in line.split() if word.startswith("[")}
    sources = lines[lines.index("sources") :]
    assert all(any(line.strip().startswith(mark) for line in sources) for mark in cited)


def test_json_of_a_chip_is_figures_in_si_with_sources(run):
    answer = run("chips", "h20", "--json").json
    (chip,) = answer["chips"]
    assert (answer["schema_version"], answer["command"], chip["id"]) == (1, "chips", "h20-96")
    assert chip["memory"]["bandwidth"]["value"] == 4e12
    assert chip["memory"]["bandwidth"]["unit"] == "byte/s"
    found = list(figures(chip))
    assert len(found) > 15
    for figure in found:
        assert set(figure) <= FIGURE
        assert figure["low"] <= figure["value"] <= figure["high"]
        assert figure["provenance"] in PROVENANCES
        assert figure["source"] in chip["sources"]


def test_every_chip_has_its_json_and_its_text(run):
    listed = run("chips", "--json").json["chips"]
    assert len(listed) >= 128
    for chip in listed:
        done = run("chips", chip["id"])
        assert done.code == 0
        assert chip["id"] in done.out.splitlines()[0]


def test_a_filter(run):
    done = run("chips", "--where", "memory>=80GB vendor=huawei", "--json")
    assert done.json["chips"]
    for chip in done.json["chips"]:
        assert chip["vendor"] == "Huawei"
        assert chip["memory"]["capacity"]["value"] >= 80e9


def test_a_filter_that_nothing_meets_is_an_answer(run):
    done = run("chips", "--where", "memory>=100TB")
    assert (done.code, done.out) == (0, "No chips meet `memory>=100TB`.\n")


def test_side_by_side_with_ratios(run):
    argv = ("chips", "h100", "h20", "--compare")
    assert run(*argv).out.startswith(
        "h20-96 against h100-sxm: bf16 ×0.15, memory ×1.2, bandwidth ×1.19, scale-up ×1.\n"
    )
    rows = {row["figure"]: row for row in run(*argv, "--json").json["compare"]}
    row = rows["memory.bandwidth"]
    assert row["ratios"]["h20-96"] == pytest.approx(4 / 3.35)
    assert row["values"]["h20-96"]["value"] == 4e12


def test_a_figure_of_ones_own(run):
    (chip,) = run("chips", "h20@memory.bandwidth=4.8TB/s", "--json").json["chips"]
    assert chip["memory"]["bandwidth"]["value"] == 4.8e12
    assert chip["memory"]["bandwidth"]["provenance"] == "user"
    assert "4.8 TB/s" in run("chips", "h20@memory.bandwidth=4.8TB/s").out.splitlines()[0]


def test_a_weak_figure_is_marked_in_the_list(run):
    done = run("chips", "--where", "id=h20-96")
    assert "~" not in done.out
    done = run("chips", "--where", "id=ascend950dt")
    assert "~432 TFLOP/s" in done.out
    assert "shows range and source" in done.out


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("h20x",), "Did you mean `h20`"),
        (("8xh20",), "without a count"),
        (("h20", "--compare"), "needs two chips"),
        (("--compare",), "needs two chips"),
        (("--where", "memory>=80parsecs"), "80parsecs"),
        (("--where", "memmory>=80GB"), "memmory"),
        (("--where", "memory>=-1GB"), "memory"),
        (("--where", ";" * 10), "term of a filter"),
        (("--where", "a" * 5000), "letters"),
        (("h20@memory.bandwidth=nan",), "memory.bandwidth"),
        (("h20@memory.bandwith=4TB/s",), "memory.bandwidth"),
        (("",), ""),
        (("x" * 100_000,), "letters"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(run, argv, said):
    done = run("chips", *argv)
    assert done.code == 2
    assert said in done.err
    assert done.err.count("\n") == 1
    assert len(done.err) < 600
    assert done.out == ""


def test_a_broken_file_of_the_user_is_named(run, tmp_path, monkeypatch):
    (tmp_path / "mine.toml").write_text('name = "Mine"\nvendor = 3\n')
    monkeypatch.setenv("PARITY_CATALOGUE", str(tmp_path))
    done = run("chips", "mine")
    assert done.code == 2
    assert "mine.toml" in done.err


def test_a_missing_folder_of_the_user_is_named(run, monkeypatch):
    monkeypatch.setenv("PARITY_CATALOGUE", "nowhere-at-all")
    done = run("chips")
    assert done.code == 2
    assert "nowhere-at-all" in done.err
