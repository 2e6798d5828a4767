"""How chips are paid for, and what is asked for tokens: the terms of a question about money."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from parity.economics.ledger import Figure
from parity.economics.prices import TokenPrices
from parity.record import Fact


@dataclass(frozen=True)
class Money:
    """Everything that was said about money, read, with what was assumed where nothing was."""

    rent: bool  # asked for
    own: bool
    price: Fact | None
    terms: str
    region: str
    utilisation: Fact
    on: date
    used: bool
    sell: TokenPrices | None
    stated: Mapping[str, Fact]  # figures of owning that the user gives
    assumed: tuple[str, ...] = field(default=())

    @property
    def country(self) -> str:
        """Whose grid the region is on."""
        return self.region.partition("-")[0]


@dataclass(frozen=True)
class Basis:
    """A way to come by a chip-hour: its figures, and what to call it."""

    name: str  # rent or own
    words: str
    figures: dict[str, Figure]
    days_old: int = 0  # of the newest quote
