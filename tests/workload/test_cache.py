"""Windows, compression, latents and states, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from parity.errors import UnknownName
from parity.workload.count import cache_bytes, entries, kv_bytes_per_token, state_bytes
from parity.workload.find import model
from parity.workload.operator import Attention


def attention(**changes):
    base = {
        "name": "attention",
        "query_heads": 8,
        "key_value_heads": 2,
        "qk_head_dim": 64,
        "v_head_dim": 64,
        "cache_elements": 256,
        "cache_shards": 2,
    }
    return Attention(**{**base, **changes})


def test_entries():
    assert entries(attention(), 1000) == 1000
    assert entries(attention(window=128), 1000) == 128
    assert entries(attention(window=128), 100) == 100
    assert entries(attention(compression=4), 1003) == 250
    assert list(entries(attention(window=128), np.array([1.0, 128.0, 1000.0]))) == [1, 128, 128]


def test_llama_70b_at_any_dtype():
    architecture = model("llama-3.1-70b")
    assert kv_bytes_per_token(architecture, "bf16") == 2 * 80 * 8 * 128 * 2 == 327_680
    assert kv_bytes_per_token(architecture, "fp8") == 163_840
    assert cache_bytes(architecture, 8192, "bf16") == 8192 * 327_680
    with pytest.raises(UnknownName, match="No dtype called 'bf15'"):
        kv_bytes_per_token(architecture, "bf15")


def test_mla_is_one_latent():
    assert kv_bytes_per_token(model("deepseek-v3"), "bf16") == 61 * (512 + 64) * 2
    assert all(
        op.cache_shards == 1
        for block in model("deepseek-v3").blocks
        for op in block.operators
        if isinstance(op, Attention)
    )


def test_sparse_attention_keeps_an_index_beside_the_latents():
    architecture = model("deepseek-v3.2")
    assert cache_bytes(architecture, 1000, "bf16") == 1000 * (70_272 + 61 * 128)
    shared = model("glm-5.2")  # every fourth layer has an index of its own
    own = sum(b.count for b in shared.blocks if b.name.startswith("attention"))
    assert own == 21
    assert cache_bytes(shared, 1000, "bf16") == 1000 * (89_856 + own * 128)


def test_windows():
    """gpt-oss: half of 36 layers see 128 tokens; a layer keeps 2·8·64 elements a token."""
    architecture = model("gpt-oss-120b")
    layer = 2 * 8 * 64 * 2
    assert cache_bytes(architecture, 1000) == 18 * layer * 1000 + 18 * layer * 128
    assert kv_bytes_per_token(architecture, context=1000) == 18 * layer * (1 + 0.128)
    gemma = model("gemma-3-27b")  # 62 layers, each sixth full, window 1024, 2·16·128 a token
    assert cache_bytes(gemma, 8192) == 2 * 16 * 128 * 2 * (10 * 8192 + 52 * 1024)
    mistral = model("mistral-7b-v0.1")
    assert cache_bytes(mistral, 32_768) == cache_bytes(mistral, 4096)


def test_chunks_of_llama4():
    architecture = model("llama-4-scout")
    layer = 2 * 8 * 128 * 2
    assert cache_bytes(architecture, 100_000) == layer * (12 * 100_000 + 36 * 8192)


def test_compression_of_deepseek_v4():
    """Flash: 43 windows of 128 entries; 21 layers a fourth, 20 a 128th of the tokens."""
    tokens, entry, index = 8192, 512 * 2, 128
    kinds = model("deepseek-v4-flash")
    expected = 43 * 128 * entry
    expected += 21 * (tokens // 4) * (entry + index) + 20 * (tokens // 128) * entry
    assert cache_bytes(kinds, tokens) == expected


def test_states_do_not_grow():
    """mamba-2.8b: 64 layers of 5120 channels, 16 states at fp32 and 3 taps at bf16."""
    architecture = model("mamba-2.8b")
    assert cache_bytes(architecture, 1 << 20) == 0
    assert state_bytes(architecture) == 64 * 5120 * (16 * 4 + 3 * 2)
    hybrid = model("qwen3.5-397b-a17b")  # 45 linear layers, 64 heads of 128 by 128
    channels = 2 * 16 * 128 + 64 * 128
    assert state_bytes(hybrid) == 45 * (64 * 128 * 128 * 4 + channels * 3 * 2)
    assert kv_bytes_per_token(hybrid, "bf16") == 30_720
    assert state_bytes(model("llama-3.1-8b")) == 0
