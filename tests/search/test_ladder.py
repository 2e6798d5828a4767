"""Chips in order of what one of them does."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parity import match
from parity.catalogue.load import chip
from parity.search.ladder import FLAGSHIPS, Rung, between, in_order, over, place, speed, standing
from parity.timing.draw import Sampler


def ladder(want, **options):
    return match("llama-3.1-70b", want=want, ladder=True, **options).to_dict()["answer"]["rungs"]


@pytest.fixture(scope="module")
def rungs():
    return {one["chip"]: one for one in ladder("v100,a100,h100,h200,b200,h20")}


def speeds(rungs, phase):
    return {name: one["tokens_per_s"][phase] for name, one in rungs.items()}


def test_generations_come_in_the_order_of_their_years(rungs):
    for phase in ("prefill", "decode"):
        of = speeds(rungs, phase)
        order = ["v100-sxm2-32", "a100-sxm-80", "h100-sxm", "b200-sxm"]
        assert sorted(order, key=of.get) == order


def test_prompts_go_by_compute_and_answers_by_memory(rungs):
    """An H20 has a seventh of an H100's compute and more of its bandwidth."""
    prompts, answers = speeds(rungs, "prefill"), speeds(rungs, "decode")
    assert prompts["h20-96"] < 0.35 * prompts["h100-sxm"]
    assert answers["h20-96"] > 0.4 * answers["h100-sxm"]
    assert prompts["h200-sxm"] == pytest.approx(prompts["h100-sxm"], rel=0.1)
    assert answers["h200-sxm"] > 1.2 * answers["h100-sxm"]


def phase_of(rungs, name, phase):
    (found,) = [one for one in rungs[name]["phases"] if one["phase"] == phase]
    return found


def test_a_newcomer_is_put_between_two_chips(rungs):
    found = phase_of(rungs, "h20-96", "prefill")
    assert (found["below"]["chip"], found["above"]["chip"]) == ("v100-sxm2-32", "a100-sxm-80")
    assert found["below"]["faster"]["value"] > 0 > found["above"]["faster"]["value"]
    ratio = 1 + found["above"]["faster"]["value"]
    of = speeds(rungs, "prefill")
    assert ratio == pytest.approx(of["h20-96"] / of["a100-sxm-80"])
    assert phase_of(rungs, "b200-sxm", "decode")["above"] is None


def test_a_chip_of_the_ladder_stands_on_its_own_step(rungs):
    years = {"v100-sxm2-32": 2018, "a100-sxm-80": 2020, "h100-sxm": 2022, "b200-sxm": 2024}
    for i, (name, year) in enumerate(years.items()):
        for phase in ("prefill", "decode"):
            found = phase_of(rungs, name, phase)
            for end in ("value", "low", "high"):
                assert found["generations_behind"][end] == pytest.approx(3 - i, abs=1e-6)
                assert found["year"][end] == pytest.approx(year, abs=1e-6)


def test_an_h20_is_older_by_its_arithmetic_than_by_its_memory(rungs):
    prompts, answers = (phase_of(rungs, "h20-96", phase) for phase in ("prefill", "decode"))
    assert 2 < prompts["generations_behind"]["value"] < 3
    assert 1 < answers["generations_behind"]["value"] < 2
    assert prompts["year"]["value"] + 1 < answers["year"]["value"]
    for found in (prompts, answers):
        behind = found["generations_behind"]
        assert behind["low"] < behind["value"] < behind["high"]


def test_what_is_shared_cancels_in_ratios(rungs):
    """An H200 is an H100 with more memory: what kernels reach of both is the same."""
    speed_of = phase_of(rungs, "h200-sxm", "prefill")
    alone = speed_of["tokens_per_s"]
    beside = speed_of["below"] or speed_of["above"]
    assert beside["chip"] == "h100-sxm"
    width = beside["faster"]["high"] - beside["faster"]["low"]
    assert width < 0.95 * (alone["high"] - alone["low"]) / alone["value"]


def test_training_has_one_order():
    rungs = ladder("a100,h100", train=True)
    found = {one["chip"]: one["tokens_per_s"]["training"] for one in rungs}
    assert 2 < found["h100-sxm"] / found["a100-sxm-80"] < 3.5


def test_what_cannot_do_it_says_why():
    (one,) = ladder("ascend920")
    assert not one["tokens_per_s"]
    assert one["reason"]


