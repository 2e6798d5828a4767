"""Softmax attention: grouped heads, latent (MLA), and the index that makes either sparse."""

from __future__ import annotations

from parity.record import Record
from parity.workload.operator import Attention, Elementwise, Linear
from parity.workload.parts import Operators
from parity.workload.parts.common import norm


class Heads(Record, frozen=True, kw_only=True):
    """Heads of one attention layer."""

    query: int
    key_value: int
    qk: int  # dimension of queries and keys
    v: int  # dimension of values


class Grouped(Record, frozen=True, kw_only=True):
    """What a grouped-query attention layer has beside its heads."""

    bias: bool = False  # on queries, keys and values
    out_bias: bool = False
    rotary: bool = True
    norm_parameters: int = 0  # of the norms on queries and keys
    gate: int = 0  # outputs of a projection that gates the attention output
    window: int = 0
    chunked: bool = False
    selected: int = 0
    sinks: bool = False
    shares_cache: bool = False  # reads the keys and values of an earlier layer
    keys_are_values: bool = False  # one projection gives both


class Latent(Record, frozen=True, kw_only=True):
    """Shapes of a latent attention layer (MLA)."""

    heads: int
    query_rank: int  # 0: queries are projected straight from the hidden state
    rank: int  # of the latent that keys and values are made from
    nope: int  # head dimension without position
    rope: int  # head dimension with position, one key for all heads
    v: int
    bias: bool = False
    rotary: bool = True
    gate: int = 0
    selected: int = 0


class Index(Record, frozen=True, kw_only=True):
    """A small attention that only chooses which entries the large one reads."""

    heads: int
    dim: int
    inputs: int  # features its queries are made from
    compression: int = 1


def grouped(hidden: int, heads: Heads, kind: Grouped = Grouped()) -> Operators:  # noqa: B008
    """Projections, rotary embedding, attention and output projection of a GQA, MQA or MHA layer."""
    operators: list[Linear | Attention | Elementwise] = [
        Linear(
            name="q_proj",
            inputs=hidden,
            outputs=heads.query * heads.qk,
            bias=kind.bias,
            split="column",
            shards=heads.query,
        )
    ]
    if not kind.shares_cache:
        width = heads.qk if kind.keys_are_values else heads.qk + heads.v
        operators.append(
            Linear(
                name="kv_proj",
                inputs=hidden,
                outputs=heads.key_value * width,
                bias=kind.bias,
                split="column",
                shards=heads.key_value,
                matrices=1 if kind.keys_are_values else 2,
                saves_input=False,
            )
        )
    operators += _rotated(heads, kind)
    operators.append(
        Attention(
            name="attention",
            query_heads=heads.query,
            key_value_heads=heads.key_value,
            qk_head_dim=heads.qk,
            v_head_dim=heads.v,
            cache_elements=0 if kind.shares_cache else heads.key_value * (heads.qk + heads.v),
            cache_shards=heads.key_value,
            window=kind.window,
            chunked=kind.chunked,
            selected=kind.selected,
            parameters=heads.query * kind.sinks,
        )
    )
    return (*operators, *_output(hidden, heads.query, heads.v, kind.gate, kind.out_bias))


def latent(hidden: int, shape: Latent) -> Operators:
    """Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434).

    Training and prefill expand keys and values to all heads; decoding multiplies in the latent
    space, where `kv_b_proj` is folded into queries and outputs at the same cost per token.
    """
    qk, latent_width = shape.nope + shape.rope, shape.rank + shape.rope
    attention = Attention(
        name="attention",
        query_heads=shape.heads,
        key_value_heads=shape.heads,
        qk_head_dim=qk,
        v_head_dim=shape.v,
        cache_elements=latent_width,
        cache_shards=1,
        selected=shape.selected,
        decode_qk_dim=latent_width,
        decode_v_dim=shape.rank,
    )
    kv_a = Linear(
        name="kv_a_proj",
        inputs=hidden,
        outputs=latent_width,
        bias=shape.bias,
        saves_input=False,
    )
    kv_b = Linear(
        name="kv_b_proj",
        inputs=shape.rank,
        outputs=shape.heads * (shape.nope + shape.v),
        split="column",
        shards=shape.heads,
    )
    rotary = shape.rope * (shape.heads + 1)
    return (
        *_latent_queries(hidden, shape),
        kv_a,
        norm("kv_a_norm", shape.rank, residual=False),
        kv_b,
        *(
            Elementwise(name="rotary", read_elements=rotary, written_elements=rotary, split="heads")
            for _ in range(shape.rotary)
        ),
        attention,
        *_output(hidden, shape.heads, shape.v, shape.gate, shape.bias),
    )


