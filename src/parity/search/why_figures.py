"""The figures of a chip one by one, each made better or worse: what questions of why vary.

Figures of the catalogue change as a user would change them, by `chip@key=value`; latencies and
the gaps before kernels, which no data sheet states, as shares of those that were measured.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from parity.catalogue.figures import LIMITS
from parity.catalogue.machine import Draw, Level, Machine, Number, link_facts, machine
from parity.catalogue.names import figure_path
from parity.catalogue.spec import override
from parity.workload.precision import HALVES

#: Levels of a network that a figure is of.
_INSIDE, _HOST, _FABRIC = ("scale-up",), ("host",), ("scale-out", "core")
#: Latencies and gaps: what the key says, and the levels it is of.
_LATENCIES = {"scale_up.latency": (*_INSIDE, *_HOST), "scale_out.latency": _FABRIC}
#: The gaps between kernels, and the bus of chips without a link of their own.
LAUNCHES, HOST_LINK = "launches", "host_link.bandwidth"
#: The gains that are tried: a tenth more, and twice as much.
FACTORS = (1.1, 2.0)


@dataclass(frozen=True)
class Figure:
    """One figure of a machine; `value` None where it is a share of what was measured."""

    key: str  # as in chip@key=value, where the catalogue has it
    value: float | None = None
    unit: str = ""
    powered: bool = False  # a peak that brings the watts it takes


def figures(target: Machine, dtypes: Iterable[str]) -> tuple[Figure, ...]:
    """The figures that an answer rests on: peaks of `dtypes`, memory, watts, links, launches.

    A peak grows at the same rating in watts, as by `chip@key=value`. What narrow products hold of
    theirs is known by the watts for each 16-bit FLOP/s, so beside them the 16-bit peak brings the
    watts it takes, and only what it is used for gains.
    """
    chip, used = target.chip, tuple(dict.fromkeys(dtypes))
    found = [
        Figure(
            f"compute.dense.{dtype}",
            _mean(target.peak_flop_per_s[dtype]),
            "FLOP/s",
            powered=dtype in HALVES and len(used) > 1,
        )
        for dtype in used
    ]
    found.append(Figure("memory.bandwidth", _mean(target.memory_bandwidth_bytes_per_s), "byte/s"))
    found.append(Figure("memory.capacity", _mean(target.memory_bytes), "byte"))
    if target.tdp_w is not None:
        found.append(Figure("physical.tdp", _mean(target.tdp_w), "W"))
    names = {level.name for level in target.levels}
    up, out = link_facts(chip, target.cluster_id)
    if names & set(_INSIDE) and up is not None:
        found.append(Figure("scale_up.bandwidth", up.value, "byte/s"))
    host = next((level for level in target.levels if level.name in _HOST), None)
    if host is not None:
        found.append(Figure(HOST_LINK, _mean(host.bandwidth_bytes_per_s), "byte/s"))
    if names & set(_FABRIC) and out is not None:
        found.append(Figure("scale_out.bandwidth", out.value, "byte/s"))
    found += [Figure(key) for key, levels in _LATENCIES.items() if names & set(levels)]
    return (*found, Figure(LAUNCHES))


def _mean(value: object) -> float:
    return float(np.mean(np.asarray(value)))


def improved(target: Machine, figure: Figure, factor: float) -> Machine | None:
    """The machine with `factor` times as much of a figure; latencies and gaps shrink by it.

    None where no such figure can be, as in `catalogue.figures.LIMITS`.
    """
    if figure.key == LAUNCHES:
        return replace(target, launch_share=target.launch_share / factor)
    if figure.key in _LATENCIES:
        names = _LATENCIES[figure.key]
        return _with_levels(target, names, latency=1.0 / factor)
    assert figure.value is not None
    if figure.key == HOST_LINK:
        return _with_levels(target, _HOST, bandwidth=factor)
    if figure.value * factor > LIMITS[figure.unit][1]:
        return None
    better = stated(target, figure.key, figure.value * factor)
    if figure.powered and target.tdp_w is not None:
        return replace(better, tdp_w=target.tdp_w * factor)
    return better


def more_of(draw: Draw, figure: Figure, factor: float) -> Draw | None:
    """`draw` with `factor` times as much of a figure; None of what the catalogue does not state."""
    if figure.value is None or figure.key == HOST_LINK:
        return None
    watts = ".tdp"
    keys = [watts if figure.key == "physical.tdp" else f".{figure.key}"]
    keys += [watts] if figure.powered else []

    def drawn(key: str, value: float, low: float, high: float) -> Number:
        found = draw(key, value, low, high)
        return found * factor if key.endswith(tuple(keys)) else found

    return drawn


def stated(target: Machine, key: str, value: float) -> Machine:
    """The machine with one figure of the catalogue as a user states it. [SI]

    What is no figure of the catalogue stays as it is. Raises `UnknownName`, `BadQuantity`.
    """
    path, unit = figure_path(key)
    chip = override(target.chip, path, f"{value:.12g}{unit if unit != '1' else ''}")
    built = machine(chip, target.cluster_id)
    return replace(
        built,
        launch_share=target.launch_share,
        levels=tuple(
            replace(level, latency_share=old.latency_share)
            for level, old in zip(built.levels, target.levels, strict=False)
        )
        if len(built.levels) == len(target.levels)
        else built.levels,
    )


def _with_levels(
    target: Machine, names: tuple[str, ...], bandwidth: float = 1.0, latency: float = 1.0
) -> Machine:
    def changed(level: Level) -> Level:
        if level.name not in names:
            return level
        return replace(
            level,
            bandwidth_bytes_per_s=level.bandwidth_bytes_per_s * bandwidth,
            latency_share=level.latency_share * latency,
        )

    return replace(target, levels=tuple(changed(level) for level in target.levels))


def over_the_host(target: Machine) -> Machine | None:
    """The machine whose chips reach one another over the host's bus, as without their link.

    None where they do anyway, or the bus is not known.
    """
    inside = [level for level in target.levels if level.name in _INSIDE]
    if not inside or target.host_bytes_per_s is None:
        return None
    levels = tuple(
        replace(
            level,
            name="host",
            size=min(level.size, target.node),
            topology="switch",
            bandwidth_bytes_per_s=target.host_bytes_per_s,
            achieved_fraction=1.0,
        )
        if level in inside
        else level
        for level in target.levels
    )
    return replace(target, levels=levels)


def one_port(target: Machine) -> Machine | None:
    """The machine whose nodes have one network port for all of their chips; None without one."""
    if target.node <= 1 or not any(level.name in _FABRIC for level in target.levels):
        return None
    return _with_levels(target, _FABRIC, bandwidth=1.0 / target.node)


def spread_over_nodes(target: Machine, chips: int) -> Machine | None:
    """The machine with so many chips of a group on each node: the rest are reached over the fabric.

    None where there is no fabric, or no larger domain to lose.
    """
    if not any(level.name in _FABRIC for level in target.levels):
        return None
    inside = [level for level in target.levels if level.name in _INSIDE and level.size > chips]
    if not inside:
        return None
    levels = tuple(
        replace(level, size=chips) if level in inside else level for level in target.levels
    )
    return replace(target, levels=levels, node=min(target.node, chips))


@dataclass(frozen=True)
class Effect:
    """What a change does to the speed of the answer: a ratio, less one.

    held: with the layout as it is, over the plan. replanned: with the best layout for it, over the
    best without it. None: not possible.
    """

    lever: str
    amount: str  # "+10 %", "x2", or empty for what is on or off
    held: float | None
    replanned: float | None
    layout: str = ""  # the new one, where it is another
    hardware: bool = True
    span: tuple[float, float] | None = None  # P10 and P90 of `held`, where it was sampled

    @property
    def size(self) -> float:
        """What effects are sorted by."""
        return (self.replanned if self.replanned is not None else self.held) or 0.0


def words_of(factor: float) -> str:
    """`+10 %`, `x2`."""
    return f"+{100 * (factor - 1):.0f} %" if factor < 2 else f"x{factor:g}"


def ratio(new: float | None, old: float) -> float | None:
    """The speed `new` over `old`, less one; rounding is no effect."""
    if new is None:
        return None
    gain = new / old - 1.0
    return 0.0 if abs(gain) < 1e-9 else gain
