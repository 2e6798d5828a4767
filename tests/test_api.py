"""The questions as Python functions."""

import json

import pytest

import parity
from parity import match, plan_train
from parity.errors import Infeasible, MissingFact, UsageError

TRAIN = {"train": True, "tokens": "15T", "seq": "8k", "gbs": "16M"}
PLAN_FIELDS = {
    "chips", "layout", "step_time_s", "tokens_per_s_per_chip", "mfu", "days", "memory",
    "breakdown_s", "power_w", "energy_kwh", "range", "goodput",
}  # fmt: skip
LAYOUT_FIELDS = {"tp", "pp", "dp", "cp", "ep", "interleave", "microbatch", "zero", "recompute"}
ROW_FIELDS = {"chip", "count", "low", "high", "reason", "bound_by", "layout", "power_ratio"}


@pytest.fixture(scope="module")
def matched():
    return parity.match("llama-3.1-70b", have="1024xh100", want="h20,a100,910b,ppu,mi300x", **TRAIN)


def test_a_plan_has_the_fields_that_others_rely_on() -> None:
    answer = parity.plan_train("llama-3.1-70b", "256xh20", tokens="1T").to_dict()["answer"]
    assert answer.keys() >= PLAN_FIELDS
    assert answer["layout"].keys() >= LAYOUT_FIELDS
    assert answer["memory"].keys() >= {"total_bytes", "capacity_bytes"}
    assert answer["range"]["low"] <= answer["days"] <= answer["range"]["high"]
    layout = answer["layout"]
    assert layout["tp"] * layout["pp"] * layout["dp"] * layout["cp"] == answer["chips"] == 256
    assert sum(answer["breakdown_s"].values()) == pytest.approx(answer["step_time_s"])
    parts = {
        k: v for k, v in answer["memory"].items() if k not in ("total_bytes", "capacity_bytes")
    }
    assert sum(parts.values()) == pytest.approx(answer["memory"]["total_bytes"])


def test_where_memory_sets_the_count_its_range_has_no_width() -> None:
    answer = plan_train("deepseek-v3", "a100", tokens="100M", days=3)
    assert "the fewest that hold it" in " ".join(answer.explain().split())
    plan = answer.to_dict()["answer"]
    assert plan["range"]["low"] == plan["range"]["high"] == plan["chips"]
    assert plan["days"] < 3 / 10


def test_days_say_what_of_them_trains() -> None:
    answer = parity.plan_train("llama-3.1-405b", "16384xh100", gbs="16M").to_dict()["answer"]
    goodput = answer["goodput"]
    steps = 15e12 / (2048 * 8192)
    alone = answer["step_time_s"] * steps / 86400
    assert answer["days"] == pytest.approx(alone / goodput["fraction"], rel=1e-5)
    assert goodput["fraction"] + sum(goodput["lost"].values()) == pytest.approx(1)
    assert goodput["low"] < goodput["fraction"] < goodput["high"] < 1
    assert goodput["failures"] == pytest.approx(answer["days"] * 24 / goodput["mtbf_hours"])
    hours = answer["days"] * 24
    assert answer["energy_kwh"] == pytest.approx(answer["power_w"] * hours / 1000)
    assert {"checkpoint_interval_s", "checkpoint_cost_s", "restart_s"} <= goodput.keys()


def test_what_is_stated_of_failures_is_taken() -> None:
    words = {"mtbf": "20000h", "checkpoint": "30s", "restart": "5min"}
    answer = parity.plan_train("llama-3.1-8b", "512xh100", tokens="1T", **words).to_dict()["answer"]
    goodput = answer["goodput"]
    assert goodput["mtbf_hours"] == pytest.approx(20_000 / 512)
    assert (goodput["checkpoint_cost_s"], goodput["restart_s"]) == (30, 300)
    assert answer["range"]["low"] < answer["days"] < answer["range"]["high"]


def test_the_sentence_says_what_failures_take() -> None:
    text = parity.plan_train("llama-3.1-405b", "16384xh100", gbs="16M").explain()
    first = " ".join(text.split("\n\n")[0].split())
    assert "% go to failures, checkpoints and slow chips" in first
    assert "restarts of 10 min each" in " ".join(text.split())


