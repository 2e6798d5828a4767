"""What a chip draws, how fast that lets its clock run, and what carries the heat away.

At its rating a chip does all it can at once: its matrix units multiply, its memory and links run
at their bandwidth. Energy of an operation falls with the square of the voltage [Horowitz 2014,
ISSCC, section 2], which falls with the clock down to a floor.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from parity.catalogue.machine import Draw, Number
from parity.supply import blocks
from parity.supply.blocks import Cooling, Phy
from parity.supply.tables import Node, drawn

PICO = 1e-12
BITS = 8.0
#: Halvings in which a clock is found to a part in a million.
HALVINGS = 40


@dataclass(frozen=True)
class Power:
    """What a chip draws at its full clock, in watts; numbers or arrays of samples."""

    matrix: Number
    memory: Number
    links: Number  # to other chips, to the host, between dies
    static: Number

    @property
    def total(self) -> Number:
        """The sum of the parts."""
        return self.matrix + self.memory + self.links + self.static


def mac_joule(node: Node, draw: Draw, delivery: Number | None = None) -> Number:
    """Energy of a multiply-accumulate of bf16 and of all that brings it its operands. [J]

    Arithmetic at 7 nm [Jouppi et al. 2021, ISCA, table 2], by the class of the node, times what
    surrounds it; delivery: that factor where it is stated.
    """
    known = blocks.energy()
    arithmetic = drawn(known.mac_pj, "energy.mac_pj", draw)
    scale = drawn(blocks.scales()[str(node.class_nm)].energy, f"scale.{node.class_nm}", draw)
    around = drawn(known.delivery, "energy.delivery", draw) if delivery is None else delivery
    return PICO * arithmetic * scale * around


def moved_w(phy: Phy, bytes_per_s: Number, draw: Draw) -> Number:
    """Power of moving so much through an interface, in all directions together. [W]"""
    each = drawn(phy.pj_per_bit, f"phy.{phy.id}.pj_per_bit", draw)
    return PICO * each * BITS * bytes_per_s


def static_w(silicon_mm2: Number, draw: Draw) -> Number:
    """What dies of so much area draw whatever is done, at the full voltage. [W]"""
    each = drawn(blocks.energy().static_w_per_mm2, "energy.static_w_per_mm2", draw)
    return each * silicon_mm2


def voltage(clock: Number, draw: Draw) -> Number:
    """Voltage at a share of the full clock, over that at the full clock. [1]"""
    floor = drawn(blocks.energy().voltage_floor, "energy.voltage_floor", draw)
    return floor + (1.0 - floor) * clock


def at_clock(power: Power, clock: Number, draw: Draw) -> Power:
    """The parts at a share of the full clock: matrix units by `fV²`, leakage by `V`. [W]"""
    volts = voltage(clock, draw)
    matrix, static = power.matrix * clock * volts**2, power.static * volts
    return Power(matrix, power.memory, power.links, static)


def sustained_clock(power: Power, budget_w: Number, draw: Draw) -> Number:
    """The share of the full clock, up to 1, at which the draw is the budget. [1]

    Zero where memory, links and leakage alone take more. By halving: the draw rises with the clock.
    """
    low, high = np.broadcast_arrays(0.0 * power.total, 0.0 * power.total + 1.0)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        over = at_clock(power, middle, draw).total > budget_w
        low, high = np.where(over, low, middle), np.where(over, middle, high)
    found = np.where(power.total <= budget_w, 1.0, low)
    return np.where(at_clock(power, 0.0, draw).total > budget_w, 0.0, found)


def carries(cooling: Cooling, watts: Number, silicon_mm2: Number, draw: Draw) -> Number:
    """Whether a way of cooling carries so much heat off dies of so much area."""
    most = drawn(cooling.limit_w, f"cooling.{cooling.id}.limit_w", draw)
    flux = drawn(cooling.w_per_mm2, f"cooling.{cooling.id}.w_per_mm2", draw)
    return (watts <= most) & (watts <= flux * silicon_mm2)


def cooling_usd(cooling: Cooling, watts: Number, draw: Draw) -> Number:
    """What carrying the heat away costs beyond a server with fans. [USD]"""
    if cooling.usd_per_w is None:
        return 0.0 * watts
    return watts * drawn(cooling.usd_per_w, f"cooling.{cooling.id}.usd_per_w", draw)
