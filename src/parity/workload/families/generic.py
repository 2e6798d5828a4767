"""The reading of last resort: a Llama-like decoder, with whatever the field names give away."""

from __future__ import annotations

import msgspec

from parity.record import Finding
from parity.workload.decoder import (
    combine,
    dense_or_moe,
    heads,
    hidden,
    inner,
    layers,
    pre_norm,
    reading,
    step_or_moe,
    window,
)
from parity.workload.families import Reading
from parity.workload.families.llama import attentions, qwen_windows
from parity.workload.families.mla import deepseek, sparse
from parity.workload.families.moe import shared_experts
from parity.workload.fields import Config, flag, integer, present
from parity.workload.parts.attention import Grouped
from parity.workload.parts.feedforward import Experts, gated, mixture

_EXPERTS = ("n_routed_experts", "num_local_experts", "num_experts", "moe_num_experts")


def generic(config: Config, model_type: str) -> tuple[Reading, Finding]:
    """A reading of an unknown `model_type`, and the finding that says what was assumed.

    Raises `BadFile` where the fields every decoder needs are missing.
    """
    assumed = ["RMS norms", "gated feed-forward networks", "rotary embedding"]
    if present(config, "kv_lora_rank"):
        assumed.append("latent attention (MLA)")
        read = sparse(config) if present(config, "index_topk") else deepseek(config)
    else:
        read = _grouped(config, assumed)
    if read.num_experts:
        assumed.append(f"{read.num_experts} experts of which {read.num_experts_per_tok} active")
    shown = f"model_type `{model_type}`" if model_type else "a configuration without model_type"
    return read, Finding(
        code="P301",
        severity="warning",
        message=f"Parity does not know {shown}; it was read as a decoder with "
        + ", ".join(assumed)
        + ". Sizes may be off.",
        fix="Compare the parameter count with the published one before relying on it.",
    )


def _grouped(config: Config, assumed: list[str]) -> Reading:
    width, shape, count = hidden(config), heads(config), layers(config)
    bias = flag(config, "attention_bias", "qkv_bias", default=False)
    normed = flag(config, "use_qk_norm", "qk_norm", default=False)
    assumed.append(
        f"grouped-query attention ({shape.query} heads, {shape.key_value} key-value heads) "
        f"{'with' if bias else 'without'} biases"
    )
    experts = _experts(config)
    network_of = _pattern(config, count) if experts else ("dense",) * count
    networks = {"moe": mixture(width, experts)} if experts else {}
    if "dense" in network_of:
        networks["dense"] = gated(width, inner(config))
    kind = Grouped(bias=bias, norm_parameters=2 * shape.qk * normed)
    blocks, order = combine(
        attentions(width, shape, kind, window(config)),
        networks,
        qwen_windows(config),
        network_of,
        pre_norm(width),
    )
    return reading(config, blocks, order, attention=shape, experts=experts)


def _experts(config: Config) -> Experts | None:
    if integer(config, *_EXPERTS, default=0, least=0) < 2:
        return None
    if not present(config, "moe_intermediate_size"):
        config = {**config, "moe_intermediate_size": config.get("intermediate_size")}
    experts = shared_experts(config)
    named = integer(config, "shared_expert_intermediate_size", default=0, least=0)
    return msgspec.structs.replace(experts, shared_inner=named) if named else experts


def _pattern(config: Config, count: int) -> tuple[str, ...]:
    if present(config, "decoder_sparse_step", "mlp_only_layers"):
        return step_or_moe(config, count)
    return dense_or_moe(config, count)
