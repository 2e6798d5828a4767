"""`parity why` after another command, and of a file that `--json` wrote."""

from __future__ import annotations

import json

import pytest

from parity import cache
from parity.words.kept import MOST_BYTES

TRAIN = ("plan", "train", "llama-3.2-1b", "--on", "8xh100", "--seq", "4k", "--fix", "tp=2")
SERVE = ("plan", "serve", "llama-3.2-1b", "--on", "h20", "--rps", "40", "--isl", "1k")


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.parametrize("word", [(), ("LAST",), ("last",)])
def test_the_last_plan_is_explained(run, word):
    planned = run(*TRAIN, "--json").json
    why = run("why", *word, "--json").json
    assert why["why"]["step_s"] == planned["answer"]["step_time_s"]
    assert why["question"] == {
        "model": "llama-3.2-1b", "on": "8xh100", "train": True, "seq": "4k", "fix": ["tp=2"],
    }  # fmt: skip


def test_the_last_service_is_explained_and_another_may_follow(run):
    planned = run(*SERVE, "--json").json
    assert planned["question"]["rps"] == "40"
    why = run("why", "--json").json
    assert why["why"]["chips"] == planned["answer"]["chips"]
    assert why["why"]["speed"] == planned["answer"]["most_requests_per_s"]
    again = run("why", "--json").json  # why itself is not kept, so that it can be asked again
    assert again == why


def test_words_that_are_typed_take_the_place_of_those_that_were_kept(run):
    run(*SERVE)
    why = run("why", "LAST", "--concurrency", "64", "--on", "4xh20", "--json").json
    assert why["question"]["concurrency"] == "64"
    assert "rps" not in why["question"]
    assert why["question"]["isl"] == "1k"
    assert why["why"]["chips"] == 4


def test_a_match_is_explained_for_the_first_chip_that_does_the_work(run):
    match = ("match", "llama-3.2-1b", "--have", "8xh100", "--want", "ascend920,h20")
    rows = run(*match, "--train", "--json").json["answer"]["rows"]
    count = next(row["count"] for row in rows if row["count"])
    why = run("why", "--json").json
    assert why["question"]["on"] == f"{count}xh20-96"
    run(*match)
    other = run("why", "--on", "8xa100", "--json").json
    assert (other["question"]["on"], other["question"]["isl"]) == ("8xa100", "2k")


def test_a_file_is_explained_as_the_last_answer_is(run, tmp_path):
    file = tmp_path / "plan.json"
    file.write_text(run(*TRAIN, "--json").out)
    last = run("why", "--json").json
    run(*SERVE)
    assert run("why", str(file), "--json").json == last
    file.write_text(run("why", str(file), "--json").out)  # and so is an answer of why
    assert run("why", str(file), "--json").json == last


def test_nothing_kept_is_said(run):
    done = run("why")
    assert done.code == 2
    assert "No answer is kept yet" in done.err


QUESTION = {"model": "llama-3.2-1b", "on": "8xh100"}


def result(**other: object) -> str:
    plain = {"schema_version": 1, "command": "plan train", "question": QUESTION, "answer": {}}
    return json.dumps(plain | other)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "needs chips"),
        ("[1, 2]", "needs chips"),
        ("[" * 100_000, "needs chips"),
        ('{"model_type": "llama"}', "needs chips"),
        (result(command="chips"), "is of `parity chips`"),
        (result(question={}), "an older version"),
        (result(question=[1]), "cannot be read"),
        (result(question={"model": {"a": 1}}), "cannot be read"),
        (result(question=QUESTION | {"seq": True}), "takes no such value"),
        (result(question=QUESTION | {"lora": "x"}), "takes no such value"),
        (result(question=QUESTION | {"fix": [1]}), "cannot be read"),
        (result(question=QUESTION | {"tokens": ["1T"]}), "nobody typed"),
        (result(question=QUESTION | {"report": "x"}), "takes no such value"),
        (result(question=QUESTION | {"shell": "rm"}), "nobody typed"),
        (result(question=QUESTION | {"seq": "8" * 5_000}), "nobody typed"),
        (result(question=QUESTION | {"model": "owner/name"}), "neither bundled nor here"),
        (result(question={"on": "8xh100"}), "neither bundled nor here"),
        (result(question=QUESTION | {"on": "8xh1000"}), "h1000"),
        (result(question=QUESTION | {"rps": 3}), "--rps asks about serving"),
        (result(command="match", answer={"rows": [{"count": "x"}]}), "cannot be read"),
        (result(command="match", answer={"rows": []}), "no chip has a count"),
    ],
)
def test_a_hostile_file_gets_one_sentence(run, tmp_path, text, said):
    file = tmp_path / "hostile.json"
    file.write_text(text)
    done = run("why", str(file))
    assert done.code == 2
    assert said in done.err
    assert done.err.count("\n") == 1
    assert len(done.err) < 600


def test_a_file_that_is_too_large_is_not_read(run, tmp_path):
    file = tmp_path / "large.json"
    file.write_bytes(b" " * (MOST_BYTES + 1))
    done = run("why", str(file))
    assert (done.code, "at most" in done.err) == (2, True)


def test_a_last_answer_that_is_broken_is_said(run):
    cache.write("last.json", b"\xff\xfe{")
    done = run("why")
    assert done.code == 2
    assert "is no answer of Parity" in done.err


def test_a_service_is_no_training(run):
    run(*SERVE)
    assert "leave out --train" in run("why", "--train").err
