"""Reads evidence from CSV: the bundled tables, or anybody's file in the same columns.

A file from outside is hostile: its size, lines and fields are bounded, every number is checked,
and what is wrong is said with the line and the column.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from parity.errors import BadFile, nearest, shorten
from parity.evidence.schema import COLUMNS, REQUIRED, SOME, UNITS, KernelRow, Number, Row, Words
from parity.evidence.sources import set_of

if TYPE_CHECKING:
    from _csv import Reader as CsvReader

MOST_BYTES = 16_000_000
MOST_ROWS = 50_000
MOST_COLUMNS = 200
_WIDTHS = re.compile(r"(\d{1,7})(?: \((expert|dense)\))?")


def read_file(path: Path) -> tuple[Row, ...]:
    """The rows of a CSV file of training measurements.

    Raises `BadFile` where the file is missing, too large, no CSV, lacks a column, or holds a value
    that cannot be.
    """
    name = shorten(str(path), 120)
    try:
        if not path.is_file():
            raise BadFile(f"There is no file {name}; a CSV of measurements was expected.")
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise BadFile(f"{name} has {size:,} bytes; at most {MOST_BYTES:,} are read.")
        return parse(path.read_bytes(), name)
    except OSError as error:
        raise BadFile(f"{name} cannot be read ({shorten(str(error), 80)}).") from None


@cache
def bundled() -> tuple[Row, ...]:
    """The training measurements that come with Parity."""
    return parse(_data("training.csv"), "training.csv")


@cache
def kernels() -> tuple[KernelRow, ...]:
    """The kernel measurements that come with Parity."""
    text = _data("kernel.csv").decode("utf-8")
    return tuple(msgspec.convert(row, KernelRow, strict=False) for row in _dicts(text))


def _data(name: str) -> bytes:
    return files("parity.evidence").joinpath("data", name).read_bytes()


def _dicts(text: str) -> Iterator[dict[str, str]]:
    yield from csv.DictReader(io.StringIO(text, newline=""))


def parse(data: bytes, where: str) -> tuple[Row, ...]:
    """The rows of a CSV file's bytes. Raises `BadFile`, which names `where`."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadFile(f"{where} is not text in UTF-8; a CSV file was expected.") from None
    if "\0" in text:
        raise BadFile(f"{where} holds a NUL character; a CSV file was expected.")
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip() for name in next(lines, [])]
        _check_header(header, where)
        return tuple(_rows(_counted(lines), header, where))
    except csv.Error as error:
        at = f"{where}, line {lines.line_num}"
        raise BadFile(f"{at}: this is not CSV ({shorten(str(error), 80)}).") from None


def _check_header(header: list[str], where: str) -> None:
    if not any(header) or len(header) > MOST_COLUMNS:
        raise BadFile(
            f"{where} begins with no line of column names; `{','.join(REQUIRED)}` at least were "
            "expected."
        )
    for name in header:
        if name and header.count(name) > 1:
            raise BadFile(f"{where} has the column {shorten(name)!r} twice.")
    missing = [name for name in REQUIRED if name not in header]
    if missing:
        known = ", ".join(f"`{name}`" for name in missing)
        raise BadFile(f"{where} has no column {known}; the columns are {', '.join(COLUMNS)}.")
    for name in header:
        close = [] if name in COLUMNS else nearest(name, COLUMNS, 1)
        if close and close[0] not in header:
            raise BadFile(f"{where} has a column {shorten(name)!r}; is `{close[0]}` meant?")


def _counted(lines: CsvReader) -> Iterator[tuple[int, list[str]]]:
    """Each record with the line it ends on."""
    for cells in lines:
        yield lines.line_num, cells


def _rows(lines: Iterable[tuple[int, list[str]]], header: list[str], where: str) -> Iterator[Row]:
    for count, (line, cells) in enumerate(lines):
        if count >= MOST_ROWS:
            raise BadFile(f"{where} has more than {MOST_ROWS:,} rows, the most that are read.")
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header):
            raise BadFile(
                f"{where}, line {line}: {len(cells)} fields; {len(header)} were expected, one for "
                "each column."
            )
        given = dict(zip(header, cells, strict=True))
        named = {k: v.strip() for k, v in given.items() if k in COLUMNS and v.strip()}
        yield _row(named, f"{where}, line {line}", line)


def _row(cells: dict[str, str], at: str, line: int) -> Row:
    for name in REQUIRED:
        if name not in cells:
            raise BadFile(f"{at}: `{name}` is blank; every row needs it.")
    values: dict[str, Any] = {"id": f"line {line}"}
    for name, text in cells.items():
        if name == "ffn":
            values.update(_widths(text, at))
        elif name == "interleave" and text == ">1":
            values[name] = SOME
        else:
            values[name] = _value(name, text, COLUMNS[name], at)
    units = UNITS[values["metric"]]
    values.setdefault("unit", next(iter(units)))
    if values["unit"] not in units:
        raise BadFile(
            f"{at}, column unit: {shorten(values['unit'])!r}; {' or '.join(units)} was expected "
            f"for {values['metric']}."
        )
    if not values["value"] > 0:
        raise BadFile(f"{at}, column value: {cells['value']}; a number above zero was expected.")
    values["set"] = (
        values.get("set") or set_of(values.get("source", ""), values.get("where", "")).id
    )
    return Row(**values)


def _value(name: str, text: str, kind: Number | Words, at: str) -> object:
    if isinstance(kind, Words):
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
    try:
        value = float(text) if len(text) <= 40 else math.nan
    except ValueError:
        value = math.nan
    whole = kind.whole and value != math.floor(value) if math.isfinite(value) else False
    if not kind.least <= value <= kind.most or whole:
        what = "a whole number" if kind.whole else "a number"
        raise BadFile(
            f"{at}, column {name}: {shorten(text)!r}; {what} from {kind.least:g} to {kind.most:g} "
            "was expected."
        )
    return int(value) if kind.whole else value


def _widths(text: str, at: str) -> dict[str, int]:
    """`8192`, or `2048 (expert); 18432 (dense)`."""
    found: dict[str, int] = {}
    for part in text.split(";"):
        match = _WIDTHS.fullmatch(part.strip())
        if match is None or int(match[1]) < 1:
            raise BadFile(
                f"{at}, column ffn: {shorten(text)!r}; a whole number was expected, or "
                "`2048 (expert); 18432 (dense)`."
            )
        found["expert_ffn" if match[2] == "expert" else "ffn"] = int(match[1])
    return found