def test_a_match_by_days_counts_failures_like_a_plan() -> None:
    words = {"tokens": "15T", "gbs": "16M", "days": 60}
    plan = parity.plan_train("llama-3.1-70b", "h100", **words).to_dict()["answer"]
    matched = parity.match("llama-3.1-70b", want="h100", train=True, **words)
    assert matched.to_dict()["answer"]["rows"][0]["count"] == plan["chips"]


def test_a_plan_of_a_fleet_has_the_fields_of_a_plan_and_its_parts() -> None:
    found = parity.plan_train("llama-3.1-70b", "128xa100,64xh20", tokens="1T", gbs="8M").to_dict()
    answer = found["answer"]
    of_parts = {"chip", "chips", "layout", "layers", "sequences", "share", "waits", "memory_bytes"}
    assert answer.keys() >= PLAN_FIELDS - {"layout", "memory", "breakdown_s"}
    assert [part.keys() >= of_parts for part in answer["parts"]] == [True, True]
    assert sum(part["share"] for part in answer["parts"]) == pytest.approx(1)
    assert sum(part["chips"] for part in answer["parts"]) == answer["chips"] == 192
    assert answer["range"]["low"] <= answer["days"] <= answer["range"]["high"]
    best = min(one["days"] for one in answer["alone"])
    assert answer["gain_over_alone"] > 1.1
    assert best / answer["days"] == pytest.approx(answer["gain_over_alone"])
    assert all(way["days"] >= answer["days"] for way in found["runners_up"])


def test_days_turn_the_question_round() -> None:
    asked = parity.plan_train("llama-3.1-70b", "h100", tokens="15T", gbs="16M", days=100)
    answer = asked.to_dict()["answer"]
    assert answer["days"] <= 100 * (1 + 1e-6)
    assert answer["range"]["of"] == "chips"
    assert answer["range"]["low"] <= answer["chips"] <= answer["range"]["high"]


def test_a_match_has_a_row_for_each_wanted_chip_in_the_order_asked(matched) -> None:
    rows = matched.to_dict()["answer"]["rows"]
    assert [r["chip"] for r in rows] == ["h20-96", "a100-sxm-80", "ascend910b2", "ppu-96", "mi300x"]
    for row in rows:
        assert row.keys() >= ROW_FIELDS
        assert row["low"] <= row["count"] <= row["high"]


def test_counts_of_a_training_match_lie_where_physics_puts_them(matched) -> None:
    """Around the ratio of peaks: kernels of these families reach 0.55 to 1.6 times as much."""
    peaks = {"h20-96": 148, "a100-sxm-80": 312, "ascend910b2": 354, "ppu-96": 119}
    for row in matched.to_dict()["answer"]["rows"]:
        if row["chip"] in peaks:
            naive = 1024 * 989.4 / peaks[row["chip"]]
            assert 0.55 * naive < row["count"] < 1.6 * naive


def test_an_uncertain_bandwidth_widens_the_range_of_decoding() -> None:
    want = "h100@memory.bandwidth=1.5TB/s..5.2TB/s,h100"
    served = parity.match("llama-3.1-70b", have="640xh20", want=want, isl=128, osl=2000)
    uncertain, stated = served.to_dict()["answer"]["rows"]
    assert uncertain["count"] == stated["count"]
    assert uncertain["high"] / uncertain["low"] > 1.2 * stated["high"] / stated["low"]
    assert uncertain["uncertainty"][0]["source"] == "h100-sxm.memory.bandwidth"


def test_a_slow_sample_takes_a_division_that_is_fast_enough() -> None:
    """Within a limit on a token no sample pays for the layout of the stated figures alone."""
    served = parity.match(
        "llama-3.1-70b", have="640xh100", want="h20,ppu,a100", isl=128, osl=2000, tpot="60ms"
    )
    for row in served.to_dict()["answer"]["rows"]:
        assert row["high"] < 2.5 * row["count"], row["chip"]


def test_a_chip_matches_itself() -> None:
    rows = parity.match("llama-3.1-70b", have="1024xh100", want="h100", **TRAIN).to_dict()[
        "answer"
    ]["rows"]
    assert [(r["count"], r["low"], r["high"]) for r in rows] == [(1024, 1024, 1024)]
    served = parity.match("llama-3.1-70b", have="8xh100", want="h100", isl="2k", osl=500)
    row = served.to_dict()["answer"]["rows"][0]
    assert (row["count"], row["low"], row["high"]) == (8, 8, 8)


