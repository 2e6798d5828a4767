"""Chips in order of speed for a piece of work, and their generations, as an answer."""

from __future__ import annotations

import math
from collections.abc import Sequence

from parity.economics.ledger import Span
from parity.outputs.document import Bars, Document, Fields, Part, Table
from parity.outputs.envelope import NOT_FEASIBLE, Answer
from parity.search.ladder import (
    Neighbour,
    Rung,
    Standing,
    between,
    in_order,
    over,
    speed,
    standing,
)
from parity.units import significant

#: Chips that the sentence has room for.
MOST_TOLD = 4


def ladder_answer(
    model: str, rungs: Sequence[Rung], work: str, steps: Sequence[Rung] = ()
) -> Answer:
    """The order of each phase; exit 3 where no chip does the work. work: in words.

    steps: a chip of each generation, the oldest first, which rungs are put between.
    """
    phases = list(dict.fromkeys(phase for rung in rungs for phase in rung.tokens_per_s))
    shown = _with_steps(rungs, steps)
    without = tuple((rung.name, rung.reason) for rung in rungs if rung.reason)
    content = {
        "answer": {
            "question": "ladder",
            "model": model,
            "work": work,
            "rungs": [_fields(shown, steps, rung, phases) for rung in rungs],
            "steps": [_step_fields(step) for step in steps],
        }
    }
    parts: list[Part] = []
    for phase in phases:
        parts += [_bars(shown, phase), _table(steps, rungs, phase)]
    document = Document(
        sentence=_sentence(model, rungs, steps, phases, work),
        parts=(*parts, *_words(shown, rungs, phases), *_missing(without)),
        next=(
            f"parity chips {' '.join(dict.fromkeys(rung.chip.id for rung in rungs[:3]))} --compare",
        ),
    )
    code = 0 if phases else NOT_FEASIBLE
    return Answer(command="match", content=content, document=document, exit_code=code, keep=True)


def _with_steps(rungs: Sequence[Rung], steps: Sequence[Rung]) -> tuple[Rung, ...]:
    own = {rung.name for rung in rungs}
    return (*rungs, *(step for step in steps if step.name not in own))


def _sentence(
    model: str, rungs: Sequence[Rung], steps: Sequence[Rung], phases: Sequence[str], work: str
) -> str:
    if not phases:
        return f"None of the chips asked for does {work} of {model}."
    told = [text for rung in rungs if (text := _behind(rung, steps, phases))]
    if not told:
        orders = [
            f"{phase} {' < '.join(rung.name for rung in in_order(rungs, phase))}"
            for phase in phases
        ]
        return f"{work} of {model}, from the slowest chip to the fastest: {'; '.join(orders)}."
    more = f"; and {len(told) - MOST_TOLD} more" if len(told) > MOST_TOLD else ""
    newest = steps[-1].name
    return f"{work} of {model}, generations behind {newest}: {'; '.join(told[:MOST_TOLD])}{more}."


def _behind(rung: Rung, steps: Sequence[Rung], phases: Sequence[str]) -> str:
    """`h20-96 2.5 (2.4–2.7) in prefill, 1.5 (1.3–1.7) in decode`, of a chip that is no step."""
    if rung.name in {step.name for step in steps}:
        return ""
    found = [(phase, where) for phase in phases if (where := standing(rung, steps, phase))]
    words = ", ".join(f"{_ranged(where.behind)} in {phase}" for phase, where in found)
    return f"{rung.name} {words}" if words else ""


def _ranged(span: Span, digits: int = 1) -> str:
    """`2.5 (2.1–2.8)`, `-0.3 (-0.9 to 0.1)`; never a minus before nothing."""
    value, low, high = (
        f"{round(end, digits) + 0.0:.{digits}f}" for end in (span.value, span.low, span.high)
    )
    return f"{value} ({low}{' to ' if low.startswith('-') else '–'}{high})"


def _percent(span: Span) -> str:
    value, low, high = (round(100 * end) for end in (span.value, span.low, span.high))
    return f"{value:+d} % ({low:+d} to {high:+d})"


