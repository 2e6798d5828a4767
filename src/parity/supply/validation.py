"""Published costs of chips beside those worked out here."""

from __future__ import annotations

import csv
import io
from functools import cache
from importlib.resources import files

import numpy as np

from parity.catalogue import load
from parity.catalogue.machine import Draw, Number, central
from parity.record import Record
from parity.supply.cost import Cost, cost_of
from parity.supply.recipe import priced_on, recipe_of

#: How far a part and a total may be off.
PART_BAR, TOTAL_BAR = 0.25, 0.35
#: Parts from which figures here were taken: that these agree shows no more than that.
TAKEN_FROM = ("packaging", "test", "assembly loss")


class Published(Record, frozen=True):
    """A cost that somebody published. Not counted: copies, other quantities, no method."""

    chip: str
    source: str
    date: str
    part: str  # total, logic, memory, packaging, test, assembly loss
    usd: float
    low_usd: float
    high_usd: float
    counted: bool
    note: str


class Compared(Record, frozen=True):
    """A published cost and the one worked out here, with P10 and P90."""

    published: Published
    usd: float
    low_usd: float
    high_usd: float

    @property
    def error(self) -> float:
        """Worked out over published, less one."""
        return self.usd / self.published.usd - 1.0

    @property
    def bar(self) -> float:
        """How far it may be off and still be as near as public figures allow."""
        return TOTAL_BAR if self.published.part == "total" else PART_BAR

    @property
    def independent(self) -> bool:
        """Whether it counts, and no figure here was taken from it."""
        return self.published.counted and self.published.part not in TAKEN_FROM

    @property
    def within(self) -> bool:
        """Whether it is as near as public figures allow."""
        return abs(self.error) <= self.bar


@cache
def published() -> tuple[Published, ...]:
    """Every published cost, by chip and source."""
    text = files("parity.supply").joinpath("data", "estimates.csv").read_text("utf-8")
    return tuple(
        Published(
            row["chip"], row["source"], row["date"], row["part"], float(row["usd"]),
            float(row["low_usd"] or row["usd"]), float(row["high_usd"] or row["usd"]),
            row["counted"] == "yes", row["note"],
        )
        for row in csv.DictReader(io.StringIO(text))
    )  # fmt: skip


def split(cost: Cost) -> dict[str, Number]:
    """The parts as estimates split them: logic is silicon and its yield loss. [USD]"""
    logic = cost.parts["silicon"] + cost.parts["die yield loss"]
    return {**cost.parts, "logic": logic, "total": cost.total_usd}


def part_usd(cost: Cost, part: str) -> float:
    """The median of a part of `split`. [USD]"""
    return float(np.median(split(cost)[part]))


def table(draw: Draw = central) -> tuple[Compared, ...]:
    """Every published cost beside the median of ours, at the stated figures or over samples.

    Memory is at the price of the day of the estimate.
    """
    asked = dict.fromkeys((one.chip, one.date) for one in published())
    parts = {
        (chip, day): split(cost_of(priced_on(recipe_of(load.chip(chip)), day), draw))
        for chip, day in asked
    }
    found = []
    for one in published():
        low, median, high = np.quantile(parts[one.chip, one.date][one.part], [0.1, 0.5, 0.9])
        found.append(Compared(one, float(median), float(low), float(high)))
    return tuple(found)
