"""The books of a piece of work as records and as plain numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from parity.catalogue.schema import Chip
from parity.economics.ledger import Driver, Figure, Span
from parity.economics.prices import TokenPrices
from parity.economics.terms import Basis, Money
from parity.record import Fact, Finding

#: Units of what the books hold, for JSON.
UNITS = {
    "usd_per_chip_hour": "USD/h", "usd_per_day": "USD", "usd_per_run": "USD",
    "usd_per_mtoken": "USD", "usd_per_mtoken_input": "USD", "usd_per_mtoken_output": "USD",
    "usd_per_mtoken_all": "USD", "usd_per_mtoken_whole_output": "USD",
    "kwh_per_day": "kWh", "kwh_per_run": "kWh", "wh_per_mtoken_output": "Wh", "wh_per_mtoken": "Wh",
    "co2_g_per_mtoken_output": "g", "co2_g_per_mtoken": "g", "co2_kg_per_run": "kg",
    "revenue_usd_per_day": "USD", "profit_usd_per_day": "USD", "gross_margin": "1",
    "cost_profit_margin": "1", "break_even_utilisation": "1", "break_even_price": "1",
    "break_even_usd_per_chip_hour": "USD/h", "payback_years": "year",
}  # fmt: skip
BOOKS = "the figures of this answer"


@dataclass(frozen=True)
class Kind:
    """One kind of chip of a fleet, by itself."""

    chip: Chip
    count: int
    basis: Basis | None  # None where nobody published a price
    found: Mapping[str, Span]


@dataclass(frozen=True)
class Way:
    """All chips rented, or all owned."""

    found: Mapping[str, Span]
    even: Span | None  # mean load from which they are cheaper than the tokens bought


@dataclass(frozen=True)
class Costed:
    """A plan and its books, on the basis chosen and on each there is."""

    kinds: tuple[Kind, ...]
    answer: Mapping[str, Any]  # of the planner
    basis: Basis | None  # None where nobody published a price
    figures: Mapping[str, Figure]
    found: Mapping[str, Span]
    ways: Mapping[str, Way]  # rent, own
    bought: Span | None  # what the tokens of a day cost at the prices of others
    parts: Mapping[str, Span]  # of an hour of a chip of one's own, the mean over all
    over_rent: Span | None  # mean load from which owning is cheaper than renting by the hour
    drivers: tuple[Driver, ...]

    @property
    def chips(self) -> str:
        """All chips in words: `16 x A100 80GB + 8 x H20 96GB`."""
        return " + ".join(f"{kind.count:,} x {kind.chip.name}" for kind in self.kinds)

    @property
    def label(self) -> str:
        """Short: `h20-96`, or `16xa100-sxm-80+8xh20-96`."""
        if len(self.kinds) == 1:
            return self.kinds[0].chip.id
        return "+".join(f"{kind.count}x{kind.chip.id}" for kind in self.kinds)


@dataclass(frozen=True)
class Asked:
    """The question, and what the planners remarked on."""

    model: str
    on: str
    chips: int | None  # of them
    money: Money
    train: bool
    findings: tuple[Finding, ...]
    exit_code: int
    listed: TokenPrices | None  # what others sell the tokens for


@dataclass(frozen=True)
class Row:
    """The same work on other chips; without books a reason."""

    chip: str
    region: str
    costed: Costed | None
    reason: str = ""


@dataclass(frozen=True)
class Switched:
    """What a change of chips costs and saves."""

    before: Costed
    found: Mapping[str, Span]
    drivers: tuple[Driver, ...]


def fact(name: str, span: Span) -> Fact:
    """A result with its range."""
    unit = UNITS.get(name, "USD/h")
    return Fact(span.value, span.low, span.high, unit, "derived", BOOKS)


def facts(found: Mapping[str, Span], names: Iterable[str] | None = None) -> dict[str, Fact]:
    """Results by name."""
    return {name: fact(name, found[name]) for name in names or found if name in found}


def answer_fields(asked: Asked, main: Costed) -> dict[str, object]:
    """The whole answer as plain numbers."""
    what, basis = asked.money, main.basis
    assert basis is not None
    return {
        "question": "training" if asked.train else "serving",
        "model": asked.model,
        "chip": main.label,
        "chips": main.answer["chips"],
        "kinds": [kind_fields(kind) for kind in main.kinds],
        "on_date": str(what.on),
        "region": what.region,
        "basis": basis.name,
        "basis_text": basis.words,
        "quote_days_old": basis.days_old,
        "books": facts(main.found),
        "figures": {name: figure.fact for name, figure in main.figures.items()},
        "own_parts_usd_per_hour": facts(main.parts),
        "ways": {
            name: {**facts(way.found, WAY), "cheaper_than_bought_from": share_fact(way.even)}
            for name, way in main.ways.items()
        },
        "bought_usd_per_day": fact("usd_per_day", main.bought) if main.bought else None,
        "bought_from": asked.listed.name if asked.listed and main.bought else None,
        "own_cheaper_than_rent_from": share_fact(main.over_rent),
        "drivers": list(main.drivers),
    }


#: What is said of each way to come by chips.
WAY = ("usd_per_chip_hour", "usd_per_day")


def share_fact(span: Span | None) -> Fact | None:
    """A share with its range."""
    return None if span is None else Fact(span.value, span.low, span.high, "1", "derived", BOOKS)


def kind_fields(kind: Kind) -> dict[str, object]:
    """One kind of chip of a fleet as plain numbers."""
    return {
        "chip": kind.chip.id,
        "chips": kind.count,
        "basis": kind.basis.name if kind.basis else None,
        "books": facts(kind.found, WAY),
    }


def row_fields(row: Row) -> dict[str, object]:
    """The same work on other chips as plain numbers."""
    found = row.costed
    return {
        "chip": row.chip,
        "region": row.region,
        "chips": found.answer["chips"] if found else None,
        "basis": found.basis.name if found and found.basis else None,
        "books": facts(found.found) if found else {},
        "reason": row.reason,
    }


def swing_fields(swings: Sequence[tuple[str, Costed | str]]) -> list[dict[str, object]]:
    """The same service changed, as plain numbers."""
    return [
        {
            "change": label,
            "chips": None if isinstance(one, str) else one.answer["chips"],
            "books": {} if isinstance(one, str) else facts(one.found),
            "reason": one if isinstance(one, str) else "",
        }
        for label, one in swings
    ]


def switch_fields(found: Switched | None) -> dict[str, object] | None:
    """A change of chips as plain numbers."""
    if found is None:
        return None
    days = found.found["payback_days"]
    return {
        "from_chip": found.before.label,
        "from_chips": found.before.answer["chips"],
        **{name: fact("usd_per_day", found.found[name]) for name in SWITCH_USD},
        "payback_days": Fact(days.value, days.low, days.high, "day", "derived", BOOKS),
        "drivers": list(found.drivers),
    }


SWITCH_USD = ("old_usd_per_day", "new_usd_per_day", "saved_usd_per_day")
