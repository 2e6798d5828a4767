"""How far measured times lie from those predicted, beyond what the ranges of figures cover.

    measured = predicted · e^(v + f + c)

v is common to the chips of a vendor, f to those of a family, c the chip's own; together they spread
as `misses.toml` says for the generation of software that runs. Two chips under the same software
share what is common to them, so that it leaves their ratio.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Literal

import msgspec
import numpy as np

from parity.catalogue.machine import Draw, Number
from parity.catalogue.schema import Chip
from parity.record import Record

#: What runs, and what the keys of its generations begin with.
Task = Literal["training", "serving"]
PREFIX: dict[Task, str] = {"training": "software", "serving": "engine"}
#: Values of each part that the spread of their sum is worked out from.
GRID = 41


class Miss(Record, frozen=True):
    """P10 and P90 of the logarithm of measured over predicted time, whose median is 0."""

    low: float
    high: float


class Misses(Record, frozen=True):
    """What `misses.toml` holds of one task.

    vendor: part of the variance that all chips of a vendor share under one generation of software;
    family: part that chips of a family share, that of the vendor included. others: generations
    that have no class of their own.
    """

    vendor: float
    family: float
    others: Miss
    classes: dict[str, Miss]

    @property
    def parts(self) -> tuple[float, float, float]:
        """Parts of the variance: of the vendor, of the family, of the chip alone. They sum to 1."""
        return self.vendor, self.family - self.vendor, 1.0 - self.family

    def of(self, generation: str) -> Miss:
        """The miss of a generation: its own, else that of all others."""
        return self.classes.get(generation, self.others)


@cache
def misses(task: Task) -> Misses:
    """What is known of one task, from `misses.toml`."""
    path = files("parity.timing").joinpath("data", "misses.toml")
    return msgspec.convert(tomllib.loads(path.read_text("utf-8"))[task], Misses)


def missed(task: Task, generation: str, chip: Chip, draw: Draw) -> Number:
    """Measured over predicted time on `chip` under a generation of software or of an engine. [1]

    1 where `draw` gives stated values, else samples of shape (samples, 1).
    """
    known = misses(task)
    standing = drawn_apart(known.parts, drawn_by(task, generation, chip), draw)
    return np.exp(stretched(standing, known.of(generation)))


def drawn_by(task: Task, generation: str, chip: Chip) -> tuple[str, str, str]:
    """Keys of the parts that a vendor, a family and a chip are drawn by."""
    vendor = f"{PREFIX[task]}.{generation}.elapsed.{chip.vendor.replace('/', ' ')}"
    return vendor, f"{vendor}/{chip.family}", f"{vendor}/{chip.family}/{chip.id}"


def drawn_apart(parts: tuple[float, ...], keys: tuple[str, ...], draw: Draw) -> Number:
    """A number with median 0 and 80 % of its samples between -1 and 1, drawn in parts. [1]

    parts: of the variance, one a key, summing to 1.
    """
    total: Number = 0.0
    for key, part in zip(keys, parts, strict=True):
        total = total + draw(key, 0.0, -(part**0.5), part**0.5)
    return total / _reach(parts)


def stretched(standing: Number, miss: Miss) -> Number:
    """The logarithm of a miss, of which `standing` says where between its ends it lies. [1]"""
    return standing * np.where(standing < 0, -miss.low, miss.high)


@cache
def _reach(parts: tuple[float, ...]) -> float:
    """P90 of a sum of parts of such variances, each even from -1 to 1 before it is scaled. [1]"""
    even = (np.arange(GRID) + 0.5) / GRID * 2.0 - 1.0
    sums = np.zeros(1)
    for part in parts:
        if part > 0:
            sums = np.add.outer(sums, part**0.5 * even).ravel()
    return float(np.quantile(sums, 0.9))
