"""Year by year: wafers, yield and memory to chips, chips to a fleet, and the fleet to a lag.

A scenario gives the inputs, whoever asks gives the speed of each chip. Numbers are arrays of
(samples, years), of one sample where nothing is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from parity.catalogue.machine import Draw, Number
from parity.supply.capacity import INPUTS
from parity.supply.experience import first_year, in_use, years_behind
from parity.supply.lines import Made, drawn_of, made_by_year, over_years
from parity.supply.recipe import Recipe
from parity.supply.scenario import Scenario


@dataclass(frozen=True)
class Outlook:
    """A scenario worked out. Computes are in what speeds are given in; (samples, years)."""

    years: Number  # (years,)
    made: dict[str, Made]  # by product
    imported: dict[str, Number]  # chips, by line
    domestic: Number  # compute made in the year
    foreign: Number  # compute that came in in the year
    demand: Number  # compute asked for in the year
    fleet: Number  # compute in use at its end
    fleet_chips: Number
    reference: Number  # compute in use in the reference fleet, in the same years
    behind: Number  # years; infinite where the reference was never so small
    meets: Number  # the first year in which domestic compute meets demand, (samples,)

    @property
    def units(self) -> Number:
        """Domestic chips made in each year."""
        return sum(one.units for one in self.made.values())

    @property
    def coverage(self) -> Number:
        """Domestic compute of the year over what is asked for. [1]"""
        return self.domestic / self.demand

    def runs_out(self) -> dict[str, Number]:
        """How often each input is the one that runs out first, by chips made; (years,)."""
        total = np.zeros(self.years.size)
        found = dict.fromkeys(INPUTS, np.zeros(self.years.size))
        for one in self.made.values():
            known = [name for name in INPUTS if name in one.alone]
            first = np.argmin(np.stack([one.alone[name] for name in known]), axis=0)
            for i, name in enumerate(known):
                found[name] = found[name] + (one.units * (first == i)).mean(axis=0)
            total = total + one.units.mean(axis=0)
        return {name: value / np.where(total > 0, total, 1.0) for name, value in found.items()}


def project(
    scenario: Scenario, speeds: Mapping[str, Number], draw: Draw, recipes: Mapping[str, Recipe]
) -> Outlook:
    """The scenario worked out at the figures that `draw` gives.

    speeds: what one chip does, by the chip's name in the scenario, numbers or (samples, 1).
    recipes: what products are made of, `recipes_of`. Raises `UsageError`, `MissingFact`.
    """
    years = np.arange(scenario.first, scenario.last + 1)
    made = made_by_year(scenario, years, draw, recipes)
    imported = {
        key: over_years(line.units, f"imports.{key}.units", years, draw)
        * scenario.comes_in(line.needs, years)
        for key, line in scenario.imports.items()
    }
    products, lines, common = scenario.products, scenario.imports, scenario.common
    domestic = _sum(one.units * speeds[products[key].chip] for key, one in made.items())
    foreign = _sum(units * speeds[lines[key].chip] for key, units in imported.items())
    chips = _sum(one.units for one in made.values()) + _sum(imported.values())
    life = drawn_of(common.life_years, "common.life_years", draw)
    spread = drawn_of(common.life_spread_years, "common.life_spread_years", draw)
    fleet = in_use(np.atleast_2d(domestic + foreign), life, spread).sum(axis=-2)
    of, reference = _reference(scenario, speeds, draw, life, spread)
    same = np.searchsorted(of, years)
    demand = _demand(scenario, speeds, years, draw)
    return Outlook(
        years=years, made=made, imported=imported,
        domestic=np.atleast_2d(domestic), foreign=np.atleast_2d(foreign), demand=demand,
        fleet=fleet, fleet_chips=in_use(np.atleast_2d(chips), life, spread).sum(axis=-2),
        reference=np.where(of[0] > years, 0.0, reference[:, np.minimum(same, of.size - 1)]),
        behind=years_behind(*_paired(fleet, reference), years, of),
        meets=first_year(np.atleast_2d(domestic >= demand), years),
    )  # fmt: skip


def _paired(one: Number, other: Number) -> tuple[Number, Number]:
    """Both with as many samples."""
    rows = max(one.shape[0], other.shape[0])
    return (
        np.broadcast_to(one, (rows, one.shape[1])), np.broadcast_to(other, (rows, other.shape[1]))
    )  # fmt: skip


def _sum(parts: object) -> Number:
    return sum(parts, start=np.zeros((1, 1)))  # type: ignore[call-overload]


def _reference(
    scenario: Scenario, speeds: Mapping[str, Number], draw: Draw, life: Number, spread: Number
) -> tuple[Number, Number]:
    """(years from the first that is stated, compute in use in the reference fleet)"""
    lines = scenario.reference
    stated = [year for line in lines.values() if line.units for year in line.units.years]
    first, known = min(stated), max(stated)
    years = np.arange(first, max(scenario.last, known) + 1)
    bought = _sum(
        over_years(line.units, f"reference.{key}.units", years, draw) * speeds[line.chip]
        for key, line in lines.items()
    )
    growth = drawn_of(scenario.common.reference_growth, "common.reference_growth", draw)
    after = np.maximum(years - known, 0)
    bought = np.where(after > 0, bought[:, known - first, None], bought) * growth**after
    return years, in_use(np.atleast_2d(bought), life, spread).sum(axis=-2)


def _demand(scenario: Scenario, speeds: Mapping[str, Number], years: Number, draw: Draw) -> Number:
    """Compute asked for in each year: what was bought in one, and what was not to be had. [1]

    `bought · (1 + unmet) · growth^(year - year of demand)`.
    """
    common = scenario.common
    bought = _sum(
        drawn_of(one.units, f"demand.{key}.units", draw) * speeds[one.chip]
        for key, one in scenario.demand.items()
    )
    unmet = drawn_of(common.demand_unmet, "common.demand_unmet", draw)
    growth = drawn_of(common.demand_growth, "common.demand_growth", draw)
    return np.atleast_2d(bought * (1.0 + unmet)) * growth ** (years - float(common.demand_year))
