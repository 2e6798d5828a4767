"""The part of docs/accuracy.md on whether ranges hold what they promise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parity.evidence.misses import FEWEST, by_class, held, held_ratios, held_unseen
from parity.evidence.residuals import Residuals, residuals
from parity.outputs.accuracy import percent
from parity.outputs.document import Table
from parity.timing.misses import PREFIX, Misses, Task, misses

INTRODUCTION = f"""\
# Whether ranges hold

A range is P10 to P90: 80 % of measurements should lie inside. Each is held against the range around
what a fit without its source predicts. *Miss* is P10 and P90 of measured over predicted time that a
class has beside the ranges of its figures; in the last column the miss, too, is found without the
source. Rates that are those of the requests that come are left out, as they are met whatever chips
do. A class is a generation of software or of an engine: the fewer sources it has, the more it
borrows from the others, and with fewer than {FEWEST} rows it has the miss of all.
"""
RATIOS = """\
Two chips that one source measured at the same work: what is missed of the software is common to
both and leaves their ratio. *In common* is the part of the variance of the miss that such chips
share. Of two vendors too few were measured together to find one.
"""
#: Classes with fewer rows are shown together as well.
FEW = 40


@dataclass(frozen=True)
class Calibration:
    """Measurements of one task, what is missed of them, and which lie in their range."""

    errors: Residuals
    misses: Misses
    inside: NDArray[np.bool_]
    unseen: NDArray[np.bool_]  # misses, too, found without the source


def calibration(task: Task) -> Calibration:
    """Of the bundled measurements of one task. Raises `NeedsExtra` without SciPy."""
    errors, known = residuals(task), misses(task)
    return Calibration(errors, known, held(errors, known), held_unseen(errors))


def ranges_hold() -> tuple[str | Table, ...]:
    """What is said, and the tables: by class, and of ratios."""
    some = [calibration(task) for task in PREFIX]
    return INTRODUCTION, class_table(some), RATIOS, ratio_table(some)


def class_table(some: list[Calibration]) -> Table:
    """Every class, those with most rows first: what it is missed by, and how much is held."""
    rows: list[tuple[str, ...]] = []
    for one in some:
        task, sources = one.errors.task, len(set(one.errors.sources))
        shares = percent(float(np.mean(one.inside))), percent(float(np.mean(one.unseen)))
        rows.append((task, "all", f"{len(one.inside):,}", str(sources), "", *shares))
        rows.append((task, f"those below {FEW} rows", *small(one)))
        unseen = {each.name: each.share for each in by_class(one.errors, one.unseen)}
        for each in by_class(one.errors, one.inside):
            of = one.misses.of(each.name)
            miss = f"{np.exp(of.low):.2f} to {np.exp(of.high):.2f}"
            shares = percent(each.share), percent(unseen[each.name])
            rows.append((task, each.name, str(each.rows), str(each.sources), miss, *shares))
    columns = ("kind", "class", "rows", "sources", "miss", "in range", "source unknown")
    return Table(columns=columns, rows=tuple(rows), align="llrrlrr")


def small(one: Calibration) -> tuple[str, ...]:
    """Classes with few rows, all of them together, as the rest of a row of the table."""
    few = [each.name for each in by_class(one.errors, one.inside) if each.rows < FEW]
    own = np.isin(one.errors.generations, few)
    sources = len(set(one.errors.sources[own]))
    shares = (
        percent(float(np.mean(x[own]))) if own.any() else "" for x in (one.inside, one.unseen)
    )
    return f"{own.sum():,}", str(sources), "", *shares


def ratio_table(some: list[Calibration]) -> Table:
    """Ratios of chips of one family, of one vendor, and of two."""
    rows: list[tuple[str, ...]] = []
    for part in some:
        errors, pairs = part.errors, part.errors.pairs()
        inside = held_ratios(errors, pairs, part.misses)
        both = [(errors.chips[a], errors.chips[b]) for a, b in pairs]
        kin = np.array([one.family == other.family for one, other in both], dtype=bool)
        near = np.array([one.vendor == other.vendor for one, other in both], dtype=bool)
        kinds = {
            "all": (np.ones(len(pairs), dtype=bool), ""),
            "of one family": (kin, f"{part.misses.family:.2f}"),
            "of one vendor": (near & ~kin, f"{part.misses.vendor:.2f}"),
            "of two vendors": (~near, "0.00"),
        }
        rows += [
            (errors.task, name, f"{own.sum():,}", shared, percent(float(np.mean(inside[own]))))
            for name, (own, shared) in kinds.items()
            if own.any()
        ]
    return Table(("kind", "chips", "pairs", "in common", "in range"), tuple(rows), "llrrr")
