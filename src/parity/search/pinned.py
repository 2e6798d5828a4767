"""`--fix tp=8,schedule=1f1b`: axes of the search held at a value."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields

from parity.errors import UnknownName, UsageError, shorten
from parity.layout.layout import WORDS, Layout

#: What people also call an axis.
ALIASES = {
    "vp": "interleave", "vpp": "interleave", "mbs": "microbatch", "sp": "sequence_parallel",
    "cp_comm_type": "cp_method", "fsdp": "zero",
}  # fmt: skip
AXES = tuple(f.name for f in fields(Layout))
YES_OR_NO = {"yes": 1, "true": 1, "1": 1, "no": 0, "false": 0, "0": 0}
LARGEST_DEGREE = 1_048_576
LARGEST_ZERO = 3


def pinned(texts: Iterable[str]) -> dict[str, int]:
    """The axes and their values, words as indices.

    Raises `UnknownName` for an axis or a word that is not known, `UsageError` for other values.
    """
    found: dict[str, int] = {}
    for part in (part for text in texts for part in text.split(",") if part.strip()):
        name, sign, value = part.partition("=")
        axis = name.strip().lower().replace("-", "_")
        axis = ALIASES.get(axis, axis)
        if axis not in AXES:
            raise UnknownName("axis", name.strip(), AXES, f"Axes: {', '.join(AXES)}.")
        if not sign or not value.strip():
            raise UsageError(f"`--fix {shorten(part)}` gives no value; `{axis}=…` was expected.")
        number = _value(axis, value.strip().lower())
        if found.setdefault(axis, number) != number:
            raise UsageError(f"--fix gives {axis} two values; one was expected.")
    return found


def _value(axis: str, value: str) -> int:
    if axis in WORDS:
        if value not in WORDS[axis]:
            known = ", ".join(WORDS[axis])
            raise UnknownName(f"value of {axis}", value, WORDS[axis], f"Known: {known}.")
        return WORDS[axis].index(value)
    if axis == "sequence_parallel":
        if value not in YES_OR_NO:
            raise UsageError(f"`--fix {axis}={shorten(value)}`: yes or no was expected.")
        return YES_OR_NO[value]
    least, most = (0, LARGEST_ZERO) if axis == "zero" else (1, LARGEST_DEGREE)
    digits = value.isascii() and value.isdecimal() and len(value) <= len(str(most))
    if not digits or not least <= int(value) <= most:
        expected = f"a whole number from {least} to {most:,} was expected"
        raise UsageError(f"`--fix {axis}={shorten(value)}`: {expected}.")
    return int(value)
