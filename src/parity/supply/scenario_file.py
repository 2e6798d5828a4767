"""From the TOML of a scenario to its record, strictly and within bounds.

A file may start from a scenario that is shipped, with `base`, and leave parts of it out, with
`without`. Figures typed on the command line come over it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, get_args, get_type_hints

import msgspec

from parity.catalogue import load
from parity.catalogue.build import parse_toml, read_record
from parity.catalogue.figures import Place, read_figure, read_text, refuse_unknown
from parity.catalogue.files import Text
from parity.catalogue.schema import Source
from parity.catalogue.shelf import Shelf
from parity.catalogue.spec import COMMAND_LINE
from parity.errors import BadFile, UnknownName, UsageError, nearest, shorten
from parity.record import Fact, Record
from parity.supply import scenario as records
from parity.supply import tables
from parity.supply.capacity import TYPED
from parity.supply.recipe import MOST_DIES, MOST_STACKS
from parity.supply.scenario import LAST_YEAR, MOST_YEARS, POLICIES, Scenario, Yearly

R = TypeVar("R", bound=Record)
_SHELF = Shelf("scenario", "parity.supply", "outlooks")
_MOST_PARTS, _MOST_ESTIMATES, _MOST_SET = 32, 50, 64
_FIRST_YEAR = 1990
_SECTIONS: dict[str, type[Record]] = {
    "logic": records.Logic, "dies": records.Dies, "memory": records.Memory,
    "products": records.Product, "imports": records.Line, "reference": records.Line,
    "demand": records.Bought,
}  # fmt: skip
_TOP = (
    "title", "base", "without", "first", "last", "policy", "policy_from", "workload", "common",
    *_SECTIONS, "estimates", "sources",
)  # fmt: skip
#: Factors a year beyond which nothing grows.
_MOST_GROWTH, _LEAST_GROWTH = 10.0, 0.1
_LONGEST_KEY, _LONGEST_WHAT = 64, 200
#: Shares, which no range may lead above one.
_SHARES = ("share", "use_of_stock", "learning", "sold")


def names() -> tuple[str, ...]:
    """Scenarios that are shipped."""
    return _SHELF.names


def scenario(name: str, typed: Sequence[str] = ()) -> Scenario:
    """A shipped scenario by name, or one in a TOML file, with figures typed over it.

    typed: `path=value` or `path=low..high`, as in `common.demand_growth=1.2..1.8`.
    Raises `UnknownName`, `BadFile`, `UsageError`.
    """
    text = _SHELF.text(name)
    table = _whole(text)
    for one in typed[:_MOST_SET]:
        _set(table, one)
    if len(typed) > _MOST_SET:
        raise UsageError(f"--set is given {len(typed)} times; at most {_MOST_SET} are read.")
    return _read(table, text)


def _whole(text: Text) -> dict[str, Any]:
    """The tables of a file over those of its base, which is one that is shipped."""
    own = parse_toml(text)
    base = own.pop("base", None)
    if base is None:
        return own
    if not isinstance(base, str) or base not in names() or base == text.id:
        raise UnknownName("scenario", str(base), names(), f"`base` of {text.shown}: one of them.")
    below = _whole(_SHELF.text(base))
    for path in _paths(own.pop("without", []), text):
        _leave_out(below, path, text)
    return _merged(below, own)


def _paths(value: object, text: Text) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise BadFile(f"{text.shown}: `without` is a list of paths, as in `products.next`.")
    return value[:_MOST_SET]


def _leave_out(table: dict[str, Any], path: str, text: Text) -> None:
    *above, last = path.split(".")
    for key in above:
        table = table.get(key, {}) if isinstance(table, dict) else {}
    if not isinstance(table, dict) or last not in table:
        raise BadFile(f"{text.shown}: `without` names {shorten(path)!r}, which its base has not.")
    del table[last]


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`above` over `below`: tables merge; figures, lists and values replace."""
    out = dict(below)
    for key, value in above.items():
        old = out.get(key)
        tabled = _is_table(old) and _is_table(value)
        out[key] = _merged(old, value) if tabled else value  # type: ignore[arg-type]
    return out


def _is_table(value: object) -> bool:
    return isinstance(value, dict) and "value" not in value


_RANGE = re.compile(r"\s*([^\s.]\S*?)\s*\.\.\s*(\S+)\s*")


def _set(table: dict[str, Any], typed: str) -> None:
    """Write one figure, word or year into the tables. Raises `UsageError`."""
    path, equals, text = typed.partition("=")
    keys = path.strip().split(".")
    if not equals or not path.strip() or not text.strip() or len(keys) > 4 or len(typed) > 200:
        raise UsageError(
            f"--set is {shorten(typed)!r}; `path=value` was expected, as in "
            "`common.demand_growth=1.2..1.8` or `policy=open`."
        )
    *above, last = keys
    inner: Any = table
    for depth, key in enumerate(above):
        if not isinstance(inner.get(key), dict) or "value" in inner[key]:
            near = nearest(key, [one for one in inner if isinstance(inner[one], dict)])
            meant = f" Did you mean {' or '.join(f'`{n}`' for n in near)}?" if near else ""
            at = ".".join(keys[: depth + 1])
            raise UsageError(f"--set names {shorten(at)!r}, which the scenario has not.{meant}")
        fresh = dict(inner[key])
        inner[key], inner = fresh, fresh
    inner[last] = _typed(inner.get(last), text.strip())


