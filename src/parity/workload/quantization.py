"""What a checkpoint is stored in: dtypes of weights and cache, from `quantization_config`.

Module names in a configuration are compared as plain text, never run as patterns.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from parity.errors import BadFile, UnknownName
from parity.record import Finding, Record
from parity.workload.dtype import dtype
from parity.workload.families import Reading
from parity.workload.fields import Config, found, integer, integers, table, word
from parity.workload.operator import Linear, Operator
from parity.workload.parts import Operators

#: Parts of a layer that configurations name when they leave them unquantised.
_ATTENTION = ("q_proj", "kv_proj", "o_proj", "q_a", "q_b", "kv_a", "kv_b", "qkv", "gate_proj")
_MARKS = {
    "attention": ("self_attn", "attention", "linear_attn"),
    "shared": ("shared_expert",),
    "latent": ("routed_expert_", "latent_proj"),
    "dense": ("mlp.up_proj", "mlp.gate_proj", "mlp.down_proj", "(gate|up|gate_up|down)_proj"),
    "mamba": ("mixer", "mamba", "in_proj", "out_proj"),
}
_METHODS = {
    "fp8": "fp8", "fbgemm_fp8": "fp8", "mxfp4": "mxfp4", "finegrained_fp8": "fp8",
    "modelopt_fp4": "nvfp4", "nvfp4": "nvfp4", "fp8_per_channel": "fp8", "w8a8_int8": "int8",
}  # fmt: skip


class Storage(Record, frozen=True):
    """Dtypes of a checkpoint, and the layers with the matrices that differ marked."""

    weight_dtype: str
    kv_dtype: str
    blocks: dict[str, Operators]
    findings: tuple[Finding, ...] = ()
    weight_block: int = 0  # features that share one scale; 0 where they are not scaled in blocks


def stored(config: Config, read: Reading) -> Storage:
    """How the checkpoint behind `config` stores the layers of `read`. Raises `BadFile`."""
    base = _base_dtype(config)
    half = base if base in ("bf16", "fp16") else "bf16"
    quantised = table(config, "quantization_config")
    if not quantised:
        return Storage(weight_dtype=base, kv_dtype=half, blocks=read.blocks)
    weight = _weight_dtype(quantised)
    if not weight:
        method = word(quantised, "quant_method") or "an unnamed method"
        note = Finding(
            code="P303",
            severity="warning",
            message=f"The checkpoint is quantised ({method}) without saying to how many bits; "
            f"weights are counted as {base}.",
            fix="Name the weight dtype if you know it.",
        )
        return Storage(base, _kv_dtype(quantised, half), read.blocks, (note,))
    kept = _kept(quantised)
    experts = _expert_dtype(config, quantised)
    blocks = {
        kind: tuple(_marked(op, half, kept, experts) for op in operators)
        for kind, operators in read.blocks.items()
    }
    return Storage(
        experts or weight,
        _kv_dtype(quantised, half),
        _relative(blocks, weight, experts),
        weight_block=max(integers(quantised, "weight_block_size", least=1), default=0),
    )


def _base_dtype(config: Config) -> str:
    name = word(config, "dtype", "torch_dtype", default="bf16")
    if name == "auto":
        return "bf16"
    try:
        return dtype(name)
    except UnknownName as error:
        raise BadFile(f"`dtype`: {error}") from None


def _weight_dtype(quantised: Config) -> str:
    """The key of `DTYPE_BYTES` weights are stored in; empty if the configuration does not say."""
    method = word(quantised, "quant_method", default=word(quantised, "quant_algo")).lower()
    if method in _METHODS:
        return _METHODS[method]
    if method in ("awq", "gptq", "gptq_marlin", "auto-round", "intel/auto-round"):
        return _integers(quantised, "bits", "w_bit")
    if method == "bitsandbytes":
        return "int4" if quantised.get("load_in_4bit") is True else "int8"
    if method == "compressed-tensors":
        return _compressed(quantised)
    if method in ("modelopt", "fp4") or method.startswith(("nvfp4", "w4a", "w8a")):
        return _by_name(word(quantised, "quant_algo", default=method))
    return ""


def _by_name(algorithm: str) -> str:
    name = algorithm.lower()
    marks = {"mxfp4": "mxfp4", "nvfp4": "nvfp4", "mxfp8": "mxfp8", "fp8": "fp8", "w4": "int4",
             "int4": "int4", "w8": "int8", "int8": "int8"}  # fmt: skip
    return next((kind for mark, kind in marks.items() if mark in name), "")


def _integers(quantised: Config, *keys: str) -> str:
    """The integer dtype with its group size, 0 or below standing for one scale a channel."""
    bits = integer(quantised, *keys, default=4, most=16)
    group = integer(quantised, "group_size", "q_group_size", default=0, least=-1, most=10**6)
    if bits == 8:
        return "int8"
    return {32: "int4-g32", 128: "int4-g128"}.get(group, "int4") if bits == 4 else ""


def _compressed(quantised: Config) -> str:
    """The format of a compressed-tensors configuration; its first group decides."""
    groups = list(table(quantised, "config_groups").values())[:1]
    group = groups[0] if groups and isinstance(groups[0], dict) else {}
    named = _by_name(word(group, "format", default=word(quantised, "format")))
    weights = table(group, "weights")
    if named in ("mxfp4", "nvfp4", "mxfp8") or not weights:
        return named
    if word(weights, "type", default="int") == "int":
        return _integers(weights, "num_bits")
    return {4: "fp4", 8: "fp8"}.get(integer(weights, "num_bits", default=8, most=64), "")


def _kv_dtype(quantised: Config, default: str) -> str:
    if _by_name(word(quantised, "kv_cache_quant_algo")) == "fp8":
        return "fp8"
    scheme = quantised.get("kv_cache_scheme")
    if isinstance(scheme, dict) and integer(scheme, "num_bits", default=8, most=64) == 8:
        return "fp8" if word(scheme, "type", default="float") == "float" else "int8"
    return default


def _expert_dtype(config: Config, quantised: Config) -> str:
    name = word(config, "expert_dtype", default=word(quantised, "expert_dtype"))
    if not name:
        return ""
    try:
        kind = dtype(name)
    except UnknownName as error:
        raise BadFile(f"`expert_dtype`: {error}") from None
    return "mxfp4" if kind == "fp4" else kind


def _kept(quantised: Config) -> frozenset[str]:
    """The parts that stay in 16 bits, by the names in `modules_to_not_convert` and its kin."""
    kept = {"router"}
    for name in _names(quantised):
        kept.update(part for part, marks in _MARKS.items() if any(m in name for m in marks))
    return frozenset(kept)


def _names(quantised: Config) -> Iterable[str]:
    for key in ("modules_to_not_convert", "ignore", "ignored_layers", "exclude_modules"):
        value: Any = quantised.get(key)
        if value is None:
            continue
        if not isinstance(value, list):
            raise BadFile(f"`{key}` is {found(value)}; a list of module names was expected.")
        yield from (item for item in value[:10_000] if isinstance(item, str))


def _marked(operator: Operator, half: str, kept: frozenset[str], experts: str) -> Operator:
    if not isinstance(operator, Linear):
        return operator
    if operator.experts > 1:
        return msgspec.structs.replace(operator, dtype=experts) if experts else operator
    return msgspec.structs.replace(operator, dtype=half) if _part(operator) in kept else operator


def _part(operator: Linear) -> str:
    name = operator.name
    if name in ("router", "shared_gate", "index_weights_proj"):
        return "router"
    if name.startswith("shared_"):
        return "shared"
    if name.startswith("latent_"):
        return "latent"
    if name in ("gate_up_proj", "up_proj", "down_proj"):
        return "dense"
    if name.startswith(_ATTENTION):
        return "attention"
    return "mamba" if name in ("in_proj", "out_proj") else ""


def _relative(blocks: dict[str, Operators], weight: str, experts: str) -> dict[str, Operators]:
    """With experts in a dtype of their own, theirs is the architecture's and the rest is marked."""
    if not experts:
        return blocks

    def mark(operator: Operator) -> Operator:
        if isinstance(operator, Linear) and operator.experts == 1 and not operator.dtype:
            return msgspec.structs.replace(operator, dtype=weight)
        return operator

    return {kind: tuple(mark(op) for op in operators) for kind, operators in blocks.items()}
