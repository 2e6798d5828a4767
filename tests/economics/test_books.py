"""The arithmetic of costs, against published days and by what must always hold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parity.economics import books, ledger, owning, selling
from parity.record import Fact
from parity.timing.draw import Sampler

#: DeepSeek's day of 2025-02-27 to 28 [deepseek-ai/open-infra-index, day 6].
NODES, LEASE = 226.75, 2.0
DAY = selling.Tokens(input=608e9 - 342e9, cached=342e9, output=168e9)
#: Tokens per second that a node does in its own phase, as published.
PREFILL, DECODE = 73_700.0, 14_800.0


class TestTheDayOfDeepSeek:
    def test_what_it_cost(self):
        assert selling.day_usd(NODES * 8, LEASE) == 87_072

    def test_what_it_would_earn(self):
        revenue = selling.revenue_usd(DAY, 0.55, 0.14, 2.19)
        assert revenue == pytest.approx(562_100, abs=0.5)
        assert revenue == pytest.approx(562_027, rel=2e-4)  # as published, from unrounded tokens

    def test_its_margin(self):
        revenue, cost = selling.revenue_usd(DAY, 0.55, 0.14, 2.19), selling.day_usd(NODES * 8, 2.0)
        assert 100 * selling.cost_profit_margin(revenue, cost) == pytest.approx(545, abs=0.6)
        assert selling.gross_margin(revenue, cost) == pytest.approx(0.845, abs=0.001)

    def test_nodes_of_both_phases_add_up_to_all(self):
        a_node = 86_400 * NODES
        shares = 608e9 / a_node / PREFILL + 168e9 / a_node / DECODE
        assert shares == pytest.approx(1.0, abs=0.01)

    def test_the_books_say_the_same(self):
        seconds = 86_400.0
        x = {
            "rent": LEASE, "chips": NODES * 8, "utilisation": 1.0, "requests_per_s": 1 / seconds,
            "input": DAY.input, "cached": DAY.cached, "output": DAY.output,
            "prompt_share": 608e9 / seconds / NODES / PREFILL,
            "input_usd": 0.55, "cached_usd": 0.14, "output_usd": 2.19,
        }  # fmt: skip
        found = books.serving(x)
        assert found["usd_per_day"] == 87_072
        assert found["cost_profit_margin"] == pytest.approx(5.456, abs=0.005)
        assert found["break_even_price"] == pytest.approx(87_072 / 562_100, rel=1e-4)
        assert found["break_even_usd_per_chip_hour"] == pytest.approx(562_100 / NODES / 192)
        parts = (
            found["usd_per_mtoken_input"] * DAY.input + found["usd_per_mtoken_output"] * DAY.output
        )
        assert parts / 1e6 == pytest.approx(87_072)


OWNED = {
    "chip_usd": 23_238.0, "server_factor": 1.53, "facility_usd_per_w": 11.7, "tdp_w": 700.0,
    "server_power": 1.67, "network_share": 0.13, "depreciation": 5.0, "facility_years": 15.0,
    "interest": 0.0, "residual": 0.0, "staff": 0.0, "busy": 0.9, "idle": 0.3, "pue": 1.25,
    "electricity": 0.091, "utilisation": 0.8, "carbon": 369.0, "chips": 16.0,
    "requests_per_s": 6.0, "input": 600.0, "cached": 555.0, "output": 211.0, "prompt_share": 0.5,
    "input_usd": 0.5, "cached_usd": 0.1, "output_usd": 2.0,
}  # fmt: skip


def test_the_parts_of_the_published_bill_of_1024_h100():
    # 128 nodes of 310,000, 48 switches of 36,000, cables of 2.62 M, a facility of 6.4 M:
    # 49,248 a chip in all, of which switches and cables are 8.6 %.
    node, network, facility = 128 * 310e3, 48 * 36e3 + 2.62e6, 6.4e6
    whole = node + network + facility
    assert whole / 1024 == pytest.approx(49_248, rel=1e-4)
    assert owning.network_usd(node + facility, network / whole) == pytest.approx(network)


def test_an_hour_of_ones_own_by_hand():
    parts = books.owned_hour(OWNED)
    server, facility = 23_238 * 1.53, 11.7 * 700 * 1.67
    assert parts["server"] == pytest.approx(server / 5 / 8760)
    assert parts["facility"] == pytest.approx(facility / 15 / 8760)
    assert parts["network"] == pytest.approx((server + facility) * 0.13 / 0.87 / 5 / 8760)
    draw = 700 * (0.8 * 0.9 + 0.2 * 0.3)
    assert parts["electricity"] == pytest.approx(draw * 1.67 * 1.25 * 0.091 / 1000)


def test_an_annuity_pays_interest_and_principal():
    assert owning.annuity(1000, 5) == pytest.approx(200)
    assert owning.annuity(1000, 5, residual=0.25) == pytest.approx(150)
    yearly, owed = owning.annuity(1000, 5, 0.1, 0.25), 1000.0
    for _ in range(5):
        owed = owed * 1.1 - yearly
    assert owed == pytest.approx(250)


@pytest.mark.parametrize("owned", [False, True])
def test_at_break_even_nothing_is_left(owned):
    x = dict(OWNED) if owned else {**OWNED, "rent": 2.0}
    found = books.serving(x)
    at = books.serving({**x, "utilisation": found["break_even_utilisation"]})
    assert at["profit_usd_per_day"] == pytest.approx(0, abs=1e-6 * at["usd_per_day"])
    factor = found["break_even_price"]
    prices = {k: x[k] * factor for k in ("input_usd", "cached_usd", "output_usd")}
    assert books.serving({**x, **prices})["gross_margin"] == pytest.approx(0, abs=1e-9)
    rented = books.serving({**x, "rent": found["break_even_usd_per_chip_hour"]})
    assert rented["gross_margin"] == pytest.approx(0, abs=1e-9)


def test_payback_is_capital_over_what_is_left():
    found = books.serving(OWNED)
    capital = sum(books.capital(OWNED).values()) * 16
    power = books.owned_hour(OWNED)["electricity"] * 24 * 16
    left = (found["revenue_usd_per_day"] - power) * 365
    assert found["payback_years"] == pytest.approx(capital / left)


def test_what_never_pays_is_infinite_and_no_error():
    poor = books.serving({**OWNED, "input_usd": 0.0, "cached_usd": 0.0, "output_usd": 0.0})
    for name in ("payback_years", "break_even_utilisation", "break_even_price"):
        assert np.isposinf(poor[name])
    assert np.isneginf(poor["gross_margin"])


positive = st.floats(0.01, 10)


@given(factor=st.floats(1, 20), name=st.sampled_from(["electricity", "pue", "chip_usd", "staff"]))
def test_dearer_power_or_chips_never_make_tokens_cheaper(factor, name):
    x = {**OWNED, "staff": 100.0}
    dear = books.serving({**x, name: x[name] * factor})
    for result in ("usd_per_mtoken_input", "usd_per_mtoken_output", "usd_per_mtoken_all"):
        assert dear[result] >= books.serving(x)[result] * (1 - 1e-12)


@given(low=st.floats(0.02, 1), more=st.floats(0, 1))
def test_a_better_used_fleet_never_makes_tokens_dearer(low, more):
    high = low + more * (1 - low)
    one, two = (books.serving({**OWNED, "utilisation": u}) for u in (low, high))
    assert two["usd_per_mtoken_all"] <= one["usd_per_mtoken_all"] * (1 + 1e-12)


@given(price=positive, share=st.floats(0, 1))
def test_the_cost_of_tokens_adds_up_to_the_day(price, share):
    found = books.serving({**OWNED, "rent": price, "prompt_share": share})
    day = books.served(OWNED)
    parts = found["usd_per_mtoken_input"] * day.input + found["usd_per_mtoken_output"] * day.output
    assert parts / 1e6 == pytest.approx(found["usd_per_day"])


def fact(value, low, high, source="x"):
    return Fact(value, low, high, "1", "user", source)


class TestRanges:
    figures = {name: ledger.Figure(fact(v, v, v)) for name, v in OWNED.items()}  # noqa: RUF012

    def test_a_figure_without_a_range_gives_none(self):
        found = ledger.spans(self.figures, books.serving, Sampler())
        assert found["usd_per_day"].low == found["usd_per_day"].high
        assert ledger.drivers(self.figures, books.serving, Sampler(), "usd_per_day") == ()

    def test_the_widest_figure_is_named(self):
        some = {
            **self.figures,
            "chip_usd": ledger.Figure(fact(23_238, 10_000, 40_000)),
            "pue": ledger.Figure(fact(1.25, 1.2, 1.3)),
        }
        first, second = ledger.drivers(some, books.serving, Sampler(), "usd_per_day")
        assert (first.name, second.name) == ("chip_usd", "pue")
        found = ledger.spans(some, books.serving, Sampler())["usd_per_day"]
        assert found.low < found.value < found.high

    def test_deciles_come_back_as_deciles(self):
        drawn = ledger.Figure(fact(10, 5, 12), deciles=True).drawn("rate", Sampler(4096))
        assert np.quantile(drawn, [0.1, 0.5, 0.9]) == pytest.approx([5, 10, 12], rel=0.01)

    def test_two_chips_share_what_has_one_source(self):
        one, two = (
            ledger.Figure(fact(v, v / 2, v * 2, "EIA")).drawn("electricity", Sampler())
            for v in (1.0, 2.0)
        )
        assert two == pytest.approx(2 * one)


def test_switching_pays_back_what_it_cost():
    new, old = {**OWNED, "rent": 1.0}, {**OWNED, "rent": 5.0, "requests_per_s": 12.0}
    x = {**new, **{f"old.{k}": v for k, v in old.items()}, "port_loss": 0.2, "port_cost": 1e5}
    found = books.switching(x, "usd_per_mtoken_all", books.serving)
    assert found["new_usd_per_day"] == pytest.approx(16 * 24 * 1.0 / 0.8)
    assert found["old_usd_per_day"] == pytest.approx(16 * 24 * 5.0 / 2)
    assert found["payback_days"] == pytest.approx(1e5 / (960 - 480))
    worse = books.switching({**x, "port_loss": 0.7}, "usd_per_mtoken_all", books.serving)
    assert np.isposinf(worse["payback_days"])


def fleet(**kinds):
    return {f"{kind}.{name}": value for kind, own in kinds.items() for name, value in own.items()}


@given(first=st.floats(0.1, 10), second=st.floats(0.1, 10), load=st.floats(0.01, 1))
def test_the_books_of_a_fleet_are_the_sum_of_those_of_its_kinds(first, second, load):
    shared = {"utilisation": load, "input_usd": 0.5, "cached_usd": 0.1, "output_usd": 2.0}
    own = {name: value for name, value in OWNED.items() if name not in shared}
    one, two = {**own, "rent": first}, {**own, "requests_per_s": 12.0, "chip_usd": 1e4 * second}
    whole = books.serving({**shared, **fleet(a=one, b=two)})
    alone = [books.serving({**shared, **kind}) for kind in (one, two)]
    for name in ("usd_per_day", "kwh_per_day", "revenue_usd_per_day", "profit_usd_per_day"):
        assert whole[name] == pytest.approx(alone[0][name] + alone[1][name])
    low, high = sorted(kind["usd_per_mtoken_all"] for kind in alone)
    assert low * (1 - 1e-9) <= whole["usd_per_mtoken_all"] <= high * (1 + 1e-9)
    assert "payback_years" not in whole  # one of them is rented


def test_a_fleet_of_one_kind_is_that_kind():
    shared = ("utilisation", "input_usd", "cached_usd", "output_usd")
    common = {name: OWNED[name] for name in shared}
    own = {name: value for name, value in OWNED.items() if name not in shared}
    found, alone = books.serving({**common, **fleet(a=own)}), books.serving(OWNED)
    assert set(found) == set(alone)
    for name, value in alone.items():
        assert float(found[name]) == pytest.approx(float(value)), name


def test_a_site_takes_what_epoch_says_beside_energy():
    # 0.9 less 0.6 B USD a year for 1 GW of servers [Epoch AI, 2026-05].
    x = {name: value for name, value in OWNED.items() if name != "staff"}
    hour = books.owned_hour({**x, "upkeep_usd_per_w": 0.3})["staff"]
    assert hour * 8760 / (700 * 1.67) == pytest.approx((0.9e9 - 0.6e9) / 1e9)
