"""A Hugging Face `config.json`, read into an `Architecture`.

The text part is read by the reader of its `model_type` (see `families`); a type that nobody knows
is read as a Llama-like decoder with a finding that says what was assumed. Vision and audio towers
are left out, also with a finding.
"""

from __future__ import annotations

import json
from pathlib import Path

from parity.errors import BadFile, shorten
from parity.record import Finding
from parity.workload.families import Reading, reader
from parity.workload.families.generic import generic
from parity.workload.fields import CONTEXT, LAYERS, Config, found, integer, table, word
from parity.workload.operator import Architecture, Block
from parity.workload.quantization import stored

MOST_BYTES = 4_000_000
MOST_DEPTH = 20

#: Where multimodal configurations keep the language model.
_TEXT_KEYS = ("text_config", "llm_config", "language_config")
#: Keys of the outer configuration that hold for the text part unless it says otherwise.
_OUTER_KEYS = ("dtype", "torch_dtype", "tie_word_embeddings", "quantization_config")
_TOWERS = ("vision_config", "audio_config", "visual", "vision_tower")
_CONTEXT_KEYS = (
    "max_position_embeddings", "n_positions", "model_max_length", "max_sequence_length",
    "seq_length", "n_ctx",
)  # fmt: skip


def read_file(path: Path, name: str = "", source: str = "") -> Architecture:
    """The architecture that the `config.json` at `path`, or in the folder `path`, describes.

    Raises `BadFile` where the file is missing, too large, no JSON, or makes no sense.
    """
    path = path / "config.json" if path.is_dir() else path
    if not path.is_file():
        raise BadFile(
            f"There is no file {shorten(str(path), 120)}; a config.json, or a folder that "
            "holds one, was expected."
        )
    if path.stat().st_size > MOST_BYTES:
        raise BadFile(
            f"{shorten(str(path), 120)} has {path.stat().st_size:,} bytes; "
            f"a config.json of at most {MOST_BYTES:,} was expected."
        )
    where = shorten(str(path), 120)
    return read(parse(path.read_bytes(), where), name or _named_after(path), source or where, where)


def parse(data: bytes, where: str) -> object:
    """The JSON value in `data`. Raises `BadFile`."""
    try:
        value = json.loads(data.decode("utf-8-sig"), parse_constant=_refuse)
    except UnicodeDecodeError:
        raise BadFile(f"{where} is not text in UTF-8; a JSON file was expected.") from None
    except RecursionError:
        raise BadFile(f"{where} is nested too deep; {MOST_DEPTH} levels are allowed.") from None
    except ValueError as error:
        raise BadFile(f"{where} is not JSON ({shorten(str(error))}).") from None
    return value


def read(
    config: object, name: str, source: str = "", where: str = "The configuration"
) -> Architecture:
    """The architecture that a parsed configuration describes. Raises `BadFile`."""
    if not isinstance(config, dict):
        raise BadFile(f"{where} holds {found(config)}; a JSON object was expected.")
    if _too_deep(config, MOST_DEPTH):
        raise BadFile(f"{where} is nested too deep; {MOST_DEPTH} levels are allowed.")
    try:
        return _read(config, name, source)
    except BadFile as error:
        raise BadFile(f"{where}: {error}") from None


def _read(config: Config, name: str, source: str) -> Architecture:
    text, findings = _text_part(config)
    family = word(text, "model_type") or word(config, "model_type")
    known = reader(family, word(config, "model_type"))
    if known is None:
        read, assumed = generic(text, family)
        findings = (*findings, assumed)
    else:
        read = known(text)
    if len(read.pattern) > LAYERS:
        raise BadFile(f"{len(read.pattern):,} layers; at most {LAYERS:,} were expected.")
    storage = stored(text, read)
    return Architecture(
        name=name,
        model_type=family,
        hidden_size=read.hidden_size,
        vocab_size=read.vocab_size,
        num_hidden_layers=len(read.pattern),
        max_position_embeddings=integer(text, *_CONTEXT_KEYS, default=0, least=0, most=CONTEXT),
        embedding=read.embedding,
        blocks=tuple(
            Block(name=kind, count=read.pattern.count(kind), operators=operators)
            for kind, operators in storage.blocks.items()
        ),
        order=_order(read),
        head=read.head,
        num_nextn_predict_layers=_predicted(text),
        num_attention_heads=read.num_attention_heads,
        num_key_value_heads=read.num_key_value_heads,
        num_experts=read.num_experts,
        num_experts_per_tok=read.num_experts_per_tok,
        weight_dtype=storage.weight_dtype,
        kv_dtype=storage.kv_dtype,
        weight_block=storage.weight_block,
        findings=(*findings, *read.findings, *storage.findings),
        source=source,
    )


def _text_part(config: Config) -> tuple[Config, tuple[Finding, ...]]:
    key = next((key for key in _TEXT_KEYS if config.get(key) is not None), None)
    if key is None:
        return config, _tower_finding(config)
    outer = {k: config[k] for k in _OUTER_KEYS if config.get(k) is not None}
    inner = {k: v for k, v in table(config, key).items() if v is not None}
    return {**outer, **inner}, _tower_finding({"vision_config": True, **config})


def _tower_finding(config: Config) -> tuple[Finding, ...]:
    if not any(config.get(key) for key in _TOWERS):
        return ()
    return (
        Finding(
            code="P302",
            severity="note",
            message="Only the language model is counted; vision and audio towers are left out.",
        ),
    )


def _order(read: Reading) -> tuple[int, ...]:
    number = {kind: i for i, kind in enumerate(read.blocks)}
    return tuple(number[kind] for kind in read.pattern)


def _predicted(config: Config) -> int:
    keys = ("num_nextn_predict_layers", "mtp_num_hidden_layers", "num_mtp_modules")
    return integer(config, *keys, default=0, least=0, most=LAYERS)


def _too_deep(value: object, depth: int) -> bool:
    if isinstance(value, dict):
        return depth == 0 or any(_too_deep(v, depth - 1) for v in value.values())
    if isinstance(value, list):
        return depth == 0 or any(_too_deep(v, depth - 1) for v in value)
    return False


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number of JSON")


def _named_after(path: Path) -> str:
    return path.parent.name if path.name == "config.json" else path.stem
