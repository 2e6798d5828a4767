"""MiMo-V2-Flash: mostly a short window, with twice the key-value heads and a sink per head.

Read from transformers 5.23.0, models/mimo_v2_flash (Apache-2.0).
"""

from __future__ import annotations

import msgspec

from parity.workload.decoder import (
    KINDS,
    combine,
    dense_or_moe,
    hidden,
    inner,
    layers,
    pre_norm,
    reading,
    window,
)
from parity.workload.families import Reading, family
from parity.workload.families.moe import shared_experts
from parity.workload.fields import CONTEXT, Config, divided, flag, integer, integers, words
from parity.workload.parts.attention import Grouped, Heads, grouped
from parity.workload.parts.feedforward import gated, mixture


@family("mimo_v2_flash")
def mimo_v2_flash(config: Config) -> Reading:
    """MiMo-V2-Flash: values narrower than keys, one dense layer first."""
    width, count = hidden(config), layers(config)
    full, near = _heads(config, ""), _heads(config, "swa_")
    bias = flag(config, "attention_bias", default=False)
    mixers = {
        "attention": grouped(
            width,
            full,
            Grouped(bias=bias, sinks=flag(config, "add_full_attention_sink_bias", default=False)),
        ),
        "window": grouped(
            width,
            near,
            Grouped(
                bias=bias,
                sinks=flag(config, "add_swa_attention_sink_bias", default=True),
                window=_span(config),
            ),
        ),
    }
    experts = msgspec.structs.replace(shared_experts(config), correction=True)
    networks = {"moe": mixture(width, experts), "dense": gated(width, inner(config))}
    blocks, order = combine(
        mixers, networks, _kinds(config, count), dense_or_moe(config, count), pre_norm(width)
    )
    return reading(config, blocks, order, attention=full, experts=experts)


def _heads(config: Config, prefix: str) -> Heads:
    query = integer(config, f"{prefix}num_attention_heads", "num_attention_heads")
    default = integer(config, "num_key_value_heads") * (2 if prefix else 1)
    key_value = integer(config, f"{prefix}num_key_value_heads", default=default)
    divided("num_attention_heads", query, "num_key_value_heads", key_value)
    return Heads(
        query=query,
        key_value=key_value,
        qk=integer(config, f"{prefix}head_dim", "head_dim", default=192),
        v=integer(config, f"{prefix}v_head_dim", "v_head_dim", default=128),
    )


def _span(config: Config) -> int:
    """The query itself and `sliding_window_size` tokens before it."""
    before = integer(config, "sliding_window_size", default=0, least=0, most=CONTEXT)
    return before + 1 if before else window(config)


def _kinds(config: Config, count: int) -> tuple[str, ...]:
    named = words(config, "layer_types", KINDS, count)
    if named:
        return named
    pattern = integers(config, "hybrid_layer_pattern", most=1, count=count)
    if pattern:
        return tuple("window" if i else "attention" for i in pattern)
    return tuple("window" if i and (i + 1) % 6 else "attention" for i in range(count))
