"""What to add to chips that are owned, for training and for serving, on chips of the catalogue."""

from typing import Any

import pytest

import parity

SMALL, LARGE = "llama-3.1-8b", "llama-3.1-70b"
Fields = dict[str, Any]


def asked(model: str, owned: str, want: str | None = None, **words: Any) -> Fields:
    """The answer as plain data."""
    answer = parity.match(model, owned=owned, want=want, samples=64, **words).to_dict()["answer"]
    assert isinstance(answer, dict)
    return answer


def row(model: str, owned: str, want: str, **words: Any) -> Fields:
    (found,) = asked(model, owned, want, **words)["rows"]
    assert isinstance(found, dict)
    return found


SERVING = ({}, {"ttft": "2s", "tpot": "50ms"})
TRAINING = {"train": True, "gbs": "1M"}
EVERY = (*SERVING, TRAINING)


@pytest.mark.parametrize("words", EVERY)
def test_chips_that_suffice_need_nothing_more(words: Fields) -> None:
    found = asked(SMALL, "64xh100", "a100,h100", have="16xh100", **words)
    assert [one["count"] for one in found["rows"]] == [0, 0]
    assert found["owned"]["reach"] >= 4 * 0.9
    assert {one["manner"] for one in found["rows"]} == {"owned"}


@pytest.mark.parametrize("words", EVERY)
@pytest.mark.parametrize("chip", ["h100", "a100", "h20", "910b"])
def test_of_one_kind_what_is_missing_is_added(chip: str, words: Fields) -> None:
    alone = parity.match(SMALL, have="32xh100", want=chip, samples=64, **words).to_dict()
    whole = alone["answer"]["rows"][0]["count"]
    for owned in (8, 16, 24):
        found = row(SMALL, f"{owned}x{chip}", chip, have="32xh100", **words)
        assert found["count"] == whole - owned


@pytest.mark.parametrize("words", EVERY)
def test_without_wanted_chips_more_of_the_owned_ones_are_counted(words: Fields) -> None:
    found = asked(SMALL, "8xa100,8xh20", have="32xh100", **words)
    assert [one["chip"] for one in found["rows"]] == ["a100-sxm-80", "h20-96"]
    named = asked(SMALL, "8xa100,8xh20", "a100,h20", have="32xh100", **words)
    assert found["rows"] == named["rows"]
    assert all(one["count"] > 0 for one in found["rows"])


@pytest.mark.parametrize("words", EVERY)
def test_more_owned_chips_never_need_more_beside_them(words: Fields) -> None:
    counts = [
        row(SMALL, f"{owned}xa100", "h20", have="32xh100", **words)["count"]
        for owned in (8, 24, 40, 64)
    ]
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] < counts[0]


@pytest.mark.parametrize("words", EVERY)
def test_a_higher_target_never_needs_fewer(words: Fields) -> None:
    counts = [
        row(SMALL, "16xa100", "h20", have=f"{have}xh100", **words)["count"]
        for have in (4, 12, 24, 48)
    ]
    assert counts == sorted(counts)
    assert counts[-1] > 2 * counts[-2]


@pytest.mark.parametrize("words", EVERY)
def test_the_parts_reach_the_target_on_chips_that_are_there(words: Fields) -> None:
    found = row(SMALL, "24xa100", "h20", have="32xh100", **words)
    assert 1 - 1e-6 <= found["reach"] < 1.4
    used = {"a100-sxm-80": 0, "h20-96": 0}
    for part in found["parts"]:
        used[part["chip"]] += part["chips"]
    assert used["a100-sxm-80"] + sum(one["chips"] for one in found["idle"]) == 24
    assert 0 < used["h20-96"] <= found["count"]
    assert found["low"] <= found["count"] <= found["high"]
    phases = {part["does"] for part in found["parts"]}
    whole = [part["share"] for part in found["parts"] if part["does"] != "decoding"]
    assert sum(whole) == pytest.approx(1)
    assert ("prompts" in phases) == ("decoding" in phases)


def test_a_service_meets_its_latencies_in_every_part() -> None:
    found = row(LARGE, "16xa100", "h20", have="16xh100", ttft="2s", tpot="50ms")
    assert found["manner"] == "pools"
    for part in found["parts"]:
        assert part.get("ttft_s", 0) <= 2 * (1 + 1e-6)
        assert part.get("tpot_s", 0) <= 0.05 * (1 + 1e-6)


def test_pools_over_two_kinds_must_agree_on_the_cache() -> None:
    codes = {
        want: {f.code for f in parity.match(
            SMALL, owned="8xa100", want=want, have="16xh100", ttft="2s", tpot="50ms", samples=64
        ).content["findings"]}
        for want in ("v100", "910b")
    }  # fmt: skip
    assert "P315" in codes["v100"]
    assert "P314" in codes["v100"]
    assert not codes["910b"] & {"P314", "P315"}
    found = row(SMALL, "8xa100", "v100", have="16xh100", ttft="2s", tpot="50ms")
    assert found["manner"] == "replicas"


def test_owned_chips_that_only_slow_a_job_stay_idle() -> None:
    words = {"train": True, "gbs": "2M", "days": 30}
    answer = parity.match(SMALL, owned="8xh100", want="a100", samples=64, **words)
    found = answer.to_dict()["answer"]["rows"][0]
    alone = parity.match(SMALL, want="a100", samples=64, **words).to_dict()["answer"]["rows"][0]
    assert (found["manner"], found["count"]) == ("alone", alone["count"])
    assert found["idle"] == [{"chip": "h100-sxm", "chips": 8}]
    assert "P311" in {f.code for f in answer.content["findings"]}


