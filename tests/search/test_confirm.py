"""Plans under simulated traffic: the steady state and the simulation are one model."""

from dataclasses import replace

import numpy as np
import pytest

from parity.catalogue.load import chip
from parity.catalogue.machine import machine
from parity.evaluate.step import step
from parity.layout.step import Load
from parity.search import confirm as confirming
from parity.search import requests as drawing
from parity.search.confirm import (
    PRECISE,
    Trial,
    at_load,
    confirm,
    fewest_that_hold,
    most_that_holds,
)
from parity.search.pools import Pool, best_pools
from parity.search.precision import choose_precision
from parity.search.replay import pools_of, step_table, without_experts
from parity.search.replica import ServingJob
from parity.search.requests import Variation
from parity.search.serve import Need, ServingPlan, best_plans, with_load
from parity.simulate.run import simulate
from parity.timing.engine import engine
from parity.workload.find import model
from parity.workload.flop import flop_per_token
from parity.workload.request import Request
from parity.workload.traffic import around, between, closed_loop, fixed, open_loop

NAME, CHIP = "llama-3.1-8b", "h100"
VARIED = Variation(0.5, 0.5)


@pytest.fixture(autouse=True)
def _few_requests(monkeypatch):
    """Enough to tell, few enough for an interpreter without Numba."""
    monkeypatch.setattr(drawing, "REQUESTS", 300)
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
    found = fewest_that_hold(plan, Trial(99, VARIED))
    assert found.plan.decode_replicas > plan.decode_replicas
    assert found.holds
    assert found.ttft_s[99] > found.ttft_s[50]
    relaxed = fewest_that_hold(plan, Trial(50, VARIED))
    assert plan.decode_replicas <= relaxed.plan.decode_replicas <= found.plan.decode_replicas


def test_one_replica_less_does_not_hold() -> None:
    plan = planned(Need(requests_per_s=60.0), own=job(ttft_s=0.12, tpot_s=0.02))
    found = fewest_that_hold(plan, Trial(99, VARIED)).plan
    assert found.decode_replicas > plan.decode_replicas
    fewer = found.decode_replicas - max(1, int(PRECISE * found.decode_replicas))
    each = found.requests_per_s / fewer
    less = replace(
        found, decode_replicas=fewer,
        decode=with_load(found.decode, found.decode.request, Need(requests_per_s=60.0), each),
    )  # fmt: skip
    assert not confirm(less, Trial(99, VARIED)).holds


def test_the_most_load_holds_and_no_more_is_carried_than_on_average() -> None:
    plan = planned(Need(), 2, job(ttft_s=0.15, tpot_s=0.02))
    trial = Trial(99, VARIED)
    most = most_that_holds(plan, trial)
    assert 0 < most.most < plan.most
    assert confirm(at_load(most, most.most), trial, most.most).holds


def test_nothing_is_sought_where_nothing_is_asked() -> None:
    plan = planned(Need(requests_per_s=5.0))
    assert most_that_holds(plan, Trial()) is plan
    found = fewest_that_hold(plan, Trial())
    assert found.holds
    assert found.within == 1.0
    assert found.result.finished.all()


def test_what_gets_no_answer_is_late() -> None:
    """A prompt longer than the cache is refused: its time to the first token is without end."""
    own = open_loop(50, 3.0, between(10**6, 10**7), fixed(20))
    found = confirm(planned(Need(requests_per_s=3.0), own=job(ttft_s=5.0)), Trial(trace=own))
    assert found.result.refused.any()
    assert found.ttft_s[99] == np.inf
    assert not found.holds
    assert found.within < 1


def test_traffic_of_ones_own_is_replayed() -> None:
    own = open_loop(50, 5.0, fixed(2000), fixed(20))
    found = confirm(planned(Need(requests_per_s=own.rate)), Trial(90, trace=own)).result.summary()
    assert found.requests == 50
    assert found.input_tokens_per_s == pytest.approx(2000 * found.requests_per_s)


def test_two_pools_hand_over() -> None:
    target, own = machine(chip(CHIP)), job(ttft_s=1.0, tpot_s=0.02)
    pool = Pool(target, own)
    plan = best_pools(model(NAME), pool, pool, engine(), Need(requests_per_s=10.0))
    found = confirm(replace(plan, job=job()), Trial(50)).result
    assert found.finished.all()
    assert len(found.pools) == 2
    assert found.summary().tpot_s.mean < 0.02 * 1.2


def test_a_replica_holds_no_more_than_the_plan_gives_it() -> None:
    plan = planned(Need(users=32.0), 1)
    ran = confirm(plan, Trial()).result
    assert ran.timeline.running.max() <= plan.sequences


class TestRanks:
    """Ranks of attention that hold requests of their own, with experts that they share."""

    def plan(self) -> ServingPlan:
        name, on = "deepseek-v3", "h200"
        precision, _ = choose_precision(model(name), chip(on))
        own = ServingJob(Request(input_tokens=1000, output_tokens=200), precision)
        return best_plans(
            model(name), own, machine(chip(on)), engine(), Need(requests_per_s=4.0), 32
        )[0]

    def test_all_wait_for_the_busiest_but_experts_have_the_mean(self) -> None:
        row = self.plan().decode
        mean, busy = (
            step_table(row.model, row.layout, row.request, 8, 512, 2000.0, spread).base_s
            for spread in (1.0, 0.25)
        )
        assert np.all(busy <= mean * 1.001)
        assert busy[:, 0] == pytest.approx(mean[:, 0])
        assert np.any(busy < 0.99 * mean)

    def test_a_model_without_experts_has_less_to_do(self) -> None:
        arch = model("deepseek-v3")
        dense = without_experts(self.plan().decode.model).arch
        whole = flop_per_token(arch, 1024, "prefill")
        assert 0 < flop_per_token(dense, 1024, "prefill") < whole / 2
