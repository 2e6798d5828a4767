"""One figure with its range, as text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from parity.record import Fact
from parity.units import prefix, render, significant

if TYPE_CHECKING:  # a command that only looks things up loads no NumPy
    from parity.catalogue.machine import Number


def first(value: Number) -> float:
    """The number of a single-row column, or the number itself."""
    return float(value.ravel()[0]) if hasattr(value, "ravel") else float(value)


def ranged(value: float, low: float, high: float, unit: str, digits: int = 3) -> str:
    """`value` with the range it may lie in, in one unit: `119 TFLOP/s (100–200)`."""
    spread = span(low, high, value, unit, digits)
    return f"{render(value, unit, digits)} ({spread})" if spread else render(value, unit, digits)


def span(low: float, high: float, like: float, unit: str, digits: int = 3) -> str:
    """The range alone, in the prefix that `like` is printed with; empty where it is a point."""
    if unit == "year":
        ends = [f"{low:.0f}", f"{high:.0f}"]
    else:
        size, _ = prefix(like, unit)
        ends = [significant(low / size, digits), significant(high / size, digits)]
    return "" if ends[0] == ends[1] else "–".join(ends)


def fact_text(fact: Fact, digits: int = 4) -> str:
    """A catalogue figure with its range."""
    return ranged(fact.value, fact.low, fact.high, fact.unit, digits)


def marks(keys: Iterable[str]) -> dict[str, str]:
    """Reference marks `[1]`, `[2]`, … in the order in which the keys first appear."""
    return {key: f"[{n}]" for n, key in enumerate(dict.fromkeys(keys), start=1)}
