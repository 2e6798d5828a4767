"""A design on a portfolio: speed, what scarce things give, and the search for a better one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parity.catalogue.load import chip
from parity.catalogue.machine import central
from parity.catalogue.shelf import LARGEST_FILE
from parity.errors import BadFile, BadQuantity, UnknownName
from parity.search.design import (
    Speed,
    features,
    judged,
    lifetime_usd,
    price,
    score,
    speed,
    speeds,
    toll,
)
from parity.search.design_space import (
    GENERATION,
    LEAST,
    MOST,
    at,
    best,
    explore,
    front,
    general,
    regrets,
    task,
)
from parity.search.portfolio import Portfolio, Work, names, portfolio
from parity.supply.custom import from_chip
from parity.supply.custom_change import closed, with_memory
from parity.supply.custom_limits import feasible

DENSE = portfolio("transformer-dense-only")
SMALL = Portfolio(
    "small",
    "small",
    (Work("chat", "serve", "llama-3.2-1b", 1.0, input_tokens=512, output_tokens=128),),
)
LARGER = Portfolio(
    "larger",
    "larger",
    (Work("chat", "serve", "llama-3.1-8b", 1.0, input_tokens=4096, output_tokens=256),),
)


@pytest.mark.parametrize("name", ["h100", "h20", "910b"])
def test_a_design_that_is_a_known_chip_is_as_fast_as_it(name):
    own = judged(replace(from_chip(chip(name)), name="own")).chip
    theirs = speeds(chip(name), DENSE)
    for ours, other in zip(speeds(own, DENSE), theirs, strict=True):
        assert ours.tokens_per_s == pytest.approx(other.tokens_per_s)
        assert ours.chips == other.chips
    assert score(speeds(own, DENSE), theirs) == pytest.approx(1)


def test_what_cannot_be_done_has_a_reason():
    found = speed(chip("t4"), Work("train", "train", "llama-3.1-405b", 1.0, 8192, 4_194_304, 8))
    assert found.tokens_per_s == 0
    assert "does not fit" in found.reason


@pytest.mark.parametrize(
    ("model", "known"),
    [
        ("llama-3.1-70b", ()),
        ("qwen3-235b-a22b", ("experts",)),
        ("deepseek-v3", ("experts", "latent attention")),
        ("deepseek-v3.2", ("experts", "latent attention", "sparse attention")),
        ("nemotron-h-56b", ("recurrence",)),
    ],
)
def test_what_of_a_model_is_more_than_dense(model, known):
    assert features(model) == known


def rates(*values):
    return tuple(
        Speed(Work(str(i), "serve", "m", share), value) for i, (share, value) in enumerate(values)
    )


def test_a_score_is_the_time_a_reference_fleet_takes():
    reference = rates((0.5, 100.0), (0.5, 10.0))
    own = rates((0.5, 200.0), (0.5, 5.0))
    assert score(own, reference) == pytest.approx(1 / (0.5 / 2 + 0.5 * 2))
    assert score(rates((0.5, 200.0), (0.5, 0.0)), reference) == 0
    # What the reference cannot do is left out.
    assert score(own, rates((0.5, 100.0), (0.5, 0.0))) == pytest.approx(2)


@given(st.lists(st.floats(1, 1e4), min_size=2, max_size=5), st.floats(0.1, 10))
def test_a_chip_so_many_times_as_fast_is_worth_so_many(values, factor):
    share = 1 / len(values)
    theirs = rates(*((share, value) for value in values))
    own = rates(*((share, factor * value) for value in values))
    assert score(own, theirs) == pytest.approx(factor)


def test_what_a_design_cannot_do_is_done_by_the_other_at_its_price():
    base = judged(from_chip(chip("h100")))
    reference = rates((0.5, 100.0), (0.5, 10.0))
    half = rates((0.5, 200.0), (0.5, 0.0))
    assert toll(base, half, base, reference, "tokens/s/$") == pytest.approx(1 / (0.25 + 0.5))
    assert toll(base, reference, base, reference, "tokens/s/W") == pytest.approx(1)


def test_what_is_scarce():
    base = judged(from_chip(chip("h100")))
    assert price(base, "tokens/s/W") == pytest.approx(700 * 1.4)
    assert price(base, "tokens/s/wafer") == pytest.approx(1 / float(base.per_wafer))
    energy = lifetime_usd(base.design, base.figures, central)
    assert energy == pytest.approx(0.7 * 8760 * 5 * 1.4 * 0.091)  # kW, hours, years, PUE, USD/kWh
    assert price(base, "tokens/s/$") == pytest.approx(float(base.cost.total_usd) + energy)


def test_more_memory_bandwidth_is_never_slower():
    base = from_chip(chip("h100"))
    more = closed(with_memory(base, base.memory.hbm, 6))
    for was, now in zip(
        speeds(judged(base).chip, DENSE), speeds(judged(more).chip, DENSE), strict=True
    ):
        assert now.tokens_per_s >= was.tokens_per_s * (1 - 1e-9)


@settings(max_examples=20, deadline=None)
@given(st.tuples(*(st.floats(low, high) for low, high in zip(LEAST, MOST, strict=True))))
def test_every_point_of_the_space_is_a_design_whose_dies_fit_the_reticle(x):
    found = at(from_chip(chip("h100")), np.array(x))
    assert found.die_mm2 <= 858 * (1 + 1e-6)
    assert found.memory.count >= 1
    assert judged(found).figures.plan.areas["rest"] > 0


@pytest.fixture(scope="module")
def found():
    start = from_chip(chip("h100"))
    asked = task(start, "tokens/s/$", (SMALL, LARGER), start, seed=3, tries=32)
    return explore(asked)


def test_a_search_starts_where_it_is_asked_to_and_only_finds_better(found):
    assert found[0].merits == pytest.approx((1, 1))
    assert 2 * GENERATION < len(found) <= 2 * 2 * GENERATION + 1
    for index in (0, 1):
        top = best(found, index)
        assert top.merits[index] >= 1
        assert regrets(top, found)[index] == 0
        assert feasible(top.one.design, top.one.figures)


def test_regret_is_a_share_and_least_where_it_is_said_to_be(found):
    worst = [max(regrets(one, found)) for one in found]
    assert all(0 <= one <= 1 for one in worst)
    assert max(regrets(general(found), found)) == min(worst)


def test_nothing_beats_the_front(found):
    axes = (lambda one: one.merits[0], lambda one: one.merits[1])
    kept = front(found, axes)
    assert best(found, 0).merits[0] == max(one.merits[0] for one in kept)
    for one in kept:
        assert not any(
            other.merits[0] > one.merits[0] and other.merits[1] > one.merits[1] for other in found
        )


def test_the_same_seed_finds_the_same(found):
    start = from_chip(chip("h100"))
    again = explore(task(start, "tokens/s/$", (SMALL, LARGER), start, seed=3, tries=32))
    assert [one.merits for one in again] == [one.merits for one in found]


def test_portfolios_that_are_shipped():
    assert names() == ("next-year", "today", "transformer-dense-only")
    for name in names():
        shipped = portfolio(name)
        assert sum(one.share for one in shipped.works) == pytest.approx(1)
        assert all(one.tokens_per_s > 0 for one in speeds(chip("h100"), shipped))


WORK = """
[[work]]
name = "chat"
kind = "serve"
model = "llama-3.1-8b"
isl = "1k"
osl = 128
share = 1
"""


def test_a_portfolio_of_ones_own(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text(WORK)
    (work,) = portfolio(str(path)).works
    assert (work.input_tokens, work.output_tokens, work.kind) == (1024, 128, "serve")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "tables `\\[\\[work\\]\\]` were expected"),
        ("work = 3", "tables `\\[\\[work\\]\\]`"),
        ("[[work]]\nname = 'x'", "`kind` is missing"),
        (WORK.replace("share = 1", "share = 0.5"), "shares come to 0.5"),
        (WORK.replace("share = 1", "share = -1"), "part above 0"),
        (WORK.replace("share = 1", "share = nan"), "finite"),
        (WORK.replace('"serve"', '"dream"'), "`train` or `serve`"),
        (WORK.replace("osl = 128", "osl = true"), "a number was expected"),
        (WORK.replace("osl = 128", "osl = 1e30"), "whole number"),
        (WORK + WORK, "two pieces of work have one name"),
        (WORK + "watts = 3", "watts"),
        ("x = [" * 5000, "not valid TOML"),
        (WORK.replace("llama-3.1-8b", "llama-9"), "No model"),
    ],
)
def test_hostile_portfolios(tmp_path, text, message):
    path = tmp_path / "own.toml"
    path.write_text(text)
    with pytest.raises((BadFile, BadQuantity, UnknownName), match=message):
        portfolio(str(path))


def test_a_portfolio_that_is_none(tmp_path):
    with pytest.raises(UnknownName, match="today"):
        portfolio("tody")
    with pytest.raises(BadFile, match="no file"):
        portfolio(str(tmp_path / "none.toml"))
    large = tmp_path / "large.toml"
    large.write_text("#" * (LARGEST_FILE + 1))
    with pytest.raises(BadFile, match="larger"):
        portfolio(str(large))
