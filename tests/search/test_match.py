"""What equals what: serving by the full planner, at equal throughput, load, time and money."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import parity
from parity.api.serve import plan_serve
from parity.catalogue.load import chip, chips
from parity.catalogue.machine import machine
from parity.economics.hourly import at_work, drawn_hour
from parity.errors import Infeasible, MissingFact, NoPrice, UnknownName, UsageError
from parity.evaluate.serving import steady_state
from parity.evaluate.step import served
from parity.evaluate.together import Ask, alike, steady_states
from parity.layout.layout import columns
from parity.search.match_cost import budget
from parity.search.pools import Pool
from parity.search.replica import ServingJob
from parity.search.serve import Need
from parity.search.serving_plan import ServingQuestion, prepared, serve
from parity.timing.draw import Sampler
from parity.timing.engine import usual_engine
from parity.workload.find import model
from parity.workload.precision import Precision
from parity.workload.request import Request

BIG, SMALL = "llama-3.1-70b", "llama-3.1-8b"
KINDS = ("h100-sxm", "h20-96", "a100-sxm-80", "mi300x", "ascend910b2", "b200-sxm", "l40s")
REQUEST = Request(input_tokens=2048.0, output_tokens=500.0)
ARCH = model(BIG)
NOTHING = Need()
FEW = 64  # samples, where no range is looked at


def rows(name: str, want: str, **words) -> dict[str, dict]:
    """The rows of a match, by what was asked for."""
    found = parity.match(name, want=want, **{"samples": FEW, **words}).to_dict()["answer"]["rows"]
    return {row["label"]: row for row in found}


def count(name: str, want: str, **words) -> int:
    """Chips of the one kind wanted."""
    ((_, row),) = rows(name, want, **words).items()
    assert row["count"] is not None, row["reason"]
    return row["count"]


def question(kind, need: Need = NOTHING, **limits) -> ServingQuestion:
    """The 70B model in 16 bits on a chip."""
    job = ServingJob(REQUEST, Precision("bf16", "bf16"), **limits)
    pool = Pool(machine(kind), job)
    return ServingQuestion(ARCH, pool, usual_engine(kind), need, full=True)


class TestTogether:
    def test_chips_evaluated_together_are_as_each_alone(self) -> None:
        """Every figure of every column, of chips whose figures differ in all there is."""
        asks = []
        for name in ("h100-sxm", "a100-sxm-80", "h20-96", "h200-sxm", "mi300x", "mi325x"):
            asked = question(chip(name)).ask_ways()
            asks.append(asked)
        assert len({alike(ask.model) for ask in asks}) < len(asks)
        for ask, one in zip(asks, steady_states(asks), strict=True):
            alone = steady_state(ask.model, ask.layout, ask.columns[0], ask.request, ask.columns[1])
            for name in ("tpot_s", "ttft_s", "requests_per_s", "cache_bytes", "room_bytes", "fits"):
                assert np.allclose(getattr(one, name), getattr(alone, name), rtol=1e-12), name

    def test_samples_of_several_chips_are_those_of_each(self) -> None:
        asks, draw = [], Sampler(64)
        for name in ("h100-sxm", "a100-sxm-80", "b200-sxm"):
            kind = chip(name)
            drawn = machine(kind, "", draw)
            model_ = served(ARCH, Precision("bf16", "bf16"), drawn, usual_engine(kind), draw)
            layout = columns(tp=np.array([4, 8]), zero=np.zeros(2, int))
            asks.append(Ask(model_, layout, REQUEST, (np.array([4.0, 16.0]), np.full(2, 8e3))))
        for ask, one in zip(asks, steady_states(asks), strict=True):
            alone = steady_state(ask.model, ask.layout, ask.columns[0], ask.request, ask.columns[1])
            assert one.tpot_s.shape == (64, 2)
            assert np.allclose(one.tpot_s, alone.tpot_s, rtol=1e-12)

    @pytest.mark.parametrize("limits", [{}, {"tpot_s": 0.04}, {"ttft_s": 1.0, "tpot_s": 0.05}])
    def test_a_plan_of_many_chips_is_that_of_each(self, limits) -> None:
        need = Need(requests_per_s=7.0)
        every = [question(chip(name), need, **limits) for name in KINDS]

        def plan(asked):
            try:
                found = serve(asked)
            except Infeasible as error:
                return error.findings[0].code
            best = found.best
            return (
                best.mode,
                best.chips,
                best.decode.chips,
                f"{best.most_requests_per_s:.9g}",
                found.missed,
            )

        for alone, beside in zip(every, prepared(every), strict=True):
            assert plan(beside) == plan(alone)


class TestServing:
    def test_a_count_is_what_plan_serve_says_for_the_load(self) -> None:
        """With chips counted one by one, as on TPUs and NVL72, and in whole nodes elsewhere."""
        for kind in ("h20", "gb200", "a100"):
            (row,) = rows(BIG, kind, tokens_per_second=4000, tpot="50ms").values()
            plan = plan_serve(
                BIG, kind, isl=2048, osl=500, prefix=0, rps=4000 / 500, tpot="50ms", ttft="none"
            ).to_dict()["answer"]
            node = machine(chip(row["chip"])).node
            least = plan["chips"] if plan["chips"] <= node else -(-plan["chips"] // node) * node
            assert row["count"] <= least
            assert row["count"] > 0.9 * plan["chips"] - node

    def test_two_pools_and_replicas_are_rows_that_say_so(self) -> None:
        words = {"have": "64xh100", "isl": "4k", "osl": 500, "tpot": "30ms"}
        apart = rows(BIG, "h200", **words, mode="disaggregated")["h200-sxm"]
        together = rows(BIG, "h200", **words, mode="aggregated")["h200-sxm"]
        assert apart["layout"]["mode"] == "disaggregated"
        assert apart["layout"]["prefill_replicas"] >= 1
        assert " + " in apart["layout_text"]
        assert together["layout"]["mode"] == "aggregated"
        assert "prefill_tp" not in together["layout"]

    def test_the_better_mode_is_taken(self) -> None:
        words = {"tokens_per_second": 20_000, "isl": "4k", "osl": 500, "tpot": "30ms"}
        modes = ("aggregated", "disaggregated")
        each = [rows(BIG, "h100", **words, mode=mode)["h100-sxm"]["count"] for mode in modes]
        assert count(BIG, "h100", **words) == min(each)

    def test_the_range_of_two_pools_is_not_a_point(self) -> None:
        words = {"have": "64xh100", "want": "h20,a100,mi300x", "tpot": "30ms"}
        found = parity.match(BIG, mode="disaggregated", **words).to_dict()["answer"]["rows"]
        for row in found:
            assert row["low"] <= row["count"] <= row["high"]
            assert row["low"] < row["high"]
            assert row["uncertainty"]

    def test_a_profile_a_prefix_and_drafts_change_the_work(self) -> None:
        plain = count(BIG, "h20", have="64xh100")
        assert rows(BIG, "h20", have="64xh100", profile="rag")["h20-96"]["ttft_s"] < 10
        words = {"tokens_per_second": 20_000, "tpot": "50ms"}
        assert count(BIG, "h20", **words, prefix=0.8) < count(BIG, "h20", **words)
        assert plain

    def test_every_chip_has_a_count_a_wall_or_a_missing_figure(self) -> None:
        found = rows(BIG, "all", have="8xh100", isl="2k", osl=500, tpot="40ms")
        assert len(found) == len(chips())
        for row in found.values():
            if row["count"] is None:
                assert row["reason"]
                assert row["bound_by"] == "missing figure" or row["bound_by"].startswith("P")
                assert row["bound_by"] not in ("P105", "P106") or row["wall"]
            else:
                assert row["low"] <= row["count"] <= row["high"]
                assert row["layout"]["mode"] in ("aggregated", "disaggregated")


class TestSelf:
    """A chip matched with itself is as many, whatever is equal."""

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize(
        "words",
        [
            {},
            {"tpot": "60ms"},
            {"mode": "disaggregated"},
            {"mode": "aggregated", "ttft": "3s", "tpot": "60ms"},
            {"train": True, "gbs": "1M"},
            {"train": True, "gbs": "1M", "equal": "time"},
            {"equal": "cost"},
            {"train": True, "gbs": "1M", "equal": "cost"},
        ],
        ids=str,
    )
    def test_a_chip_is_as_many_as_itself(self, kind, words) -> None:
        if words.get("equal") == "cost" and not at_work(chip(kind)):
            pytest.skip("no price")
        (row,) = rows(SMALL, kind, have=f"32x{kind}", **words).values()
        assert (row["count"], row["low"], row["high"]) == (32, 32, 32)
        if "equal" in words and words["equal"] == "cost":
            assert row["work_ratio"] == 1.0
            assert (row["work"]["low"], row["work"]["high"]) == (1.0, 1.0)

    def test_chips_that_leave_some_idle_are_as_many(self) -> None:
        assert count(BIG, "h100", have="7xh100", tpot="50ms") == 7


class TestTransitive:
    @pytest.mark.parametrize("words", [{}, {"tpot": "60ms"}, {"train": True, "gbs": "4M"}], ids=str)
    @pytest.mark.parametrize(
        "trio", [("h100", "a100", "h20"), ("h20", "mi300x", "h100"), ("a100", "h100", "mi300x")]
    )
    def test_by_way_of_another_is_the_same_within_ranges(self, trio, words) -> None:
        """As many of C equal A, straight or by way of B, but for whole nodes of either."""
        a, b, c = trio
        straight = next(iter(rows(SMALL, c, have=f"128x{a}", **words).values()))
        between = next(iter(rows(SMALL, b, have=f"128x{a}", **words).values()))
        around = next(iter(rows(SMALL, c, have=f"{between['count']}x{b}", **words).values()))
        node = 8
        low = straight["low"] * between["low"] / between["count"] - 2 * node
        high = straight["high"] * between["high"] / between["count"] + 2 * node
        assert low <= around["count"] <= high


class TestMoreIsNeverWorse:
    FIGURES = ("memory.bandwidth", "memory.capacity", "bf16", "scale_up.bandwidth")

    @settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        st.sampled_from(["h20-96", "a100-sxm-80", "h100-sxm"]),
        st.sampled_from(FIGURES),
        st.floats(1.05, 2.0),
        st.sampled_from([{}, {"tpot": "50ms"}, {"tpot": "50ms", "ttft": "2s"}]),
        st.sampled_from(["auto", "aggregated", "disaggregated"]),
    )
    def test_more_of_a_figure_never_takes_more_chips(self, kind, figure, factor, limits, mode):
        own = machine(chip(kind))
        value, unit = {
            "memory.bandwidth": (own.memory_bandwidth_bytes_per_s / 1e9, "GB/s"),
            "memory.capacity": (own.memory_bytes / 1e9, "GB"),
            "bf16": (own.peak_flop_per_s["bf16"] / 1e12, "TFLOP/s"),
            "scale_up.bandwidth": (own.levels[0].bandwidth_bytes_per_s / 1e9, "GB/s"),
        }[figure]
        words = {"tokens_per_second": 30_000, "mode": mode, **limits}
        plain = count(BIG, f"{kind}@{figure}={value:.6g}{unit}", **words)
        more = count(BIG, f"{kind}@{figure}={factor * value:.6g}{unit}", **words)
        assert more <= plain

    @settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        st.sampled_from(["h20-96", "a100-sxm-80", "mi300x"]),
        st.floats(1.0, 60.0),
        st.floats(1.0, 3.0),
        st.sampled_from([{}, {"tpot": "50ms"}]),
    )
    def test_fewer_requests_never_take_more_chips(self, kind, rate, factor, limits) -> None:
        few = count(BIG, kind, rps=rate, **limits)
        assert few <= count(BIG, kind, rps=rate * factor, **limits)

    @pytest.mark.parametrize("kind", ["h20", "a100", "h100"])
    def test_more_time_never_takes_more_chips(self, kind) -> None:
        found = [count(BIG, kind, rps=10, tpot=f"{ms}ms") for ms in (35, 50, 75, 150)]
        assert found == sorted(found, reverse=True)

    @pytest.mark.parametrize("figure", ["memory.bandwidth=4TB/s", "memory.capacity=200GB"])
    def test_more_of_a_figure_never_takes_more_chips_to_train(self, figure) -> None:
        words = {"have": "512xh100", "train": True, "gbs": "4M"}
        assert count(BIG, f"h20@{figure}", **words) <= count(BIG, "h20", **words)


class TestEqual:
    def test_a_load_says_how_many_of_each(self) -> None:
        words = {"rps": 12, "tpot": "50ms", "ttft": "2s"}
        found = parity.match(BIG, have="h100", want="h20,h100", samples=FEW, **words).to_dict()
        own, other = (
            found["answer"],
            plan_serve(
                BIG, "h100", isl=2048, osl=500, prefix=0, rps=12, tpot="50ms", ttft="2s"
            ).to_dict()["answer"],
        )
        assert own["equal"] == "slo"
        h20, h100 = own["rows"]
        assert own["have"] == f"{h100['count']}xh100"
        assert h100["count"] == (
            other["chips"] if other["chips"] < 8 else -(-other["chips"] // 8) * 8
        )
        assert h20["count"] > h100["count"]

    @pytest.mark.parametrize("words", [{"concurrency": 256}, {"users": 900, "think": "20s"}])
    def test_a_load_may_be_of_users(self, words) -> None:
        few = count(BIG, "h20", tpot="50ms", **words)
        more = {name: 3 * n if isinstance(n, int) else n for name, n in words.items()}
        assert few < count(BIG, "h20", tpot="50ms", **more)

    def test_time_counts_what_interrupts_a_run_of_the_chips_held(self) -> None:
        words = {"have": "2048xh100", "train": True, "gbs": "16M"}
        equal = parity.match(BIG, want="h20", samples=FEW, equal="time", **words).to_dict()
        alone = parity.match(BIG, want="h20", samples=FEW, **words).to_dict()
        assert equal["answer"]["equal"] == "time"
        assert equal["answer"]["target"]["step_time_s"] > alone["answer"]["target"]["step_time_s"]
        assert equal["answer"]["rows"][0]["count"] >= alone["answer"]["rows"][0]["count"] * 0.98

    @pytest.mark.parametrize(
        ("words", "error", "said"),
        [
            ({"have": "8xh100", "rps": 4}, UsageError, "each set"),
            ({"rps": 4, "users": 10}, UsageError, "each set"),
            ({"equal": "slo", "have": "8xh100"}, UsageError, "needs the load"),
            ({"equal": "slo", "rps": 4, "train": True}, UsageError, "serving match"),
            ({"equal": "time", "have": "8xh100"}, UsageError, "--train"),
            ({"equal": "cost", "rps": 4}, UsageError, "not cost"),
            ({"equal": "money", "have": "8xh100"}, UnknownName, "throughput"),
            ({"equal": "cost", "have": "h100"}, UsageError, "no count"),
            (
                {"equal": "cost", "have": "8xh100", "own": True, "rent": True},
                UsageError,
                "two ways",
            ),
            ({"have": "8xh100", "rent": True}, UsageError, "--equal cost"),
            ({"have": "8xh100", "think": "30s"}, UsageError, "--users"),
            ({"have": "8xh100", "mode": "both"}, UnknownName, "aggregated"),
            ({"have": "8xh100", "prefix": 1.5}, UsageError, "--prefix"),
            ({"have": "8xh100", "speculate": 99}, UsageError, "--speculate"),
            ({"have": "8xh100", "profile": "poem"}, UnknownName, "chat"),
            ({"have": "8xsohu"}, MissingFact, "compute.dense"),
            ({"have": "1xh100"}, Infeasible, "does not fit"),
            ({"have": "8xa10", "tpot": "5ms"}, Infeasible, "5 ms"),
        ],
        ids=str,
    )
    def test_words_that_do_not_go_together_say_so(self, words, error, said) -> None:
        with pytest.raises(error, match=said):
            parity.match(BIG, want="h20", **words)


class TestCost:
    def test_chips_for_the_money_cost_no_more_and_one_more_would(self) -> None:
        for name, row in rows(BIG, "a100,h200,h20", have="8xh100", equal="cost").items():
            own = budget(8, chip("h100-sxm"), chip(row["chip"]))
            each, all_of = drawn_hour(own.theirs, _stated), 8 * drawn_hour(own.mine, _stated)
            assert row["count"] * each <= all_of * (1 + 1e-9), name
            assert (row["count"] + 1) * each > all_of

    def test_the_work_is_that_of_a_plan_on_so_many_chips(self) -> None:
        (row,) = rows(BIG, "h20", have="8xh100", equal="cost", tpot="50ms").values()
        plans = [
            plan_serve(BIG, on, isl=2048, osl=500, prefix=0, tpot="50ms", ttft="none").to_dict()
            for on in (f"{row['count']}xh20", "8xh100")
        ]
        new, old = (plan["answer"]["most_requests_per_s"] for plan in plans)
        assert row["work_ratio"] == pytest.approx(new / old)
        assert row["work"]["low"] < row["work_ratio"] < row["work"]["high"]

    def test_the_range_of_prices_counts(self) -> None:
        words = {"have": "64xh100", "equal": "cost", "train": True, "gbs": "4M"}
        row = rows(BIG, "h200", samples=512, **words)["h200-sxm"]
        assert row["paid"] == "own"
        assert row["low"] < row["count"] < row["high"]
        assert row["work"]["high"] / row["work"]["low"] > 1.1

    def test_a_chip_without_a_price_is_a_missing_figure(self) -> None:
        (row,) = rows(BIG, "ppu", have="8xh100", equal="cost").values()
        assert row["count"] is None
        assert row["bound_by"] == "missing figure"
        assert "price" in row["reason"]
        with pytest.raises(NoPrice, match="ppu-96"):
            budget(8, chip("ppu-96"), chip("h100-sxm"))

    def test_rented_chips_are_compared_with_rented_ones(self) -> None:
        owned = rows(BIG, "h200", have="64xh100", equal="cost", own=True)["h200-sxm"]
        rented = rows(BIG, "h200", have="64xh100", equal="cost", rent=True)["h200-sxm"]
        assert (owned["paid"], rented["paid"]) == ("own", "rent")
        assert owned["count"] != rented["count"]

    def test_too_little_money_for_one_replica_is_a_wall(self) -> None:
        (row,) = rows("llama-3.1-405b", "h20", have="16xh100", equal="cost", dtype="bf16").values()
        assert row["count"] or row["reason"]
        (row,) = rows(BIG, "h200", have="2xh100", equal="cost").values()
        assert row["count"] is None
        assert row["bound_by"] == "P105"

    def test_an_answer_is_json_and_text(self) -> None:
        answer = parity.match(BIG, have="8xh100", want="h20,ppu", equal="cost", samples=FEW)
        assert "For the money of 8xh100 you get" in answer.explain()
        assert (
            json.loads(json.dumps(answer.to_dict(), allow_nan=False))["answer"]["equal"] == "cost"
        )


def _stated(key: str, value: float, low: float, high: float) -> float:
    return value
