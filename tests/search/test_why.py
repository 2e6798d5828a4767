"""Why a plan is as fast as it is: parts add up, losses only add, more of a figure never hurts."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parity.catalogue.machine import machine
from parity.catalogue.spec import parse_fleet
from parity.errors import Infeasible
from parity.evaluate.classes import serving_parts, training_parts
from parity.evaluate.losses import serving_rungs, training_rungs
from parity.search.serve import Need
from parity.search.serving_plan import ServingQuestion
from parity.search.why import bound_of, first_token, total, why_serving_plan
from parity.search.why_change import Change, part_of
from parity.search.why_figures import FACTORS, figures, improved, over_the_host
from parity.search.why_serving import serving_effects
from parity.search.why_training import searched, seconds, training_effects
from parity.search.why_ways import both
from tests.search.whys import serving, training

TRAINING = [
    ("llama-3.1-8b", "16xh100", "auto"),
    ("llama-3.1-70b", "64xh20", "auto"),
    ("llama-3.1-70b", "128xa100-pcie-80", "auto"),
    ("deepseek-v3", "1024xh800", "fp8"),
    ("qwen3-30b-a3b", "64x910b", "auto"),
]
SERVING = [
    ("llama-3.1-8b", "8xh100", "auto"),
    ("llama-3.1-70b", "16xh20", "disaggregated"),
    ("deepseek-v3", "32xh200", "aggregated"),
    ("gpt-oss-20b", "4xmi300x", "auto"),
]


@pytest.fixture(scope="module")
def trained_on_h100():
    return training("llama-3.1-70b", "256xh100")


@pytest.fixture(scope="module")
def served_on_h100():
    return serving("llama-3.1-8b", "8xh100")


@pytest.mark.parametrize(("model", "on", "dtype"), TRAINING)
def test_parts_of_a_training_step_add_up_and_losses_only_add(model, on, dtype):
    case = training(model, on, dtype)
    args = (case.arch, case.job, case.plan.layout, case.machine, case.software)
    parts = training_parts(*args)
    assert total(parts.total_s) == pytest.approx(case.plan.time_s, rel=1e-12)
    assert all(total(s) >= 0 for kind in (parts.compute, parts.memory) for s in kind.values())
    rungs = training_rungs(*args)
    times = [rung.time_s for rung in rungs]
    assert all(np.diff(times) >= -1e-12 * times[-1])
    assert times[-1] == pytest.approx(case.plan.time_s, rel=1e-12)
    assert times[0] / times[-1] == pytest.approx(case.plan.mfu(case.arch), rel=1e-9)
    losses = [before / after for before, after in pairwise(times)]
    assert math.prod(losses) == pytest.approx(case.plan.mfu(case.arch), rel=1e-9)


@pytest.mark.parametrize(("model", "on", "mode"), SERVING)
def test_parts_of_a_serving_step_add_up_and_losses_only_add(model, on, mode):
    case = serving(model, on, mode)
    decode = case.plan.decode
    loads, step_s = decode.steady.loads, total(decode.steady.step_s)
    parts = serving_parts(decode.model, decode.layout, loads)
    assert total(parts.total_s) == pytest.approx(step_s, rel=1e-12)
    times = [rung.time_s for rung in serving_rungs(decode.model, decode.layout, loads)]
    assert all(np.diff(times) >= -1e-12 * times[-1])
    assert times[-1] == pytest.approx(step_s, rel=1e-12)
    waits = sum(seconds for _, seconds in first_token(case))
    assert waits == pytest.approx(case.plan.ttft_s, rel=1e-12)


def test_drafting_is_a_part_of_its_own():
    case = serving("llama-3.1-8b", "8xh100", drafted=3)
    decode = case.plan.decode
    parts = serving_parts(decode.model, decode.layout, decode.steady.loads)
    assert total(parts.others["drafts_s"]) > 0
    assert total(parts.total_s) == pytest.approx(total(decode.steady.step_s), rel=1e-12)


@settings(max_examples=12)
@given(
    which=st.sampled_from(TRAINING[:3]),
    index=st.integers(0, 20),
    factor=st.floats(1.0, 4.0),
)
def test_more_of_any_figure_trains_no_slower_when_planned_anew(which, index, factor):
    case = training(*which)
    known = figures(case.machine, (case.job.dtype, "bf16"))
    better = improved(case.machine, known[index % len(known)], factor)
    new = searched(case, case.job, case.software, better)
    assert new is not None
    assert new[0] <= case.plan.time_s * (1 + 1e-6)


@pytest.mark.parametrize(
    ("on", "prefill_on", "slow"), [("8xh20", "8xh100", "h100-sxm"), ("8xh20", "64xh100", "h20-96")]
)
def test_of_two_pools_only_the_one_that_is_waited_for_gains(on, prefill_on, slow):
    case = serving("llama-3.1-70b", on, prefill_on=prefill_on, osl=200)
    why = why_serving_plan(case)
    least = min(why.pools, key=lambda pool: pool.most_requests_per_s)
    assert least.chip == slow
    assert least.most_requests_per_s == pytest.approx(case.plan.most_requests_per_s, rel=1e-9)
    for pool in why.pools:
        times = [rung.time_s for rung in pool.rungs]
        assert all(np.diff(times) >= -1e-12 * times[-1])
    gains = {one.lever: one.held for one in why.effects if one.hardware and one.amount == "x2"}
    levers = {lever.split("@")[0] for lever in gains}
    assert levers == {"h20-96", "h100-sxm"}
    assert gains[f"{slow}@compute.dense.bf16"] > 0.1
    assert all(gain == 0 for lever, gain in gains.items() if not lever.startswith(slow))


@settings(max_examples=12)
@given(which=st.sampled_from(SERVING), index=st.integers(0, 20), factor=st.floats(1.0, 2.0))
def test_more_of_any_figure_carries_no_less_when_planned_anew(which, index, factor):
    case = serving(*which)
    dtypes = [rate.dtype for rate in case.plan.decode.model.by_dtype.values()]
    known = figures(case.machine, dtypes)
    better = improved(case.machine, known[index % len(known)], factor)
    before, after = both(case, Change())[1], both(case, Change(target=better, gain=factor))[1]
    assert after.rate >= before.rate * (1 - 1e-6)


def test_few_layouts_are_as_good_as_all(trained_on_h100):
    """Those within the factor of the best are enough, for every figure."""
    case = trained_on_h100
    found = {(one.lever, one.amount): one for one in training_effects(case)}
    for figure in figures(case.machine, (case.job.dtype,)):
        better = improved(case.machine, figure, FACTORS[-1])
        every = searched(case, case.job, case.software, better)
        gain = case.plan.time_s / every[0] - 1
        assert found[figure.key, "x2"].replanned == pytest.approx(gain, abs=1e-6), figure.key


def test_few_ways_are_as_good_as_all():
    """Of a mixture of experts, against a search of all ways on the better chip."""
    case = serving("deepseek-v3", "32xh200", "aggregated")
    for figure in figures(case.machine, ("fp8", "bf16")):
        key, better = figure.key, improved(case.machine, figure, 2.0)
        part = "" if key == "memory.capacity" else part_of(key)
        few = both(case, Change(target=better, gain=2.0 if part else 1.0, part=part))[1]
        every = both(replace(case, found=None), Change(target=better))[1]
        assert few.rate == pytest.approx(every.rate, rel=1e-6), key


def test_a_chip_varied_here_is_the_chip_a_user_states(trained_on_h100):
    case = trained_on_h100
    figure = next(f for f in figures(case.machine, ("bf16",)) if f.key == "memory.bandwidth")
    ours = improved(case.machine, figure, 2.0)
    theirs = machine(parse_fleet("h100@memory.bandwidth=6.7TB/s")[0].chip)
    assert seconds(case, ours) == seconds(case, theirs)
    assert ours.memory_bandwidth_bytes_per_s == 6.7e12


def test_decoding_waits_for_memory_and_prompts_for_compute():
    """The usual division of labour [Pope et al. 2022, arXiv 2211.05102, §2.1]."""
    for on in ("8xh200", "8xa100-sxm-80"):
        why = why_serving_plan(serving("llama-3.1-70b", on, "aggregated", users=16))
        assert (bound_of(why.decode), bound_of(why.prompt)) == ("memory", "compute"), on


def test_an_h20_takes_prompts_as_its_compute_lets_it():
    case = serving("llama-3.1-70b", "16xh20", "aggregated")
    assert bound_of(why_serving_plan(case).prompt) == "compute"
    best = next(one for one in serving_effects(case) if one.hardware)
    assert best.lever == "compute.dense.bf16"


def test_chips_without_a_link_of_their_own_are_held_up_by_the_bus():
    """L40S reach each other over PCIe 4.0: prompts of a divided model wait for it."""
    case = serving("llama-3.1-70b", "8xl40s", "aggregated", ttft="none")
    assert bound_of(why_serving_plan(case).prompt) == "link"


def test_the_same_training_over_pcie_waits_for_links():
    """A100 in 8 tensor-parallel parts, over NVLink and over the host's bus."""
    case = training("llama-3.1-70b", "64xa100-sxm-80")
    wide = case.plan.layout.replace(tp=np.array([8]), pp=np.array([2]), dp=np.array([4]))
    shares = []
    for target in (case.machine, over_the_host(case.machine)):
        parts = training_parts(case.arch, case.job, wide, target, case.software)
        shares.append(total(parts.others["tp_s"]) / total(parts.total_s))
    assert shares[0] < 0.15
    assert shares[1] > 0.35


