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
    yearly = {
        "server": owning.annuity(price["server"], years, interest, residual),
        "network": owning.annuity(price["network"], years, interest, residual),
        "facility": owning.annuity(price["facility"], x["facility_years"], interest),
        "staff": x["staff"],
    }
    power = energy_kwh_per_hour(x) * x["electricity"]
    return {**{name: usd / HOURS_A_YEAR for name, usd in yearly.items()}, "electricity": power}


def hour(x: X) -> Number:
    """A chip-hour, rented or owned. [USD]"""
    if "rent" in x:
        return x["rent"]
    return sum(owned_hour(x).values())


def energy_kwh_per_hour(x: X) -> Number:
    """Of a chip with its server and cooling. [kWh/h]"""
    draw = owning.drawn_w(x["tdp_w"], x["busy"], x["idle"], x["utilisation"])
    return owning.site_kwh_per_hour(draw, x["server_power"], x["pue"])


def served(x: X) -> Tokens:
    """Tokens of a day at the mean load."""
    requests = x["requests_per_s"] * x["utilisation"] * SECONDS_A_DAY
    return Tokens(requests * x["input"], requests * x["cached"], requests * x["output"])


def serving(x: X) -> dict[str, Number]:
    """A day of a service, and its tokens; with token prices also what it earns."""
    a_day, tokens = selling.day_usd(x["chips"], hour(x)), served(x)
    every = tokens.input + tokens.cached + tokens.output
    found = {
        "usd_per_chip_hour": hour(x),
        "usd_per_day": a_day,
        "usd_per_mtoken_input": selling.usd_per_million(a_day * x["prompt_share"], tokens.input),
        "usd_per_mtoken_output": selling.usd_per_million(
            a_day * (1.0 - x["prompt_share"]), tokens.output
        ),
        "usd_per_mtoken_all": selling.usd_per_million(a_day, every),
        "usd_per_mtoken_whole_output": selling.usd_per_million(a_day, tokens.output),
    }
    if "tdp_w" in x:
        kwh = energy_kwh_per_hour(x) * x["chips"] * 24.0
        found["kwh_per_day"] = kwh
        found["wh_per_mtoken_output"] = selling.usd_per_million(kwh * 1000.0, tokens.output)
        found["co2_g_per_mtoken_output"] = selling.usd_per_million(kwh * x["carbon"], tokens.output)
    return {**found, **(service(x) if "input_usd" in x else {})}


def earning(x: X) -> dict[str, Number]:
    """What a day of a service earns, whatever its chips cost."""
    prices = (x["input_usd"], x["cached_usd"], x["output_usd"])
    revenue = selling.revenue_usd(served(x), *prices)
    return {
        "revenue_usd_per_day": revenue,
        "break_even_usd_per_chip_hour": selling.break_even_chip_hour(revenue, x["chips"]),
    }


def service(x: X) -> dict[str, Number]:
    """What a service earns in a day, what is left of it, and where it breaks even."""
    full, earned = {**x, "utilisation": 1.0}, earning(x)
    revenue, most = earned["revenue_usd_per_day"], earning(full)["revenue_usd_per_day"]
    cost = selling.day_usd(x["chips"], hour(x))
    idle = selling.day_usd(x["chips"], hour({**x, "utilisation": 0.0}))
    per_use = selling.day_usd(x["chips"], hour(full)) - idle
    found = {
        **earned,
        "profit_usd_per_day": revenue - cost,
        "gross_margin": selling.gross_margin(revenue, cost),
        "cost_profit_margin": selling.cost_profit_margin(revenue, cost),
        "break_even_utilisation": selling.break_even_utilisation(most, idle, per_use),
        "break_even_price": selling.break_even_price(revenue, cost),
    }
    if "rent" not in x:
        paid, parts = sum(capital(x).values()) * x["chips"], owned_hour(x)
        running = selling.day_usd(x["chips"], parts["electricity"] + parts["staff"])
        found["payback_years"] = selling.payback_years(paid, revenue, running)
    return found


def training(x: X) -> dict[str, Number]:
    """A training run."""
    run = x["chips"] * x["hours"] * hour(x)
    found = {
        "usd_per_chip_hour": hour(x),
        "usd_per_day": selling.day_usd(x["chips"], hour(x)),
        "usd_per_run": run,
        "usd_per_mtoken": selling.usd_per_million(run, x["tokens"]),
    }
    if "tdp_w" in x:
        kwh = energy_kwh_per_hour(x) * x["chips"] * x["hours"]
        found["kwh_per_run"] = kwh
        found["co2_kg_per_run"] = kwh * x["carbon"] / 1000.0
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
