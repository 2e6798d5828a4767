"""What the answer about a fleet says, in words, tables and JSON."""

import json

import pytest

import parity

RUN = {"tokens": "1T", "gbs": "4M"}


@pytest.mark.parametrize(
    ("model", "on", "words"),
    [
        ("llama-3.1-8b", "32xh100,32xa100", "32 x H100 SXM5 80GB and 32 x A100 SXM4 80GB train"),
        ("llama-3.1-405b", "64xh100,64xh20", "no kind holds the model alone"),
        ("llama-3.1-70b", "512xh100,1xa100", "1 a100-sxm-80 would not speed it up"),
    ],
)
def test_one_sentence_says_who_trains_how_long_and_what_it_gains(model, on, words) -> None:
    answer = parity.plan_train(model, on, **RUN)
    text = " ".join(answer.explain(width=100).split())
    assert words in text.split(" step ")[0]
    assert "days (" in text.split(" step ")[0]
    assert answer.exit_code == 0
    assert json.loads(json.dumps(answer.to_dict(), allow_nan=False))["answer"]["parts"]
    assert answer._repr_html_().startswith("<section")


def test_a_missed_deadline_shows_the_fastest_plan_and_exits_with_4() -> None:
    answer = parity.plan_train("llama-3.1-8b", "32xh100,32xa100", days=1, **RUN)
    assert answer.exit_code == 4
    assert answer.to_dict()["findings"][0]["code"] == "P104"
    assert answer.to_dict()["answer"]["days"] > 1


def test_layers_of_the_parts_of_a_pipeline_follow_each_other() -> None:
    answer = parity.plan_train("llama-3.1-405b", "64xh100,64xh20", **RUN)
    first, last = answer.to_dict()["answer"]["parts"]
    assert first["layers"] + last["layers"] == 126
    text = answer.explain(width=160)
    assert f"layers 1–{first['layers']}" in text
    assert f"layers {first['layers'] + 1}–126" in text