def test_one_user_gains_from_bandwidth_and_not_from_flops():
    case = serving("llama-3.1-8b", "1xh200", "aggregated", users=1, ttft="none", tpot="none")
    why = why_serving_plan(case)
    assert bound_of(why.decode) == "memory"
    compute_s, memory_s = why.roofs_s
    assert memory_s > 20 * compute_s


def test_effects_are_sorted_and_of_both_kinds(trained_on_h100):
    effects = training_effects(trained_on_h100)
    sizes = [one.size for one in effects]
    assert sizes == sorted(sizes, reverse=True)
    assert {one.hardware for one in effects} == {True, False}
    levers = {one.lever for one in effects}
    assert {"memory.capacity", "scale_up.latency", "launches", "fp8 products"} <= levers
    for one in effects:
        assert one.replanned is None or one.held is None or one.replanned >= one.held - 1e-9


def test_more_of_a_figure_brings_more(trained_on_h100, served_on_h100):
    for effects in (training_effects(trained_on_h100), serving_effects(served_on_h100)):
        by = {(one.lever, one.amount): one for one in effects if one.hardware}
        doubled = {lever for lever, amount in by if amount == "x2"}
        assert len(doubled) >= 7
        for lever in doubled:
            less, more = by[lever, "+10 %"], by[lever, "x2"]
            assert more.replanned >= less.replanned - 1e-9, lever
            assert more.held >= less.held - 1e-9, lever


