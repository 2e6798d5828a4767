"""Which model a row ran: its own dimensions first, then a configuration by its label."""

from __future__ import annotations

import json
import re
import tomllib
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec

from parity.errors import BadFile
from parity.evidence.schema import Row
from parity.record import Record
from parity.workload import find
from parity.workload.huggingface import read
from parity.workload.operator import Architecture

#: Rows of the table of a GPT-2 vocabulary as Megatron pads it for eight-way tensor parallelism.
PADDED_GPT2_VOCABULARY = 51_200

#: A row's column -> the names it goes by in configurations.
_FIELDS: dict[str, tuple[str, ...]] = {
    "layers": ("num_hidden_layers", "n_layer"),
    "hidden": ("hidden_size", "n_embd"),
    "heads": ("num_attention_heads", "n_head"),
    "kv_heads": ("num_key_value_heads",),
    "ffn": ("intermediate_size", "n_inner"),
    "vocab": ("vocab_size",),
}
_CUT = re.compile(r"(.+)-(\d{1,3})layers")


class Known(Record, frozen=True, kw_only=True):
    """A model of `models.toml`."""

    labels: tuple[str, ...]
    family: str
    source: str
    config: dict[str, Any] | None = None
    base: str = ""
    reason: str = ""  # why there is no configuration
    provenance: str = ""


class Unresolved(Exception):
    """A label that no configuration answers to; the message says why."""


@cache
def known() -> dict[str, Known]:
    """The models that only evidence names, by label in lower case."""
    text = files("parity.evidence").joinpath("data", "models.toml").read_text("utf-8")
    table = msgspec.convert(tomllib.loads(text)["model"], tuple[Known, ...])
    return {label.lower(): entry for entry in table for label in entry.labels}


def architecture(row: Row) -> Architecture:
    """The architecture a row ran. Raises `Unresolved`."""
    key = (row.model, *(getattr(row, name) for name in _FIELDS), row.expert_ffn)
    return _architecture(*key, row.moe_experts, row.moe_topk)


def named(label: str) -> Architecture:
    """The architecture that a label alone means. Raises `Unresolved`."""
    return _architecture(label, *([0] * (len(_FIELDS) + 3)))


@cache
def _architecture(
    label: str,
    layers: int,
    hidden: int,
    heads: int,
    kv_heads: int,
    ffn: int,
    vocab: int,
    expert_ffn: int,
    experts: int,
    topk: int,
) -> Architecture:
    own = {
        "layers": layers, "hidden": hidden, "heads": heads, "kv_heads": kv_heads, "ffn": ffn,
        "vocab": vocab,
    }  # fmt: skip
    stated = {name: size for name, size in own.items() if size}
    try:
        config = configuration(label)
        if config is not None:
            return read(_with_sizes(config, stated), label)
        if not {"layers", "hidden", "heads"} <= stated.keys():
            raise Unresolved(_why(label))
        return read(_from_sizes(label, stated, expert_ffn, experts, topk), label)
    except BadFile as error:
        raise Unresolved(str(error)) from None


def configuration(label: str) -> dict[str, Any] | None:
    """The configuration a label names, without a row's own sizes; None where there is none."""
    entry = known().get(label.lower())
    if entry is not None:
        base = bundled_config(entry.base) if entry.base else {}
        return None if entry.config is None else {**(base or {}), **entry.config}
    cut = _CUT.fullmatch(label)
    config = bundled_config(label)
    return _with_sizes(config, {"layers": int(cut[2])}) if config and cut else config


def bundled_config(label: str) -> dict[str, Any] | None:
    """The text part of the bundled configuration that a label names."""
    name = bundled_name(label)
    if not name:
        return None
    path = files("parity.workload").joinpath("data", "models", f"{name}.json")
    whole: dict[str, Any] = json.loads(path.read_text("utf-8"))
    text = whole.get("text_config")
    return {**whole, **text} if isinstance(text, dict) else whole


@cache
def bundled_name(label: str) -> str:
    """The name of the bundled model that a label means, layer-cut or whole; "" where none is."""
    cut = _CUT.fullmatch(label)
    return find.spelled(cut[1] if cut else label)


def _with_sizes(config: dict[str, Any], stated: dict[str, int]) -> dict[str, Any]:
    """The configuration with a row's sizes in place of its own, where it names such a field."""
    changed = {k: v for k, v in config.items() if k not in ("text_config", "vision_config")}
    for name, size in stated.items():
        for field in _FIELDS[name]:
            if field in changed:
                changed[field] = size
    return changed


def _from_sizes(
    label: str, stated: dict[str, int], expert_ffn: int, experts: int, topk: int
) -> dict[str, Any]:
    """A configuration of bare sizes: experts, else what the label or the width gives away."""
    entry = known().get(label.lower())
    hidden, heads = stated["hidden"], stated["heads"]
    plain = stated.get("ffn", 4 * hidden) == 4 * hidden
    family = entry.family if entry else "gpt2" if plain and not experts else "llama"
    whole = {
        "num_hidden_layers": stated["layers"],
        "hidden_size": hidden,
        "num_attention_heads": heads,
        "num_key_value_heads": stated.get("kv_heads", heads),
        "intermediate_size": stated.get("ffn", 4 * hidden),
        "vocab_size": stated.get("vocab", PADDED_GPT2_VOCABULARY),
    }
    if experts:
        inner = expert_ffn or whole["intermediate_size"]
        mixture = {"num_local_experts": experts, "num_experts_per_tok": topk or 1}
        return {**whole, **mixture, "model_type": "mixtral", "intermediate_size": inner}
    if family == "gpt2":
        whole = {**whole, "n_positions": 2048, "tie_word_embeddings": True}
    return {**whole, "model_type": family}


def _why(label: str) -> str:
    entry = known().get(label.lower())
    if entry is not None and entry.reason:
        return f"model {label}: {entry.reason}"
    return (
        f"model {label} is not known, and the row lacks its layers, hidden size or attention heads"
    )
