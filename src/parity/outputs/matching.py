"""A match as an answer: so many of these equal so many of those."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from parity.outputs.document import Document, Fields, Table
from parity.outputs.envelope import NOT_FEASIBLE, TARGET_MISSED, Answer
from parity.outputs.prices import price_fields, price_words, usd_per_mtoken
from parity.outputs.unknowns import most_of, range_fields, uncertainty_fields
from parity.record import Fact, Finding
from parity.search.findings import CODES
from parity.search.match import MISSING_FIGURE, Row
from parity.search.replica import Replica, ServingJob
from parity.search.train import TrainingPlan
from parity.units import render, significant
from parity.workload.training import TrainingJob

#: With more rows than this, findings are summed up.
FEW_ROWS = 8


@dataclass(frozen=True)
class MatchQuestion:
    """What was asked, for the answer's first line."""

    kind: str  # "training" or "serving"
    model: str
    have: str
    target: float  # seconds of a step, or requests/s
    training: TrainingJob | None
    serving: ServingJob | None
    interrupted: bool = False  # whether the target is a step with what interrupts it


def match_answer(
    question: MatchQuestion,
    have: TrainingPlan | Replica | None,
    rows: list[Row],
    about: tuple[Finding, ...] = (),
) -> Answer:
    """One row a wanted chip; exit 3 where no chip reaches the target."""
    findings = _once((*about, *(f for row in rows for f in row.findings)))
    shown = findings if len(rows) <= FEW_ROWS else _condensed(findings)
    content = {
        "answer": {
            "question": question.kind,
            "model": question.model,
            "have": question.have or None,
            "target": _target_fields(question),
            "rows": [_row_fields(question, row) for row in rows],
        },
        "findings": findings,
    }
    reached = [row for row in rows if row.count is not None]
    code = (
        0
        if reached
        else TARGET_MISSED
        if any(row.bound_by == "P104" for row in rows)
        else NOT_FEASIBLE
    )
    compared = " ".join(dict.fromkeys(row.chip.id for row in rows[:3]))
    document = Document(
        sentence=_sentence(question, rows),
        parts=(_given(question, have), _table(question, rows), *_uncertain(rows), *_walls(rows)),
        findings=shown,
        next=(f"parity chips {compared} --compare",),
    )
    return Answer(command="match", content=content, document=document, exit_code=code, keep=True)


