"""Plans for serving: counts, pools, loads, and what no plan may do."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parity.catalogue.load import chip
from parity.catalogue.machine import machine
from parity.errors import Infeasible
from parity.layout.serving import degrees
from parity.search.pools import Pool, best_pools
from parity.search.precision import choose_precision
from parity.search.replica import ServingJob, best_replica, divisions
from parity.search.serve import Need, ServingPlan, best_plans, sampled_rates
from parity.timing.draw import Sampler
from parity.timing.engine import engine, usual_engine
from parity.workload.find import model
from parity.workload.request import Request


def job(name: str, on: str, dtype: str = "auto", **limits: float) -> ServingJob:
    request = Request(
        input_tokens=limits.pop("isl", 2000), output_tokens=limits.pop("osl", 500)
    )  # fmt: skip
    precision, _ = choose_precision(model(name), chip(on), dtype)
    return ServingJob(request, precision, **limits)


def plan(
    name: str, on: str, need: Need = Need(), chips: int | None = None, dtype: str = "auto",  # noqa: B008
    **limits: float,
) -> ServingPlan:  # fmt: skip
    own = job(name, on, dtype, **limits)
    return best_plans(model(name), own, machine(chip(on)), usual_engine(chip(on)), need, chips)[0]


@pytest.mark.parametrize("need", [Need(requests_per_s=40.0), Need(users=300.0)])
def test_the_fewest_chips_serve_what_is_needed_and_one_replica_less_does_not(need) -> None:
    found = plan("llama-3.1-8b", "h100", need, tpot_s=0.03)
    assert found.meets
    fewer = plan("llama-3.1-8b", "h100", need, found.chips - found.decode.chips, tpot_s=0.03)
    assert not fewer.meets


def test_the_load_is_what_was_asked_for() -> None:
    found = plan("llama-3.1-8b", "h100", Need(requests_per_s=40.0), 16, tpot_s=0.03)
    assert found.requests_per_s == pytest.approx(40.0, rel=1e-3)
    assert found.most_requests_per_s >= 40.0
    full = plan("llama-3.1-8b", "h100", Need(), 16, tpot_s=0.03)
    assert found.tpot_s < full.tpot_s <= 0.03


@pytest.mark.parametrize("rate", [1e-6, 1e-3, 1.0, 30.0])
def test_a_load_is_met_however_small_by_the_way_that_carries_most(rate) -> None:
    found = plan("llama-3.1-8b", "h100", Need(requests_per_s=rate), tpot_s=0.03)
    assert found.requests_per_s == pytest.approx(rate, rel=1e-3)
    if found.chips == 1:
        most = plan("llama-3.1-8b", "h100", Need(), 1, tpot_s=0.03).most_requests_per_s
        assert found.most_requests_per_s == pytest.approx(most, rel=0.01)


def test_users_who_think_need_fewer_chips() -> None:
    busy = plan("llama-3.1-8b", "h100", Need(users=2000.0), tpot_s=0.03)
    thinking = plan("llama-3.1-8b", "h100", Need(users=2000.0, think_s=60.0), tpot_s=0.03)
    assert thinking.chips < busy.chips


@given(st.floats(1.5, 4.0))
@settings(max_examples=10)
def test_more_to_serve_never_takes_fewer_chips(more) -> None:
    one = plan("llama-3.1-70b", "h20", Need(requests_per_s=5.0), tpot_s=0.05)
    many = plan("llama-3.1-70b", "h20", Need(requests_per_s=5.0 * more), tpot_s=0.05)
    assert many.chips >= one.chips


@pytest.mark.parametrize(
    "spec", ["h20@memory.bandwidth=6TB/s", "h20@bf16=300TFLOP/s", "h20@memory.capacity=192GB"]
)
def test_more_of_any_figure_never_serves_less(spec) -> None:
    from parity.catalogue.spec import parse_fleet

    better = parse_fleet(spec)[0].chip
    own = job("llama-3.1-70b", "h20", tpot_s=0.05)
    arch = model("llama-3.1-70b")
    plain = best_replica(arch, own, machine(chip("h20")), engine())
    more = best_replica(arch, own, machine(better), engine())
    assert more.requests_per_s_per_chip >= plain.requests_per_s_per_chip * (1 - 1e-6)


def test_what_does_not_fit_says_by_how_much() -> None:
    with pytest.raises(Infeasible, match="does not fit") as caught:
        plan("deepseek-v3", "a100-sxm-80", Need(), 8)
    assert caught.value.findings[0].code == "P105"
    assert "GB" in caught.value.findings[0].message


def test_what_is_too_slow_says_what_is_possible() -> None:
    with pytest.raises(Infeasible) as caught:
        plan("llama-3.1-70b", "a100-sxm-80", Need(), 8, tpot_s=0.001)
    found = caught.value.findings[0]
    assert found.code == "P106"
    assert found.fix.startswith("--tpot")


def test_a_matched_pair_of_pools_passes_the_same_requests() -> None:
    arch, target = model("qwen3-32b"), machine(chip("h200"))
    own = job("qwen3-32b", "h200", "fp8", isl=4000, ttft_s=1.0, tpot_s=0.02)
    pool = Pool(target, own)
    found = best_pools(arch, pool, pool, engine(), Need(), 32)
    assert found.prefill is not None
    assert found.chips <= 32
    first = found.prefill.requests_per_s * found.prefill_replicas
    second = found.decode.requests_per_s * found.decode_replicas
    assert min(first, second) == pytest.approx(found.requests_per_s, rel=1e-3)
    assert found.ttft_s <= 1.0 + 1e-9
    assert found.tpot_s <= 0.02


def test_pools_of_different_chips() -> None:
    """H800 for prompts, H20 for tokens: fewer H800 than H800 alone would take."""
    arch = model("qwen3-32b")
    jobs = {c: job("qwen3-32b", c, isl=4000, ttft_s=2.0, tpot_s=0.03) for c in ("h800", "h20")}
    need = Need(requests_per_s=20.0)
    pools = {c: Pool(machine(chip(c)), jobs[c]) for c in jobs}
    mixed = best_pools(arch, pools["h800"], pools["h20"], engine(), need)
    alone = best_pools(arch, pools["h800"], pools["h800"], engine(), need)
    assert mixed.prefill is not None
    assert mixed.prefill.machine.chip.id != mixed.decode.machine.chip.id
    assert mixed.prefill.chips * mixed.prefill_replicas < alone.chips


def test_experts_spread_where_that_serves_more() -> None:
    found = plan("deepseek-v3", "h800", Need(), 64, isl=4000, osl=1000, tpot_s=0.1)
    assert degrees(found.decode.layout)["ep"] > 8


def test_a_wafer_holds_a_small_model_and_a_pipeline_of_wafers_a_large_one() -> None:
    """Cerebras says 1,800 tokens/s for one user of Llama 3.1 8B and 450 of 70B."""
    small = plan("llama-3.1-8b", "wse3", Need(users=1.0))
    large = plan("llama-3.1-70b", "wse3", Need(users=1.0))
    assert small.chips == 1
    assert large.chips == 4
    assert small.tokens_per_s_per_user == pytest.approx(1800, rel=0.35)
    assert large.tokens_per_s_per_user == pytest.approx(450, rel=0.35)


def test_divisions_are_legal_and_none_comes_twice() -> None:
    arch = model("deepseek-v3")
    layout = divisions(arch, machine(chip("h800")), 64)
    assert np.all(layout.ep * layout.etp == layout.tp * layout.dp)
    rows = {tuple(degrees(layout, i).values()) for i in range(len(layout))}
    assert len(rows) == len(layout)


def test_the_median_sample_is_near_the_plan() -> None:
    """A little below it: a slow sample loses requests to the latency, a fast one gains none."""
    own = job("llama-3.1-70b", "h20", tpot_s=0.05)
    found = best_replica(model("llama-3.1-70b"), own, machine(chip("h20")), engine())
    rates = sampled_rates(own, found, Sampler(samples=1024))
    assert rates.shape == (1024,)
    assert 0.85 < np.median(rates) / found.requests_per_s_per_chip < 1.0
    assert rates.min() > 0
