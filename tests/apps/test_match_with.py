"""`parity match --with` as it is typed: exit codes, errors, JSON, pages."""

from __future__ import annotations

import pytest

SERVING = ("match", "llama-3.1-8b", "--have", "16xh100")
TRAINING = (*SERVING, "--train", "--gbs", "1M")


@pytest.mark.parametrize("words", [SERVING, TRAINING])
def test_one_sentence_says_what_is_owned_and_what_to_add(run, words):
    found = run(*words, "--with", "8xa100", "--want", "h20,910b")
    assert found.code == 0
    first = " ".join(found.out.split("\n\n")[0].split())
    assert first.startswith("8xa100 do 0.")
    assert "of what 16xh100 do in" in first
    for row in run(*words, "--with", "8xa100", "--want", "h20,910b", "--json").json["answer"][
        "rows"
    ]:
        assert f"{row['count']:,} {row['chip']} ({row['low']:,}–{row['high']:,})" in first
    assert "who does what" in found.out


def test_chips_that_suffice_are_said_to(run):
    found = run(*SERVING, "--with", "64xh100", "--want", "a100")
    assert found.code == 0
    assert "nothing needs to be added" in " ".join(found.out.split())


def test_where_no_number_does_the_exit_code_says_so(run):
    words = ("match", "llama-3.1-8b", "--have", "512xh100", "--train", "--gbs", "64k")
    found = run(*words, "--with", "8xa100", "--want", "h20")
    assert found.code == 4
    assert "no count" in found.out
    chips = ("--with", "8xa100", "--want", "ascend920")
    assert run(*SERVING, *chips).code == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((*SERVING, "--with", "a100", "--want", "h20"), "`--with a100` has no count"),
        ((*SERVING, "--with", "8xh2000", "--want", "h20"), "No chip called 'h2000'"),
        ((*SERVING, "--with", "8xa100,8xh20,8xl4,8xl40s"), "at most 3"),
        ((*SERVING, "--with", "8xa100", "--ladder", "--want", "h20"), "--ladder"),
        ((*SERVING, "--with", "8xa100", "--want", "4xh20"), "without a count"),
        (("match", "llama-3.1-8b", "--with", "8xa100"), "needs a target"),
        (("match", "llama-3.1-8b", "--with", "8xa100", "--days", "9"), "--train"),
        ((*SERVING, "--with", "0xa100"), "whole number from 1"),
        ((*TRAINING, "--with", "9000000xa100"), "one job takes"),
        ((*SERVING, "--with", ""), "names no chip"),
        ((*SERVING, "--with", "8xa100", "--mode", "aggregated"), "leave --mode out"),
        ((*SERVING, "--with", "8xa100", "--equal", "cost"), "not money"),
        (("match", "llama-3.1-8b", "--with", "8xa100", "--users", "9"), "--rps"),
        ((*SERVING, "--with", "8xa100", "--rps", "9"), "give one of them"),
        (SERVING, "--want names the chips"),
    ],
)
def test_what_cannot_be_asked_is_said_in_a_sentence(run, words, said):
    found = run(*words)
    assert found.code == 2
    assert said in " ".join(found.err.split())
    assert found.err.startswith("error: ")


def test_the_rules_and_the_page_follow(run, tmp_path):
    page = tmp_path / "added.html"
    words = (*SERVING, "--with", "8xa100", "--want", "h20", "--to", "CN", "--html", str(page))
    found = run(*words, "--json")
    assert [one["label"] for one in found.json["supply"]["chips"]] == ["h20-96"]
    assert "who does what" in page.read_text()


def test_a_chip_with_figures_of_the_users_own_is_called_by_them(run):
    twice = "h20@compute.dense.bf16=296TFLOP/s"
    rows = run(*SERVING, "--with", "8xh20", "--want", f"h20,{twice}", "--json").json["answer"][
        "rows"
    ]
    assert [row["label"] for row in rows] == ["h20-96", "h20-96@compute.dense.bf16=296TFLOP/s"]
    assert rows[1]["count"] < rows[0]["count"]


def test_why_follows_the_fleet_that_trains_and_one_kind_of_those_that_serve(run):
    count = run(*TRAINING, "--with", "8xa100", "--want", "h20", "--json").json["answer"]["rows"][0]
    told = run("why", "-q")
    assert told.code == 0
    assert f"8 x A100 SXM4 80GB and {count['count']} x H20 96GB" in " ".join(told.out.split())
    run(*SERVING, "--with", "8xa100", "--want", "h20")
    refused = run("why")
    assert refused.code == 2
    assert "--on 16xh20" in refused.err
    assert run("why", "LAST", "--on", "8xh20", "-q").code == 0
