"""Chips in order of speed for a piece of work, as an answer."""

from __future__ import annotations

from collections.abc import Sequence

from parity.outputs.document import Bars, Document, Fields, Table
from parity.outputs.envelope import NOT_FEASIBLE, Answer
from parity.search.ladder import Rung, in_order, nearest
from parity.units import significant


def ladder_answer(model: str, rungs: Sequence[Rung], work: str) -> Answer:
    """The order of each phase; exit 3 where no chip does the work. work: in words."""
    phases = list(dict.fromkeys(phase for rung in rungs for phase in rung.tokens_per_s))
    without = tuple((rung.chip.id, rung.reason) for rung in rungs if rung.reason)
    content = {
        "answer": {
            "question": "ladder",
            "model": model,
            "work": work,
            "rungs": [_fields(rungs, rung, phases) for rung in rungs],
        }
    }
    parts = [_bars(rungs, phase) for phase in phases]
    document = Document(
        sentence=_sentence(model, rungs, phases, work),
        parts=(*parts, _table(rungs, phases), *_missing(without)),
        next=(f"parity chips {' '.join(rung.chip.id for rung in rungs[:3])} --compare",),
    )
    code = 0 if phases else NOT_FEASIBLE
    return Answer(command="match", content=content, document=document, exit_code=code, keep=True)


def _sentence(model: str, rungs: Sequence[Rung], phases: Sequence[str], work: str) -> str:
    if not phases:
        return f"None of the chips asked for does {work} of {model}."
    orders = [
        f"{phase} {' < '.join(rung.chip.id for rung in in_order(rungs, phase))}" for phase in phases
    ]
    return f"{work} of {model}, from the slowest chip to the fastest: {'; '.join(orders)}."


def _bars(rungs: Sequence[Rung], phase: str) -> Bars:
    rows = tuple(
        (
            rung.chip.id,
            rung.tokens_per_s[phase],
            f"{significant(rung.tokens_per_s[phase])} tokens/s",
        )
        for rung in in_order(rungs, phase)
    )
    return Bars(rows=rows, title=f"{phase}, a chip")


def _table(rungs: Sequence[Rung], phases: Sequence[str]) -> Table:
    rows = []
    for rung in rungs:
        if not rung.tokens_per_s:
            continue
        rows.append((rung.chip.id, *(_beside(rungs, rung, phase) for phase in phases)))
    columns = ("chip", *(f"nearest in {phase}" for phase in phases))
    return Table(columns, tuple(rows), "l" * len(columns))


def _beside(rungs: Sequence[Rung], rung: Rung, phase: str) -> str:
    found = nearest(rungs, rung, phase)
    if found is None:
        return "—"
    other, faster = found
    return f"{other.chip.id} {100 * faster:+.0f} %"


def _missing(without: tuple[tuple[str, str], ...]) -> tuple[Fields, ...]:
    return (Fields(rows=without, title="not in the order"),) if without else ()


def _fields(rungs: Sequence[Rung], rung: Rung, phases: Sequence[str]) -> dict[str, object]:
    beside = {}
    for phase in phases:
        if found := nearest(rungs, rung, phase):
            beside[phase] = {"chip": found[0].chip.id, "faster": found[1]}
    return {
        "chip": rung.chip.id,
        "tokens_per_s": rung.tokens_per_s,
        "nearest": beside,
        "reason": rung.reason or None,
    }
