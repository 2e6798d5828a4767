"""The tables of this folder as strict records: nodes, memory, packages, what chips are made of."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from importlib.resources import files
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta, structs

from parity.catalogue import load
from parity.catalogue.build import read_record
from parity.catalogue.figures import Place
from parity.catalogue.machine import Draw, Number
from parity.catalogue.schema import Area, BytesPerS, Count, DatedPrice, Source, Usd
from parity.errors import MissingFact, UnknownName
from parity.record import Fact, Record

R = TypeVar("R", bound=Record)
MaybeUsd = Annotated[Fact | None, Meta(extra={"unit": "USD"})]


class Node(Record, frozen=True, kw_only=True):
    """A process node as a foundry offers it. Prices are of 300 mm wafers."""

    id: str
    name: str
    foundry: str
    year: int  # of volume production
    class_nm: int  # the row of the tables by class
    transistor: Literal["planar", "finfet", "nanosheet"]
    euv: bool
    lithography: str
    processes: tuple[str, ...] = ()  # what the catalogue calls it
    wafer_usd: Usd
    defects_per_cm2: Count
    density_mtr_per_mm2: Count  # of dense logic
    sram_cell_um2: Count
    mask_set_usd: Usd


class Hbm(Record, frozen=True, kw_only=True):
    """A generation of high-bandwidth memory."""

    id: str
    name: str
    kinds: tuple[str, ...]  # what the catalogue calls it
    year: int
    gb_per_stack: Count
    bandwidth: BytesPerS
    area_mm2: Area
    prices: tuple[DatedPrice, ...]  # of a gigabyte, the oldest first

    @property
    def usd_per_gb(self) -> Fact | None:
        """The newest price of a gigabyte. [USD]"""
        return self.prices[-1].price if self.prices else None

    def known_on(self, day: str) -> Hbm:
        """Without the prices of later days; with the first where all are. day: as in `2026-02`."""
        known = tuple(one for one in self.prices if one.since <= day)
        return structs.replace(self, prices=known or self.prices[:1])


class Package(Record, frozen=True, kw_only=True):
    """A way to join dies and memory. Without a wafer there is no interposer."""

    id: str
    name: str
    reticles: Count  # the largest interposer, in fields of a scanner
    wafer_usd: MaybeUsd = None
    defects_per_cm2: Count = None
    clustering: Count = None
    area_factor: Count
    bond_yield: Count  # of each die or stack
    bump_usd_per_mm2: Count
    test_usd: Usd


class Substrate(Record, frozen=True, kw_only=True):
    """The organic substrate below every package."""

    id: str
    name: str
    area_factor: Count
    usd_per_mm2: Count
    attach_yield: Count


class Design(Record, frozen=True, kw_only=True):
    """What it costs to design a chip of 300 mm² at a class of nodes, first tape-out included."""

    id: str
    nre_usd: Usd


class Emissions(Record, frozen=True, kw_only=True):
    """What a fab of a class of nodes takes and emits for a square centimetre of wafer."""

    id: str
    kwh_per_cm2: Count
    gas_g_per_cm2: Count


class Die(Record, frozen=True, kw_only=True):
    """A die by name; without an area it has the catalogue's."""

    id: str
    node: str
    area: Area = None
    cores: Count = None  # made; a part sold with fewer can do without some
    stacked: bool = False  # lies on the others


class Making(Record, frozen=True, kw_only=True):
    """What a chip of the catalogue is put together from."""

    id: str
    dies: dict[str, int]
    hbm: str = ""  # as `--hbm` takes it
    package: str = ""
    sites: int = 0  # places for stacks on the interposer, where some hold none


class Constants(Record, frozen=True, kw_only=True):
    """Figures that hold for every node."""

    id: str
    edge_mm: Count = None
    scribe_mm: Count = None
    clustering: Count = None
    critical_layers: Count = None
    core_share: Count = None
    materials_g_per_cm2: Count = None
    grid_g_per_kwh: Count = None


@cache
def _toml(name: str) -> dict[str, Any]:
    data = files("parity.supply").joinpath("data")
    return tomllib.loads(data.joinpath(name).read_text("utf-8"))


