"""Chips as data to print: filtered, described, compared, as JSON."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from parity.catalogue import load
from parity.catalogue.figures import bounded
from parity.catalogue.names import WORDS, figure_path
from parity.catalogue.schema import DTYPES, Chip, Source, Support, figure_at, figures_of
from parity.catalogue.spec import COMMAND_LINE
from parity.errors import UnknownName, UsageError, nearest, shorten
from parity.record import Fact

_EXAMPLE = "memory>=80GB vendor=huawei fp8"
_LONGEST = 1000
_TERM = re.compile(
    r"""\s*(?P<field>[A-Za-z_][\w.]*)"""
    r"""(?:\s*(?P<op>>=|<=|!=|==|=|>|<)\s*(?P<value>"[^"]*"|'[^']*'|[^\s"',=<>][^\s"',]*))?,?(?=\s|$)"""
)
_EXACT_WORDS = ("id", "status", "family", "market", "cluster")

_ORDER: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}

Test = Callable[[Chip], bool]


class Row(NamedTuple):
    """One figure of several chips, and each as a multiple of the first chip's."""

    path: str
    unit: str
    facts: tuple[Fact | None, ...]
    ratios: tuple[float | None, ...]


def where(text: str, chips: Iterable[Chip]) -> tuple[Chip, ...]:
    """The chips that meet every term of `text`, such as `memory>=80GB vendor=huawei fp8`.

    A term is `field op value` with = != >= <= > <, or a dtype alone, which asks for native
    support. A chip without the figure does not meet a term. Raises `UnknownName`, `BadQuantity`,
    `UsageError`.
    """
    tests = _tests(text)
    return tuple(chip for chip in chips if all(test(chip) for test in tests))


def is_native(chip: Chip, dtype: str) -> bool:
    """Whether the matrix hardware takes `dtype`, at its own rate or at half of the 16-bit one."""
    support: Support | None = getattr(chip.dtypes, dtype)
    return support is not None and support.support in ("native", "half-rate")


def describe(chip: Chip) -> tuple[tuple[str, Fact], ...]:
    """Every figure of a chip with its path, in the order of the schema; prices last."""
    rows = [(path, figure_at(chip, path)) for path in figures_of(Chip)]
    rows += [(f"prices.{dated.since}", dated.price) for dated in chip.prices]
    return tuple((path, fact) for path, fact in rows if fact is not None)


def compare(chips: Sequence[Chip]) -> tuple[Row, ...]:
    """Every figure that at least one of `chips` has, with ratios to the first chip."""
    rows = []
    for path, unit in (*figures_of(Chip).items(), ("price", "USD")):
        facts = tuple(_figure(chip, path) for chip in chips)
        if any(facts):
            first = None if unit == "year" else facts[0]
            ratios = tuple(f.value / first.value if f and first else None for f in facts)
            rows.append(Row(path, unit, facts, ratios))
    return tuple(rows)


def to_dict(chip: Chip) -> dict[str, Any]:
    """A chip ready for JSON, in SI; a figure is {value, low, high, unit, provenance, source, …}.

    Figures keep the nesting of the file, null where nothing is published. `sources` explains the
    source keys used.
    """
    table: dict[str, Any] = msgspec.to_builtins(chip)
    keys = sorted(set(_source_keys(table)))
    table["sources"] = {key: _source(key) for key in keys}
    return table


def _tests(text: str) -> list[Test]:
    if len(text) > _LONGEST:
        raise UsageError(f"The filter takes {len(text):,} letters; at most {_LONGEST:,} are read.")
    tests, position, end = [], 0, len(text.rstrip())
    while position < end:
        match = _TERM.match(text, position)
        if match is None:
            rest = shorten(text[position:].strip())
            raise UsageError(f"{rest!r} is no term of a filter; expected, say, `{_EXAMPLE}`.")
        tests.append(_test(match["field"], match["op"], match["value"]))
        position = match.end()
    return tests


def _test(field: str, op: str | None, value: str | None) -> Test:
    word = field.lower()
    if op is None or value is None:
        if word not in DTYPES:
            near = nearest(word, DTYPES)
            meant = f" Did you mean {' or '.join(f'`{n}`' for n in near)}?" if near else ""
            raise UsageError(
                f"{shorten(field)!r} alone is no dtype ({', '.join(DTYPES)}).{meant} "
                f"Other terms compare, as in `{_EXAMPLE}`."
            )
        return lambda chip: is_native(chip, word)
    value = value.strip("\"'")
    if word in WORDS:
        return _word_test(word, op, value)
    return _figure_test(word, op, value)


def _word_test(field: str, op: str, value: str) -> Test:
    if op not in ("=", "==", "!="):
        raise UsageError(f"`{field}` is a word: compare it with = or !=, as in `{field}={value}`.")
    wanted, path = value.casefold(), operator.attrgetter(WORDS[field])

    def meets(chip: Chip) -> bool:
        has = str(path(chip)).casefold()
        return wanted == has if field in _EXACT_WORDS else wanted in has

    return (lambda chip: not meets(chip)) if op == "!=" else meets


def _figure_test(field: str, op: str, value: str) -> Test:
    path, unit = ("price", "USD") if field == "price" else figure_path(field, ("price", *WORDS))
    wanted = bounded(value, unit, field)

    def meets(chip: Chip) -> bool:
        fact = _figure(chip, path)
        if fact is None:
            return False
        if op in _ORDER:
            return _ORDER[op](fact.value, wanted)
        return math.isclose(fact.value, wanted, rel_tol=1e-6) != (op == "!=")

    return meets


def _figure(chip: Chip, path: str) -> Fact | None:
    if path == "price":
        return chip.prices[-1].price if chip.prices else None
    return figure_at(chip, path)


def _source_keys(table: object) -> Iterable[str]:
    if isinstance(table, dict):
        if isinstance(table.get("source"), str):
            yield table["source"]
        for value in table.values():
            yield from _source_keys(value)
    elif isinstance(table, (list, tuple)):
        for value in table:
            yield from _source_keys(value)


def _source(key: str) -> dict[str, str]:
    try:
        entry = load.source(key)
    except UnknownName:
        entry = Source(title="typed by the user") if key == COMMAND_LINE else Source(title=key)
    fields: dict[str, str] = msgspec.to_builtins(entry)
    return fields
