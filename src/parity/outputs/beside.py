"""What to add to a fleet as an answer: so many of these beside those that are owned."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from parity.economics.hourly import per_chip_hour
from parity.outputs.document import Bars, Document, Fields, Part, Table
from parity.outputs.envelope import NOT_FEASIBLE, TARGET_MISSED, Answer
from parity.outputs.matching_fields import MatchQuestion, target_fields, wall_fields
from parity.outputs.matching_parts import FEW_ROWS
from parity.outputs.prices import price_fields
from parity.outputs.unknowns import most_of, range_fields, uncertainty_fields
from parity.record import Finding
from parity.search.beside import Added, Duty, Owned
from parity.search.findings import CODES
from parity.search.match import MISSING_FIGURE
from parity.search.run import SECONDS_A_DAY
from parity.search.serving_plan import latency_words
from parity.search.train import MOST_CHIPS
from parity.timing.draw import Sampler
from parity.units import render, significant

#: Chips that a sentence names.
MOST_NAMED = 6
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
    have: str = ""  # how the chips that set the target are divided


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
    spread, cost = row.spread, _hourly(row)
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
        "wall": wall_fields(row.wall) if row.wall else None,
        "parts": [_duty_fields(duty) for duty in row.duties],
        "idle": [{"chip": chip.id, "chips": count} for chip, count in row.idle],
        **price_fields(row.chip),
        "usd_per_hour": cost[1] if cost else None,
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
    end = f"; no number of {_listed(never)} does" if never else ""
    end += f"; of {_listed(unknown)} a figure is missing" if unknown else ""
    if not counts:
        return f"{first}; nothing asked for makes up the rest{end}."
    return f"{first}; {_listed(counts, ' or ')} beside them make up the rest{end}."


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
    have = [(question.match.have, question.have)] if question.have else []
    rows = [*_target(question.match), *have, (f"owned: {question.owned}", does)]
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
    """One row a wanted chip; costs only where any chip has a price."""
    costs = [_hourly(row) for row in rows]
    columns: list[tuple[str, str, list[str]]] = [
        ("chip", "l", [row.name for row in rows]),
        ("add", "r", ["—" if row.count is None else f"{row.count:,}" for row in rows]),
        ("range", "r", ["" if row.count is None else _ends(row) for row in rows]),
        ("how", "l", [MANNERS.get(row.manner, "see below") for row in rows]),
        ("reach", "r", [significant(row.reach) if row.reach else "" for row in rows]),
    ]
    if any(costs):
        words = [f"{significant(cost[1])} {cost[0]}" if cost else "" for cost in costs]
        columns.append(("USD/h", "r", words))
    columns.append(("bound by", "l", [row.bound_by for row in rows]))
    titles, align, cells = zip(*columns, strict=True)
    return Table(titles, tuple(zip(*cells, strict=True)), "".join(align))


def _hourly(row: Added) -> tuple[str, float] | None:
    """(own or rent, USD an hour of the chips added); None without a price. [USD/h]"""
    found = per_chip_hour(row.chip, Sampler()) if row.count else None
    return found and (found[0], found[1].value * (row.count or 0))


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
    found = tuple((row.name, _why_none(row)) for row in rows if row.count is None)
    return (Fields(rows=found, title="no count"),) if found else ()


def _why_none(row: Added) -> str:
    if row.wall is None:
        return row.reason
    works = f" What works: {'; '.join(row.wall.works)}." if row.wall.works else ""
    return f"{row.wall.words}{works}"


def _listed(names: Sequence[str], word: str = ", ") -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return word.join(names[:MOST_NAMED]) + more
