"""What chips cost, beside plans and matches."""

import pytest

from parity.catalogue.load import chip
from parity.catalogue.spec import parse_fleet
from parity.economics.hourly import per_chip_hour
from parity.outputs import prices
from parity.record import Fact
from parity.timing.draw import Sampler


def test_a_chip_hour_is_owned_where_a_chip_has_a_price_else_rented():
    for name, basis in (("h100", "own"), ("h20", "own"), ("tpu-v5e", "rent")):
        found = per_chip_hour(chip(name), Sampler())
        assert found is not None
        assert found[0] == basis
        assert 0 < found[1].low < found[1].value < found[1].high


def test_without_a_price_nothing_is_said():
    assert per_chip_hour(chip("ppu"), Sampler()) is None
    assert prices.price_words(chip("ppu"), 8) == ""
    assert prices.price_fields(chip("ppu")) == {"chip_hour_basis": None, "usd_per_chip_hour": None}
    count = Fact(8, 8, 8, "1", "derived", "x")
    assert prices.usd_per_mtoken(prices.hours_of(chip("ppu")), count, 1e3) == {}


def test_a_chip_that_draws_more_costs_more():
    usual, hot = (parse_fleet(f"h100{more}")[0].chip for more in ("", "@physical.tdp=1400W"))
    one, two = (per_chip_hour(each, Sampler()) for each in (usual, hot))
    assert one is not None
    assert two is not None
    assert two[1].value > one[1].value


def test_tokens_cost_chips_times_hours_over_their_rate():
    found = per_chip_hour(chip("h100"), Sampler())
    count = Fact(64, 56, 80, "1", "derived", "the match")
    costs = prices.usd_per_mtoken(prices.hours_of(chip("h100")), count, 1e6)
    assert found is not None
    assert list(costs) == ["own", "rent"]
    assert costs["own"].value == pytest.approx(64 * found[1].value / 3600)
    assert costs["rent"].value > costs["own"].value
    for cost in costs.values():
        assert cost.low < cost.value < cost.high


def test_matches_and_plans_show_it(run):
    words = ("llama-3.2-1b", "--have", "8xh100", "--want", "h20,ppu,tpu-v5e")
    rows = {row["chip"]: row for row in run("match", *words, "--json").json["answer"]["rows"]}
    assert rows["h20-96"]["chip_hour_basis"] == "own"
    assert rows["h20-96"]["usd_per_mtoken"]["value"] > 0
    assert rows["h20-96"]["usd_per_mtoken"] == rows["h20-96"]["usd_per_mtoken_owned"]
    assert rows["h20-96"]["usd_per_mtoken_rented"] is None
    assert rows["tpu-v5e"]["usd_per_mtoken_owned"] is None
    assert rows["tpu-v5e"]["usd_per_mtoken_rented"]["value"] > 0
    for name in ("usd_per_mtoken", "usd_per_mtoken_owned", "usd_per_mtoken_rented"):
        assert rows["ppu-96"][name] is None
    shown = run("match", *words, "-q").out
    assert "own USD/M  rent USD/M" in shown
    for kind in ("train", "serve"):
        done = run("plan", kind, "llama-3.2-1b", "--on", "8xh100", "-q")
        assert "a chip-hour owned" in " ".join(done.out.split())
