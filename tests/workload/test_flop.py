"""FLOPs against arithmetic written out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from parity.workload.count import cache_bytes, operators
from parity.workload.find import model
from parity.workload.flop import backward_flop, flop_per_token, forward_flop, pairs
from parity.workload.operator import Attention, Elementwise, Linear


def attention(**changes):
    base = {
        "name": "attention",
        "query_heads": 1,
        "key_value_heads": 1,
        "qk_head_dim": 1,
        "v_head_dim": 1,
        "cache_elements": 2,
        "cache_shards": 1,
    }
    return Attention(**{**base, **changes})


def by_loop(op, tokens, context):
    """Entries each of the last `tokens` tokens reads, one token at a time."""
    total = 0
    for t in range(context - tokens + 1, context + 1):
        seen = (t - 1) % op.window + 1 if op.chunked else t // op.compression
        caps = [c for c in (op.window, op.selected) if c and not op.chunked]
        total += min([seen, *caps])
    return total


@pytest.mark.parametrize("tokens", [1, 2, 7, 40])
@pytest.mark.parametrize("past", [0, 1, 5, 31, 64])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"window": 8},
        {"window": 1},
        {"selected": 5},
        {"window": 12, "chunked": True},
        {"compression": 4},
        {"compression": 4, "selected": 3},
        {"compression": 16},
    ],
)
def test_pairs_are_exact(changes, past, tokens):
    op = attention(**changes)
    assert pairs(op, tokens, past + tokens) == by_loop(op, tokens, past + tokens)


def test_pairs_broadcast():
    op = attention(window=8)
    context = np.array([1.0, 8.0, 100.0])
    assert list(pairs(op, context, context)) == [by_loop(op, int(c), int(c)) for c in context]


def test_full_attention_is_halved_by_causality():
    assert pairs(attention(), 8192, 8192) == 8192 * 8193 / 2
    assert pairs(attention(causal=False), 8192, 8192) == 8192 * 8192
    assert pairs(attention(), 1, 8192) == 8192


def test_llama_8b_prefill_and_decode_at_8192():
    hidden, inner, layers, vocab, kv = 4096, 14_336, 32, 128_256, 1024
    projections = 2 * hidden * hidden + 2 * hidden * kv
    linear = 2 * (layers * (projections + 3 * hidden * inner) + hidden * vocab)
    assert linear == 15_009_316_864
    prefill = linear + layers * 4 * hidden * 8193 / 2  # each token sees 4096.5 on average
    assert prefill == 17_157_062_656
    architecture = model("llama-3.1-8b")
    assert flop_per_token(architecture, 8192, "prefill") == prefill
    assert flop_per_token(architecture, 8192, "training") == 3 * prefill
    decode = linear + layers * 4 * hidden * 8192
    assert flop_per_token(architecture, 8192, "decode") == decode == 19_304_284_160


def test_gpt3_training_against_the_formula_of_megatron():
    """72·B·s·L·h²·(1 + s/6h + V/12Lh): Narayanan et al. 2021 (arXiv 2104.04473) without
    recomputation, in which attention is not halved."""
    architecture = model("gpt3-175b")
    seq, layers, hidden, vocab = 2048, 96, 12_288, 50_304
    formula = 72 * layers * hidden**2 * (1 + seq / (6 * hidden) + vocab / (12 * layers * hidden))
    halved = 72 * layers * hidden**2 * (seq - 1) / (12 * hidden)
    ours = flop_per_token(architecture, seq, "training")
    assert ours == pytest.approx(formula - halved, rel=1e-12)


def test_mixture_counts_only_active_experts():
    expert = Linear(name="experts", inputs=10, outputs=20, experts=64, active=4)
    assert forward_flop(expert, 3) == 2 * 10 * 20 * 4 * 3
    assert backward_flop(expert, 3) == 2 * forward_flop(expert, 3)
    block_diagonal = Linear(name="o_a_proj", inputs=8, outputs=16, groups=4)
    assert forward_flop(block_diagonal, 1) == 2 * 8 * 16 / 4


def test_mla_multiplies_in_the_latent_space_when_decoding():
    op = next(o for _, o in operators(model("deepseek-v3")) if isinstance(o, Attention))
    assert forward_flop(op, 1, 1000) == 2 * 128 * (192 + 128) * 1000
    assert forward_flop(op, 1, 1000, decode=True) == 2 * 128 * (576 + 512) * 1000


def test_sparse_attention_reads_what_the_index_chose():
    architecture = model("deepseek-v3.2")
    main, index = (
        next(o for _, o in operators(architecture) if o.name == name)
        for name in ("attention", "index_scores")
    )
    assert forward_flop(main, 1, 100_000) == forward_flop(main, 1, 2048)
    assert forward_flop(index, 1, 100_000) == 2 * 64 * 128 * 100_000


def test_elementwise_work_counts_no_flop():
    op = Elementwise(name="norm", read_elements=8, written_elements=8)
    assert forward_flop(op, 100) == 0


def test_deepseek_v4_decodes_for_27_percent_of_v32_at_a_million_tokens():
    """As the DeepSeek-V4 model card has it."""
    pro, old = model("deepseek-v4-pro"), model("deepseek-v3.2")
    ratio = flop_per_token(pro, 1 << 20, "decode") / flop_per_token(old, 1 << 20, "decode")
    assert ratio == pytest.approx(0.27, abs=0.01)


def test_hybrids_and_scans_do_not_grow_with_context():
    mamba = model("mamba-2.8b")
    assert flop_per_token(mamba, 100, "decode") == flop_per_token(mamba, 100_000, "decode")
    hybrid = model("nemotron-3-nano-30b-a3b")
    grown = flop_per_token(hybrid, 2000, "decode") - flop_per_token(hybrid, 1000, "decode")
    assert grown == 6 * 2 * 2 * 32 * 128 * 1000  # 6 attention layers of 32 heads


def test_results_follow_the_shape_of_the_context():
    context = np.array([[1024.0], [8192.0]])
    architecture = model("gpt-oss-20b")
    assert flop_per_token(architecture, context, "prefill").shape == (2, 1)
    assert cache_bytes(architecture, context).shape == (2, 1)
