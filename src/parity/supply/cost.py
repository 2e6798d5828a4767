"""What one good chip costs to make, part by part, and what it emits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from parity.catalogue.machine import Draw, Number
from parity.errors import NoPrice
from parity.supply import design, tables
from parity.supply.carbon import carbon_kg_per_cm2
from parity.supply.package import MM2_PER_CM2, Packaging, lost_in_assembly, packaging
from parity.supply.recipe import DieRecipe, Recipe
from parity.supply.tables import drawn
from parity.supply.wafer import die_shape, grid_dies
from parity.supply.yields import die_yield, sellable_yield

#: The parts of the cost, in the order of the waterfall.
PARTS = (
    "silicon", "die yield loss", "memory", "packaging", "test", "assembly loss", "design", "masks",
)  # fmt: skip


@dataclass(frozen=True)
class DieCost:
    """One kind of die; numbers or arrays of samples."""

    recipe: DieRecipe
    area_mm2: Number
    per_wafer: Number  # whole dies
    wafer_usd: Number
    whole_yield: Number  # without a defect
    sold_yield: Number  # good enough to sell
    carbon_kg: Number | None  # of all dies of this kind in a package, those thrown away included

    @property
    def raw_usd(self) -> Number:
        """Silicon of one die, whether it works or not."""
        return self.wafer_usd / self.per_wafer

    @property
    def good_usd(self) -> Number:
        """One die that can be sold: wafer price over dies and yield."""
        return self.raw_usd / self.sold_yield


@dataclass(frozen=True)
class Cost:
    """One chip; `parts` in dollars by the names of `PARTS`."""

    dies: tuple[DieCost, ...]
    packaging: Packaging
    parts: dict[str, Number]

    @property
    def total_usd(self) -> Number:
        """The sum of the parts."""
        return sum(self.parts.values())

    @property
    def carbon_kg(self) -> Number | None:
        """Of all dies, over the yield of the package; None where a node has no figure."""
        each = [die.carbon_kg for die in self.dies if die.carbon_kg is not None]
        if len(each) < len(self.dies):
            return None
        return sum(each) / self.packaging.assembly_yield


def cost_of(recipe: Recipe, draw: Draw) -> Cost:
    """The cost of a good chip, at the figures that `draw` gives. [USD]

    Dies: wafer price over dies that can be sold. Memory by the gigabyte. Package and what is lost
    in it: `packaging`, `lost_in_assembly`. Design and masks over the units made, where they are
    said. Raises `MissingFact`, `NoPrice` of the memory, and `Infeasible` where a design has no
    published cost.
    """
    dies = tuple(_die(recipe, die, draw) for die in recipe.dies)
    flat = sum(die.area_mm2 * die.recipe.count for die in dies if not die.recipe.stacked)
    pack = packaging(recipe, flat, draw)
    silicon = sum(die.raw_usd * die.recipe.count for die in dies)
    logic = sum(die.good_usd * die.recipe.count for die in dies)
    memory = _memory_usd(recipe, draw)
    test = drawn(recipe.package.test_usd, f"package.{recipe.package.id}.test_usd", draw)
    parts = {
        "silicon": silicon,
        "die yield loss": logic - silicon,
        **({"memory": memory} if recipe.memory is not None else {}),
        "packaging": pack.interposer_usd + pack.substrate_usd,
        "test": test,
        "assembly loss": lost_in_assembly(pack, logic, memory + test),
    }
    if recipe.units is not None:
        units = drawn(recipe.units, "units", draw)
        designs = sum(design.design_usd(die.recipe, die.area_mm2, draw) for die in dies)
        parts["design"] = designs / units
        parts["masks"] = sum(design.masks_usd(die.recipe, draw) for die in dies) / units
    return Cost(dies, pack, parts)


def _die(recipe: Recipe, die: DieRecipe, draw: Draw) -> DieCost:
    node = die.node
    wafer, yields = tables.constants()["wafer"], tables.constants()["yields"]
    area = drawn(die.area, f"die.{recipe.name}.{die.name}.area", draw)
    edge = drawn(wafer.edge_mm, "wafer.edge_mm", draw)
    scribe = drawn(wafer.scribe_mm, "wafer.scribe_mm", draw)
    per_wafer = np.maximum(grid_dies(*die_shape(area), edge, scribe), 1.0)
    density = drawn(node.defects_per_cm2, f"node.{node.id}.defects_per_cm2", draw)
    clustering = drawn(yields.clustering, "yields.clustering", draw)
    layers = drawn(yields.critical_layers, "yields.critical_layers", draw)
    defects = area / MM2_PER_CM2 * density
    whole = die_yield(recipe.model, defects, clustering, layers)
    if recipe.stated_yield is not None:
        sold = drawn(recipe.stated_yield, f"die.{recipe.name}.yield", draw)
    elif die.harvested:
        share = drawn(die.core_share, "yields.core_share", draw)
        sold = sellable_yield(
            recipe.model, defects, clustering, layers, (die.needed, die.cores, share)
        )
    else:
        sold = whole
    per_cm2 = carbon_kg_per_cm2(node, draw)
    begun = die.count * area / MM2_PER_CM2 / sold
    return DieCost(
        recipe=die,
        area_mm2=area,
        per_wafer=per_wafer,
        wafer_usd=drawn(node.wafer_usd, f"node.{node.id}.wafer_usd", draw),
        whole_yield=whole,
        sold_yield=sold,
        carbon_kg=None if per_cm2 is None else per_cm2 * begun,
    )


def _memory_usd(recipe: Recipe, draw: Draw) -> Number:
    if recipe.memory is None:
        return 0.0
    stacks = recipe.memory
    if stacks.hbm.usd_per_gb is None:
        raise NoPrice(
            f"Nobody published a price of {stacks.hbm.name}; `--hbm-price 10..20` takes yours, USD "
            "a gigabyte."
        )
    price = drawn(stacks.hbm.usd_per_gb, f"memory.{stacks.hbm.id}.usd_per_gb", draw)
    return stacks.count * stacks.gb * price
