"""One or two figures over a range, as a chart with the points where more stops helping."""

from __future__ import annotations

from parity.outputs.document import Chart, Part, Series, Table, Words
from parity.search.why_sweep import LITTLE, Axis, Line, Sweep
from parity.units import prefix, render, significant

#: The series of the points beyond which little is left to gain.
ENOUGH = "less than 1 % left to gain beyond"


def swept_parts(sweep: Sweep | None, speed: str) -> tuple[Part, ...]:
    """What a sweep says, its lines where there are several, and its chart; nothing without one."""
    if sweep is None:
        return ()
    lines = (_table(sweep, speed),) if sweep.other else ()
    return (Words(sweep_words(sweep)), *lines, sweep_chart(sweep, speed))


def sweep_words(sweep: Sweep) -> str:
    """Where the first figure stops helping, and why: on the only line, or at both ends of many."""
    ends = dict.fromkeys((sweep.lines[0], sweep.lines[-1]))
    return " ".join(_line_words(sweep.axis, sweep.other, line) for line in ends)


def _line_words(axis: Axis, other: Axis | None, line: Line) -> str:
    beside = ""
    if other and line.at is not None:
        beside = f" at {render(line.at, other.unit)} of {other.key}"
    end = line.enough()
    if end is None:
        return f"Nothing fits at any {axis.key} of the sweep{beside}."
    at = render(axis.values[end], axis.unit)
    binds = f": {line.binds} binds" if line.binds else ""
    if end == len(axis.values) - 1:
        return f"More {axis.key} helps up to the end of the sweep, {at}{beside}{binds}."
    left = f"less than {100 * LITTLE:.0f} % is left to gain"
    first = next(i for i, s in enumerate(line.speeds) if s is not None)
    if end == first and end > 0:
        return f"{at} of {axis.key}{beside} is the least that fits, and beyond it {left}{binds}."
    return f"Beyond {at} of {axis.key}{beside} {left}{binds}."


def _table(sweep: Sweep, speed: str) -> Table:
    """The end of each line: how much is enough, how fast that is, and what binds."""
    assert sweep.other is not None
    rows = []
    for line in sweep.lines:
        end = line.enough()
        at = render(line.at or 0.0, sweep.other.unit)
        if end is None:
            rows.append((at, "—", "—", "nothing fits"))
            continue
        reached = significant(line.speeds[end] or 0.0)
        rows.append((at, render(sweep.axis.values[end], sweep.axis.unit), reached, line.binds))
    columns = (sweep.other.key, f"{sweep.axis.key} that is enough", speed, "what binds there")
    return Table(columns, tuple(rows), "rrrl", f"where {sweep.axis.key} stops helping")


def sweep_chart(sweep: Sweep, speed: str) -> Chart:
    """Speed over the first figure, a series for each value of the second, and where to stop."""
    size, name = prefix(sweep.axis.values[-1], sweep.axis.unit)
    series = [
        Series(
            name=render(line.at, sweep.other.unit) if sweep.other and line.at is not None else "",
            points=tuple(
                (value / size, s)
                for value, s in zip(sweep.axis.values, line.speeds, strict=True)
                if s is not None
            ),
            joined=True,
        )
        for line in sweep.lines
    ]
    ends = [(line, line.enough()) for line in sweep.lines]
    knees = tuple(
        (sweep.axis.values[end] / size, line.speeds[end] or 0.0)
        for line, end in ends
        if end is not None
    )
    if knees:
        series.append(Series(name=ENOUGH, points=knees))
    other = f", by {sweep.other.key}" if sweep.other else ""
    title = f"{sweep.axis.key}{other}, each point planned anew"
    return Chart(title, name, speed, tuple(series))
