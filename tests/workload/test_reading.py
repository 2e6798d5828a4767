"""Hostile and broken configurations: one sentence each, never a traceback."""

from __future__ import annotations

import json

import pytest

from parity.errors import BadFile, ParityError
from parity.workload.count import weight_bytes
from parity.workload.huggingface import MOST_BYTES, read, read_file

LLAMA = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 1000,
}
MIXTRAL = {**LLAMA, "model_type": "mixtral", "num_local_experts": 8, "num_experts_per_tok": 2}

WRONG = [
    ({"hidden_size": None}, "`hidden_size` (or `n_embd` or `d_model`) is null; a whole number"),
    ({"hidden_size": 0}, "`hidden_size` is 0; a whole number from 1 to 1,000,000 was expected"),
    ({"hidden_size": -64}, "`hidden_size` is -64"),
    ({"hidden_size": "64"}, '`hidden_size` is "64"'),
    ({"hidden_size": 64.0}, "`hidden_size` is 64.0"),
    ({"hidden_size": True}, "`hidden_size` is true"),
    ({"hidden_size": [64]}, "`hidden_size` is a list"),
    ({"hidden_size": {"a": 1}}, "`hidden_size` is an object"),
    ({"hidden_size": 10**7}, "`hidden_size` is 10,000,000"),
    ({"hidden_size": 10**30}, "`hidden_size` is a number of more than 15 digits"),
    ({"num_hidden_layers": 10_001}, "`num_hidden_layers` is 10,001"),
    ({"num_hidden_layers": 0}, "`num_hidden_layers` is 0"),
    ({"vocab_size": 10**9}, "`vocab_size` is 1,000,000,000"),
    ({"vocab_size": None}, "`vocab_size` is null"),
    ({"intermediate_size": None}, "`intermediate_size`"),
    (
        {"num_attention_heads": 3, "num_key_value_heads": 3},
        "`hidden_size` (64) is not a multiple of `num_attention_heads` (3)",
    ),
    ({"num_key_value_heads": 3}, "(4) is not a multiple of `num_key_value_heads` (3)"),
    ({"max_position_embeddings": 10**10}, "`max_position_embeddings` is 10,000,000,000"),
    ({"tie_word_embeddings": "yes"}, '`tie_word_embeddings` is "yes"; true or false'),
    ({"attention_bias": 1}, "`attention_bias` is 1; true or false"),
    ({"layer_types": "full"}, '`layer_types` is "full"; a list'),
    ({"layer_types": ["full_attention"]}, "`layer_types` has 1 entries; one for each of the 2"),
    ({"layer_types": ["full_attention", "psychic"]}, '`layer_types` holds "psychic"; each entry'),
    ({"layer_types": ["full_attention"] * 10_001}, "`layer_types` is a list of 10,001 entries"),
    ({"torch_dtype": "float7"}, "No dtype called 'float7'"),
    ({"torch_dtype": 16}, "`torch_dtype` is 16; a short string"),
    ({"quantization_config": "fp8"}, '`quantization_config` is "fp8"; an object'),
    ({"quantization_config": {"quant_method": "fp8", "ignore": 3}}, "`ignore` is 3; a list"),
    ({"model_type": 7}, "`model_type` is 7; a short string"),
    ({"model_type": "x" * 1000}, "`model_type` is"),
    ({"text_config": []}, "`text_config` is a list; an object"),
    ({"sliding_window": -1}, "`sliding_window` is -1"),
]


@pytest.mark.parametrize(("change", "sentence"), WRONG)
def test_a_wrong_field_is_named_with_what_was_found_and_expected(change, sentence):
    with pytest.raises(BadFile) as caught:
        read({**LLAMA, **change}, "bad", where="bad.json")
    message = str(caught.value)
    assert message.startswith("bad.json: ")
    assert sentence in message
    assert "\n" not in message
    assert len(message) < 400


@pytest.mark.parametrize("key", ["hidden_size", "num_hidden_layers", "vocab_size"])
def test_a_missing_field_is_named(key):
    config = {k: v for k, v in LLAMA.items() if k != key}
    with pytest.raises(BadFile, match=f"`{key}`.* is missing; a whole number"):
        read(config, "bad")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"num_local_experts": 10**6}, "`num_local_experts` is 1,000,000"),
        ({"num_experts_per_tok": 9}, "`num_experts_per_tok` is 9; a whole number from 1 to 8"),
        ({"num_experts_per_tok": 0}, "`num_experts_per_tok` is 0"),
        ({"num_experts_per_tok": None}, "`num_experts_per_tok`"),
    ],
)
def test_wrong_experts(change, sentence):
    with pytest.raises(BadFile) as caught:
        read({**MIXTRAL, **change}, "bad")
    assert sentence in str(caught.value)


