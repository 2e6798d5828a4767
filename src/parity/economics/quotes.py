"""Dated prices with their sources: `prices.csv` of chips and tokens, `operation.csv` of the rest.

A price is true of a day. Of the quotes known on that day those of the year before it count; where
there are none, the newest older ones, and the answer says how old they are.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from functools import cache, lru_cache
from importlib.resources import files
from typing import Literal, TypeVar

import msgspec

from parity.errors import BadCatalogue, NoPrice, UnknownName, UsageError, shorten
from parity.record import DEFAULT_SPREAD, Fact, Provenance, Record

#: Quotes of so many days before a date speak for it.
WINDOW = timedelta(days=365)
#: Where there are none, those of so many days before the newest.
LATEST = timedelta(days=92)
#: Bounds of what is read.
MOST_BYTES, MOST_ROWS, LONGEST = 4_000_000, 20_000, 600
_DATE = re.compile(r"(\d{4})(?:-(\d\d))?(?:-(\d\d))?")

R = TypeVar("R", bound=Record)
Kind = Literal["rent", "purchase", "token"]


class Quote(Record, frozen=True):
    """What somebody asked for something from a date on; empty ends take the usual spread."""

    kind: Kind
    item: str  # as the source calls it
    subject: str  # id of a chip or a bundled model; empty where it is neither
    since: str
    place: str  # provider or region
    terms: str  # on-demand, 1-year, 3-year; chip, server, used; input, cached, output
    unit: str
    low: float | None
    value: float
    high: float | None
    source: str
    provenance: Provenance
    note: str

    @property
    def day(self) -> date:
        """The first day it held."""
        return parse_date(self.since)


class Operating(Record, frozen=True):
    """A figure of running chips: electricity of a place, PUE, years of use."""

    name: str
    place: str
    since: str
    unit: str
    low: float | None
    value: float
    high: float | None
    source: str
    provenance: Provenance
    note: str


@lru_cache(maxsize=4096)
def parse_date(text: str, what: str = "a date") -> date:
    """The first day of a year, month or day. Raises `UsageError`."""
    match = _DATE.fullmatch(text.strip())
    try:
        if match is None:
            raise ValueError
        year, month, day = (int(part or 1) for part in match.groups())
        return date(year, month, day)
    except ValueError:
        raise UsageError(
            f"{what} is {shorten(text)!r}; a date was expected, as in `2026-03` or `2026-03-15`."
        ) from None


@cache
def quotes() -> tuple[Quote, ...]:
    """Every price of a chip or of tokens."""
    return tuple(_read("prices.csv", Quote))


@cache
def operating() -> tuple[Operating, ...]:
    """Every figure of running chips."""
    return tuple(_read("operation.csv", Operating))


def read_table(data: bytes, record: type[R], where: str) -> Iterator[R]:
    """Rows of a CSV as records; `where` is named in errors.

    Raises `BadCatalogue` for a file too large, no UTF-8, a column too many or too few, a number
    that is none or below zero, ends that do not enclose the value, a date that is none.
    """
    if len(data) > MOST_BYTES:
        raise BadCatalogue(f"{where} has {len(data):,} bytes; at most {MOST_BYTES:,} are read.")
    try:
        reader = csv.DictReader(io.StringIO(data.decode("utf-8"), newline=""), strict=True)
        rows = list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadCatalogue(f"{where} is no CSV: {shorten(str(error))}.") from None
    wanted = list(record.__struct_fields__)
    if list(reader.fieldnames or ()) != wanted:
        raise BadCatalogue(f"{where}: the columns {', '.join(wanted)} were expected.")
    if len(rows) > MOST_ROWS:
        raise BadCatalogue(f"{where} has {len(rows):,} rows; at most {MOST_ROWS:,} are read.")
    for number, row in enumerate(rows, start=2):
        yield _record(row, record, f"{where}, line {number}")


def _read(name: str, record: type[R]) -> Iterator[R]:
    data = files("parity.economics").joinpath("data", name).read_bytes()
    yield from read_table(data, record, name)


def _record(row: dict[str, str], record: type[R], at: str) -> R:
    numbers = ("low", "value", "high")
    if None in row or None in row.values():
        raise BadCatalogue(f"{at}: the line has more or fewer cells than the header.")
    if any(len(cell) > LONGEST for cell in row.values()):
        raise BadCatalogue(f"{at}: a cell is longer than {LONGEST} letters.")
    cells: dict[str, object] = {k: v for k, v in row.items() if k not in numbers}
    for name in numbers:
        cells[name] = (
            _number(row[name], f"{at}, `{name}`") if row[name] or name == "value" else None
        )
    try:
        read = msgspec.convert(cells, record)
    except msgspec.ValidationError as error:
        raise BadCatalogue(f"{at}: {shorten(str(error))}.") from None
    low, value, high = (cells[name] for name in numbers)
    ends = [end for end in (low, value, high) if end is not None]
    if ends != sorted(ends):  # type: ignore[type-var]
        raise BadCatalogue(f"{at}: low, value and high are not in order.")
    if not row["source"].strip():
        raise BadCatalogue(f"{at}: a number without a source.")
    try:
        parse_date(row["since"], f"{at}, `since`")
    except UsageError as error:
        raise BadCatalogue(str(error)) from None
    return read


def _number(text: str, at: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise BadCatalogue(f"{at} is {shorten(text)!r}; a number from zero on was expected.")
    return value


def ends_of(one: Quote | Operating) -> tuple[float, float]:
    """The range of a figure, by its provenance where it states none."""
    spread = DEFAULT_SPREAD[one.provenance]
    low = one.value * (1 - spread) if one.low is None else one.low
    high = one.value * (1 + spread) if one.high is None else one.high
    return low, high


@cache
def newest() -> date:
    """The day of the newest price that is held: what `today` means, so that answers stay."""
    return max(quote.day for quote in quotes())


def operation(name: str, place: str = "") -> Fact:
    """A figure of running chips. Raises `UnknownName` for a place that has none."""
    known = {row.place: row for row in operating() if row.name == name}
    row = known.get(place.strip().lower())
    if row is None:
        raise UnknownName("region", place, known, f"Known are {', '.join(sorted(known))}.")
    low, high = ends_of(row)
    return Fact(row.value, low, high, row.unit, row.provenance, row.source, row.note)


def regions() -> tuple[str, ...]:
    """Places whose electricity has a price."""
    return tuple(row.place for row in operating() if row.name == "electricity")


def known_on(found: Iterable[Quote], on: date, what: str) -> tuple[tuple[Quote, ...], date]:
    """The quotes that speak for a date, and the day of the newest.

    Raises `NoPrice` where there are none at all, `UsageError` where all came after the date.
    """
    every = sorted(found, key=lambda quote: quote.day)
    if not every:
        raise NoPrice(f"Nobody published a price of {what}.")
    before = [quote for quote in every if quote.day <= on]
    if not before:
        raise UsageError(
            f"No price of {what} is known on {on}; the first is of {every[0].since}, "
            f"so `--on-date {every[0].since}` or later has one."
        )
    newest = before[-1].day
    since = on - WINDOW if newest >= on - WINDOW else newest - LATEST
    return tuple(quote for quote in before if quote.day >= since), newest
