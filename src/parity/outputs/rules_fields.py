"""What export rules say of chips, as JSON has it."""

from __future__ import annotations

from datetime import date

from parity.supply.rules import Assessment, Ruling
from parity.supply.thresholds import Quantity


def fields(label: str, found: Assessment) -> dict[str, object]:
    """One chip: verdict, quantities, every rule in force, and the verdicts of the days before."""
    binds = found.verdict != "not_caught"
    return {
        "chip": found.facts.id,
        "label": label,
        "verdict": found.verdict,
        "rule": found.deciding.rule.id if found.deciding else None,
        "clause": found.deciding.clause if found.deciding else None,
        "outcome": found.deciding.outcome if binds and found.deciding else None,
        "unknown": list(found.unknown),
        "data_centre": found.facts.data_centre,
        "market": found.facts.market,
        "quantities": {name: _quantity(q) for name, q in found.facts.quantities.items()},
        "rules": [_ruling(ruling) for ruling in found.rulings],
        "history": [
            {"since": _day(p.since), "until": _day(p.until), "verdict": p.verdict,
             "rule": p.rule or None, "clause": p.clause or None}
            for p in found.history
        ],
    }  # fmt: skip


def _quantity(quantity: Quantity) -> dict[str, object]:
    return {
        "value": quantity.value, "low": quantity.low, "high": quantity.high, "unit": quantity.unit,
        "figures": list(quantity.figures), "missing": list(quantity.missing), "note": quantity.note,
        "sources": list(quantity.sources),
    }  # fmt: skip


def _ruling(ruling: Ruling) -> dict[str, object]:
    rule = ruling.rule
    return {
        "id": rule.id, "by": rule.by, "title": rule.title, "kind": rule.kind, "status": rule.status,
        "since": _day(rule.since), "until": _day(rule.until), "met": ruling.met,
        "clause": ruling.clause or None, "outcome": ruling.outcome, "source": rule.source,
        "note": rule.note, "unknown": list(ruling.unknown),
        "margins": [
            {"quantity": m.quantity, "unit": m.unit, "comparison": m.comparison,
             "threshold": m.threshold, "value": m.value, "margin": m.margin}
            for m in ruling.margins
        ],
    }  # fmt: skip


def _day(day: date | None) -> str | None:
    return day.isoformat() if day else None
