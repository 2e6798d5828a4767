"""What an hour of a chip of one's own costs: capital over years of use, electricity, staff.

    server   = chip · server factor
    facility = USD per watt · chip's rated power · server power
    upkeep   = USD per watt and year · chip's rated power · server power
    network  = s/(1 - s) · (server + facility)             s: network's share of the whole price

The share is counted as [Bernstein 2025] counts it, over all capital of an AI data centre. Capital
is charged evenly over its years; with interest, as an annuity [Brealey, Myers, Allen, Principles of
Corporate Finance, equivalent annual cost].
"""

from __future__ import annotations

import numpy as np

from parity.catalogue.machine import Number

HOURS_A_YEAR = 8760.0


def annuity(
    price_usd: Number, years: Number, interest: Number = 0.0, residual: Number = 0.0
) -> Number:
    """What a price comes to each year. [USD/year]

    interest: a year [1]. residual: share of the price that the thing sells for after `years` [1].
    Without interest this is straight-line depreciation.
    """
    rate = np.maximum(interest, 1e-12)
    growth = np.expm1(years * np.log1p(rate))  # (1 + r)^n - 1
    return price_usd * rate * (1.0 + (1.0 - residual) / growth)


def server_usd(chip_usd: Number, server_factor: Number) -> Number:
    """A chip with its share of the server. [USD]"""
    return chip_usd * server_factor


def facility_usd(usd_per_w: Number, tdp_w: Number, server_power: Number) -> Number:
    """Building, power and cooling for one chip. [USD]

    usd_per_w: for a watt of servers. server_power: draw of a server over that of its chips [1].
    """
    return usd_per_w * tdp_w * server_power


def upkeep_usd(usd_per_w: Number, tdp_w: Number, server_power: Number) -> Number:
    """Staff, guards and maintenance of the site for one chip. [USD/year]

    usd_per_w: a year, for a watt of servers. server_power: as above [1].
    """
    return usd_per_w * tdp_w * server_power


def network_usd(before_usd: Number, share: Number) -> Number:
    """Switches and cables of a chip: `share` of the whole price, `before_usd` the rest. [USD]"""
    return before_usd * share / (1.0 - share)


def drawn_w(tdp_w: Number, busy: Number, idle: Number, utilisation: Number) -> Number:
    """Mean draw of a chip over a day; busy, idle: of its rating, at work and not. [W]"""
    return tdp_w * (idle + utilisation * (busy - idle))


def site_kwh_per_hour(chip_w: Number, server_power: Number, pue: Number) -> Number:
    """Energy of a chip with its server and cooling. [kWh/h]

    server_power: draw of a server over that of its chips [1]. pue: of the site [1].
    """
    return chip_w * server_power * pue / 1000.0
