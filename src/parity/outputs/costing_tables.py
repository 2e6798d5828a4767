"""The tables and charts of an answer about money."""

from __future__ import annotations

import math
from collections.abc import Sequence

from parity.economics import books
from parity.economics.ledger import OLD, Driver, Span
from parity.outputs.costing_fields import Asked, Costed, Row, Switched
from parity.outputs.document import Bars, Chart, Fields, Series, Table
from parity.outputs.figures import ranged
from parity.units import significant

#: What figures are called in a sentence.
NAMES = {
    "rent": "the rent of a chip-hour", "chip_usd": "the price of a chip",
    "server_usd": "the price of a server", "server_factor": "what a server costs beside its chips",
    "server_power": "what a server draws beside its chips", "electricity": "the price of power",
    "pue": "PUE", "depreciation": "years of depreciation", "network_share": "the network's share",
    "facility_usd_per_w": "the price of the building", "facility_years": "years of the building",
    "requests_per_s": "the speed of the plan", "chips": "the speed of the plan",
    "hours": "the speed of the plan", "utilisation": "utilisation", "interest": "interest",
    "residual": "what is left of the price", "staff": "staff",
    "upkeep_usd_per_w": "staff and upkeep of the site", "tdp_w": "the chips' power",
    "input_usd": "the price of input", "cached_usd": "the price of cached input",
    "output_usd": "the price of output", "carbon": "the grid", "port_cost": "the cost of porting",
    "port_loss": "the speed lost in porting",
}  # fmt: skip
MOST_DRIVERS = 5


def usd(span: Span, digits: int = 3) -> str:
    """`1.02 USD (0.7–1.5)`."""
    ends = [_rounded(end, digits) for end in (span.value, span.low, span.high)]
    return ranged(ends[0], ends[1], ends[2], "USD", digits)


def _rounded(value: float, digits: int) -> float:
    """To as many digits as are shown, in large numbers too."""
    return float(f"{value:.{digits - 1}e}")


def share(span: Span) -> str:
    """`84 % (80–88)`."""
    if not math.isfinite(span.value):
        return "none"
    return ranged(span.value, span.low, span.high, "fraction", 2)


def driven(found: Sequence[Driver], title: str) -> tuple[Bars, ...]:
    """Which figures make the range, each alone."""
    rows = tuple(
        (named(one.name), one.swing, usd(Span(one.swing, one.swing, one.swing)))
        for one in found[:MOST_DRIVERS]
    )
    return (Bars(rows=rows, title=f"{title}, P10 to P90 of each alone"),) if rows else ()


def named(name: str) -> str:
    """A figure as a bar is labelled."""
    kind, _, figure = name.removeprefix(OLD).rpartition(".")
    label = NAMES.get(figure, figure).removeprefix("the ")
    of = f", {kind}" if kind else ""
    return f"{label}{of}, old chips" if name.startswith(OLD) else f"{label}{of}"


def kinds(asked: Asked, main: Costed) -> tuple[Table, ...]:
    """Each kind of chip of a fleet by itself."""
    if len(main.kinds) == 1:
        return ()
    unit = "usd_per_mtoken" if asked.train else UNIT
    cells = []
    for kind in main.kinds:
        books_of, basis = kind.found, kind.basis
        assert basis is not None
        load = main.figures.get(f"{kind.chip.id}.requests_per_s")
        cells.append(
            (
                f"{kind.count:,} x {kind.chip.id}",
                significant(load.fact.value) if load else "",
                f"{basis.name} {significant(books_of['usd_per_chip_hour'].value)}",
                usd(books_of["usd_per_day"]),
                "" if asked.train else usd(books_of[unit]).replace(" USD", ""),
            )
        )
    columns = ("fleet", "requests/s", "USD/h", "a day", "USD per M output")
    return (compact(columns, cells, "lrrrr"),)


def others(asked: Asked, main: Costed, rows: Sequence[Row]) -> tuple[Table, ...]:
    """The same work on other chips."""
    if not rows:
        return ()
    unit = "usd_per_mtoken" if asked.train else "usd_per_mtoken_whole_output"
    own = Row(main.label, asked.money.region, main)
    cells = []
    for row in (own, *rows):
        found = row.costed
        if found is None or found.basis is None:
            cells.append((row.chip, row.region, "—", "", "", "", _break_even(found), row.reason))
            continue
        books = found.found
        margin = share(books["gross_margin"]) if asked.money.sell else ""
        cells.append(
            (
                row.chip,
                row.region,
                f"{found.answer['chips']:,}",
                f"{found.basis.name} {significant(books['usd_per_chip_hour'].value)}",
                usd(books[unit]).replace(" USD", ""),
                margin,
                _break_even(found),
                row.reason,
            )
        )
    cost = "USD per M tokens" if asked.train else "USD per M output"
    columns = ("chip", "region", "chips", "USD/h", cost, "gross margin", "even at USD/h", "")
    return (compact(columns, cells, "llrrrrrl"),)


