"""State-space models and their hybrids with attention: Mamba, Mamba-2, Jamba, Bamba."""

from __future__ import annotations

from parity.workload.decoder import (
    combine,
    experts_of,
    heads,
    hidden,
    inner,
    layers,
    pre_norm,
    reading,
)
from parity.workload.dtype import dtype
from parity.workload.families import Reading, family
from parity.workload.fields import LAYERS, Config, divided, flag, integer, integers, word
from parity.workload.parts import Operators
from parity.workload.parts.attention import Grouped, grouped
from parity.workload.parts.common import norm
from parity.workload.parts.feedforward import gated, mixture
from parity.workload.parts.recurrent import Scan, mamba, mamba2


@family("mamba", "falcon_mamba")
def mamba1(config: Config) -> Reading:
    """Mamba: nothing but selective scans, tied embeddings."""
    width, count = hidden(config), layers(config)
    size = integer(config, "intermediate_size", default=0, least=0) or width * _expand(config)
    scan = Scan(
        inner=size,
        state=integer(config, "state_size"),
        kernel=integer(config, "conv_kernel", default=4, most=1024),
        rank=_rank(config, "time_step_rank", width),
        bias=flag(config, "use_bias", default=False),
        convolution_bias=flag(config, "use_conv_bias", default=True),
        state_dtype=state_dtype(config, "fp32"),
    )
    layer = (norm("input_norm", width), *mamba(width, scan))
    return reading(config, {"mamba": layer}, ("mamba",) * count, tied_by_default=True)


@family("mamba2")
def mamba_2(config: Config) -> Reading:
    """Mamba-2: nothing but scans with scalar decay per head."""
    width, count = hidden(config), layers(config)
    scan = Scan(
        inner=width * _expand(config),
        state=integer(config, "state_size"),
        kernel=integer(config, "conv_kernel", default=4, most=1024),
        heads=integer(config, "num_heads"),
        groups=integer(config, "n_groups", default=1),
        bias=flag(config, "use_bias", default=False),
        convolution_bias=flag(config, "use_conv_bias", default=True),
        state_dtype=state_dtype(config, "fp32"),
    )
    layer = (norm("input_norm", width), *mamba2(width, scan))
    return reading(config, {"mamba": layer}, ("mamba",) * count)


@family("jamba")
def jamba(config: Config) -> Reading:
    """Jamba: an attention layer in every few, a mixture of experts in every few."""
    width, shape, count = hidden(config), heads(config), layers(config)
    scan = Scan(
        inner=width * integer(config, "mamba_expand", default=2, most=64),
        state=integer(config, "mamba_d_state"),
        kernel=integer(config, "mamba_d_conv", default=4, most=1024),
        rank=_rank(config, "mamba_dt_rank", width),
        bias=flag(config, "mamba_proj_bias", default=False),
        convolution_bias=flag(config, "mamba_conv_bias", default=True),
        norms=True,
        state_dtype=state_dtype(config, "fp32"),
    )
    mixers = {
        "attention": grouped(width, shape, Grouped(rotary=False)),
        "mamba": mamba(width, scan),
    }
    experts = experts_of(config, inner_keys=("intermediate_size",))
    networks = {"dense": gated(width, inner(config)), "moe": mixture(width, experts)}
    with_experts = _every(config, "expert_layer", count, period=2, offset=1)
    many = experts.count > 1
    blocks, order = combine(
        mixers,
        networks,
        [
            "attention" if hit else "mamba"
            for hit in _every(config, "attn_layer", count, period=8, offset=4)
        ],
        ["moe" if hit and many else "dense" for hit in with_experts],
        pre_norm(width),
    )
    return reading(config, blocks, order, attention=shape, experts=experts)


@family("bamba")
def bamba(config: Config) -> Reading:
    """Bamba: Mamba-2 layers, attention where `attn_layer_indices` says so."""
    width, shape, count = hidden(config), heads(config), layers(config)
    size = width * integer(config, "mamba_expand", default=2, most=64)
    count_heads = integer(config, "mamba_n_heads", default=128)
    divided("mamba_expand * hidden_size", size, "mamba_n_heads", count_heads)
    scan = Scan(
        inner=size,
        state=integer(config, "mamba_d_state", default=256),
        kernel=integer(config, "mamba_d_conv", default=4, most=1024),
        heads=count_heads,
        groups=integer(config, "mamba_n_groups", default=1),
        bias=flag(config, "mamba_proj_bias", default=False),
        convolution_bias=flag(config, "mamba_conv_bias", default=True),
        state_dtype=state_dtype(config, "fp32"),
    )
    bias = flag(config, "attention_bias", default=False)
    at = set(integers(config, "attn_layer_indices", most=LAYERS))
    network = gated(width, inner(config), bias=flag(config, "mlp_bias", default=False))
    mixers: dict[str, Operators] = {
        "attention": grouped(width, shape, Grouped(bias=bias, out_bias=bias)),
        "mamba": mamba2(width, scan),
    }
    blocks, order = combine(
        mixers,
        {"dense": network},
        ["attention" if i in at else "mamba" for i in range(count)],
        ["dense"] * count,
        pre_norm(width),
    )
    return reading(config, blocks, order, attention=shape)


def state_dtype(config: Config, default: str) -> str:
    """The dtype the configuration asks the recurrent state to be kept in.

    Raises `UnknownName`.
    """
    name = word(config, "mamba_ssm_cache_dtype", "mamba_ssm_dtype", default=default)
    return default if name == "auto" else dtype(name)


def _expand(config: Config) -> int:
    return integer(config, "expand", default=2, most=64)


def _rank(config: Config, key: str, width: int) -> int:
    if config.get(key) in (None, "auto"):
        return -(-width // 16)
    return integer(config, key)


def _every(config: Config, name: str, count: int, *, period: int, offset: int) -> list[bool]:
    step = integer(config, f"{name}_period", default=period, most=LAYERS)
    first = integer(config, f"{name}_offset", default=offset, least=0, most=LAYERS)
    return [i % step == first for i in range(count)]
