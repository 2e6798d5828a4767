"""The books of a piece of work: named figures in, what an hour, a day, a token or a run comes to.

Every function takes a mapping of numbers or columns of samples and gives another, so that
`ledger.spans` runs the stated figures and all samples of them through the same lines. A figure of
the mapping is called as `operation.csv` calls it, or:

    rent                    of a chip-hour [USD]
    chip_usd, server_usd    price of a chip, or of a chip with its share of the server [USD]
    chips, hours            how many; of a training run
    requests_per_s          of the load planned; `utilisation` is the mean load over it
    tdp_w, busy, idle       rated power of a chip, and its draw over that, at work or not
    input, cached, output   tokens of a request that are computed, found in the cache, written
    prompt_share            of the chips' time that goes to prompts
    input_usd, ...          what a million tokens of each kind sell for

Of a fleet, `kind.figure` is of one kind of chip and `figure` of all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from parity.catalogue.machine import Number
from parity.economics import owning, selling
from parity.economics.ledger import OLD
from parity.economics.owning import HOURS_A_YEAR
from parity.economics.selling import SECONDS_A_DAY, Tokens

X = Mapping[str, Number]
Books = Callable[[X], dict[str, Number]]


def kinds_of(x: X) -> tuple[X, ...]:
    """The figures of each kind of chip in a fleet; of one kind, all there are."""
    kinds = dict.fromkeys(name.rpartition(".")[0] for name in x if "." in name)
    common = {name: value for name, value in x.items() if "." not in name}
    fleet = [
        {name.rpartition(".")[2]: x[name] for name in x if name.rpartition(".")[0] == kind}
        for kind in kinds
    ]
    return tuple({**common, **own} for own in fleet) or (common,)


def capital(x: X) -> dict[str, Number]:
    """What one chip of one's own takes to begin with. [USD]"""
    if "server_usd" in x:
        server = x["server_usd"]
    else:
        server = owning.server_usd(x["chip_usd"], x["server_factor"])
    facility = owning.facility_usd(x["facility_usd_per_w"], x["tdp_w"], x["server_power"])
    network = owning.network_usd(server + facility, x["network_share"])
    return {"server": server, "network": network, "facility": facility}


def owned_hour(x: X) -> dict[str, Number]:
    """An hour of a chip of one's own, part by part. [USD/h]"""
    price, interest = capital(x), x["interest"]
    years, residual = x["depreciation"], x["residual"]
    usual = "staff" not in x
    yearly = {
        "server": owning.annuity(price["server"], years, interest, residual),
        "network": owning.annuity(price["network"], years, interest, residual),
        "facility": owning.annuity(price["facility"], x["facility_years"], interest),
        "staff": owning.upkeep_usd(x["upkeep_usd_per_w"], x["tdp_w"], x["server_power"])
        if usual
        else x["staff"],
    }
    power = energy_kwh_per_hour(x) * x["electricity"]
    return {**{name: usd / HOURS_A_YEAR for name, usd in yearly.items()}, "electricity": power}


def owned_parts(x: X) -> dict[str, Number]:
    """An hour of a chip of one's own, part by part, the mean over all chips. [USD/h]"""
    kinds = [(one["chips"], owned_hour(one)) for one in kinds_of(x)]
    whole = sum(count for count, _ in kinds)
    return {
        name: sum(count * parts[name] for count, parts in kinds) / whole for name in kinds[0][1]
    }


def hour(x: X) -> Number:
    """A chip-hour of one kind of chip, rented or owned. [USD]"""
    if "rent" in x:
        return x["rent"]
    return sum(owned_hour(x).values())


def day(x: X) -> Number:
    """A day of all chips. [USD]"""
    return sum(selling.day_usd(one["chips"], hour(one)) for one in kinds_of(x))


def chips(x: X) -> Number:
    """All chips. [1]"""
    return sum(one["chips"] for one in kinds_of(x))


def energy_kwh_per_hour(x: X) -> Number:
    """Of a chip with its server and cooling. [kWh/h]"""
    draw = owning.drawn_w(x["tdp_w"], x["busy"], x["idle"], x["utilisation"])
    return owning.site_kwh_per_hour(draw, x["server_power"], x["pue"])


def energy(x: X) -> tuple[Number, Number] | None:
    """Energy and CO2 of an hour of all chips; None where a rated power is missing. [kWh/h, g/h]"""
    kinds = kinds_of(x)
    if not all("tdp_w" in one for one in kinds):
        return None
    drawn = [energy_kwh_per_hour(one) * one["chips"] for one in kinds]
    emitted = sum(kwh * one["carbon"] for kwh, one in zip(drawn, kinds, strict=True))
    return sum(drawn), emitted


def served(x: X) -> Tokens:
    """Tokens of a day at the mean load, of all chips."""
    input_, cached, output = 0.0, 0.0, 0.0  # type: Number, Number, Number
    for one in kinds_of(x):
        requests = one["requests_per_s"] * one["utilisation"] * SECONDS_A_DAY
        input_ = input_ + requests * one["input"]
        cached = cached + requests * one["cached"]
        output = output + requests * one["output"]
    return Tokens(input_, cached, output)


