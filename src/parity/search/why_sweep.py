"""One or two figures of a chip over a range: where more of them stops helping, and why.

Each point is planned anew. Where one of the figures is the memory's capacity, layouts are evaluated
once with the most of it, since it changes what fits and no time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from parity.catalogue.figures import bounded
from parity.catalogue.machine import Machine
from parity.catalogue.names import figure_path
from parity.errors import Infeasible, UsageError, shorten
from parity.search.why_figures import stated

#: Points of the first figure, and of the second beside it.
POINTS, LINES = 13, 4
#: What is left to gain where a figure has stopped helping.
LITTLE = 0.01


@dataclass(frozen=True)
class Axis:
    """A figure and the values it takes, the least first."""

    key: str
    unit: str
    values: tuple[float, ...]


@dataclass(frozen=True)
class Line:
    """Speeds over the first axis, at one value of the second; None where nothing fits."""

    at: float | None
    speeds: tuple[float | None, ...]
    binds: str = ""  # where the first figure has stopped helping, or at its end

    def enough(self) -> int | None:
        """The first point beyond which less than `LITTLE` is gained; None where nothing fits."""
        best = max((s for s in self.speeds if s is not None), default=None)
        if best is None:
            return None
        return next(
            i for i, s in enumerate(self.speeds) if s is not None and s * (1 + LITTLE) >= best
        )


@dataclass(frozen=True)
class Sweep:
    """All points."""

    axis: Axis
    lines: tuple[Line, ...]
    other: Axis | None


def axes(text: str) -> tuple[Axis, Axis | None]:
    """The axes of `memory.capacity=96..288GB,memory.bandwidth=4..8TB/s`.

    Raises `UsageError`, `UnknownName`, `BadQuantity`.
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not 1 <= len(parts) <= 2:
        raise UsageError(
            f"--sweep is {shorten(text)!r}; one figure or two were expected, as in "
            "`memory.capacity=96..288GB,memory.bandwidth=4..8TB/s`."
        )
    first = _axis(parts[0], POINTS)
    second = _axis(parts[1], LINES) if len(parts) == 2 else None
    if second and second.key == "memory.capacity":
        first, second = _axis(parts[1], POINTS), _axis(parts[0], LINES)
    if second and second.key == first.key:
        raise UsageError(f"--sweep names {first.key} twice; two different figures were expected.")
    return first, second


def _axis(part: str, count: int) -> Axis:
    name, equals, span = part.partition("=")
    low_text, dots, high_text = span.partition("..")
    if not equals or not dots:
        raise UsageError(
            f"--sweep has {shorten(part)!r}; a range was expected, as in "
            "`memory.capacity=96..288GB`."
        )
    path, unit = figure_path(name)
    high = bounded(high_text.strip(), unit, path)
    unit_word = high_text.strip().lstrip("+-0123456789_.eE ")
    low_text = low_text.strip()
    bare = low_text.replace(".", "", 1).replace("_", "").isdigit()
    low = bounded(low_text + unit_word if bare else low_text, unit, path)
    if not low < high:
        raise UsageError(f"--sweep has {shorten(part)!r}; the range runs from low to high.")
    if unit == "1":
        whole = np.unique(np.geomspace(low, high, count).round())
        return Axis(path, unit, tuple(float(x) for x in whole))
    return Axis(path, unit, tuple(float(x) for x in np.linspace(low, high, count)))


def swept(
    target: Machine,
    first: Axis,
    second: Axis | None,
    speed: Callable[[Machine, Sequence[float]], Sequence[float | None]],
    binds: Callable[[Machine], str],
) -> Sweep:
    """Every point by `speed`, which takes a machine and capacities it may have, and gives one
    speed for each; `binds` says what limits a machine.
    """
    lines = []
    for at in second.values if second else (None,):
        here = target if at is None or second is None else stated(target, second.key, at)
        line = Line(at, tuple(_line(here, first, speed)))
        end = line.enough()
        if end is not None:
            line = replace(line, binds=binds(stated(here, first.key, first.values[end])))
        lines.append(line)
    return Sweep(first, tuple(lines), second)


def _line(
    target: Machine,
    axis: Axis,
    speed: Callable[[Machine, Sequence[float]], Sequence[float | None]],
) -> list[float | None]:
    if axis.key == "memory.capacity":
        return list(speed(stated(target, axis.key, axis.values[-1]), axis.values))
    found: list[float | None] = []
    for value in axis.values:
        here = stated(target, axis.key, value)
        try:
            found += speed(here, (float(np.mean(here.memory_bytes)),))
        except Infeasible:
            found.append(None)
    return found
