"""What work costs and earns, as an answer."""

from __future__ import annotations

import math
from collections.abc import Sequence

from parity.economics.ledger import OLD, Driver, Span
from parity.outputs.costing_fields import (
    Asked,
    Costed,
    Row,
    Switched,
    answer_fields,
    bought,
    row_fields,
    swing_fields,
    switch_fields,
)
from parity.outputs.document import Bars, Chart, Document, Fields, Series, Table
from parity.outputs.envelope import Answer
from parity.outputs.figures import ranged
from parity.record import Finding
from parity.search.findings import note
from parity.units import render, significant

#: What figures are called in a sentence.
NAMES = {
    "rent": "the rent of a chip-hour", "chip_usd": "the price of a chip",
    "server_usd": "the price of a server", "server_factor": "what a server costs beside its chips",
    "server_power": "what a server draws beside its chips", "electricity": "the price of power",
    "pue": "PUE", "depreciation": "years of depreciation", "network_share": "the network's share",
    "facility_usd_per_w": "the price of the building", "facility_years": "years of the building",
    "requests_per_s": "the speed of the plan", "chips": "the speed of the plan",
    "hours": "the speed of the plan", "utilisation": "utilisation", "interest": "interest",
    "residual": "what is left of the price", "staff": "staff", "tdp_w": "the chips' power",
    "input_usd": "the price of input", "cached_usd": "the price of cached input",
    "output_usd": "the price of output", "carbon": "the grid", "port_cost": "the cost of porting",
    "port_loss": "the speed lost in porting",
}  # fmt: skip
#: Quotes older than this are remarked on. [day]
OLD_DAYS = 365
MOST_DRIVERS = 5


def cost_answer(
    asked: Asked,
    main: Costed,
    rows: Sequence[Row],
    swings: Sequence[tuple[str, Costed | str]],
    switched: Switched | None,
) -> Answer:
    """The books of a plan, with other chips, other words and a change of chips where asked for."""
    findings = (*cost_findings(asked, main), *asked.plan.document.findings)
    content: dict[str, object] = {
        "answer": answer_fields(asked, main),
        "against": [row_fields(row) for row in rows],
        "sensitivity": swing_fields(swings),
        "switch": switch_fields(switched),
        "assumed": list(asked.money.assumed),
        "findings": findings,
    }
    parts = (
        summary(asked, main),
        *ways(asked, main),
        *hour(main),
        *driven(main.drivers, f"what makes the range of {ranged_result(asked)}"),
        *others(asked, main, rows),
        *changed(swings),
        *change(switched),
        *charts(asked, main, rows),
    )
    document = Document(
        sentence=sentence(asked, main),
        parts=parts,
        findings=findings,
        sources=sources(main),
        next=(f"parity cost {asked.model} --on {asked.on} --own --json",),
    )
    return Answer(
        command="cost",
        content=content,
        document=document,
        exit_code=asked.plan.exit_code,
        keep=True,
    )


def ranged_result(asked: Asked) -> str:
    """Which result the drivers are of."""
    if asked.money.sell:
        return "a day's profit"
    return "a million tokens" if asked.train else "a million output tokens"


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


def sentence(asked: Asked, main: Costed) -> str:
    """The number, its range, what it rests on, and what makes the range."""
    found, basis = main.found, main.basis
    assert basis is not None
    fleet = f"{main.answer['chips']:,} x {main.chip.name}"
    by = f"{'rented' if basis.name == 'rent' else 'owned'} at {usd(found['usd_per_chip_hour'])} "
    by += "a chip-hour"
    widest = NAMES.get(main.drivers[0].name, main.drivers[0].name) if main.drivers else ""
    end = f"; {widest} makes most of the range." if widest else "."
    if asked.train:
        days = significant(main.answer["days"])
        run = usd(found["usd_per_run"])
        return f"Training {asked.model} on {fleet} costs {run} in {days} days, {by}{end}"
    each = usd(found["usd_per_mtoken_whole_output"])
    text = (
        f"{asked.model} on {fleet} costs {each} per million output tokens, prompts included, {by}"
    )
    if asked.money.sell:
        margin, load = found["gross_margin"], found["break_even_utilisation"]
        text += f", and sells at a gross margin of {share(margin)}"
        reached = load.value <= 1
        text += f", above {share(load)} utilisation" if reached else "; no utilisation breaks even"
    return text + end


