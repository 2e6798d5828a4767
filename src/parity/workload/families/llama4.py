"""Llama 4: attention within fixed chunks, whole-context layers without rotary embedding."""

from __future__ import annotations

import msgspec

from parity.workload.decoder import (
    combine,
    experts_of,
    heads,
    hidden,
    layers,
    pre_norm,
    reading,
)
from parity.workload.families import Reading, family
from parity.workload.fields import CONTEXT, LAYERS, Config, flag, integer, integers
from parity.workload.parts.attention import Grouped, grouped
from parity.workload.parts.feedforward import gated, mixture


@family("llama4", "llama4_text")
def llama4(config: Config) -> Reading:
    """Llama 4: one shared expert as wide as a routed one, mixtures every few layers."""
    width, shape, count = hidden(config), heads(config), layers(config)
    bias = flag(config, "attention_bias", default=False)
    experts = experts_of(config, inner_keys=("intermediate_size",))
    experts = msgspec.structs.replace(experts, shared_inner=experts.inner)
    chunk = integer(config, "attention_chunk_size", default=8192, most=CONTEXT)
    full = Grouped(bias=bias, out_bias=bias, rotary=False)
    near = Grouped(bias=bias, out_bias=bias, window=chunk, chunked=True)
    mixers = {"attention": grouped(width, shape, full), "chunk": grouped(width, shape, near)}
    step = integer(config, "interleave_moe_layer_step", default=1, most=LAYERS)
    network_of = ["moe" if (i + 1) % step == 0 else "dense" for i in range(count)]
    networks = {"moe": mixture(width, experts)}
    if "dense" in network_of:
        networks["dense"] = gated(width, integer(config, "intermediate_size_mlp"))
    mixer_of = ["chunk" if rope else "attention" for rope in _rotary(config, count)]
    blocks, order = combine(mixers, networks, mixer_of, network_of, pre_norm(width))
    return reading(config, blocks, order, attention=shape, experts=experts)


def _rotary(config: Config, count: int) -> tuple[int, ...]:
    """1 for each layer with rotary embedding, which is also a chunked one; the others
    see the whole context."""
    if config.get("no_rope_layers"):  # an empty list means the default
        return integers(config, "no_rope_layers", most=1, count=count)
    every = integer(config, "no_rope_layer_interval", default=4, most=LAYERS)
    return tuple(int((i + 1) % every != 0) for i in range(count))
