"""Families without a bundled model, or with options none of them uses, counted to the unit.

The expected counts were taken once from transformers 5.23.0 with PyTorch 2.14 on the meta device,
which lays out a model's parameters without filling them.
"""

from __future__ import annotations

import pytest

from parity.workload.count import cache_bytes, parameters
from parity.workload.huggingface import read
from parity.workload.operator import Attention

ZAMBA2_LAYERS = (
    ["mamba"]
    + (["mamba"] * 5 + ["hybrid"]) * 7
    + ["mamba"] * 4 + ["hybrid"] + ["mamba"] * 3 + ["hybrid"] + ["mamba"] * 2
)  # fmt: skip
ZAMBA2 = {
    "model_type": "zamba2", "vocab_size": 32_000, "hidden_size": 2560, "num_hidden_layers": 54,
    "n_mamba_heads": 8, "mamba_d_state": 64, "mamba_ngroups": 1, "num_attention_heads": 32,
    "layers_block_type": ZAMBA2_LAYERS, "use_mem_rope": True,
}  # fmt: skip
LLAMA = {
    "model_type": "llama", "vocab_size": 32_000, "hidden_size": 4096, "intermediate_size": 11_008,
    "num_hidden_layers": 32, "num_attention_heads": 32,
}  # fmt: skip
FULL = [5, 9, 13, 17, 21, 25]

