"""Traffic that is drawn: what it was asked to be, and the same each time."""

from __future__ import annotations

import math

import numpy as np
import pytest

from parity.errors import BadQuantity
from parity.workload.traffic import (
    Prefix,
    Traffic,
    around,
    at_once,
    at_rate,
    between,
    closed_loop,
    faster,
    first,
    fixed,
    lognormal,
    open_loop,
    with_shared_prefix,
)

RNG = 7
COUNT = 40_000


@pytest.mark.parametrize("burstiness", [0.25, 1.0, 4.0])
def test_gaps_have_the_rate_and_the_variation_that_were_asked(burstiness):
    found = open_loop(COUNT, 5.0, fixed(1), fixed(1), burstiness=burstiness, seed=RNG)
    gaps = np.diff(found.arrival_s)
    assert found.rate == pytest.approx(5.0, rel=0.03)
    assert gaps.std() / gaps.mean() == pytest.approx(1 / math.sqrt(burstiness), rel=0.03)


def test_even_gaps_and_a_ramp():
    even = open_loop(101, 10.0, fixed(1), fixed(1), burstiness=math.inf)
    assert even.arrival_s == pytest.approx(np.arange(101) / 10)
    ramp = open_loop(1001, 1.0, fixed(1), fixed(1), burstiness=math.inf, end_rate=10.0)
    gaps = np.diff(ramp.arrival_s)
    assert (gaps[0], gaps[-1]) == (pytest.approx(1.0, rel=0.02), pytest.approx(0.1, rel=0.02))
    assert (np.diff(gaps) < 0).all()


@pytest.mark.parametrize(
    ("lengths", "mean", "least", "most"),
    [
        (fixed(500), 500, 500, 500),
        (around(1000, 0.2), 1000, 800, 1200),
        (between(100, 300), 200, 100, 300),
        (lognormal(1000, 1.5), 1000, 1, math.inf),
    ],
)
def test_lengths_have_their_mean_and_bounds(lengths, mean, least, most):
    drawn = lengths.draw(COUNT, np.random.default_rng(RNG))
    assert drawn.mean() == pytest.approx(mean, rel=0.03)
    assert least <= drawn.min() <= drawn.max() <= most


def test_lognormal_lengths_have_their_variation():
    drawn = lognormal(1000, 1.5).draw(400_000, np.random.default_rng(RNG))
    assert drawn.std() / drawn.mean() == pytest.approx(1.5, rel=0.05)


def test_the_same_seed_draws_the_same_and_another_does_not():
    one, same, other = (
        open_loop(50, 5.0, lognormal(100, 1), between(1, 9), seed=seed) for seed in (1, 1, 2)
    )
    for name in ("arrival_s", "input_tokens", "output_tokens"):
        assert np.array_equal(getattr(one, name), getattr(same, name))
        assert not np.array_equal(getattr(one, name), getattr(other, name))


def test_users_think_for_the_mean_that_was_asked():
    found = closed_loop(COUNT, 10, fixed(1), fixed(1), think_s=2.0, seed=RNG)
    assert found.think_s.mean() == pytest.approx(2.0, rel=0.03)
    assert found.max_concurrency == 10
    assert closed_loop(10, 2, fixed(1), fixed(1)).think_s is None


def test_shared_beginnings_are_shared_within_a_group():
    found = with_shared_prefix(at_once(200, fixed(1000), fixed(1)), 0.5, groups=4, block_tokens=16)
    assert np.diff(found.prefix.offsets).tolist() == [31] * 200  # 500 tokens, whole blocks
    assert len(np.unique(found.prefix.ids)) == 4 * 31
    assert found.prefix.reuse == pytest.approx(1 - 4 / 200)


def test_a_beginning_keeps_what_belongs_to_it():
    found = with_shared_prefix(open_loop(100, 2.0, fixed(64), fixed(1)), 1.0, block_tokens=16)
    cut = first(found, requests=10)
    assert len(cut) == len(cut.prefix.offsets) - 1 == 10
    assert len(cut.prefix.ids) == 40
    seconds = first(found, seconds=5.0)
    assert seconds.arrival_s[-1] <= 5.0 < found.arrival_s[len(seconds)]


def test_rates_are_scaled():
    found = open_loop(100, 2.0, fixed(1), fixed(1))
    assert faster(found, 3.0).rate == pytest.approx(3 * found.rate)
    assert at_rate(found, 7.0).rate == pytest.approx(7.0)
    drawn = at_rate(at_once(COUNT, fixed(9), fixed(1)), 7.0)
    assert drawn.rate == pytest.approx(7.0, rel=0.03)
    assert drawn.input_tokens[0] == 9


def columns(**changed):
    given = {
        "arrival_s": np.array([0.0, 1.0]),
        "input_tokens": np.array([1, 2]),
        "output_tokens": np.array([1, 2]),
    }
    return given | changed


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"arrival_s": np.array([])}, "0 requests"),
        ({"arrival_s": np.array([1.0, 0.0])}, "falls"),
        ({"arrival_s": np.array([0.0, np.nan])}, "arrival_s"),
        ({"arrival_s": np.array([-1.0, 0.0])}, "arrival_s"),
        ({"input_tokens": np.array([0, 1])}, "input_tokens"),
        ({"output_tokens": np.array([1, 2**40])}, "output_tokens"),
        ({"output_tokens": np.array([1])}, "another length"),
        ({"think_s": np.array([0.0, np.inf])}, "think_s"),
        ({"max_concurrency": 0}, "max_concurrency"),
        ({"prefix": Prefix(16, np.arange(3), np.array([0, 2, 4]))}, "offsets"),
        ({"prefix": Prefix(16, np.array([1, 1]), np.array([0, 2, 2]))}, "twice"),
    ],
)
def test_columns_that_cannot_be_are_refused(changed, words):
    with pytest.raises(BadQuantity, match=words):
        Traffic(**columns(**changed))


def test_more_priorities_than_queues_are_refused():
    with pytest.raises(BadQuantity, match="priority"):
        Traffic(
            arrival_s=np.zeros(100),
            input_tokens=np.ones(100, int),
            output_tokens=np.ones(100, int),
            priority=np.arange(100),
        )


@pytest.mark.parametrize(
    "make",
    [
        lambda: open_loop(10, 0.0, fixed(1), fixed(1)),
        lambda: open_loop(10, math.nan, fixed(1), fixed(1)),
        lambda: open_loop(10, 1.0, fixed(1), fixed(1), burstiness=0.0),
        lambda: open_loop(0, 1.0, fixed(1), fixed(1)),
        lambda: closed_loop(10, 0, fixed(1), fixed(1)),
        lambda: closed_loop(10, 1, fixed(1), fixed(1), think_s=-1.0),
        lambda: fixed(0),
        lambda: around(10, 1.0),
        lambda: between(5, 4),
        lambda: lognormal(10, -1),
        lambda: with_shared_prefix(at_once(1, fixed(1), fixed(1)), 1.5),
        lambda: faster(at_once(1, fixed(1), fixed(1)), 0.0),
    ],
)
def test_figures_that_cannot_be_are_refused(make):
    with pytest.raises(BadQuantity):
        make()
