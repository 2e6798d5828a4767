"""Step-3.5 and Step-3.7 Flash: sliding windows, a gate per head, a shared expert.

Read from transformers 5.23.0, models/step3p7 (Apache-2.0).
"""

from __future__ import annotations

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
    window,
)
from parity.workload.families import Reading, family
from parity.workload.fields import Config, flag, integer, table, words
from parity.workload.parts.attention import Grouped, grouped
from parity.workload.parts.feedforward import gated, mixture


@family("step3p5", "step3p7", "step3p7_text")
def step3(config: Config) -> Reading:
    """Step-3.5 and Step-3.7 Flash; sliding layers may have heads of another number."""
    width, shape, count = hidden(config), heads(config), layers(config)
    other = table(config, "attention_other_setting")
    near = msgspec.structs.replace(
        shape,
        query=integer(
            other,
            "num_attention_heads",
            default=integer(config, "num_sliding_attention_heads", default=shape.query),
        ),
    )
    norms = 2 * shape.qk
    full_kind = Grouped(norm_parameters=norms, gate=shape.query)
    near_kind = Grouped(norm_parameters=norms, gate=near.query, window=window(config))
    mixers = {
        "attention": grouped(width, shape, full_kind),
        "window": grouped(width, near, near_kind),
    }
    experts = msgspec.structs.replace(
        experts_of(config),
        shared_inner=integer(config, "share_expert_dim", "share_expert_dims", default=0, least=0),
        correction=flag(config, "use_moe_router_bias", default=True),
    )
    networks = {"moe": mixture(width, experts), "dense": gated(width, inner(config))}
    mixer_of = words(config, "layer_types", KINDS, count) or ("attention",) * count
    pattern = dense_or_moe({"first_k_dense_replace": 3, **config}, count)
    blocks, order = combine(mixers, networks, mixer_of, pattern, pre_norm(width))
    return reading(config, blocks, order, attention=shape, experts=experts)
