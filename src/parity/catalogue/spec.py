"""Chips as people write them on a command line.

    512xa100-sxm-80,256xh20@memory.bandwidth=4.8TB/s

`[count x] chip [@ field=value, …]`, joined by commas. A comma followed by `field=` goes on with the
overrides of the chip before it; a value `low..high` states a range.
"""

from __future__ import annotations

import re
from typing import TypeVar

import msgspec

from parity.catalogue import load
from parity.catalogue.figures import bounded
from parity.catalogue.names import figure_path
from parity.catalogue.schema import DTYPES, Chip, Support
from parity.errors import BadQuantity, UsageError, shorten
from parity.record import Fact, Record

COMMAND_LINE = "command line"
MOST_CHIPS = 10_000_000

_EXAMPLE = "512xa100-sxm-80,256xh20@memory.bandwidth=4.8TB/s"
_LONGEST = 4000
_MOST_BATCHES = 64
_COUNT = re.compile(r"([+-]?[\d.][\w.+-]*?|[+-]\d*)\s*[xX×*]\s*(\S.*)")
_NUMBER_ONLY = re.compile(r"[+-]?[\d_]*\.?\d+(?:[eE][+-]?\d+)?")
_UNIT = re.compile(r"[+-]?[\d_,]*\.?\d+(?:[eE][+-]?\d+)?\s*(\S*)")
_WHOLE = ("node", "compute.units", "scale_up.domain", "physical.dies_per_package")


R = TypeVar("R", bound=Record)


class Batch(Record, frozen=True):
    """So many of one chip; `count` is None where none was said."""

    count: int | None
    chip: Chip
    text: str  # as typed


def parse_fleet(text: str) -> tuple[Batch, ...]:
    """The batches that `text` names.

    Raises `UnknownName` for a chip or field, `BadQuantity` for a count or value, `UsageError` where
    the grammar is broken.
    """
    if len(text) > _LONGEST:
        raise UsageError(f"The chips take {len(text):,} letters; at most {_LONGEST:,} are read.")
    parts: list[list[str]] = []
    for part in text.split(","):
        if "=" in part and "@" not in part.split("=")[0] and parts:
            parts[-1].append(part)
        else:
            parts.append([part])
    if len(parts) > _MOST_BATCHES:
        raise UsageError(f"{len(parts)} kinds of chips; at most {_MOST_BATCHES} make a fleet.")
    return tuple(_batch(head, more) for head, *more in parts)


def merged(batches: tuple[Batch, ...]) -> tuple[Batch, ...]:
    """The batches with those of one and the same chip joined, where all of them say how many."""
    joined: list[Batch] = []
    for batch in batches:
        same = next((i for i, other in enumerate(joined) if other.chip == batch.chip), None)
        held = joined[same].count if same is not None else None
        if same is None or held is None or batch.count is None:
            joined.append(batch)
        else:
            joined[same] = msgspec.structs.replace(joined[same], count=held + batch.count)
    return tuple(joined)


def override(chip: Chip, field: str, value: str) -> Chip:
    """`chip` with one figure as the user states it: a value, or `low..high` with the middle.

    A peak of a dtype also says that the chip takes the dtype. Raises `UnknownName`, `BadQuantity`.
    """
    path, unit = figure_path(field)
    fact = stated(value, unit, path)
    changed = _replace(chip, path.split("."), fact)
    dtype = path.removeprefix("compute.dense.")
    if dtype in DTYPES:
        native = Support("native", "user", COMMAND_LINE)
        changed = _replace(changed, ["dtypes", dtype], native)
    return changed


def _batch(head: str, more: list[str]) -> Batch:
    named, at, first = head.partition("@")
    count, name = _split_count(named.strip())
    if not name or (at and not first.strip()):
        raise UsageError(
            f"{shorten(head) or 'An empty part'!r} names no chip or no field; "
            f"expected something like `{_EXAMPLE}`."
        )
    chip = load.chip(name)
    for part in [first, *more] if at else more:
        field, equals, value = part.partition("=")
        if not equals or not value.strip():
            raise UsageError(
                f"{shorten(part)!r} states no figure; expected `field=value`, "
                "as in `memory.bandwidth=4.8TB/s`."
            )
        chip = override(chip, field.strip(), value.strip())
    return Batch(count, chip, ",".join([head, *more]).strip())


def _split_count(text: str) -> tuple[int | None, str]:
    match = _COUNT.fullmatch(text)
    if match is None:
        return None, text
    digits = match[1].replace("_", "")
    if not digits.isascii() or not digits.isdecimal() or not 1 <= int(digits[:20]) <= MOST_CHIPS:
        raise BadQuantity(
            f"The count of {shorten(match[2])!r} is {shorten(match[1])!r}; "
            f"a whole number from 1 to {MOST_CHIPS:,} was expected, as in `256xh20`."
        )
    return int(digits), match[2]


def stated(text: str, unit: str, path: str) -> Fact:
    """A figure as typed: a value, or `low..high` with the middle. Raises `BadQuantity`."""
    low_text, dots, high_text = text.partition("..")
    if dots and _NUMBER_ONLY.fullmatch(low_text.strip()):
        suffix = _UNIT.fullmatch(high_text.strip())
        low_text += suffix[1] if suffix else ""
    low = bounded(low_text.strip(), unit, path)
    high = bounded(high_text.strip(), unit, path) if dots else low
    value = (low + high) / 2
    if low > high:
        raise BadQuantity(f"{path} is {shorten(text)!r}; the range runs from low to high.")
    if path in _WHOLE and not value.is_integer():
        raise BadQuantity(f"{path} is {shorten(text)!r}; a whole number was expected.")
    return Fact(value, low, high, unit, "user", COMMAND_LINE)


def _replace(record: R, path: list[str], value: Record) -> R:
    head, *rest = path
    inner = _replace(getattr(record, head), rest, value) if rest else value
    return msgspec.structs.replace(record, **{head: inner})
