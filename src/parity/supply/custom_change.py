"""Changes of a design: other stacks, links, areas, nodes, and dies that grow with them."""

from __future__ import annotations

from dataclasses import replace

from parity.catalogue.machine import central
from parity.record import Fact
from parity.supply import blocks
from parity.supply.custom import Design, joined
from parity.supply.floorplan import Held, floorplan, rest_share
from parity.supply.recipe import Stacks
from parity.supply.tables import Hbm, Node
from parity.supply.wafer import fields_needed


def closed(design: Design) -> Design:
    """The design on dies as large as its blocks and the usual rest need."""
    plan = floorplan(design.silicon, 0.0, design.split, central, design.held)
    blocks_mm2 = -float(plan.areas["rest"])
    return replace(design, whole_mm2=blocks_mm2 / (1.0 - float(rest_share(central))))


def with_memory(design: Design, hbm: Hbm | None, count: int, gb: float | None = None) -> Design:
    """The design with so many stacks, of its own kind at its own rate, or of another generation."""
    ports = design.silicon.ports
    if hbm is None or count == 0:
        ports = replace(ports, sites=0)
        held = _known(design.held, sites=0)
        bare = replace(design, held=held, memory=None, stack_bytes_per_s=None)
        return replace(bare, silicon=replace(design.silicon, ports=ports))
    own = design.memory
    same = own is not None and own.hbm.id == hbm.id
    usual = hbm.gb_per_stack.value if hbm.gb_per_stack else 0.0
    size = gb if gb is not None else (own.gb if own is not None and same else usual)
    rate = design.stack_bytes_per_s if same else hbm.bandwidth
    sites = max(ports.sites, count) if same else count
    phy = blocks.phys()["hbm4" if hbm.id == "hbm4" else "hbm"]
    silicon = replace(design.silicon, ports=replace(ports, memory=phy, sites=sites))
    known = sites if phy.id == ports.memory.id else 0
    return joined(
        replace(
            design,
            held=_known(design.held, sites=min(design.held.ports.sites, known)),
            silicon=silicon,
            memory=Stacks(hbm, count, size),
            memory_sold=design.memory_sold if same and gb is None else 1.0,
            stack_bytes_per_s=rate,
        )
    )


def with_links(design: Design, count: int, kind: str | None = None) -> Design:
    """The design with so many links, of its own kind or of another."""
    ports = design.silicon.ports
    phy = ports.link if kind is None else blocks.phy(kind, "link")
    rate = design.link_bytes_per_s if phy.id == ports.link.id else phy.bandwidth
    ports = replace(ports, link=phy, links=count)
    silicon = replace(design.silicon, ports=ports)
    known = count if phy.id == design.silicon.ports.link.id else 0
    held = _known(design.held, links=min(design.held.ports.links, known))
    return replace(design, held=held, silicon=silicon, link_bytes_per_s=rate or phy.bandwidth)


def _known(held: Held, **ports: int) -> Held:
    return replace(held, ports=replace(held.ports, **ports))


def with_dies(design: Design, dies: int) -> Design:
    """The same area, cut into so many dies."""
    if dies == design.silicon.dies:
        return design
    ports = replace(design.silicon.ports, joint_gb_per_s=0.0)
    return joined(replace(design, silicon=replace(design.silicon, dies=dies, ports=ports)))


def cut(design: Design) -> Design:
    """The design on the fewest dies that a scanner exposes, with what then lies between them."""
    grown = closed(design)
    while (need := int(fields_needed(grown.whole_mm2))) > grown.silicon.dies:
        grown = closed(with_dies(grown, need))
    return grown


def with_logic(design: Design, factor: float) -> Design:
    """So many times the matrix units, cores and SRAM."""
    matrix, cores, sram = (factor * area for area in design.split)
    return replace(design, split=(matrix, cores, sram))


def on_node(design: Design, node: Node) -> Design:
    """The same transistors and cells on another node: areas follow the densities.

    The energy of its matrix units follows the class of the node; interfaces stay as they are.
    """
    moved = replace(design, silicon=replace(design.silicon, node=node))
    held = design.held
    mac, core, _ = design.silicon.logic(central)
    new_mac, new_core, _ = moved.silicon.logic(central)
    ours, theirs = design.silicon.node.sram_cell_um2, node.sram_cell_um2
    cell = theirs.value / ours.value if ours is not None and theirs is not None else 1.0
    ratios = (float(new_mac / mac), float(new_core / core), cell)
    kept = (held.matrix_mm2, held.cores_mm2, held.sram_mm2)
    areas = tuple(area * ratio for area, ratio in zip(kept, ratios, strict=True))
    split = tuple(area * ratio for area, ratio in zip(design.split, ratios, strict=True))
    return replace(
        moved,
        split=(split[0], split[1], split[2]),
        held=replace(held, matrix_mm2=areas[0], cores_mm2=areas[1], sram_mm2=areas[2]),
    )


def with_clock(design: Design, clock_ghz: Fact) -> Design:
    """The design at another clock: energy follows the square of the voltage that it needs.

    A clock above that of the chip it is like needs more voltage on the same line.
    """
    floor = blocks.energy().voltage_floor
    assert floor is not None
    share = clock_ghz.value / design.clock_ghz.value
    volts = floor.value + (1.0 - floor.value) * share
    return replace(design, clock_ghz=clock_ghz, watts_fit=design.watts_fit * volts**2)


def like(design: Design, name: str) -> Design:
    """A design from nothing that has the cores, links and software of another: all predicted."""
    silicon = replace(design.silicon, fit=1.0)
    return replace(
        design, name=name, silicon=silicon, held=Held(), watts_fit=1.0, sram_sold=1.0, rate=1.0
    )
