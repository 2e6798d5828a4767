"""From catalogue records to the numbers the equations take: one chip in one cluster.

A figure may be one number, or an array of samples drawn from its range: `draw` decides. Every
equation broadcasts, so the same code answers for the central value and for 256 samples.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from parity.catalogue.load import cluster as find_cluster
from parity.catalogue.load import link as find_link
from parity.catalogue.schema import DTYPES, Chip, Cluster, Topology
from parity.errors import MissingFact
from parity.record import Fact

#: A float or an array of floats. Equations broadcast, which no annotation can say.
Number: TypeAlias = Any
Draw: TypeAlias = Callable[[str, float, float, float], Number]
Reader: TypeAlias = Callable[[str, Fact | None, str], Number]

#: What collectives reach of a link nobody measured: the spread of those that somebody did.
UNKNOWN_LINK = (0.65, 0.8, 0.9)
#: Memory is made in powers of two: the "80 GB" of a data sheet is 80 · 2^30 bytes.
BINARY_GIGABYTE = 2**30 / 1e9
#: What a driver shows of them. PyTorch reports 79.1 GiB on the "80 GB" of H100 and A100, 139.8 on
#: "141", 178.4 on "180", 31.7 on "32", 192.0 on the "192" of MI300X; GDDR6 gives a sixteenth to
#: error correction (44.5 GiB on the "48 GB" of L40S, 22.0 on the "24" of A10).
DRIVER_SHARE, DRIVER_SHARE_GDDR6 = 0.99, 0.99 * 15 / 16
#: The outermost level of a network reaches any number of chips.
UNBOUNDED = 10**9


def central(key: str, value: float, low: float, high: float) -> Number:  # noqa: ARG001
    """The stated value, whatever its range."""
    return value


@dataclass(frozen=True)
class Level:
    """One level of the network: `size` chips reach each other at `bandwidth` each, one way."""

    name: str
    size: int
    topology: Topology
    bandwidth_bytes_per_s: Number
    achieved_fraction: Number
    latency_share: Number = 1.0  # of its hops, over those measured inside and between domains


@dataclass(frozen=True)
class Machine:
    """The numbers of one chip in one cluster, SI units; `levels` from the inside out."""

    chip: Chip
    cluster_id: str
    peak_flop_per_s: dict[str, Number]
    memory_bytes: Number
    memory_bandwidth_bytes_per_s: Number
    tdp_w: Number | None
    units: int  # SMs, CUs, cores a wave of tiles is spread over; 0 where unknown
    node: int
    levels: tuple[Level, ...] = field(default=())
    host_bytes_per_s: Number | None = None  # to the memory of the host, each way
    launch_share: Number = 1.0  # of the gaps before kernels, over those measured on such chips

    @property
    def driver_bytes(self) -> Number:
        """What a driver shows of the memory. [byte]

        `memory_bytes`, as data sheets count, is less: about what remains of it when a training
        framework's context, communicators and fragments are taken off.
        """
        kind = self.chip.memory.kind
        if kind == "SRAM":
            return self.memory_bytes
        shown = DRIVER_SHARE_GDDR6 if kind == "GDDR6" else DRIVER_SHARE
        return self.memory_bytes * BINARY_GIGABYTE * shown

    @property
    def closest(self) -> int:
        """Chips one may divide a product over: a scale-up domain, or a node if that is larger."""
        return max(self.node, self.levels[0].size if self.levels else 1)


def machine(chip: Chip, cluster: str = "", draw: Draw = central) -> Machine:
    """The numbers of `chip` in `cluster` (its usual one when not named).

    Raises `MissingFact` where a figure every answer needs is not published, `UnknownName` for an
    unknown cluster.
    """

    def number(path: str, fact: Fact | None, example: str) -> Number:
        if fact is None:
            raise MissingFact(chip.id, path, example)
        return draw(f"{chip.id}.{path}", fact.value, fact.low, fact.high)

    peaks = {
        dtype: number(f"compute.dense.{dtype}", fact, "100TFLOP/s")
        for dtype in DTYPES
        if (fact := getattr(chip.compute.dense, dtype)) is not None
    }
    if not peaks.keys() & {"fp16", "bf16"}:
        raise MissingFact(chip.id, "compute.dense.bf16", "100TFLOP/s")
    built = find_cluster(cluster or chip.cluster) if cluster or chip.cluster else None
    tdp = chip.physical.tdp
    return Machine(
        chip=chip,
        cluster_id=built.id if built else "",
        peak_flop_per_s=peaks,
        memory_bytes=number("memory.capacity", chip.memory.capacity, "96GB"),
        memory_bandwidth_bytes_per_s=number("memory.bandwidth", chip.memory.bandwidth, "2TB/s"),
        tdp_w=draw(f"{chip.id}.tdp", tdp.value, tdp.low, tdp.high) if tdp else None,
        units=int(chip.compute.units.value) if chip.compute.units else 0,
        node=_node(chip, built),
        levels=_levels(chip, built, number, draw),
        host_bytes_per_s=_host_rate(chip, draw),
    )


def _host_rate(chip: Chip, draw: Draw) -> Number | None:
    """What transfers reach of the link to the host; None where it is not known."""
    link = find_link(chip.host_link) if chip.host_link else None
    if link is None or link.bandwidth is None:
        return None
    level = _level("host", 1, "switch", link.bandwidth.value, link.id, draw)
    return level.bandwidth_bytes_per_s * level.achieved_fraction


def _stated(own: Fact | None, wired: Fact | None) -> Fact | None:
    """The cluster's figure of a link, unless the user states one of the chip."""
    return own if own is not None and own.provenance == "user" else wired or own


