"""Figures with ranges through one equation: the result, its range, and what makes that wide."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from parity.catalogue.machine import Draw, Number, central
from parity.record import Fact

#: Named numbers in, named numbers out; all of them may be columns of samples.
Equation = Callable[[Mapping[str, Number]], dict[str, Number]]
#: The ends of the range that is shown.
LOW, HIGH = 0.1, 0.9
#: Before the names of figures of what a new thing is compared with.
OLD = "old."


@dataclass(frozen=True)
class Figure:
    """A number that goes in. deciles: the fact's ends are P10 and P90, else all there is."""

    fact: Fact
    deciles: bool = False

    def key(self, name: str) -> str:
        """What its samples go by: two figures of one name and source have the same ones."""
        return f"{name.rpartition('.')[2]}: {self.fact.source}"

    def drawn(self, name: str, draw: Draw) -> Number:
        """Its samples."""
        fact, key = self.fact, self.key(name)
        if not self.deciles:
            return draw(key, fact.value, fact.low, fact.high)
        if fact.low <= 0 or fact.low == fact.high:
            return fact.value
        middle, reach = math.log(fact.value), 2 * (0.5 - LOW)
        below = min(math.log(fact.low), middle) - middle
        above = max(math.log(fact.high), middle) - middle
        return np.exp(draw(key, middle, middle + below / reach, middle + above / reach))


@dataclass(frozen=True)
class Span:
    """A result with P10 and P90; the value itself is never outside."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Driver:
    """A figure, and how far its range alone moves a result from P10 to P90."""

    name: str
    swing: float


def spans(figures: Mapping[str, Figure], equation: Equation, draw: Draw) -> dict[str, Span]:
    """Each result at the stated figures, with its range over all of them."""
    middle = equation(_drawn(figures, central))
    drawn = equation(_drawn(figures, draw))
    return {name: _span(float(np.ravel(middle[name])[0]), drawn[name]) for name in middle}


def drivers(
    figures: Mapping[str, Figure], equation: Equation, draw: Draw, of: str
) -> tuple[Driver, ...]:
    """The figures by how far each alone moves the result `of`, the farthest first."""
    together: dict[str, list[str]] = {}
    for name, figure in figures.items():
        if figure.fact.low < figure.fact.high:
            together.setdefault(figure.key(name), []).append(name)
    middle, found = _drawn(figures, central), []
    for names in together.values():
        varied = {name: figures[name].drawn(name, draw) for name in names}
        low, high = _ends(equation({**middle, **varied})[of])
        if low < high < math.inf:
            found.append(Driver(_shared(names), high - low))
    return tuple(sorted(found, key=lambda driver: -driver.swing))


def _shared(names: list[str]) -> str:
    """What figures that vary together are called; of several kinds of chip, without the kind."""
    old = OLD if all(name.startswith(OLD) for name in names) else ""
    return names[0] if len(names) == 1 else old + names[0].rpartition(".")[2]


def _drawn(figures: Mapping[str, Figure], draw: Draw) -> dict[str, Number]:
    return {name: figure.drawn(name, draw) for name, figure in figures.items()}


def _ends(samples: Number) -> tuple[float, float]:
    """P10 and P90, each one of the samples: among some that are infinite none lies between."""
    low, high = np.quantile(np.ravel(samples), [LOW, HIGH], method="nearest")
    return float(low), float(high)


def _span(value: float, samples: Number) -> Span:
    low, high = _ends(samples)
    return Span(value, min(low, value), max(high, value))
