"""The tables of a scenario of supply."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from parity.catalogue.machine import Number
from parity.outputs.document import Band, Bars, Fan, Table
from parity.outputs.fab_tables import percent
from parity.outputs.figures import span
from parity.outputs.outlook_fields import Ends, by_year, ends, estimate_of, flop_of, words
from parity.record import Fact
from parity.search.outlook import Worked
from parity.search.uncertainty import Source
from parity.supply.scenario import Scenario
from parity.units import render

#: What an input is when it runs out first.
CALLED = {"logic": "dies", "memory": "memory", "packages": "packages"}


def ranged(found: Ends, unit: str = "1", digits: int = 2) -> str:
    """`1.2 M (0.8–2.1)`."""
    low, middle, high = found
    spread = span(low, high, middle, unit, digits)
    return f"{render(middle, unit, digits)} ({spread})" if spread else render(middle, unit, digits)


def when(found: Ends) -> str:
    """P50 of a year with P10 and P90: `2029 (2027–never)`; `never` where it is not reached."""
    low, middle, high = (f"{year:.0f}" if math.isfinite(year) else "never" for year in found)
    return middle if low == high else f"{middle} ({low}–{high})"


def lag(found: Ends, known: float) -> str:
    """Years behind, `more than 3` where the reference is not known so far back."""
    texts = [f"{one:.1f}" if math.isfinite(one) else f">{known:.0f}" for one in found]
    low, middle, high = texts
    return middle if low == high else f"{middle} ({low}–{high})"


def made_table(one: Worked, shown_from: int) -> Table:
    """What each year makes, and what is asked for in it."""
    found, unit = one.outlook, one.unit
    count = found.years.size
    chips, runs = by_year(found.units, count), found.runs_out()
    made, asked, cover = (
        by_year(np.atleast_2d(value), count)
        for value in (found.domestic / unit, found.demand / unit, found.coverage)
    )
    rows = []
    for i, year in enumerate(found.years):
        if year >= shown_from:
            first = max(runs, key=lambda name: float(runs[name][i]))
            share = float(runs[first][i])
            short = f"{CALLED[first]} {percent(share)}" if share else ""
            met = f"{percent(cover[i][1])} ({_span(cover[i])})"
            rows.append(
                (f"{year}", ranged(chips[i]), short, ranged(made[i]), ranged(asked[i]), met)
            )
    name = one.scenario.workload.unit
    return Table(
        columns=("year", "domestic chips", "runs out first", "their work", "asked for", "met"),
        rows=tuple(rows), align="lrlrrr",
        title=f"made and asked for in the year; work in {name}",
    )  # fmt: skip


def _span(found: Ends) -> str:
    low, _, high = (f"{100 * value:.0f}" for value in found)
    return low if low == high else f"{low}–{high}"


def fleet_table(one: Worked, shown_from: int) -> Table:
    """What comes in in each year, what is in use at its end, and the reference beside it."""
    found, unit = one.outlook, one.unit
    count = found.years.size
    foreign, fleet, other, chips, behind = (
        by_year(np.atleast_2d(value), count)
        for value in (found.foreign / unit, found.fleet / unit, found.reference / unit,
                      found.fleet_chips, found.behind)
    )  # fmt: skip
    rows = tuple(
        (f"{year}", ranged(foreign[i]), ranged(chips[i]), ranged(fleet[i]), ranged(other[i]),
         lag(behind[i], known_for(one.scenario, int(year))))
        for i, year in enumerate(found.years)
        if year >= shown_from
    )  # fmt: skip
    name = one.scenario.workload.unit
    return Table(
        columns=("end of", "imported work", "chips in use", "their work", "reference",
                 "years behind"),
        rows=rows, align="lrrrrr",
        title=f"imported in the year, and in use at its end; work in {name}",
    )  # fmt: skip


def products_table(one: Worked, shown_from: int) -> Table:
    """Each product: when most of it is made, and the yield of its dies then and at the end."""
    found = one.outlook
    rows = []
    for key, made in found.made.items():
        units = np.median(np.broadcast_to(made.units, (len(made.units), found.years.size)), axis=0)
        first = next((int(year) for year, each in zip(found.years, units, strict=True) if each), 0)
        if not first or not units[found.years >= shown_from].any():
            continue
        peak = int(np.argmax(units))
        share = by_year(made.sold_yield, found.years.size)[peak]
        rows.append((key, one.scenario.products[key].chip, f"{first}", f"{found.years[peak]}",
                     ranged(by_year(made.units, found.years.size)[peak]),
                     f"{percent(share[1])} ({_span(share)})"))  # fmt: skip
    return Table(
        columns=("product", "chip", "from", "most in", "chips in that year", "dies sold then"),
        rows=tuple(rows), align="lllrrr", title="domestic products, in P50",
    )  # fmt: skip


def known_for(scenario: Scenario, year: int) -> float:
    """For how many years before this one the reference is known."""
    stated = [y for line in scenario.reference.values() if line.units for y in line.units.years]
    return float(year - min(stated))


def compared_table(every: Sequence[Worked]) -> Table:
    """One row a scenario."""
    rows = []
    for one in every:
        found, last = one.outlook, one.scenario.last
        rows.append(
            (one.scenario.id, when(ends(found.meets)),
             percent(float(np.isfinite(found.meets).mean())), ranged(ends(found.units[:, -1])),
             ranged(ends((found.fleet / one.unit)[:, -1])),
             lag(ends(found.behind[:, -1]), known_for(one.scenario, last)))
        )  # fmt: skip
    last, unit = every[0].scenario.last, every[0].scenario.workload.unit
    return Table(
        columns=("scenario", "demand met in", f"by {last}", "domestic chips", "work in use",
                 "years behind"),
        rows=tuple(rows), align="llrrrr",
        title=f"scenarios side by side, in {last} and at its end; work in {unit}",
    )  # fmt: skip


def fleet_fan(every: Sequence[Worked], shown_from: int) -> Fan:
    """The fleets of all scenarios, and the reference of the first."""
    first = every[0]
    bands = [_band(one.scenario.id, one, one.outlook.fleet / one.unit, shown_from) for one in every]
    other = _band("reference", first, first.outlook.reference / first.unit, shown_from)
    unit = f"work, in {first.scenario.workload.unit}"
    return Fan(title="Compute in use at the end of the year", y=unit, bands=(*bands, other))


def cover_fan(one: Worked, shown_from: int) -> Fan:
    """What is made in each year, and what is asked for."""
    made = _band("domestic", one, one.outlook.domestic / one.unit, shown_from)
    asked = _band("asked for", one, one.outlook.demand / one.unit, shown_from)
    unit = f"work, in {one.scenario.workload.unit}"
    return Fan(title=f"{one.scenario.id}: made in the year", y=unit, bands=(made, asked))


def _band(name: str, one: Worked, samples: Number, shown_from: int) -> Band:
    years = one.outlook.years
    spans = by_year(np.atleast_2d(samples), years.size)
    points = tuple(
        (float(year), *found)
        for year, found in zip(years, spans, strict=True)
        if year >= shown_from and found[0] > 0
    )
    return Band(name, points)


def causes(title: str, sources: tuple[Source, ...]) -> list[Bars]:
    """What the range of an end comes from."""
    rows = tuple((words(one.key), one.share, percent(one.share)) for one in sources)
    return [Bars(rows=rows, title=title)] if rows else []


def chips_table(one: Worked) -> Table:
    """How fast each chip is on the work."""
    trains = one.flop_per_token is not None
    rows = tuple(
        (name, planned.dtype, ranged(ends(one.speeds[name]), digits=3),
         *((ranged(ends(flop_of(one, name)), "FLOP/s", digits=3),) if trains else ()),
         ranged(ends(one.speeds[name] / one.unit), digits=2))
        for name, planned in one.planned.items()
    )  # fmt: skip
    unit = one.scenario.workload.unit
    return Table(
        columns=("chip", "dtype", "tokens/s", *(("of the model",) if trains else ()), unit),
        rows=rows, align="llrrr",
        title="how fast one chip of each kind is on this work, at its own best layout",
    )  # fmt: skip


def estimates_table(one: Worked, mark: dict[str, str]) -> Table | None:
    """What others say, beside the range of the scenario."""
    rows = []
    for said in one.scenario.estimates:
        if said.of == "domestic_chips" and said.units is not None:
            here = estimate_of(one, said.year)
            shown = ranged(here) if here else ""
            rows.append((f"{said.year}", said.what, render(said.units, "1"), shown,
                         mark[said.source]))  # fmt: skip
        elif said.of == "meets_demand":
            rows.append((f"{said.year}", said.what, "", when(ends(one.outlook.meets)),
                         mark[said.source]))  # fmt: skip
    if not rows:
        return None
    return Table(
        columns=("year", "what others say, each on its own", "chips", "here", "source"),
        rows=tuple(rows), align="llrrl", title="beside the estimates of others",
    )  # fmt: skip


def stated_tables(scenario: Scenario, mark: dict[str, str]) -> tuple[Table, Table]:
    """(what the scenario assumes, what it takes from others): a row a figure, as --set names it."""
    rows: dict[bool, list[tuple[str, ...]]] = {True: [], False: []}
    for path, fact in scenario.figures().items():
        rows[fact.provenance in ("estimated", "user")].append(
            (path, _size(fact.value, fact.unit), _reach(fact), fact.provenance, mark[fact.source],
             fact.note)
        )  # fmt: skip
    columns = ("figure", "value", "range", "known", "source", "note")
    return (
        Table(columns, tuple(rows[True]), "lrllll", "what it assumes"),
        Table(columns, tuple(rows[False]), "lrllll", "what it takes from others"),
    )


def _size(value: float, unit: str) -> str:
    if unit == "year":
        return f"{value:.1f}"
    return percent(value) if unit == "fraction" else render(value, unit)


def _reach(fact: Fact) -> str:
    if fact.low == fact.high:
        return ""
    if fact.unit == "year":
        return f"{fact.low:.1f}–{fact.high:.1f}"
    scale = 100.0 if fact.unit == "fraction" else 1.0
    return span(scale * fact.low, scale * fact.high, scale * fact.value, fact.unit)