def summary(asked: Asked, main: Costed) -> Fields:
    """Prices, energy, revenue: one line each."""
    found, what = main.found, asked.money
    basis = main.basis
    assert basis is not None
    rows = [("chip-hour", f"{usd(found['usd_per_chip_hour'])}; {basis.words}")]
    if asked.train:
        rows += [
            ("a day", usd(found["usd_per_day"])),
            ("a million tokens", usd(found["usd_per_mtoken"])),
        ]
        if "kwh_per_run" in found:
            kwh, co2 = found["kwh_per_run"], found["co2_kg_per_run"]
            energy = render(1000 * kwh.value, "Wh")
            rows.append(("energy", f"{energy} with server and site"))
            rows.append(("CO2", f"{significant(co2.value / 1000)} t, grid of {what.country}"))
    else:
        rows += _served(asked, main)
    if what.sell:
        rows += _earned(main)
    if what.assumed:
        rows.append(("assumed", "; ".join(what.assumed)))
    return Fields(rows=tuple(rows))


def _served(asked: Asked, main: Costed) -> list[tuple[str, str]]:
    found, x = main.found, main.figures
    load = x["utilisation"].fact
    rate = significant(x["requests_per_s"].fact.value)
    rows = [
        ("load", f"{share(Span(load.value, load.low, load.high))} of {rate} requests/s"),
        ("a day", usd(found["usd_per_day"])),
        ("input", f"{usd(found['usd_per_mtoken_input'])} per million tokens that are computed"),
        ("cached input", "no time of its own: its reading is in the output"),
        ("output", f"{usd(found['usd_per_mtoken_output'])} per million, decoding alone"),
        ("all tokens", f"{usd(found['usd_per_mtoken_all'])} per million, in, cached and out"),
    ]
    if "kwh_per_day" in found:
        watt_hours, co2 = found["wh_per_mtoken_output"], found["co2_g_per_mtoken_output"]
        rows.append(("energy", f"{render(watt_hours.value, 'Wh')} per million output tokens, "
                               "with server and site"))  # fmt: skip
        rows.append(("CO2", f"{significant(co2.value)} g per million output tokens, grid of "
                            f"{asked.money.country}"))  # fmt: skip
    return rows


def _earned(main: Costed) -> list[tuple[str, str]]:
    found = main.found
    margins = (
        f"gross {share(found['gross_margin'])}; over cost {share(found['cost_profit_margin'])}"
    )
    factor = found["break_even_price"]
    rows = [
        ("revenue", f"{usd(found['revenue_usd_per_day'])} a day"),
        ("profit", f"{usd(found['profit_usd_per_day'])} a day"),
        ("margin", margins),
        ("breaks even", f"at {share(found['break_even_utilisation'])} utilisation, "
                        f"at {share(factor)} of these token prices, or at "
                        f"{usd(found['break_even_usd_per_chip_hour'])} a chip-hour"),
    ]  # fmt: skip
    if (years := found.get("payback_years")) is not None:
        never = not math.isfinite(years.value)
        words = "never" if never else f"{_years(years)} years of running"
        rows.append(("pays back", words))
    return rows


def _years(span: Span) -> str:
    text = significant(span.value)
    if not math.isfinite(span.high):
        return f"{text} ({significant(span.low)} or more)"
    return f"{text} ({significant(span.low)}–{significant(span.high)})"


