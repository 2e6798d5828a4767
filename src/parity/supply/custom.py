"""A chip of one's own: what it is made of, what it does, and what it breaks."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from parity.catalogue.machine import Draw, Number, central
from parity.catalogue.schema import DTYPES, Chip
from parity.catalogue.spec import COMMAND_LINE
from parity.errors import MissingFact, UsageError
from parity.record import Fact
from parity.supply import blocks
from parity.supply.blocks import Cooling, Phy
from parity.supply.cost import Cost, cost_of
from parity.supply.floorplan import (
    Floorplan,
    Held,
    Interfaces,
    Ports,
    Silicon,
    area_of,
    fitted,
    floorplan,
)
from parity.supply.power import (
    Power,
    at_clock,
    carries,
    cooling_usd,
    mac_joule,
    moved_w,
    static_w,
    sustained_clock,
)
from parity.supply.recipe import DieRecipe, Recipe, Stacks, recipe_of, usual_package
from parity.supply.tables import drawn

GIGA = 1e9
#: Rates of a dtype over bf16 where the chip that a design is like has none.
USUAL_RATES = {
    "fp64": 1 / 16, "tf32": 0.5, "fp16": 1.0, "bf16": 1.0, "fp8": 2.0, "int8": 2.0, "fp4": 4.0,
    "int4": 4.0,
}  # fmt: skip
#: A known chip whose logic takes so many times what is predicted, or this part, tells of blocks
#: that are not counted.
ODD = (1 / 3, 3.0)
#: Least energy of the matrix units of a known chip over what is predicted: where all else would
#: take its whole rating, that is not known well enough.
LEAST_FIT = 0.05


@dataclass(frozen=True)
class Design:
    """A chip as it is drawn; areas of all its dies together, in mm²."""

    name: str
    like: Chip  # whose cores, software and wiring it has
    silicon: Silicon
    whole_mm2: float
    split: tuple[float, float, float]  # matrix units, cores, SRAM
    clock_ghz: Fact
    memory: Stacks | None = None
    stack_bytes_per_s: Fact | None = None  # of one stack
    link_bytes_per_s: Fact | None = None  # of one link, each way
    held: Held = Held()  # noqa: RUF009
    sold: float = 1.0  # share of the cores in a part that is sold
    rate: float = 1.0  # of the matrix units, where a product is held back
    sram_sold: float = 1.0
    memory_sold: float = 1.0  # of what its stacks hold
    watts_fit: float = 1.0  # power of the matrix units of a known chip over what is predicted
    delivery: Fact | None = None  # in place of the usual one
    budget_w: float | None = None
    cooling: Cooling | None = None  # None: the least that carries the heat
    domain: int = 1
    wired: tuple[str, int] = ("", 0)  # kind and number of the links of the chip it is like
    dtypes: tuple[str, ...] = ()
    without: tuple[str, ...] = ()  # kinds of operators that it cannot run
    core_macs: float = 0.0  # of a core of the chip it is like
    core_vector: Number = 0.0  # FLOP a cycle of one, in fp32

    @property
    def die_mm2(self) -> float:
        """Area of one die."""
        return self.whole_mm2 / self.silicon.dies

    @property
    def known(self) -> bool:
        """Whether it starts from a chip that is known."""
        return self.held.macs > 0


@dataclass(frozen=True)
class Figures:
    """What a design comes to; numbers or arrays of samples, in SI units."""

    plan: Floorplan
    power: Power  # at the clock that the budget sustains
    full_w: Number  # at the full clock
    clock: Number  # share of the full one that the budget sustains
    peak_flop_per_s: Number  # bf16, of a part that is sold
    vector_flop_per_s: Number
    sram_bytes: Number
    memory_bytes: Number
    memory_bytes_per_s: Number
    link_bytes_per_s: Number
    tdp_w: Number


def figures(design: Design, draw: Draw) -> Figures:
    """Peak, memory, links and power of a design, at the figures that `draw` gives."""
    plan = floorplan(design.silicon, design.whole_mm2, design.split, draw, design.held)
    clock = GIGA * drawn(design.clock_ghz, f"design.{design.name}.clock", draw)
    macs = np.maximum(plan.macs, 0.0) * design.sold * design.rate
    stacks = design.memory.count if design.memory else 0
    each = design.stack_bytes_per_s
    bandwidth = stacks * drawn(each, f"design.{design.name}.stack", draw) if each else 0.0
    each = design.link_bytes_per_s
    links = design.silicon.ports.links
    link = links * drawn(each, f"design.{design.name}.link", draw) if each and links else 0.0
    power = _power(design, macs * clock, bandwidth, link, draw)
    share = 1.0 if design.budget_w is None else sustained_clock(power, design.budget_w, draw)
    drawn_power = at_clock(power, share, draw)
    return Figures(
        plan=plan,
        power=drawn_power,
        full_w=power.total,
        clock=share,
        peak_flop_per_s=2.0 * macs * clock * share,
        vector_flop_per_s=plan.cores * design.sold * design.core_vector * clock * share,
        sram_bytes=plan.sram_bytes * design.sram_sold,
        memory_bytes=stacks
        * (design.memory.gb if design.memory else 0.0)
        * GIGA
        * design.memory_sold,
        memory_bytes_per_s=bandwidth,
        link_bytes_per_s=link,
        tdp_w=drawn_power.total,
    )


def _power(design: Design, macs_per_s: Number, memory: Number, link: Number, draw: Draw) -> Power:
    """At the full clock. A known chip keeps the energy that its rating implies."""
    silicon, ports = design.silicon, design.silicon.ports
    around = design.delivery and drawn(design.delivery, f"design.{design.name}.delivery", draw)
    own = central if design.known and around is None else draw
    matrix = macs_per_s * mac_joule(silicon.node, own, around) * design.watts_fit
    joint = GIGA * ports.joint_gb_per_s * max(silicon.dies - 1, 0)
    moved = 2.0 * moved_w(ports.link, link, draw) + 2.0 * moved_w(
        ports.host, ports.lanes * _bandwidth(ports.host), draw
    )
    between = 2.0 * moved_w(blocks.phys()["ucie"], joint, draw)
    return Power(
        matrix=matrix,
        memory=moved_w(ports.memory, memory, draw),
        links=moved + between,
        static=static_w(design.whole_mm2, draw),
    )


def _bandwidth(phy: Phy) -> float:
    return phy.bandwidth.value if phy.bandwidth else 0.0


def recipe(design: Design) -> Recipe:
    """The design as a fab makes it."""
    silicon, dies = design.silicon, design.silicon.dies
    plan = floorplan(silicon, design.whole_mm2, design.split, central, design.held)
    made = max(round(float(plan.cores) / dies), 1)
    share = min(max((design.split[0] + design.split[1]) / design.whole_mm2, 0.01), 0.99)
    one = DieRecipe(
        name="die",
        node=silicon.node,
        area=exact(design.die_mm2, "mm2"),
        count=dies,
        cores=made,
        needed=min(max(int(np.ceil(design.sold * made)), 1), made),
        core_share=exact(share, "1"),
    )
    sites = silicon.ports.sites if design.memory else 0
    package = usual_package((one,), design.memory, sites)
    return Recipe(name=design.name, dies=(one,), package=package, memory=design.memory, sites=sites)


def exact(value: float, unit: str) -> Fact:
    """A figure of the design itself, which has no range."""
    return Fact(value, value, value, unit, "user", COMMAND_LINE)


def making(design: Design, at: Figures, draw: Draw) -> tuple[Cost, Number]:
    """(cost of making one, what its cooling costs), at the figures that `draw` gives. [USD]"""
    cost = cost_of(recipe(design), draw)
    return cost, cooling_usd(cooling_of(design, at), at.tdp_w, draw)


def cooling_of(design: Design, at: Figures) -> Cooling:
    """The cooling that is asked for, or the least that carries the heat; the most where none."""
    if design.cooling is not None:
        return design.cooling
    known = list(blocks.coolings().values())
    watts = float(np.median(at.tdp_w))
    for one in known:
        if carries(one, watts, design.whole_mm2, central):
            return one
    return blocks.coolings()["cold-plate"]


def from_chip(chip: Chip) -> Design:
    """The design that a chip of the catalogue is.

    Its logic takes what its other blocks leave of its dies, its matrix units what memory and links
    leave of its rating. Raises `MissingFact` without a peak or a die area, `UsageError` for a chip
    of several kinds of dies or of no known node.
    """
    made = recipe_of(chip)
    if len(made.dies) > 1:
        names = " and ".join(die.name for die in made.dies)
        raise UsageError(
            f"`{chip.id}` is put together from dies of several kinds ({names}); a design has one. "
            "Start from a chip of one kind, as in `--from h100`."
        )
    (die,) = made.dies
    cores = blocks.cores().get(die.name, blocks.cores()["unknown"])
    peak = chip.compute.dense.bf16 or chip.compute.dense.fp16
    if peak is None:
        raise MissingFact(chip.id, "compute.dense.bf16", "100TFLOP/s")
    assert cores.macs is not None
    assert cores.clock_ghz is not None
    clock = cores.clock_ghz
    sold_cores = chip.compute.units.value if chip.compute.units else 0.0
    if not sold_cores:
        sold_cores = max(peak.value / (2 * cores.macs.value * clock.value * GIGA), 1.0)
    core_macs = cores.macs.value
    if cores.id == "unknown":
        core_macs = peak.value / (2 * sold_cores * clock.value * GIGA)
    made_cores = float(die.cores * die.count) if die.cores else sold_cores
    contents = (made_cores * core_macs, made_cores, _sram(chip, made))
    silicon = _silicon(chip, made)
    start = Design(
        name=chip.id,
        like=chip,
        silicon=silicon,
        wired=(silicon.ports.link.id, silicon.ports.links),
        whole_mm2=die.area.value * die.count,
        split=(0.0, 0.0, 0.0),
        clock_ghz=exact(clock.value, "1"),
        memory=made.memory,
        memory_sold=_memory_sold(chip, made.memory),
        sold=sold_cores / made_cores,
        rate=peak.value / (2 * sold_cores * core_macs * clock.value * GIGA),
        sram_sold=made.memory.count / made.sites if made.memory and made.sites else 1.0,
        domain=int(chip.scale_up.domain.value) if chip.scale_up.domain else 1,
        dtypes=tuple(d for d in DTYPES if getattr(chip.compute.dense, d) is not None),
        core_macs=core_macs,
        core_vector=_vector(chip, sold_cores, clock.value),
    )  # fmt: skip
    return _powered(_calibrated(_rated(start), contents))


def _silicon(chip: Chip, made: Recipe) -> Silicon:
    (die,) = made.dies
    memory = blocks.phys()["hbm4" if made.memory and made.memory.hbm.id == "hbm4" else "hbm"]
    late = chip.year is not None and chip.year.value >= 2022
    link = blocks.phy_of_link(chip.scale_up.link, "link", "nvlink4" if late else "nvlink3")
    host = blocks.phy_of_link(chip.host_link, "host", "pcie5" if late else "pcie4")
    each = _bandwidth(link)
    up = chip.scale_up.bandwidth
    ports = Interfaces(
        memory=memory,
        sites=made.sites,
        link=link,
        links=max(round(up.value / each), 1) if up else 0,
        host=host,
        lanes=16 if chip.host_link else 0,
    )
    kind = "cache" if chip.vendor in ("NVIDIA", "AMD") else "scratchpad"
    return Silicon(die.node, die.count, blocks.arrays()[kind], ports)


def _sram(chip: Chip, made: Recipe) -> float:
    """Bytes on the dies, with what lies beside places for stacks that hold none."""
    if chip.memory.sram is None:
        return 0.0
    places = made.sites / made.memory.count if made.memory and made.sites else 1.0
    return chip.memory.sram.value * places


def _memory_sold(chip: Chip, memory: Stacks | None) -> float:
    """What a chip is sold with, of what its stacks hold. [1]"""
    if memory is None or chip.memory.capacity is None:
        return 1.0
    return chip.memory.capacity.value / (GIGA * memory.gb * memory.count)


def _vector(chip: Chip, cores: float, clock_ghz: float) -> float:
    known = chip.compute.vector_fp32
    return known.value / (cores * clock_ghz * GIGA) if known else 0.0


def _rated(start: Design) -> Design:
    """With the rates of its memory and its links, and what lies between its dies."""
    chip, ports = start.like, start.silicon.ports
    stack = link = None
    if start.memory is not None and chip.memory.bandwidth is not None:
        stack = over(chip.memory.bandwidth, start.memory.count)
    if chip.scale_up.bandwidth is not None:
        link = over(chip.scale_up.bandwidth, ports.links)
    return joined(replace(start, stack_bytes_per_s=stack, link_bytes_per_s=link))


def over(fact: Fact, count: float) -> Fact:
    """One of `count` equal parts of a figure."""
    value, low, high = fact.value / count, fact.low / count, fact.high / count
    return Fact(value, low, high, fact.unit, fact.provenance, fact.source)


def joined(design: Design) -> Design:
    """The design with as much between its dies as its memory asks for."""
    if design.silicon.dies == 1 or design.memory is None or design.stack_bytes_per_s is None:
        return design
    share = blocks.joint().of_memory
    assert share is not None
    rate = design.memory.count * design.stack_bytes_per_s.value * share.value / 2 / GIGA
    ports = replace(design.silicon.ports, joint_gb_per_s=rate)
    return replace(design, silicon=replace(design.silicon, ports=ports))


def _calibrated(start: Design, contents: tuple[float, float, float]) -> Design:
    """With the areas that its blocks must have on its dies."""
    fit = fitted(start.silicon, start.whole_mm2, contents, central)
    if not ODD[0] <= fit <= ODD[1]:
        raise UsageError(
            f"The dies of `{start.like.id}` do not hold what the catalogue says it has: its logic "
            f"would take {fit:.2g} times the usual area. Design one like it in a file: `parity "
            "chips design my.toml`."
        )
    silicon = replace(start.silicon, fit=fit)
    areas = area_of(silicon, contents, central)
    split = (areas["matrix units"], areas["cores"], areas["SRAM"])
    ports = Ports(silicon.ports.sites, silicon.ports.links, silicon.ports.lanes)
    matrix, cores, sram = (float(area) for area in split)
    held = Held(contents[0], contents[1], contents[2], matrix, cores, sram, ports)
    return replace(start, silicon=silicon, split=(matrix, cores, sram), held=held)


def _powered(start: Design) -> Design:
    """With the energy of its matrix units that its rating implies."""
    tdp = start.like.physical.tdp
    if tdp is None:
        return start
    power = figures(start, central).power
    left = tdp.value - power.static - power.memory - power.links
    return replace(start, watts_fit=max(float(left / power.matrix), LEAST_FIT))
