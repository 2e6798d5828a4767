"""The tables of what a chip costs to make."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from parity.catalogue.machine import Number, central
from parity.catalogue.schema import Source
from parity.catalogue.spec import COMMAND_LINE
from parity.outputs.document import Bars, Fields, Table
from parity.outputs.figures import ranged, span
from parity.record import Fact
from parity.search.uncertainty import Spread
from parity.supply import tables, validation
from parity.supply.capacity import TYPED
from parity.supply.cost import PARTS, Cost
from parity.supply.package import MM2_PER_CM2
from parity.supply.recipe import DieRecipe, Recipe, interposer_fields
from parity.supply.wafer import closed_dies, edge_dies
from parity.supply.yields import MODELS, die_yield
from parity.units import render, significant

_P10, _P50, _P90 = 0.1, 0.5, 0.9
#: What a key of a draw is, in words: the first pattern that fits.
_WORDS = (
    (r"node\.(.+)\.wafer_usd", "the price of {} wafers"),
    (r"node\.(.+)\.defects_per_cm2", "the defects of {}"),
    (r"node\.(.+)\.mask_set_usd", "the masks of {}"),
    (r"memory\.(.+)\.usd_per_gb", "the price of {}"),
    (r"package\.(.+)\.wafer_usd", "the price of {} wafers"),
    (r"package\.(.+)\.bond_yield", "the yield of each bond in {}"),
    (r"package\.(.+)\.test_usd", "the test of {} packages"),
    (r"package\.(.+)\.defects_per_cm2", "the defects of {} interposers"),
    (r"package\.(.+)\.area_factor", "the size of the {}"),
    (r"package\.substrate\.(.+)", "the substrate"),
    (r"die\.(.+)\.yield", "the yield of the dies"),
    (r"die\.(.+)\.[^.]+\.area", "the area of a die of {}"),
    (r"design\.(.+)\.nre_usd", "the design cost of {} nm chips"),
    (r"scenario\..+\.wafers_per_month()", "the wafers a month"),
    (r"scenario\..+\.share()", "the share of the wafers"),
    (r"scenario\..+\.hbm_stacks()", "the stacks of memory"),
    (r"scenario\..+\.die_bank()", "the dies in stock"),
    (r"scenario\..+\.packages()", "the packages"),
    (r"yields\.clustering()", "how defects cluster"),
    (r"yields\.core_share()", "the share of the die under cores"),
    (r"wafer\.(edge|scribe)_mm", "the {} of the wafer"),
    (r"units()", "the units made"),
)


@dataclass(frozen=True)
class FabCase:
    """One recipe; home is the catalogue's own where the node was asked for."""

    recipe: Recipe
    home: Recipe | None
    keep: str


@dataclass(frozen=True)
class Made:
    """A recipe worked out."""

    case: FabCase
    cost: Cost
    total: Spread

    @property
    def recipe(self) -> Recipe:
        """The recipe of the case."""
        return self.case.recipe


def words(key: str) -> str:
    """What a drawn figure is."""
    for pattern, said in _WORDS:
        if match := re.fullmatch(pattern, key):
            return said.format(match[1].upper() if key.startswith("memory.") else match[1])
    return key


def thirds(samples: Number) -> tuple[float, float, float]:
    """P10, P50 and P90."""
    low, middle, high = np.quantile(np.ravel(samples), [_P10, _P50, _P90])
    return float(low), float(middle), float(high)


def triple(samples: Number) -> dict[str, float]:
    """P10, P50 and P90 as JSON has them."""
    low, middle, high = thirds(samples)
    return {"low": low, "p50": middle, "high": high}


def share(made: Made, samples: Number) -> float:
    """The part of the cost that `samples` are, of the means. [1]"""
    return float(np.mean(samples) / np.mean(made.cost.total_usd))


