"""What holds for any configuration."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parity.errors import ParityError
from parity.workload.count import operators, parameters
from parity.workload.find import model, names
from parity.workload.flop import flop_per_token, forward_flop
from parity.workload.huggingface import parse, read
from parity.workload.operator import Attention

FAMILIES = [
    "llama", "mistral", "phi3", "qwen2", "qwen3", "olmo3", "mimo", "gemma2", "gemma3", "gemma4",
    "mixtral", "phimoe", "qwen2_moe", "qwen3_moe", "minimax_m2", "minimax_m3", "gpt_oss",
    "glm4_moe", "llama4", "deepseek_v2", "deepseek_v3", "deepseek_v32", "deepseek_v4",
    "glm_moe_dsa", "kimi_k2", "kimi_linear", "gpt2", "gptj", "opt", "bloom", "gpt_neox", "falcon",
    "mamba", "mamba2", "jamba", "bamba", "nemotron_h", "zamba2", "qwen3_next", "qwen3_5",
    "mimo_v2_flash", "step3p7", "unknown",
]  # fmt: skip

sizes = st.one_of(st.integers(-2, 600), st.sampled_from([1, 2, 8, 64, 128, 10**7, 10**40]))
scalars = st.one_of(
    st.none(), st.booleans(), sizes, st.floats(), st.text(max_size=8),
    st.sampled_from(["M*-E", "full_attention", "mamba", "fp8", "auto", "bfloat16"]),
)  # fmt: skip
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=5), st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)
KEYS = [
    "hidden_size", "n_embd", "num_hidden_layers", "n_layer", "num_attention_heads", "n_head",
    "num_key_value_heads", "head_dim", "intermediate_size", "vocab_size", "layer_types",
    "sliding_window", "tie_word_embeddings", "attention_bias", "num_experts", "num_local_experts",
    "n_routed_experts", "num_experts_per_tok", "moe_intermediate_size", "n_shared_experts",
    "moe_layer_freq", "first_k_dense_replace", "kv_lora_rank", "q_lora_rank", "qk_nope_head_dim",
    "qk_rope_head_dim", "v_head_dim", "index_n_heads", "index_head_dim", "index_topk",
    "index_topk_pattern", "compress_ratios", "o_groups", "o_lora_rank", "hc_mult", "state_size",
    "conv_kernel", "mamba_num_heads", "mamba_head_dim", "ssm_state_size", "n_groups",
    "hybrid_override_pattern", "layers_block_type", "linear_attn_config", "mamba_d_state",
    "mamba_n_heads", "n_mamba_heads", "linear_num_key_heads", "linear_num_value_heads",
    "linear_key_head_dim", "linear_value_head_dim", "sparse_attention_config", "ffn_dim",
    "quantization_config", "torch_dtype", "text_config", "vision_config", "no_rope_layers",
    "attention_chunk_size", "intermediate_size_mlp", "max_position_embeddings", "n_positions",
    "expert_dtype", "hybrid_layer_pattern", "resid_pdrop", "mamba_ssm_dtype",
]  # fmt: skip

SOUND = {
    "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 4, "num_attention_heads": 4,
    "num_key_value_heads": 2, "vocab_size": 1000, "num_experts": 8, "num_experts_per_tok": 2,
    "moe_intermediate_size": 32, "kv_lora_rank": 16, "q_lora_rank": 16, "qk_nope_head_dim": 16,
    "qk_rope_head_dim": 8, "v_head_dim": 16, "index_n_heads": 2, "index_head_dim": 8,
    "index_topk": 16, "state_size": 8, "num_heads": 4, "mamba_num_heads": 4, "mamba_head_dim": 16,
    "ssm_state_size": 8, "mamba_d_state": 8, "mamba_n_heads": 4, "n_mamba_heads": 4,
    "linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_key_head_dim": 8,
    "linear_value_head_dim": 8, "ffn_dim": 128, "n_positions": 128, "intermediate_size_mlp": 128,
    "hybrid_override_pattern": "M*-E", "o_groups": 2, "o_lora_rank": 8,
    "layers_block_type": ["mamba", "hybrid", "mamba", "hybrid"],
    "linear_attn_config": {"num_heads": 2, "head_dim": 8, "kda_layers": [1, 2, 3],
                           "full_attn_layers": [4]},
}  # fmt: skip


def outcome(function, *arguments):
    """What a function returns, or the sentence of the error it raises on purpose."""
    try:
        return function(*arguments), ""
    except ParityError as error:
        return None, str(error)


@pytest.mark.parametrize("model_type", FAMILIES)
def test_a_sound_configuration_is_read(model_type):
    config = {**SOUND, "model_type": model_type}
    if model_type == "nemotron_h":
        config["layers_block_type"] = None
    architecture = read(config, "sound")
    assert architecture.num_hidden_layers == 4
    assert parameters(architecture) > 0
    assert flop_per_token(architecture, 100, "prefill") > 0


@settings(max_examples=600)
@given(
    model_type=st.sampled_from(FAMILIES),
    changes=st.dictionaries(st.sampled_from(KEYS), values, max_size=4),
)
def test_garbage_in_a_sound_configuration_raises_only_our_errors(model_type, changes):
    config = {**SOUND, "model_type": model_type, **changes}
    architecture, sentence = outcome(read, config, "garbage")
    assert "\n" not in sentence
    assert architecture is None or parameters(architecture) > 0


@settings(max_examples=200)
@given(st.dictionaries(st.sampled_from(["model_type", *KEYS]), values, max_size=8))
def test_garbage_raises_only_our_errors(config):
    _, sentence = outcome(read, config, "garbage")
    assert "\n" not in sentence


@settings(max_examples=200)
@given(st.one_of(st.binary(max_size=60), st.text(max_size=60).map(str.encode)))
def test_any_bytes_are_json_or_our_error(data):
    _, sentence = outcome(parse, data, "file")
    assert not sentence or sentence.startswith("file ")


@given(
    model_type=st.sampled_from([f for f in FAMILIES if f not in ("nemotron_h", "zamba2")]),
    count=st.integers(1, 3),
    more=st.integers(1, 8),
)
def test_parameters_grow_with_layers_and_width(model_type, count, more):
    config = {**SOUND, "model_type": model_type, "num_hidden_layers": count}
    small = parameters(read(config, "small"))
    assert parameters(read({**config, "num_hidden_layers": count + 1}, "deeper")) > small
    wider = {**config, "hidden_size": 64 + 64 * more, "head_dim": 16}
    assert parameters(read(wider, "wider")) > parameters(read({**config, "head_dim": 16}, "same"))


@given(
    name=st.sampled_from([
        "llama-3.1-8b", "gpt-oss-20b", "deepseek-v3.2", "deepseek-v4-flash", "llama-4-scout",
        "qwen3-next-80b-a3b", "mamba-2.8b",
    ]),
    first=st.integers(1, 20_000),
    second=st.integers(1, 20_000),
)  # fmt: skip
def test_flop_of_a_sequence_is_that_of_its_parts(name, first, second):
    for _, op in operators(model(name)):
        whole = forward_flop(op, first + second)
        parts = forward_flop(op, first) + forward_flop(op, second, first + second)
        assert parts == pytest.approx(whole, rel=1e-12)


@given(name=st.sampled_from(sorted(names())), context=st.integers(1, 1 << 20))
def test_attention_never_reads_more_than_there_is(name, context):
    for _, op in operators(model(name)):
        if isinstance(op, Attention):
            width = 2 * op.query_heads * (op.qk_head_dim + op.v_head_dim)
            assert 0 <= forward_flop(op, 1, context) <= width * context
