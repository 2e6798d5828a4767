"""Decoders with grouped-query attention and a mixture of experts in some or all layers."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from parity.workload.decoder import (
    KINDS,
    combine,
    dense_or_moe,
    experts_of,
    heads,
    hidden,
    inner,
    layers,
    pre_norm,
    reading,
    step_or_moe,
    window,
)
from parity.workload.families import Reading, family
from parity.workload.families.llama import attentions, qwen_windows
from parity.workload.fields import WIDTH, Config, flag, integer, words
from parity.workload.parts.attention import Grouped, Heads
from parity.workload.parts.feedforward import Experts, gated, mixture


@family("mixtral")
def mixtral(config: Config) -> Reading:
    """Mixtral: every feed-forward network is a mixture."""
    experts = experts_of(config, inner_keys=("intermediate_size",))
    return moe(config, Grouped(), experts, _all(config), ["moe"] * layers(config))


@family("phimoe")
def phimoe(config: Config) -> Reading:
    """Phi-3.5-MoE: layer norms, biases on attention and on the projection to the vocabulary."""
    bias = flag(config, "attention_bias", default=False)
    experts = experts_of(config, inner_keys=("intermediate_size",))
    return moe(
        config,
        Grouped(bias=bias, out_bias=bias),
        experts,
        _all(config),
        ["moe"] * layers(config),
        norm_bias=True,
        head_bias=flag(config, "lm_head_bias", default=False),
    )


@family("qwen2_moe")
def qwen2_moe(config: Config) -> Reading:
    """Qwen2-MoE: a gated shared expert, biases on queries, keys and values."""
    count = layers(config)
    experts = qwen_experts(config)
    kind = Grouped(bias=flag(config, "qkv_bias", default=True))
    return moe(config, kind, experts, qwen_windows(config), step_or_moe(config, count))


@family("qwen3_moe", "qwen3_vl_moe_text")
def qwen3_moe(config: Config) -> Reading:
    """Qwen3-MoE: norms over the head dimension of queries and keys."""
    bias = flag(config, "attention_bias", default=False)
    kind = Grouped(bias=bias, out_bias=bias, norm_parameters=2 * heads(config).qk)
    pattern = step_or_moe(config, layers(config))
    return moe(config, kind, experts_of(config), qwen_windows(config), pattern)


@family("minimax_m2")
def minimax_m2(config: Config) -> Reading:
    """MiniMax-M2: norms over all heads of queries and of keys together."""
    shape = heads(config)
    width = (shape.query + shape.key_value) * shape.qk
    kind = Grouped(
        norm_parameters=width * flag(config, "use_qk_norm", default=True),
    )
    experts = msgspec.structs.replace(
        experts_of(config, inner_keys=("moe_intermediate_size", "intermediate_size")),
        correction=flag(config, "use_routing_bias", default=True),
    )
    return moe(config, kind, experts, _all(config), ["moe"] * layers(config))


@family("glm4_moe", "glm4v_moe_text")
def glm4_moe(config: Config) -> Reading:
    """GLM-4.5: dense layers first, shared experts, biases on queries, keys and values."""
    normed = flag(config, "use_qk_norm", default=False)
    kind = Grouped(
        bias=flag(config, "attention_bias", default=False),
        norm_parameters=2 * heads(config).qk * normed,
    )
    experts = msgspec.structs.replace(shared_experts(config), correction=True)
    count = layers(config)
    return moe(config, kind, experts, ["attention"] * count, dense_or_moe(config, count))


@family("gpt_oss")
def gpt_oss(config: Config) -> Reading:
    """gpt-oss: biases everywhere, a sink per head, every second layer slides."""
    bias = flag(config, "attention_bias", default=True)
    count = layers(config)
    experts = msgspec.structs.replace(
        experts_of(config, inner_keys=("intermediate_size",)), bias=True, router_bias=True
    )
    alternating = tuple("attention" if i % 2 else "window" for i in range(count))
    pattern = words(config, "layer_types", KINDS, count) or alternating
    kind = Grouped(bias=bias, out_bias=bias, sinks=True)
    return moe(config, kind, experts, pattern, ["moe"] * count)


def qwen_experts(config: Config) -> Experts:
    """Routed experts and the gated shared expert that Qwen puts beside them."""
    shared = integer(config, "shared_expert_intermediate_size", default=0, least=0)
    return msgspec.structs.replace(experts_of(config), shared_inner=shared, shared_gate=shared > 0)


def shared_experts(config: Config) -> Experts:
    """Routed experts, and shared ones that are as many times as wide as one of them."""
    experts = experts_of(config)
    shared = integer(
        config, "n_shared_experts", "num_shared_experts", default=0, least=0, most=WIDTH
    )
    return msgspec.structs.replace(experts, shared_inner=shared * experts.inner)


def moe(
    config: Config,
    kind: Grouped,
    experts: Experts,
    mixer_of: Sequence[str],
    network_of: Sequence[str],
    *,
    shape: Heads | None = None,
    norm_bias: bool = False,
    head_bias: bool = False,
) -> Reading:
    """A decoder of grouped-query attention with dense and mixture layers as named."""
    width = hidden(config)
    shape = shape or heads(config)
    networks = {"moe": mixture(width, experts)}
    if "dense" in network_of:
        networks["dense"] = gated(width, inner(config))
    blocks, order = combine(
        attentions(width, shape, kind, window(config)),
        networks,
        mixer_of,
        network_of,
        pre_norm(width, bias=norm_bias),
    )
    return reading(
        config,
        blocks,
        order,
        attention=shape,
        experts=experts,
        norm_bias=norm_bias,
        head_bias=head_bias,
    )


def _all(config: Config) -> tuple[str, ...]:
    return ("window" if window(config) else "attention",) * layers(config)