def serving(x: X) -> dict[str, Number]:
    """A day of a service, and its tokens; with token prices also what it earns."""
    a_day, tokens = day(x), served(x)
    every = tokens.input + tokens.cached + tokens.output
    prompts = sum(
        selling.day_usd(one["chips"], hour(one)) * one["prompt_share"] for one in kinds_of(x)
    )
    found = {
        "usd_per_chip_hour": a_day / (24.0 * chips(x)),
        "usd_per_day": a_day,
        "usd_per_mtoken_input": selling.usd_per_million(prompts, tokens.input),
        "usd_per_mtoken_output": selling.usd_per_million(a_day - prompts, tokens.output),
        "usd_per_mtoken_all": selling.usd_per_million(a_day, every),
        "usd_per_mtoken_whole_output": selling.usd_per_million(a_day, tokens.output),
    }
    if (used := energy(x)) is not None:
        kwh, grams = (24.0 * one for one in used)
        found["kwh_per_day"] = kwh
        found["wh_per_mtoken_output"] = selling.usd_per_million(kwh * 1000.0, tokens.output)
        found["co2_g_per_mtoken_output"] = selling.usd_per_million(grams, tokens.output)
    return {**found, **(service(x) if "input_usd" in x else {})}


def earning(x: X) -> dict[str, Number]:
    """What a day of a service earns, whatever its chips cost."""
    prices = (x["input_usd"], x["cached_usd"], x["output_usd"])
    revenue = selling.revenue_usd(served(x), *prices)
    return {
        "revenue_usd_per_day": revenue,
        "break_even_usd_per_chip_hour": selling.break_even_chip_hour(revenue, chips(x)),
    }


def service(x: X) -> dict[str, Number]:
    """What a service earns in a day, what is left of it, and where it breaks even."""
    earned, cost = earning(x), day(x)
    revenue = earned["revenue_usd_per_day"]
    found = {
        **earned,
        "profit_usd_per_day": revenue - cost,
        "gross_margin": selling.gross_margin(revenue, cost),
        "cost_profit_margin": selling.cost_profit_margin(revenue, cost),
        "break_even_utilisation": bought(x)["break_even_utilisation"],
        "break_even_price": selling.break_even_price(revenue, cost),
    }
    kinds = kinds_of(x)
    if not any("rent" in one for one in kinds):
        paid = sum(sum(capital(one).values()) * one["chips"] for one in kinds)
        running = sum(selling.day_usd(one["chips"], _running(one)) for one in kinds)
        found["payback_years"] = selling.payback_years(paid, revenue, running)
    return found


def _running(x: X) -> Number:
    parts = owned_hour(x)
    return parts["electricity"] + parts["staff"]


def _fixed_and_used(x: X) -> tuple[Number, Number]:
    """A day without load, and what full load adds to it. [USD]"""
    fixed = day({**x, "utilisation": 0.0})
    return fixed, day({**x, "utilisation": 1.0}) - fixed


def bought(x: X) -> dict[str, Number]:
    """The tokens of a day at the prices of others, and the load from which chips are cheaper."""
    full = earning({**x, "utilisation": 1.0})["revenue_usd_per_day"]
    fixed, per_use = _fixed_and_used(x)
    return {
        "bought_usd_per_day": earning(x)["revenue_usd_per_day"],
        "break_even_utilisation": selling.break_even_utilisation(full, fixed, per_use),
    }


def instead_of_rent(x: X) -> dict[str, Number]:
    """The mean load from which chips of one's own are cheaper than the same ones rented by the
    hour, as many as each hour needs. `hourly_rent` is what those cost. [1]
    """
    fixed, per_use = _fixed_and_used(x)
    full = sum(selling.day_usd(one["chips"], one["hourly_rent"]) for one in kinds_of(x))
    return {"break_even_utilisation": selling.break_even_utilisation(full, fixed, per_use)}


def training(x: X) -> dict[str, Number]:
    """A training run."""
    a_day = day(x)
    run = a_day / 24.0 * x["hours"]
    found = {
        "usd_per_chip_hour": a_day / (24.0 * chips(x)),
        "usd_per_day": a_day,
        "usd_per_run": run,
        "usd_per_mtoken": selling.usd_per_million(run, x["tokens"]),
    }
    if (used := energy(x)) is not None:
        kwh, grams = used
        found["kwh_per_run"] = kwh * x["hours"]
        found["co2_kg_per_run"] = grams * x["hours"] / 1000.0
        found["wh_per_mtoken"] = selling.usd_per_million(kwh * x["hours"] * 1000.0, x["tokens"])
        found["co2_g_per_mtoken"] = selling.usd_per_million(grams * x["hours"], x["tokens"])
    return found


def switching(x: X, unit: str, equation: Books) -> dict[str, Number]:
    """From old chips to new ones at the same work, that of the new ones. [USD, day]

    x: figures of the new, those of the old with `old.` before their names, `port_cost` [USD] and
    `port_loss`, the part of the new chips' speed that software not yet tuned leaves behind [1].
    unit: the result of `equation` that a unit of work costs.
    """
    new = equation({name: value for name, value in x.items() if not name.startswith(OLD)})
    old = equation({n.removeprefix(OLD): v for n, v in x.items() if n.startswith(OLD)})
    a_day = new["usd_per_day"] / (1.0 - x["port_loss"])
    before = new["usd_per_day"] * old[unit] / new[unit]
    return {
        "old_usd_per_day": before,
        "new_usd_per_day": a_day,
        "saved_usd_per_day": before - a_day,
        "payback_days": selling.switching_payback_days(x["port_cost"], before, a_day),
    }
