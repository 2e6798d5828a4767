"""Kimi Linear and Kimi K3: delta rules with a decay per channel, latent attention without
position, experts in a narrower latent space.

Read from transformers 5.23.0, models/kimi_linear, and SGLang 0.5.23, srt/models/kimi_k3.py (both
Apache-2.0).
"""

from __future__ import annotations

import msgspec

from parity.errors import BadFile
from parity.workload.decoder import (
    Join,
    combine,
    dense_or_moe,
    hidden,
    inner,
    layers,
    pre_norm,
    reading,
)
from parity.workload.families import Reading, family
from parity.workload.families.mla import latent_of
from parity.workload.families.moe import shared_experts
from parity.workload.fields import LAYERS, Config, flag, integer, integers, table
from parity.workload.operator import Elementwise
from parity.workload.parts import Operators
from parity.workload.parts.attention import Heads, latent
from parity.workload.parts.feedforward import gated, mixture
from parity.workload.parts.recurrent import Delta, kimi_delta


@family("kimi_linear", "kimi_k3")
def kimi_linear(config: Config) -> Reading:
    """Kimi Linear 48B and Kimi K3."""
    width, count = hidden(config), layers(config)
    linear = table(config, "linear_attn_config")
    gated_output = flag(config, "mla_use_output_gate", default=False)
    shape = latent_of(config, rotary=False)
    shape = msgspec.structs.replace(shape, gate=shape.heads * shape.v * gated_output)
    experts = msgspec.structs.replace(
        shared_experts(config),
        correction=True,
        latent=integer(config, "routed_expert_hidden_size", default=0, least=0),
        latent_norm=flag(config, "latent_moe_use_norm", default=False),
    )
    network_of = dense_or_moe(config, count)
    networks: dict[str, Operators] = {"moe": mixture(width, experts)}
    if "dense" in network_of:
        networks["dense"] = gated(width, inner(config))
    mixers = {"attention": latent(width, shape), "linear": _delta(width, linear)}
    mixer_of = _kinds(linear, count)
    every = integer(config, "attn_res_block_size", default=0, least=0, most=LAYERS)
    bank = -(-count // every) if every else 0
    blocks, order = combine(mixers, networks, mixer_of, network_of, _join(width, bank))
    attention = Heads(
        query=shape.heads,
        key_value=integer(config, "num_key_value_heads", default=shape.heads),
        qk=shape.nope + shape.rope,
        v=shape.v,
    )
    read = reading(config, blocks, order, attention=attention, experts=experts)
    if not bank:
        return read
    return msgspec.structs.replace(read, head=(_mix("output", width, bank), *read.head))


def _delta(width: int, linear: Config) -> Operators:
    heads, dim = integer(linear, "num_heads"), integer(linear, "head_dim")
    kernel = integer(linear, "short_conv_kernel_size", default=4, most=1024)
    shape = Delta(key_heads=heads, value_heads=heads, key_dim=dim, value_dim=dim, kernel=kernel)
    full_rank = flag(linear, "use_full_rank_gate", default=False)
    return kimi_delta(width, shape, full_rank_gate=full_rank)


def _kinds(linear: Config, count: int) -> list[str]:
    """Layers are numbered from 1; each must be named once."""
    named = dict.fromkeys(integers(linear, "kda_layers", least=1, most=LAYERS), "linear")
    named.update(
        dict.fromkeys(integers(linear, "full_attn_layers", least=1, most=LAYERS), "attention")
    )
    missing = [i for i in range(1, count + 1) if i not in named]
    if missing:
        raise BadFile(
            f"`linear_attn_config` names layer {missing[0]} neither in `kda_layers` nor in "
            f"`full_attn_layers`; all {count} layers were expected."
        )
    return [named[i] for i in range(1, count + 1)]


def _join(width: int, bank: int) -> Join:
    """With `bank` > 0 each part reads a learned mixture of that many earlier hidden states."""
    plain = pre_norm(width)
    if not bank:
        return plain

    def join(mixer: Operators, network: Operators) -> Operators:
        first, *others = plain(mixer, network)
        middle = len(mixer)
        return (
            _mix("attention", width, bank),
            first,
            *others[:middle],
            _mix("feedforward", width, bank),
            *others[middle:],
        )

    return join


def _mix(name: str, width: int, bank: int) -> Elementwise:
    """A norm and a score per earlier state, and their weighted sum."""
    return Elementwise(
        name=f"{name}_residual_mix",
        read_elements=bank * width,
        written_elements=width,
        saved_elements=width,
        parameters=2 * width,
    )
