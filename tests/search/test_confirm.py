"""Plans under simulated traffic: the steady state and the simulation are one model."""

from dataclasses import replace

import numpy as np
import pytest

from parity.catalogue.load import chip
from parity.catalogue.machine import machine
from parity.evaluate.step import step
from parity.layout.step import Load
from parity.search import confirm as confirming
from parity.search.confirm import confirm, fewest_that_hold
from parity.search.pools import Pool, best_pools
from parity.search.precision import choose_precision
from parity.search.replay import pools_of, step_table
from parity.search.replica import ServingJob
from parity.search.serve import Need, ServingPlan, best_plans
from parity.simulate.run import simulate
from parity.timing.engine import engine
from parity.workload.find import model
from parity.workload.request import Request
from parity.workload.traffic import around, closed_loop, fixed, open_loop

NAME, CHIP = "llama-3.1-8b", "h100"


@pytest.fixture(autouse=True)
def _few_requests(monkeypatch):
    """Enough to tell, few enough for an interpreter without Numba."""
    monkeypatch.setattr(confirming, "REQUESTS", 300)
    monkeypatch.setattr(confirming, "HALVINGS", 3)


def job(isl: float = 1000, osl: float = 100, **limits: float) -> ServingJob:
    precision, _ = choose_precision(model(NAME), chip(CHIP))
    return ServingJob(Request(input_tokens=isl, output_tokens=osl), precision, **limits)


def planned(need: Need, chips: int | None = None, own: ServingJob | None = None) -> ServingPlan:
    made = own or job()
    return best_plans(model(NAME), made, machine(chip(CHIP)), engine(), need, chips)[0]


@pytest.mark.parametrize("users", [4, 32, 96])
def test_a_closed_loop_runs_as_its_steady_state_says(users) -> None:
    """Within 5 %: throughput and time per token of so many users who wait for their answers.

    Lengths vary: where all are equal, answers end together and their successors' prompts share
    steps, which no steady state of single arrivals knows.
    """
    found = planned(Need(users=float(users)), 1)
    count = max(300, 16 * users)
    pools = pools_of(found, 1700.0, prefix_cache=False)
    ran = simulate(closed_loop(count, users, around(1000, 0.5), around(100, 0.5)), pools.pool)
    begin, end = np.quantile(ran.finish_s, [0.25, 0.75])  # neither the first wave nor the last
    made = np.count_nonzero((ran.finish_s > begin) & (ran.finish_s <= end)) / (end - begin)
    steady = found.decode.steady
    assert made == pytest.approx(float(steady.requests_per_s[0]), rel=0.05)
    assert np.mean(ran.tpot_s) == pytest.approx(float(steady.tpot_s[0]), rel=0.05)


def test_an_open_loop_waits_about_as_long_as_its_steady_state_says() -> None:
    found = planned(Need(requests_per_s=6.0), 1)
    pools = pools_of(found, 1100.0, prefix_cache=False)
    ran = simulate(open_loop(600, 6.0, fixed(1000), fixed(100)), pools.pool).summary()
    steady = found.decode.steady
    assert ran.ttft_s.mean == pytest.approx(float(steady.ttft_s[0]), rel=0.25)
    assert ran.tpot_s.mean == pytest.approx(float(steady.tpot_s[0]), rel=0.10)


def test_the_table_gives_back_the_steps_it_was_made_of() -> None:
    found = planned(Need(users=32.0), 1)
    row = found.decode
    table = step_table(row.model, row.layout, row.request, 64.0, 2048.0, 4000.0)
    n, p = 5, 6
    load = Load(
        np.array([table.decoding[n]]), row.request.mean_context,
        np.array([table.prompt[p]]), row.request.input_tokens,
    )  # fmt: skip
    whole = step(row.model, row.layout, load)
    apart = whole.decode_attention.total_s + whole.prompt_attention.total_s
    expected = float(np.ravel(whole.total_s - apart)[0])
    assert table.base_s[n, p] == pytest.approx(expected, rel=1e-6)
    at = np.interp(row.request.mean_context, table.context, table.decode_attention_s[n])
    exact = float(np.ravel(whole.decode_attention.total_s)[0])
    assert at == pytest.approx(exact, rel=0.03)


def test_the_percentile_asks_for_more_than_the_mean() -> None:
    limits = job(ttft_s=0.12, tpot_s=0.02)
    plan = planned(Need(requests_per_s=60.0), own=limits)
    found = fewest_that_hold(plan, 99)
    assert found.plan.decode_replicas > plan.decode_replicas
    assert found.share < 1
    assert found.summary.ttft_s.p99 > found.summary.ttft_s.mean
    relaxed = fewest_that_hold(plan, 50)
    assert plan.decode_replicas <= relaxed.plan.decode_replicas <= found.plan.decode_replicas


def test_nothing_is_sought_where_nothing_is_asked() -> None:
    found = confirm(planned(Need(requests_per_s=5.0)), 99)
    assert found.share == 1.0
    assert found.holds
    assert found.summary.finished == found.summary.requests


def test_traffic_of_ones_own_is_replayed() -> None:
    own = open_loop(50, 3.0, fixed(2000), fixed(20))
    found = confirm(planned(Need(requests_per_s=5.0)), 90, traffic=own)
    assert found.summary.requests == 50
    assert found.summary.input_tokens_per_s == pytest.approx(2000 * found.summary.requests_per_s)


def test_two_pools_hand_over() -> None:
    target, own = machine(chip(CHIP)), job(ttft_s=1.0, tpot_s=0.02)
    pool = Pool(target, own)
    plan = best_pools(model(NAME), pool, pool, engine(), Need(requests_per_s=10.0))
    found = confirm(replace(plan, job=job()), 50)
    assert found.summary.finished == found.summary.requests
    assert len(found.result.pools) == 2
    assert found.summary.tpot_s.mean < 0.02 * 1.2
