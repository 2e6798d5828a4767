"""What a design breaks: reticle, package, the area and the edges of its dies, heat."""

from __future__ import annotations

import numpy as np
from msgspec import structs

from parity.catalogue.machine import central
from parity.errors import Infeasible, ParityError
from parity.record import Finding
from parity.supply import blocks
from parity.supply.blocks import Cooling
from parity.supply.custom import Design, Figures, cooling_of, recipe
from parity.supply.floorplan import rest_share, sram_to_feed, stacks_at_edge
from parity.supply.power import carries
from parity.supply.recipe import BEYOND_RETICLE, check_die, check_package
from parity.supply.wafer import fields_needed
from parity.units import render, significant

DOES_NOT_FIT, NO_EDGE, TOO_HOT = "P123", "P124", "P125"
LITTLE_REST, STARVED = "P223", "P224"
#: A share of the usual rest below which a design has forgotten something.
LITTLE = 0.5


def limits(design: Design, at: Figures) -> tuple[Finding, ...]:
    """What stands in the way of a design, at its stated figures; errors first."""
    made = recipe(design)
    found: list[Finding] = []
    try:
        check_die(made.dies[0], design.name)
        check_package(made)
    except Infeasible as error:
        found += [structs.replace(one, fix=_way_out(design, one.code)) for one in error.findings]
    found += [*_areas(design, at), *_edges(design), *_heat(design, at), *_fed(design, at)]
    return tuple(sorted(found, key=lambda finding: finding.severity != "error"))


def _way_out(design: Design, code: str) -> str:
    """What helps against dies beyond the reticle, else against a package that is too small."""
    if code == BEYOND_RETICLE:
        return f"`dies={int(fields_needed(design.whole_mm2))}`, or less of a block"
    return "smaller dies, or fewer stacks"


def most_w(design: Design) -> float:
    """The most that its cooling, or the best there is, carries off its dies. [W]"""
    ways = [design.cooling] if design.cooling else list(blocks.coolings().values())
    return max(_carried(one, design.whole_mm2) for one in ways)


def _carried(cooling: Cooling, silicon_mm2: float) -> float:
    assert cooling.limit_w is not None
    assert cooling.w_per_mm2 is not None
    return min(cooling.limit_w.value, cooling.w_per_mm2.value * silicon_mm2)


def _areas(design: Design, at: Figures) -> list[Finding]:
    rest = float(np.median(at.plan.areas["rest"]))
    whole = design.whole_mm2
    usual = float(rest_share(central)) * whole
    if rest < 0:
        message = (
            f"The blocks of {design.name} take {significant(whole - rest, 4)} mm², its dies have "
            f"{significant(whole, 4)}."
        )
        fix = f"`die.area={np.ceil((whole - rest + usual) / design.silicon.dies):.0f}mm2`"
        return [Finding(DOES_NOT_FIT, "error", message, fix + ", or less of a block")]
    if rest < LITTLE * usual:
        message = (
            f"{significant(rest)} mm² are left for control, host and test; known dies keep about "
            f"{significant(usual)}."
        )
        return [Finding(LITTLE_REST, "warning", message, "a larger die, or less of a block")]
    return []


def _fed(design: Design, at: Figures) -> list[Finding]:
    """Whether its SRAM holds blocks large enough for its memory to keep up."""
    if design.memory is None or np.median(at.peak_flop_per_s) <= 0:
        return []
    need = float(np.median(sram_to_feed(at.peak_flop_per_s, at.memory_bytes_per_s)))
    has = float(np.median(at.sram_bytes))
    if has >= need:
        return []
    message = (
        f"Matrix products need {render(need, 'byte')} of SRAM for the memory of {design.name} to "
        f"keep up with its matrix units; it has {render(max(has, 0.0), 'byte')}. Speeds do not "
        "see that."
    )
    return [Finding(STARVED, "warning", message, "more `area.sram`, or more memory bandwidth")]


def _edges(design: Design) -> list[Finding]:
    memory, ports = design.memory, design.silicon.ports
    if memory is None or memory.hbm.area_mm2 is None:
        return []
    taken = ports.links > 0 or ports.lanes > 0
    stack = memory.hbm.area_mm2.value
    edge = ports.memory.edge_mm.value if ports.memory.edge_mm else 0.0
    places = stacks_at_edge(design.die_mm2, stack, edge, design.silicon.dies, ends_taken=taken)
    if memory.count <= places:
        return []
    message = (
        f"{memory.count} stacks of {memory.hbm.name} find no place beside {design.silicon.dies} "
        f"die{'s' if design.silicon.dies > 1 else ''} of {significant(design.die_mm2)} mm²: their "
        f"long edges take {places}, of {significant(np.sqrt(stack))} mm each."
    )
    fix = f"`memory.stacks={places}`" if places else "a larger die"
    return [Finding(NO_EDGE, "error", message, f"{fix}, or `dies={design.silicon.dies + 1}`")]


def _heat(design: Design, at: Figures) -> list[Finding]:
    watts = float(np.median(at.tdp_w))
    if float(np.median(at.clock)) <= 0:
        rest = float(np.median(at.power.total))
        message = (
            f"Memory, links and leakage of {design.name} draw {significant(rest)} W before its "
            f"matrix units do; {significant(design.budget_w or 0)} W are allowed."
        )
        return [Finding(TOO_HOT, "error", message, f"`power.budget={np.ceil(2 * rest):.0f}W`")]
    cooling = cooling_of(design, at)
    if bool(carries(cooling, watts, design.whole_mm2, central)):
        return []
    most = _carried(cooling, design.whole_mm2)
    message = (
        f"{design.name} draws {significant(watts)} W, {significant(watts / design.whole_mm2)} W a "
        f"mm²; cooling by {cooling.name} carries {significant(most)} W off as much."
    )
    better = [
        one.id
        for one in blocks.coolings().values()
        if bool(carries(one, watts, design.whole_mm2, central))
    ]
    fix = f"`power.cooling={better[0]}`" if better else f"`power.budget={most:.0f}W`"
    return [Finding(TOO_HOT, "error", message, fix)]


def feasible(design: Design, at: Figures) -> bool:
    """Whether a design breaks nothing."""
    try:
        return not any(one.severity == "error" for one in limits(design, at))
    except ParityError:
        return False
