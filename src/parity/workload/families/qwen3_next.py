"""Qwen3-Next and Qwen3.5: gated delta rules, and full attention with an output gate."""

from __future__ import annotations

from parity.workload.decoder import (
    KINDS,
    combine,
    heads,
    hidden,
    inner,
    layers,
    pre_norm,
    reading,
    step_or_moe,
)
from parity.workload.families import Reading, family
from parity.workload.families.mamba import state_dtype
from parity.workload.families.moe import qwen_experts
from parity.workload.fields import LAYERS, Config, flag, integer, words
from parity.workload.parts import Operators
from parity.workload.parts.attention import Grouped, grouped
from parity.workload.parts.feedforward import gated, mixture
from parity.workload.parts.recurrent import Delta, gated_delta


@family("qwen3_next", "qwen3_5_moe", "qwen3_5_moe_text")
def qwen3_next(config: Config) -> Reading:
    """Mixtures of experts with a gated shared expert."""
    return _hybrid(config, step_or_moe(config, layers(config)))


@family("qwen3_5", "qwen3_5_text")
def qwen3_5(config: Config) -> Reading:
    """Dense feed-forward networks."""
    return _hybrid(config, ("dense",) * layers(config))


def _hybrid(config: Config, network_of: tuple[str, ...]) -> Reading:
    width, shape, count = hidden(config), heads(config), layers(config)
    bias = flag(config, "attention_bias", default=False)
    gate = shape.query * shape.v if flag(config, "attn_output_gate", default=True) else 0
    full = Grouped(bias=bias, out_bias=bias, norm_parameters=2 * shape.qk, gate=gate)
    delta = Delta(
        key_heads=integer(config, "linear_num_key_heads"),
        value_heads=integer(config, "linear_num_value_heads"),
        key_dim=integer(config, "linear_key_head_dim"),
        value_dim=integer(config, "linear_value_head_dim"),
        kernel=integer(config, "linear_conv_kernel_dim", default=4, most=1024),
        state_dtype=state_dtype(config, "fp32"),
    )
    mixers = {"attention": grouped(width, shape, full), "linear": gated_delta(width, delta)}
    every = integer(config, "full_attention_interval", default=4, most=LAYERS)
    mixer_of = words(config, "layer_types", KINDS, count) or tuple(
        "linear" if (i + 1) % every else "attention" for i in range(count)
    )
    networks: dict[str, Operators] = {}
    experts = None
    if "moe" in network_of:
        experts = qwen_experts(config)
        networks["moe"] = mixture(width, experts)
    if "dense" in network_of:
        networks["dense"] = gated(width, inner(config))
    blocks, order = combine(mixers, networks, mixer_of, network_of, pre_norm(width))
    return reading(config, blocks, order, attention=shape, experts=experts)
