"""What tokens cost and earn.

The cost of a day is chips · 24 h · price of a chip-hour; tokens are those of a day at a mean load.
Time of the chips goes to prompts or to decoding, and so does the cost: the first over the input
tokens that are computed, the second over the output tokens. The arithmetic of a day, of margins and
of revenue by price list is that of [DeepSeek 2025, open-infra-index, day 6].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from parity.catalogue.machine import Number

SECONDS_A_DAY, MILLION = 86_400.0, 1e6


@dataclass(frozen=True)
class Tokens:
    """Tokens of a request or a day, by how they are sold."""

    input: Number  # computed, not found in the cache
    cached: Number
    output: Number


def day_usd(chips: Number, usd_per_chip_hour: Number) -> Number:
    """Cost of a day. [USD]"""
    return chips * 24.0 * usd_per_chip_hour


def revenue_usd(
    tokens: Tokens, input_usd: Number, cached_usd: Number, output_usd: Number
) -> Number:
    """What tokens sell for, at prices per million. [USD]"""
    sold = tokens.input * input_usd + tokens.cached * cached_usd + tokens.output * output_usd
    return sold / MILLION


def usd_per_million(cost_usd: Number, tokens: Number) -> Number:
    """Cost of a million tokens; infinite where there are none. [USD]"""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(np.asarray(tokens) > 0, cost_usd * MILLION / tokens, np.inf)


def gross_margin(revenue: Number, cost: Number) -> Number:
    """What is left of revenue, as a share of it. [1]"""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(np.asarray(revenue) > 0, (revenue - cost) / revenue, -np.inf)


def cost_profit_margin(revenue: Number, cost: Number) -> Number:
    """What is left of revenue over the cost. [1]"""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(np.asarray(cost) > 0, (revenue - cost) / cost, np.inf)


def break_even_utilisation(revenue_full: Number, fixed: Number, per_use: Number) -> Number:
    """Mean load at which revenue meets cost; above 1, or infinite, where no load does. [1]

    revenue_full: of a day at full load. fixed: cost of a day without load. per_use: what full load
    adds to it. [USD]
    """
    gain = np.asarray(revenue_full - per_use)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(gain > 0, fixed / gain, np.inf)


def break_even_price(revenue: Number, cost: Number) -> Number:
    """Factor on all token prices at which revenue meets cost. [1]"""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(np.asarray(revenue) > 0, cost / revenue, np.inf)


def break_even_chip_hour(revenue: Number, chips: Number) -> Number:
    """What a chip-hour may cost at most: a day's revenue over its chip-hours. [USD]"""
    return revenue / (chips * 24.0)


def payback_years(capital: Number, revenue_a_day: Number, running_a_day: Number) -> Number:
    """Years until what is left of revenue after running cost has paid the capital; infinite where
    nothing is left.
    """
    left = np.asarray(revenue_a_day - running_a_day) * 365.0
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(left > 0, capital / left, np.inf)


def switching_payback_days(one_off: Number, old_a_day: Number, new_a_day: Number) -> Number:
    """Days until a cheaper day has paid for the change; infinite where the new day is no cheaper.

    one_off: porting, revalidation. [USD]
    """
    saved = np.asarray(old_a_day - new_a_day)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(saved > 0, one_off / saved, np.inf)
