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
    """Shares or effects: (name, size, what to print beside it). Sizes are relative."""

    rows: tuple[tuple[str, float, str], ...]
    title: str = ""


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


Part = Table | Fields | Bars | Words | Chart


class Document(Record, frozen=True):
    """One answer, ready to print."""

    sentence: str
    parts: tuple[Part, ...] = ()
    findings: tuple[Finding, ...] = ()
    sources: tuple[str, ...] = ()  # the text behind [1], [2], … in this order
    next: tuple[str, ...] = ()  # commands to type next
