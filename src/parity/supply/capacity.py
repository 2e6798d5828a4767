"""How many chips a year so many wafers, stacks of memory and packages give."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np

from parity.catalogue.build import parse_toml, read_record
from parity.catalogue.figures import Place
from parity.catalogue.files import Text
from parity.catalogue.load import catalogue
from parity.catalogue.machine import Draw, Number
from parity.catalogue.schema import Count, Source
from parity.catalogue.shelf import Shelf
from parity.catalogue.spec import COMMAND_LINE
from parity.errors import BadFile, UsageError, shorten
from parity.record import Record
from parity.supply import tables
from parity.supply.cost import Cost
from parity.supply.recipe import Recipe
from parity.supply.tables import drawn

#: What stands in a file without a source of its own.
TYPED = Source(title="typed by the user")
#: What may run out, in the order in which a tie is named.
INPUTS = ("logic", "memory", "packages")
MONTHS = 12
_SHELF = Shelf("scenario", "parity.supply", "scenarios")
_MOST_ESTIMATES, _MOST_UNITS = 50, 1e12


class Estimate(Record, frozen=True):
    """How many somebody else says."""

    what: str
    units: float
    source: str
    note: str = ""


class Scenario(Record, frozen=True, kw_only=True):
    """What there is in a year to make one chip of."""

    id: str
    title: str
    chip: str
    wafers_per_month: Count = None
    share: Count = None  # of those wafers, for this chip
    die_bank: Count = None  # dies in stock, tested
    hbm_stacks: Count = None
    packages: Count = None
    estimates: tuple[Estimate, ...] = ()
    sources: dict[str, Source] = msgspec.field(default_factory=dict)  # of a file of one's own

    def source(self, key: str) -> Source:
        """The source of that key. Raises `UnknownName`."""
        return self.sources[key] if key in self.sources else tables.source(key)


@dataclass(frozen=True)
class Units:
    """Chips in the year, and what each input alone would give; None where it is not said."""

    units: Number
    alone: dict[str, Number | None]
    wafers: Number  # of the year, for this chip
    per_wafer: Number  # dies sold of a wafer

    @property
    def binding(self) -> dict[str, float]:
        """How often each input is the one that runs out first, over the samples."""
        known = {name: value for name, value in self.alone.items() if value is not None}
        stacked = np.stack(np.broadcast_arrays(*(np.ravel(v) for v in known.values())))
        first = np.argmin(stacked, axis=0)
        return {name: float(np.mean(first == i)) for i, name in enumerate(known)}


def units_of(scenario: Scenario, recipe: Recipe, cost: Cost, draw: Draw) -> Units:
    """Chips a year: the least of what dies, stacks and packages give, times those assembled well.

    `min((12 w s N Y + bank) / dies, stacks / stacks a chip, packages) · y`: w wafers a month, s the
    share for this chip, N dies on a wafer, Y those that can be sold, y the yield of assembly.
    Numbers or arrays of samples. Raises `UsageError` for several kinds of die.
    """
    if len(recipe.dies) != 1:
        raise UsageError(
            f"{recipe.name} holds several kinds of die; a scenario takes a chip of one kind."
        )
    key, die = f"scenario.{scenario.id}", cost.dies[0]
    per_wafer = die.per_wafer * die.sold_yield
    wafers: Number = 0.0
    if scenario.wafers_per_month is not None:
        monthly = drawn(scenario.wafers_per_month, f"{key}.wafers_per_month", draw)
        share = drawn(scenario.share, f"{key}.share", draw) if scenario.share else 1.0
        wafers = MONTHS * monthly * share
    bank = drawn(scenario.die_bank, f"{key}.die_bank", draw) if scenario.die_bank else 0.0
    good = cost.packaging.assembly_yield
    has_logic = scenario.wafers_per_month is not None or scenario.die_bank is not None
    has_memory = scenario.hbm_stacks is not None and recipe.memory is not None
    alone = each_alone(
        recipe,
        good,
        dies=wafers * per_wafer + bank if has_logic else None,
        stacks=drawn(scenario.hbm_stacks, f"{key}.hbm_stacks", draw) if has_memory else None,
        packages=(drawn(scenario.packages, f"{key}.packages", draw) if scenario.packages else None),
    )
    known = [value for value in alone.values() if value is not None]
    if not known:
        raise UsageError(f"The scenario `{scenario.id}` states nothing that chips are made of.")
    return Units(np.minimum.reduce(np.broadcast_arrays(*known)), alone, wafers, per_wafer)


def each_alone(
    recipe: Recipe,
    good: Number,
    *,
    dies: Number | None,
    stacks: Number | None,
    packages: Number | None,
) -> dict[str, Number | None]:
    """Chips that each input alone would give, by the names of `INPUTS`; None where it is not said.

    dies that can be sold, stacks, packages: what there is. good: the yield of assembly.
    """  # fmt: skip
    alone: dict[str, Number | None] = dict.fromkeys(INPUTS)
    if dies is not None:
        alone["logic"] = dies / recipe.dies[0].count * good
    if stacks is not None and recipe.memory is not None:
        alone["memory"] = stacks / recipe.memory.count * good
    if packages is not None:
        alone["packages"] = packages * good
    return alone


def names() -> tuple[str, ...]:
    """Scenarios that are shipped."""
    return _SHELF.names


def scenario(name: str) -> Scenario:
    """A shipped scenario by name, or one in a TOML file. Raises `UnknownName`, `BadFile`."""
    return _read(_SHELF.text(name))


def _read(text: Text) -> Scenario:
    table = parse_toml(text)
    at = Place(text.shown)
    own = table.get("sources", {})
    if not isinstance(own, dict):
        raise BadFile(f"{at.into('sources')}: tables were expected.")
    known = {**catalogue().sources, **tables.sources(), COMMAND_LINE: TYPED, **own}
    found = read_record(table, Scenario, at, text.id, known)
    if len(found.estimates) > _MOST_ESTIMATES:
        raise BadFile(f"{at}: at most {_MOST_ESTIMATES} estimates are read.")
    for one in found.estimates:
        if not 0 < one.units < _MOST_UNITS or one.source not in known:
            raise BadFile(
                f"{at.into('estimates')}: {shorten(one.what)!r} needs units above zero and a "
                "source that is known."
            )
    if found.share is not None and found.share.high > 1:
        raise BadFile(f"{at.into('share')}: above one; a share of the wafers was expected.")
    return found
