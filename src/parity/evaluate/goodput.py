"""What of a run's time trains: the rest goes to failures, checkpoints, restarts and slow chips.

A synchronous job stops when one chip stops, so n chips fail n times as often as one. What a
failure and a checkpoint cost is the expected time of [Daly 2006, eq. 20], which is exact for
failures that come at random; the interval between checkpoints is his optimum [eq. 37], which is
that of [Young 1974] to first order. The step itself waits for the slowest chip.

[Daly 2006, A higher order estimate of the optimum checkpoint interval for restart dumps, Future
Generation Computer Systems 22; Young 1974, A first order approximation to the optimum checkpoint
interval, Communications of the ACM 17]
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from statistics import NormalDist, median
from typing import TypeAlias

import msgspec
import numpy as np

from parity.catalogue.machine import Draw, Number, central
from parity.evaluate.memory import OPTIMIZER_BYTES, WEIGHT_BYTES
from parity.evaluate.training import Step
from parity.layout.layout import Layout
from parity.record import Provenance, Record
from parity.workload.count import parameters
from parity.workload.operator import Architecture

#: How much longer than its steps a run of each layout takes. [1]
Stretch: TypeAlias = Callable[[Layout, Step], Number]
#: Exponents above this are taken as this, so that the time of a hopeless job can be compared.
LARGEST_EXPONENT = 30.0


class Figure(Record, frozen=True):
    """One figure of operation, with its range and who says so."""

    value: float
    low: float
    high: float
    provenance: Provenance
    source: str
    note: str


class Observed(Record, frozen=True):
    """Failures that somebody counted on so many chips in so many days."""

    name: str
    family: str
    chips: float
    days: float
    failures: float
    provenance: Provenance
    source: str
    note: str

    @property
    def mtbf_hours(self) -> float:
        """Hours between failures, of one chip."""
        return self.chips * self.days * 24 / self.failures


class Book(Record, frozen=True):
    """The whole file."""

    evidence_chips: float
    sources: dict[str, str]
    observed: tuple[Observed, ...]
    restart_s: Figure
    checkpoint_s: Figure
    write_bytes_per_s: Figure
    speed_spread: Figure


@dataclass(frozen=True)
class Stated:
    """What a user knows of the own operation; None takes what others published."""

    mtbf_hours: float | None = None  # of one chip
    checkpoint_s: float | None = None
    restart_s: float | None = None


@dataclass(frozen=True)
class Reliability:
    """The figures that goodput follows from: numbers, or samples of them."""

    mtbf_hours: Number  # of one chip
    restart_s: Number
    checkpoint_s: Number  # that a checkpoint stops training
    write_bytes_per_s: Number  # of each chip, to storage
    speed_spread: Number  # standard deviation of chips of one kind, over their mean


@dataclass(frozen=True)
class Lost:
    """Shares of the time of a run that do not train, by cause."""

    restarts: Number
    rework: Number  # steps since the last checkpoint, done again
    checkpoints: Number
    stragglers: Number


@dataclass(frozen=True)
class Goodput:
    """What share of a run trains, and what it follows from; `fraction` and `lost` sum to 1."""

    fraction: Number
    lost: Lost
    mtbf_hours: Number  # of the job
    checkpoint_interval_s: Number
    checkpoint_s: Number
    write_s: Number
    restart_s: Number


@cache
def book() -> Book:
    """The file of published figures, read once."""
    text = files("parity.evaluate").joinpath("data/reliability.toml").read_text("utf-8")
    return msgspec.convert(tomllib.loads(text), Book)


def observed_mtbf(family: str) -> tuple[float, float, float]:
    """Hours between failures of one chip: value, low, high. [h]

    The median of what was counted on chips of the family, or on any where nobody counted; the
    range is that of all counts.
    """
    every = [one.mtbf_hours for one in book().observed]
    own = [one.mtbf_hours for one in book().observed if one.family == family]
    return median(own or every), min(every), max(every)


def counted(family: str) -> bool:
    """Whether failures of chips of this family were published."""
    return any(one.family == family for one in book().observed)


def basis(family: str) -> str:
    """Where the time between failures of the family comes from, in words."""
    own = [one for one in book().observed if one.family == family]
    names = ", ".join(one.name for one in own or book().observed)
    return f"time between failures of {family if own else 'other'} chips: {names}"


def reliability(family: str, stated: Stated = Stated(), draw: Draw = central) -> Reliability:
    """The figures for chips of `family`, those that are `stated` without a range."""
    data = book()

    def figure(name: str) -> Number:
        own = getattr(stated, name, None)
        one: Figure = getattr(data, name)
        return draw(f"run.{name}", one.value, one.low, one.high) if own is None else own

    mtbf = stated.mtbf_hours
    return Reliability(
        mtbf_hours=draw(f"{family}.mtbf_hours", *observed_mtbf(family)) if mtbf is None else mtbf,
        restart_s=figure("restart_s"),
        checkpoint_s=figure("checkpoint_s"),
        write_bytes_per_s=figure("write_bytes_per_s"),
        speed_spread=figure("speed_spread"),
    )


def checkpoint_bytes(arch: Architecture) -> float:
    """What a checkpoint holds: weights, master weights and moments. [byte]

    BLOOM's, of 176 B parameters, has 2.3 TB [BigScience 2022].
    """
    return parameters(arch) * (WEIGHT_BYTES + OPTIMIZER_BYTES)


def checkpoint_interval(checkpoint_s: Number, mtbf_s: Number) -> Number:
    """Seconds of training between checkpoints that lose least. [s] [Daly 2006, eq. 37]"""
    ratio = np.asarray(checkpoint_s) / (2 * np.asarray(mtbf_s))
    root = np.sqrt(np.minimum(ratio, 1.0))
    best = np.sqrt(2 * checkpoint_s * mtbf_s) * (1 + root / 3 + root**2 / 9) - checkpoint_s
    return np.where(ratio < 1, best, mtbf_s)


def expected_time(
    work_s: Number, checkpoint_s: Number, restart_s: Number, mtbf_s: Number
) -> Number:
    """Expected seconds until `work_s` of work and its checkpoint are done, failures included.

    [Daly 2006, eq. 20]: failures at random, also while a restart is under way.
    """
    lost = np.minimum(np.asarray(restart_s) / mtbf_s, LARGEST_EXPONENT)
    span = np.minimum((work_s + np.asarray(checkpoint_s)) / mtbf_s, LARGEST_EXPONENT)
    return mtbf_s * np.exp(lost) * np.expm1(span)


def slowest_of(chips: Number) -> Number:
    """Expected largest of `chips` standard normal draws. [1] [Blom 1958]"""
    counts, where = np.unique(np.asarray(chips, dtype=float), return_inverse=True)
    normal = NormalDist()
    of_each = [normal.inv_cdf((n - 0.375) / (n + 0.25)) for n in counts]
    return np.asarray(of_each)[where].reshape(np.shape(chips))


def straggling(chips: Number, busy_fraction: Number, spread: Number) -> Number:
    """A step that waits for the slowest of `chips`, over the published steps' own wait. [1]

    Published steps wait for the slowest of `evidence_chips`, so only what comes on top counts.
    Chips differ in the part of a step in which they work, `busy_fraction`.
    """
    further = np.maximum(slowest_of(chips) - slowest_of(book().evidence_chips), 0.0)
    return 1 + busy_fraction * spread * further


def goodput(
    chips: Number, state_bytes: float, busy_fraction: Number, figures: Reliability
) -> Goodput:
    """The share of a run's time on `chips` chips that trains, and where the rest goes.

    state_bytes: of a checkpoint, written in parts by all chips behind the training. A failure
    before the last one is written loses the time of writing more. busy_fraction: of a step.
    """
    mtbf_s = np.asarray(figures.mtbf_hours) * 3600 / chips
    write_s = state_bytes / (chips * np.asarray(figures.write_bytes_per_s))
    interval = np.maximum(checkpoint_interval(figures.checkpoint_s, mtbf_s), write_s)
    after_s = figures.restart_s + write_s  # of each failure, besides the steps since a checkpoint
    whole = expected_time(interval, figures.checkpoint_s, after_s, mtbf_s)
    slower = straggling(chips, busy_fraction, figures.speed_spread)
    stopped = -np.expm1(-np.minimum(after_s / mtbf_s, LARGEST_EXPONENT))
    restarts = stopped * figures.restart_s / after_s
    checkpoints, steps = figures.checkpoint_s / whole, interval / whole
    return Goodput(
        fraction=steps / slower,
        lost=Lost(
            restarts=restarts,
            rework=np.maximum(1 - restarts - checkpoints - steps, 0.0),
            checkpoints=checkpoints,
            stragglers=steps * (1 - 1 / slower),
        ),
        mtbf_hours=mtbf_s / 3600,
        checkpoint_interval_s=interval,
        checkpoint_s=figures.checkpoint_s,
        write_s=write_s,
        restart_s=figures.restart_s,
    )


def steps_alone(layout: Layout, step: Step) -> Number:  # noqa: ARG001
    """A run of nothing but steps: no failure, no checkpoint."""
    return 1.0


def stretch_of(arch: Architecture, figures: Reliability) -> Stretch:
    """How much longer than its steps a run of `arch` takes, for each layout: 1 / goodput."""
    state = checkpoint_bytes(arch)

    def stretch(layout: Layout, step: Step) -> Number:
        return 1 / goodput(layout.chips, state, step.busy_fraction, figures).fraction

    return stretch