def test_where_no_number_does_the_wall_is_named() -> None:
    answer = parity.match(
        SMALL, owned="8xa100", want="h20", have="512xh100", train=True, gbs="64k", samples=64
    )
    found = answer.to_dict()["answer"]["rows"][0]
    assert answer.exit_code == 4
    assert (found["count"], found["bound_by"]) == (None, "P104")
    assert "batch" in found["reason"]
    assert 0 < found["reach"] < 1


def test_a_chip_that_only_decodes_waits_for_the_owned_ones_prompts() -> None:
    slow = "h20@compute.dense.bf16=20TFLOP/s"
    found = row(LARGE, "16xa100", slow, have="64xh100", ttft="1s", tpot="50ms")
    assert found["count"] is None
    assert found["bound_by"] == "P104"
    assert "16 a100-sxm-80" in found["reason"]
    assert 0 < found["reach"] < 1
    nothing = row(LARGE, "16xa100", "h20@compute.dense.bf16=4TFLOP/s", have="64xh100", **SERVING[1])
    assert (nothing["count"], nothing["bound_by"]) == (None, "P106")


def test_a_load_in_requests_is_that_of_the_chips_that_carry_it() -> None:
    words = {"profile": "chat"}
    by_chips = asked(LARGE, "8xa100", "h20", have="16xh100", **words)
    rate = by_chips["target"]["requests_per_s"]
    found = asked(LARGE, "8xa100", "h20", rps=rate, **words)
    assert found["target"]["requests_per_s"] == pytest.approx(rate)
    assert [one["count"] for one in found["rows"]] == [one["count"] for one in by_chips["rows"]]
    alone = parity.match(LARGE, have="16xh100", want="h20", samples=64, **words).to_dict()
    assert alone["answer"]["target"]["requests_per_s"] == pytest.approx(rate, rel=1e-6)


def test_days_of_other_chips_count_what_interrupts_them() -> None:
    words = {"have": "32xh100", "equal": "time", **TRAINING}
    found = asked(SMALL, "16xh100", "h100", **words)
    assert found["rows"][0]["count"] == 16
    bare = asked(SMALL, "16xh100", "h100", have="32xh100", **TRAINING)
    assert found["target"]["step_time_s"] > bare["target"]["step_time_s"]


def test_a_chip_without_a_figure_is_named_and_the_others_counted() -> None:
    found = asked(SMALL, "8xa100", "ascend920,h20", have="16xh100")
    missing, counted = found["rows"]
    assert missing["bound_by"] == "missing figure"
    assert missing["count"] is None
    assert counted["count"] > 0


def test_what_chips_share_is_not_uncertain_between_them() -> None:
    found = asked(SMALL, "8xh100", "h100", have="16xh100")
    assert found["owned"]["range"]["low"] == found["owned"]["range"]["high"]
    (one,) = found["rows"]
    assert (one["low"], one["count"], one["high"]) == (8, 8, 8)


def test_an_uncertain_surplus_may_turn_out_a_lack() -> None:
    found = asked(LARGE, "32xa100", "h20", have="10xh100", ttft="2s", tpot="50ms")
    assert found["owned"]["reach"] > 1 > found["owned"]["range"]["low"]
    (one,) = found["rows"]
    assert one["count"] == one["low"] == 0 < one["high"]
    found = asked(SMALL, "64xa100", "h20", have="24xh100", **TRAINING)
    assert found["owned"]["reach"] > 1 > found["owned"]["range"]["low"]
    (one,) = found["rows"]
    assert one["count"] == one["low"] == 0 < one["high"]


def test_the_fleet_with_what_is_added_is_planned_to_be_as_fast() -> None:
    found = asked(SMALL, "24xa100", "h20,910b", have="32xh100", **TRAINING)
    for one in found["rows"]:
        fleet = f"24xa100,{one['count']}x{one['chip']}"
        plan = parity.plan_train(SMALL, fleet, gbs="1M", samples=64).to_dict()["answer"]
        assert plan["step_time_s"] <= found["target"]["step_time_s"] * (1 + 1e-6)


def test_the_pools_of_an_answer_are_planned_to_carry_as_much() -> None:
    words = {"ttft": "2s", "tpot": "50ms", "engine_generation": "current"}
    found = row(LARGE, "16xa100", "910b", have="16xh100", **words)
    prompts, tokens = found["parts"]
    assert (prompts["does"], tokens["does"]) == ("prompts", "decoding")
    assert prompts["chip"] == "ascend910b2"
    plan = parity.plan_serve(
        LARGE, f"{tokens['chips']}x{tokens['chip']}", isl="2k", osl=500, samples=64,
        prefill_on=f"{prompts['chips']}x{prompts['chip']}", **words,
    ).to_dict()["answer"]  # fmt: skip
    carried = min(prompts["requests_per_s"], tokens["requests_per_s"])
    assert plan["most_requests_per_s"] == pytest.approx(carried, rel=1e-6)


def test_a_wall_says_in_figures_what_would_move_it() -> None:
    words = {"train": True, "gbs": "64k"}
    wall = row(SMALL, "8xa100", "h20", have="512xh100", **words)["wall"]
    assert (wall["kind"], wall["value"]) == ("critical batch", 8)
    assert wall["works"]
    wall = row(LARGE, "16xa100", "t4", have="16xh100", ttft="2s", tpot="50ms")["wall"]
    assert wall["kind"] == "latency floor"
