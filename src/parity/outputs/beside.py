"""What to add to a fleet as an answer: so many of these beside those that are owned."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from parity.outputs.document import Bars, Document, Fields, Part, Table
from parity.outputs.envelope import NOT_FEASIBLE, TARGET_MISSED, Answer
from parity.outputs.matching_fields import MatchQuestion, target_fields
from parity.outputs.matching_parts import FEW_ROWS
from parity.outputs.prices import price_fields
from parity.outputs.unknowns import most_of, range_fields, uncertainty_fields
from parity.record import Fact, Finding
from parity.search.beside import MISSING_FIGURE, Added, Duty, Owned
from parity.search.findings import CODES
from parity.search.run import SECONDS_A_DAY
from parity.search.serving_plan import latency_words
from parity.search.train import MOST_CHIPS
from parity.units import render, significant

#: What each manner is called in the table.
MANNERS = {
    "owned": "nothing to add", "replicas": "replicas of each kind", "stages": "stages of both",
    "pools": "two pools", "alone": "without those owned",
}  # fmt: skip
#: What a group of chips does, before how it is divided.
PHASES = {"replicas": "", "stages": "stages of", "prompts": "prompts:", "decoding": "decoding:"}


@dataclass(frozen=True)
class BesideQuestion:
    """What was asked: the target, and the chips that are owned, as they were typed."""

    match: MatchQuestion
    owned: str


def beside_answer(
    question: BesideQuestion,
    owned: Owned,
    rows: Sequence[Added],
    about: tuple[Finding, ...] = (),
) -> Answer:
    """One row a wanted chip; exit 3 or 4 where no number of any reaches the target."""
    findings = _once((*about, *(f for row in rows for f in row.findings)))
    few = len(rows) <= FEW_ROWS
    content = {
        "answer": {
            "question": question.match.kind,
            "model": question.match.model,
            "have": question.match.have or None,
            "target": target_fields(question.match),
            "owned": {"chips": question.owned, **_owned_fields(owned)},
            "rows": [_row_fields(row) for row in rows],
        },
        "findings": findings,
    }
    parts: list[Part] = [_given(question, owned), _table(rows), *_bars(rows)]
    if few:
        parts += [*_divided(rows), *_uncertain(rows)]
    parts += _walls(rows)
    document = Document(
        sentence=_sentence(question, owned, rows),
        parts=tuple(parts),
        findings=findings if few else _condensed(findings),
        next=(f"parity chips {' '.join(dict.fromkeys(r.chip.id for r in rows[:3]))} --compare",),
    )
    return Answer(
        command="match", content=content, document=document, exit_code=_code(rows), keep=True
    )


def _code(rows: Sequence[Added]) -> int:
    if any(row.count is not None for row in rows):
        return 0
    return TARGET_MISSED if any(row.bound_by == "P104" for row in rows) else NOT_FEASIBLE


def _owned_fields(owned: Owned) -> dict[str, object]:
    return {
        "reach": owned.reach,
        "range": range_fields(owned.spread, "reach") if owned.spread else None,
        "bound_by": owned.bound_by or None,
        "reason": owned.reason or None,
        "parts": [_duty_fields(duty) for duty in owned.duties],
    }


def _row_fields(row: Added) -> dict[str, object]:
    spread, price = row.spread, price_fields(row.chip)
    hour = price["usd_per_chip_hour"]
    usd = hour.value * row.count if isinstance(hour, Fact) and row.count is not None else None
    return {
        "chip": row.chip.id,
        "label": row.name,
        "count": row.count,
        "low": int(spread.low) if spread else None,
        "high": int(spread.high) if spread else None,
        "range": range_fields(spread, "chips") if spread else None,
        "uncertainty": uncertainty_fields(spread) if spread else [],
        "manner": row.manner or None,
        "reach": row.reach,
        "bound_by": row.bound_by,
        "reason": row.reason or None,
        "parts": [_duty_fields(duty) for duty in row.duties],
        "idle": [{"chip": chip.id, "chips": count} for chip, count in row.idle],
        **price,
        "usd_per_hour": usd,
    }


def _duty_fields(duty: Duty) -> dict[str, object]:
    return {
        "chip": duty.chip.id,
        "chips": duty.chips,
        "does": duty.does,
        "share": duty.share,
        "layout": duty.layout_fields,
        "layout_text": duty.layout,
        **duty.detail,
    }


def _sentence(question: BesideQuestion, owned: Owned, rows: Sequence[Added]) -> str:
    match = question.match
    verb = "training" if match.kind == "training" else "serving"
    goal = f"what {match.have} do in {verb} {match.model}" if match.have else "the target"
    reach = _reach(owned)
    if owned.reach >= 1 and all(row.count == 0 for row in rows):
        return f"{question.owned} do {reach} times {goal}: nothing needs to be added."
    first = f"{question.owned} do {reach} of {goal}" if owned.reach else (
        f"{question.owned} do nothing of {goal} alone"
    )  # fmt: skip
    counts = [f"{row.count:,} {row.name} ({_ends(row)})" for row in rows if row.count is not None]
    never = [r.name for r in rows if r.count is None and r.bound_by != MISSING_FIGURE]
    unknown = [r.name for r in rows if r.count is None and r.bound_by == MISSING_FIGURE]
    end = f"; no number of {', '.join(never)} does" if never else ""
    end += f"; of {', '.join(unknown)} a figure is missing" if unknown else ""
    if not counts:
        return f"{first}; nothing asked for makes up the rest{end}."
    return f"{first}; {' or '.join(counts)} beside them make up the rest{end}."


def _reach(owned: Owned) -> str:
    """`0.43 (0.38–0.49)`, of the target."""
    if owned.spread is None:
        return significant(owned.reach)
    low, high = significant(owned.spread.low), significant(owned.spread.high)
    return f"{significant(owned.reach)} ({low}–{high})"


def _ends(row: Added) -> str:
    """P10 and P90 of a count; without an end where no number does."""
    if row.spread is None:
        return "no range"
    low, high = row.spread.low, row.spread.high
    return f"{low:,.0f}–{high:,.0f}" if high < MOST_CHIPS else f"{low:,.0f} or more"


def _given(question: BesideQuestion, owned: Owned) -> Fields:
    does = f"{_reach(owned)} of the target by themselves" if owned.reach else owned.reason
    rows = [*_target(question.match), (f"owned: {question.owned}", does)]
    rows += [(f"  {duty.chips:,} {duty.chip.id}", _does(duty)) for duty in owned.duties]
    return Fields(rows=tuple(rows))


def _target(question: MatchQuestion) -> list[tuple[str, str]]:
    """What is to be reached."""
    if question.training:
        job = question.training
        batch = f"{job.global_batch_sequences:,} sequences of {job.seq_len:,} tokens"
        rate = f"{render(question.tokens_per_s, '1')} tokens/s"
        days = significant(job.steps * question.target / SECONDS_A_DAY)
        failing = "failures included" if question.interrupted else "failures left out"
        run = f"{render(job.tokens, '1')} tokens in {days} days, {failing}"
        step = f"a step of {render(question.target, 's')}: {batch}, {rate}"
        return [("target", step), ("run", run)]
    assert question.serving is not None
    serving, request = question.serving, question.serving.request
    size = f"{request.input_tokens:,.0f} + {request.output_tokens:,.0f} tokens"
    limit = latency_words(serving) or "saturated"
    out = f"{significant(question.tokens_per_s)} output tokens/s"
    return [("target", f"{significant(question.target)} requests/s of {size}, {limit}: {out}")]


def _once(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Each finding once, errors first."""
    rank = {"error": 0, "warning": 1, "note": 2}
    return tuple(sorted(dict.fromkeys(findings), key=lambda f: rank[f.severity]))


