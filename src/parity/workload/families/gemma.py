"""Gemma 1 to 4: tied embeddings, norms before and after each part, sliding windows."""

from __future__ import annotations

import msgspec

from parity.workload.decoder import (
    KINDS,
    Join,
    combine,
    experts_of,
    heads,
    hidden,
    inner,
    layers,
    pre_norm,
    reading,
    vocabulary,
    window,
)
from parity.workload.families import Reading, family
from parity.workload.families.llama import attentions
from parity.workload.fields import LAYERS, VOCABULARY, Config, flag, integer, words
from parity.workload.operator import Elementwise, Linear, Lookup
from parity.workload.parts import Operators
from parity.workload.parts.attention import Grouped, Heads, grouped
from parity.workload.parts.common import norm
from parity.workload.parts.feedforward import Experts, gated, mixture

#: What Gemma 3 configurations leave out (transformers, Gemma3TextConfig).
_GEMMA3 = {
    "vocab_size": 262_208,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 256,
    "sliding_window": 4096,
    "max_position_embeddings": 131_072,
}


@family("gemma")
def gemma(config: Config) -> Reading:
    """Gemma 1: as Llama, with tied embeddings."""
    width, shape, count = hidden(config), heads(config), layers(config)
    mixers = {"attention": grouped(width, shape)}
    blocks, order = combine(
        mixers,
        {"dense": gated(width, inner(config))},
        ["attention"] * count,
        ["dense"] * count,
        pre_norm(width),
    )
    return reading(config, blocks, order, attention=shape, tied_by_default=True)


@family("gemma2")
def gemma2(config: Config) -> Reading:
    """Gemma 2: every second layer slides."""
    return _sandwiched(config, Grouped(), period=2)


@family("gemma3", "gemma3_text")
def gemma3(config: Config) -> Reading:
    """Gemma 3: five sliding layers to a full one, norms on queries and keys."""
    config = {**_GEMMA3, **{k: v for k, v in config.items() if v is not None}}
    period = integer(config, "sliding_window_pattern", default=6, most=LAYERS)
    return _sandwiched(config, Grouped(norm_parameters=2 * heads(config).qk), period=period)


@family("gemma4", "gemma4_text")
def gemma4(config: Config) -> Reading:
    """Gemma 4: larger heads in full layers, keys that are also values there, layers that reuse an
    earlier layer's cache, embeddings per layer, and experts beside the dense network."""
    width, count = hidden(config), layers(config)
    kinds = words(config, "layer_types", KINDS, count) or _pattern(count, 6)
    kinds = (*kinds[:-1], "attention")  # the last layer always sees the whole context
    reused = integer(config, "num_kv_shared_layers", default=0, least=0, most=count)
    mixer_of = [f"{kind}*" if i >= count - reused else kind for i, kind in enumerate(kinds)]
    wide = flag(config, "use_double_wide_mlp", default=False)
    experts = experts_of(config) if flag(config, "enable_moe_block", default=False) else None
    plain = "moe" if experts else "dense"
    network_of = [f"{plain}*" if wide and i >= count - reused else plain for i in range(count)]
    networks = {
        plain: _gemma4_network(width, inner(config), experts),
        f"{plain}*": _gemma4_network(width, 2 * inner(config), experts),
    }
    layer_inputs = integer(config, "hidden_size_per_layer_input", default=0, least=0)
    join = _gemma4_join(width, layer_inputs)
    blocks, order = combine(_gemma4_mixers(config), networks, mixer_of, network_of, join)
    read = reading(
        config, blocks, order, attention=heads(config), experts=experts, tied_by_default=True
    )
    return _with_layer_inputs(read, config, layer_inputs, count) if layer_inputs else read


def _pattern(count: int, period: int) -> tuple[str, ...]:
    return tuple("attention" if (i + 1) % period == 0 else "window" for i in range(count))


def _sandwiched(config: Config, kind: Grouped, *, period: int) -> Reading:
    width, shape, count = hidden(config), heads(config), layers(config)
    pattern = words(config, "layer_types", KINDS, count) or _pattern(count, period)
    bias = flag(config, "attention_bias", default=False)
    kind = msgspec.structs.replace(kind, bias=bias, out_bias=bias)
    blocks, order = combine(
        attentions(width, shape, kind, window(config)),
        {"dense": gated(width, inner(config))},
        pattern,
        ["dense"] * count,
        _sandwich(width),
    )
    return reading(config, blocks, order, attention=shape, tied_by_default=True)


def _sandwich(width: int) -> Join:
    def join(mixer: Operators, network: Operators) -> Operators:
        return (
            norm("input_norm", width),
            *mixer,
            norm("post_attention_norm", width, residual=False),
            norm("pre_feedforward_norm", width),
            *network,
            norm("post_feedforward_norm", width, residual=False),
        )

    return join


def _gemma4_mixers(config: Config) -> dict[str, Operators]:
    width, shape = hidden(config), heads(config)
    same = flag(config, "attention_k_eq_v", default=False)
    dim = integer(config, "global_head_dim", default=512)
    named = integer(config, "num_global_key_value_heads", default=0, least=0)
    key_value = named if same and named else shape.key_value
    full = Heads(query=shape.query, key_value=key_value, qk=dim, v=dim)
    bias = flag(config, "attention_bias", default=False)
    own = Grouped(bias=bias, out_bias=bias, norm_parameters=2 * dim, keys_are_values=same)
    near = Grouped(bias=bias, out_bias=bias, norm_parameters=2 * shape.qk, window=window(config))
    reuse = msgspec.structs.replace
    return {
        "attention": grouped(width, full, own),
        "window": grouped(width, shape, near),
        "attention*": grouped(width, full, reuse(own, shares_cache=True, norm_parameters=dim)),
        "window*": grouped(width, shape, reuse(near, shares_cache=True, norm_parameters=shape.qk)),
    }


def _gemma4_network(width: int, size: int, experts: Experts | None) -> Operators:
    if experts is None:
        return gated(width, size)
    scaled = msgspec.structs.replace(experts, scales=width + experts.count)
    return (
        *gated(width, size, prefix="shared_"),
        norm("shared_post_norm", width, residual=False),
        norm("experts_pre_norm", width, residual=False),
        *mixture(width, scaled),
        norm("experts_post_norm", width, residual=False),
    )


def _gemma4_join(width: int, layer_inputs: int) -> Join:
    sandwich = _sandwich(width)

    def join(mixer: Operators, network: Operators) -> Operators:
        return (*sandwich(mixer, network), *_layer_input(width, layer_inputs))

    return join


def _layer_input(width: int, size: int) -> Operators:
    if not size:
        return ()
    return (
        Linear(name="layer_input_gate", inputs=width, outputs=size),
        Elementwise(
            name="layer_input",
            read_elements=2 * size,
            written_elements=size,
            saved_elements=2 * size,
        ),
        Linear(name="layer_input_proj", inputs=size, outputs=width),
        norm("layer_input_norm", width),
    )


def _with_layer_inputs(read: Reading, config: Config, size: int, count: int) -> Reading:
    rows = integer(
        config, "vocab_size_per_layer_input", default=vocabulary(config), most=VOCABULARY
    )
    extra = (
        Lookup(name="layer_embedding", rows=rows, width=count * size, per_layer=True),
        Linear(name="layer_embedding_proj", inputs=read.hidden_size, outputs=count * size),
        Elementwise(
            name="layer_embedding_norm",
            read_elements=2 * count * size,
            written_elements=count * size,
            saved_elements=count * size,
            parameters=size,
        ),
    )
    return msgspec.structs.replace(read, embedding=(*read.embedding, *extra))