def _bars(rungs: Sequence[Rung], phase: str) -> Bars:
    order = in_order(rungs, phase)
    spans = [speed(rung, phase) for rung in order]
    rows = tuple(
        (
            rung.name,
            span.value,
            f"{significant(span.value)} ({significant(span.low)}–{significant(span.high)})",
        )
        for rung, span in zip(order, spans, strict=True)
    )
    ends = tuple((span.low, span.high) for span in spans)
    return Bars(rows, f"{phase}, tokens/s of a chip, P10 to P90", ends)


def _table(steps: Sequence[Rung], rungs: Sequence[Rung], phase: str) -> Table:
    """Of each chip: its speed over the newest step's, generations behind it, in whose year."""
    rows = []
    newest = next((step for step in reversed(steps) if phase in step.tokens_per_s), None)
    for rung in reversed(in_order(rungs, phase)):
        ratio = _ranged(over(rung, newest, phase), 2) if newest else "—"
        where = standing(rung, steps, phase)
        behind, year = (_ranged(where.behind), _ranged(where.year)) if where else ("—", "—")
        rows.append((rung.name, ratio, behind, year))
    name = newest.name if newest else "the newest"
    columns = (phase, f"of {name}", "generations behind", "as of")
    return Table(columns, tuple(rows), "lrrr")


def _words(
    shown: Sequence[Rung], rungs: Sequence[Rung], phases: Sequence[str]
) -> tuple[Fields, ...]:
    """Between which chips each lies, and how far from the nearer of them."""
    rows = tuple(
        (
            rung.name,
            "; ".join(
                _beside(phase, *between(shown, rung, phase))
                for phase in phases
                if phase in rung.tokens_per_s
            )
            + ".",
        )
        for rung in rungs
        if rung.tokens_per_s
    )
    return (Fields(rows=rows, title="between which chips"),) if rows else ()


def _beside(phase: str, below: Neighbour | None, above: Neighbour | None) -> str:
    """`in decode between a100-sxm-80 and h20-96: h20-96 -20 % (-34 to -8)`."""
    sides = [one for one in (below, above) if one]
    if not sides:
        return f"in {phase} alone"
    near = min(sides, key=lambda one: abs(math.log1p(one.faster.value)))
    if below and above:
        where = f"between {below.rung.name} and {above.rung.name}"
    else:
        where = f"above {near.rung.name}" if below else f"below {near.rung.name}"
    return f"in {phase} {where}: {near.rung.name} {_percent(near.faster)}"


def _missing(without: tuple[tuple[str, str], ...]) -> tuple[Fields, ...]:
    return (Fields(rows=without, title="not in the order"),) if without else ()


def _fields(
    shown: Sequence[Rung], steps: Sequence[Rung], rung: Rung, phases: Sequence[str]
) -> dict[str, object]:
    return {
        "chip": rung.chip.id,
        "label": rung.name,
        "tokens_per_s": rung.tokens_per_s,
        "phases": [
            _phase_fields(shown, steps, rung, phase)
            for phase in phases
            if phase in rung.tokens_per_s
        ],
        "reason": rung.reason or None,
    }


def _phase_fields(
    shown: Sequence[Rung], steps: Sequence[Rung], rung: Rung, phase: str
) -> dict[str, object]:
    below, above = between(shown, rung, phase)
    where: Standing | None = standing(rung, steps, phase)
    return {
        "phase": phase,
        "tokens_per_s": _span_fields(speed(rung, phase)),
        "below": _neighbour_fields(below),
        "above": _neighbour_fields(above),
        "generations_behind": _span_fields(where.behind) if where else None,
        "year": _span_fields(where.year) if where else None,
    }


def _span_fields(span: Span) -> dict[str, float]:
    return {"value": span.value, "low": span.low, "high": span.high}


def _neighbour_fields(one: Neighbour | None) -> dict[str, object] | None:
    return (
        {"chip": one.rung.chip.id, "label": one.rung.name, "faster": _span_fields(one.faster)}
        if one
        else None
    )


def _step_fields(step: Rung) -> dict[str, object]:
    return {
        "chip": step.chip.id,
        "year": step.chip.year.value if step.chip.year else None,
        "tokens_per_s": step.tokens_per_s,
    }