def test_a_chip_without_figures_is_a_row_that_names_the_missing_one() -> None:
    answer = parity.match("llama-3.1-70b", have="8xh100", want="sohu,h20")
    sohu, h20 = answer.to_dict()["answer"]["rows"]
    assert sohu["count"] is None
    assert "compute.dense" in sohu["reason"]
    assert h20["count"] > 0


def test_no_chip_that_reaches_it_is_exit_code_4() -> None:
    answer = parity.match(
        "llama-3.1-8b", want="v100", tokens_per_second="100M", train=True, gbs="1M"
    )
    assert answer.exit_code == 4
    assert answer.to_dict()["answer"]["rows"][0]["count"] is None


def test_answers_are_json_text_and_html_of_the_same(matched) -> None:
    assert json.loads(json.dumps(matched.to_dict(), allow_nan=False))["schema_version"] == 1
    assert "5" in matched.explain()
    assert matched._repr_html_().startswith("<section")


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: plan_train("llama-3.1-70b", "h100"), UsageError, "no count"),
        (lambda: plan_train("llama-3.1-70b", "8xh100", gbs=100), UsageError, "one sequence"),
        (lambda: plan_train("llama-3.1-70b", "8xh100", days=-1), UsageError, "above zero"),
        (lambda: plan_train("llama-3.1-70b", "8xh100", top=0), UsageError, "1 to 20"),
        (lambda: plan_train("llama-3.1-8b", "8xh100", mtbf=-1), UsageError, "--mtbf"),
        (lambda: plan_train("llama-3.1-8b", "8xh100", mtbf="5T"), UsageError, "--mtbf"),
        (lambda: plan_train("llama-3.1-8b", "8xh100", restart="99days"), UsageError, "720h"),
        (lambda: plan_train("llama-3.1-8b", "8xh100", checkpoint="nan"), UsageError, "--check"),
        (lambda: plan_train("llama-3.1-8b", "512xh100", mtbf="1h"), Infeasible, "failures"),
        (lambda: plan_train("llama-3.1-70b", "8xh100,h20"), UsageError, "no count"),
        (lambda: plan_train("llama-3.1-8b", "h100,h20", days=9), UsageError, "one kind may"),
        (lambda: plan_train("llama-3.1-8b", "8xh100,8xh20", cluster="x"), UsageError, "--clu"),
        (lambda: match("llama-3.1-8b", want="h20", have="8xh100,8xh20"), UsageError, "2 kinds"),
        (lambda: plan_train("llama-3.1-70b", "8xh10000"), UsageError, "h100"),
        (lambda: plan_train("llama-3.1-8b", "8xsohu"), MissingFact, "compute.dense"),
        (lambda: plan_train("llama-3.1-70b", "64xa100", dtype="fp8"), Infeasible, "fp8"),
        (lambda: plan_train("llama-3.1-70b", "64xa100", dtype="fp7"), UsageError, "fp7"),
        (lambda: match("llama-3.1-8b", want="8xh20", have="8xh100"), UsageError, "count"),
        (lambda: match("llama-3.1-8b", want="h20"), UsageError, "target"),
        (lambda: match("llama-3.1-8b", want="h20", have="h100"), UsageError, "no count"),
        (lambda: match("llama-3.1-8b", want="", have="8xh100"), UsageError, "chip"),
        (lambda: match("llama-3.1-8b", want="h20", have="8xh100", tpot="0s"), UsageError, "1 µs"),
        (lambda: match("llama-3.1-8b", want="h20", have="8xh100", isl=0), UsageError, "--isl"),
        (lambda: match("llama-3.1-8b", want="h20", have="8xh100", kv="no"), UsageError, "dty"),
    ],
)  # fmt: skip
def test_questions_that_cannot_be_read_say_why(call, error, words) -> None:
    with pytest.raises(error, match=words):
        call()


def test_adapters_are_planned_and_named():
    whole = parity.plan_train("llama-3.1-8b", "8xh100", tokens="1B", gbs="256k")
    tuned = parity.plan_train("llama-3.1-8b", "8xh100", tokens="1B", gbs="256k", lora=16)
    assert tuned.content["answer"]["days"] < whole.content["answer"]["days"]
    assert "adapters of rank 16" in tuned.document.sentence
    assert tuned.document.next == ("parity plan train llama-3.1-8b --on 8xh100-sxm",)


def test_a_rank_of_nothing_is_refused():
    with pytest.raises(UsageError, match="between 1 and"):
        parity.plan_train("llama-3.1-8b", "8xh100", lora=0)
