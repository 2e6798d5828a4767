"""What a scenario of supply over the years states; `scenario_file` reads it.

A figure that changes with the years states each of them, and the growth beyond the last.
"""

from __future__ import annotations

from typing import Literal, get_args

import msgspec
import numpy as np

from parity.catalogue.machine import Draw, Number
from parity.catalogue.schema import Area, Count, Fraction, Source, Year
from parity.errors import UsageError
from parity.record import Fact, Record
from parity.supply import tables

#: What may be imported: under a ban, with licences, or freely.
Policy = Literal["ban", "licence", "open"]
POLICIES: tuple[Policy, ...] = get_args(Policy)
#: The last year of any scenario.
LAST_YEAR = 2060
MOST_YEARS = 60


class Yearly(Record, frozen=True):
    """A figure year by year; all years go by one draw, so that a high path is high in each."""

    years: dict[int, Fact]
    growth: Fact | None = None  # factor a year after the last one
    nothing_before: bool = False  # zero before the first one, rather than unknown
    nothing_after: bool = False

    def missing(self, first: int, last: int) -> int | None:
        """The first year from `first` to `last` of which nothing is known."""
        start, end = min(self.years), max(self.years)
        low = start if self.nothing_before else min(first, start)
        high = end if self.nothing_after or self.growth else max(last, end)
        return next((year for year in range(low, high + 1) if year not in self.years), None)

    def over(self, years: Number, key: str, draw: Draw) -> Number:
        """The figure in each of the years, (samples or 1, years), in its own unit."""
        end = max(self.years)
        grown = 1.0
        if self.growth is not None and years[-1] > end:
            fact = self.growth
            grown = draw(f"{key}.growth", fact.value, fact.low, fact.high)
        columns = []
        for year in years.tolist():
            stated = self.years.get(min(year, end))
            if stated is None or (year > end and self.growth is None):
                columns.append(np.zeros((1, 1)))
                continue
            value = draw(key, stated.value, stated.low, stated.high)
            more = grown ** float(year - end) if year > end else 1.0
            columns.append(np.atleast_2d(value * more))
        return np.concatenate(np.broadcast_arrays(*columns), axis=-1)


class Logic(Record, frozen=True, kw_only=True):
    """Wafers of a class of nodes, and what packages they end up in."""

    id: str
    wafers_per_month: Yearly | None = None
    share: Fraction = None  # of those wafers, for accelerators
    packages: Yearly | None = None  # a year


class Dies(Record, frozen=True, kw_only=True):
    """Dies that were bought and kept, by the year at whose start they are there."""

    id: str
    bank: Yearly | None = None


class Memory(Record, frozen=True, kw_only=True):
    """Stacks of memory for some products: made in a year, kept from before it, or bought abroad.

    needs: what policy buying takes.
    """

    id: str
    stacks: Yearly | None = None
    stock: Yearly | None = None
    bought: Yearly | None = None
    needs: Policy = "open"


class Product(Record, frozen=True, kw_only=True):
    """A chip that the lines make from some time on, until the next one has them.

    since: when it comes; or follows and lag: so many years after that node's year of volume.
    """

    id: str
    chip: str
    logic: str
    memory: str
    since: Year = None
    follows: str = ""
    lag: Count = None  # years
    node: str = ""  # its own where the catalogue has none
    like: str = ""  # the node whose defects experience leads to
    die: str = ""  # the kind of die, where products share one
    dies: Count = None  # in a package, with die_area, where the catalogue has no recipe
    die_area: Area = None
    hbm: str = ""  # generation and gigabytes of a stack, as in `hbm3e:36`, with stacks
    stacks: Count = None  # of memory, in a package
    sold: Fraction = None  # share of dies that are sold, in place of a yield model


class Line(Record, frozen=True, kw_only=True):
    """Chips of one kind that come in by years. needs: what policy they take."""

    id: str
    chip: str
    needs: Policy = "ban"
    units: Yearly | None = None


class Bought(Record, frozen=True, kw_only=True):
    """Chips of one kind that were bought in a year."""

    id: str
    chip: str
    units: Count = None


