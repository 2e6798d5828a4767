"""What is said of chips: a list, one in full, or several side by side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from parity.catalogue.schema import DTYPES, Chip, figure_at
from parity.catalogue.table import Row, compare, describe, to_dict
from parity.outputs.document import Document, Fields, Table, Words
from parity.outputs.envelope import Answer
from parity.outputs.figures import fact_text, marks, span
from parity.record import Fact
from parity.units import render

_SOLID = ("read", "measured", "user")
_LISTED = ("memory.capacity", "memory.bandwidth", "scale_up.bandwidth")
_LEGEND = "~ recalled, derived, secondary or estimated: `parity chips ID` shows range and source."


def list_answer(chips: Sequence[Chip], where: str = "") -> Answer:
    """Chips one a row; `where` is the filter they met."""
    met = f" meet `{where}`" if where else " are known"
    rows = tuple(
        (chip.id, chip.vendor, *_peak(chip), *(_cell(chip, path) for path in _LISTED), chip.status)
        for chip in chips
    )
    table = Table(
        columns=("chip", "vendor", "dtype", "peak", "memory", "bandwidth", "scale-up", "status"),
        rows=rows,
        align="lllrrrrl",
    )
    document = Document(
        sentence=f"{len(chips) or 'No'} chip{'s' if len(chips) != 1 else ''}{met}.",
        parts=(table, Words(_LEGEND))
        if any("~" in cell for row in rows for cell in row)
        else (table,),
        next=(f"parity chips {chips[0].id}",) if chips else (),
    )
    content = {"chips": [to_dict(chip) for chip in chips]}
    return Answer(command="chips", content=content, document=document)


def chip_answer(chip: Chip) -> Answer:
    """One chip: every figure with its range, how it is known, and who says so."""
    content = to_dict(chip)
    figures = describe(chip)
    mark = marks(
        key for _, fact in figures for key in (fact.source, *(other.source for other in fact.also))
    )
    rows = tuple(
        (path, render(fact.value, fact.unit, 4), _range(fact), fact.provenance,
         mark[fact.source], _note(fact, mark))
        for path, fact in figures
    )  # fmt: skip
    table = Table(columns=("figure", "value", "range", "known", "source", "note"), rows=rows)
    other = "h20" if chip.id.startswith("h100") else "h100"
    document = Document(
        sentence=_sentence(chip),
        parts=(Fields(rows=tuple(_about(chip))), table),
        sources=tuple(_source(content["sources"][key]) for key in mark),
        next=(f"parity chips {chip.id} {other} --compare",),
    )
    return Answer(command="chips", content={"chips": [content]}, document=document)


def compare_answer(chips: Sequence[Chip]) -> Answer:
    """Several chips side by side, each figure also as a multiple of the first chip's."""
    rows = compare(chips)
    contents = [to_dict(chip) for chip in chips]
    known: dict[str, Any] = {}
    for content in contents:
        known.update(content["sources"])
    mark = marks(fact.source for row in rows for fact in row.facts if fact)
    first, *others = (chip.id for chip in chips)
    heads = [first, *(head for other in others for head in (other, "ratio"))]
    table = Table(
        columns=("figure", *heads, "sources"),
        rows=tuple((row.path, *_cells(row), _marks(row, mark)) for row in rows),
        align="l" + "l" + "lr" * len(others) + "l",
    )
    document = Document(
        sentence=_compared(chips, rows),
        parts=(table,),
        sources=tuple(_source(known[key]) for key in mark),
    )
    content = {"chips": contents, "compare": [_plain_row(chips, row) for row in rows]}
    return Answer(command="chips", content=content, document=document)


def _plain_row(chips: Sequence[Chip], row: Row) -> dict[str, object]:
    return {
        "figure": row.path,
        "unit": row.unit,
        "values": {chip.id: fact for chip, fact in zip(chips, row.facts, strict=True)},
        "ratios": {chip.id: ratio for chip, ratio in zip(chips, row.ratios, strict=True)},
    }


