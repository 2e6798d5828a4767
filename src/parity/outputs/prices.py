"""What chips cost, beside a plan or a match: owned and rented, where prices are published."""

from __future__ import annotations

from collections.abc import Mapping

from parity.catalogue.machine import Number
from parity.catalogue.schema import Chip
from parity.economics.hourly import chip_hours, per_chip_hour
from parity.economics.ledger import Figure, Span, spans
from parity.economics.selling import MILLION
from parity.outputs.costing_tables import usd
from parity.record import Fact
from parity.timing.draw import Sampler

HOUR_S = 3600.0


def hours_of(chip: Chip) -> dict[str, Fact]:
    """A chip-hour, `own` and `rent`; without what nobody published a price of."""
    return chip_hours(chip, Sampler())


def price_fields(chip: Chip, hours: Mapping[str, Fact] | None = None) -> dict[str, object]:
    """A chip-hour as plain numbers; nulls where nobody published a price. hours: if known."""
    found = hours_of(chip) if hours is None else hours
    return {
        "chip_hour_basis": next(iter(found), None),
        "usd_per_chip_hour": next(iter(found.values()), None),
    }


def usd_per_mtoken(hours: Mapping[str, Fact], count: Fact, tokens_per_s: float) -> dict[str, Fact]:
    """USD of a million tokens at what chip-hours cost, by the same names.

    count: chips that make `tokens_per_s` together, P10 and P90 as its ends.
    """
    return {basis: _per_mtoken(hour, count, tokens_per_s) for basis, hour in hours.items()}


def _per_mtoken(hour: Fact, count: Fact, tokens_per_s: float) -> Fact:
    figures = {"count": Figure(count, deciles=True), "hour": Figure(hour, deciles=True)}

    def cost(x: Mapping[str, Number]) -> dict[str, Number]:
        return {"cost": x["count"] * x["hour"] * MILLION / (tokens_per_s * HOUR_S)}

    span = spans(figures, cost, Sampler())["cost"]
    return Fact(span.value, span.low, span.high, "USD", "derived", hour.source)


def price_words(chip: Chip, chips: int, hours: float = 24.0) -> str:
    """`1.22 USD (1.02–1.81) a chip-hour owned, 29,900 USD a day`; empty without a price."""
    found = per_chip_hour(chip, Sampler())
    if found is None:
        return ""
    basis, hour = found
    each = usd(Span(hour.value, hour.low, hour.high))
    whole = hour.value * chips * hours
    per = "a day" if hours == 24.0 else "for the run"
    way = "owned" if basis == "own" else "rented"
    return f"{each} a chip-hour {way}, {usd(Span(whole, whole, whole))} {per}"
