"""Decoders with latent attention (MLA): DeepSeek V2 to V3.2, Kimi K2, GLM-5."""

from __future__ import annotations

import msgspec

from parity.workload.decoder import (
    combine,
    dense_or_moe,
    hidden,
    inner,
    layers,
    pre_norm,
    reading,
)
from parity.workload.families import Reading, family
from parity.workload.families.moe import shared_experts
from parity.workload.fields import CONTEXT, LAYERS, Config, flag, integer, word, words
from parity.workload.parts import Operators
from parity.workload.parts.attention import Heads, Index, Latent, index, latent
from parity.workload.parts.feedforward import Experts, gated, mixture


@family("deepseek_v2", "deepseek_v3", "kimi_k2", "kimi_k25", "glm4_moe_lite")
def deepseek(config: Config) -> Reading:
    """DeepSeek V2 and V3, Kimi K2: latent attention over the whole context."""
    shape = latent_of(config)
    mixers = {"attention": latent(hidden(config), shape)}
    return _decoder(config, shape, mixers, ["attention"] * layers(config))


@family("deepseek_v32", "glm_moe_dsa")
def sparse(config: Config) -> Reading:
    """DeepSeek V3.2, GLM-5: an index chooses the entries each query reads.

    Where `index_topk_freq` is above 1 (GLM-5.2) most layers reuse the choice of an earlier one.
    """
    width, shape = hidden(config), latent_of(config)
    shape = msgspec.structs.replace(shape, selected=integer(config, "index_topk", most=CONTEXT))
    dim = integer(config, "index_head_dim")
    choose = index(
        width,
        Index(heads=integer(config, "index_n_heads"), dim=dim, inputs=shape.query_rank or width),
        norm_parameters=2 * dim,
    )
    attend = latent(width, shape)
    mixers = {"attention": (*choose, *attend), "shared_index": attend}
    return _decoder(config, shape, mixers, _index_pattern(config, layers(config)))


def latent_of(config: Config, *, rotary: bool = True, gate: int = 0) -> Latent:
    """The shapes of latent attention."""
    return Latent(
        heads=integer(config, "num_attention_heads"),
        query_rank=integer(config, "q_lora_rank", default=0, least=0),
        rank=integer(config, "kv_lora_rank"),
        nope=integer(config, "qk_nope_head_dim"),
        rope=integer(config, "qk_rope_head_dim"),
        v=integer(config, "v_head_dim"),
        bias=flag(config, "attention_bias", default=False),
        rotary=rotary,
        gate=gate,
    )


def deepseek_experts(config: Config) -> Experts:
    """Routed and shared experts; the `noaux_tc` choice has a learned bias per expert."""
    chosen = word(config, "topk_method", default=_topk_method(config))
    return msgspec.structs.replace(shared_experts(config), correction=chosen == "noaux_tc")


def _topk_method(config: Config) -> str:
    return "greedy" if config.get("model_type") == "deepseek_v2" else "noaux_tc"


def _decoder(
    config: Config, shape: Latent, mixers: dict[str, Operators], mixer_of: list[str]
) -> Reading:
    width, count = hidden(config), layers(config)
    network_of = dense_or_moe(config, count)
    networks: dict[str, Operators] = {}
    experts = None
    if "moe" in network_of:
        experts = deepseek_experts(config)
        networks["moe"] = mixture(width, experts)
    if "dense" in network_of:
        networks["dense"] = gated(width, inner(config))
    blocks, order = combine(mixers, networks, mixer_of, network_of, pre_norm(width))
    key_value = integer(config, "num_key_value_heads", default=shape.heads)
    attention = Heads(query=shape.heads, key_value=key_value, qk=shape.nope + shape.rope, v=shape.v)
    return reading(config, blocks, order, attention=attention, experts=experts)


def _index_pattern(config: Config, count: int) -> list[str]:
    """Which layers have an index of their own (transformers, GlmMoeDsaConfig)."""
    kinds = {"full": "attention", "shared": "shared_index", "F": "attention", "S": "shared_index"}
    pattern = config.get("index_topk_pattern")
    if isinstance(pattern, str):
        config = {**config, "index_topk_pattern": list(pattern)}
    for key in ("indexer_types", "index_topk_pattern"):
        named = words(config, key, kinds, count)
        if named:
            return list(named)
    every = integer(config, "index_topk_freq", default=1, most=LAYERS)
    offset = integer(config, "index_skip_topk_offset", default=2, least=0, most=LAYERS)
    return [
        "attention" if max(i - offset + 1, 0) % every == 0 else "shared_index" for i in range(count)
    ]