def _sentence(chip: Chip) -> str:
    dtype, peak = _peak(chip)
    parts = [f"{peak} {dtype}"] if peak else []
    capacity, bandwidth = (figure_at(chip, f"memory.{name}") for name in ("capacity", "bandwidth"))
    if capacity:
        parts.append(fact_text(capacity))
    if bandwidth:
        parts.append(f"at {fact_text(bandwidth)}" if capacity else fact_text(bandwidth))
    figures = ", ".join(parts).replace(", at ", " at ") or "no figure is published"
    return f"{chip.name} ({chip.id}): {figures}; {chip.status}."


def _compared(chips: Sequence[Chip], rows: Iterable[Row]) -> str:
    """The other chips as multiples of the first, in the figures that decide most."""
    names = {"compute.dense.bf16": "bf16", "memory.capacity": "memory",
             "memory.bandwidth": "bandwidth", "scale_up.bandwidth": "scale-up"}  # fmt: skip
    sentences = []
    for at, chip in enumerate(chips[1:], start=1):
        ratios = ((names[row.path], row.ratios[at]) for row in rows if row.path in names)
        words = ", ".join(f"{name} ×{ratio:.3g}" for name, ratio in ratios if ratio)
        sentences.append(f"{chip.id} against {chips[0].id}: {words or 'no figure in common'}.")
    return " ".join(sentences)


def _about(chip: Chip) -> Iterable[tuple[str, str]]:
    takes: dict[str, list[str]] = {
        word: [] for word in ("native", "half-rate", "vector", "emulated", "none")
    }
    for dtype in DTYPES:
        support = getattr(chip.dtypes, dtype)
        if support and support.support in takes:
            takes[support.support].append(dtype)
    dtypes = "; ".join(f"{word}: {', '.join(names)}" for word, names in takes.items() if names)
    said = (
        ("vendor", chip.vendor), ("also called", ", ".join(chip.aliases)), ("dtypes", dtypes),
        ("memory", chip.memory.kind), ("scale-up", chip.scale_up.kind),
        ("process", " ".join((chip.physical.foundry, chip.physical.process)).strip()),
        ("cluster", chip.cluster), ("export", chip.export_note), ("notes", chip.notes),
    )  # fmt: skip
    return ((name, text) for name, text in said if text)


def _peak(chip: Chip) -> tuple[str, str]:
    """The dtype and the rate that training would use; empty where none is published."""
    for dtype in ("bf16", "fp16", "fp8", "int8", "tf32"):
        fact = getattr(chip.compute.dense, dtype)
        if fact is not None:
            return dtype, _short(fact)
    return "", ""


def _cell(chip: Chip, path: str) -> str:
    fact = figure_at(chip, path)
    return _short(fact) if fact else ""


def _short(fact: Fact) -> str:
    return ("" if fact.provenance in _SOLID else "~") + render(fact.value, fact.unit)


def _range(fact: Fact) -> str:
    return span(fact.low, fact.high, fact.value, fact.unit)


def _note(fact: Fact, mark: dict[str, str]) -> str:
    others = (
        f"also {render(other.value, fact.unit)} {mark[other.source]}"
        + (f" ({other.note})" if other.note else "")
        for other in fact.also
    )
    return "; ".join((*([fact.note] if fact.note else []), *others))


def _cells(row: Row) -> list[str]:
    cells = []
    for at, (fact, ratio) in enumerate(zip(row.facts, row.ratios, strict=True)):
        cells.append(fact_text(fact) if fact else "")
        if at:
            cells.append(f"×{ratio:.3g}" if ratio else "")
    return cells


def _marks(row: Row, mark: dict[str, str]) -> str:
    return " ".join(dict.fromkeys(mark[fact.source] for fact in row.facts if fact))


def _source(entry: dict[str, str]) -> str:
    words = [entry.get(name, "") for name in ("title", "publisher", "date", "url")]
    seen = entry.get("seen", "read")
    return ", ".join(word for word in words if word) + ("" if seen == "read" else f" ({seen})")
