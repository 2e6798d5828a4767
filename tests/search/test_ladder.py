"""Chips in order of what one of them does."""

import pytest

from parity import match
from parity.catalogue.load import chip
from parity.search.ladder import Rung, in_order, nearest


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


def test_a_newcomer_is_put_beside_the_chip_it_is_most_like(rungs):
    assert rungs["h200-sxm"]["nearest"]["prefill"]["chip"] == "h100-sxm"
    assert rungs["b200-sxm"]["nearest"]["decode"]["faster"] > 0


def test_training_has_one_order():
    rungs = ladder("a100,h100", train=True)
    found = {one["chip"]: one["tokens_per_s"]["training"] for one in rungs}
    assert 2 < found["h100-sxm"] / found["a100-sxm-80"] < 3.5


def test_what_cannot_do_it_says_why():
    (one,) = ladder("ascend920")
    assert not one["tokens_per_s"]
    assert one["reason"]


def test_order_and_neighbours():
    a, b, c = (
        Rung(chip(name), {"decode": speed})
        for name, speed in (("h20", 3.0), ("h100", 4.0), ("l4", 1.0))
    )
    assert in_order((a, b, c), "decode") == (c, a, b)
    assert nearest((a, b, c), a, "decode") == (b, pytest.approx(-0.25))
    assert nearest((a,), a, "decode") is None
    assert nearest((a, b), Rung(chip("l4"), {}), "decode") is None
