"""The quantities that export rules are written in, of one chip, from the catalogue.

    total processing performance (TPP)   dense rate [TFLOP/s] x bits, the largest over dtypes
    performance density (PD)             TPP / area of the logic dies on non-planar nodes [mm2]
    memory bandwidth density             [GB/s] / area of the stack or package [mm2]
    DRAM and I/O bandwidth               per package; I/O counts both directions

Sources: 15 CFR 774 Supplement 1, ECCN 3A090, Technical Notes, as in 88 FR 73458 (2023-10-25) and
89 FR 96790 (2024-12-05). A figure that nobody published leaves an interval, never a guess.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import NamedTuple

from parity.catalogue import load
from parity.catalogue.machine import Number
from parity.catalogue.schema import Chip, Market, figure_at
from parity.record import Fact, Record
from parity.supply.wafer import RETICLE_MM2

#: Figure -> bits of an operand. TF32 multiplies 19-bit operands, whatever it is stored in.
BITS = {
    "compute.dense.fp64": 64, "compute.dense.tf32": 19, "compute.dense.fp16": 16,
    "compute.dense.bf16": 16, "compute.dense.fp8": 8, "compute.dense.int8": 8,
    "compute.dense.int4": 4, "compute.dense.fp4": 4,
    "compute.vector_fp32": 32, "compute.vector_fp64": 64,
}  # fmt: skip

#: Logic nodes of 16 nm and below are FinFET or gate-all-around; 20 nm and above planar [nm].
FINEST_PLANAR_NM, COARSEST_FINFET_NM = 20, 16

#: Published rates are rounded: two that differ by less say the same [fraction].
ROUNDING = 0.01

UNITS = {
    "tpp": "1", "performance_density": "TPP/mm2", "memory_bandwidth_density": "GB/s/mm2",
    "dram_bandwidth": "byte/s", "io_bandwidth": "byte/s", "dram_plus_io": "byte/s",
    "transistors": "1",
}  # fmt: skip

_NODE_NM = re.compile(r"(\d+)\s*nm|\b(?:N|Intel )(\d+)|\b(\d+)[AN]P?\b")


class Quantity(Record, frozen=True):
    """One quantity of a chip: a value within `low` and `high`, or an interval with no value."""

    unit: str
    value: float | None
    low: float
    high: float
    figures: tuple[str, ...] = ()  # paths of the catalogue that it rests on
    missing: tuple[str, ...] = ()  # and those that nobody published
    note: str = ""
    sources: tuple[str, ...] = ()  # keys of the bibliography behind the figures


class Thresholds(Record, frozen=True):
    """What rules look at: quantities by name, and what a chip is."""

    id: str
    vendor: str
    quantities: dict[str, Quantity]
    market: Market | None = None  # what it is designed or sold for, and who says so
    stack: bool = False  # whether it is memory sold by itself
    processor: bool = False  # whether it is a processor for general use

    @property
    def data_centre(self) -> bool | None:
        """Whether it is designed or marketed for data centres; None where nobody says."""
        return None if self.market is None else self.market.value == "data-centre"


def total_processing_performance(rate: Number, bits: Number) -> Number:
    """TPP of one dtype: dense rate [FLOP/s, a multiply-add counting 2] x bits of an operand.

    Broadcasts. 3A090 Technical Note 2: 2 x MacTOPS x bit length; 600 TOPS at 8 bits are 4,800.
    """
    return rate / 1e12 * bits


def performance_density(tpp: Number, area_mm2: Number) -> Number:
    """TPP per mm2 of logic dies on non-planar nodes. Broadcasts. 3A090 Technical Note 3."""
    return tpp / area_mm2


def memory_bandwidth_density(bandwidth: Number, area_mm2: Number) -> Number:
    """GB/s per mm2 of a memory stack or package. Broadcasts. 3A090.c Technical Note."""
    return bandwidth / 1e9 / area_mm2


def bidirectional(one_way: Number) -> Number:
    """Both directions of links whose bandwidth is counted per direction. Broadcasts."""
    return 2 * one_way


def thresholds(chip: Chip) -> Thresholds:
    """The quantities of `chip`, each with its range or the figure that is missing."""
    tpp = _tpp(chip)
    dram, io = _dram(chip), _io(chip)
    quantities = {
        "tpp": tpp,
        "performance_density": _density(chip, tpp),
        "dram_bandwidth": dram,
        "io_bandwidth": io,
        "dram_plus_io": _sum(dram, io),
        "transistors": _figure(chip, "physical.transistors", "1"),
    }
    general = chip.family in ("cpu", "apple")
    return Thresholds(chip.id, chip.vendor, quantities, chip.market, processor=general)


def stack_thresholds(name: str, bandwidth: Fact, area: Fact) -> Thresholds:
    """The quantity of a memory stack sold by itself: `bandwidth` [byte/s] over `area` [mm2]."""
    quantity = Quantity(
        UNITS["memory_bandwidth_density"],
        memory_bandwidth_density(bandwidth.value, area.value),
        memory_bandwidth_density(bandwidth.low, area.high),
        memory_bandwidth_density(bandwidth.high, area.low),
        ("bandwidth", "area"),
        note=f"{bandwidth.value / 1e9:,.4g} GB/s{_unsure(bandwidth)} over {area.value:,.4g} mm2"
        f"{_unsure(area)}",
        sources=tuple(dict.fromkeys((bandwidth.source, area.source))),
    )
    return Thresholds(name, "", {"memory_bandwidth_density": quantity}, stack=True)


def nonplanar(chip: Chip) -> bool | None:
    """Whether the logic is on a FinFET or gate-all-around node; None where none is named."""
    sizes = [int(next(filter(None, found))) for found in _NODE_NM.findall(chip.physical.process)]
    if not sizes:
        return None
    return min(sizes) <= COARSEST_FINFET_NM or (None if min(sizes) < FINEST_PLANAR_NM else False)


class _Rate(NamedTuple):
    """TPP of one dtype with its range."""

    value: float
    low: float
    high: float
    path: str
    fact: Fact


def _rate(path: str, fact: Fact) -> _Rate:
    value, low, high = (
        total_processing_performance(rate, BITS[path]) for rate in (fact.value, fact.low, fact.high)
    )
    return _Rate(value, low, high, path, fact)


def _tpp(chip: Chip) -> Quantity:
    """The largest TPP of any dtype.

    Rates that give the same TPP, but for rounding, are the same units at another width: the one
    that is known best states the range. One that is lower but may be higher widens it.
    """
    rates = [_rate(path, fact) for path in BITS if (fact := figure_at(chip, path))]
    if not rates:
        return Quantity("1", None, 0.0, math.inf, missing=("compute.dense",))
    least = (1 - ROUNDING) * max(one.value for one in rates)
    same = [one for one in rates if one.value >= least]
    best = min(same, key=lambda o: (o.high - o.low, o.path.startswith("compute.vector"), -o.value))
    others = [one for one in rates if one.value < least]
    dtype, rate = best.path.rpartition(".")[2], best.fact.value / 1e12
    note = f"{dtype} at {rate:,.6g} T/s x {BITS[best.path]} bits{_unsure(best.fact)}"
    return Quantity(
        "1",
        best.value,
        max(one.low for one in (best, *others)),
        max(one.high for one in (best, *others)),
        (best.path,),
        note=note,
        sources=(best.fact.source,),
    )


def _density(chip: Chip, tpp: Quantity) -> Quantity:
    unit = UNITS["performance_density"]
    if nonplanar(chip) is False:
        return Quantity(unit, 0.0, 0.0, 0.0, ("physical.process",), (), "planar dies do not count")
    path = "physical.logic_area"
    area = figure_at(chip, path)
    if area is None:
        path = "physical.die_area"
        area = figure_at(chip, path)
    missing = tuple(dict.fromkeys((*tpp.missing, *(() if area else ("physical.die_area",)))))
    if area is None:
        low, note = _least_density(chip, tpp)
        return Quantity(unit, None, low, math.inf, tpp.figures, missing, note)
    low = performance_density(tpp.low, area.high)
    high = performance_density(tpp.high, area.low)
    value = None if tpp.value is None else performance_density(tpp.value, area.value)
    note = f"{area.value:,.6g} mm2 of logic dies{_unsure(area)}"
    figures, sources = (*tpp.figures, path), tuple(dict.fromkeys((*tpp.sources, area.source)))
    return Quantity(unit, value, low, high, figures, missing, note, sources)


def _least_density(chip: Chip, tpp: Quantity) -> tuple[float, str]:
    """The density at the largest area that so many dies can have."""
    dies = chip.physical.dies_per_package
    if dies is None:
        return 0.0, "the die area is not published"
    most = dies.high * RETICLE_MM2
    note = f"the die area is not published; {dies.high:.0f} reticles are {most:,.0f} mm2 at most"
    return performance_density(tpp.low, most), note


def _dram(chip: Chip) -> Quantity:
    path = "memory.bandwidth"
    if chip.memory.kind == "SRAM":
        note = "the bandwidth held is that of SRAM"
        return Quantity("byte/s", None, 0.0, math.inf, missing=(path,), note=note)
    return _figure(chip, path, "byte/s")


def _io(chip: Chip) -> Quantity:
    """Links to other chips and to the host, both directions.

    Where chips talk over the host link it is counted once. Network ports are those of the server:
    they do not count, and ports of a chip that only leave its domain are missed.
    """
    up, host = chip.scale_up, chip.host_link
    known = load.catalogue().links.get(host)
    shared = bool(host) and (up.link == host or up.kind.startswith("PCIe"))
    parts: list[tuple[str, Fact | None]] = [("scale_up.bandwidth", up.bandwidth)]
    if not shared:
        parts.append(("host_link", known.bandwidth if known else None))
    return _total(parts)


def _total(parts: Iterable[tuple[str, Fact | None]]) -> Quantity:
    facts = [(path, fact) for path, fact in parts if fact is not None]
    missing = tuple(path for path, fact in parts if fact is None)
    low = bidirectional(sum(fact.low for _, fact in facts))
    high = math.inf if missing else bidirectional(sum(fact.high for _, fact in facts))
    value = None if missing else bidirectional(sum(fact.value for _, fact in facts))
    shown = " + ".join(
        f"{path} {bidirectional(fact.value) / 1e9:,.4g} GB/s{_unsure(fact)}" for path, fact in facts
    )
    figures = tuple(path for path, _ in facts)
    note = f"{shown}, both ways" if shown else ""
    sources = tuple(dict.fromkeys(fact.source for _, fact in facts))
    return Quantity("byte/s", value, low, high, figures, missing, note, sources)


def _sum(one: Quantity, other: Quantity) -> Quantity:
    known = one.value is not None and other.value is not None
    return Quantity(
        one.unit,
        (one.value or 0.0) + (other.value or 0.0) if known else None,
        one.low + other.low,
        one.high + other.high,
        (*one.figures, *other.figures),
        (*one.missing, *other.missing),
        sources=tuple(dict.fromkeys((*one.sources, *other.sources))),
    )


def _figure(chip: Chip, path: str, unit: str) -> Quantity:
    fact = figure_at(chip, path)
    if fact is None:
        return Quantity(unit, None, 0.0, math.inf, missing=(path,))
    note = f"{path}{_unsure(fact)}"
    return Quantity(unit, fact.value, fact.low, fact.high, (path,), (), note, (fact.source,))


def _unsure(fact: Fact) -> str:
    """How a figure is known, where it was not read or measured."""
    return "" if fact.provenance in ("read", "measured", "user") else f" ({fact.provenance})"