def compact(columns: tuple[str, ...], cells: Sequence[tuple[str, ...]], align: str) -> Table:
    """A table without the columns in which no cell says anything."""
    keep = [i for i in range(len(columns)) if any(row[i] for row in cells)]
    return Table(
        tuple(columns[i] for i in keep),
        tuple(tuple(row[i] for i in keep) for row in cells),
        "".join(align[i] for i in keep),
    )


def _break_even(found: Costed | None) -> str:
    if found is None or "break_even_usd_per_chip_hour" not in found.found:
        return ""
    return significant(found.found["break_even_usd_per_chip_hour"].value)


def changed(swings: Sequence[tuple[str, Costed | str]]) -> tuple[Table, ...]:
    """The same service with other words."""
    cells = []
    for label, one in swings:
        if isinstance(one, str):
            cells.append((label, "—", "", "", one))
            continue
        each = usd(one.found["usd_per_mtoken_whole_output"]).replace(" USD", "")
        held = one.answer["layout"]["decode"]["most_decoding"]
        margin = share(one.found["gross_margin"]) if "gross_margin" in one.found else ""
        cells.append((label, f"{held:,.0f}", each, margin, ""))
    if not cells:
        return ()
    columns = ("what if", "batch", "USD per M output", "gross margin", "")
    return (compact(columns, cells, "lrrrl"),)


def years(span: Span) -> str:
    """How long something takes, where its far end may be never."""
    text = significant(span.value)
    if not math.isfinite(span.high):
        return f"{text} ({significant(span.low)} or more)"
    return f"{text} ({significant(span.low)}–{significant(span.high)})"


def change(found: Switched | None) -> tuple[Fields | Bars, ...]:
    """From other chips to these."""
    if found is None:
        return ()
    days = found.found["payback_days"]
    never = not math.isfinite(days.value)
    words = "never: the new day is no cheaper" if never else f"{years(days)} days"
    old = found.before.chips
    rows = (
        ("from", f"{old}, {usd(found.found['old_usd_per_day'])} a day for the same work"),
        ("to", f"{usd(found.found['new_usd_per_day'])} a day, speed lost in porting included"),
        ("saves", f"{usd(found.found['saved_usd_per_day'])} a day"),
        ("pays back in", words),
    )
    return (
        Fields(rows=rows, title="a change of chips"),
        *driven(found.drivers, "what the saving hangs on"),
    )


def charts(asked: Asked, main: Costed, rows: Sequence[Row]) -> tuple[Chart, ...]:
    """Cost over utilisation, of these chips and of those it is compared with."""
    if asked.train:
        return ()
    loads = [i / 20 for i in range(2, 21)]
    named = [(main.label, main), *((row.chip, row.costed) for row in rows)]
    series = []
    for name, one in named:
        if one is None or one.basis is None:
            continue
        x = {key: figure.fact.value for key, figure in one.figures.items()}
        points = tuple(
            (100 * load, float(books.serving({**x, "utilisation": load})[UNIT])) for load in loads
        )
        series.append(Series(name=name, points=points, joined=True))
    if asked.money.sell:
        x = {key: figure.fact.value for key, figure in main.figures.items()}
        earned = books.serving(x)
        each = float(earned["revenue_usd_per_day"] / earned["usd_per_day"] * earned[UNIT])
        series.append(Series(name="sold at", points=((10.0, each), (100.0, each)), joined=True))
    title = "what a million output tokens cost, prompts included"
    return (Chart(title=title, x="utilisation, %", y="USD", series=tuple(series)),)


UNIT = "usd_per_mtoken_whole_output"


def sources(main: Costed) -> tuple[str, ...]:
    """Where each figure of money or energy comes from."""
    found = []
    for name, figure in main.figures.items():
        fact = figure.fact
        plain = name.rpartition(".")[2]
        if fact.provenance != "user" and plain not in ("busy", "idle") and plain in NAMES:
            if fact.source == "the plan" or fact.source.startswith("speed of"):
                continue
            note_of = f" ({fact.note})" if fact.note else ""
            span = ranged(fact.value, fact.low, fact.high, fact.unit)
            found.append(f"{name} {span}, {fact.provenance}: {fact.source}{note_of}")
    return tuple(found)