def _typed(old: object, text: str) -> object:
    """What was typed in place of `old`: a word or a year as it is, else a figure of the user's."""
    if isinstance(old, str):
        return text
    if isinstance(old, int) and re.fullmatch(r"-?\d{1,15}", text):
        return int(text)
    match = _RANGE.fullmatch(text)
    figure: dict[str, object] = {"provenance": "user", "source": COMMAND_LINE}
    if match is None:
        return {"value": _number(text), **figure}
    low, high = _number(match[1]), _number(match[2])
    if isinstance(low, float) and isinstance(high, float):
        return {"value": (low + high) / 2, "low": low, "high": high, **figure}
    raise UsageError(f"--set: {shorten(text)!r} is no range; plain numbers were expected.")


def _number(text: str) -> float | str:
    scale = {"k": 1e3, "M": 1e6, "%": 0.01}.get(text[-1:], 1.0)
    digits = text[:-1] if scale != 1.0 else text
    return float(digits) * scale if re.fullmatch(r"[+-]?\d{1,15}(\.\d{1,9})?", digits) else text


def _read(table: dict[str, Any], text: Text) -> Scenario:
    at = Place(text.shown)
    refuse_unknown(table, _TOP, at)
    own = table.get("sources", {})
    if not isinstance(own, dict) or not all(isinstance(one, dict) for one in own.values()):
        raise BadFile(f"{at.into('sources')}: tables were expected.")
    known = {**load.catalogue().sources, **tables.sources(), COMMAND_LINE: TYPED, **own}
    fields: dict[str, Any] = {
        key: table[key]
        for key in ("title", "first", "last", "policy", "policy_from", "estimates")
        if key in table
    }
    for name in ("title", "first", "last", "policy", "policy_from", "workload", "common"):
        if name not in table:
            raise BadFile(f"{at}: `{name}` is missing; a scenario states it.")
    if table["policy"] not in POLICIES:
        raise UnknownName(
            "policy", str(table["policy"]), POLICIES, f"One of {', '.join(POLICIES)}."
        )
    read_text(table, "title", at)
    fields["workload"] = read_record(
        _table(table["workload"], at.into("workload")), records.Workload, at.into("workload"),
        "workload", known,
    )  # fmt: skip
    fields["common"] = _part(table["common"], records.Common, at.into("common"), "common", known)
    for name, record in _SECTIONS.items():
        section = _table(table.get(name, {}), at.into(name))
        if len(section) > _MOST_PARTS or any(len(key) > _LONGEST_KEY for key in section):
            raise BadFile(
                f"{at.into(name)}: at most {_MOST_PARTS} names of {_LONGEST_KEY} letters are read."
            )
        fields[name] = {
            key: _part(raw, record, at.into(f"{name}.{key}"), key, known)
            for key, raw in section.items()
        }
    fields["sources"] = {key: _source(raw, at.into(f"sources.{key}")) for key, raw in own.items()}
    try:
        found = msgspec.convert({**fields, "id": text.id}, Scenario, str_keys=True)
    except msgspec.ValidationError as error:
        raise BadFile(f"{at}: {shorten(str(error), 160)}.") from None
    _check(found, at, known)
    return found


def _source(raw: Mapping[str, Any], at: Place) -> Source:
    try:
        return msgspec.convert(dict(raw), Source)
    except msgspec.ValidationError as error:
        raise BadFile(f"{at}: {shorten(str(error), 160)}.") from None


def _table(value: object, at: Place) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadFile(f"{at}: a table was expected.")
    return value


def _part(raw: object, record: type[R], at: Place, key: str, known: Mapping[str, Source]) -> R:
    table = dict(_table(raw, at))
    for name, hint in get_type_hints(record).items():
        if Yearly in get_args(hint) and name in table:
            table[name] = _yearly(table[name], at.into(name), known)
    found = read_record(table, record, at, key, known)
    for name in _SHARES:
        fact = getattr(found, name, None)
        if isinstance(fact, Fact) and fact.high > 1:
            raise BadFile(f"{at.into(name)}: above one; a share was expected.")
    return found