def rung(name, speed, samples=(1.0, 1.0)):
    return Rung(chip(name), {"decode": speed}, "", {"decode": speed * np.array(samples)})


def test_order_and_neighbours():
    a, b, c = (rung(name, speed) for name, speed in (("h20", 3.0), ("h100", 4.0), ("l4", 1.0)))
    assert in_order((a, b, c), "decode") == (c, a, b)
    below, above = between((a, b, c), a, "decode")
    assert (below.rung, above.rung) == (c, b)
    assert above.faster.value == pytest.approx(-0.25)
    assert between((a,), a, "decode") == (None, None)


def test_ranges_of_ratios_are_those_of_samples_drawn_together():
    one, other = rung("h20", 2.0, (0.5, 1.0, 2.0)), rung("h100", 4.0, (0.5, 1.0, 2.0))
    assert over(one, other, "decode").low == over(one, other, "decode").high == 0.5
    assert speed(one, "decode").low < 2.0 < speed(one, "decode").high


def test_without_two_steps_there_is_no_generation():
    one = rung("h20", 2.0)
    assert standing(one, [rung("h100", 4.0)], "decode") is None
    assert standing(one, [rung("h100", 4.0), rung("a100", 1.0)], "prefill") is None


def test_the_flagships_are_in_the_catalogue_a_year_apart_at_least():
    years = [chip(name).year.value for name in FLAGSHIPS]
    assert years == sorted(years)
    assert min(np.diff(years)) >= 1


@given(st.lists(st.floats(1.1, 10.0), min_size=2, max_size=6), st.floats(0.01, 1e4))
def test_places_rise_with_speed_and_fall_on_the_steps(gains, own):
    steps = np.cumprod([1.0, *gains])[:, None]
    for i, step in enumerate(steps):
        at, part = place(step, steps)
        assert at[0] + part[0] == pytest.approx(i)
    at, part = place(np.array([own]), steps)
    more_at, more_part = place(np.array([1.01 * own]), steps)
    assert more_at[0] + more_part[0] > at[0] + part[0]


def test_beyond_the_ladder_it_goes_on_at_the_mean_pace():
    steps = np.array([[1.0], [2.0], [16.0]])  # a factor of four a step on average
    for own, expected in ((0.25, -1.0), (64.0, 3.0), (16.0, 2.0), (1.0, 0.0)):
        at, part = place(np.array([own]), steps)
        assert at[0] + part[0] == pytest.approx(expected)


def test_half_way_is_half_way_in_the_logarithm():
    at, part = place(np.array([2.0]), np.array([[1.0], [4.0]]))
    assert (at[0], part[0]) == (0, pytest.approx(0.5))


def test_a_changed_chip_is_another_and_never_a_step():
    plain, better = ladder("h100,h100@memory.bandwidth=6TB/s")
    assert (plain["label"], better["label"]) == ("h100-sxm", "h100-sxm@memory.bandwidth=6TB/s")
    one, other = (rung["phases"][1] for rung in (plain, better))
    assert other["tokens_per_s"]["value"] > one["tokens_per_s"]["value"]
    assert one["generations_behind"]["value"] == pytest.approx(1, abs=1e-6)
    assert other["generations_behind"]["value"] < 0.9


def test_a_step_without_the_dtype_asked_for_runs_in_its_own():
    answer = match("llama-3.1-70b", want="h20,v100", ladder=True, dtype="fp8").to_dict()["answer"]
    assert [step["chip"] for step in answer["steps"]] == list(FLAGSHIPS)
    h20, v100 = answer["rungs"]
    assert h20["phases"]
    assert "fp8" in v100["reason"]


def test_more_samples_keep_the_stated_speed():
    few = ladder("h20", samples=64)[0]["tokens_per_s"]
    assert few == ladder("h20", samples=256)[0]["tokens_per_s"]
    assert Sampler().samples == 256


def test_the_answer_says_generations_and_neighbours(run):
    words = ("llama-3.1-70b", "--want", "h20,ppu,a800", "--ladder", "-q")
    done = run("match", *words)
    shown = " ".join(done.out.split())
    assert "generations behind b200-sxm: h20-96 " in shown
    assert "in decode between " in shown
    assert "decode, tokens/s of a chip, P10 to P90" in shown
    rules = " ".join(run("match", *words, "--to", "CN").out.split())
    assert "prefill rules to CN" in rules
