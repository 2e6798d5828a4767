"""Activations kept for the backward pass."""

from __future__ import annotations

from parity.workload.activation import saved_bytes, saved_elements
from parity.workload.find import model
from parity.workload.huggingface import read

GPT = {
    "model_type": "gpt2",
    "n_embd": 1024,
    "n_layer": 2,
    "n_head": 16,
    "n_positions": 1024,
    "vocab_size": 50_257,
}


def per_hidden(architecture):
    (block,) = architecture.blocks
    kept = sum(saved_bytes(operator) for operator in block.operators)
    return kept / architecture.hidden_size


def test_a_gpt_layer_keeps_what_korthikanti_2022_counts():
    """34·s·b·h bytes with two dropout masks, 32 without; attention scores not kept."""
    assert per_hidden(read({**GPT, "resid_pdrop": 0.1}, "gpt")) == 34
    assert per_hidden(read(GPT, "gpt")) == 32
    assert per_hidden(model("gpt3-175b")) == 32


def test_each_part_of_a_gpt_layer():
    (block,) = read(GPT, "gpt").blocks
    kept = {op.name: saved_bytes(op) / 1024 for op in block.operators}
    assert kept == {
        "input_norm": 2, "q_proj": 2, "kv_proj": 0, "attention": 6, "o_proj": 2,
        "post_norm": 2, "up_proj": 2, "activation": 8, "down_proj": 8,
    }  # fmt: skip


def test_a_llama_layer():
    """Gated: 2 norms, the input of qkv, q, k, v, the attention output, the input of gate and
    up, both of them, and their product."""
    architecture = model("llama-3.1-8b")
    (block,) = architecture.blocks
    hidden, inner, kv = 4096, 14_336, 1024
    expected = 2 * hidden + hidden + (hidden + 2 * kv) + hidden + hidden + 2 * inner + inner
    assert sum(saved_elements(op) for op in block.operators) == expected


def test_experts_keep_the_copies_sent_to_them():
    moe = next(b for b in model("qwen3-30b-a3b").blocks if b.name.endswith("moe"))
    kept = {op.name: saved_elements(op) for op in moe.operators}
    assert kept["experts_gate_up_proj"] == 8 * 2048
    assert kept["experts_activation"] == 8 * 2 * 768
    assert kept["experts_down_proj"] == 8 * 768
    assert kept["router"] == 2048
