"""Tables of measurements as CSV, from anybody.

A file from outside is hostile: its size, lines and fields are bounded, every number is checked,
and what is wrong is said with the line and the column.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from parity.errors import BadFile, nearest, shorten

if TYPE_CHECKING:
    from _csv import Reader as CsvReader

MOST_BYTES = 16_000_000
MOST_ROWS = 50_000
MOST_COLUMNS = 200


class Number(NamedTuple):
    """A column of numbers: the range believed, and whether they are whole."""

    least: float
    most: float
    whole: bool = True


class Words(NamedTuple):
    """A column of text: its longest, and the words allowed (all, where none are named)."""

    longest: int = 400
    known: tuple[str, ...] = ()
    within: tuple[str, ...] = ()  # one of these occurs in it, in small letters


class Line(NamedTuple):
    """One row of a table: the cells that are not blank, by column, and where it stands."""

    cells: dict[str, str]
    number: int
    at: str  # `mine.csv, line 3`


#: What is done with a header before any row is read; it raises `BadFile` where it is no good.
Check = Callable[[list[str], str], None]


def file_bytes(path: Path) -> bytes:
    """The bytes of a file of measurements. Raises `BadFile` where it is missing or too large."""
    name = shorten(str(path), 120)
    try:
        if not path.is_file():
            raise BadFile(f"There is no file {name}; a CSV of measurements was expected.")
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise BadFile(f"{name} has {size:,} bytes; at most {MOST_BYTES:,} are read.")
        return path.read_bytes()
    except OSError as error:
        raise BadFile(f"{name} cannot be read ({shorten(str(error), 80)}).") from None


def lines(data: bytes, where: str, check: Check) -> Iterator[Line]:
    """The rows of a CSV file's bytes, once `check` passed its header. Raises `BadFile`."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadFile(f"{where} is not text in UTF-8; a CSV file was expected.") from None
    if "\0" in text:
        raise BadFile(f"{where} holds a NUL character; a CSV file was expected.")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        check(header, where)
        yield from _rows(_counted(reader), header, where)
    except csv.Error as error:
        at = f"{where}, line {reader.line_num}"
        raise BadFile(f"{at}: this is not CSV ({shorten(str(error), 80)}).") from None


def _counted(reader: CsvReader) -> Iterator[tuple[int, list[str]]]:
    """Each record with the line it ends on."""
    for cells in reader:
        yield reader.line_num, cells


def _rows(
    records: Iterable[tuple[int, list[str]]], header: list[str], where: str
) -> Iterator[Line]:
    for count, (line, cells) in enumerate(records):
        if count >= MOST_ROWS:
            raise BadFile(f"{where} has more than {MOST_ROWS:,} rows, the most that are read.")
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header):
            raise BadFile(
                f"{where}, line {line}: {len(cells)} fields; {len(header)} were expected, one for "
                "each column."
            )
        given = {
            name: cell.strip() for name, cell in zip(header, cells, strict=True) if cell.strip()
        }
        yield Line(given, line, f"{where}, line {line}")


def check_header(
    header: list[str], where: str, columns: Mapping[str, object], required: tuple[str, ...]
) -> None:
    """Raises `BadFile` for a header without the columns that are needed, or with a slip in one."""
    if not any(header) or len(header) > MOST_COLUMNS:
        raise BadFile(
            f"{where} begins with no line of column names; `{','.join(required)}` at least were "
            "expected."
        )
    for name in header:
        if name and header.count(name) > 1:
            raise BadFile(f"{where} has the column {shorten(name)!r} twice.")
    missing = [name for name in required if name not in header]
    if missing:
        known = ", ".join(f"`{name}`" for name in missing)
        raise BadFile(f"{where} has no column {known}; the columns are {', '.join(columns)}.")
    for name in header:
        close = [] if name in columns else nearest(name, columns, 1)
        if close and close[0] not in header:
            raise BadFile(f"{where} has a column {shorten(name)!r}; is `{close[0]}` meant?")


def value(name: str, text: str, kind: Number | Words, at: str) -> str | int | float:
    """A cell of column `name` as `kind` has it. Raises `BadFile`."""
    return _words(name, text, kind, at) if isinstance(kind, Words) else number(name, text, kind, at)


def _words(name: str, text: str, kind: Words, at: str) -> str:
    if len(text) > kind.longest:
        raise BadFile(
            f"{at}, column {name}: {len(text):,} characters; at most {kind.longest:,} are read."
        )
    if kind.known and text not in kind.known:
        close = nearest(text, kind.known, 1)
        hint = f" Is {close[0]} meant?" if close else ""
        raise BadFile(
            f"{at}, column {name}: {shorten(text)!r}; one of {', '.join(kind.known)} was "
            f"expected.{hint}"
        )
    if kind.within and not any(word in text.lower() for word in kind.within):
        raise BadFile(
            f"{at}, column {name}: {shorten(text)!r}; words with one of "
            f"{', '.join(kind.within)} were expected."
        )
    return text


def number(name: str, text: str, kind: Number, at: str) -> int | float:
    """A cell that is a number within the range of `kind`. Raises `BadFile`."""
    try:
        found = float(text) if len(text) <= 40 else math.nan
    except ValueError:
        found = math.nan
    whole = kind.whole and found != math.floor(found) if math.isfinite(found) else False
    if not kind.least <= found <= kind.most or whole:
        what = "a whole number" if kind.whole else "a number"
        raise BadFile(
            f"{at}, column {name}: {shorten(text)!r}; {what} from {kind.least:g} to {kind.most:g} "
            "was expected."
        )
    return int(found) if kind.whole else found


def unit(metric: str, given: str, units: Mapping[str, float], at: str) -> str:
    """The unit of a metric, the first of `units` where none is given. Raises `BadFile`."""
    stated = given or next(iter(units))
    if stated not in units:
        raise BadFile(
            f"{at}, column unit: {shorten(stated)!r}; {' or '.join(units)} was expected "
            f"for {metric}."
        )
    return stated
