"""Export rules as dated data: when, from where, to where, of what, with what outcome."""

from __future__ import annotations

import tomllib
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import msgspec

from parity.catalogue.schema import Source
from parity.record import Record
from parity.supply.countries import Country
from parity.supply.rules_condition import COMPARISONS, Condition
from parity.supply.tables import memories
from parity.supply.thresholds import UNITS, Thresholds, stack_thresholds
from parity.units import parse

Status = Literal["published_rule", "company_letter", "press", "draft", "suspended"]
#: `control` asks for a licence and decides the verdict; `exception` and `easing` say how one is
#: had; `measure` is the buyer's side; `party` is about who buys and is not evaluated.
Kind = Literal[
    "control", "exception", "easing", "tariff", "presumption", "risk", "measure", "party"
]

#: Texts of this status decide a verdict; the others are shown beside it.
DECIDING = ("published_rule", "company_letter")


class Destinations(Record, frozen=True):
    """Where a rule reaches."""

    world: bool = False
    domestic: bool = False  # also where nothing crosses a border
    countries: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    but_not: tuple[str, ...] = ()  # groups
    headquarters: bool = False  # also buyers with headquarters in Macau or D:5, anywhere


class Clause(Record, frozen=True, kw_only=True):
    """One way to come under a rule."""

    name: str
    when: Condition
    outcome: str = ""  # where it differs from the rule's


class Rule(Record, frozen=True, kw_only=True):
    """One rule, in force from `since` to `until`, both included."""

    id: str
    by: str  # code of the country that made it
    title: str
    kind: Kind
    status: Status
    since: date
    until: date | None = None
    item: Literal["chip", "stack"] = "chip"
    origin: tuple[str, ...] = ()  # exports from these countries alone; empty: from anywhere
    to: Destinations
    outcome: str
    source: str
    note: str = ""
    clauses: tuple[Clause, ...] = ()
    unless: Clause | None = None


class Book(Record, frozen=True):
    """Every rule that is held, and until when rules were looked for."""

    known_to: date
    sources: dict[str, Source]
    rules: tuple[Rule, ...]


@cache
def book() -> Book:
    """The rules held."""
    text = files("parity.supply").joinpath("data/rules.toml").read_text("utf-8")
    table = tomllib.loads(text)
    table["rules"] = [_rule(raw) for raw in table["rules"]]
    return msgspec.convert(table, Book)


def stack(name: str) -> Thresholds | None:
    """The quantities of a generation of memory stacks, `hbm3e`; None where there is none."""
    held = memories().get(name.strip().lower())
    if held is None or held.bandwidth is None or held.area_mm2 is None:
        return None
    return stack_thresholds(held.id, held.bandwidth, held.area_mm2)


def in_force(rule: Rule, on: date) -> bool:
    """Whether the rule held on that day."""
    return rule.since <= on and (rule.until is None or on <= rule.until)


def reaches(rule: Rule, origin: Country, to: Country, headquarters: Country) -> bool | None:
    """Whether the rule looks at this trade; None where a country's group is not held.

    headquarters: of the buyer. Within one country only rules that say so reach.
    """
    where = rule.to
    if origin.code == to.code and not where.domestic:
        return False
    if where.world and to.code == rule.by and not where.domestic:
        return False
    if rule.origin and origin.code not in rule.origin:
        return False
    if where.world:
        return True
    if where.headquarters and ("D5" in headquarters.groups or headquarters.code == "MO"):
        return True
    if to.code in where.countries:
        return True
    if not where.groups or to.code == rule.by:
        return False
    if not to.groups:
        return None
    return bool({*to.groups} & {*where.groups}) and not {*to.groups} & {*where.but_not}


def _rule(raw: dict[str, Any]) -> dict[str, Any]:
    read = {**raw, "clauses": [_clause(one) for one in raw.get("clauses", ())]}
    if "unless" in raw:
        read["unless"] = _clause(raw["unless"])
    return read


def _clause(raw: dict[str, Any]) -> dict[str, Any]:
    own = {key: value for key, value in raw.items() if key in ("name", "outcome")}
    return {**own, "when": _condition({k: v for k, v in raw.items() if k not in own})}


def _condition(raw: dict[str, Any]) -> dict[str, Any]:
    """A condition with its thresholds in SI."""
    read = dict(raw)
    for key in ("all", "any"):
        if key in raw:
            read[key] = [_condition(one) for one in raw[key]]
    for key in COMPARISONS:
        if isinstance(raw.get(key), str):
            read[key] = parse(raw[key], UNITS[raw["quantity"]], raw["quantity"])
    return read
