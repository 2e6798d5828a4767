"""A match at equal cost in words, as a table and as a chart: what the same money buys and does."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from parity.outputs.document import Bars, Table
from parity.outputs.matching_fields import MatchQuestion
from parity.record import Fact
from parity.search.match import Row
from parity.search.uncertainty import Spread
from parity.units import significant


def money_words(question: MatchQuestion, row: Row) -> str:
    """`14 h20-96 (12–17), which do 0.80 (0.66–0.95) of the work`."""
    more = "train" if question.training else "serve"
    return f"{row.count:,} {row.name} ({row.low:,}–{row.high:,}), which {more} {ratio_words(row)}"


def ratio_words(row: Row) -> str:
    """`0.80 (0.66–0.95) times as much`."""
    if row.work is None or row.work_ratio is None:
        return ""
    low, high = significant(row.work.low), significant(row.work.high)
    return f"{significant(row.work_ratio)} ({low}–{high}) times as much"


def money_table(rows: Sequence[Row], costs: Sequence[dict[str, Fact]]) -> Table:
    """One row a wanted chip. costs: of a million tokens, by basis."""

    def of(cell: Callable[[Row], str]) -> list[str]:
        return ["" if row.count is None else cell(row) for row in rows]

    def ends(found: Spread | None) -> str:
        return f"{significant(found.low)}–{significant(found.high)}" if found else ""

    found: list[tuple[str, str, list[str]]] = [
        ("chip", "l", [row.name for row in rows]),
        ("chips", "r", ["—" if row.count is None else f"{row.count:,}" for row in rows]),
        ("range", "r", of(lambda row: f"{row.low:,}–{row.high:,}")),
        ("work", "r", of(lambda row: significant(row.work_ratio or 0.0))),
        ("range", "r", of(lambda row: ends(row.work))),
        ("power", "r", of(lambda row: f"{row.power_ratio:.2f}" if row.power_ratio else "")),
    ]
    for basis, title in (("own", "own USD/M"), ("rent", "rent USD/M")):
        if any(basis in cost for cost in costs):
            cells = [significant(c[basis].value) if basis in c else "" for c in costs]
            found.append((title, "r", cells))
    found += [
        ("paid", "l", of(lambda row: "owned" if row.paid == "own" else "rented")),
        ("bound by", "l", [row.bound_by for row in rows]),
        ("layout", "l", ["see below" if row.count is None else row.layout or "" for row in rows]),
    ]
    titles, align, columns = zip(*found, strict=True)
    return Table(titles, tuple(zip(*columns, strict=True)), "".join(align))


def money_bars(rows: Sequence[Row]) -> tuple[Bars, ...]:
    """The work for the same money with its range, the most first."""
    done = sorted(
        ((row.work_ratio, row.work, row) for row in rows if row.work_ratio and row.work),
        key=lambda one: -one[0],
    )
    if not done:
        return ()
    shown = tuple((row.name, value, ratio_words(row)) for value, _, row in done)
    ends = tuple((work.low, work.high) for _, work, _ in done)
    return (Bars(shown, "work for the same money, P10 to P90", ends),)
