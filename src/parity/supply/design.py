"""What has to be paid once: the design of each die and its masks."""

from __future__ import annotations

import numpy as np

from parity.catalogue.machine import Draw, Number
from parity.errors import Infeasible
from parity.supply import tables
from parity.supply.recipe import DieRecipe
from parity.supply.tables import drawn

#: Share of the design cost that grows with the area (modules and physical design), against a
#: chip of so many mm² [Feng, Ma 2022, parameter.ini: 0.5 + 0.3; spec.py].
BY_AREA, REFERENCE_MM2 = 0.8, 300.0


def masks_usd(die: DieRecipe, draw: Draw) -> Number:
    """One set of masks for a die [IC Knowledge, as ttm-cas has it]. [USD]"""
    return drawn(die.node.mask_set_usd, f"node.{die.node.id}.mask_set_usd", draw)


def design_usd(die: DieRecipe, area_mm2: Number, draw: Draw) -> Number:
    """Design of a die up to its first tape-out, without the masks. [USD]

    A share grows with the area, the rest is fixed [Feng, Ma 2022, section 3.1]. Raises
    `Infeasible` where no figure is published for the class of the node.
    """
    key = str(die.node.class_nm)
    known = tables.designs().get(key)
    if known is None:
        raise Infeasible(
            f"No design cost is published for the {key} nm class of {die.node.id}; without "
            "--volume the cost is that of making alone."
        )
    whole = drawn(known.nre_usd, f"design.{key}.nre_usd", draw)
    scaled = whole * (1.0 - BY_AREA + BY_AREA * area_mm2 / REFERENCE_MM2)
    return np.maximum(scaled - masks_usd(die, draw), 0.0)