def _yearly(raw: object, at: Place, known: Mapping[str, Source]) -> Yearly:
    table = _table(raw, at)
    years: dict[int, Fact] = {}
    words: dict[str, Any] = {}
    for key, value in table.items():
        if key in ("nothing_before", "nothing_after"):
            if not isinstance(value, bool):
                raise BadFile(f"{at.into(key)}: true or false was expected.")
            words[key] = value
        elif key == "growth":
            words[key] = _factor(read_figure(value, "1", at.into(key), known), at.into(key))
        elif re.fullmatch(r"\d{4}", key) and _FIRST_YEAR <= int(key) <= LAST_YEAR:
            years[int(key)] = read_figure(value, "1", at.into(key), known)
        else:
            raise BadFile(
                f"{at.into(key)}: no year; a year from {_FIRST_YEAR} to {LAST_YEAR}, `growth`, "
                "`nothing_before` or `nothing_after` was expected."
            )
    if not years or len(years) > MOST_YEARS:
        raise BadFile(f"{at}: 1 to {MOST_YEARS} years were expected, as in `2025 = {{ … }}`.")
    return Yearly(years, **words)


def _factor(fact: Fact, at: Place) -> Fact:
    """A growth, which no power of years leads beyond all numbers."""
    if fact.low < _LEAST_GROWTH or fact.high > _MOST_GROWTH:
        raise BadFile(
            f"{at}: {fact.low:g} to {fact.high:g}; a factor a year from {_LEAST_GROWTH:g} to "
            f"{_MOST_GROWTH:g} was expected."
        )
    return fact


def _check(found: Scenario, at: Place, known: Mapping[str, Source]) -> None:
    """Raises where years, names or shares do not go together."""
    if not _FIRST_YEAR <= found.first <= found.last <= LAST_YEAR:
        raise BadFile(
            f"{at}: the years run from {found.first} to {found.last}; from a first to a last one, "
            f"{_FIRST_YEAR} to {LAST_YEAR}, was expected."
        )
    if found.last - found.first >= MOST_YEARS:
        raise BadFile(f"{at}: {found.last - found.first + 1} years; at most {MOST_YEARS} are read.")
    for name in ("logic", "memory", "products", "reference", "demand"):
        if not getattr(found, name):
            raise BadFile(f"{at}: `{name}` is missing; at least one was expected.")
    for field in records.Common.__struct_fields__:
        if getattr(found.common, field) in (None, 0):
            raise BadFile(f"{at.into('common')}: `{field}` is missing; a scenario states it.")
    for name in ("demand_growth", "reference_growth"):
        _factor(getattr(found.common, name), at.into(f"common.{name}"))
    if not found.first <= found.common.learning_year <= found.last:
        raise BadFile(
            f"{at.into('common.learning_year')}: {found.common.learning_year} is none of the years "
            f"from {found.first} to {found.last}."
        )
    if found.common.learning.high >= 1:  # type: ignore[union-attr]
        raise BadFile(f"{at.into('common.learning')}: a share below one was expected.")
    _check_parts(found, at)
    if len(found.estimates) > _MOST_ESTIMATES:
        raise BadFile(f"{at}: at most {_MOST_ESTIMATES} estimates are read.")
    for one in found.estimates:
        if len(one.what) > _LONGEST_WHAT:
            raise BadFile(f"{at.into('estimates')}: texts of {_LONGEST_WHAT} letters are read.")
        if one.source not in known or (one.units is not None and not 0 < one.units < 1e12):
            raise BadFile(
                f"{at.into('estimates')}: {shorten(one.what)!r} needs units above zero and a "
                "source that is known."
            )


def _check_parts(found: Scenario, at: Place) -> None:
    for key, product in found.products.items():
        here = at.into(f"products.{key}")
        for kind, name in (("logic", product.logic), ("memory", product.memory)):
            if name not in getattr(found, kind):
                raise UnknownName(kind, name, getattr(found, kind), f"In {here}.")
        if (product.since is None) == (not product.follows):
            raise BadFile(f"{here}: `since`, or `follows` and `lag`, was expected.")
        if product.follows and product.lag is None:
            raise BadFile(f"{here}: `lag` is missing, the years after {product.follows}.")
        for name, most in (("dies", MOST_DIES), ("stacks", MOST_STACKS)):
            fact = getattr(product, name)
            if fact and not (fact.value.is_integer() and fact.low >= 1 and fact.high <= most):
                raise BadFile(f"{here.into(name)}: a whole number from 1 to {most} was expected.")
        for node in (product.node, product.like, product.follows):
            if node:
                tables.node(node)
    for name in found.chips():
        load.chip(name)
    check_years(found)


def check_years(found: Scenario) -> None:
    """Raises `UsageError` with the first year of which a figure of the scenario says nothing."""
    for section in _SECTIONS:
        for key, part in getattr(found, section).items():
            for name in part.__struct_fields__:
                value = getattr(part, name)
                if not isinstance(value, Yearly):
                    continue
                first = found.first if section != "reference" else min(value.years)
                gone = value.missing(first, found.last)
                if gone is not None:
                    raise UsageError(
                        f"{found.id}: {section}.{key}.{name} says nothing of {gone}; state it, or "
                        "`growth`, `nothing_before` or `nothing_after`."
                    )