def index(hidden: int, shape: Index, *, norm_parameters: int) -> Operators:
    """The lightning indexer of DeepSeek-V3.2: few small heads score every entry.

    Every chip of a tensor-parallel group computes all of it. Keys are kept in FP8.
    """
    return (
        Linear(name="index_q_proj", inputs=shape.inputs, outputs=shape.heads * shape.dim,
               saves_input=False),
        Linear(name="index_k_proj", inputs=hidden, outputs=shape.dim, saves_input=False),
        Elementwise(
            name="index_norm",
            read_elements=(shape.heads + 1) * shape.dim,
            written_elements=(shape.heads + 1) * shape.dim,
            saved_elements=shape.dim,
            parameters=norm_parameters,
        ),
        Linear(name="index_weights_proj", inputs=hidden, outputs=shape.heads, saves_input=False),
        scores(shape),
    )  # fmt: skip


def scores(shape: Index) -> Attention:
    """The product of index queries with all index keys."""
    return Attention(
        name="index_scores",
        query_heads=shape.heads,
        key_value_heads=1,
        qk_head_dim=shape.dim,
        v_head_dim=0,
        cache_elements=shape.dim,
        cache_shards=1,
        compression=shape.compression,
        cache_dtype="fp8",
        split="none",
    )


def _latent_queries(hidden: int, shape: Latent) -> Operators:
    outputs = shape.heads * (shape.nope + shape.rope)
    if not shape.query_rank:
        return (
            Linear(name="q_proj", inputs=hidden, outputs=outputs, split="column",
                   shards=shape.heads),
        )  # fmt: skip
    return (
        Linear(name="q_a_proj", inputs=hidden, outputs=shape.query_rank, bias=shape.bias),
        norm("q_a_norm", shape.query_rank, residual=False),
        Linear(
            name="q_b_proj",
            inputs=shape.query_rank,
            outputs=outputs,
            split="column",
            shards=shape.heads,
        ),
    )


def _rotated(heads: Heads, kind: Grouped) -> list[Elementwise]:
    """Rotary embedding and the norms of queries and keys, one pass over both."""
    if not kind.rotary and not kind.norm_parameters:
        return []
    keys = 0 if kind.shares_cache else heads.key_value
    elements = (heads.query + keys) * heads.qk
    return [
        Elementwise(
            name="qk_norm_rotary" if kind.norm_parameters else "rotary",
            read_elements=elements,
            written_elements=elements,
            saved_elements=elements if kind.norm_parameters else 0,
            split="heads",
            parameters=kind.norm_parameters,
        )
    ]


def _output(hidden: int, heads: int, v: int, gate: int, bias: bool) -> Operators:
    project = Linear(
        name="o_proj",
        inputs=heads * v,
        outputs=hidden,
        bias=bias,
        split="row",
        shards=heads,
    )
    if not gate:
        return (project,)
    return (
        Linear(
            name="gate_proj",
            inputs=hidden,
            outputs=gate,
            split="column",
            shards=heads,
            saves_input=False,
        ),
        Elementwise(
            name="gate",
            read_elements=heads * v + gate,
            written_elements=heads * v,
            saved_elements=heads * v + gate,
            split="heads",
        ),
        project,
    )
