"""What a die emits before it computes anything."""

from __future__ import annotations

from parity.catalogue.machine import Draw, Number
from parity.supply import tables
from parity.supply.tables import Node, drawn


def carbon_kg_per_cm2(node: Node, draw: Draw) -> Number | None:
    """Emissions of the fab for a square centimetre of wafer; None where no node is near. [kg]

    Energy times grid intensity, gases at 95 % abatement, materials [Gupta et al. 2022 (ACT), doi
    10.1145/3470496.3527408, equations 4 and 5, table 1]. Divide by the yield for a good die.
    """
    known = tables.emissions().get(str(node.class_nm))
    if known is None:
        return None
    constants = tables.constants()["emissions"]
    grid = drawn(constants.grid_g_per_kwh, "carbon.grid_g_per_kwh", draw)
    energy = drawn(known.kwh_per_cm2, f"carbon.{known.id}.kwh_per_cm2", draw)
    gases = drawn(known.gas_g_per_cm2, f"carbon.{known.id}.gas_g_per_cm2", draw)
    materials = drawn(constants.materials_g_per_cm2, "carbon.materials", draw)
    return (energy * grid + gases + materials) / 1000.0