def test_the_range_of_an_effect_is_around_it(trained_on_h100):
    found = [one for one in training_effects(trained_on_h100) if one.span]
    assert {"compute.dense.bf16", "memory.bandwidth"} <= {one.lever for one in found}
    for one in found:
        low, high = one.span
        assert low - 1e-9 <= one.held <= high + 1e-9, one
        assert low >= -1e-9, one


def test_every_figure_and_choice_is_tried(trained_on_h100, served_on_h100):
    hardware = {
        "compute.dense.bf16", "memory.bandwidth", "memory.capacity", "physical.tdp",
        "scale_up.bandwidth", "scale_up.latency", "scale_out.bandwidth", "scale_out.latency",
        "launches",
    }  # fmt: skip
    served, trained = serving_effects(served_on_h100), training_effects(trained_on_h100)
    assert {one.lever for one in served if one.hardware} == hardware
    assert {one.lever for one in trained if one.hardware} == hardware
    choices = {
        "fp8 KV cache", "fp8 weights", "no latency asked for", "token budget",
        "no time of the host", "requests at a time at most", "prompts on chips of their own",
    }  # fmt: skip
    assert choices <= {one.lever for one in served}
    levers = {one.lever for one in trained}
    assert {"no host launches", "all communication hidden", "global batch"} <= levers


def test_recomputation_costs_what_leaving_it_out_would_bring():
    case = training("llama-3.1-405b", "128xa100-sxm-80")
    one = next(e for e in training_effects(case) if e.lever == "no recomputation")
    assert int(case.plan.layout.recompute[0]) > 0
    assert one.held > 0
    assert one.replanned is None or one.replanned <= 1e-9


def test_what_never_fits_is_said():
    with pytest.raises(Infeasible):
        training("llama-3.1-405b", "8xa100")


def test_the_question_is_whole(served_on_h100):
    assert isinstance(served_on_h100.question, ServingQuestion)
    assert served_on_h100.question.need == Need()