def _condensed(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """One finding a code, with how many chips it is about."""
    codes = Counter(finding.code for finding in findings)
    return tuple(
        Finding(code, "note", f"{count} chips: {CODES[code][1]} --json lists them.")
        for code, count in codes.items()
    )


def _does(duty: Duty) -> str:
    return f"{PHASES[duty.does]} {duty.layout}".strip()


def _table(rows: Sequence[Added]) -> Table:
    """One row a wanted chip."""
    cells = []
    for row in rows:
        if row.count is None:
            reach = significant(row.reach) if row.reach else ""
            cells.append((row.name, "—", "", "see below", reach, row.bound_by))
            continue
        reach = significant(row.reach) if row.reach else ""
        cells.append(
            (row.name, f"{row.count:,}", _ends(row), MANNERS[row.manner], reach, row.bound_by)
        )
    return Table(("chip", "add", "range", "how", "reach", "bound by"), tuple(cells), "lrrlrl")


def _bars(rows: Sequence[Added]) -> tuple[Bars, ...]:
    """Counts with their ranges, the fewest first."""
    counted = sorted((row.count, i) for i, row in enumerate(rows) if row.count)
    if len(counted) < 2:
        return ()
    named = [(count, rows[i]) for count, i in counted]
    ends = tuple(
        (row.spread.low, min(row.spread.high, float(MOST_CHIPS))) if row.spread else (n, n)
        for n, row in named
    )
    shown = tuple((row.name, float(n), f"{n:,} ({_ends(row)})") for n, row in named)
    return (Bars(shown, "chips to add, P10 to P90", ends),)


def _divided(rows: Sequence[Added]) -> tuple[Table, ...]:
    """Who does what, where something is added."""
    cells = []
    for row in rows:
        name = row.name
        for duty in row.duties if row.count else ():
            share = f"{100 * duty.share:.0f} %"
            cells.append((name, f"{duty.chips:,} {duty.chip.id}", share, _does(duty)))
            name = ""
        for chip, count in row.idle if row.count else ():
            cells.append((name, f"{count:,} {chip.id}", "", "nothing"))
    columns = ("with", "chips", "share", "do")
    return (Table(columns, tuple(cells), "llrl", "who does what"),) if cells else ()


def _uncertain(rows: Sequence[Added]) -> tuple[Fields, ...]:
    """What most of each range comes from."""
    told = tuple(
        (row.name, text)
        for row in rows
        if row.spread and (text := most_of(row.spread, lambda end: f"{end:,.0f}"))
    )
    return (Fields(rows=told, title="where the ranges come from"),) if told else ()


def _walls(rows: Sequence[Added]) -> tuple[Fields, ...]:
    """Why chips have no count."""
    found = tuple((row.name, row.reason) for row in rows if row.count is None)
    return (Fields(rows=found, title="no count"),) if found else ()
