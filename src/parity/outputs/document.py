"""What an answer says, before it becomes text or HTML.

A `Document` is one sentence, then parts (tables, bars, named values), then findings, sources and
what to type next. `outputs.text` and `outputs.html` print the same document.
"""

from __future__ import annotations

from parity.record import Finding, Record


class Table(Record, frozen=True):
    """Aligned columns. Cells are text already; `align` has one letter a column, `l` or `r`."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    align: str = ""
    title: str = ""


class Fields(Record, frozen=True):
    """Named values, one a line."""

    rows: tuple[tuple[str, str], ...]
    title: str = ""


class Bars(Record, frozen=True):
    """Shares or effects: (name, size, what to print beside it). Sizes are relative.

    ends: the low and the high end of each row, where sizes have ranges.
    """

    rows: tuple[tuple[str, float, str], ...]
    title: str = ""
    ends: tuple[tuple[float, float], ...] = ()


#: A range that is longer than so many times the largest size runs off the scale.
_FARTHEST = 2.0


def scale_end(part: Bars) -> float:
    """The size that the longest bar stands for, its range included."""
    largest = max((abs(size) for _, size, _ in part.rows), default=0.0)
    ends = max((abs(high) for _, high in part.ends), default=0.0)
    return max(largest, min(ends, _FARTHEST * largest))


class Words(Record, frozen=True):
    """A paragraph."""

    text: str


class Series(Record, frozen=True):
    """Points of one kind, in order; joined where they follow one another in time."""

    name: str
    points: tuple[tuple[float, float], ...]
    joined: bool = False


class Chart(Record, frozen=True):
    """A plot of numbers with two axes from zero on."""

    title: str
    x: str  # what is measured across, with its unit
    y: str
    series: tuple[Series, ...]


class Band(Record, frozen=True):
    """A figure with its range over years: (year, P10, P50, P90), in order."""

    name: str
    points: tuple[tuple[float, float, float, float], ...]


class Fan(Record, frozen=True):
    """Bands over years, on a scale of factors: equal steps up are equal factors."""

    title: str
    y: str
    bands: tuple[Band, ...]


Part = Table | Fields | Bars | Words | Chart | Fan


class Document(Record, frozen=True):
    """One answer, ready to print."""

    sentence: str
    parts: tuple[Part, ...] = ()
    findings: tuple[Finding, ...] = ()
    sources: tuple[str, ...] = ()  # the text behind [1], [2], … in this order
    next: tuple[str, ...] = ()  # commands to type next
