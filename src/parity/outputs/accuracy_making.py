"""The part of docs/accuracy.md on what chips cost to make."""

from __future__ import annotations

from collections.abc import Sequence

from parity.outputs.document import Table
from parity.supply import tables
from parity.supply.validation import PART_BAR, TOTAL_BAR, Compared, table
from parity.timing.draw import USUAL_SAMPLES

INTRODUCTION = f"""\
# What chips cost to make

Nobody publishes what a chip costs to make; analysts publish estimates. Each part of those stands
beside the P50 of `parity fab`, with P10 and P90, and memory at the price of the estimate's day. An
estimate that copies another, or that has another thing in it, is shown and not counted. A part
within {100 * PART_BAR:.0f} % and a total within {100 * TOTAL_BAR:.0f} % is as near as public
figures allow. Prices of packaging, test and assembly were taken from the same estimates, so that
those agree shows no more than that; logic, memory and totals were not.
"""


def making() -> tuple[str, Table]:
    """What is said before the table, and the table of published costs beside ours."""
    compared = table(USUAL_SAMPLES)
    return f"{INTRODUCTION}\n{verdict(compared)}\n", estimates(compared)


def verdict(compared: Sequence[Compared]) -> str:
    """How many are within their bars, and which are not, at the median and at stated figures."""
    counted = [one for one in compared if one.published.counted]
    free = [one for one in counted if one.independent]
    stated = [one for one in table() if one.published.counted]
    return (
        f"{_close(counted)} of {len(counted)} that count are within, {_close(free)} of {len(free)} "
        f"among logic, memory and totals. Outside: {_missed(counted)}. With every figure at its "
        f"stated value, outside: {_missed(stated)}."
    )


def estimates(compared: Sequence[Compared]) -> Table:
    """Every published cost beside ours."""
    return Table(
        columns=("chip", "part", "by", "date", "published", "here", "off", "within", "note"),
        rows=tuple(_row(one) for one in compared),
        align="llllrrrll",
    )


def _close(some: Sequence[Compared]) -> int:
    return sum(one.within for one in some)


def _missed(some: Sequence[Compared]) -> str:
    missed = [
        f"{one.published.part} of {one.published.chip}, {one.usd:,.0f} for "
        f"{one.published.usd:,.0f} ({100 * one.error:+.0f} %)"
        for one in some
        if not one.within
    ]
    return "; ".join(missed) or "none"


def _row(one: Compared) -> tuple[str, ...]:
    found = one.published
    within = ("yes" if one.within else "no") if found.counted else "not counted"
    ranged = found.low_usd < found.high_usd
    ends = f" ({found.low_usd:,.0f}–{found.high_usd:,.0f})" if ranged else ""
    return (
        found.chip, found.part, tables.source(found.source).publisher, found.date,
        f"{found.usd:,.0f}{ends}", f"{one.usd:,.0f} ({one.low_usd:,.0f}–{one.high_usd:,.0f})",
        f"{100 * one.error:+.0f} %", within, found.note,
    )  # fmt: skip
