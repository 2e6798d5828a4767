"""From the areas of the blocks of a die to what they hold, and back.

Logic takes its transistors over the density of the node, memory its cells over the share of an
array that is cells, an interface its analog part, which does not shrink, and its controller
[Zhang et al. 2024, LLMCompass, ISCA, section III.D; Ning et al., cost_model.py there]. What is left
of the die is the rest. All numbers broadcast: one, or samples of what is uncertain.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from parity.catalogue.machine import Draw, Number, central
from parity.supply import blocks
from parity.supply.blocks import Array, Phy
from parity.supply.tables import Node, drawn
from parity.supply.wafer import RETICLE_HEIGHT_MM

#: From transistors to those counted in density, and from µm² to mm².
PER_M, UM2_PER_MM2 = 1e6, 1e6
BITS = 8.0
#: Length of a die over its width, at most: Ascend 910B measures 31.22 by 21.32 mm.
MOST_LONG = 1.5
#: Names of the blocks, in the order of the table.
BLOCKS = (
    "matrix units", "cores", "network", "SRAM", "HBM PHYs", "links", "host link", "die to die",
    "rest",
)  # fmt: skip
LOGIC = BLOCKS[:3]


def density(node: Node, draw: Draw) -> Number:
    """Transistors of logic. [1/mm²]"""
    return PER_M * drawn(node.density_mtr_per_mm2, f"node.{node.id}.density_mtr_per_mm2", draw)


def logic_mm2(block: str, node: Node, draw: Draw) -> Number:
    """Area of one block of logic: `mac`, `systolic`, `core`, `crossbar`. [mm²]"""
    transistors = drawn(blocks.logic()[block].transistors, f"logic.{block}.transistors", draw)
    return transistors / density(node, draw)


def sram_mm2_per_byte(array: Array, node: Node, draw: Draw) -> Number:
    """Area of a byte of memory on the die: its cells over the share that is cells. [mm²]"""
    cell = drawn(node.sram_cell_um2, f"node.{node.id}.sram_cell_um2", draw)
    efficiency = drawn(array.efficiency, f"memory.{array.id}.efficiency", draw)
    return BITS * cell / UM2_PER_MM2 / efficiency


def phy_mm2(phy: Phy, node: Node, draw: Draw) -> Number:
    """Area of one interface with its controller. [mm²]"""
    analog = drawn(phy.area_mm2, f"phy.{phy.id}.area_mm2", draw)
    control = drawn(phy.transistors, f"phy.{phy.id}.transistors", draw)
    return analog + control / density(node, draw)


def stacks_at_edge(
    die_mm2: float, stack_mm2: float, edge_mm: float, dies: int, *, ends_taken: bool
) -> int:
    """Stacks of memory that find a place beside so many equal dies in a row.

    Stacks lie side by side, each with its interface, `edge_mm` of the die, in front of it; the
    outer ones may stand over the corner by the rest. On one die they lie along the two long edges,
    and along the short ones where no other interface needs them (`ends_taken`); dies of a row are
    joined at their short edges. A die is as long as the field or `MOST_LONG` allow. So A100 and
    H100 have six places, and Ascend 910 six for its four stacks and two dummies.
    """
    long = min(np.sqrt(MOST_LONG * die_mm2), max(RETICLE_HEIGHT_MM, np.sqrt(die_mm2)))
    short = die_mm2 / long
    side = np.sqrt(stack_mm2)

    def along(edge: float) -> int:
        return max(int((edge - edge_mm) / side + 1e-9) + 1, 0) if edge >= edge_mm else 0

    beside = 2 * along(float(long)) * dies
    return beside if ends_taken else beside + 2 * along(float(short))


@dataclass(frozen=True)
class Ports:
    """So many places for stacks, links and lanes, whose area is known."""

    sites: int = 0
    links: int = 0
    lanes: int = 0


@dataclass(frozen=True)
class Held:
    """What a chip that is known holds, in what area; what is added to it is predicted."""

    macs: float = 0.0
    cores: float = 0.0
    sram_bytes: float = 0.0
    matrix_mm2: float = 0.0
    cores_mm2: float = 0.0
    sram_mm2: float = 0.0
    ports: Ports = Ports()


@dataclass(frozen=True)
class Interfaces:
    """What leaves the dies: so many of each interface, of all dies together."""

    memory: Phy
    sites: int
    link: Phy
    links: int
    host: Phy
    lanes: int
    joint_gb_per_s: Number = 0.0  # between each die and the next

    def areas(self, node: Node, dies: int, draw: Draw, held: Ports) -> dict[str, Number]:
        """Area by block; of those that are held, at the stated figures. [mm²]"""
        joints = max(dies - 1, 0) * self.joint_gb_per_s
        counts = {
            "HBM PHYs": (self.memory, self.sites, held.sites),
            "links": (self.link, self.links, held.links),
            "host link": (self.host, self.lanes, held.lanes),
            "die to die": (blocks.phys()["ucie"], joints, 0.0),
        }
        return {
            name: known * phy_mm2(phy, node, central) + (count - known) * phy_mm2(phy, node, draw)
            for name, (phy, count, known) in counts.items()
        }


@dataclass(frozen=True)
class Silicon:
    """What the dies of a package are made in, and what leaves them.

    mac: the block of logic that multiplies, `mac` or `systolic`. fit: area of the logic of a known
    chip over what is predicted; 1 where none is.
    """

    node: Node
    dies: int
    array: Array
    ports: Interfaces
    mac: str = "mac"
    fit: Number = 1.0

    def logic(self, draw: Draw) -> tuple[Number, Number, Number]:
        """Area of a multiply-accumulate, of a core and of its part of the network. [mm²]"""
        mac, core, network = (
            self.fit * logic_mm2(name, self.node, draw) for name in (self.mac, "core", "crossbar")
        )
        return mac, core, network


@dataclass(frozen=True)
class Floorplan:
    """What lies on the dies of a package, and what it holds; numbers or arrays of samples."""

    areas: dict[str, Number]  # by BLOCKS [mm²]
    macs: Number  # multiply-accumulates of bf16 a cycle
    cores: Number
    sram_bytes: Number


def floorplan(
    silicon: Silicon,
    whole_mm2: Number,
    split: tuple[Number, Number, Number],
    draw: Draw,
    held: Held = Held(),
) -> Floorplan:
    """What dies of `whole_mm2` together hold whose area is split so.

    split: area of matrix units, cores and SRAM of all dies [mm²]. held: what of it is known. The
    rest is below zero where the blocks do not fit.
    """
    matrix, core, sram = split
    mac_mm2, core_mm2, network_mm2 = silicon.logic(draw)
    cores = held.cores + (core - held.cores_mm2) / core_mm2
    byte_mm2 = sram_mm2_per_byte(silicon.array, silicon.node, draw)
    areas = {
        "matrix units": matrix,
        "cores": core,
        "network": cores * network_mm2,
        "SRAM": sram,
        **silicon.ports.areas(silicon.node, silicon.dies, draw, held.ports),
    }
    areas["rest"] = whole_mm2 - sum(areas.values())
    return Floorplan(
        areas=areas,
        macs=held.macs + (matrix - held.matrix_mm2) / mac_mm2,
        cores=cores,
        sram_bytes=held.sram_bytes + (sram - held.sram_mm2) / byte_mm2,
    )


def area_of(
    silicon: Silicon, contents: tuple[Number, Number, Number], draw: Draw
) -> dict[str, Number]:
    """The other way round: area by block of what holds so much, with the usual rest. [mm²]

    contents: multiply-accumulates a cycle, cores, bytes of SRAM.
    """
    macs, cores, sram_bytes = contents
    mac_mm2, core_mm2, network_mm2 = silicon.logic(draw)
    areas = {
        "matrix units": macs * mac_mm2,
        "cores": cores * core_mm2,
        "network": cores * network_mm2,
        "SRAM": sram_bytes * sram_mm2_per_byte(silicon.array, silicon.node, draw),
        **silicon.ports.areas(silicon.node, silicon.dies, draw, Ports()),
    }
    share = rest_share(draw)
    areas["rest"] = sum(areas.values()) * share / (1.0 - share)
    return areas


def sram_to_feed(flop_per_s: Number, bytes_per_s: Number) -> Number:
    """Bytes of SRAM that matrix products need so that memory keeps up with them.

    A block of b by b sums in fp32 is worked on while operands of two bytes stream by: 2b² FLOP for
    4b bytes, so that b is twice the FLOP a byte, and the sums take 4b²: `16 (F/B)²` [Kung 1986,
    Memory requirements for balanced computer architectures, ISCA, section 3].
    """
    return 16.0 * (flop_per_s / bytes_per_s) ** 2


def rest_share(draw: Draw) -> Number:
    """Share of a die that belongs to no block. [1]"""
    return drawn(blocks.rest().of_die, "rest.share.of_die", draw)


def fitted(
    silicon: Silicon, whole_mm2: float, contents: tuple[float, float, float], draw: Draw
) -> float:
    """Area of the logic of a known chip over what is predicted: what is left by all else. [1]

    At or below zero where memory and interfaces alone would fill its dies.
    """
    areas = area_of(silicon, contents, draw)
    logic = sum(areas[name] for name in LOGIC)
    others = sum(area for name, area in areas.items() if name not in (*LOGIC, "rest"))
    return float((whole_mm2 * (1.0 - rest_share(draw)) - others) / logic * silicon.fit)
