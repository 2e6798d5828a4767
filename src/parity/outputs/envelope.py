"""The JSON form of every answer and every error, and the last answer kept for what follows on.

`{"schema_version": 1, "command": "match", …}`: the schema version rises when a name changes its
meaning or goes; new names may come without that. No NaN: a number that is none is `null`.
"""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import msgspec

from parity import cache
from parity.errors import ParityError
from parity.outputs import html, text
from parity.outputs.document import Document
from parity.record import Finding, Record

SCHEMA_VERSION = 1
#: Exit codes of answers that are none, or not what was asked for.
NOT_FEASIBLE, TARGET_MISSED = 3, 4


class Answer(Record, frozen=True, kw_only=True):
    """What a question gets: the same content as data, as text and as HTML."""

    command: str  # "match", "plan train"
    content: dict[str, Any]  # what JSON holds besides the version and the command
    document: Document
    exit_code: int = 0
    keep: bool = False  # whether `why`, `cost` and `export` may follow on from it
    question: dict[str, Any] = msgspec.field(default_factory=dict)  # words that are not the usual

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries, lists, text and numbers, in SI units; what `--json` prints."""
        asked = {"question": plain(self.question)} if self.question else {}
        content = {name: plain(value) for name, value in self.content.items()}
        return {"schema_version": SCHEMA_VERSION, "command": self.command, **asked, **content}

    def explain(self, width: int = 100) -> str:
        """The answer in words and tables, as the command line prints it."""
        return text.render(self.document, text.Page(width=width))

    def _repr_html_(self) -> str:
        """The answer as a card, for notebooks."""
        return html.card(self.document)


def plain(value: object) -> object:
    """`value` as JSON has it: records and arrays opened, numbers that are none made `None`."""
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, msgspec.Struct):
        return {name: plain(getattr(value, name)) for name in value.__struct_fields__}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if hasattr(value, "tolist"):  # NumPy, without importing it
        return plain(value.tolist())
    raise TypeError(f"{type(value).__name__} has no JSON form")


def to_json(content: dict[str, Any]) -> str:
    """`content` as indented JSON text with a line end."""
    return json.dumps(plain(content), ensure_ascii=False, allow_nan=False, indent=2) + "\n"


def error_content(error: ParityError) -> dict[str, Any]:
    """The JSON form of an error, with the findings that explain it."""
    found: tuple[Finding, ...] = getattr(error, "findings", ())
    return {
        "schema_version": SCHEMA_VERSION,
        "error": {
            "kind": type(error).__name__,
            "message": str(error),
            "exit_code": error.exit_code,
        },
        "findings": found,
    }


def keep(answer: Answer) -> Path | None:
    """Keep the answer in `last.json`, for what follows on from it; the file, if it was written."""
    return cache.write("last.json", to_json(answer.to_dict()).encode("utf-8", "replace"))