def about(made: Made) -> Fields:
    """What is made: dies, memory, package, carbon, transistors."""
    recipe, pack = made.recipe, made.cost.packaging
    rows = []
    for die in recipe.dies:
        harvest = f", sold with {die.needed} of {die.cores} cores" if die.harvested else ""
        area = ranged(die.area.value, die.area.low, die.area.high, "mm2")
        rows.append((die.name if die.name != "die" else "dies", f"{die.count} × {area} on "
                     f"{die.node.name}{harvest}"))  # fmt: skip
    if recipe.memory:
        stacks = recipe.memory
        rows.append(("memory", f"{stacks.count} × {stacks.hbm.name} of {stacks.gb:g} GB"))
    fields = interposer_fields(recipe.dies, recipe.memory, recipe.sites, recipe.package)
    size = f", {significant(fields)} reticles" if recipe.package.wafer_usd else ""
    good = f", {percent(np.median(pack.assembly_yield))} of packages survive assembly"
    rows.append(("package", f"{recipe.package.name}{size}{good}"))
    if recipe.units is not None:
        rows.append(("made", f"{render(recipe.units.value, '1')} units"))
    if made.cost.carbon_kg is not None:
        low, middle, high = thirds(made.cost.carbon_kg)
        rows.append(("carbon", f"{ranged(middle, low, high, 'kg')} CO2e of the dies"))
    rows += _budget(recipe)
    return Fields(rows=tuple(rows))


def room(recipe: Recipe) -> float:
    """Transistors that fit on the dies of a package, all at the density of logic. [1]"""
    return sum(
        die.area.value * die.count * die.node.density_mtr_per_mm2.value * 1e6
        for die in recipe.dies
        if die.node.density_mtr_per_mm2
    )


def _budget(recipe: Recipe) -> list[tuple[str, str]]:
    has = recipe.transistors
    said = f"{significant(room(recipe) / 1e9)} B transistors at the density of logic"
    if has is not None:
        said += f"; the chip has {significant(has.value / 1e9)} B"
    return [("room for", said)]


def waterfall(made: Made) -> Table:
    """The cost part by part."""
    rows = []
    for name in PARTS:
        if name in made.cost.parts:
            low, middle, high = thirds(made.cost.parts[name])
            cells = (_usd(low), _usd(middle), _usd(high))
            rows.append((name, *cells, f"{percent(share(made, made.cost.parts[name]))}"))
    low, middle, high = made.total.low, made.total.median, made.total.high
    rows.append(("total", _usd(low), _usd(middle), _usd(high), ""))
    return Table(
        columns=("USD a chip", "P10", "P50", "P90", "share"),
        rows=tuple(rows),
        align="lrrrr",
        title="what it costs (percentiles of parts do not add up to those of the total)",
    )


def _usd(value: float) -> str:
    return significant(value)


def causes(total: Spread) -> list[Bars]:
    """What the range comes from, where something stands out."""
    rows = tuple((words(one.key), one.share, f"{percent(one.share)}") for one in total.sources)
    return [Bars(rows=rows, title="where the range comes from")] if rows else []


def dies_table(made: Made) -> Table:
    """Dies of a wafer by three counts, yields by five models."""
    rows = []
    for die in made.cost.dies:
        area = die.recipe.area.value
        whole = _percent(die.whole_yield)
        rows.append((
            die.recipe.name, f"{np.median(die.per_wafer):.0f}",
            f"{float(closed_dies(area)):.1f} / {float(edge_dies(area)):.1f}",
            whole, _percent(die.sold_yield),
            f"{np.median(die.per_wafer * die.sold_yield):.1f}",
            _usd(float(np.median(die.good_usd))),
            _by_model(die.recipe),
        ))  # fmt: skip
    return Table(
        columns=("die", "a wafer", "by formula", "whole", "sold", "good a wafer", "USD each",
                 "whole by model at the stated defects"),
        rows=tuple(rows), align="lrrrrrrl", title="the dies",
    )  # fmt: skip


def percent(share: float) -> str:
    """A share as `39 %`."""
    return f"{100 * share:.0f} %"


def _percent(samples: Number) -> str:
    return percent(float(np.median(samples)))


def yields_by_model(die: DieRecipe) -> dict[str, float]:
    """The share of whole dies by every model, at the stated figures."""
    constants = tables.constants()["yields"]
    clustering = tables.drawn(constants.clustering, "", central)
    layers = tables.drawn(constants.critical_layers, "", central)
    density = tables.drawn(die.node.defects_per_cm2, "", central)
    defects = die.area.value / MM2_PER_CM2 * density
    return {model: float(die_yield(model, defects, clustering, layers)) for model in MODELS}