def _once(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Each finding once, errors first."""
    rank = {"error": 0, "warning": 1, "note": 2}
    once = {(f.code, f.message): f for f in findings}
    return tuple(sorted(once.values(), key=lambda f: rank[f.severity]))


def _condensed(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """One finding a code, with how many chips it is about."""
    codes = Counter(f.code for f in findings)
    return tuple(
        Finding(code, "note", f"{count} chips: {CODES[code][1]} --json lists them.")
        for code, count in codes.items()
    )


def _row_fields(question: MatchQuestion, row: Row) -> dict[str, object]:
    cost = _cost(question, row)
    return {
        "chip": row.chip.id,
        "label": row.name,
        "count": row.count,
        "low": row.low,
        "high": row.high,
        "range": range_fields(row.spread, "chips") if row.spread else None,
        "uncertainty": uncertainty_fields(row.spread) if row.spread else [],
        "reason": row.reason,
        "bound_by": row.bound_by,
        "layout": row.layout_fields or None,
        "layout_text": row.layout or None,
        "power_ratio": row.power_ratio,
        **price_fields(row.chip),
        "usd_per_mtoken": cost[1] if cost else None,
        **row.detail,
    }


def _cost(question: MatchQuestion, row: Row) -> tuple[str, Fact] | None:
    """(own or rent, USD of a million tokens), of output in serving."""
    if row.count is None:
        return None
    low, high = row.low or row.count, row.high or row.count
    count = Fact(row.count, low, high, "1", "derived", "the match")
    return usd_per_mtoken(row.chip, count, _rate(question))


def _rate(question: MatchQuestion) -> float:
    """Tokens trained on or put out. [1/s]"""
    if question.training:
        return question.training.global_batch_tokens / question.target
    assert question.serving is not None
    return float(question.target * question.serving.request.output_tokens)


def _own_cost(question: MatchQuestion, have: TrainingPlan | Replica) -> str:
    """What a million tokens cost on the chips held."""
    count = _count_of(question.have)
    exact = Fact(count, count, count, "1", "user", "--have")
    found = usd_per_mtoken(have.machine.chip, exact, _rate(question))
    return f", {significant(found[1].value)} USD a million tokens" if found else ""


def _cost_text(question: MatchQuestion, row: Row) -> str:
    found = _cost(question, row)
    if found is None:
        return ""
    return significant(found[1].value) + (" rented" if found[0] == "rent" else "")


def _target_fields(question: MatchQuestion) -> dict[str, float | int]:
    if question.training:
        job = question.training
        return {
            "step_time_s": question.target,
            "tokens_per_s": job.global_batch_tokens / question.target,
            "seq_len": job.seq_len,
            "global_batch_sequences": job.global_batch_sequences,
            "tokens": job.tokens,
        }
    assert question.serving is not None
    serving = question.serving
    return {
        "requests_per_s": question.target,
        "output_tokens_per_s": question.target * serving.request.output_tokens,
        "input_tokens": int(serving.request.input_tokens),
        "output_tokens": int(serving.request.output_tokens),
        "ttft_s": serving.ttft_s,
        "tpot_s": serving.tpot_s,
    }


def _sentence(question: MatchQuestion, rows: list[Row]) -> str:
    counts = [
        f"{row.count:,} {row.name} ({row.low:,}–{row.high:,})"
        for row in rows
        if row.count is not None
    ]
    without = [row for row in rows if row.count is None]
    unknown = [row.name for row in without if row.bound_by == MISSING_FIGURE]
    never = [row.name for row in without if row.bound_by != MISSING_FIGURE]
    training = question.kind == "training"
    verb, plural = ("trains", "train") if training else ("serves", "serve")
    end = f"; no number of {_listed(never)} does" if never else ""
    end += f"; of {_listed(unknown)} a figure is missing" if unknown else ""
    if not counts:
        return f"Nothing asked for {verb} {question.model} that fast{end}."
    if question.have:
        return f"{question.have} {verb} {question.model} like {_listed(counts)}{end}."
    return f"{_listed(counts)} {plural} {question.model} that fast{end}."


def _listed(items: list[str], most: int = 6) -> str:
    """The first items, and how many more there are."""
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(items[:most]) + more


def _given(question: MatchQuestion, have: TrainingPlan | Replica | None) -> Fields:
    if question.training:
        job = question.training
        rate = job.global_batch_tokens / question.target
        step = f"a step of {render(question.target, 's')}"
        batch = f"{job.global_batch_sequences:,} sequences of {job.seq_len:,} tokens"
        rows = [("target", f"{step}: {batch}, {render(rate, '1')} tokens/s")]
        days = job.steps * question.target / 86400
        failing = "failures included" if question.interrupted else "failures left out"
        run = f"{render(job.tokens, '1')} tokens in {significant(days)} days, {failing}"
        rows.append(("run", run))
    else:
        assert question.serving is not None
        serving = question.serving
        limits = [
            f"{name} ≤ {render(value, 's')}"
            for name, value in (("TTFT", serving.ttft_s), ("TPOT", serving.tpot_s))
            if value < float("inf")
        ]
        limit = ", ".join(limits) or "saturated"
        size = f"{serving.request.input_tokens:,.0f} + {serving.request.output_tokens:,.0f} tokens"
        out = f"{significant(question.target * serving.request.output_tokens)} output tokens/s"
        rows = [("target", f"{significant(question.target)} requests/s of {size}, {limit}: {out}")]
    if isinstance(have, TrainingPlan):
        from parity.layout.layout import describe

        rows.append((question.have, describe(have.layout)))
    elif isinstance(have, Replica):
        rows.append((question.have, f"replicas of {have.chips}, batch {have.batch}"))
    if have is not None and (words := price_words(have.machine.chip, _count_of(question.have))):
        rows.append(("cost", words + _own_cost(question, have)))
    return Fields(rows=tuple(rows))


def _table(question: MatchQuestion, rows: list[Row]) -> Table:
    per = _count_of(question.have)
    cells = []
    for row in rows:
        if row.count is None:
            cells.append((row.name, "—", "", "", "", "", row.bound_by, "see below"))
            continue
        ratio = f"{row.count / per:.2f}" if per else ""
        power = f"{row.power_ratio:.2f}" if row.power_ratio else ""
        layout = row.layout or ""
        cells.append(
            (
                row.name,
                f"{row.count:,}",
                f"{row.low:,}–{row.high:,}",
                ratio,
                power,
                _cost_text(question, row),
                row.bound_by,
                layout,
            )
        )
    cost = "USD/M tokens" if question.training else "USD/M output"
    columns = ("chip", "need", "range", "per chip", "power", cost, "bound by", "layout")
    return Table(columns, tuple(cells), "lrrrrrll")


def _count_of(have: str) -> int:
    digits = have.split("x")[0].strip().replace(",", "")
    return int(digits) if digits.isdigit() else 0


def _uncertain(rows: list[Row]) -> tuple[Fields, ...]:
    """What most of each range comes from, where there are few."""
    told = [
        (row.name, text)
        for row in rows
        if row.spread and (text := most_of(row.spread, lambda end: f"{end:,.0f}"))
    ]
    if not told or len(rows) > FEW_ROWS:
        return ()
    return (Fields(rows=tuple(told), title="where the ranges come from"),)


def _walls(rows: list[Row]) -> tuple[Fields, ...]:
    walls = tuple((row.name, row.reason) for row in rows if row.count is None)
    return (Fields(rows=walls, title="no count"),) if walls else ()