def _node(chip: Chip, built: Cluster | None) -> int:
    return _count(_stated(chip.node, built.chips_per_node if built else None), 8)


def _count(fact: Fact | None, default: int) -> int:
    return int(fact.value) if fact else default


def link_facts(chip: Chip, cluster: str = "") -> tuple[Fact | None, Fact | None]:
    """Bandwidths of a chip's links inside its domain and to the fabric, as it is wired."""
    built = find_cluster(cluster or chip.cluster) if cluster or chip.cluster else None
    up, out = (built.scale_up, built.scale_out) if built else (None, None)
    return (
        _stated(chip.scale_up.bandwidth, up.bandwidth if up else None),
        _stated(chip.scale_out.bandwidth, out.bandwidth if out else None),
    )


def _levels(chip: Chip, built: Cluster | None, number: Reader, draw: Draw) -> tuple[Level, ...]:
    """Scale-up domain, then the host bus where a node holds more than a domain, then the fabric."""
    up = built.scale_up if built else None
    node = _node(chip, built)
    domain = _count(_stated(chip.scale_up.domain, up.domain if up else None), 1)
    levels: list[Level] = []
    if domain > 1:
        fact = _stated(chip.scale_up.bandwidth, up.bandwidth if up else None)
        bandwidth = number("scale_up.bandwidth", fact, "200GB/s")
        topology: Topology = up.topology if up else "switch"
        link = up.link if up else chip.scale_up.link
        levels.append(_level("scale-up", domain, topology, bandwidth, link, draw))
    if domain < node:
        host = chip.host_link and find_link(chip.host_link).bandwidth
        bandwidth = _host_bandwidth(chip, host, number)
        levels.append(_level("host", node, "switch", bandwidth, chip.host_link, draw))
    levels.extend(_fabric(chip, built, number, draw))
    return tuple(levels)


def _host_bandwidth(chip: Chip, host: Fact | str | None, number: Reader) -> Number:
    if isinstance(host, Fact):
        return host.value
    return number("scale_up.bandwidth", chip.scale_up.bandwidth, "32GB/s")


def _fabric(chip: Chip, built: Cluster | None, number: Reader, draw: Draw) -> list[Level]:
    out = built.scale_out if built else None
    fact = _stated(chip.scale_out.bandwidth, out.bandwidth if out else None)
    if fact is None or fact.value == 0:
        return []
    bandwidth = number("scale_out.bandwidth", fact, "50GB/s")
    link = out.link if out else ""
    if out and out.oversubscription and out.oversubscription.value > 1:
        ratio, reach = out.oversubscription.value, _count(out.nonblocking, 0)
        outer = _level("core", UNBOUNDED, "switch", bandwidth / ratio, link, draw)
        return (
            [_level("scale-out", reach, "switch", bandwidth, link, draw), outer]
            if reach
            else [outer]
        )
    return [_level("scale-out", UNBOUNDED, "switch", bandwidth, link, draw)]


def _level(
    name: str, size: int, topology: Topology, bandwidth: Number, link_id: str, draw: Draw
) -> Level:
    known = find_link(link_id).achieved_fraction if link_id else None
    low, value, high = (known.low, known.value, known.high) if known else UNKNOWN_LINK
    return Level(
        name=name,
        size=size,
        topology=topology,
        bandwidth_bytes_per_s=bandwidth,
        achieved_fraction=draw(f"{link_id or name}.achieved_fraction", value, low, high),
    )