def test_wrong_patterns():
    nemotron = {
        **LLAMA, "model_type": "nemotron_h", "hybrid_override_pattern": "MX*-",
        "mamba_num_heads": 4, "mamba_head_dim": 16, "ssm_state_size": 16,
    }  # fmt: skip
    with pytest.raises(BadFile, match=r'`hybrid_override_pattern` is "MX\*-"; a string of M'):
        read(nemotron, "bad")
    with pytest.raises(BadFile, match="names 4 layers, but `num_hidden_layers` is 2"):
        read({**nemotron, "hybrid_override_pattern": "MM*-"}, "bad")
    with pytest.raises(BadFile, match=r"`layers_block_type` .*is missing"):
        read({**nemotron, "hybrid_override_pattern": None}, "bad")


@pytest.mark.parametrize("value", [[], [1], 7, "x", None, True])
def test_json_that_is_no_object(value):
    with pytest.raises(BadFile, match="a JSON object was expected"):
        read(value, "bad")


def test_nested_too_deep():
    deep = LLAMA
    for _ in range(30):
        deep = {"a": deep}
    with pytest.raises(BadFile, match="nested too deep"):
        read({**LLAMA, "deep": deep}, "bad")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON"),
        (b'{"a": NaN}', "NaN is no number of JSON"),
        (b'{"a": -Infinity}', "is no number of JSON"),
        (b"\xff\xfe\x00", "is not text in UTF-8"),
        (b"[" * 100_000, "is nested too deep"),
        (b'{"hidden_size": ' + b"9" * 5000 + b"}", "is not JSON"),
        (b"[1, 2]", "holds a list; a JSON object was expected"),
        (b" " * (MOST_BYTES + 1), "4,000,001 bytes"),
    ],
)
def test_files(tmp_path, content, sentence):
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(BadFile) as caught:
        read_file(path)
    assert sentence in str(caught.value)
    assert str(path)[:40] in str(caught.value)


def test_a_folder_without_a_configuration(tmp_path):
    with pytest.raises(BadFile, match=r"There is no file .*config\.json"):
        read_file(tmp_path)


def test_a_byte_order_mark_and_an_unknown_key_are_no_harm(tmp_path):
    path = tmp_path / "config.json"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps({**LLAMA, "favourite_colour": "red"}).encode())
    architecture = read_file(path)
    assert architecture.num_hidden_layers == 2
    assert architecture.name == tmp_path.name


@pytest.mark.parametrize(
    ("quantised", "weight", "kv"),
    [
        ({"quant_method": "fp8", "fmt": "e4m3"}, "fp8", "bf16"),
        ({"quant_method": "mxfp4"}, "mxfp4", "bf16"),
        ({"quant_method": "awq", "bits": 4, "group_size": 128}, "int4-g128", "bf16"),
        ({"quant_method": "gptq", "bits": 8}, "int8", "bf16"),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, "int4", "bf16"),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4", "kv_cache_quant_algo": "FP8"},
         "nvfp4", "fp8"),
        ({"quant_method": "compressed-tensors", "format": "float-quantized",
          "config_groups": {"group_0": {"weights": {"num_bits": 8, "type": "float"}}},
          "kv_cache_scheme": {"num_bits": 8, "type": "float"}}, "fp8", "fp8"),
        ({"quant_method": "compressed-tensors", "format": "pack-quantized",
          "config_groups": {"group_0": {"weights": {"num_bits": 4, "type": "int",
                                                    "group_size": 32}}}}, "int4-g32", "bf16"),
    ],
)  # fmt: skip
def test_quantised_checkpoints(quantised, weight, kv):
    architecture = read({**LLAMA, "quantization_config": quantised}, "q")
    assert architecture.weight_dtype == weight
    assert architecture.kv_dtype == kv
    assert weight_bytes(architecture) < weight_bytes(architecture, "bf16")
    assert not architecture.findings


def test_a_quantisation_nobody_knows_is_said():
    architecture = read({**LLAMA, "quantization_config": {"quant_method": "magic"}}, "q")
    assert architecture.weight_dtype == "bf16"
    assert [f.code for f in architecture.findings] == ["P303"]


def test_what_a_checkpoint_leaves_unquantised():
    """gpt-oss: experts in MXFP4; attention, router, embedding and head in 16 bits."""
    from parity.workload.find import model
    from parity.workload.operator import Linear

    (block, _) = model("gpt-oss-120b").blocks
    dtypes = {op.name: op.dtype for op in block.operators if isinstance(op, Linear)}
    assert dtypes == {
        "q_proj": "bf16", "kv_proj": "bf16", "o_proj": "bf16", "router": "bf16",
        "experts_gate_up_proj": "", "experts_down_proj": "",
    }  # fmt: skip


def test_every_error_is_one_of_ours():
    with pytest.raises(ParityError):
        read({}, "empty")
