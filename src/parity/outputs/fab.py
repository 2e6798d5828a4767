"""What a chip costs to make, as an answer."""

from __future__ import annotations

import numpy as np
from msgspec import structs

from parity.catalogue.machine import Draw, Number
from parity.outputs.document import Chart, Document, Part, Series
from parity.outputs.envelope import Answer
from parity.outputs.fab_tables import (
    FabCase,
    Made,
    about,
    causes,
    cited,
    compared,
    dies_table,
    estimates_table,
    inputs_of,
    inputs_table,
    percent,
    share,
    thirds,
    triple,
    waterfall,
    words,
    yields_by_model,
)
from parity.outputs.figures import marks, span
from parity.record import Finding
from parity.search.uncertainty import spread
from parity.supply import validation
from parity.supply.cost import PARTS, DieCost, cost_of
from parity.supply.recipe import Recipe, interposer_fields, selling
from parity.supply.wafer import closed_dies, edge_dies, fields_needed
from parity.timing.draw import USUAL_SAMPLES
from parity.units import render, significant

COUNTED_TWICE, FEWER_TRANSISTORS = "P222", "P331"
#: Defects of nodes with this source are worked out from yields that somebody reported.
INFERRED = "laotiantimes-yield"
#: Yields over which the chart runs, and cases that it shows.
YIELDS = tuple(float(share) for share in np.linspace(0.1, 1.0, 19))
MOST_CURVES = 4
#: A share of the variance that is most of it.
HALF = 0.5
#: Densities that differ by less are the same.
SAME_DENSITY = 0.02


def fab_answer(cases: tuple[FabCase, ...]) -> Answer:
    """The cost of the first case in full, the others beside it."""
    made = tuple(_made(case) for case in cases)
    first = made[0]
    findings = tuple(dict.fromkeys(found for one in made for found in _findings(one.case)))
    inputs = inputs_of(first.recipe)
    mark = marks(fact.source for _, fact in inputs)
    beside = estimates_table(first) if len(made) == 1 else None
    parts: list[Part] = [about(first)]
    if len(made) > 1:
        parts.append(compared(made))
    parts += [waterfall(first), *causes(first.total), dies_table(first), inputs_table(inputs, mark)]
    if beside is not None:
        parts.append(beside)
    parts.append(_chart(made))
    content = {
        "answer": _fields(first),
        "cases": [_fields(one) for one in made[1:]],
        "inputs": [{"figure": name, "fact": fact} for name, fact in inputs],
        "estimates": _estimates(first.recipe.name),
        "findings": findings,
    }
    document = Document(
        sentence=_sentence(first),
        parts=tuple(parts),
        findings=findings,
        sources=tuple(cited(key) for key in mark),
        next=_next(first.recipe),
    )
    return Answer(command="fab", content=content, document=document)


def _made(case: FabCase) -> Made:
    cost = cost_of(case.recipe, USUAL_SAMPLES)

    def total(draw: Draw) -> Number:
        return cost_of(case.recipe, draw).total_usd

    return Made(case, cost, spread(total, USUAL_SAMPLES))


def _sentence(made: Made) -> str:
    total = made.total
    shares = {name: share(made, value) for name, value in made.cost.parts.items()}
    largest = max(shares, key=lambda name: shares[name])
    recipe = made.recipe
    nodes = " and ".join(dict.fromkeys(die.node.id for die in recipe.dies))
    name = "This chip" if recipe.name == "by hand" else recipe.name
    end = ""
    if total.sources:
        part = "most" if total.sources[0].share >= HALF else "the largest part"
        end = f"; {part} of the range is {words(total.sources[0].key)}"
    return (
        f"{name} on {nodes} costs about {render(total.median, 'USD')} to make "
        f"({span(total.low, total.high, total.median, 'USD') or 'no range'}); "
        f"{largest} is {percent(shares[largest])} of it{end}."
    )


def _estimates(name: str) -> list[dict[str, object]]:
    return [structs.asdict(one) for one in validation.published() if one.chip == name]


def _chart(made: tuple[Made, ...]) -> Chart:
    """The cost over the yield of the dies: the median by node, or the range of one."""
    by_node = {one.recipe.dies[0].node.id: one.recipe for one in made}
    curves = {node: _over_yields(one) for node, one in list(by_node.items())[:MOST_CURVES]}
    if len(curves) == 1:
        (curve,) = curves.values()
        lines = {"P90": 2, "P50": 1, "P10": 0}
        series = [_line(name, curve, at) for name, at in lines.items()]
    else:
        series = [_line(node, curve, 1) for node, curve in curves.items()]
    return Chart(
        title="Cost of a chip over the yield of its dies",
        x="dies that can be sold [%]",
        y="USD a chip" if len(curves) == 1 else "USD a chip, P50",
        series=tuple(series),
    )


