"""Requests replayed through a plan agree with its steady state, and decide percentiles."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parity import serve_questions as words
from parity.search.serving_percentiles import checked
from parity.search.serving_plan import ServingQuestion, serve, trades
from parity.search.serving_replay import Variation, drawn, replay
from parity.workload.find import model


def question(name, on, **asked):
    arch, batch = model(name), words.serving_chips(on, "--on")
    need = words.load(
        asked.pop("rps", None), asked.pop("concurrency", None), None, None,
        traced=False, counted=batch.count is not None, on=on,
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
    """One set of equations: the mean of a replay is what the steady state says."""

    @pytest.mark.parametrize(
        ("name", "on", "rps"), [("llama-3.1-8b", "1xh100", 5), ("llama-3.1-70b", "8xh100", 4)]
    )
    def test_means_of_an_open_load(self, name, on, rps):
        plan = serve(question(name, on, rps=rps, mode="aggregated")).best
        found = replay(plan, Variation()).result.summary()
        assert found.finished == found.requests
        assert found.tpot_s.mean == pytest.approx(plan.tpot_s, rel=0.1)
        assert found.ttft_s.mean == pytest.approx(plan.ttft_s, rel=0.5)

    def test_a_closed_load_keeps_so_many_under_way(self):
        plan = serve(question("llama-3.1-8b", "h100", concurrency=32, mode="aggregated")).best
        line = replay(plan, Variation()).result.timeline
        middle = slice(len(line.running) // 4, len(line.running) // 2)
        under_way = line.running[middle] + line.waiting[middle]
        assert np.median(under_way) == pytest.approx(32, rel=0.1)

    def test_what_is_cached_is_not_computed(self):
        plan = serve(question("llama-3.1-8b", "h100", rps=5, prefix=0.5, mode="aggregated")).best
        found = replay(plan, Variation()).result.summary()
        assert found.cached_share == pytest.approx(0.5, abs=0.05)

    def test_two_pools(self):
        plan = serve(question("llama-3.1-8b", "h100", rps=30, mode="disaggregated")).best
        found = replay(plan, Variation()).result
        assert found.finished.all()
        assert len(found.pools) == 2
        assert found.summary().tpot_s.mean == pytest.approx(plan.tpot_s, rel=0.15)


class TestPercentiles:
    def test_the_percentile_holds_where_the_answer_says_so(self):
        asked = question("llama-3.1-8b", "l4", rps=10)
        found = checked(asked, Variation(0.96, 0.77), 99)
        assert found.outcome.missed == ()
        assert found.replay.ttft_s[99] <= asked.pool.job.ttft_s
        assert found.replay.tpot_s[99] <= asked.pool.job.tpot_s
        assert found.low <= found.outcome.best.chips <= found.high

    def test_a_percentile_takes_no_fewer_chips_than_the_mean(self):
        asked = question("llama-3.1-8b", "l4", rps=10)
        assert checked(asked, Variation(0.96, 0.77)).outcome.best.chips >= serve(asked).best.chips

    def test_counted_chips_carry_less_at_the_percentile(self):
        asked = question("llama-3.1-8b", "4xl4")
        most = serve(asked).best.most_requests_per_s
        found = checked(asked, Variation(0.96, 0.77)).outcome.best
        assert 0 < found.most_requests_per_s <= most * 1.001
        assert found.chips <= 4

    @settings(max_examples=8)
    @given(seed_rps=st.floats(0.5, 20))
    def test_drawn_requests_come_at_the_rate(self, seed_rps):
        plan = serve(question("llama-3.1-8b", "h100", rps=seed_rps, mode="aggregated")).best
        traffic = drawn(plan, Variation(1.0, 1.0))
        assert traffic.rate == pytest.approx(seed_rps, rel=0.25)
        assert traffic.input_tokens.mean() == pytest.approx(1000, rel=0.25)


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
