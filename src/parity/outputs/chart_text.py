"""A chart in characters, for terminals and log files."""

from __future__ import annotations

from parity.outputs.document import Chart
from parity.units import significant

#: An odd number, so that half of the axis has a row of its own.
ROWS = 13
#: One mark a series, told apart without colour.
MARKS = "*o+x#@"


def plotted(chart: Chart, width: int = 84) -> list[str]:
    """The lines of the chart: title, plot, axis, and which mark stands for what."""
    points = [point for series in chart.series for point in series.points]
    if not points:
        return [f"{chart.title}: nothing to show"]
    right = nice_end(max(x for x, _ in points))
    top = nice_end(max(y for _, y in points))
    labels = {0: significant(top), ROWS // 2: significant(top / 2), ROWS - 1: "0"}
    margin = max(4, *map(len, labels.values()))
    columns = max(width - margin - 4, 24)
    grid = [[" "] * columns for _ in range(ROWS)]
    for series, mark in zip(chart.series, marks(chart), strict=True):
        for x, y in series.points:
            column = min(round(x / right * (columns - 1)), columns - 1)
            row = min(round(y / top * (ROWS - 1)), ROWS - 1)
            grid[ROWS - 1 - row][column] = mark
    lines = [chart.title, f"  {chart.y}"]
    for i, cells in enumerate(grid):
        lines.append(f"  {labels.get(i, ''):>{margin}} |{''.join(cells)}".rstrip())
    lines.append(f"  {'':>{margin}} +{'-' * columns}")
    ends = _across(right, columns)
    lines.append(f"  {'':>{margin}}  {ends}  {chart.x}".rstrip())
    named = [f"{m} {s.name}" for s, m in zip(chart.series, marks(chart), strict=True) if s.name]
    return [*lines, f"  {'':>{margin}}  {'   '.join(named)}"] if named else lines


def _across(right: float, columns: int) -> str:
    """Zero, the middle and the end of the axis, each below its place."""
    middle, end = significant(right / 2), significant(right)
    line = f"{'0':<{(columns - len(middle)) // 2}}{middle}"
    return f"{line:<{columns - len(end)}}{end}"


def marks(chart: Chart) -> list[str]:
    """The mark of each series."""
    return [MARKS[i % len(MARKS)] for i in range(len(chart.series))]


def nice_end(value: float) -> float:
    """The end of an axis from zero, not below `value`: a number whose quarters are round too."""
    if value <= 0:
        return 1.0
    step = 1.0
    while step < value:
        step *= 10
    while step / 10 >= value:
        step /= 10
    return next(step * share for share in (0.1, 0.12, 0.16, 0.2, 0.25, 0.4, 0.5, 0.6, 0.8, 1.0)
                if step * share >= value)  # fmt: skip