def _over_yields(recipe: Recipe) -> list[tuple[float, float, float]]:
    """P10, P50 and P90 of the cost at each of `YIELDS`."""
    return [thirds(cost_of(selling(recipe, sold), USUAL_SAMPLES).total_usd) for sold in YIELDS]


def _line(name: str, curve: list[tuple[float, float, float]], at: int) -> Series:
    points = zip(YIELDS, curve, strict=True)
    return Series(name, tuple((100 * sold, ends[at]) for sold, ends in points), joined=True)


def _findings(case: FabCase) -> tuple[Finding, ...]:
    found = list(case.recipe.findings)
    for die in case.recipe.dies:
        inferred = die.node.defects_per_cm2
        modelled = die.harvested and case.recipe.stated_yield is None
        if modelled and inferred is not None and inferred.source == INFERRED:
            found.append(Finding(
                COUNTED_TWICE, "warning",
                f"The defects of {die.node.id} are inferred from reported yields, which may "
                "already count dies sold with fewer cores; harvesting may be counted twice.",
                "`--harvest none`, or `--yield` with the share that is sold",
            ))  # fmt: skip
    if case.home is not None and case.keep == "area":
        found += _fewer(case.home, case.recipe)
    return tuple(found)


def _fewer(home: Recipe, moved: Recipe) -> list[Finding]:
    """The same area on another node holds another number of transistors."""
    found = []
    for was, now in zip(home.dies, moved.dies, strict=True):
        ours, theirs = was.node.density_mtr_per_mm2, now.node.density_mtr_per_mm2
        if ours is None or theirs is None:
            continue
        if abs(theirs.value / ours.value - 1.0) < SAME_DENSITY:
            continue
        area = was.area.value * was.count * ours.value / theirs.value
        dies = int(fields_needed(area / was.count)) * was.count
        found.append(Finding(
            FEWER_TRANSISTORS, "note",
            f"The same area on {now.node.id} holds {theirs.value / ours.value:.2f} times the "
            f"transistors of {was.node.id} ({significant(theirs.value)} against "
            f"{significant(ours.value)} M a mm²); the same design takes {significant(area, 4)} mm² "
            f"in {dies} die{'s' if dies > 1 else ''}.",
            "`--keep transistors` prices that",
        ))  # fmt: skip
    return found


def _fields(made: Made) -> dict[str, object]:
    recipe, cost = made.recipe, made.cost
    return {
        "name": recipe.name,
        "total_usd": {
            "low": made.total.low, "p50": made.total.median, "high": made.total.high,
        },
        "parts": [
            {"part": name, **triple(cost.parts[name]), "share": share(made, cost.parts[name])}
            for name in PARTS
            if name in cost.parts
        ],
        "uncertainty": [
            {"source": one.key, "share": one.share, "words": words(one.key)}
            for one in made.total.sources
        ],
        "dies": [_die_fields(die) for die in cost.dies],
        "memory": None
        if recipe.memory is None
        else {
            "kind": recipe.memory.hbm.id, "stacks": recipe.memory.count,
            "bytes_per_stack": recipe.memory.gb * 1e9,
        },
        "package": {
            "kind": recipe.package.id,
            "interposer_mm2": triple(cost.packaging.interposer_mm2),
            "reticles": interposer_fields(
                recipe.dies, recipe.memory, recipe.sites, recipe.package
            ),
            "per_wafer": triple(cost.packaging.per_wafer),
            "assembly_yield": triple(cost.packaging.assembly_yield),
        },
        "yield_model": None if recipe.stated_yield else recipe.model,
        "units": recipe.units.value if recipe.units else None,
        "carbon_kg": None if cost.carbon_kg is None else triple(cost.carbon_kg),
    }  # fmt: skip


def _die_fields(die: DieCost) -> dict[str, object]:
    one = die.recipe
    density = one.node.density_mtr_per_mm2
    return {
        "name": one.name,
        "count": one.count,
        "node": one.node.id,
        "euv": one.node.euv,
        "area_mm2": one.area.value,
        "cores_made": one.cores or None,
        "cores_needed": one.needed or None,
        "per_wafer": triple(die.per_wafer),
        "per_wafer_closed": float(closed_dies(one.area.value)),
        "per_wafer_edge": float(edge_dies(one.area.value)),
        "wafer_usd": triple(die.wafer_usd),
        "whole_yield": triple(die.whole_yield),
        "sold_yield": triple(die.sold_yield),
        "good_per_wafer": triple(die.per_wafer * die.sold_yield),
        "good_usd": triple(die.good_usd),
        "yields": yields_by_model(one),
        "transistors_at_logic_density": density.value * 1e6 * one.area.value if density else None,
    }


def _next(recipe: Recipe) -> tuple[str, ...]:
    name = recipe.name if recipe.name != "by hand" else "h20"
    return (f"parity fab {name} --volume 100k", f"parity fab {name} --node tsmc-5,smic-n2")
