"""DeepSeek V4: one shared key-value head, caches compressed along the sequence, and several
residual streams mixed by learned weights (manifold-constrained hyper-connections).

Read from transformers 5.23.0, models/deepseek_v4 (Apache-2.0); layer kinds follow its names:
`window` sees 128 tokens only, `csa` also chosen entries of 4 tokens each, `hca` also every entry
of 128 tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from parity.errors import BadFile
from parity.workload.decoder import (
    Join,
    combine,
    experts_of,
    hidden,
    layers,
    reading,
    vocabulary,
    window,
)
from parity.workload.families import Reading, family
from parity.workload.fields import CONTEXT, LAYERS, Config, found, integer, integers, words
from parity.workload.operator import Attention, Elementwise, Linear
from parity.workload.parts import Operators
from parity.workload.parts.attention import Heads, Index, scores
from parity.workload.parts.common import norm
from parity.workload.parts.feedforward import Experts, mixture

_CSA, _HCA = 4, 128  # tokens per compressed entry
_RATIOS = {0: "window", _CSA: "csa", _HCA: "hca"}
_TYPES = {
    "sliding_attention": "window",
    "compressed_sparse_attention": "csa",
    "heavily_compressed_attention": "hca",
}


@family("deepseek_v4")
def deepseek_v4(config: Config) -> Reading:
    """DeepSeek V4 Flash and Pro."""
    width, count = hidden(config), layers(config)
    streams = integer(config, "hc_mult", default=4, most=64)
    experts = experts_of(config)
    shared = integer(config, "n_shared_experts", default=1, least=0)
    experts = msgspec.structs.replace(experts, shared_inner=shared * experts.inner)
    hashed = integer(config, "num_hash_layers", default=3, least=0, most=LAYERS)
    networks = {
        "hash_moe": mixture(width, experts),
        "moe": mixture(width, _corrected(experts)),
    }
    blocks, order = combine(
        {kind: _attention(config, kind) for kind in _TYPES.values()},
        networks,
        _kinds(config, count),
        ["hash_moe" if i < hashed else "moe" for i in range(count)],
        _join(width, streams),
    )
    query, dim = integer(config, "num_attention_heads"), integer(config, "head_dim", default=512)
    attention = Heads(query=query, key_value=1, qk=dim, v=dim)
    read = reading(config, blocks, order, attention=attention, experts=experts)
    merge = _hyper("head", width, streams, outputs=streams, scalars=streams + 1)
    return msgspec.structs.replace(read, vocab_size=vocabulary(config), head=(*merge, *read.head))


def _corrected(experts: Experts) -> Experts:
    return msgspec.structs.replace(experts, correction=True)


def _kinds(config: Config, count: int) -> Sequence[str]:
    named = words(config, "layer_types", _TYPES, count)
    if named:
        return named
    ratios = integers(config, "compress_ratios", most=CONTEXT, count=count)
    for ratio in ratios:
        if ratio not in _RATIOS:
            raise BadFile(f"`compress_ratios` holds {found(ratio)}; 0, {_CSA} or {_HCA} expected.")
    if ratios:
        return [_RATIOS[ratio] for ratio in ratios]
    return ["hca" if i < 2 or i % 2 else "csa" for i in range(count)]


def _attention(config: Config, kind: str) -> Operators:
    width, heads = hidden(config), integer(config, "num_attention_heads")
    dim, rank = integer(config, "head_dim", default=512), integer(config, "q_lora_rank")
    local = Attention(
        name="attention",
        query_heads=heads,
        key_value_heads=1,
        qk_head_dim=dim,
        v_head_dim=dim,
        cache_elements=dim,  # one tensor is key and value
        cache_shards=1,
        window=window(config) or 128,
        parameters=heads,  # a sink per head
    )
    return (
        Linear(name="q_a_proj", inputs=width, outputs=rank),
        norm("q_a_norm", rank, residual=False),
        Linear(name="q_b_proj", inputs=rank, outputs=heads * dim, split="column", shards=heads),
        Linear(name="kv_proj", inputs=width, outputs=dim, saves_input=False),
        norm("kv_norm", dim, residual=False),
        Elementwise(
            name="q_norm_rotary",
            read_elements=heads * dim,
            written_elements=heads * dim,
            saved_elements=heads * dim,
            split="heads",
        ),
        local,
        *_compressed(config, kind, local, rank),
        *_output(config, width, heads * dim),
    )


def _output(config: Config, width: int, inputs: int) -> Operators:
    groups = integer(config, "o_groups", default=8)
    rank = integer(config, "o_lora_rank", default=1024)
    if inputs % groups:
        raise BadFile(f"`o_groups` ({groups:,}) does not divide the attention output ({inputs:,}).")
    return (
        Linear(
            name="o_a_proj",
            inputs=inputs,
            outputs=groups * rank,
            groups=groups,
            split="heads",
            shards=groups,
        ),
        Linear(name="o_b_proj", inputs=groups * rank, outputs=width, split="row", shards=groups),
    )


def _compressed(config: Config, kind: str, local: Attention, rank: int) -> Operators:
    if kind == "window":
        return ()
    width, dim = hidden(config), local.qk_head_dim
    ratio, series = (_CSA, 2) if kind == "csa" else (_HCA, 1)
    far = msgspec.structs.replace(
        local,
        name="compressed_attention",
        window=0,
        compression=ratio,
        selected=integer(config, "index_topk", most=CONTEXT) if kind == "csa" else 0,
        saves_query=False,
        parameters=0,
    )
    chosen = _index(config, rank) if kind == "csa" else ()
    return (*_compressor("", width, dim, ratio, series), *chosen, far)


def _compressor(name: str, width: int, dim: int, ratio: int, series: int) -> Operators:
    """A gated mean over `ratio` tokens; with two series adjacent entries overlap."""
    size = series * dim
    return (
        Linear(name=f"{name}compress_kv_proj", inputs=width, outputs=size, saves_input=False),
        Linear(name=f"{name}compress_gate_proj", inputs=width, outputs=size, saves_input=False),
        Elementwise(
            name=f"{name}compress",
            read_elements=2 * size,
            written_elements=-(-dim // ratio),
            saved_elements=2 * size,
            parameters=ratio * size + dim,
        ),
    )


def _index(config: Config, rank: int) -> Operators:
    width = hidden(config)
    heads, dim = integer(config, "index_n_heads"), integer(config, "index_head_dim")
    return (
        *_compressor("index_", width, dim, _CSA, 2),
        Linear(name="index_q_proj", inputs=rank, outputs=heads * dim, saves_input=False),
        Linear(name="index_weights_proj", inputs=width, outputs=heads, saves_input=False),
        scores(Index(heads=heads, dim=dim, inputs=rank, compression=_CSA)),
    )


def _join(width: int, streams: int) -> Join:
    weights = (2 + streams) * streams

    def join(mixer: Operators, network: Operators) -> Operators:
        return (
            *_hyper("attention", width, streams, outputs=weights, scalars=weights + 3),
            norm("input_norm", width, residual=False),
            *mixer,
            _expand("attention", width, streams),
            *_hyper("feedforward", width, streams, outputs=weights, scalars=weights + 3),
            norm("post_norm", width, residual=False),
            *network,
            _expand("feedforward", width, streams),
        )

    return join


def _hyper(name: str, width: int, streams: int, *, outputs: int, scalars: int) -> Operators:
    """Weights from all streams, and their weighted sum as the input of the next part."""
    return (
        Linear(name=f"{name}_streams_proj", inputs=streams * width, outputs=outputs),
        Elementwise(
            name=f"{name}_collapse",
            read_elements=2 * streams * width,
            written_elements=width,
            saved_elements=outputs,
            parameters=scalars,
        ),
    )


def _expand(name: str, width: int, streams: int) -> Elementwise:
    """The part's output added to every stream, and the streams mixed."""
    return Elementwise(
        name=f"{name}_expand",
        read_elements=(streams + 1) * width,
        written_elements=streams * width,
        saved_elements=width,
    )
