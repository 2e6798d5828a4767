"""A chip-hour of one's own, bought new or used."""

from datetime import date

import pytest

from parity.catalogue.load import chip
from parity.economics import books
from parity.economics.hourly import owned, used_server
from parity.economics.owning import HOURS_A_YEAR
from parity.economics.quotes import operation
from parity.record import Fact

NOW = date(2026, 11, 1)


def fact(value):
    return Fact(value, value, value, "USD", "user", "x")


def test_a_server_of_used_chips_costs_between_theirs_and_a_new_one():
    new = operation("server_factor")
    found = used_server(new, 300.0, fact(12_000.0))
    assert found.low == new.low
    assert found.high * 300 == pytest.approx(300 + (new.high - 1) * 12_000)
    assert found.low < found.value < found.high
    assert used_server(new, 12_000.0, fact(12_000.0)).value == pytest.approx(new.value)


def test_used_chips_are_cheaper_and_their_servers_wider():
    new, old = (owned(chip("a100"), NOW, "us", {}, used=used).figures for used in (False, True))
    assert old["chip_usd"].fact.value < new["chip_usd"].fact.value
    assert old["server_factor"].fact.high > new["server_factor"].fact.high


def test_a_figure_of_the_user_replaces_the_usual_one():
    given = {"depreciation": fact(3.0), "chip_usd": fact(9_000.0)}
    found = owned(chip("ppu"), NOW, "de", given)
    assert found.figures["depreciation"].fact.value == 3
    assert found.figures["chip_usd"].fact.value == 9_000
    assert found.words == "owned: price given"
    assert found.figures["electricity"].fact == operation("electricity", "de")


def test_a_gigawatt_of_gb200_costs_what_epoch_works_out():
    """8.5 B USD a year, of which 5 for servers and 0.6 for energy; 5 years, 14 for the building.

    [Epoch AI, AI data center cost breakdown, 2026-05.] What the site takes beside energy, and the
    building's years, were taken from there; prices of chips, servers, network, building and power
    were not.
    """
    gb200 = chip("gb200")
    x = {name: figure.fact.value for name, figure in owned(gb200, NOW, "us", {}).figures.items()}
    x |= {"tdp_w": gb200.physical.tdp.value, "busy": 1.0, "idle": 1.0, "utilisation": 1.0}
    x |= {name: operation(name).value for name in ("server_power", "pue")}
    a_year = {name: usd * HOURS_A_YEAR for name, usd in books.owned_hour(x).items()}
    of_a_gigawatt = 1e9 / (x["tdp_w"] * x["server_power"])
    billions = {name: usd * of_a_gigawatt / 1e9 for name, usd in a_year.items()}
    assert sum(billions.values()) == pytest.approx(8.5, rel=0.1)
    assert billions["server"] == pytest.approx(5.0, rel=0.15)
    assert 0.6 < billions["electricity"] < 1.1  # theirs at the load of a year, here at full load


@pytest.mark.parametrize(
    ("server_kw", "chips", "chip_w"),
    [(10.2, 8, 700), (150e3 / 1.1, 83_000, 960)],
    ids=["DGX H100", "Meta's 150 MW of GB200, at the best PUE"],
)
def test_what_servers_draw_beside_their_chips_is_within_the_range(server_kw, chips, chip_w):
    held = operation("server_power")
    assert held.low <= 1000 * server_kw / (chips * chip_w) <= held.high
