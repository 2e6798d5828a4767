"""What a scenario of supply gives over the years, as an answer."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from msgspec import structs

from parity.catalogue import load
from parity.catalogue.spec import COMMAND_LINE
from parity.outputs.document import Document, Part, Words
from parity.outputs.envelope import Answer
from parity.outputs.fab_supply import ESTIMATES_DISAGREE, FAR_APART
from parity.outputs.fab_tables import cited, line_of, percent
from parity.outputs.figures import marks
from parity.outputs.outlook_fields import Ends, ends, estimate_of, fact_of, fields, words
from parity.outputs.outlook_tables import (
    causes,
    chips_table,
    compared_table,
    cover_fan,
    estimates_table,
    fleet_fan,
    fleet_table,
    known_for,
    made_table,
    products_table,
    ranged,
    stated_tables,
    when,
)
from parity.record import Finding
from parity.search.outlook import Worked
from parity.supply.rules import notice

ASSUMPTION_DECIDES, NOT_SHIPPING, OUTSIDE_RANGE = "P341", "P342", "P343"


def outlook_answer(every: Sequence[Worked], shown_from: int) -> Answer:
    """The first scenario in full, year by year, the others beside it."""
    one = every[0]
    scenario = one.scenario
    figures = scenario.figures()
    mark = marks(
        [fact.source for fact in figures.values()] + [said.source for said in scenario.estimates]
    )
    findings = (*_deciding(one), *_unshipped(one), *_disagreeing(one), *_outside(one))
    document = Document(
        sentence=_sentence(one),
        parts=tuple(_parts(every, shown_from, mark)),
        findings=findings,
        sources=tuple(
            cited(key) if key == COMMAND_LINE else line_of(scenario.source(key)) for key in mark
        ),
        next=_next(every),
    )
    content = {
        "answer": fields(one, shown_from),
        "compared": [fields(other, shown_from) for other in every[1:]],
        "inputs": [{"figure": path, "fact": fact} for path, fact in figures.items()],
        "estimates": [structs.asdict(said) for said in scenario.estimates],
        "findings": findings,
    }
    return Answer(command="outlook", content=content, document=document)


def _sentence(one: Worked) -> str:
    found, scenario = one.outlook, one.scenario
    fleet = ranged(ends((found.fleet / one.unit)[:, -1]))
    return (
        f"In P50 of the scenario {scenario.id} {_met(one)}; at the end of {scenario.last} its "
        f"fleet does the work of {fleet} {scenario.workload.unit}, and is {_behind(one)} the "
        "reference (P10–P90; a scenario, no forecast)."
    )


def _met(one: Worked) -> str:
    found = ends(one.outlook.meets)
    last = one.scenario.last
    if math.isfinite(found[1]):
        return f"domestic supply meets demand in {when(found)}"
    share = float(np.isfinite(one.outlook.meets).mean())
    early = f"; P10: {found[0]:.0f}" if math.isfinite(found[0]) else ""
    return (
        f"domestic supply does not meet demand by {last} (it does in {percent(share)} of the cases"
        f"{early})"
    )


def _behind(one: Worked) -> str:
    found: Ends = ends(one.outlook.behind[:, -1])
    if found[1] == 0:
        return "level with"
    known = known_for(one.scenario, one.scenario.last)
    low, middle, high = (
        f"{value:.1f}" if math.isfinite(value) else f"over {known:.0f}" for value in found
    )
    spread = f" ({low}–{high})" if low != high else ""
    return f"{middle} years{spread} behind"


def _parts(every: Sequence[Worked], shown_from: int, mark: dict[str, str]) -> list[Part]:
    one = every[0]
    last = one.scenario.last
    parts: list[Part] = [Words(_about(one))]
    if len(every) > 1:
        parts.append(compared_table(every))
    parts += [made_table(one, shown_from), products_table(one, shown_from)]
    parts.append(fleet_table(one, shown_from))
    parts += [fleet_fan(every, shown_from), cover_fan(one, shown_from)]
    parts += causes(f"what decides how far demand is met in {last}", one.cover)
    parts += causes(f"what decides the years behind at the end of {last}", one.behind)
    beside = estimates_table(one, mark)
    parts += [beside] if beside else []
    parts += [chips_table(one), *stated_tables(one.scenario, mark)]
    return parts


_POLICY = {
    "ban": "what is smuggled still comes in, nothing else",
    "licence": "what is licensed comes in too",
    "open": "chips and memory are for sale",
}


def _about(one: Worked) -> str:
    scenario, work = one.scenario, one.scenario.workload
    does = (
        f"training {work.model} on {work.chips:,} chips of a kind"
        if work.kind == "train"
        else f"serving {work.model}"
    )
    return (
        f"{scenario.title}. From {scenario.policy_from} on the policy is `{scenario.policy}`: "
        f"{_POLICY[scenario.policy]}. Work is that of {does}, each at its own best layout. The "
        f"reference: {scenario.common.reference}. All figures and their ranges are inputs, listed "
        f"below; change them with --set. {notice()}"
    )


def _deciding(one: Worked) -> list[Finding]:
    """P341 where what most of a range comes from is an assumption."""
    said = []
    for what, sources in (("how far demand is met", one.cover), ("the lag", one.behind)):
        fact = fact_of(one.scenario, sources[0].key) if sources else None
        if fact is not None and fact.provenance == "estimated":
            said.append(f"{what} hangs most on {words(sources[0].key)}")
    if not said:
        return []
    message = f"Assumptions decide, which nobody publishes: {', and '.join(said)}."
    return [Finding(ASSUMPTION_DECIDES, "warning", message, "a figure of yours with --set")]


def _unshipped(one: Worked) -> list[Finding]:
    named = dict.fromkeys(product.chip for product in one.scenario.products.values())
    early = [name for name in named if load.chip(name).status not in ("shipping", "ended")]
    if not early:
        return []
    message = f"{', '.join(early)}: announced, not shipping; their figures are their maker's."
    return [Finding(NOT_SHIPPING, "warning", message)]


def _disagreeing(one: Worked) -> list[Finding]:
    found = []
    said = [each for each in one.scenario.estimates if each.of == "domestic_chips" and each.units]
    for year in sorted({each.year for each in said}):
        units = [each.units for each in said if each.year == year and each.units]
        if len(units) > 1 and max(units) >= FAR_APART * min(units):
            apart = max(units) / min(units)
            found.append(f"of {year} a factor of {apart:.1f}")
    if not found:
        return []
    message = (
        f"Published estimates lie apart, {', '.join(found)}; they are shown side by side and never "
        "averaged."
    )
    return [Finding(ESTIMATES_DISAGREE, "note", message)]


def _outside(one: Worked) -> list[Finding]:
    """P343 for estimates of others beyond P10 and P90 of the scenario."""
    beyond = []
    for said in one.scenario.estimates:
        here = estimate_of(one, said.year) if said.of == "domestic_chips" else None
        if here and said.units is not None and not here[0] <= said.units <= here[2]:
            beyond.append(f"{said.what} ({said.units:,.0f} in {said.year})")
    if not beyond:
        return []
    message = f"Beyond P10 and P90 of this scenario: {'; '.join(beyond)}."
    return [Finding(OUTSIDE_RANGE, "note", message)]


def _next(every: Sequence[Worked]) -> tuple[str, ...]:
    name = every[0].scenario.id
    other = "ban-lifted" if name != "ban-lifted" else "ban-holds"
    if len(every) > 1:
        return (f"parity outlook {every[1].scenario.id}",)
    return (
        f"parity outlook {name} --compare {other}",
        f"parity outlook {name} --set common.demand_growth=1.2..1.6",
    )
