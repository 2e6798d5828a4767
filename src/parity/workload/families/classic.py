"""Decoders before Llama: layer norms, plain feed-forward networks, learned or no positions."""

from __future__ import annotations

import msgspec

from parity.workload.decoder import (
    Join,
    combine,
    dropout,
    heads,
    hidden,
    layers,
    pre_norm,
    reading,
)
from parity.workload.families import Reading, family
from parity.workload.fields import CONTEXT, Config, flag, integer
from parity.workload.operator import Elementwise, Linear
from parity.workload.parts import Operators
from parity.workload.parts.attention import Grouped, Heads, grouped
from parity.workload.parts.common import embedding, norm, positions, vocabulary
from parity.workload.parts.feedforward import plain


@family("gpt2", "gpt3", "gpt_bigcode")
def gpt2(config: Config) -> Reading:
    """GPT-2, GPT-3 and StarCoder: biases everywhere, learned positions, tied embeddings."""
    width, shape = hidden(config), heads(config)
    if flag(config, "multi_query", default=False):
        shape = msgspec.structs.replace(shape, key_value=1)
    read = _uniform(
        config,
        shape,
        grouped(width, shape, Grouped(bias=True, out_bias=True, rotary=False)),
        plain(width, _inner(config, 4 * width), bias=True),
        pre_norm(width, bias=True, dropped=dropout(config)),
        tied_by_default=True,
    )
    rows = integer(config, "n_positions", "n_ctx", "max_position_embeddings", most=CONTEXT)
    return _with(read, embedding=(*read.embedding, *positions(rows, width)))


@family("gptj")
def gptj(config: Config) -> Reading:
    """GPT-J: attention and feed-forward side by side behind one norm."""
    width, shape = hidden(config), heads(config)
    return _uniform(
        config,
        shape,
        grouped(width, shape),
        plain(width, _inner(config, 4 * width), bias=True),
        _parallel(width),
        head_bias=True,
    )


@family("gpt_neox")
def gpt_neox(config: Config) -> Reading:
    """GPT-NeoX: attention and feed-forward side by side, each behind a norm of its own."""
    width, shape = hidden(config), heads(config)
    bias = flag(config, "attention_bias", default=True)
    beside = flag(config, "use_parallel_residual", default=True)
    return _uniform(
        config,
        shape,
        grouped(width, shape, Grouped(bias=bias, out_bias=bias)),
        plain(width, _inner(config, 4 * width), bias=True),
        _parallel(width, norms=2) if beside else pre_norm(width, bias=True),
    )


@family("falcon")
def falcon(config: Config) -> Reading:
    """Falcon: one key-value head, or groups of heads in the new decoder architecture."""
    width, query = hidden(config), integer(config, "num_attention_heads", "n_head")
    new = flag(config, "new_decoder_architecture", default=False)
    single = flag(config, "multi_query", default=True) and not new
    named = integer(config, "num_kv_heads", "n_head_kv", default=query) if new else query
    shape = heads({**config, "num_key_value_heads": 1 if single else named})
    bias = flag(config, "bias", default=False)
    rotary = not flag(config, "alibi", default=False)
    beside = flag(config, "parallel_attn", default=True) or new
    norms = integer(config, "num_ln_in_parallel_attn", default=2 if new else 1, most=2)
    return _uniform(
        config,
        shape,
        grouped(width, shape, Grouped(bias=bias, out_bias=bias, rotary=rotary)),
        plain(width, integer(config, "ffn_hidden_size", default=4 * width), bias=bias),
        _parallel(width, norms=norms) if beside else pre_norm(width, bias=True),
        tied_by_default=True,
    )


@family("opt")
def opt(config: Config) -> Reading:
    """OPT: learned positions with two spare rows, tied embeddings of their own width."""
    width, shape = hidden(config), heads(config)
    bias = flag(config, "enable_bias", default=True)
    read = _uniform(
        config,
        shape,
        grouped(width, shape, Grouped(bias=bias, out_bias=bias, rotary=False)),
        plain(width, integer(config, "ffn_dim"), bias=bias),
        pre_norm(width, bias=True, dropped=dropout(config)),
        tied_by_default=True,
    )
    rows = integer(config, "max_position_embeddings", default=2048, most=CONTEXT) + 2
    inner = integer(config, "word_embed_proj_dim", default=width)
    first = flag(config, "do_layer_norm_before", default=True)
    table, last = embedding(read.vocab_size, inner), read.head if first else read.head[1:]
    extra: Operators = ()
    if inner != width:
        extra = (Linear(name="project_in", inputs=inner, outputs=width),)
        out = Linear(name="project_out", inputs=width, outputs=inner)
        last = (*read.head[:first], out, vocabulary(inner, read.vocab_size, tied=True))
    return _with(read, embedding=(*table, *extra, *positions(rows, width)), head=last)


@family("bloom")
def bloom(config: Config) -> Reading:
    """BLOOM: positions by biased scores, a norm on the embeddings, tied embeddings."""
    width, shape = hidden(config), heads(config)
    read = _uniform(
        config,
        shape,
        grouped(width, shape, Grouped(bias=True, out_bias=True, rotary=False)),
        plain(width, 4 * width, bias=True),
        pre_norm(width, bias=True, dropped=dropout(config)),
        tied_by_default=True,
    )
    first = norm("embedding_norm", width, bias=True, residual=False)
    return _with(read, embedding=(*read.embedding, first))


def _inner(config: Config, default: int) -> int:
    return integer(config, "n_inner", "intermediate_size", default=default, most=10**7)


def _uniform(
    config: Config,
    shape: Heads,
    mixer: Operators,
    network: Operators,
    join: Join,
    *,
    tied_by_default: bool = False,
    head_bias: bool = False,
) -> Reading:
    """A decoder of identical layers with layer norms."""
    count = layers(config)
    blocks, order = combine(
        {"attention": mixer}, {"dense": network}, ["attention"] * count, ["dense"] * count, join
    )
    return reading(
        config,
        blocks,
        order,
        attention=shape,
        tied_by_default=tied_by_default,
        head_bias=head_bias,
        norm_bias=True,
    )


def _parallel(width: int, norms: int = 1) -> Join:
    """Both parts read the same hidden state; one pass adds both to it and normalises."""

    def join(mixer: Operators, network: Operators) -> Operators:
        first = Elementwise(
            name="input_norm",
            read_elements=3 * width,
            written_elements=(1 + norms) * width,
            saved_elements=width,
            parameters=2 * width * norms,
        )
        if norms == 1:  # the feed-forward network reads what attention has kept
            up, *others = network
            network = (msgspec.structs.replace(up, saves_input=False), *others)
        return (first, *mixer, *network)

    return join


def _with(read: Reading, **changes: object) -> Reading:
    return msgspec.structs.replace(read, **changes)
