"""What each finding means and what helps, at length, as the docs say it."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from importlib.resources import files

import msgspec

from parity.errors import UnknownName
from parity.record import Record

#: What a code of a finding looks like.
CODE = re.compile(r"[pP]\d{3}")


class Explanation(Record, frozen=True):
    """One code; texts are Markdown with links relative to docs/reference."""

    title: str
    text: str
    helps: str = ""


@cache
def explanations() -> dict[str, Explanation]:
    """Every code there is."""
    text = files("parity.search").joinpath("data", "findings.toml").read_text("utf-8")
    return msgspec.convert(tomllib.loads(text), dict[str, Explanation])


def explanation(code: str) -> tuple[str, Explanation]:
    """The code as it is written, and what it means. Raises `UnknownName`."""
    known, name = explanations(), code.strip().upper()
    if name not in known:
        hint = f"Codes: {', '.join(known)}."
        raise UnknownName("finding", code, known, hint)
    return name, known[name]
