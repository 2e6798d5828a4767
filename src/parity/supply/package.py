"""What joining dies and memory in one package costs, and how many survive it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from parity.catalogue.machine import Draw, Number
from parity.supply import tables
from parity.supply.recipe import Recipe
from parity.supply.tables import drawn
from parity.supply.wafer import grid_dies
from parity.supply.yields import negative_binomial

#: From mm² to cm², in which defect densities are stated.
MM2_PER_CM2 = 100.0


@dataclass(frozen=True)
class Packaging:
    """The package of one chip, in dollars and shares; numbers or arrays of samples."""

    interposer_mm2: Number
    interposer_usd: Number  # with its bumps, before any is lost
    substrate_usd: Number
    per_wafer: Number  # interposers on a wafer; 0 where there is none
    interposer_yield: Number
    stack_yield: Number  # that all that lies on one die is bonded to it
    bond_yield: Number  # that all dies and stacks are bonded to the interposer
    attach_yield: Number  # that the substrate holds

    @property
    def assembly_yield(self) -> Number:
        """Share of packages begun with good parts that work. [1]"""
        return self.stack_yield * self.bond_yield * self.attach_yield


def packaging(recipe: Recipe, silicon_mm2: Number, draw: Draw) -> Packaging:
    """The package of a recipe whose dies cover `silicon_mm2` of the interposer.

    An interposer is so much larger than what lies on it, is cut from a wafer of its own and has
    its own defects; the substrate below it is larger again
    [Feng, Ma 2022, doi 10.1145/3489517.3530428, section 3.2, and package.py].
    """
    kind, below = recipe.package, tables.substrate()
    key = f"package.{kind.id}"
    hbm = recipe.memory.hbm if recipe.memory else None
    beside = recipe.sites * drawn(hbm.area_mm2, f"memory.{hbm.id}.area_mm2", draw) if hbm else 0.0
    area = (silicon_mm2 + beside) * drawn(kind.area_factor, f"{key}.area_factor", draw)
    bumps = (silicon_mm2 + beside) * drawn(kind.bump_usd_per_mm2, f"{key}.bump", draw)
    per_wafer, raw, own_yield = np.zeros(()), np.zeros(()), np.ones(())
    if kind.wafer_usd is not None:
        constants = tables.constants()["wafer"]
        side = np.sqrt(area)
        edge = drawn(constants.edge_mm, "wafer.edge_mm", draw)
        scribe = drawn(constants.scribe_mm, "wafer.scribe_mm", draw)
        per_wafer = np.maximum(grid_dies(side, side, edge, scribe), 1.0)
        raw = drawn(kind.wafer_usd, f"{key}.wafer_usd", draw) / per_wafer
        defects = drawn(kind.defects_per_cm2, f"{key}.defects_per_cm2", draw) * area / MM2_PER_CM2
        own_yield = negative_binomial(defects, drawn(kind.clustering, f"{key}.clustering", draw))
    on_it = recipe.beside + (recipe.memory.count if recipe.memory else 0)
    bond = drawn(kind.bond_yield, f"{key}.bond_yield", draw)
    layers = drawn(below.usd_per_mm2, "package.substrate.usd_per_mm2", draw)
    board = area * drawn(below.area_factor, "package.substrate.area_factor", draw) * layers
    return Packaging(
        interposer_mm2=area,
        interposer_usd=raw + bumps,
        substrate_usd=board,
        per_wafer=per_wafer,
        interposer_yield=own_yield,
        stack_yield=bond ** (recipe.on_top / recipe.beside),
        bond_yield=bond**on_it,
        attach_yield=drawn(below.attach_yield, "package.substrate.attach_yield", draw),
    )


def lost_in_assembly(pack: Packaging, logic_usd: Number, rest_usd: Number) -> Number:
    """What is thrown away for each good package, dies last. [USD]

    `I (1/(y1 y2 y3) - 1) + S (1/y3 - 1) + G (1/(y2 y3) - 1)`: interposer, substrate and the good
    parts bonded on it, with the yields of the interposer, of all bonds and of the substrate
    [Feng, Ma 2022, package.py, chip last]. G is logic_usd and rest_usd (memory, test). Dies that
    are stacked on others are bonded first, and only logic is lost there.
    """
    y1, y2, y3 = pack.interposer_yield, pack.bond_yield, pack.attach_yield
    interposer = pack.interposer_usd * (1.0 / (y1 * y2 * y3) - 1.0)
    logic = logic_usd * (1.0 / (pack.stack_yield * y2 * y3) - 1.0)
    return (
        interposer
        + pack.substrate_usd * (1.0 / y3 - 1.0)
        + logic
        + rest_usd * (1.0 / (y2 * y3) - 1.0)
    )
