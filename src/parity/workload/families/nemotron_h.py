"""Nemotron-H and Nemotron 3: each layer is one part alone, a scan, attention, MLP or experts.

Read from transformers 5.23.0, models/nemotron_h (Apache-2.0).
"""

from __future__ import annotations

import msgspec

from parity.errors import BadFile
from parity.workload.decoder import experts_of, heads, hidden, inner, layers, reading
from parity.workload.families import Reading, family
from parity.workload.families.mamba import state_dtype
from parity.workload.fields import LAYERS, Config, flag, found, integer, words
from parity.workload.parts import Operators
from parity.workload.parts.attention import Grouped, grouped
from parity.workload.parts.common import norm
from parity.workload.parts.feedforward import Experts, mixture, plain
from parity.workload.parts.recurrent import Scan, mamba2

_LETTERS = {"M": "mamba", "*": "attention", "-": "dense", "E": "moe"}
_WORDS = {
    "mamba": "mamba",
    "linear_attention": "mamba",
    "attention": "attention",
    "full_attention": "attention",
    "mlp": "dense",
    "moe": "moe",
}


@family("nemotron_h")
def nemotron_h(config: Config) -> Reading:
    """Nemotron-H 8B to 56B, Nemotron 3 Nano, Super and Ultra."""
    width, shape, order = hidden(config), heads(config), _pattern(config)
    experts = _experts(config) if "moe" in order else None
    parts: dict[str, Operators] = {
        "attention": grouped(width, shape, Grouped(rotary=False)),
        "mamba": mamba2(width, _scan(config)),
    }
    if "dense" in order:
        parts["dense"] = plain(width, inner(config), bias=flag(config, "mlp_bias", default=False))
    if experts:
        parts["moe"] = mixture(width, experts)
    blocks = {kind: (norm("norm", width), *parts[kind]) for kind in dict.fromkeys(order)}
    return reading(config, blocks, order, attention=shape, experts=experts)


def _pattern(config: Config) -> tuple[str, ...]:
    text = config.get("hybrid_override_pattern")
    if text is None:
        listed = words(config, "layers_block_type", _WORDS, 1)
        named = config.get("layers_block_type")
        if not listed or not isinstance(named, list):
            raise BadFile(
                "`layers_block_type` (or `hybrid_override_pattern`) is missing; "
                f"a list of {', '.join(_WORDS)} was expected."
            )
        return words(config, "layers_block_type", _WORDS, len(named))
    if not isinstance(text, str) or not 1 <= len(text) <= LAYERS or set(text) - set(_LETTERS):
        raise BadFile(
            f"`hybrid_override_pattern` is {found(text)}; "
            f"a string of {' '.join(_LETTERS)} was expected."
        )
    if config.get("num_hidden_layers") is not None and layers(config) != len(text):
        raise BadFile(
            f"`hybrid_override_pattern` names {len(text)} layers, "
            f"but `num_hidden_layers` is {layers(config)}."
        )
    return tuple(_LETTERS[letter] for letter in text)


def _scan(config: Config) -> Scan:
    count = integer(config, "mamba_num_heads")
    return Scan(
        inner=count * integer(config, "mamba_head_dim"),
        state=integer(config, "ssm_state_size"),
        kernel=integer(config, "conv_kernel", "mamba_d_conv", default=4, most=1024),
        heads=count,
        groups=integer(config, "n_groups", "mamba_n_groups", default=8),
        bias=flag(config, "use_bias", default=False),
        convolution_bias=flag(config, "use_conv_bias", "mamba_conv_bias", default=True),
        state_dtype=state_dtype(config, "fp32"),
    )


def _experts(config: Config) -> Experts:
    bias = flag(config, "mlp_bias", default=False)
    return msgspec.structs.replace(
        experts_of(config),
        gated=False,
        bias=bias,
        correction=True,
        shared_inner=integer(config, "moe_shared_expert_intermediate_size", default=0, least=0),
        latent=integer(config, "moe_latent_size", default=0, least=0),
    )
