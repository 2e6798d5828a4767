"""What export rules say of chips, as an answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from parity.catalogue.schema import Market, Source
from parity.outputs.document import Chart, Document, Part, Series, Table, Words
from parity.outputs.envelope import NOT_FEASIBLE, Answer
from parity.outputs.figures import marks, span
from parity.outputs.rules_fields import fields
from parity.record import Finding
from parity.supply.countries import home_of
from parity.supply.rules import Assessment, Period, Ruling, Trade, notice
from parity.supply.rules_condition import Margin
from parity.supply.rules_data import book
from parity.supply.thresholds import Quantity
from parity.units import render, significant

RULE_CHECK_FAILED = 5
#: With more chips than this the days before are left to `--json`.
FEW = 6
SUMMED = ("tpp", "performance_density", "dram_bandwidth", "io_bandwidth")
UNITLESS = ("1", "TPP/mm2", "GB/s/mm2")

NAMES = {
    "tpp": "TPP", "performance_density": "performance density",
    "memory_bandwidth_density": "memory bandwidth density", "dram_bandwidth": "DRAM bandwidth",
    "io_bandwidth": "I/O bandwidth", "dram_plus_io": "DRAM and I/O", "transistors": "transistors",
    "data_centre": "made for data centres", "destination": "the country's group",
    "foreign": "the vendor's home",
}  # fmt: skip
WORDS = {"caught": "caught", "not_caught": "not caught", "cannot_tell": "cannot tell"}
LEVELS = {"not_caught": 0.0, "cannot_tell": 1.0, "caught": 2.0}
#: Quantity -> the figure of the catalogue to state where it is missing.
FIGURES = {
    "tpp": "compute.dense.fp16=100TFLOP/s", "performance_density": "physical.die_area=800mm2",
    "dram_bandwidth": "memory.bandwidth=2TB/s", "io_bandwidth": "scale_up.bandwidth=400GB/s",
    "dram_plus_io": "memory.bandwidth=2TB/s",
}  # fmt: skip
_SIGNS = {"at_least": "≥", "above": ">", "below": "<"}


@dataclass(frozen=True)
class Judged:
    """A chip as it was asked for, and what is said of it."""

    label: str
    found: Assessment


def rules_answer(
    judged: Sequence[Judged], way: Trade, on: date, *, check: bool, chart: bool
) -> Answer:
    """One row a chip, or one chip in full.

    With `check` exit 5 where one is caught, else 3 where one cannot be told; with `chart` the
    verdict is drawn over time.
    """
    held = book()
    findings = (
        *_about_date(on),
        *_about(judged),
        *_at_home(judged, way),
        *_processors(judged),
        *_notes(judged),
    )
    cited = dict.fromkeys(r.rule.source for one in judged for r in one.found.rulings)
    shown = tuple(dict.fromkeys(r.rule.source for r in _shown(judged[0].found)))
    content = {
        "answer": {
            "notice": notice(),
            "known_to": held.known_to.isoformat(),
            "on_date": on.isoformat(),
            "from": way.origin.code,
            "to": way.to.code,
            "headquarters": way.headquarters.code,
            "sources": {key: held.sources[key] for key in cited},
            "chips": [fields(one.label, one.found) for one in judged],
        },
        "findings": findings,
    }
    document = Document(
        sentence=_sentence(judged, way, on),
        parts=tuple(_parts(judged, shown, chart=chart)),
        findings=findings,
        sources=tuple(_source(held.sources[key]) for key in shown) if len(judged) == 1 else (),
        next=_next(judged, way),
    )
    code = _checked(judged) if check else 0
    return Answer(command="rules", content=content, document=document, exit_code=code)


def _checked(judged: Sequence[Judged]) -> int:
    """The exit code of a check: what is not known to pass does not pass."""
    verdicts = {one.found.verdict for one in judged}
    if "caught" in verdicts:
        return RULE_CHECK_FAILED
    return NOT_FEASIBLE if "cannot_tell" in verdicts else 0


def value_text(quantity: Quantity) -> str:
    """A quantity with its range, or the interval it lies in."""
    shown = [_number(end, quantity.unit) for end in (quantity.low, quantity.high)]
    if quantity.value is not None:
        plain = quantity.unit in UNITLESS
        spread = (
            "–".join(dict.fromkeys(shown))
            if plain
            else span(quantity.low, quantity.high, quantity.value, quantity.unit)
        )
        text = _number(quantity.value, quantity.unit)
        spread = "" if spread == text else spread
        return f"{text} ({spread})" if spread else text
    if quantity.low <= 0 and quantity.high == float("inf"):
        return "unknown"
    return f"≥ {shown[0]}" if quantity.high == float("inf") else f"{shown[0]} to {shown[1]}"


def margin_text(margin: Margin) -> str:
    """`PD 3.18, 0.5 % under 3.2`."""
    at = _number(margin.threshold, margin.unit)
    name = NAMES[margin.quantity]
    if margin.value is None or margin.margin is None:
        return f"{name} unknown against {_SIGNS[margin.comparison]} {at}"
    if margin.margin == 0:
        return f"{name} at {at}"
    off, side = abs(margin.margin) * 100, "over" if margin.margin > 0 else "under"
    return f"{name} {_number(margin.value, margin.unit)}, {significant(off, 2)} % {side} {at}"


def _number(value: float, unit: str) -> str:
    if unit in UNITLESS:
        large = unit == "1" and value >= 1e7
        return render(value, "1", 4) if large else significant(value, 4 if value >= 1e3 else 3)
    return render(value, unit, 4)


def _sentence(judged: Sequence[Judged], way: Trade, on: date) -> str:
    trade = f"{way.origin.name} to {way.to.name}, {on}"
    if len(judged) == 1:
        return f"{judged[0].label}, {trade}: {_verdict(judged[0].found)}."
    counts = {word: sum(one.found.verdict == word for one in judged) for word in WORDS}
    said = ", ".join(f"{count} {WORDS[word]}" for word, count in counts.items() if count)
    return f"{len(judged)} chips, {trade}: {said}."


def _verdict(found: Assessment) -> str:
    by = found.deciding
    if by is None:
        return "not caught; no rule held here reaches it"
    if found.verdict == "caught":
        letter = ", no published rule" if by.rule.status == "company_letter" else ""
        return f"caught by {by.clause}{letter}: {by.outcome}"
    if found.verdict == "cannot_tell":
        return f"cannot tell whether {by.clause} catches it, for {_listed(found.unknown)}"
    return f"not caught by the thresholds held; nearest is {by.clause}, {_tightest(by)}"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(NAMES[name] for name in names)


def _parts(judged: Sequence[Judged], cited: tuple[str, ...], *, chart: bool) -> Iterable[Part]:
    if len(judged) == 1:
        yield _quantities(judged[0].found)
        yield from _rulings(judged[0].found, marks(cited))
    else:
        yield _summary(judged)
    if len(judged) <= FEW:
        yield _timeline(judged)
    if chart and len(judged) <= FEW:
        yield _chart(judged)
    yield Words(notice())


def _quantities(found: Assessment) -> Table:
    rows = [
        (NAMES[name], value_text(quantity), quantity.note or _missing(quantity))
        for name, quantity in found.facts.quantities.items()
    ]
    if not found.facts.stack:
        made = {True: "yes", False: "no", None: "unknown"}[found.facts.data_centre]
        rows.append((NAMES["data_centre"], made, _sold_for(found.facts.market)))
    return Table(("quantity", "value", "from"), tuple(rows), "lrl")


def _sold_for(market: Market | None) -> str:
    if market is None:
        return "nobody held says what it is sold for"
    return f"sold for: {market.value} ({market.provenance}: {market.source})"


def _missing(quantity: Quantity) -> str:
    missing = f"{', '.join(quantity.missing)} not published" if quantity.missing else ""
    return missing or ", ".join(quantity.figures)


def _rulings(found: Assessment, mark: dict[str, str]) -> Iterable[Part]:
    """The rules in force that have something to say: the exporter's side, then the buyer's own."""
    for title, buyers in (("exporter's side", False), ("buyer's side", True)):
        rows = tuple(
            (f"{mark[r.rule.source]} {r.rule.title}", _said(r), _ruled(r))
            for r in _shown(found)
            if r.rule.clauses and (r.rule.by != "US") is buyers
        )
        if rows:
            yield Table(("rule", "says", "by"), rows, title=title)
    others = [
        f"{mark[r.rule.source]} {r.rule.title}: {r.outcome}"
        for r in _shown(found)
        if not r.rule.clauses
    ]
    if others:
        yield Words(f"Not evaluated, being about who buys or a draft: {'; '.join(others)}.")


def _shown(found: Assessment) -> tuple[Ruling, ...]:
    """What does not apply is left out unless it is a control; so are exceptions to no control."""
    return tuple(ruling for ruling in found.rulings if _worth_saying(ruling, found))


def _worth_saying(ruling: Ruling, found: Assessment) -> bool:
    if ruling.rule.kind in ("exception", "easing") and found.verdict == "not_caught":
        return False
    return ruling.met is not False or ruling.rule.kind == "control"


def _said(ruling: Ruling) -> str:
    control = ruling.rule.kind == "control"
    yes, no = ("caught", "not caught") if control else ("applies", "does not apply")
    said = {True: yes, False: no, None: "cannot tell"}[ruling.met]
    status = ruling.rule.status.replace("_", " ").removeprefix("published ").removeprefix("rule")
    return f"{said} ({status})" if status else said


def _ruled(ruling: Ruling) -> str:
    margins = "; ".join(margin_text(margin) for margin in _in_the_way(ruling))
    clause = ": ".join(word for word in (ruling.clause, margins) if word)
    outcome = ruling.outcome if ruling.met is not False else ""
    return "; ".join(word for word in (clause, outcome) if word)


def _in_the_way(ruling: Ruling) -> tuple[Margin, ...]:
    """The thresholds that are not met, where the rule is not; all of them where it is."""
    if ruling.met is not False:
        return ruling.margins
    return tuple(m for m in ruling.margins if m.unmet) or ruling.margins


def _summary(judged: Sequence[Judged]) -> Table:
    rows = []
    for one in judged:
        facts, by = one.found.facts.quantities, one.found.deciding
        said = WORDS[one.found.verdict]
        if by and one.found.verdict == "caught":
            said = f"{said}, {by.clause}"
        cells = tuple(_cell(facts.get(name)) for name in SUMMED)
        rows.append((one.label, *cells, said, _tightest(by) if by else ""))
    columns = ("chip", "TPP", "density", "DRAM", "I/O", "verdict", "margin")
    return Table(columns, tuple(rows), "lrrrrll")


def _cell(quantity: Quantity | None) -> str:
    if quantity is None:
        return ""
    return (
        value_text(quantity) if quantity.value is None else _number(quantity.value, quantity.unit)
    )


def _tightest(ruling: Ruling) -> str:
    """The margin that is smallest, among those that stand in the way where it is not met."""
    known = [m for m in _in_the_way(ruling) if m.margin is not None]
    if not known:
        return margin_text(ruling.margins[0]) if ruling.margins else ""
    return margin_text(min(known, key=lambda m: abs(m.margin or 0.0)))


def _timeline(judged: Sequence[Judged]) -> Table:
    rows = [
        (one.label if not i else "", _days(period), WORDS[period.verdict], period.clause)
        for one in judged
        for i, period in enumerate(one.found.history)
    ]
    return Table(("chip", "days", "verdict", "clause"), tuple(rows), title="over time")


def _days(period: Period) -> str:
    if period.since is None:
        return f"to {period.until}" if period.until else "at all times"
    return f"{period.since} to {period.until}" if period.until else f"from {period.since}"


def _chart(judged: Sequence[Judged]) -> Chart:
    """Steps over the months; lines of several chips lie a little apart, to be told apart."""
    first, end = min(rule.since for rule in book().rules), book().known_to
    months = [
        date(first.year + m // 12, m % 12 + 1, 1)
        for m in range((end.year - first.year) * 12 + end.month)
    ]
    series = [
        Series(
            one.label,
            tuple((m / 12, _level(one.found, day, i))
                  for m, day in enumerate(months)),
            joined=True,
        )
        for i, one in enumerate(judged)
    ]  # fmt: skip
    return Chart(
        "Verdict over time",
        f"years after January {first.year}",
        "0 not caught, 1 cannot tell, 2 caught",
        tuple(series),
    )


def _level(found: Assessment, day: date, place: int) -> float:
    level, apart = LEVELS[_verdict_on(found, day)], 0.06 * place
    return level - apart if level == max(LEVELS.values()) else level + apart


def _verdict_on(found: Assessment, day: date) -> str:
    return next(p.verdict for p in reversed(found.history) if p.since is None or p.since <= day)


def _about_date(on: date) -> Iterable[Finding]:
    held = book()
    first = min(rule.since for rule in held.rules)
    if on < first:
        yield Finding(
            "P602", "warning", f"No rule held here was in force on {on}; the first is of {first}."
        )
    if on > held.known_to:
        yield Finding(
            "P602",
            "warning",
            f"Rules were looked for until {held.known_to}: later ones are not in this answer.",
        )


def _at_home(judged: Sequence[Judged], way: Trade) -> Iterable[Finding]:
    """Chips that the destination makes itself need not come from elsewhere."""
    own = [one.label for one in judged if home_of(one.found.facts.vendor) == way.to.code]
    if own and way.origin != way.to:
        named = ", ".join(own[:FEW]) + (f" and {len(own) - FEW} more" if len(own) > FEW else "")
        message = f"{named}: the vendor is at home in {way.to.name}; within it nothing is exported."
        yield Finding("P603", "note", message, f"`--from {way.to.code}`")


def _processors(judged: Sequence[Judged]) -> Iterable[Finding]:
    named = [one.label for one in judged if one.found.facts.processor]
    if named:
        message = (
            f"{', '.join(named[:FEW])}: a processor for general use, judged by the matrix units in "
            "its cores. Whether 3A090 counts those was not found."
        )
        yield Finding("P603", "note", message)


def _notes(judged: Sequence[Judged]) -> Iterable[Finding]:
    """What is to be known of the rules that apply to one chip."""
    for ruling in judged[0].found.rulings if len(judged) == 1 else ():
        if ruling.rule.note and ruling.met and _worth_saying(ruling, judged[0].found):
            yield Finding("P603", "note", f"{ruling.rule.title}: {ruling.rule.note}")


def _about(judged: Sequence[Judged]) -> Iterable[Finding]:
    for one in judged:
        if one.found.verdict != "cannot_tell":
            continue
        fixes = [
            f"`{one.found.facts.id}@{FIGURES[name]}`"
            for name in one.found.unknown
            if name in FIGURES
        ]
        why = _listed(one.found.unknown)
        yield Finding(
            "P601",
            "warning",
            f"{one.label} cannot be told: {why} is not held, or its range spans a threshold.",
            f"{' or '.join(fixes)} with a figure of your own" if fixes else "",
        )


def _next(judged: Sequence[Judged], way: Trade) -> tuple[str, ...]:
    name = judged[0].label
    if len(judged) > 1:
        return (f"parity rules {name} --to {way.to.code}",)
    return (f"parity chips {judged[0].found.facts.id}",) if not judged[0].found.facts.stack else ()


def _source(entry: Source) -> str:
    words = ", ".join(w for w in (entry.title, entry.publisher, entry.date, entry.url) if w)
    return words if entry.seen == "read" else f"{words} ({entry.seen})"