CASES = {
    "llama with biases": (
        {**LLAMA, "attention_bias": True, "mlp_bias": True, "num_key_value_heads": 8},
        5_934_272_512,
    ),
    "granite": ({**LLAMA, "model_type": "granite"}, 6_738_415_616),
    "olmo2": ({**LLAMA, "model_type": "olmo2", "vocab_size": 50_304}, 6_888_624_128),
    "ministral3": (
        {**LLAMA, "model_type": "ministral3", "vocab_size": 131_072, "intermediate_size": 14_336,
         "num_hidden_layers": 34, "num_key_value_heads": 8, "head_dim": 128},
        8_489_553_920,
    ),
    "smollm3": (
        {"model_type": "smollm3", "vocab_size": 128_256, "hidden_size": 2048,
         "intermediate_size": 11_008, "num_hidden_layers": 36, "num_attention_heads": 16,
         "num_key_value_heads": 4, "tie_word_embeddings": True},
        3_075_098_624,
    ),
    "seed_oss": (
        {"model_type": "seed_oss", "vocab_size": 155_136, "hidden_size": 4096,
         "intermediate_size": 27_648, "num_hidden_layers": 64, "num_attention_heads": 80,
         "num_key_value_heads": 8, "head_dim": 128},
        28_921_040_896,
    ),
    "gemma": (
        {"model_type": "gemma", "vocab_size": 256_000, "hidden_size": 3072,
         "intermediate_size": 24_576, "num_hidden_layers": 28, "num_attention_heads": 16,
         "num_key_value_heads": 16, "head_dim": 256},
        8_537_680_896,
    ),
    "gemma4 with embeddings per layer and shared caches": (
        {"model_type": "gemma4_text", "hidden_size": 1536, "intermediate_size": 6144,
         "num_hidden_layers": 35, "num_attention_heads": 8, "num_key_value_heads": 1,
         "head_dim": 256, "num_kv_shared_layers": 20, "use_double_wide_mlp": True,
         "hidden_size_per_layer_input": 256, "vocab_size": 262_144, "sliding_window": 512},
        4_621_490_944,
    ),
    "qwen2_moe": (
        {"model_type": "qwen2_moe", "vocab_size": 151_936, "hidden_size": 2048,
         "intermediate_size": 5632, "num_hidden_layers": 24, "num_attention_heads": 16,
         "num_key_value_heads": 16, "moe_intermediate_size": 1408, "num_experts": 60,
         "shared_expert_intermediate_size": 5632, "num_experts_per_tok": 4},
        14_315_784_192,
    ),
    "glm4_moe_lite": (
        {"model_type": "glm4_moe_lite", "vocab_size": 154_880, "hidden_size": 2048,
         "intermediate_size": 10_240, "moe_intermediate_size": 1536, "num_hidden_layers": 47,
         "num_attention_heads": 20, "n_shared_experts": 1, "n_routed_experts": 64,
         "kv_lora_rank": 512, "q_lora_rank": 768, "qk_rope_head_dim": 64, "v_head_dim": 256,
         "qk_nope_head_dim": 192, "num_experts_per_tok": 4, "first_k_dense_replace": 1},
        29_943_393_920,
    ),
    "kimi_linear": (
        {"model_type": "kimi_linear", "vocab_size": 163_840, "hidden_size": 2304,
         "intermediate_size": 9216, "moe_intermediate_size": 1024, "num_hidden_layers": 27,
         "num_attention_heads": 32, "num_experts": 256, "num_experts_per_token": 8,
         "num_shared_experts": 1, "kv_lora_rank": 512, "qk_rope_head_dim": 64,
         "v_head_dim": 128, "qk_nope_head_dim": 128, "first_k_dense_replace": 1,
         "linear_attn_config": {
             "head_dim": 128, "num_heads": 32, "short_conv_kernel_size": 4,
             "full_attn_layers": FULL,
             "kda_layers": [i for i in range(1, 28) if i not in FULL]}},
        49_133_081_120,
    ),
    "falcon with groups of heads": (
        {"model_type": "falcon", "hidden_size": 8192, "num_hidden_layers": 60,
         "num_attention_heads": 128, "num_kv_heads": 8, "new_decoder_architecture": True,
         "vocab_size": 65_024},
        41_303_293_952,
    ),
    "falcon with one part after the other": (
        {"model_type": "falcon", "hidden_size": 2048, "num_hidden_layers": 24,
         "num_attention_heads": 32, "multi_query": False, "parallel_attn": False,
         "alibi": True, "bias": True, "vocab_size": 50_304},
        1_311_625_216,
    ),
    "opt with narrow embeddings": (
        {"model_type": "opt", "hidden_size": 1024, "num_hidden_layers": 24,
         "num_attention_heads": 16, "ffn_dim": 4096, "word_embed_proj_dim": 512,
         "do_layer_norm_before": False, "vocab_size": 50_272},
        331_196_416,
    ),
    "gpt_bigcode": (
        {"model_type": "gpt_bigcode", "vocab_size": 50_257, "n_positions": 1024, "n_embd": 768,
         "n_layer": 12, "n_head": 12, "multi_query": True},
        111_446_784,
    ),
    "mamba2": (
        {"model_type": "mamba2", "vocab_size": 32_768, "hidden_size": 4096, "num_heads": 128,
         "state_size": 128, "num_hidden_layers": 64, "n_groups": 8},
        7_285_403_648,
    ),
    "falcon_mamba": (
        {"model_type": "falcon_mamba", "vocab_size": 50_280, "hidden_size": 768,
         "state_size": 16, "num_hidden_layers": 32},
        159_308_544,
    ),
    "bamba": (
        {"model_type": "bamba", "vocab_size": 128_000, "hidden_size": 4096,
         "intermediate_size": 14_336, "num_hidden_layers": 32, "num_attention_heads": 32,
         "num_key_value_heads": 8, "attn_layer_indices": [9, 18, 27]},
        9_808_584_064,
    ),
    "zamba2": (ZAMBA2, 2_481_848_336),
    "zamba2 with adapters": ({**ZAMBA2, "use_shared_attention_adapter": True}, 2_517_237_776),
    "zamba2 with two shared layers": (
        {**ZAMBA2, "hidden_size": 3584, "num_mem_blocks": 2, "n_mamba_heads": 112,
         "mamba_ngroups": 2, "intermediate_size": 14_336},
        5_171_043_040,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_as_transformers_counts(case):
    config, expected = CASES[case]
    architecture = read(config, case)
    assert parameters(architecture) == expected
    assert not [f for f in architecture.findings if f.code == "P301"]
    assert len(architecture.order) == architecture.num_hidden_layers
    assert sum(block.count for block in architecture.blocks) == architecture.num_hidden_layers


def test_order_names_the_block_of_each_layer():
    config, _ = CASES["bamba"]
    architecture = read(config, "bamba")
    kinds = [architecture.blocks[i].name for i in architecture.order]
    assert [i for i, kind in enumerate(kinds) if kind == "attention+dense"] == [9, 18, 27]


def test_layers_that_reuse_a_cache_keep_none():
    """35 layers of which the last 20 read an earlier layer's keys and values; of the 15 that keep
    their own, each sixth is full and has heads of 512."""
    config, _ = CASES["gemma4 with embeddings per layer and shared caches"]
    architecture = read(config, "e2b")
    assert cache_bytes(architecture, 4096) == 2 * 2 * (2 * 4096 * 512 + 13 * 512 * 256)


def test_a_multimodal_configuration_is_read_for_its_text():
    text = {key: value for key, value in LLAMA.items() if key != "model_type"}
    outer = {
        "model_type": "llava",
        "torch_dtype": "float16",
        "text_config": {**text, "model_type": "llama"},
        "vision_config": {"hidden_size": 1024},
    }
    architecture = read(outer, "llava")
    assert parameters(architecture) == parameters(read(LLAMA, "llama"))
    assert architecture.weight_dtype == architecture.kv_dtype == "fp16"
    assert [f.code for f in architecture.findings] == ["P302"]


def test_an_unknown_family_is_read_with_a_warning():
    architecture = read({**LLAMA, "model_type": "llama9"}, "new")
    (finding,) = architecture.findings
    assert finding.code == "P301"
    assert finding.severity == "warning"
    assert "`llama9`" in finding.message
    assert "32 heads" in finding.message
    assert parameters(architecture) == parameters(read(LLAMA, "llama"))


def test_an_unknown_mixture_and_an_unknown_latent_attention():
    moe = {**LLAMA, "model_type": "new", "num_experts": 8, "num_experts_per_tok": 2}
    architecture = read(moe, "moe")
    assert architecture.num_experts == 8
    assert "8 experts of which 2 active" in architecture.findings[0].message
    config, _ = CASES["glm4_moe_lite"]
    latent = read({**config, "model_type": "new"}, "mla")
    assert "latent attention" in latent.findings[0].message
    assert any(isinstance(op, Attention) and op.decode_qk_dim for op in latent.blocks[0].operators)
