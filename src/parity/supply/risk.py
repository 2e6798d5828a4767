"""What a plan hangs on: one vendor, one foundry, one maker of memory, one licence.

The share is that of its chips. Where the catalogue names several foundries of a chip, or several
companies make its kind of memory, who made these chips is not known: the share is a range from none
to all of them.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Literal

import msgspec

from parity.catalogue.schema import Chip
from parity.record import Provenance, Record
from parity.supply.countries import home_of
from parity.supply.rules import assess, exported
from parity.supply.rules_data import book
from parity.supply.thresholds import thresholds

On = Literal["vendor", "home", "foundry", "memory maker", "licence"]
UNKNOWN = "not published"
PERHAPS = "perhaps one"


class Holding(Record, frozen=True):
    """So many of one chip."""

    chip: Chip
    count: float


class Dependence(Record, frozen=True):
    """The share of the chips that hangs on one name, from `low` to `high` [fraction]."""

    on: On
    name: str
    low: float
    high: float


class Makers(Record, frozen=True):
    """Companies that make one kind of memory; `domestic` ones for chips of their country alone."""

    names: tuple[str, ...]
    provenance: Provenance
    domestic: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    note: str = ""


def dependences(
    holdings: Sequence[Holding], to: str | None = None, on: date | None = None
) -> tuple[Dependence, ...]:
    """What the chips hang on, the largest shares of each kind first.

    With a destination also on a licence for it: of those caught for certain, up to those that may
    be, as the vendor would export them. Raises `UnknownName` for a country.
    """
    whole = sum(one.count for one in holdings)
    shares: dict[tuple[On, str], list[float]] = {}
    for one in holdings:
        for kind, names in _names(one.chip, to, on):
            for name in names:
                sure = len(names) == 1 and (kind, name) != ("licence", PERHAPS)
                ends = shares.setdefault((kind, name), [0.0, 0.0])
                ends[0] += one.count / whole if sure else 0.0
                ends[1] += one.count / whole
    found = (Dependence(kind, name, *ends) for (kind, name), ends in shares.items())
    order = ("vendor", "home", "foundry", "memory maker", "licence")
    return tuple(sorted(found, key=lambda d: (order.index(d.on), -d.high, -d.low, d.name)))


def makers(chip: Chip) -> tuple[str, ...]:
    """Who may have made the memory of a chip, by its kind; empty where it is not held."""
    held = _makers().get(chip.memory.kind.strip().upper())
    return held.names + held.domestic.get(home_of(chip.vendor) or "", ()) if held else ()


def foundries(chip: Chip) -> tuple[str, ...]:
    """The foundries that the catalogue names for a chip; empty where it names none."""
    return tuple(name.strip() for name in chip.physical.foundry.split("/") if name.strip())


def _names(chip: Chip, to: str | None, on: date | None) -> Iterable[tuple[On, tuple[str, ...]]]:
    yield "vendor", (chip.vendor,)
    yield "home", (home_of(chip.vendor) or UNKNOWN,)
    yield "foundry", foundries(chip) or (UNKNOWN,)
    yield "memory maker", makers(chip) or (UNKNOWN,)
    if to is not None:
        found = assess(thresholds(chip), exported(chip, to), on or book().known_to)
        if found.verdict == "caught" and found.deciding:
            yield "licence", (found.deciding.rule.title,)
        elif found.verdict == "cannot_tell":
            yield "licence", (PERHAPS,)


@cache
def _makers() -> dict[str, Makers]:
    text = files("parity.supply").joinpath("data/memory_makers.toml").read_text("utf-8")
    return msgspec.convert(tomllib.loads(text)["makers"], dict[str, Makers])
