"""`parity models`."""

from __future__ import annotations

import json

import pytest

GOLDEN = """\
llama-3.1-8b has 8.03 B parameters, all of them active; a sequence of 32,768 tokens keeps 4.29 GB of
bf16 cache.
"""


def test_the_answer_comes_first(run):
    assert run("models", "llama-3.1-8b", "--at", "32k").out.startswith(GOLDEN)


def test_json_of_one_model(run):
    answer = run("models", "llama-3.1-70b", "--at", "128k", "--kv", "fp8", "--json").json
    assert answer["schema_version"] == 1
    assert answer["command"] == "models"
    assert answer["parameters"] == {"total": 70_553_706_496, "active": 70_553_706_496}
    assert answer["kv_bytes_per_token"] == 80 * 2 * 8 * 128
    assert answer["kv_dtype"] == "fp8"
    assert answer["cache_bytes"] == 131_072 * answer["kv_bytes_per_token"]
    assert answer["flop_per_token"]["training"] == 3 * answer["flop_per_token"]["prefill"]
    assert answer["blocks"][0]["count"] == answer["layers"] == 80
    assert answer["findings"] == []


def test_json_of_all_models(run):
    listed = run("models", "--json").json["models"]
    assert len(listed) >= 80
    assert all(model["parameters"]["total"] > 0 for model in listed)


def test_a_config_of_the_user(run, tmp_path):
    path = tmp_path / "config.json"
    path.write_text(
        json.dumps(
            {
                "model_type": "llama",
                "hidden_size": 64,
                "intermediate_size": 128,
                "num_hidden_layers": 2,
                "num_attention_heads": 4,
                "num_key_value_heads": 2,
                "vocab_size": 100,
            }
        )
    )
    answer = run("models", str(path), "--json").json
    attention = 64 * (64 + 2 * 32) + 64 * 64
    layer = attention + 3 * 64 * 128 + 2 * 64
    assert answer["parameters"]["total"] == 2 * layer + 2 * 100 * 64 + 64
    assert run("models", str(tmp_path), "--json").json["parameters"] == answer["parameters"]


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("lama-3.1-70b",), "Did you mean `llama-3.1-70b`"),
        (("./nowhere/config.json",), "nowhere"),
        (("llama-3.1-70b", "--at", "0"), "--at"),
        (("llama-3.1-70b", "--at", "-4k"), "--at"),
        (("llama-3.1-70b", "--at", "nan"), "--at"),
        (("llama-3.1-70b", "--at", "9" * 500), "--at"),
        (("llama-3.1-70b", "--at", "8 bananas"), "--at"),
        (("llama-3.1-70b", "--kv", "fp9"), "No dtype called 'fp9'"),
        (("llama-3.1-70b", "--ta", "8k"), "Did you mean `--at`"),
        (("x" * 10_000,), "No model called"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(run, argv, said):
    done = run("models", *argv)
    assert done.code == 2
    assert said in done.err
    assert done.err.count("\n") == 1
    assert done.out == ""
