"""Dense decoders with RMS norms, gated feed-forward networks and grouped-query attention."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from parity.workload.decoder import (
    KINDS,
    Join,
    combine,
    dropout,
    heads,
    hidden,
    inner,
    layers,
    pre_norm,
    reading,
    window,
)
from parity.workload.families import Reading, family
from parity.workload.fields import LAYERS, Config, flag, integer, words
from parity.workload.parts import Operators
from parity.workload.parts.attention import Grouped, Heads, grouped
from parity.workload.parts.common import norm
from parity.workload.parts.feedforward import gated


@family("llama", "granite", "smollm3", "ministral", "ministral3")
def llama(config: Config) -> Reading:
    """Llama and its kin."""
    bias = flag(config, "attention_bias", default=False)
    return dense(config, Grouped(bias=bias, out_bias=bias), _windows(config))


@family("mistral", "phi3")
def windowed(config: Config) -> Reading:
    """Mistral and Phi-3: where a sliding window is named, every layer has it."""
    pattern = _windows(config) if config.get("layer_types") else _all(config)
    return dense(config, Grouped(), pattern)


@family("qwen2", "qwen2_vl", "qwen2_vl_text", "qwen2_5_vl", "qwen2_5_vl_text", "mimo")
def qwen2(config: Config) -> Reading:
    """Qwen2 and MiMo: queries, keys and values always have a bias, the output never."""
    return dense(config, Grouped(bias=True), qwen_windows(config))


@family("qwen3", "qwen3_vl_text")
def qwen3(config: Config) -> Reading:
    """Qwen3: norms over the head dimension of queries and keys."""
    bias = flag(config, "attention_bias", default=False)
    kind = Grouped(bias=bias, out_bias=bias, norm_parameters=2 * heads(config).qk)
    return dense(config, kind, qwen_windows(config))


@family("seed_oss")
def seed_oss(config: Config) -> Reading:
    """Seed-OSS: biases on queries, keys and values by default, on the output by a flag."""
    kind = Grouped(
        bias=flag(config, "attention_bias", default=True),
        out_bias=flag(config, "attention_out_bias", default=False),
    )
    return dense(config, kind, _all(config))


@family("olmo2", "olmo3")
def olmo(config: Config) -> Reading:
    """OLMo 2 and 3: norms after each part, and over the whole width of queries and keys."""
    bias = flag(config, "attention_bias", default=False)
    shape = heads(config)
    kind = Grouped(
        bias=bias,
        out_bias=bias,
        norm_parameters=(shape.query + shape.key_value) * shape.qk,
    )
    pattern = _windows(config, period=4)  # OLMo 2 names no window
    return dense(config, kind, pattern, join=_post_norm(hidden(config)))


def dense(
    config: Config,
    kind: Grouped,
    pattern: Sequence[str],
    *,
    join: Join | None = None,
    shape: Heads | None = None,
) -> Reading:
    """A dense decoder whose layers differ only in their window."""
    width = hidden(config)
    shape = shape or heads(config)
    network = gated(width, inner(config), bias=flag(config, "mlp_bias", default=False))
    mixers = attentions(width, shape, kind, window(config))
    join = join or pre_norm(width, dropped=dropout(config))
    blocks, order = combine(mixers, {"dense": network}, pattern, ["dense"] * len(pattern), join)
    return reading(config, blocks, order, attention=shape)


def attentions(width: int, shape: Heads, kind: Grouped, span: int) -> dict[str, Operators]:
    """The layer's attention over the whole context, and over a window of `span` tokens."""
    sliding = msgspec.structs.replace(kind, window=span)
    return {
        "attention": grouped(width, shape, kind),
        "window": grouped(width, shape, sliding),
    }


def qwen_windows(config: Config) -> tuple[str, ...]:
    """Layers from `max_window_layers` on slide where `use_sliding_window` says so."""
    count = layers(config)
    named = words(config, "layer_types", KINDS, count)
    if named:
        return named
    if not flag(config, "use_sliding_window", default=False) or not window(config):
        return ("attention",) * count
    first = integer(config, "max_window_layers", default=count, least=0, most=LAYERS)
    return tuple("window" if i >= first else "attention" for i in range(count))


def _windows(config: Config, period: int = 0) -> tuple[str, ...]:
    """`layer_types`, else a full layer in each `period` (0: all full)."""
    count = layers(config)
    named = words(config, "layer_types", KINDS, count)
    if named:
        return named
    if not period or not window(config):
        return ("attention",) * count
    return tuple("attention" if (i + 1) % period == 0 else "window" for i in range(count))


def _all(config: Config) -> tuple[str, ...]:
    return ("window" if window(config) else "attention",) * layers(config)


def _post_norm(width: int) -> Join:
    def join(mixer: Operators, network: Operators) -> Operators:
        return (*mixer, norm("post_attention_norm", width), *network, norm("post_norm", width))

    return join
