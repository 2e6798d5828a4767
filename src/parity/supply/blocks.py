"""What blocks of a die take in area and energy, as strict records of `data/blocks.toml`."""

from __future__ import annotations

from functools import cache
from typing import Literal, TypeVar

from parity.catalogue.schema import Area, BytesPerS, Count, Watts
from parity.errors import UnknownName
from parity.record import Record
from parity.supply import tables

T = TypeVar("T")


class Logic(Record, frozen=True, kw_only=True):
    """A block of logic, which shrinks with the node."""

    id: str
    name: str
    transistors: Count


class Array(Record, frozen=True, kw_only=True):
    """A kind of memory on the die: cells over the area that it takes. [1]"""

    id: str
    name: str
    efficiency: Count


class Phy(Record, frozen=True, kw_only=True):
    """One interface: analog area, which does not shrink, and the transistors of its controller."""

    id: str
    name: str
    kind: Literal["memory", "link", "host", "die"]
    links: tuple[str, ...] = ()  # of the catalogue
    bandwidth: BytesPerS = None  # of one, each way
    area_mm2: Area
    transistors: Count
    pj_per_bit: Count
    edge_mm: Count = None  # of the die, that a stack of memory needs in front of it


class Share(Record, frozen=True, kw_only=True):
    """A share: of the die, or of the bandwidth of the memory."""

    id: str
    name: str
    of_die: Count = None
    of_memory: Count = None


class Energy(Record, frozen=True, kw_only=True):
    """What an operation takes at 7 nm, and what surrounds it."""

    id: str
    name: str
    mac_pj: Count
    delivery: Count  # energy of the chip at work over that of its arithmetic
    static_w_per_mm2: Count  # whatever is done, at the full voltage
    voltage_floor: Count  # of the voltage, at no clock at all


class Scale(Record, frozen=True, kw_only=True):
    """A class of nodes: energy of the same logic over that at 7 nm."""

    id: str
    energy: Count


class Cooling(Record, frozen=True, kw_only=True):
    """A way to carry heat away."""

    id: str
    name: str
    limit_w: Watts  # of a package
    w_per_mm2: Count  # of its dies
    usd_per_w: Count = None  # beyond a server with fans; nothing where None
    pue: Count


class Cores(Record, frozen=True, kw_only=True):
    """The cores of a die: what one multiplies in a cycle, and how fast the clock is."""

    id: str
    macs: Count
    clock_ghz: Count


class Known(Record, frozen=True, kw_only=True):
    """A die that is known, to measure the others against; of `dies` together."""

    id: str
    name: str
    node: str
    chip: str = ""  # of the catalogue, for its rating
    fitted: bool = False  # whether what a core takes was derived from it
    dies: int = 1
    area: Area = None
    silicon: Area = None  # of all its dies, where the area of blocks is not compared
    macs: Count = None
    cores: Count = None
    sram_mib: Count = None
    array: str = "cache"
    mac: str = "mac"
    memory_sites: int = 0
    links: int = 0
    link: str = "nvlink4"
    host: str = "pcie5"
    note: str = ""


@cache
def logic() -> dict[str, Logic]:
    """Blocks of logic: `mac`, `systolic`, `core`, `crossbar`."""
    return tables.read("blocks.toml", Logic, "logic")


@cache
def arrays() -> dict[str, Array]:
    """Kinds of memory on a die: `cache`, `scratchpad`."""
    return tables.read("blocks.toml", Array, "memory")


@cache
def phys() -> dict[str, Phy]:
    """Interfaces by id."""
    return tables.read("blocks.toml", Phy, "phy")


@cache
def rest() -> Share:
    """What of a die is nobody's."""
    return tables.read("blocks.toml", Share, "rest")["share"]


@cache
def joint() -> Share:
    """What lies between dies of one package."""
    return tables.read("blocks.toml", Share, "joint")["dies"]


@cache
def energy() -> Energy:
    """Energy of operations at 7 nm."""
    return tables.read("blocks.toml", Energy, "energy")["all"]


@cache
def scales() -> dict[str, Scale]:
    """Energy by class of nodes."""
    return tables.read("blocks.toml", Scale, "scale")


@cache
def coolings() -> dict[str, Cooling]:
    """Ways of cooling by id."""
    return tables.read("blocks.toml", Cooling, "cooling")


@cache
def cores() -> dict[str, Cores]:
    """Cores by the name of their die; `unknown` for the others."""
    return tables.read("blocks.toml", Cores, "cores")


@cache
def known() -> dict[str, Known]:
    """Dies that are known, by id."""
    return tables.read("blocks.toml", Known, "known")


def array(name: str) -> Array:
    """The kind of memory called so. Raises `UnknownName`."""
    return _named("kind of SRAM", name, arrays())


def cooling(name: str) -> Cooling:
    """The cooling called so. Raises `UnknownName`."""
    return _named("cooling", name, coolings())


def phy(name: str, kind: str) -> Phy:
    """The interface of a kind called so. Raises `UnknownName`."""
    return _named(f"{kind} interface", name, {k: v for k, v in phys().items() if v.kind == kind})


def phy_of_link(link: str, kind: str, otherwise: str) -> Phy:
    """The interface of a link of the catalogue, or another where none is known."""
    for one in phys().values():
        if one.kind == kind and link in one.links:
            return one
    return phys()[otherwise]


def _named(what: str, name: str, known: dict[str, T]) -> T:
    key = name.strip().lower()[:64]
    if key not in known:
        raise UnknownName(what, name, known, f"Known: {', '.join(known)}.")
    return known[key]
