"""The price of a chip-hour, a chip or a million tokens on a day, with the range of its quotes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

import numpy as np

from parity.catalogue.schema import Chip
from parity.economics.quotes import (
    Quote,
    ends_of,
    known_on,
    operation,
    quotes,
)
from parity.errors import NoPrice, UnknownName
from parity.record import DEFAULT_SPREAD, Fact

TERMS = ("on-demand", "1-year", "3-year")
#: Quotes whose sources are named in full; the rest are counted.
MOST_NAMED = 3
#: How far sellers of one chip differ: half of P10 to P90 over the median, where three or more quote
#: it within a year; the median over such chips and years of `prices.csv`. With fewer sellers a
#: price that states no range has this one. [1]
DIFFER = {"rent": 0.21, "purchase": 0.15}
FEW_SELLERS = 3


@dataclass(frozen=True)
class Priced:
    """A price on a day: the median of its quotes, between the lowest and the highest."""

    price: Fact
    quotes: tuple[Quote, ...]
    newest: date

    def days_old(self, on: date) -> int:
        """Of the newest quote, on a day."""
        return (on - self.newest).days


@dataclass(frozen=True)
class TokenPrices:
    """What a million tokens sell for; without a price of its own a cached token costs as input."""

    name: str
    since: str
    input: Fact
    cached: Fact
    output: Fact


def rent(chip: Chip, on: date, terms: str = "on-demand") -> Priced:
    """A chip-hour rented on a day. [USD/chip-hour]

    Raises `NoPrice`, `UsageError` for a date before any quote.
    """
    own = [q for q in quotes() if (q.kind, q.subject) == ("rent", chip.id)]
    found = [q for q in own if q.terms == terms]
    if own and not found:
        others = " or ".join(f"`--terms {t}`" for t in TERMS if any(q.terms == t for q in own))
        raise NoPrice(f"Nobody published a {terms} rent of {chip.id}; {others} has quotes.")
    if not own:
        raise NoPrice(
            f"Nobody published a rent of {chip.id}; `--price 2.5usd/h` takes yours, `--own` counts "
            "from the price of the chip."
        )
    return _priced(found, on, f"{chip.id}, {terms}", "USD/chip-hour")


def purchase(chip: Chip, on: date) -> tuple[Priced, bool]:
    """A new chip bought on a day, and whether its share of the server is in it. [USD]

    Chips alone come first, then shares of servers, then the catalogue's own dated prices.
    Raises `NoPrice`, `UsageError` for a date before any.
    """
    own = [q for q in quotes() if (q.kind, q.subject) == ("purchase", chip.id)]
    own += _catalogued(chip)
    for terms in ("chip", "server"):
        found = [q for q in own if q.terms == terms]
        if found and any(q.day <= on for q in found):
            return _priced(found, on, chip.id, "USD"), terms == "server"
    if not own or all(q.terms == "used" for q in own):
        raise NoPrice(
            f"Nobody published a price of {chip.id}; `--chip-price 10000..15000` takes yours."
        )
    return _priced([q for q in own if q.terms != "used"], on, chip.id, "USD"), False


def used(chip: Chip, on: date) -> Priced | None:
    """A used chip on a day, where anybody quoted one. [USD]"""
    found = [q for q in quotes() if (q.kind, q.subject, q.terms) == ("purchase", chip.id, "used")]
    if not any(q.day <= on for q in found):
        return None
    return _priced(found, on, f"used {chip.id}", "USD")


def token_prices(name: str, on: date) -> TokenPrices:
    """What a million tokens of a model sell for on a day: the median over those who sell it.

    name: a bundled model or one seller's own label. Raises `UnknownName`, `UsageError` for a date
    before any price.
    """
    key = name.strip().lower()
    every = [q for q in quotes() if q.kind == "token"]
    own = [q for q in every if key in (q.item.lower(), q.subject)]
    if not own:
        known = {q.subject or q.item for q in every} | {q.item for q in every}
        hint = "Prices of your own: `--sell in=0.55,out=2.19,cached=0.14`."
        raise UnknownName("price of tokens", name, known, hint)
    kept = _newest_of_each(own, on)
    parts = {}
    for terms in ("input", "output"):
        parts[terms] = _priced([q for q in kept if q.terms == terms], on, name, "USD/Mtoken")
    hits = [q for q in kept if q.terms == "cached"]
    cached = _priced(hits, on, name, "USD/Mtoken").price if hits else parts["input"].price
    return TokenPrices(
        name, max(q.since for q in kept), parts["input"].price, cached, parts["output"].price
    )


def sold_models() -> tuple[str, ...]:
    """Bundled models whose tokens somebody sells."""
    return tuple(sorted({q.subject for q in quotes() if q.kind == "token" and q.subject}))


def _newest_of_each(own: list[Quote], on: date) -> list[Quote]:
    """The newest price list of each seller among those that speak for a day."""
    speaking, _ = known_on(own, on, f"tokens of {own[0].subject or own[0].item}")
    newest = {
        q.item: max(other.day for other in speaking if other.item == q.item) for q in speaking
    }
    return [q for q in speaking if q.day == newest[q.item]]


def _priced(found: Iterable[Quote], on: date, what: str, unit: str) -> Priced:
    kept, newest = known_on(found, on, what)
    few = len({quote.place for quote in kept}) < FEW_SELLERS
    values = [quote.value * _dollars(quote)[1] for quote in kept]
    ends = [end for quote in kept for end in _ends(quote, lone=few)]
    sources = list(dict.fromkeys(f"{q.source}, {q.since}" for q in reversed(kept)))
    more = f" and {len(sources) - MOST_NAMED} more" if len(sources) > MOST_NAMED else ""
    source = "; ".join(sources[:MOST_NAMED]) + more
    weakest = max((q.provenance for q in kept), key=lambda one: DEFAULT_SPREAD[one])
    places = len({q.place for q in kept})
    sellers = f"{places} sellers" if places > 1 else "1 seller"
    note = f"{len(kept)} quotes, {sellers}" if len(kept) > 1 else kept[0].note
    value = float(np.quantile(values, 0.5))
    fact = Fact(value, min(ends), max(ends), unit, weakest, source, note)
    return Priced(fact, kept, newest)


def _ends(quote: Quote, *, lone: bool) -> tuple[float, float]:
    """The range of a quote; lone: where few quote it, at least as wide as sellers differ. [USD]"""
    low, high = ends_of(quote)
    if lone and quote.low is None and quote.high is None and quote.kind in DIFFER:
        apart = DIFFER[quote.kind]
        low = min(low, quote.value * (1 - apart))
        high = max(high, quote.value * (1 + apart))
    least, _, most = _dollars(quote)
    return low * least, high * most


def _dollars(quote: Quote) -> tuple[float, float, float]:
    """Dollars of a unit of the quote's currency, from least to most."""
    if not quote.unit.startswith("CNY"):
        return 1.0, 1.0, 1.0
    yuan = operation("cny_per_usd")
    return 1.0 / yuan.high, 1.0 / yuan.value, 1.0 / yuan.low


def _catalogued(chip: Chip) -> list[Quote]:
    """Prices that the chip's own file holds."""
    return [
        Quote(
            "purchase", chip.name, chip.id, dated.since, "catalogue", "chip", "USD/chip",
            dated.price.low, dated.price.value, dated.price.high, dated.price.source,
            dated.price.provenance, dated.note,
        )
        for dated in chip.prices
    ]  # fmt: skip
