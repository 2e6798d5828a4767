"""MiniMax-M3: grouped-query attention over blocks of keys that an index chooses.

Read from transformers 5.23.0, models/minimax_m3_vl (Apache-2.0).
"""

from __future__ import annotations

import msgspec

from parity.workload.decoder import (
    combine,
    dense_or_moe,
    experts_of,
    heads,
    hidden,
    layers,
    pre_norm,
    reading,
)
from parity.workload.families import Reading, family
from parity.workload.fields import CONTEXT, Config, flag, integer, integers, table
from parity.workload.operator import Elementwise, Linear
from parity.workload.parts import Operators
from parity.workload.parts.attention import Grouped, Index, grouped, scores
from parity.workload.parts.feedforward import gated, mixture


@family("minimax_m3", "minimax_m3_vl", "minimax_m3_vl_text")
def minimax_m3(config: Config) -> Reading:
    """MiniMax-M3: dense layers first, one shared expert."""
    width, shape, count = hidden(config), heads(config), layers(config)
    sparse = table(config, "sparse_attention_config")
    norms = 2 * shape.qk * flag(config, "use_qk_norm", default=True)
    blocks_read = integer(sparse, "sparse_topk_blocks", default=16)
    block = integer(sparse, "sparse_block_size", default=128, most=CONTEXT)
    far = Grouped(norm_parameters=norms, selected=blocks_read * block)
    mixers = {
        "attention": grouped(width, shape, Grouped(norm_parameters=norms)),
        "sparse": (*_index(sparse, width), *grouped(width, shape, far)),
    }
    experts = experts_of(config, inner_keys=("moe_intermediate_size", "intermediate_size"))
    shared = integer(config, "n_shared_experts", default=1, least=0) * integer(
        config, "shared_intermediate_size", default=experts.inner
    )
    experts = msgspec.structs.replace(
        experts,
        shared_inner=shared,
        correction=flag(config, "use_routing_bias", default=True),
    )
    networks = {
        "moe": mixture(width, experts),
        "dense": gated(width, integer(config, "dense_intermediate_size", default=12_288)),
    }
    chosen = integers(sparse, "sparse_attention_freq", most=1, count=count)
    mixer_of = ["sparse" if i else "attention" for i in chosen] or ["attention"] * count
    pattern = dense_or_moe(config, count)
    blocks, order = combine(mixers, networks, mixer_of, pattern, pre_norm(width))
    return reading(config, blocks, order, attention=shape, experts=experts)


def _index(sparse: Config, width: int) -> Operators:
    count = integer(sparse, "sparse_num_index_heads", default=4)
    dim = integer(sparse, "sparse_index_dim", default=128)
    elements = (count + 1) * dim
    return (
        Linear(name="index_q_proj", inputs=width, outputs=count * dim, saves_input=False),
        Linear(name="index_k_proj", inputs=width, outputs=dim, saves_input=False),
        Elementwise(
            name="index_norm_rotary",
            read_elements=elements,
            written_elements=elements,
            saved_elements=elements,
            parameters=2 * dim,
        ),
        msgspec.structs.replace(scores(Index(heads=count, dim=dim, inputs=width)), cache_dtype=""),
    )
