"""The network a row states, in place of the one its chip usually has."""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import Literal

import msgspec

from parity.catalogue.machine import UNBOUNDED, UNKNOWN_LINK, Level, Machine
from parity.record import Record
from parity.units import parse

_SLICES = re.compile(r"(\d{1,6}) slice\(s\)")
_RATE = re.compile(
    r"(?:(\d{1,2}) ?x [^;,]{0,40}?)?(\d{1,5}) ?(G[bB])(?:/s(?:ec)?|ps)[^;,]{0,20}? "
    r"per (node|gpu|chip)",
    re.IGNORECASE,
)


class Stated(Record, frozen=True, kw_only=True):
    """One line of `interconnects.toml`."""

    text: str
    per: Literal["chip", "node"]
    rate: str
    note: str = ""


@cache
def stated() -> tuple[Stated, ...]:
    """Every label known."""
    text = files("parity.evidence").joinpath("data", "interconnects.toml").read_text("utf-8")
    return msgspec.convert(tomllib.loads(text)["link"], tuple[Stated, ...])


@cache
def network_bytes_per_s(label: str, chips_per_node: int) -> float:
    """What one chip sends outside its node, one way; 0 where the label does not say. [byte/s]"""
    share = {"node": max(chips_per_node, 1), "chip": 1, "gpu": 1}
    for known in stated():
        if re.search(known.text, label, re.IGNORECASE):
            return parse(known.rate, "byte/s") / share[known.per]
    found = _RATE.search(label)
    if found is None:
        return 0.0
    rate = parse(f"{found[2]}{found[3]}/s", "byte/s") * int(found[1] or 1)
    return rate / share[found[4].lower()]


def slices_of(label: str) -> int:
    """TPU slices joined by a data-centre network; 0 where the label does not say."""
    found = _SLICES.search(label)
    return int(found[1]) if found else 0


def rewired(machine: Machine, *, network: float, node: int, chips: int, slices: int) -> Machine:
    """`machine` with a stated network, node size and slices; 0 leaves what the catalogue has.

    network: of one chip [byte/s]. node: chips of one. chips: of a run on a torus, which is cut to
    the slices that hold them.
    """
    levels = machine.levels
    if levels and node and _is_node(machine, levels[0]) and node < levels[0].size:
        levels = (replace(levels[0], size=node), *(x for x in levels[1:] if x.name != "host"))
    if levels and chips and levels[0].topology.startswith("torus"):
        slice_size = max(1, chips // slices) if slices else chips
        levels = (replace(levels[0], size=min(levels[0].size, slice_size)), *levels[1:])
    if network:
        inner = tuple(x for x in levels if x.name not in ("scale-out", "core"))
        levels = (*inner, _network(machine, network))
    return replace(machine, levels=levels, node=node or machine.node)


def _is_node(machine: Machine, level: Level) -> bool:
    return level.size <= machine.node and not level.topology.startswith("torus")


def _network(machine: Machine, network: float) -> Level:
    """The outermost level at another bandwidth; its own achieved share where it has one."""
    old = machine.levels[-1] if machine.levels else None
    known = old is not None and old.name in ("scale-out", "core")
    return Level(
        name="scale-out",
        size=UNBOUNDED,
        topology="switch",
        bandwidth_bytes_per_s=network,
        achieved_fraction=old.achieved_fraction if old and known else UNKNOWN_LINK[1],
    )
