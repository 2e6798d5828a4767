"""A chip-hour: rented at the quotes of a day, or of a chip of one's own."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import date
from functools import lru_cache

import numpy as np

from parity.catalogue.machine import Draw, Number
from parity.catalogue.schema import Chip
from parity.economics import books, prices
from parity.economics.ledger import Figure, spans
from parity.economics.quotes import newest, operation
from parity.economics.terms import Basis
from parity.errors import MissingFact, UsageError
from parity.record import Fact

#: Figures of owning that are the same for every chip.
USUAL = (
    "depreciation",
    "network_share",
    "facility_usd_per_w",
    "facility_years",
    "upkeep_usd_per_w",
)
USUAL_REGION = "us"


def exact(value: float, source: str) -> Fact:
    """A figure without a range."""
    return Fact(value, value, value, "1", "derived", source)


def rented(chip: Chip, on: date, terms: str = "on-demand", price: Fact | None = None) -> Basis:
    """A chip-hour at `price`, or at the quotes of a day. Raises `NoPrice`, `UsageError`."""
    if price is not None:
        return Basis("rent", "at the price given", {"rent": Figure(price)})
    found = prices.rent(chip, on, terms)
    words = f"rented {terms}: {found.price.note or found.price.source}"
    return Basis("rent", words, {"rent": Figure(found.price)}, found.days_old(on))


def owned(
    chip: Chip, on: date, region: str, stated: Mapping[str, Fact], *, used: bool = False
) -> Basis:
    """A chip of one's own. stated: figures that replace the usual ones; used: bought used.

    Raises `NoPrice`, `MissingFact` without a rated power.
    """
    if chip.physical.tdp is None:
        raise MissingFact(chip.id, "physical.tdp", "400W")
    with_server, days_old, words, factor = False, 0, "price given", operation("server_factor")
    if (price := stated.get("chip_usd")) is None:
        bought = prices.used(chip, on) if used else None
        if bought is not None:
            factor = used_server(factor, bought.price.value, prices.purchase(chip, on)[0].price)
        else:
            bought, with_server = prices.purchase(chip, on)
        price, days_old = bought.price, bought.days_old(on)
        words = bought.price.note or bought.price.source
    nothing = exact(0.0, "not counted")
    facts = {name: operation(name) for name in USUAL} | {"server_factor": factor}
    facts |= {"interest": nothing, "residual": nothing}
    facts |= {"electricity": operation("electricity", region), **stated}
    facts["server_usd" if with_server else "chip_usd"] = price
    if with_server:
        del facts["server_factor"]
    return Basis("own", f"owned: {words}", {k: Figure(v) for k, v in facts.items()}, days_old)


def used_server(factor: Fact, used_usd: float, new: Fact) -> Fact:
    """What a server costs beside a used chip: from as much cheaper as the chip is, to as if new.

    factor: of new chips. The value lies midway on a scale of ratios.
    """
    ratio = max(new.value / used_usd, 1.0)
    value = 1.0 + (factor.value - 1.0) * ratio**0.5
    high = 1.0 + (factor.high - 1.0) * ratio
    words = "from as cheap as the used chip to as dear as of a new one"
    return Fact(value, factor.low, max(high, value), "1", "estimated", factor.source, words)


def per_chip_hour(chip: Chip, draw: Draw, on: date | None = None) -> tuple[str, Fact] | None:
    """(own or rent, a chip-hour at work all day); None where nobody published a price. [USD/h]

    Owned where anybody published the price of a chip, so that chips compare; else rented.
    """
    return next(iter(chip_hours(chip, draw, on).items()), None)


@lru_cache(maxsize=512)
def chip_hours(chip: Chip, draw: Draw, on: date | None = None) -> dict[str, Fact]:
    """A chip-hour at work all day: `own`, with power as in the US, and `rent`, on demand. [USD/h]

    Without what nobody published a price of.
    """
    return {basis.name: _hour(basis, draw) for basis in at_work(chip, on)}


@lru_cache(maxsize=512)
def at_work(chip: Chip, on: date | None = None) -> tuple[Basis, ...]:
    """The figures of a chip-hour at work all day, owned, with power as in the US, and rented.

    Without what nobody published a price of.
    """
    day, bases = on or newest(), []
    with suppress(MissingFact, UsageError):
        bases.append(_busy(owned(chip, day, USUAL_REGION, {}), chip))
    with suppress(MissingFact, UsageError):
        bases.append(rented(chip, day))
    return tuple(bases)


def _busy(basis: Basis, chip: Chip) -> Basis:
    assert chip.physical.tdp is not None  # `owned` asks for it
    full = Figure(exact(1.0, "at work all day"))
    power = {"tdp_w": Figure(chip.physical.tdp), "busy": full, "idle": full, "utilisation": full}
    site = {name: Figure(operation(name)) for name in ("server_power", "pue")}
    return replace(basis, figures={**basis.figures, **power, **site})


def _hour(basis: Basis, draw: Draw) -> Fact:
    found = spans(basis.figures, lambda x: {"hour": books.hour(x)}, draw)["hour"]
    return Fact(found.value, found.low, found.high, "USD/h", "derived", basis.words)


def drawn_hour(basis: Basis, draw: Draw) -> Number:
    """A chip-hour over the ranges of its figures, shape (samples,). [USD]"""
    drawn = {name: figure.drawn(name, draw) for name, figure in basis.figures.items()}
    return np.ravel(books.hour(drawn))
