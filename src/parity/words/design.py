"""What the words of a design mean: `h20@memory.stacks=6`, or a file of the same names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from parity.catalogue import load
from parity.catalogue.build import parse_toml
from parity.catalogue.schema import DTYPES
from parity.catalogue.shelf import file_text
from parity.catalogue.spec import stated
from parity.errors import BadFile, BadQuantity, UnknownName, UsageError, shorten
from parity.record import Fact
from parity.search.design import FEATURES
from parity.supply import blocks, tables
from parity.supply.custom import Design, exact, from_chip
from parity.supply.custom_change import (
    closed,
    like,
    on_node,
    with_clock,
    with_dies,
    with_links,
    with_memory,
)
from parity.supply.recipe import LEAST_MM2, MOST_DIES, MOST_STACKS
from parity.supply.wafer import RETICLE_MM2
from parity.units import parse, parse_count
from parity.workload.dtype import dtype as dtype_name

#: What may be said of a design, in the order in which it is taken.
KEYS = (
    "name", "from", "like", "node", "dies", "matrix.kind", "sram.kind", "memory.kind",
    "memory.stacks", "memory.gb", "links.kind", "links.count", "host.lanes", "die.area",
    "area.matrix", "area.cores", "area.sram", "clock", "sold", "domain", "dtypes",
    "power.delivery", "power.budget", "power.cooling", "without",
)  # fmt: skip
#: Words that make the dies larger or smaller, unless their area is said too.
_AREAS = (
    "node", "dies", "matrix.kind", "sram.kind", "memory.kind", "memory.stacks", "links.kind",
    "links.count", "host.lanes", "area.matrix", "area.cores", "area.sram",
)  # fmt: skip
_LISTS, _LONGEST_LIST = ("dtypes", "without"), 16
_MATRIX = {"core": "mac", "systolic": "systolic"}
_MOST_LINKS, _MOST_LANES, _MOST_DOMAIN, _MOST_W, _LONGEST = 1024, 512, 1_000_000, 1e5, 4000
_LEAST_HZ, _MOST_HZ = 1e7, 1e10
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,40}")
_EXAMPLE = "h20@memory.stacks=6,links.count=18"

_FEATURES_SAID = f"Known: {', '.join(FEATURES)}."

Words = dict[str, str]


def design_of(file: str | None, start: str | None) -> Design:
    """The design of a file, or of a chip with changes.

    Raises `UsageError` for words that cannot be read, `BadFile`, `UnknownName`, `MissingFact`.
    """
    if (file is None) == (start is None):
        raise UsageError(
            "A design starts from a file or from a chip: `parity chips design my.toml`, or `parity "
            f"chips design --from {_EXAMPLE}`."
        )
    said = _of_file(file) if file is not None else _of_words(start or "")
    chip = said.pop("from", None)
    of_its_own = said.pop("like", None)
    if (chip is None) == (of_its_own is None):
        raise BadFile(
            "A design names one chip: `from`, which it changes, or `like`, whose cores and "
            "software it has while all else is predicted."
        )
    base = from_chip(load.chip(chip or of_its_own or ""))
    name = _named(said.pop("name", f"my-{base.like.id}"))
    if chip is not None:
        return changed(replace(base, name=name), said)
    if "area.matrix" not in said:
        raise BadFile("A design `like` another states `area.matrix`, as in `400mm2` or `50%`.")
    return changed(like(base, name), said)


def changed(design: Design, said: Words) -> Design:
    """The design with what is said of it; its dies grow with its blocks unless they are said."""
    found = _made(design, said)
    found = _connected(found, said)
    if "die.area" in said:
        found = replace(found, whole_mm2=_die(said["die.area"]) * found.silicon.dies)
    found = _split(found, said)
    found = _worked(found, said)
    if "die.area" not in said and any(key in said for key in _AREAS):
        found = closed(found)
    return found


def _of_words(text: str) -> Words:
    """`ID@key=value,key=value`."""
    if len(text) > _LONGEST:
        raise UsageError(f"--from takes {len(text):,} letters; at most {_LONGEST:,} are read.")
    chip, at, rest = text.partition("@")
    said = {"from": chip.strip()}
    for part in rest.split(",") if at else ():
        key, equals, value = part.partition("=")
        if not equals or not value.strip():
            raise UsageError(
                f"{shorten(part)!r} states nothing; `key=value` was expected, as in `{_EXAMPLE}`."
            )
        said[_known(key.strip())] = value.strip()
    return said


def _of_file(file: str) -> Words:
    path = Path(file)
    if path.suffix != ".toml":
        raise UsageError(
            f"{shorten(file)!r} is no TOML file; one was expected, or a chip: `--from {_EXAMPLE}`."
        )
    text = file_text(path, "a design")
    said: Words = {"name": _plain_name(path.stem)}
    _flatten(parse_toml(text), "", said, text.shown)
    return said


def _flatten(table: Mapping[str, object], at: str, into: Words, shown: str) -> None:
    for key, value in table.items():
        path = f"{at}.{key}" if at else key
        if isinstance(value, Mapping):
            if path.count(".") > 1:
                raise BadFile(f"{shown}: `{shorten(path)}` lies too deep.")
            _flatten(value, path, into, shown)
        elif isinstance(value, list) and path in _LISTS:
            into[path] = "+".join(str(one) for one in value[:_LONGEST_LIST])
        elif isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise BadFile(f"{shown}: `{shorten(path)}`: a text or a number was expected.")
        else:
            into[_known(path)] = str(value)


def _known(key: str) -> str:
    if key not in KEYS:
        raise UnknownName("word of a design", key, KEYS, f"Known: {', '.join(KEYS)}.")
    return key


def _plain_name(text: str) -> str:
    return re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-._")[:40] or "my-chip"


def _named(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise BadQuantity(
            f"The name of a design is {shorten(text)!r}; small letters, digits, dots and dashes "
            "were expected, as in `my-chip`."
        )
    return text


def _made(design: Design, said: Words) -> Design:
    """Node, dies, and what multiplies and stores on them."""
    if "node" in said:
        design = on_node(design, tables.node(said["node"]))
    if "dies" in said:
        design = with_dies(design, parse_count(said["dies"], "dies", most=MOST_DIES))
    silicon = design.silicon
    if "matrix.kind" in said:
        word = said["matrix.kind"].strip().lower()
        if word not in _MATRIX:
            raise UnknownName("kind of matrix unit", word, _MATRIX, "Known: core, systolic.")
        if _MATRIX[word] != silicon.mac:
            design = replace(design, held=replace(design.held, macs=0.0, matrix_mm2=0.0))
            silicon = replace(silicon, mac=_MATRIX[word])
    if "sram.kind" in said:
        array = blocks.array(said["sram.kind"])
        if array.id != silicon.array.id:
            design = replace(design, held=replace(design.held, sram_bytes=0.0, sram_mm2=0.0))
            silicon = replace(silicon, array=array)
    return replace(design, silicon=silicon)


def _connected(design: Design, said: Words) -> Design:
    """Memory, links and the way to the host."""
    if any(key.startswith("memory.") for key in said):
        own = design.memory
        kind = said.get("memory.kind", own.hbm.id if own else "hbm3")
        count = own.count if own else 0
        if "memory.stacks" in said:
            count = parse_count(said["memory.stacks"], "memory.stacks", least=0, most=MOST_STACKS)
        gb = None
        if "memory.gb" in said:
            gb = parse(said["memory.gb"], "1", "memory.gb")
        hbm = None if kind == "none" else tables.memory(kind)
        usual = hbm.gb_per_stack if hbm else None
        if gb is not None and (usual is None or not 1 <= gb <= 2 * usual.high):
            raise BadQuantity(f"A stack of {kind} holds {gb:g} GB; no such is made.")
        design = with_memory(design, hbm, count, gb)
    if "links.count" in said or "links.kind" in said:
        ports = design.silicon.ports
        count = ports.links
        if "links.count" in said:
            count = parse_count(said["links.count"], "links.count", least=0, most=_MOST_LINKS)
        design = with_links(design, count, said.get("links.kind"))
    if "host.lanes" in said:
        lanes = parse_count(said["host.lanes"], "host.lanes", least=0, most=_MOST_LANES)
        ports = replace(design.silicon.ports, lanes=lanes)
        known = replace(design.held.ports, lanes=min(design.held.ports.lanes, lanes))
        held = replace(design.held, ports=known)
        design = replace(design, held=held, silicon=replace(design.silicon, ports=ports))
    return design


def _die(text: str) -> float:
    area = parse(text, "mm2", "die.area")
    if not LEAST_MM2 <= area <= MOST_DIES * RETICLE_MM2:
        raise BadQuantity(
            f"die.area is {shorten(text)!r}; an area from {LEAST_MM2:g} mm² was expected, up to "
            f"{RETICLE_MM2:.0f} for a die that a scanner exposes."
        )
    return area


def _split(design: Design, said: Words) -> Design:
    """Areas of blocks, in mm² of all dies or as a part of them."""
    areas = list(design.split)
    for i, key in enumerate(("area.matrix", "area.cores", "area.sram")):
        if key not in said:
            continue
        text = said[key].strip()
        share = text.endswith("%")
        area = parse(text, "fraction", key) * design.whole_mm2 if share else parse(text, "mm2", key)
        if not 0 <= area <= MOST_DIES * RETICLE_MM2:
            raise BadQuantity(
                f"{key} is {shorten(text)!r}; an area from 0 mm² was expected, as in `200mm2`, or "
                "a part of the dies, as in `25%`."
            )
        areas[i] = area
    return replace(design, split=(areas[0], areas[1], areas[2]))


def _worked(design: Design, said: Words) -> Design:
    """Clock, power, and what is sold."""
    if "clock" in said:
        hertz = _within(parse(said["clock"], "Hz", "clock"), "clock", _LEAST_HZ, _MOST_HZ, "Hz")
        design = with_clock(design, exact(hertz / 1e9, "1"))
    if "sold" in said:
        share = _within(parse(said["sold"], "fraction", "sold"), "sold", 0.01, 1.0, "")
        design = replace(design, sold=share)
    if "domain" in said:
        design = replace(design, domain=parse_count(said["domain"], "domain", most=_MOST_DOMAIN))
    if "dtypes" in said:
        names = tuple(dict.fromkeys(dtype_name(one) for one in said["dtypes"].split("+")))
        wrong = [name for name in names if name not in DTYPES]
        if wrong or not set(names) & {"bf16", "fp16"}:
            raise BadQuantity(
                f"dtypes is {shorten(said['dtypes'])!r}; bf16 or fp16 and others of "
                f"{', '.join(DTYPES)} were expected, as in `bf16+fp8`."
            )
        design = replace(design, dtypes=names)
    if "without" in said:
        kinds = tuple(one.strip().lower() for one in said["without"].split("+"))
        for kind in kinds:
            if kind not in FEATURES:
                raise UnknownName("kind of operator", kind, FEATURES, _FEATURES_SAID)
        design = replace(design, without=kinds)
    if "power.delivery" in said:
        factor: Fact = stated(said["power.delivery"], "1", "power.delivery")
        _within(factor.value, "power.delivery", 1.0, 100.0, "")
        design = replace(design, delivery=factor, watts_fit=1.0)
    if "power.budget" in said:
        watts = parse(said["power.budget"], "W", "power.budget")
        design = replace(design, budget_w=_within(watts, "power.budget", 1.0, _MOST_W, "W"))
    if "power.cooling" in said:
        design = replace(design, cooling=blocks.cooling(said["power.cooling"]))
    return design


def _within(value: float, what: str, least: float, most: float, unit: str) -> float:
    if not least <= value <= most:
        raise BadQuantity(
            f"{what} is {value:g} {unit}".rstrip()
            + f"; a value from {least:g} to {most:g} {unit}".rstrip()
            + " was expected."
        )
    return value
