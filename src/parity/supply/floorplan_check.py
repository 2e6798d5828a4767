"""What the floor plan and the power model say of dies that are known, beside what they are."""

from __future__ import annotations

from dataclasses import dataclass

from parity.catalogue import load
from parity.catalogue.machine import Number, central
from parity.errors import ParityError
from parity.supply import blocks, tables
from parity.supply.blocks import Known
from parity.supply.floorplan import Interfaces, Silicon, area_of
from parity.supply.power import Power, mac_joule, moved_w, static_w

#: Lanes of a host link, and bytes of a MiB.
LANES, MIB = 16, 2**20


@dataclass(frozen=True)
class Checked:
    """A known die: its area and the rating of its chip, true and predicted; None where not known.

    fitted: whether what a core takes was derived from it.
    """

    name: str
    fitted: bool
    area_mm2: float | None
    predicted_mm2: float | None
    tdp_w: float | None
    predicted_w: float | None

    @property
    def area_off(self) -> float | None:
        """Predicted over true area, less one. [1]"""
        if self.area_mm2 is None or self.predicted_mm2 is None:
            return None
        return self.predicted_mm2 / self.area_mm2 - 1.0

    @property
    def watts_off(self) -> float | None:
        """Predicted over true rating, less one. [1]"""
        if self.tdp_w is None or self.predicted_w is None:
            return None
        return self.predicted_w / self.tdp_w - 1.0


def checked() -> tuple[Checked, ...]:
    """Every known die, with what is predicted of it from what it holds and does alone."""
    return tuple(_checked(one) for one in blocks.known().values())


def _checked(one: Known) -> Checked:
    area = one.area.value if one.area else None
    tdp, watts = _rating(one)
    return Checked(one.name, one.fitted, area, _area(one) if area else None, tdp, watts)


def _area(one: Known) -> float:
    if one.macs is None or one.cores is None or one.sram_mib is None:
        raise ParityError(f"The known die {one.id} says not what it holds.")
    phys = blocks.phys()
    ports = Interfaces(
        memory=phys["hbm"],
        sites=one.memory_sites,
        link=phys[one.link],
        links=one.links,
        host=phys[one.host],
        lanes=LANES if one.chip else 0,
    )
    silicon = Silicon(tables.node(one.node), one.dies, blocks.array(one.array), ports, one.mac)
    contents = (one.macs.value, one.cores.value, one.sram_mib.value * MIB)
    return float(sum(area_of(silicon, contents, central).values()))


def _rating(one: Known) -> tuple[float | None, float | None]:
    """(rating of its chip, what is predicted). [W]"""
    if not one.chip:
        return None, None
    chip, phys = load.chip(one.chip), blocks.phys()
    peak = chip.compute.dense.bf16 or chip.compute.dense.fp16
    if peak is None or chip.physical.tdp is None:
        return None, None
    memory = chip.memory.bandwidth
    moved: Number = 0.0
    if memory is not None and chip.memory.kind != "SRAM":
        moved = moved_w(phys["hbm"], memory.value, central)
    up, host = chip.scale_up.bandwidth, phys[one.host].bandwidth
    links = 2 * moved_w(phys[one.link], up.value if up else 0.0, central)
    links += 2 * moved_w(phys[one.host], LANES * host.value if host else 0.0, central)
    matrix = peak.value / 2 * mac_joule(tables.node(one.node), central)
    area = one.silicon or one.area
    static = static_w(area.value if area else 0.0, central)
    return chip.physical.tdp.value, float(Power(matrix, moved, links, static).total)