@cache
def sources() -> dict[str, Source]:
    """The bibliography of this folder."""
    return {key: msgspec.convert(raw, Source) for key, raw in _toml("sources.toml").items()}


def source(key: str) -> Source:
    """The entry under `key`, of this folder or of the catalogue. Raises `UnknownName`."""
    return sources()[key] if key in sources() else load.source(key)


def _read(name: str, table: dict[str, Any], record: type[R], path: str = "") -> dict[str, R]:
    known = {**load.catalogue().sources, **sources()}
    at = Place(name, path)
    return {key: read_record(raw, record, at.into(key), key, known) for key, raw in table.items()}


def read(name: str, record: type[R], table: str) -> dict[str, R]:
    """One table of a file of this folder, by id; its figures sourced."""
    return _read(name, _toml(name)[table], record, table)


@cache
def nodes() -> dict[str, Node]:
    """Every process node, by id."""
    return _read("nodes.toml", _toml("nodes.toml"), Node)


@cache
def memories() -> dict[str, Hbm]:
    """Every generation of HBM, by id."""
    return _read("memory.toml", _toml("memory.toml"), Hbm)


@cache
def packages() -> dict[str, Package]:
    """Every way of packaging, by id."""
    own = {key: raw for key, raw in _toml("packages.toml").items() if key != "substrate"}
    return _read("packages.toml", own, Package)


@cache
def substrate() -> Substrate:
    """The organic substrate."""
    own = {"substrate": _toml("packages.toml")["substrate"]}
    return _read("packages.toml", own, Substrate)["substrate"]


@cache
def designs() -> dict[str, Design]:
    """Design costs by class of nodes."""
    return _read("making.toml", _toml("making.toml")["design"], Design, "design")


@cache
def emissions() -> dict[str, Emissions]:
    """Energy and gases of a fab by class of nodes."""
    return _read("making.toml", _toml("making.toml")["carbon"], Emissions, "carbon")


@cache
def constants() -> dict[str, Constants]:
    """Figures for every node: `wafer`, `yields`, `emissions`."""
    named = ("wafer", "yields", "emissions")
    own = {key: _toml("making.toml")[key] for key in named}
    return _read("making.toml", own, Constants)


@cache
def dies() -> dict[str, Die]:
    """Dies by name."""
    return _read("chips.toml", _toml("chips.toml")["dies"], Die, "dies")


@cache
def makings() -> dict[str, Making]:
    """What chips of the catalogue are put together from, by id."""
    return _read("chips.toml", _toml("chips.toml")["chips"], Making, "chips")


def node(name: str) -> Node:
    """The node that `name` means: `smic-n2`, `SMIC N+2`, `n7`, `4N`. Raises `UnknownName`."""
    key = _key(name[:64])
    for one in nodes().values():
        short = one.id.split("-", 1)[1]
        spellings = {one.id, one.name, f"{one.foundry} {one.name}"}
        if one.foundry == "TSMC":
            spellings |= {short, f"n{short}", f"tsmc n{short}"}
        if one.foundry == "SMIC":
            spellings |= {f"n+{short[1:]}", f"smic n+{short[1:]}"} if short[0] == "n" else set()
        if key in {_key(spelling) for spelling in spellings}:
            return one
    raise UnknownName("process node", name, nodes(), f"Known: {', '.join(nodes())}.")


def memory(name: str) -> Hbm:
    """The generation that `name` means. Raises `UnknownName`."""
    found = {_key(key): one for key, one in memories().items()}.get(_key(name[:64]))
    if found is None:
        raise UnknownName("memory", name, memories(), f"Known: {', '.join(memories())}.")
    return found


def package(name: str) -> Package:
    """The package that `name` means. Raises `UnknownName`."""
    found = packages().get(name.strip().lower()[:64])
    if found is None:
        raise UnknownName("package", name, packages(), f"Known: {', '.join(packages())}.")
    return found


def _key(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.casefold().replace("+", "plus"))


def drawn(fact: Fact | None, key: str, draw: Draw) -> Number:
    """A figure as `draw` gives it: its value, or samples of its range."""
    if fact is None:
        owner, _, figure = key.rpartition(".")
        raise MissingFact(owner, figure, "…")
    return draw(key, fact.value, fact.low, fact.high)
