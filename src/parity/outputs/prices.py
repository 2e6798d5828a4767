"""What chips cost, beside a plan or a match: owned where a price is published, else rented."""

from __future__ import annotations

from collections.abc import Mapping

from parity.catalogue.machine import Number
from parity.catalogue.schema import Chip
from parity.economics.hourly import per_chip_hour
from parity.economics.ledger import Figure, Span, spans
from parity.economics.selling import MILLION
from parity.outputs.costing_tables import usd
from parity.record import Fact
from parity.timing.draw import Sampler

HOUR_S = 3600.0


def price_fields(chip: Chip) -> dict[str, object]:
    """A chip-hour as plain numbers; nulls where nobody published a price."""
    found = per_chip_hour(chip, Sampler())
    return {
        "chip_hour_basis": found[0] if found else None,
        "usd_per_chip_hour": found[1] if found else None,
    }


def usd_per_mtoken(chip: Chip, count: Fact, tokens_per_s: float) -> tuple[str, Fact] | None:
    """(own or rent, USD of a million tokens); None where nobody published a price.

    count: chips that make `tokens_per_s` together, P10 and P90 as its ends.
    """
    found = per_chip_hour(chip, Sampler())
    if found is None:
        return None
    figures = {"count": Figure(count, deciles=True), "hour": Figure(found[1], deciles=True)}

    def cost(x: Mapping[str, Number]) -> dict[str, Number]:
        return {"cost": x["count"] * x["hour"] * MILLION / (tokens_per_s * HOUR_S)}

    span = spans(figures, cost, Sampler())["cost"]
    return found[0], Fact(span.value, span.low, span.high, "USD", "derived", found[1].source)


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