class Estimate(Record, frozen=True):
    """What somebody else says of a year: `domestic_chips`, or `meets_demand`."""

    what: str
    of: Literal["domestic_chips", "meets_demand"]
    year: int
    source: str
    units: float | None = None
    note: str = ""


class Workload(Record, frozen=True, kw_only=True):
    """What chips are measured by. unit: the chip whose speed counts as one."""

    id: str
    model: str
    kind: Literal["train", "serve"] = "train"
    chips: int = 256  # that train together
    unit: str = "h100-sxm"


class Common(Record, frozen=True, kw_only=True):
    """Figures of the whole scenario."""

    id: str
    use_of_stock: Fraction = None  # of what is kept at a year's start, at most, in the year
    ramp_years: Count = None  # until a product has the lines
    learning: Fraction = None  # of defects, with each doubling of all wafers of the node
    learning_year: int = 0  # in which defects are as the table of nodes has them
    life_years: Count = None  # of chips in use
    life_spread_years: Count = None
    demand_unmet: Fraction = None  # of what was bought in the year of demand, on top of it
    demand_growth: Count = None  # factor a year
    demand_year: int = 0
    reference: str = ""  # whose fleet is the reference
    reference_growth: Count = None  # of what it buys, after its last year


class Scenario(Record, frozen=True, kw_only=True):
    """All that a scenario states."""

    id: str
    title: str
    first: int
    last: int
    policy: Policy
    policy_from: int  # the first year in which the policy decides what comes in
    workload: Workload
    common: Common
    logic: dict[str, Logic]
    dies: dict[str, Dies]
    memory: dict[str, Memory]
    products: dict[str, Product]
    imports: dict[str, Line]
    reference: dict[str, Line]
    demand: dict[str, Bought]
    estimates: tuple[Estimate, ...] = ()
    sources: dict[str, Source] = msgspec.field(default_factory=dict)

    def source(self, key: str) -> Source:
        """The source of that key. Raises `UnknownName`."""
        return self.sources[key] if key in self.sources else tables.source(key)

    def chips(self) -> tuple[str, ...]:
        """Every chip that is named, each once."""
        parts = (self.products, self.imports, self.reference, self.demand)
        named = [one.chip for part in parts for one in part.values()]
        return tuple(dict.fromkeys([self.workload.unit, *named]))

    def comes_in(self, needs: Policy, years: Number) -> Number:
        """One in the years in which the policy lets in what needs so much of it, else zero. [1]"""
        allowed = POLICIES.index(self.policy) >= POLICIES.index(needs)
        return np.where((years < self.policy_from) | allowed, 1.0, 0.0)

    def until(self, last: int) -> Scenario:
        """The same up to another year. Raises `UsageError` where a figure is not known so far."""
        least, most = self.common.learning_year, min(LAST_YEAR, self.first + MOST_YEARS)
        if not least <= last <= most:
            raise UsageError(
                f"The years end in {last}; a year from {least} to {most} was expected."
            )
        return msgspec.structs.replace(self, last=last)

    def figures(self) -> dict[str, Fact]:
        """Every figure by its path, as `--set` takes it."""
        found: dict[str, Fact] = {}
        for name in ("common", "logic", "dies", "memory", "products", "imports", "reference",
                     "demand"):  # fmt: skip
            value = getattr(self, name)
            parts = (
                {name: value} if name == "common" else {f"{name}.{k}": v for k, v in value.items()}
            )
            for path, record in parts.items():
                found |= _facts(record, path)
        return found


def _facts(record: Record, path: str) -> dict[str, Fact]:
    found: dict[str, Fact] = {}
    for name in record.__struct_fields__:
        value = getattr(record, name)
        if isinstance(value, Fact):
            found[f"{path}.{name}"] = value
        elif isinstance(value, Yearly):
            found |= {f"{path}.{name}.{year}": fact for year, fact in value.years.items()}
            if value.growth is not None:
                found[f"{path}.{name}.growth"] = value.growth
    return found
