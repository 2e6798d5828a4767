"""The table and the chart of a match, and what is said of the chips that have no count."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from parity.outputs.document import Bars, Fields, Table
from parity.outputs.matching_fields import MatchQuestion, kinds_of_cost
from parity.outputs.unknowns import dominant, most_of
from parity.record import Fact
from parity.search.match import Row
from parity.units import significant

#: With more rows than this, findings are summed up.
FEW_ROWS = 8


def table(question: MatchQuestion, rows: Sequence[Row], costs: Sequence[dict[str, Fact]]) -> Table:
    """One row a wanted chip; costs only where any chip has a price."""
    held = question.chips_held

    def of(cell: Callable[[Row], str]) -> list[str]:
        return ["" if row.count is None else cell(row) for row in rows]

    found: list[tuple[str, str, list[str]]] = [
        ("chip", "l", [row.name for row in rows]),
        ("need", "r", ["—" if row.count is None else f"{row.count:,}" for row in rows]),
        ("range", "r", of(lambda row: f"{row.low:,}–{row.high:,}")),
        ("per chip", "r", of(lambda row: f"{row.count / held:.2f}" if row.count and held else "")),
        ("power", "r", of(lambda row: f"{row.power_ratio:.2f}" if row.power_ratio else "")),
    ]
    for basis, title in (("own", "own USD/M"), ("rent", "rent USD/M")):
        if any(basis in cost for cost in costs):
            cells = [significant(c[basis].value) if basis in c else "" for c in costs]
            found.append((title, "r", cells))
    found += [
        ("bound by", "l", [row.bound_by for row in rows]),
        ("layout", "l", ["see below" if row.count is None else row.layout or "" for row in rows]),
    ]
    titles, align, columns = zip(*found, strict=True)
    return Table(titles, tuple(zip(*columns, strict=True)), "".join(align))


def bars(question: MatchQuestion, rows: Sequence[Row]) -> tuple[Bars, ...]:
    """Counts with their ranges, the fewest chips first."""
    counted = sorted(
        ((row.count, row) for row in rows if row.count is not None), key=lambda pair: pair[0]
    )
    if not counted:
        return ()
    ends = tuple((float(row.low or n), float(row.high or n)) for n, row in counted)
    shown = tuple((row.name, float(n), _note(question, n, row)) for n, row in counted)
    return (Bars(shown, "chips needed, P10 to P90", ends),)


def _note(question: MatchQuestion, count: int, row: Row) -> str:
    """`24 (16–32)`, and with chips held what one of them equals, `3 (2–4) each`."""
    text = f"{count:,} ({row.low:,}–{row.high:,})"
    if not (held := question.chips_held):
        return text
    each, low, high = (significant((n or count) / held) for n in (count, row.low, row.high))
    return f"{text}, {each} ({low}–{high}) each"


def uncertain(rows: Sequence[Row], costs: Sequence[dict[str, Fact]]) -> tuple[Fields, ...]:
    """What most of each range comes from, of the count and of its cost, where there are few."""
    told = []
    for row, cost in zip(rows, costs, strict=True):
        shown = significant if row.work else lambda end: f"{end:,.0f}"
        found = row.work or row.spread
        if found and (text := most_of(found, shown)):
            of_cost = "" if row.work else dominant(kinds_of_cost(row, cost), "its cost")
            told.append((row.name, f"{text} {of_cost}".rstrip()))
    if not told or len(rows) > FEW_ROWS:
        return ()
    return (Fields(rows=tuple(told), title="where the ranges come from"),)


def walls(rows: Sequence[Row]) -> tuple[Fields, ...]:
    """Why chips have no count, and what would give them one."""
    found = tuple((row.name, _why_none(row)) for row in rows if row.count is None)
    return (Fields(rows=found, title="no count"),) if found else ()


def _why_none(row: Row) -> str:
    if row.wall is None:
        return row.reason
    if not row.wall.works:
        return row.wall.words
    return f"{row.wall.words} What works: {'; '.join(row.wall.works)}."
