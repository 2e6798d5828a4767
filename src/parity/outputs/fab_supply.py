"""How many chips a year a scenario gives, as an answer."""

from __future__ import annotations

from typing import Any

import numpy as np
from msgspec import structs

from parity.catalogue.machine import Draw, Number, central
from parity.catalogue.spec import COMMAND_LINE
from parity.outputs.document import Bars, Chart, Document, Fields, Part, Series, Table
from parity.outputs.envelope import Answer
from parity.outputs.fab import YIELDS
from parity.outputs.fab_tables import cited, line_of, percent, thirds, triple, words
from parity.outputs.figures import marks, span
from parity.record import Fact, Finding
from parity.search.uncertainty import Spread, spread
from parity.supply.capacity import MONTHS, Scenario, Units, units_of
from parity.supply.cost import cost_of
from parity.supply.recipe import Recipe, selling
from parity.timing.draw import USUAL_SAMPLES
from parity.units import render, significant

ESTIMATES_DISAGREE = "P332"
#: Estimates further apart than this factor are worth a finding.
FAR_APART = 2.0
_INPUTS = ("wafers_per_month", "share", "die_bank", "hbm_stacks", "packages")
#: What an input is when it runs out first.
_CALLED = {"logic": "dies", "memory": "stacks of memory", "packages": "packages"}


def supply_answer(scenario: Scenario, recipe: Recipe) -> Answer:
    """Units a year, what limits them, and what others say."""
    cost = cost_of(recipe, USUAL_SAMPLES)
    found = units_of(scenario, recipe, cost, USUAL_SAMPLES)

    def units(draw: Draw) -> Number:
        return units_of(scenario, recipe, cost_of(recipe, draw), draw).units

    total = spread(units, USUAL_SAMPLES)
    inputs = [(name, getattr(scenario, name)) for name in _INPUTS if getattr(scenario, name)]
    mark = marks([fact.source for _, fact in inputs] + [one.source for one in scenario.estimates])
    findings = (*recipe.findings, *_disagreeing(scenario))
    parts: list[Part] = [_about(recipe, found, total), _limits(found), *_range_of(total)]
    parts += [_stated(inputs, mark), *_others(scenario, mark), _chart(scenario, recipe)]
    document = Document(
        sentence=_sentence(recipe, found, total),
        parts=tuple(parts),
        findings=findings,
        sources=tuple(
            cited(key) if key == COMMAND_LINE else line_of(scenario.source(key)) for key in mark
        ),
        next=(f"parity fab {recipe.name}",),
    )
    content = {
        "supply": _fields(scenario, recipe, found, total),
        "inputs": [{"figure": name, "fact": fact} for name, fact in inputs],
        "estimates": [structs.asdict(one) for one in scenario.estimates],
        "findings": findings,
    }
    return Answer(command="fab", content=content, document=document)


def _sentence(recipe: Recipe, found: Units, total: Spread) -> str:
    first = max(found.binding, key=lambda name: found.binding[name])
    return (
        f"About {render(total.median, '1')} {recipe.name} a year "
        f"({span(total.low, total.high, total.median, '1') or 'no range'}); "
        f"{_CALLED[first]} run out first in {percent(found.binding[first])} of the cases."
    )


def _about(recipe: Recipe, found: Units, total: Spread) -> Fields:
    die = recipe.dies[0]
    dies = f"{die.count} × {significant(die.area.value)} mm² on {die.node.name}"
    rows = [("a chip", dies)]
    if recipe.memory:
        held = f"{recipe.memory.count} × {recipe.memory.hbm.name} of {recipe.memory.gb:g} GB"
        rows.append(("memory", held))
    per_wafer = float(np.median(found.per_wafer))
    rows.append(("dies sold of a wafer", significant(per_wafer)))
    needed = total.median * die.count / per_wafer / MONTHS
    rows.append(("wafers for that", f"{render(needed, '1')} a month, were all dies new"))
    return Fields(rows=tuple(rows))


def _limits(found: Units) -> Table:
    rows = []
    for name, value in found.alone.items():
        if value is not None:
            low, middle, high = thirds(value)
            rows.append((_CALLED[name], render(low, "1"), render(middle, "1"), render(high, "1"),
                         f"{percent(found.binding[name])}"))  # fmt: skip
    return Table(
        columns=("chips from", "P10", "P50", "P90", "runs out first"),
        rows=tuple(rows), align="lrrrr", title="what each input alone would give",
    )  # fmt: skip


def _range_of(total: Spread) -> list[Bars]:
    rows = tuple((words(one.key), one.share, f"{percent(one.share)}") for one in total.sources)
    return [Bars(rows=rows, title="where the range comes from")] if rows else []


def _stated(inputs: list[tuple[str, Fact]], mark: dict[str, str]) -> Table:
    rows = tuple(
        (name.replace("_", " "), render(fact.value, fact.unit),
         span(fact.low, fact.high, fact.value, fact.unit), fact.provenance, mark[fact.source],
         fact.note)
        for name, fact in inputs
    )  # fmt: skip
    return Table(
        columns=("input", "value", "range", "known", "source", "note"),
        rows=rows, align="lrllll", title="what the scenario states",
    )  # fmt: skip


def _others(scenario: Scenario, mark: dict[str, str]) -> list[Table]:
    rows = tuple((one.what, render(one.units, "1"), mark[one.source]) for one in scenario.estimates)
    if not rows:
        return []
    title = "what others say, each on its own"
    return [Table(columns=("of what", "units", "source"), rows=rows, align="lrl", title=title)]


def _disagreeing(scenario: Scenario) -> tuple[Finding, ...]:
    said = [one.units for one in scenario.estimates]
    if len(said) < 2 or max(said) < FAR_APART * min(said):
        return ()
    return (
        Finding(
            ESTIMATES_DISAGREE, "note",
            f"Published estimates lie a factor of {max(said) / min(said):.1f} apart; they are "
            "shown side by side and never averaged.",
        ),
    )  # fmt: skip


def _chart(scenario: Scenario, recipe: Recipe) -> Chart:
    """Chips over the yield of the dies: where one limit gives way to the other."""
    curves: dict[str, list[tuple[float, float]]] = {}
    for share in YIELDS:
        one = selling(recipe, share)
        found = units_of(scenario, one, cost_of(one, central), central)
        for name, value in found.alone.items():
            if value is not None:
                point = (100 * share, float(np.ravel(value)[0]) / 1e6)
                curves.setdefault(_CALLED[name], []).append(point)
    return Chart(
        title=f"{recipe.name} a year over the yield of its dies",
        x="dies that can be sold [%]",
        y="million chips that each input alone would give",
        series=tuple(Series(name, tuple(points), joined=True) for name, points in curves.items()),
    )


def _fields(scenario: Scenario, recipe: Recipe, found: Units, total: Spread) -> dict[str, Any]:
    return {
        "scenario": scenario.id,
        "title": scenario.title,
        "chip": recipe.name,
        "units": {"low": total.low, "p50": total.median, "high": total.high},
        "limits": [
            {"input": name, **triple(value), "runs_out_first": found.binding[name]}
            for name, value in found.alone.items()
            if value is not None
        ],
        "dies_sold_per_wafer": triple(found.per_wafer),
        "wafers": triple(found.wafers),
        "uncertainty": [
            {"source": one.key, "share": one.share, "words": words(one.key)}
            for one in total.sources
        ],
    }
