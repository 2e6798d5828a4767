"""Percentiles: the steady state's beside simulated ones, and plans that hold at one."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parity.search import confirm as confirming
from parity.search import requests as drawing
from parity.search.confirm import Trial, confirm
from parity.search.percentiles import at_percentile, steady_percentiles
from parity.search.requests import Variation, traffic_for
from parity.search.serving_plan import ServingQuestion, serve, trades
from parity.words import serving as words
from parity.workload.find import model
from parity.workload.traffic import faster, fixed, lognormal, open_loop

PEOPLE = Variation(0.96, 0.77)


@pytest.fixture(autouse=True)
def _few_requests(monkeypatch):
    """Enough to tell, few enough for an interpreter without Numba."""
    monkeypatch.setattr(drawing, "REQUESTS", 400)
    monkeypatch.setattr(drawing, "TURNS", 2)
    monkeypatch.setattr(confirming, "HALVINGS", 3)


def question(name, on, **asked):
    arch, batch = model(name), words.serving_chips(on, "--on")
    need = words.load(
        asked.pop("rps", None), asked.pop("concurrency", None), None, None,
        counted=batch.count is not None, on=on,
    )  # fmt: skip
    mode = asked.pop("mode", "auto")
    given_ = {"isl": 1000, "osl": 200, "ttft": "2s", "tpot": "50ms"} | asked
    request = words.requests(
        name, None, given_["isl"], given_["osl"], given_.get("prefix", 0), 0,
        given_["ttft"], given_["tpot"],
    )  # fmt: skip
    pool, _ = words.serving_pool(arch, batch, request, "auto", "auto", "")
    engine, _ = words.serving_engine(None, batch.chip)
    return ServingQuestion(arch, pool, engine, need, mode, None, 3)


class TestAgreement:
    """One set of equations: the mean of a simulation is what the steady state says."""

    @pytest.mark.parametrize(
        ("name", "on", "rps"), [("llama-3.1-8b", "1xh100", 5), ("llama-3.1-70b", "8xh100", 4)]
    )
    def test_means_of_an_open_load(self, name, on, rps):
        plan = serve(question(name, on, rps=rps, mode="aggregated")).best
        found = confirm(plan, Trial()).result.summary()
        assert found.finished == found.requests
        assert found.tpot_s.mean == pytest.approx(plan.tpot_s, rel=0.1)
        assert found.ttft_s.mean == pytest.approx(plan.ttft_s, rel=0.25)

    @pytest.mark.parametrize("rps", [1, 5, 15])
    def test_percentiles_of_an_open_load(self, rps):
        plan = serve(question("llama-3.1-8b", "1xh100", rps=rps, mode="aggregated")).best
        ttft, tpot = steady_percentiles(plan)
        seen = confirm(plan, Trial())
        assert tpot[50] == pytest.approx(seen.tpot_s[50], rel=0.15)
        assert tpot[99] == pytest.approx(seen.tpot_s[99], rel=0.2)
        assert ttft[50] == pytest.approx(seen.ttft_s[50], rel=0.15)
        assert seen.ttft_s[99] / 2 <= ttft[99] <= seen.ttft_s[99] * 1.5

    def test_two_pools(self):
        plan = serve(question("llama-3.1-8b", "h100", rps=30, mode="disaggregated")).best
        seen = confirm(plan, Trial())
        assert seen.result.finished.all()
        assert len(seen.result.pools) == 2
        assert seen.result.summary().tpot_s.mean == pytest.approx(plan.tpot_s, rel=0.15)
        assert np.mean(seen.result.ttft_s) == pytest.approx(plan.ttft_s, rel=0.35)

    def test_a_closed_load_keeps_so_many_under_way(self):
        plan = serve(question("llama-3.1-8b", "h100", concurrency=32, mode="aggregated")).best
        line = confirm(plan, Trial()).result.timeline
        middle = slice(len(line.running) // 4, len(line.running) // 2)
        under_way = line.running[middle] + line.waiting[middle]
        assert np.median(under_way) == pytest.approx(32, rel=0.1)

    def test_what_is_cached_is_not_computed(self):
        plan = serve(question("llama-3.1-8b", "h100", rps=5, prefix=0.5, mode="aggregated")).best
        found = confirm(plan, Trial()).result.summary()
        assert found.cached_share == pytest.approx(0.5, abs=0.05)


def test_percentiles_rise_and_idle_chips_wait_for_no_one():
    plan = serve(question("llama-3.1-8b", "h100", rps=10, mode="aggregated")).best
    for found in steady_percentiles(plan):
        assert found[50] <= found[90] <= found[99]
    idle = serve(question("llama-3.1-8b", "64xh100", rps=0.01, mode="disaggregated")).best
    ttft, _ = steady_percentiles(idle)
    assert ttft[99] == pytest.approx(idle.ttft_s, rel=0.05)


class TestHolding:
    def test_the_percentile_holds_where_the_answer_says_so(self):
        asked = question("llama-3.1-8b", "l4", rps=10)
        found = at_percentile(asked, Trial(99, PEOPLE))
        assert found.missed == ()
        assert found.confirmed.holds
        assert found.confirmed.ttft_s[99] <= asked.pool.job.ttft_s
        assert found.confirmed.tpot_s[99] <= asked.pool.job.tpot_s
        assert found.confirmed.within >= 0.98

    def test_a_percentile_takes_no_fewer_chips_than_the_mean(self):
        asked = question("llama-3.1-8b", "l4", rps=10)
        counts = [
            serve(asked).best.chips,
            *(at_percentile(asked, Trial(p, PEOPLE)).best.chips for p in (50, 99)),
        ]
        assert counts[0] <= counts[2]
        assert counts[1] <= counts[2]

    def test_counted_chips_carry_less_at_the_percentile(self):
        asked = question("llama-3.1-8b", "4xl4")
        most = serve(asked).best.most_requests_per_s
        found = at_percentile(asked, Trial(99, PEOPLE))
        assert 0 < found.best.most_requests_per_s < most
        assert found.best.requests_per_s == pytest.approx(found.best.most_requests_per_s, rel=0.01)
        assert found.best.chips <= 4
        assert found.confirmed.holds

    def test_a_light_load_says_what_the_chips_carry_at_most(self):
        light = at_percentile(question("llama-3.1-8b", "2xh100", rps=2), Trial(99, PEOPLE)).best
        whole = at_percentile(question("llama-3.1-8b", "2xh100"), Trial(99, PEOPLE)).best
        assert light.requests_per_s == pytest.approx(2, rel=1e-3)
        assert light.most_requests_per_s == pytest.approx(whole.most_requests_per_s, rel=0.3)

    def test_a_latency_that_no_plan_keeps_for_most_is_missed(self):
        """A hundredth of the prompts are so long that no one chip reads them in time."""
        asked = question("llama-3.1-8b", "1xl4", rps=0.05, ttft="600ms", tpot="200ms")
        found = at_percentile(asked, Trial(99, Variation(2.0, 0.0)))
        assert [finding.code for finding in found.missed] == ["P115"]
        assert not found.confirmed.holds
        assert "TTFT" in found.missed[0].message

    def test_a_trace_takes_chips_by_its_bursts(self):
        """The same requests in bursts of forty, and evenly."""
        asked = question("llama-3.1-8b", "l4", rps=4, ttft="1s")
        even = open_loop(400, 4, fixed(1000), fixed(200), burstiness=math.inf)
        bursts = replace(even, arrival_s=even.arrival_s // 10 * 10)
        counts = [
            at_percentile(asked, Trial(99, trace=trace)).best.chips for trace in (even, bursts)
        ]
        assert counts[0] < counts[1]

    def test_a_faster_trace_is_harder_to_serve(self):
        asked = question("llama-3.1-8b", "1xh100", rps=5)
        trace = open_loop(300, 5, lognormal(1000, 0.5), lognormal(200, 0.5))
        slow, fast = (
            confirm(serve(asked).best, Trial(99, trace=faster(trace, by)), 5 * by) for by in (1, 4)
        )
        assert slow.ttft_s[99] < fast.ttft_s[99]
        assert slow.within >= fast.within


@settings(max_examples=8)
@given(rps=st.floats(0.5, 20))
def test_drawn_requests_come_at_the_rate(rps):
    plan = serve(question("llama-3.1-8b", "h100", rps=rps, mode="aggregated")).best
    traffic = traffic_for(plan, rps, Variation(1.0, 1.0))
    assert traffic.rate == pytest.approx(rps, rel=0.25)
    assert traffic.input_tokens.mean() == pytest.approx(1000, rel=0.25)


@given(
    users=st.floats(1, 1e6), isl=st.integers(1, 100_000), osl=st.integers(1, 100_000),
)  # fmt: skip
@settings(max_examples=20)
def test_no_load_draws_more_than_can_be_gone_through(users, isl, osl):
    plan = serve(question("llama-3.1-8b", "h100", concurrency=32, mode="aggregated")).best
    need = replace(plan.need, users=users)
    job = replace(plan.job, request=words._request("llama-3.1-8b", isl, osl, 0.0, 0.0, 0))
    traffic = traffic_for(replace(plan, need=need, job=job), users, Variation())
    assert len(traffic) <= drawing.MOST_REQUESTS


def test_nothing_on_the_front_is_beaten():
    points = trades(question("llama-3.1-8b", "8xh100"))
    assert len(points) > 5
    users = [p.tokens_per_s_per_user for p in points]
    chips = [p.tokens_per_s_per_chip for p in points]
    assert users == sorted(users, reverse=True)
    assert chips == sorted(chips)


def test_more_load_takes_no_fewer_chips():
    counts = [serve(question("llama-3.1-8b", "l4", rps=rps)).best.chips for rps in (1, 5, 25, 125)]
    assert counts == sorted(counts)
    assert counts[-1] > counts[0]
