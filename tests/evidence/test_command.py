"""`parity validate`, the page it is published on, and the plot."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from parity.evidence.read import bundled
from parity.outputs import accuracy, accuracy_page
from parity.outputs.scatter import Dot, Scatter, svg

COLUMNS = "id,model,chip,chip_count,seq_len,global_batch_seqs,microbatch,tp,pp,metric,value"
LINE = "mine,llama3-8b,H100-SXM-80GB,8,8192,64,1,1,1,iteration_time,11.5"


def test_one_set(run):
    answer = run("validate", "--set", "korthikanti")
    assert answer.code == 0
    assert answer.out.startswith("Parity is ")
    assert "over 8 of 8\nmeasurements" in answer.out or "over 8 of 8 measurements" in answer.out
    assert "by source" in answer.out
    assert "Furthest off" in answer.out


def test_json_has_the_names_that_checks_rely_on(run):
    answer = run("validate", "--set", "korthikanti,sc21,amd-primus", "--json").json
    names = {
        "coverage", "median_abs_error", "mean_abs_error", "p90_abs_error", "bias",
        "interval_coverage",
    }  # fmt: skip
    assert names <= answer["summary"].keys()
    assert set(answer["groups"]["set"]) == {"korthikanti", "sc21", "amd-primus"}
    assert all(names <= one.keys() for one in answer["groups"]["chip"].values())
    one = answer["rows"][0]
    assert {
        "id", "status", "reason", "metric", "measured", "predicted", "low", "high", "error",
    } <= one.keys()  # fmt: skip
    assert {row["status"] for row in answer["rows"]} == {"predicted", "skipped"}
    measured = {row.id: row.value for row in bundled()}
    assert all(row["measured"] == measured[row["id"]] for row in answer["rows"])


def test_a_file_of_the_user(run, tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text(f"{COLUMNS}\n{LINE}\n{LINE.replace('8b', '9z')}\n")
    answer = run("validate", "--evidence", str(path), "--json").json
    assert [row["status"] for row in answer["rows"]] == ["predicted", "skipped"]
    assert answer["summary"]["coverage"] == 1.0
    text = run("validate", "--evidence", str(path))
    assert text.code == 0
    assert "9z is not known" in text.out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--set", "korth"), 2, "No set of evidence called 'korth'. Did you mean `korthikanti`?"),
        (("--evidence", "missing.csv"), 2, "There is no file"),
        (("--leave-out", "chips"), 2, "No thing to leave out called 'chips'"),
        (("--tolerance", "much"), 2, "--tolerance is 'much'"),
        (("--tolerance", "-1"), 2, "a share above 0"),
    ],
)
def test_what_is_not_understood(run, words, code, said):
    answer = run("validate", *words)
    assert (answer.code, answer.out) == (code, "")
    assert said in answer.err
    assert "Traceback" not in answer.err


def test_over_tolerance_is_exit_six(run):
    assert run("validate", "--set", "korthikanti", "--tolerance", "0.01%").code == 6
    assert run("validate", "--set", "korthikanti", "--tolerance", "90%").code == 0


def test_a_broken_file_leaves_one_sentence(run, tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text(f"{COLUMNS}\n{LINE.replace('11.5', 'nan')}\n")
    answer = run("validate", "--evidence", str(path))
    assert answer.code == 2
    assert "line 2, column value: 'nan'" in answer.err
    assert len(answer.err.strip().splitlines()) == 1


def test_nothing_predicted_is_said(run, tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("model,chip,metric,value\ngpt2,h100,mfu,40\n")
    assert run("validate", "--evidence", str(path)).out.startswith("None of the 1 measurements")


def test_the_library_function():
    answer = accuracy.validate(sets=["sc21"], tolerance=0.9)
    assert answer.to_dict()["command"] == "validate"
    assert "sc21" in answer.explain()


# After a change that moves predictions: python tools/accuracy.py --leave-out
def test_the_page_shows_what_the_code_gives(root, halves):
    """Fails when predictions move. If that is meant: python tools/accuracy.py --leave-out"""
    shown = (root / "docs" / "accuracy.md").read_text(encoding="utf-8")
    assert "## Serving with each source left out" in shown
    again = "If this is meant: python tools/accuracy.py --leave-out"
    assert plain(shown) == plain(accuracy_page.page(halves)), again


def plain(text: str) -> str:
    """The page without the parts that a fit without each source makes."""
    for title in ("## With each source left out", "## Serving with each source left out"):
        before, found, after = text.partition(title)
        text = before + "![" + after.partition("![")[2] if found else text
    before, _, after = text.partition("# What equals what")
    return before + after.partition("# Beside AIConfigurator")[2]


def test_the_plots_are_well_formed_and_complete(halves):
    for plot, of in (
        (accuracy_page.plot(halves.training), halves.training),
        (accuracy_page.serving_plot(halves.serving), halves.serving),
    ):
        assert len(plot.dots) == of.summary.predicted
        tree = ET.fromstring(svg(plot))
        assert tree.tag.endswith("svg")
        words = " ".join(tree.itertext())
        for group in {dot.group for dot in plot.dots}:
            assert group in words


def test_a_plot_of_hostile_names_stays_well_formed():
    dots = (Dot(1.0, 2.0, "<b>&", "x"), Dot(3.0, 1.0, '"', "y"))
    assert ET.fromstring(svg(Scatter("a<b", "x&", "y", dots, 0.1))) is not None
    assert ET.fromstring(svg(Scatter("none", "x", "y", (), 0.1))) is not None
