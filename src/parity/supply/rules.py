"""What export rules say of a chip on a day: caught, not caught, or not to be told.

A screening aid, no legal advice. It says which clause binds and how far each threshold is; it
proposes no change of a chip.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Literal

from parity.catalogue.schema import Chip
from parity.record import Record
from parity.supply.countries import Country, country, home_of
from parity.supply.rules_condition import (
    DATA_CENTRE,
    FOREIGN,
    Margin,
    Point,
    answered,
    holds,
    measured,
)
from parity.supply.rules_data import DECIDING, Clause, Rule, book, in_force, reaches
from parity.supply.thresholds import Quantity, Thresholds, thresholds

Verdict = Literal["caught", "not_caught", "cannot_tell"]


class Trade(Record, frozen=True):
    """From where to where, and where the buyer has its headquarters."""

    origin: Country
    to: Country
    headquarters: Country


class Ruling(Record, frozen=True):
    """What one rule says of one chip; `met` is None where it cannot be told."""

    rule: Rule
    met: bool | None
    clause: str  # the clause that is met, or the nearest; the exception where one holds
    outcome: str
    margins: tuple[Margin, ...]  # to the thresholds of that clause
    unknown: tuple[str, ...]  # quantities it hangs on, or `destination`
    distance: float  # largest shortfall to that clause [fraction of a threshold]


class Period(Record, frozen=True):
    """A verdict that held from a day to a day; None: from the beginning, to this day."""

    since: date | None
    until: date | None
    verdict: Verdict
    rule: str
    clause: str


class Assessment(Record, frozen=True):
    """A chip on a day: the verdict, the ruling that decides, all rulings, and the days before."""

    facts: Thresholds
    verdict: Verdict
    deciding: Ruling | None
    unknown: tuple[str, ...]
    rulings: tuple[Ruling, ...]  # of the rules in force that reach the trade, either side
    history: tuple[Period, ...]


def notice() -> str:
    """What every answer says of itself."""
    return f"Rules known to {book().known_to:%Y-%m}; a screening aid, not legal advice."


def trade(origin: str, to: str, headquarters: str = "") -> Trade:
    """The trade between the countries named. Raises `UnknownName`."""
    return Trade(country(origin), country(to), country(headquarters or to))


def assess(facts: Thresholds, way: Trade, on: date) -> Assessment:
    """What the rules held say of a chip, or of a memory stack, on a day."""
    every = tuple(
        ruling(rule, facts, way)
        for rule in book().rules
        if (rule.item == "stack") == facts.stack
        and reaches(rule, way.origin, way.to, way.headquarters) is not False
    )
    now = tuple(one for one in every if in_force(one.rule, on))
    verdict, deciding = decided(now)
    unknown = tuple(dict.fromkeys(u for o in now if _decides(o) for u in o.unknown))
    return Assessment(
        facts, verdict, deciding, unknown if verdict == "cannot_tell" else (), now,
        history(every),
    )  # fmt: skip


def ruling(rule: Rule, facts: Thresholds, way: Trade) -> Ruling:
    """What one rule says of a chip, whatever the day."""
    if not rule.clauses:
        return Ruling(rule, None, "", rule.outcome, (), (), float("inf"))
    point = {**facts.quantities, **_flags(facts, rule)}
    conditions = tuple(one.when for one in (*rule.clauses, *_unless(rule)))

    def test(at: Point) -> bool:
        excepted = any(holds(one.when, at, facts.id) for one in _unless(rule))
        return not excepted and any(holds(one.when, at, facts.id) for one in rule.clauses)

    met, unknown = answered(test, conditions, point)
    if met and reaches(rule, way.origin, way.to, way.headquarters) is None:
        met, unknown = None, ("destination",)
    clause, name = _named(rule, facts, point, met)
    distance, margins = measured(clause.when, facts)
    return Ruling(rule, met, name, clause.outcome or rule.outcome, margins, unknown, distance)


def decided(rulings: tuple[Ruling, ...]) -> tuple[Verdict, Ruling | None]:
    """The verdict of controls that decide, and the ruling that binds or is nearest."""
    deciding = [one for one in rulings if _decides(one)]
    for met, verdict in ((True, "caught"), (None, "cannot_tell")):
        found = [one for one in deciding if one.met is met]
        if found:
            return verdict, found[0]  # type: ignore[return-value]
    nearest = min(deciding, key=lambda one: one.distance, default=None)
    return "not_caught", nearest


def history(rulings: tuple[Ruling, ...]) -> tuple[Period, ...]:
    """The verdict over time, oldest first; neighbours that say the same are one."""
    turns = {one.rule.since for one in rulings if _decides(one)}
    turns |= {one.rule.until + timedelta(1) for one in rulings if _decides(one) and one.rule.until}
    periods: list[Period] = []
    for since in (None, *sorted(turns)):
        now = tuple(o for o in rulings if since is not None and in_force(o.rule, since))
        verdict, by = decided(now)
        name, clause = (by.rule.id, by.clause) if by and verdict != "not_caught" else ("", "")
        if periods and (periods[-1].verdict, periods[-1].rule, periods[-1].clause) == (
            verdict, name, clause,
        ):  # fmt: skip
            continue
        if periods and since:
            last = periods.pop()
            periods.append(
                Period(last.since, since - timedelta(1), last.verdict, last.rule, last.clause)
            )
        periods.append(Period(since, None, verdict, name, clause))
    return tuple(periods)


def exported(chip: Chip, to: str) -> Trade:
    """The trade of a chip from its vendor's home, or the United States where that is not held.

    Raises `UnknownName` for a country.
    """
    return trade(home_of(chip.vendor) or "US", to)


def column(chip: Chip, to: str, on: date | None = None) -> str:
    """What rules say of a chip that its vendor exports, in a few words, for a column.

    Both sides: the exporter's verdict, and how many measures of the buyer's country apply. Raises
    `UnknownName` for a country.
    """
    way = exported(chip, to)
    found = assess(thresholds(chip), way, on or book().known_to)
    said = "not caught"
    if way.origin == way.to:
        said = "no export"
    elif found.verdict == "caught" and found.deciding:
        said = f"caught, {found.deciding.clause}"
    elif found.verdict == "cannot_tell":
        said = f"cannot tell: {', '.join(found.unknown).replace('_', ' ')}"
    applies = [one.rule.kind for one in found.rulings if one.met]
    if "risk" in applies:
        said += "; US guidance: a risk"
    measures = applies.count("measure")
    if measures:
        said += f"; {measures} measure{'s' if measures > 1 else ''} in {way.to.code}"
    return said


def _decides(one: Ruling) -> bool:
    return one.rule.kind == "control" and one.rule.status in DECIDING


def _unless(rule: Rule) -> tuple[Clause, ...]:
    return (rule.unless,) if rule.unless else ()


def _flags(facts: Thresholds, rule: Rule) -> dict[str, Quantity]:
    home = home_of(facts.vendor)
    return {
        DATA_CENTRE: _flag(facts.data_centre),
        FOREIGN: _flag(None if home is None else home != rule.by),
    }


def _flag(value: bool | None) -> Quantity:
    low, high = (0.0, 1.0) if value is None else (float(value), float(value))
    return Quantity("", None if value is None else low, low, high)


def _named(
    rule: Rule, facts: Thresholds, point: Mapping[str, Quantity], met: bool | None
) -> tuple[Clause, str]:
    """The clause to speak of and its name: one that is met, those that may be, the nearest."""
    found = [(one, _possible(one, facts, point)) for one in rule.clauses]
    certain = [one for one, possible in found if possible]
    maybe = [one for one, possible in found if possible is not False]
    if met is False and maybe:
        clause = rule.unless or maybe[0]
        return clause, clause.name
    if met and certain:
        return certain[0], certain[0].name
    if maybe:
        nearest = min(maybe, key=lambda one: measured(one.when, facts)[0])
        return nearest, " or ".join(one.name for one in maybe)
    nearest = min(rule.clauses, key=lambda one: measured(one.when, facts)[0])
    return nearest, nearest.name


def _possible(clause: Clause, facts: Thresholds, point: Mapping[str, Quantity]) -> bool | None:
    return answered(lambda at: holds(clause.when, at, facts.id), (clause.when,), point).met
