"""Rules and dependences, added to the answer of a plan or a match."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from msgspec import structs

from parity.catalogue.schema import Chip
from parity.outputs.document import Document, Fields, Part, Table, Words
from parity.outputs.envelope import Answer
from parity.supply.countries import Country, country
from parity.supply.risk import Dependence, Holding, dependences
from parity.supply.rules import assess, column, exported, notice
from parity.supply.rules_data import book
from parity.supply.thresholds import thresholds
from parity.units import significant


@dataclass(frozen=True)
class Asked:
    """What is asked beside a plan: where its chips go, and what they hang on."""

    to: Country | None
    risk: bool


def asked_supply(to: str | None, risk: bool) -> Asked:
    """The words of `--to` and `--risk`. Raises `UnknownName` for a country."""
    return Asked(country(to) if to is not None else None, risk)


def with_supply(answer: Answer, chips: Sequence[Chip], asked: Asked) -> Answer:
    """The answer with what rules say of its chips, and with what they hang on.

    chips: those of the question, with figures of the user's own, by the id that the answer uses.
    """
    if (asked.to is None and not asked.risk) or not answer.content.get("answer"):
        return answer
    rows = _rows(answer.content["answer"], {chip.id: chip for chip in chips}, chips)
    alternatives = bool({"rows", "rungs"} & set(answer.content["answer"]))
    groups = [[row] for row in rows] if alternatives else [rows]
    hangs = [
        (group[0].label if alternatives else "", found)
        for group in groups
        if asked.risk
        for found in dependences(
            [Holding(row.chip, row.count) for row in group], asked.to.code if asked.to else None
        )
    ]
    content = {**answer.content, "supply": _fields(rows, hangs, asked)}
    document = _document(answer.document, rows, hangs, asked)
    return structs.replace(answer, content=content, document=document)


@dataclass(frozen=True)
class _Row:
    """A kind of chip of an answer."""

    label: str
    chip: Chip
    count: float


def _rows(found: dict[str, Any], known: dict[str, Chip], chips: Sequence[Chip]) -> list[_Row]:
    """The kinds of chip of an answer with how many of each; one whose count is open counts once."""
    if "rows" in found:
        pairs = zip(found["rows"], chips, strict=True)
        return [_Row(row["label"], chip, row["count"] or 1) for row, chip in pairs]
    if "rungs" in found:
        return [_Row(rung["label"], known[rung["chip"]], 1) for rung in found["rungs"]]
    if "parts" in found:
        return [_Row(part["chip"], known[part["chip"]], part["chips"]) for part in found["parts"]]
    pools = [pool for name in ("prefill", "decode") if (pool := found.get("layout", {}).get(name))]
    if not pools:
        return [_Row(found["chip"], known[found["chip"]], found.get("chips", 1))]
    counts: dict[str, float] = {}
    for pool in pools:
        counts[pool["chip"]] = counts.get(pool["chip"], 0) + pool["chips"] * pool["replicas"]
    return [_Row(name, known[name], count) for name, count in counts.items()]


def _document(
    document: Document, rows: list[_Row], hangs: list[tuple[str, Dependence]], asked: Asked
) -> Document:
    parts: list[Part] = list(document.parts)
    if asked.to is not None:
        said = {row.label: column(row.chip, asked.to.code) for row in rows}
        parts = _beside(parts, said, f"rules to {asked.to.code}")
    if hangs:
        parts.append(_dependence_table(hangs))
    if asked.to is not None:
        parts.append(Words(notice()))
    return structs.replace(document, parts=tuple(parts))


def _beside(parts: list[Part], said: dict[str, str], title: str) -> list[Part]:
    """The verdicts as a column of the table of chips, where there is one, else as named values."""
    for at, part in enumerate(parts):
        if isinstance(part, Table) and {row[0] for row in part.rows} == set(said):
            rows = tuple((row[0], said[row[0]], *row[1:]) for row in part.rows)
            columns = (part.columns[0], title, *part.columns[1:])
            align = "l" + "l" + part.align.ljust(len(part.columns), "l")[1:]
            parts[at] = Table(columns, rows, align, part.title)
            return parts
    return [*parts, Fields(tuple(said.items()), title)]


def _dependence_table(hangs: list[tuple[str, Dependence]]) -> Table:
    """One row a name; of alternatives one row a chip, which hangs on its names as a whole."""
    if not any(label for label, _ in hangs):
        named = tuple((str(found.on), found.name, _share(found)) for _, found in hangs)
        return Table(("hangs on", "name", "share of the chips"), named, "llr")
    kinds = tuple(dict.fromkeys(found.on for _, found in hangs))
    rows = tuple(
        (label, *(" or ".join(d.name for of, d in hangs if of == label and d.on == kind)
                  for kind in kinds))
        for label in dict.fromkeys(label for label, _ in hangs)
    )  # fmt: skip
    return Table(("chip", *kinds), rows, title="hangs on")


def _share(found: Dependence) -> str:
    low, high = significant(100 * found.low), significant(100 * found.high)
    return f"{high} %" if low == high else f"{low}–{high} %"


def _fields(
    rows: list[_Row], hangs: list[tuple[str, Dependence]], asked: Asked
) -> dict[str, object]:
    to = asked.to
    return {
        "to": to.code if to else None,
        "on_date": book().known_to.isoformat() if to else None,
        "notice": notice() if to else None,
        "chips": [_chip_fields(row, to) for row in rows],
        "risk": [
            {"of": label or None, "on": d.on, "name": d.name, "low": d.low, "high": d.high}
            for label, d in hangs
        ],
    }


def _chip_fields(row: _Row, to: Country | None) -> dict[str, object]:
    way = exported(row.chip, to.code) if to else None
    found = assess(thresholds(row.chip), way, book().known_to) if way else None
    deciding = found.deciding if found else None
    return {
        "chip": row.chip.id,
        "label": row.label,
        "count": row.count,
        "from": way.origin.code if way else None,
        "verdict": found.verdict if found else None,
        "clause": deciding.clause if deciding else None,
        "unknown": list(found.unknown) if found else [],
        "applies": [one.rule.id for one in found.rulings if one.met] if found else [],
    }
