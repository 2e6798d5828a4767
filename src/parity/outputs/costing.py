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
    row_fields,
    swing_fields,
    switch_fields,
)
from parity.outputs.costing_tables import (
    NAMES,
    change,
    changed,
    charts,
    compact,
    driven,
    kinds,
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
    findings = (*cost_findings(asked, main), *asked.findings)
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
        *kinds(asked, main),
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
        exit_code=asked.exit_code,
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
    fleet, paid = main.chips, {"rent": "rented", "own": "owned"}
    by = " and ".join(paid[name] for name in basis.name.split(" and "))
    by += f" at {usd(found['usd_per_chip_hour'])} a chip-hour"
    widest = ""
    if main.drivers:
        figure = main.drivers[0].name.rpartition(".")[2]
        widest = NAMES.get(figure, figure)
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
            each, grams = found["wh_per_mtoken"], found["co2_g_per_mtoken"]
            rows.append(("energy", f"{energy} with server and site, "
                                   f"{render(each.value, 'Wh')} per million tokens"))  # fmt: skip
            rows.append(("CO2", f"{significant(co2.value / 1000)} t, {significant(grams.value)} g "
                                f"per million tokens, grid of {what.country}"))  # fmt: skip
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
    rates = [x[name].fact.value for name in x if name.rpartition(".")[2] == "requests_per_s"]
    rate = significant(sum(rates))
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


def ways(asked: Asked, main: Costed) -> tuple[Table | Fields, ...]:
    """Own, rent, or buy the tokens, where more than one has a price."""
    unit = "usd_per_mtoken" if asked.train else "usd_per_mtoken_whole_output"
    rows = [
        (
            {"rent": "rented", "own": "owned"}[name],
            *(_plain(way.found[result]) for result in ("usd_per_chip_hour", "usd_per_day", unit)),
            share(way.even) if way.even else "",
        )
        for name, way in main.ways.items()
    ]
    if main.bought is not None and asked.listed is not None:
        tokens = f"tokens bought, {asked.listed.name}"
        rows.append((tokens, "", _plain(main.bought), _plain(_each(main, unit)), ""))
    if len(rows) < 2:
        return ()
    each = "USD per M tokens" if asked.train else "USD per M output"
    columns = ("own, rent or buy", "USD/h", "USD a day", each, "beats buying from")
    return (compact(columns, rows, "lrrrr"), *_over_rent(main))


def _plain(span: Span) -> str:
    return usd(span).replace(" USD", "")


def _each(main: Costed, unit: str) -> Span:
    """What the tokens bought come to by the million, as the chips' own cost does."""
    assert main.bought is not None
    per = main.found[unit].value / main.found["usd_per_day"].value
    return Span(main.bought.value * per, main.bought.low * per, main.bought.high * per)


def _over_rent(main: Costed) -> tuple[Fields, ...]:
    even = main.over_rent
    if even is None:
        return ()
    words = f"from a mean load of {share(even)} on" if even.value <= 1 else "at no load"
    return (Fields(rows=(("owning beats renting by the hour", words),)),)


def hour(main: Costed) -> tuple[Bars, ...]:
    """What an hour of a chip of one's own is made of."""
    if main.basis is None or "own" not in main.basis.name:
        return ()
    rows = sorted(main.parts.items(), key=lambda item: -item[1].value)
    some = [(name, span.value, usd(span)) for name, span in rows if span.value > 0]
    title = "an hour of a chip" if len(main.kinds) == 1 else "an hour of a chip of one's own, mean"
    return (Bars(rows=tuple(some), title=title),) if some else ()


def cost_findings(asked: Asked, main: Costed) -> tuple[Finding, ...]:
    """What of the money is weak or left out."""
    basis, found = main.basis, []
    assert basis is not None
    if basis.days_old > OLD_DAYS:
        months = round(basis.days_old / 30.4)
        message = f"The newest price of {main.label} is {months} months older than the date."
        found.append(note("P401", message, "warning", "--price or --chip-price with one of today"))
    if "own" in basis.name and "interest" not in asked.money.stated:
        message = "Interest, spare parts and taxes are not in the hour: nobody published them."
        found.append(note("P402", message, "note", "--interest with a figure of your own"))
    planned, asked_for = main.answer["chips"], asked.chips
    if asked_for and planned < asked_for:
        message = (
            f"{asked_for - planned} of {asked_for} chips have no part in the plan, nor in the cost."
        )
        found.append(note("P404", message, "note", "a count that the layout divides"))
    if "kwh_per_day" not in main.found and "kwh_per_run" not in main.found:
        unrated = [kind.chip.id for kind in main.kinds if kind.chip.physical.tdp is None]
        message = f"{' and '.join(unrated)} has no published power; energy and CO2 are left out."
        found.append(note("P403", message, "note", f"{unrated[0]}@physical.tdp=400W"))
    return tuple(found)
