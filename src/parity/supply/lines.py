"""What the lines of a scenario make, year by year, from wafers, dies and stacks of memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from msgspec import structs

from parity.catalogue import load
from parity.catalogue.machine import Draw, Number
from parity.errors import UsageError
from parity.record import Fact
from parity.supply import recipe, tables
from parity.supply.capacity import MONTHS, each_alone
from parity.supply.cost import Cost, cost_of
from parity.supply.experience import experience, learned_defects, product_shares
from parity.supply.recipe import DieRecipe, Recipe
from parity.supply.scenario import Product, Scenario, Yearly


@dataclass(frozen=True)
class Made:
    """One product year by year; (samples, years)."""

    units: Number
    alone: dict[str, Number]  # chips that each input alone would give
    sold_yield: Number  # of its dies
    share: Number  # of its line


def drawn_of(fact: Fact | None, path: str, draw: Draw) -> Number:
    """A figure of a scenario by its path, as `draw` gives it."""
    return tables.drawn(fact, f"outlook.{path}", draw)


def over_years(yearly: Yearly | None, path: str, years: Number, draw: Draw) -> Number:
    """A figure of a scenario in each year, (samples or 1, years); zero where it has none."""
    if yearly is None:
        return np.zeros((1, years.size))
    return yearly.over(years, f"outlook.{path}", draw)


def recipes_of(scenario: Scenario) -> dict[str, Recipe]:
    """What each product is made of. Raises `MissingFact`, `Infeasible`, `UsageError`."""
    return {key: _recipe(product) for key, product in scenario.products.items()}


def _recipe(product: Product) -> Recipe:
    chip = load.chip(product.chip)
    node = tables.node(product.node) if product.node else None
    if product.die_area is None:
        found = recipe.recipe_of(chip, node)
    elif node is None or product.dies is None:
        raise UsageError(
            f"products.{product.id} states `die_area` without `node` and `dies` of a package."
        )
    else:
        name, count = product.die or product.id, int(product.dies.value)
        die = DieRecipe(name=name, node=node, area=product.die_area, count=count)
        recipe.check_die(die, product.id)
        package = recipe.usual_package((die,), None, 0)
        found = Recipe(name=product.id, dies=(die,), package=package)
    if product.hbm and product.stacks is not None:
        count = int(product.stacks.value)
        stacks = recipe.parse_stacks(f"{count}x{product.hbm}")
        package = recipe.usual_package(found.dies, stacks, count)
        found = structs.replace(found, memory=stacks, sites=count, package=package)
    if len(found.dies) != 1 or found.memory is None:
        raise UsageError(
            f"products.{product.id}: a chip of one kind of die, with stacks of memory, was "
            "expected."
        )
    return structs.replace(found, name=product.id, stated_yield=product.sold)


def made_by_year(
    scenario: Scenario, years: Number, draw: Draw, recipes: Mapping[str, Recipe]
) -> dict[str, Made]:
    """Chips of each product: the least of what dies, stacks and packages give, year by year.

    A share of each line goes to each product. What is kept from before adds to what is made, up to
    the share of it that a year can use, and is used first; what is made and not used is not kept.
    Raises `MissingFact`.
    """
    share = _shares(scenario, years, draw)
    wafers = {
        key: MONTHS * over_years(one.wafers_per_month, f"logic.{key}.wafers_per_month", years, draw)
        for key, one in scenario.logic.items()
    }
    costs = {
        key: cost_of(made_of, _with_experience(key, scenario, wafers, share, recipes, draw))
        for key, made_of in recipes.items()
    }
    dies = {
        key: _dies(scenario, product, costs[key], wafers, share[key], draw)
        for key, product in scenario.products.items()
    }
    return _assembled(scenario, years, draw, recipes, costs, dies, share)


def _dies(
    scenario: Scenario,
    product: Product,
    cost: Cost,
    wafers: dict[str, Number],
    share: Number,
    draw: Draw,
) -> Number:
    """Dies that can be sold of the wafers that the product has, (samples, years)."""
    line = scenario.logic[product.logic]
    for_accelerators = drawn_of(line.share, f"logic.{line.id}.share", draw) if line.share else 1.0
    (die,) = cost.dies
    return wafers[product.logic] * for_accelerators * share * die.per_wafer * die.sold_yield


def _assembled(
    scenario: Scenario,
    years: Number,
    draw: Draw,
    recipes: Mapping[str, Recipe],
    costs: Mapping[str, Cost],
    dies: Mapping[str, Number],
    share: Mapping[str, Number],
) -> dict[str, Made]:
    """Chips of the dies and stacks, with what is kept from year to year."""
    kinds = {key: one.die or key for key, one in scenario.products.items()}
    origins = {key: one.memory for key, one in scenario.products.items()}
    of_kind, of_origin = _parted(share, kinds), _parted(share, origins)
    kept_dies, kept_stacks = _stocks(scenario, years, draw, set(kinds.values()))
    stacks = {
        origin: over_years(one.stacks, f"memory.{origin}.stacks", years, draw)
        + over_years(one.bought, f"memory.{origin}.bought", years, draw)
        * scenario.comes_in(one.needs, years)
        for origin, one in scenario.memory.items()
    }
    columns: dict[str, list[dict[str, Number]]] = {key: [] for key in recipes}
    for i in range(years.size):
        for kept in (*kept_dies.values(), *kept_stacks.values()):
            kept.open(i)
        for key, made_of in recipes.items():
            bank, stock = kept_dies[kinds[key]], kept_stacks[origins[key]]
            mine, some = at_year(of_kind[key], i), at_year(of_origin[key], i)
            good = costs[key].packaging.assembly_yield
            held = made_of.memory.count if made_of.memory else 0
            needed = _stacks_needed(scenario.products[key], held, draw)
            line = scenario.logic[scenario.products[key].logic]
            room = over_years(line.packages, f"logic.{line.id}.packages", years, draw)
            alone = each_alone(
                made_of, good,
                dies=at_year(dies[key], i) + bank.usable * mine,
                stacks=(at_year(stacks[origins[key]], i) + stock.usable) * some * held / needed,
                packages=at_year(room, i) * at_year(share[key], i) if line.packages else None,
            )  # fmt: skip
            known = {name: value for name, value in alone.items() if value is not None}
            units = np.minimum.reduce(np.broadcast_arrays(*known.values()))
            begun = units / good
            bank.take(begun * made_of.dies[0].count, mine)
            stock.take(begun * needed, some)
            columns[key].append({"units": units, **known})
        for kept in (*kept_dies.values(), *kept_stacks.values()):
            kept.close()
    return {
        key: Made(
            units=_wide([one["units"] for one in found]),
            alone={
                name: _wide([one[name] for one in found]) for name in found[0] if name != "units"
            },
            sold_yield=np.atleast_2d(costs[key].dies[0].sold_yield),
            share=share[key],
        )
        for key, found in columns.items()
    }


def _stacks_needed(product: Product, held: int, draw: Draw) -> Number:
    """Stacks of a package: those of its recipe, or of the range that the scenario states."""
    if product.stacks is None:
        return float(held)
    return drawn_of(product.stacks, f"products.{product.id}.stacks", draw)


def _stocks(
    scenario: Scenario, years: Number, draw: Draw, kinds: set[str]
) -> tuple[dict[str, _Kept], dict[str, _Kept]]:
    """(dies that are kept, by kind; stacks that are kept, by origin)"""
    most = drawn_of(scenario.common.use_of_stock, "common.use_of_stock", draw)
    banks: dict[str, Yearly | None] = {
        kind: scenario.dies[kind].bank if kind in scenario.dies else None for kind in kinds
    }
    return (
        {
            kind: _Kept(over_years(bank, f"dies.{kind}.bank", years, draw), most)
            for kind, bank in banks.items()
        },
        {
            origin: _Kept(over_years(one.stock, f"memory.{origin}.stock", years, draw), most)
            for origin, one in scenario.memory.items()
        },
    )


class _Kept:
    """A stock that arrives in years, and of which a year can use a share."""

    def __init__(self, arriving: Number, most: Number) -> None:
        self._arriving, self._most = arriving, most
        self._left: Number = np.zeros((1, 1))
        self._taken: Number = 0.0
        self.usable: Number = np.zeros((1, 1))

    def open(self, year: int) -> None:
        self._left = self._left + at_year(self._arriving, year)
        self.usable, self._taken = self._left * self._most, 0.0

    def take(self, needed: Number, part: Number) -> None:
        self._taken = self._taken + np.minimum(self.usable * part, needed)

    def close(self) -> None:
        self._left = np.maximum(self._left - self._taken, 0.0)


def at_year(values: Number, year: int) -> Number:
    """The column of a year, or the only one there is."""
    values = np.atleast_2d(values)
    return values[:, year : year + 1] if values.shape[1] > 1 else values


def _wide(columns: list[Number]) -> Number:
    return np.concatenate(np.broadcast_arrays(*map(np.atleast_2d, columns)), axis=-1)


def _parted(share: Mapping[str, Number], group: Mapping[str, str]) -> dict[str, Number]:
    """The shares of products in what their group has in common; they sum to one or to none."""
    total: dict[str, Number] = {}
    for key, name in group.items():
        total[name] = total.get(name, 0.0) + share[key]
    return {
        key: share[key] / np.where(total[name] > 0, total[name], 1.0) for key, name in group.items()
    }


def _shares(scenario: Scenario, years: Number, draw: Draw) -> dict[str, Number]:
    """The share of its line that each product has, (samples, years)."""
    ramp = np.reshape(drawn_of(scenario.common.ramp_years, "common.ramp_years", draw), (-1, 1, 1))
    found: dict[str, Number] = {}
    for line in scenario.logic:
        named = [key for key, one in scenario.products.items() if one.logic == line]
        if named:
            starts = [np.reshape(_start(scenario.products[key], draw), (-1, 1)) for key in named]
            since = np.stack(np.broadcast_arrays(*starts), axis=-2)
            every = product_shares(years, since, ramp)
            found |= {key: every[:, i, :] for i, key in enumerate(named)}
    return found


def _start(product: Product, draw: Draw) -> Number:
    """When the product comes, a fraction of a year."""
    path = f"products.{product.id}"
    if product.since is not None:
        return drawn_of(product.since, f"{path}.since", draw)
    return tables.node(product.follows).year + drawn_of(product.lag, f"{path}.lag", draw)


def _with_experience(
    key: str,
    scenario: Scenario,
    wafers: Mapping[str, Number],
    share: Mapping[str, Number],
    recipes: Mapping[str, Recipe],
    draw: Draw,
) -> Callable[[str, float, float, float], Number]:
    """`draw`, with the defects of the product's node as experience leaves them in each year.

    The table of nodes has them as they are in the year of learning, or the first of the node.
    """
    node = recipes[key].dies[0].node
    made: Number = 0.0
    for other, product in scenario.products.items():
        if recipes[other].dies[0].node.id == node.id:
            made = made + wafers[product.logic] * share[other]
    base = scenario.common.learning_year - scenario.first
    ratio = experience(made, base)
    rate = drawn_of(scenario.common.learning, "common.learning", draw)
    like = scenario.products[key].like
    mature = tables.node(like) if like else None
    path = f"node.{node.id}.defects_per_cm2"

    def drawn(name: str, value: float, low: float, high: float) -> Number:
        found = draw(name, value, low, high)
        if name != path:
            return found
        floor = (
            tables.drawn(mature.defects_per_cm2, f"node.{mature.id}.defects_per_cm2", draw)
            if mature
            else 0.0
        )
        return learned_defects(found, ratio, rate, floor)

    return drawn