def ways(asked: Asked, main: Costed) -> tuple[Table, ...]:
    """Own, rent, or buy the tokens, where more than one has a price."""
    rows = [
        (
            {"rent": "rented", "own": "owned"}[name],
            usd(found["usd_per_chip_hour"]),
            usd(found["usd_per_day"]),
        )
        for name, found in main.ways.items()
    ]
    a_day = bought(asked, main)
    if a_day is not None:
        sold = asked.money.sell or asked.listed
        assert sold is not None
        rows.append((f"tokens bought, {sold.name}", "", usd(Span(a_day, a_day, a_day))))
    if len(rows) < 2:
        return ()
    return (Table(("own, rent or buy", "chip-hour", "a day"), tuple(rows), "lrr"),)


def hour(main: Costed) -> tuple[Bars, ...]:
    """What an hour of a chip of one's own is made of."""
    if main.basis is None or main.basis.name != "own":
        return ()
    rows = sorted(main.parts.items(), key=lambda item: -item[1].value)
    some = [(name, span.value, usd(span)) for name, span in rows if span.value > 0]
    return (Bars(rows=tuple(some), title="an hour of a chip"),)


def driven(found: Sequence[Driver], title: str) -> tuple[Bars, ...]:
    """Which figures make the range, each alone."""
    rows = tuple(
        (named(one.name), one.swing, usd(Span(one.swing, one.swing, one.swing)))
        for one in found[:MOST_DRIVERS]
    )
    return (Bars(rows=rows, title=f"{title}, P10 to P90 of each alone"),) if rows else ()


def named(name: str) -> str:
    """A figure as a bar is labelled."""
    label = NAMES.get(name.removeprefix(OLD), name).removeprefix("the ")
    return f"{label}, old chips" if name.startswith(OLD) else label


def others(asked: Asked, main: Costed, rows: Sequence[Row]) -> tuple[Table, ...]:
    """The same work on other chips."""
    if not rows:
        return ()
    unit = "usd_per_mtoken" if asked.train else "usd_per_mtoken_whole_output"
    own = Row(main.chip.id, asked.money.region, main)
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


def change(found: Switched | None) -> tuple[Fields | Bars, ...]:
    """From other chips to these."""
    if found is None:
        return ()
    days = found.found["payback_days"]
    never = not math.isfinite(days.value)
    words = "never: the new day is no cheaper" if never else f"{_years(days)} days"
    old = f"{found.before.answer['chips']:,} x {found.before.chip.name}"
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
    from parity.economics import books

    loads = [i / 20 for i in range(2, 21)]
    named = [(main.chip.id, main), *((row.chip, row.costed) for row in rows)]
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
        if fact.provenance != "user" and name not in ("busy", "idle") and name in NAMES:
            if fact.source == "the plan" or fact.source.startswith("speed of"):
                continue
            note_of = f" ({fact.note})" if fact.note else ""
            span = ranged(fact.value, fact.low, fact.high, fact.unit)
            found.append(f"{name} {span}, {fact.provenance}: {fact.source}{note_of}")
    return tuple(found)


def cost_findings(asked: Asked, main: Costed) -> tuple[Finding, ...]:
    """What of the money is weak or left out."""
    basis, found = main.basis, []
    assert basis is not None
    if basis.days_old > OLD_DAYS:
        months = round(basis.days_old / 30.4)
        message = f"The newest price of {main.chip.id} is {months} months older than the date."
        found.append(note("P401", message, "warning", "--price or --chip-price with one of today"))
    if basis.name == "own" and "staff" not in asked.money.stated:
        message = "Staff, interest and spare parts are not in the hour: nobody published them."
        found.append(note("P402", message, "note", "--staff, --interest with figures of your own"))
    if "kwh_per_day" not in main.found and "kwh_per_run" not in main.found:
        message = f"{main.chip.id} has no published power; energy and CO2 are left out."
        found.append(note("P403", message, "note", f"{main.chip.id}@physical.tdp=400W"))
    return tuple(found)