def _by_model(die: DieRecipe) -> str:
    return ", ".join(f"{model} {percent(share)}" for model, share in yields_by_model(die).items())


def inputs_of(recipe: Recipe) -> list[tuple[str, Fact]]:
    """The figures that the cost rests on, with their ranges and sources."""
    found: dict[str, Fact | None] = {}
    for die in recipe.dies:
        found[f"{die.node.id} wafer"] = die.node.wafer_usd
        found[f"{die.node.id} defects per cm2"] = die.node.defects_per_cm2
        found[f"{die.name} area"] = die.area
        if recipe.units is not None:
            found[f"{die.node.id} masks"] = die.node.mask_set_usd
            design = tables.designs().get(str(die.node.class_nm))
            found[f"{die.node.class_nm} nm design of 300 mm2"] = design.nre_usd if design else None
        if die.harvested:
            found["share of a die under cores"] = die.core_share
    found["clustering of defects"] = tables.constants()["yields"].clustering
    if recipe.stated_yield is not None:
        found["yield"] = recipe.stated_yield
    if recipe.memory:
        found[f"{recipe.memory.hbm.name} per GB"] = recipe.memory.hbm.usd_per_gb
    if recipe.package.wafer_usd:
        found[f"{recipe.package.id} wafer"] = recipe.package.wafer_usd
    found[f"{recipe.package.id} yield of a bond"] = recipe.package.bond_yield
    found[f"{recipe.package.id} test"] = recipe.package.test_usd
    return [(name, fact) for name, fact in found.items() if fact is not None]


def inputs_table(inputs: Iterable[tuple[str, Fact]], mark: dict[str, str]) -> Table:
    """The figures that the cost rests on, each with its source."""
    rows = tuple(
        (name, render(fact.value, fact.unit), span(fact.low, fact.high, fact.value, fact.unit),
         fact.provenance, mark[fact.source], fact.note)
        for name, fact in inputs
    )  # fmt: skip
    return Table(
        columns=("figure", "value", "range", "known", "source", "note"),
        rows=rows, align="lrllll", title="what it rests on",
    )  # fmt: skip


def cited(key: str) -> str:
    """A source of the tables as a line."""
    return line_of(TYPED if key == COMMAND_LINE else tables.source(key))


def line_of(one: Source) -> str:
    """A source as a line."""
    said = ", ".join(word for word in (one.title, one.publisher, one.date, one.url) if word)
    return said + ("" if one.seen == "read" else f" ({one.seen})")


def compared(made: tuple[Made, ...]) -> Table:
    """Cases side by side."""
    rows = []
    for one in made:
        die = one.cost.dies[0]
        low, middle, high = one.total.low, one.total.median, one.total.high
        rows.append((
            die.recipe.node.id, "EUV" if die.recipe.node.euv else "DUV",
            f"{die.recipe.count} × {significant(die.recipe.area.value)}",
            significant(room(one.recipe) / 1e9),
            _percent(die.sold_yield), f"{np.median(die.per_wafer * die.sold_yield):.1f}",
            _usd(float(np.median(_logic(one.cost)))), _usd(low), _usd(middle), _usd(high),
        ))  # fmt: skip
    return Table(
        columns=("node", "light", "mm²", "room for B", "sold", "good a wafer", "dies USD", "P10",
                 "P50", "P90"),
        rows=tuple(rows), align="lllrrrrrrr", title="side by side, USD a chip",
    )  # fmt: skip


def _logic(cost: Cost) -> Number:
    return cost.parts["silicon"] + cost.parts["die yield loss"]


def estimates_table(made: Made) -> Table | None:
    """What others published of the chip; None where nobody did."""
    found = [
        one
        for one in validation.published()
        if one.chip == made.recipe.name and one.part in validation.split(made.cost)
    ]
    rows = tuple(
        (one.part, _usd(one.usd), _usd(validation.part_usd(made.cost, one.part)),
         f"{validation.part_usd(made.cost, one.part) / one.usd - 1:+.0%}",
         tables.source(one.source).publisher, one.date, one.note)
        for one in found
    )  # fmt: skip
    return (
        Table(
            columns=("part", "published", "here", "off", "by", "date", "note"),
            rows=rows, align="lrrrlll", title="published estimates, USD",
        )
        if rows
        else None
    )  # fmt: skip
