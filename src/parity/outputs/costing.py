"""What work costs and earns, as an answer."""

from __future__ import annotations

import math
from collections.abc import Sequence

from parity.economics.ledger import Span
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
from parity.outputs.costing_tables import (
    NAMES,
    change,
    changed,
    charts,
    driven,
    others,
    share,
    sources,
    usd,
    years,
)
from parity.outputs.document import Bars, Document, Fields, Table
from parity.outputs.envelope import Answer
from parity.record import Finding
from parity.search.findings import note
from parity.units import render, significant

#: Quotes older than this are remarked on. [day]
OLD_DAYS = 365


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
    )


def ranged_result(asked: Asked) -> str:
    """Which result the drivers are of."""
    if asked.money.sell:
        return "a day's profit"
    return "a million tokens" if asked.train else "a million output tokens"


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
        reached = f"breaking even at {share(load)} utilisation"
        text += f", {reached}" if load.value <= 1 else ", breaking even at no utilisation"
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
    if (pays := found.get("payback_years")) is not None:
        never = not math.isfinite(pays.value)
        words = "never" if never else f"{years(pays)} years of running"
        rows.append(("pays back", words))
    return rows


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
    planned, asked_for = main.answer["chips"], asked.chips
    if asked_for and planned < asked_for:
        message = (
            f"{asked_for - planned} of {asked_for} chips have no part in the plan, nor in the cost."
        )
        found.append(note("P404", message, "note", "a count that the layout divides"))
    if "kwh_per_day" not in main.found and "kwh_per_run" not in main.found:
        message = f"{main.chip.id} has no published power; energy and CO2 are left out."
        found.append(note("P403", message, "note", f"{main.chip.id}@physical.tdp=400W"))
    return tuple(found)
