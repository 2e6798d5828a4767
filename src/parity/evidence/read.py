"""Reads evidence from CSV: the bundled tables, or anybody's file in the same columns.

A row is of training or of serving, as its metric says; a table may hold both.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from parity.errors import BadFile, nearest, shorten
from parity.evidence import serving_words, table
from parity.evidence.schema import COLUMNS, REQUIRED, SOME, UNITS, KernelRow, Row
from parity.evidence.serving_schema import (
    MEASURES,
    SERVING_COLUMNS,
    STATISTICS,
    ServingRow,
    units,
)
from parity.evidence.sources import set_of

_WIDTHS = re.compile(r"(\d{1,7})(?: \((expert|dense)\))?")
AnyRow: TypeAlias = Row | ServingRow


def read_file(path: Path) -> tuple[AnyRow, ...]:
    """The rows of a CSV file of measurements, of training, of serving, or both.

    Raises `BadFile` where the file is missing, too large, no CSV, lacks a column, or holds a value
    that cannot be.
    """
    return parse(table.file_bytes(path), shorten(str(path), 120))


def bundled_file(name: str) -> tuple[AnyRow, ...]:
    """The rows of a file of measurements that comes with Parity."""
    return parse(_data(name), name)


@cache
def bundled() -> tuple[Row, ...]:
    """The training measurements that come with Parity."""
    return tuple(row for row in bundled_file("training.csv") if isinstance(row, Row))


@cache
def bundled_serving() -> tuple[ServingRow, ...]:
    """The serving measurements that come with Parity."""
    return tuple(row for row in bundled_file("serving.csv") if isinstance(row, ServingRow))


@cache
def kernels() -> tuple[KernelRow, ...]:
    """The kernel measurements that come with Parity."""
    text = _data("kernel.csv").decode("utf-8")
    return tuple(msgspec.convert(row, KernelRow, strict=False) for row in _dicts(text))


def _data(name: str) -> bytes:
    return files("parity.evidence").joinpath("data", name).read_bytes()


def _dicts(text: str) -> Iterator[dict[str, str]]:
    yield from csv.DictReader(io.StringIO(text, newline=""))


def parse(data: bytes, where: str) -> tuple[AnyRow, ...]:
    """The rows of a CSV file's bytes. Raises `BadFile`, which names `where`."""
    return tuple(_row(line) for line in table.lines(data, where, _check_header))


def _check_header(header: list[str], where: str) -> None:
    of_serving = sum(name in SERVING_COLUMNS and name not in COLUMNS for name in header)
    of_training = sum(name in COLUMNS and name not in SERVING_COLUMNS for name in header)
    columns = SERVING_COLUMNS if of_serving > of_training else COLUMNS
    table.check_header(header, where, columns, REQUIRED)


def _row(line: table.Line) -> AnyRow:
    for name in REQUIRED:
        if name not in line.cells:
            raise BadFile(f"{line.at}: `{name}` is blank; every row needs it.")
    metric = line.cells["metric"]
    if metric in UNITS:
        return _training(line)
    if metric in MEASURES or metric in STATISTICS:
        return _serving(line)
    close = nearest(metric, (*UNITS, *MEASURES), 1)
    hint = f" Is {close[0]} meant?" if close else ""
    raise BadFile(
        f"{line.at}, column metric: {shorten(metric)!r}; one of {', '.join(UNITS)} was expected "
        f"for training, or one for serving, as output_throughput_per_chip, mean_ttft, mean_tpot."
        f"{hint}"
    )


def _training(line: table.Line) -> Row:
    values: dict[str, Any] = {"id": f"line {line.number}"}
    for name, text in line.cells.items():
        if name not in COLUMNS:
            continue
        if name == "ffn":
            values.update(_widths(text, line.at))
        elif name == "interleave" and text == ">1":
            values[name] = SOME
        else:
            values[name] = table.value(name, text, COLUMNS[name], line.at)
    metric = values["metric"]
    values["unit"] = table.unit(metric, values.get("unit", ""), UNITS[metric], line.at)
    _above_zero(values["value"], line)
    values["set"] = (
        values.get("set") or set_of(values.get("source", ""), values.get("where", "")).id
    )
    return Row(**values)


def _serving(line: table.Line) -> ServingRow:
    values: dict[str, Any] = {"id": f"line {line.number}"}
    for name, text in line.cells.items():
        if name in SERVING_COLUMNS:
            values.update(_cell(name, text, line.at))
    metric = values["metric"]
    if metric in MEASURES:
        values["unit"] = table.unit(metric, values.get("unit", ""), units(metric), line.at)
    _above_zero(values["value"], line)
    return serving_words.explicit(ServingRow(**values))


def _cell(name: str, text: str, at: str) -> dict[str, Any]:
    """A cell of serving: degrees may name what they count, lengths and values be a range."""
    kind = SERVING_COLUMNS[name]
    if name in serving_words.DEGREES:
        return serving_words.degree(name, text, kind, at)
    if name in ("isl", "osl", "value"):
        return serving_words.ranged(name, text, kind, at)
    return {name: table.value(name, text, kind, at)}


def _above_zero(value: float, line: table.Line) -> None:
    if not value > 0:
        raise BadFile(
            f"{line.at}, column value: {line.cells['value']}; a number above zero was expected."
        )


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
