"""A match as an answer: so many of these equal so many of those."""

from __future__ import annotations

from collections import Counter

from parity.catalogue.schema import Chip
from parity.layout.layout import describe
from parity.outputs.document import Document, Fields
from parity.outputs.envelope import NOT_FEASIBLE, TARGET_MISSED, Answer
from parity.outputs.matching_cost import money_bars, money_table, money_words
from parity.outputs.matching_fields import MatchQuestion, row_costs, row_fields, target_fields
from parity.outputs.matching_parts import FEW_ROWS, bars, table, uncertain, walls
from parity.outputs.prices import hours_of, price_words, usd_per_mtoken
from parity.record import Fact, Finding
from parity.search.findings import CODES
from parity.search.match import MISSING_FIGURE, Row
from parity.search.match_serving import reason
from parity.search.serve import ServingPlan
from parity.search.train import TrainingPlan
from parity.units import render, significant


def match_answer(
    question: MatchQuestion,
    have: TrainingPlan | ServingPlan | None,
    rows: list[Row],
    about: tuple[Finding, ...] = (),
) -> Answer:
    """One row a wanted chip; exit 3 where no chip reaches the target."""
    findings = _once((*about, *(f for row in rows for f in row.findings)))
    told = {f.message for row in rows if row.wall for f in row.findings if f.message == row.reason}
    shown = tuple(f for f in findings if f.message not in told)
    shown = shown if len(rows) <= FEW_ROWS else _condensed(findings)
    hours, money = [hours_of(row.chip) for row in rows], question.equal == "cost"
    costs = [row_costs(question, *pair) for pair in zip(rows, hours, strict=True)]
    content = {
        "answer": {
            "question": question.kind,
            "model": question.model,
            "have": question.have or None,
            "equal": question.equal,
            "target": target_fields(question),
            "rows": [row_fields(question, *of) for of in zip(rows, hours, costs, strict=True)],
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
        parts=(
            _given(question, have),
            money_table(rows, costs) if money else table(question, rows, costs),
            *(money_bars(rows) if money else bars(question, rows)),
            *uncertain(rows, costs),
            *walls(rows),
        ),
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


def _chip_of(have: TrainingPlan | ServingPlan) -> Chip:
    return (have.decode if isinstance(have, ServingPlan) else have).machine.chip


def _own_cost(question: MatchQuestion, have: TrainingPlan | ServingPlan) -> str:
    """What a million tokens cost on the chips held."""
    count = question.chips_held
    exact = Fact(count, count, count, "1", "user", "--have")
    found = usd_per_mtoken(hours_of(_chip_of(have)), exact, question.tokens_per_s)
    ways = {"own": "owned", "rent": "rented"}
    words = [f"{significant(one.value)} USD {ways[basis]}" for basis, one in found.items()]
    return f"; a million tokens {', '.join(words)}" if words else ""


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
    if question.equal == "cost":
        found = [money_words(question, row) for row in rows if row.count is not None]
        end = end.replace("no number of", "no chip of")
        if found:
            return f"For the money of {question.have} you get {_listed(found, 4)}{end}."
        return f"The money of {question.have} buys nothing that {verb} {question.model}{end}."
    if not counts:
        return f"Nothing asked for {verb} {question.model} that fast{end}."
    if question.have:
        return f"{question.have} {verb} {question.model} like {_listed(counts)}{end}."
    return f"{_listed(counts)} {plural} {question.model} that fast{end}."


def _listed(items: list[str], most: int = 6) -> str:
    """The first items, and how many more there are."""
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(items[:most]) + more


def _given(question: MatchQuestion, have: TrainingPlan | ServingPlan | None) -> Fields:
    if question.training:
        job = question.training
        step = f"a step of {render(question.target, 's')}"
        batch = f"{job.global_batch_sequences:,} sequences of {job.seq_len:,} tokens"
        rows = [("target", f"{step}: {batch}, {render(question.tokens_per_s, '1')} tokens/s")]
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
        out = f"{significant(question.tokens_per_s)} output tokens/s"
        rows = [("target", f"{significant(question.target)} requests/s of {size}, {limit}: {out}")]
    if isinstance(have, TrainingPlan):
        rows.append((question.have, describe(have.layout)))
    elif have is not None:
        rows.append((question.have, reason(have)))
    if have is not None and (words := price_words(_chip_of(have), question.chips_held)):
        rows.append(("cost", words + _own_cost(question, have)))
    return Fields(rows=tuple(rows))
