"""Steps, memory and steady states of serving: published figures, and what holds for any load."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parity.catalogue.load import chip
from parity.catalogue.machine import Machine, machine
from parity.evaluate.serving import steady_state
from parity.evaluate.serving_memory import cache_per_request, room_for_cache, weights_per_chip
from parity.evaluate.step import Served, hottest_share, served, step
from parity.layout.layout import Layout, columns
from parity.layout.step import Load
from parity.timing.draw import Sampler
from parity.timing.engine import Engine, engine, engines
from parity.workload.count import weight_bytes
from parity.workload.find import model
from parity.workload.precision import Precision
from parity.workload.request import Request
from tests.machines import two_level

HALF = Precision(weights="bf16", kv="bf16")
FP8 = Precision(weights="fp8", kv="bf16")


def replica(count: int = 1, **degrees: int) -> Layout:
    """`count` columns of one division."""
    own = {name: np.full(count, n) for name, n in {"tp": 1, **degrees}.items()}
    none = np.zeros(count, dtype=np.int64)
    return columns(**own, zero=none, sequence_parallel=none)


def running(
    name: str = "llama-3.1-8b", on: Machine | None = None, precision: Precision = HALF,
    under: Engine | None = None,
) -> Served:  # fmt: skip
    target = on or machine(chip("h100-sxm"))
    return served(model(name), precision, target, under or engine())


def one(value: object) -> float:
    return float(np.ravel(np.asarray(value))[0])


def decoding(model_: Served, layout: Layout, requests: float, context: float) -> float:
    return one(step(model_, layout, Load(np.array([requests]), context)).total_s)


# --- DeepSeek's published day ------------------------------------------------------------------
# deepseek-ai/open-infra-index, 202502OpenSourceWeek, day 6: H800 nodes of 8, prompts on 32 chips
# and tokens on 144, FP8 weights, BF16 attention. 608 G input tokens of which 342 G from the cache
# (56.3 %), 168 G output tokens, 226.75 nodes on average, 20 to 22 tokens/s for a user, 4,989 tokens
# of context for each output token.

NODE, CACHED, CONTEXT = 8, 342 / 608, 4989.0
USER_TOKENS_PER_S = (20.0, 22.0)
OUTPUT_PER_NODE, INPUT_PER_NODE = 14_800.0, 73_700.0


def deepseek() -> Served:
    return running("deepseek-v3", machine(chip("h800-sxm")), FP8)


def test_a_node_of_h800_makes_the_tokens_that_deepseek_published() -> None:
    """At the speed that its users saw, 144 chips hold so many requests, within 15 %."""
    requests = np.arange(1.0, 200.0)
    layout = replica(len(requests), tp=1, dp=144, ep=144)
    time_s = step(deepseek(), layout, Load(requests, CONTEXT)).total_s
    held = np.interp(1 / np.mean(USER_TOKENS_PER_S), time_s, requests)
    made = NODE * held * np.mean(USER_TOKENS_PER_S)
    assert made == pytest.approx(OUTPUT_PER_NODE, rel=0.15)
    room = room_for_cache(deepseek(), layout, 512.0)[0]
    assert held * cache_per_request(deepseek(), layout, CONTEXT)[0] < room


def test_the_nodes_of_deepseeks_day_are_enough_for_its_prompts_and_tokens() -> None:
    """73.7 k tokens of input a second and node were seen while a node takes in prompts, cached ones
    counted; a full node takes in more, and the pools that the day's tokens ask for are no larger
    than the nodes that ran.
    """
    full = 16_384.0
    layout = replica(tp=1, dp=32, ep=32)
    length = CONTEXT - 168e9 / (608e9 / CONTEXT) / 2
    load = Load(np.zeros(1), 1.0, np.array([full]), length, length * CACHED)
    computed = NODE * full / one(step(deepseek(), layout, load).total_s)
    with_hits = computed / (1 - CACHED)
    assert with_hits > INPUT_PER_NODE
    day = 86_400.0
    nodes = (608e9 - 342e9) / day / computed + 168e9 / day / OUTPUT_PER_NODE
    assert 0.6 * 226.75 < nodes < 226.75


def test_the_profile_of_deepseeks_prefill_is_reproduced() -> None:
    """deepseek-ai/profile-data: 32 chips, prompts of 4,096, 16 k tokens a chip."""
    layout = replica(tp=1, dp=32, ep=32)
    load = Load(np.zeros(1), 1.0, np.array([16_384.0]), 4096.0)
    per_chip = 16_384.0 / one(step(deepseek(), layout, load).total_s)
    assert per_chip == pytest.approx(7839, rel=0.15)  # InferSim's reading of the profile


# --- what holds for any step -------------------------------------------------------------------


def test_a_lone_request_decodes_no_faster_than_its_weights_are_read() -> None:
    h100 = machine(chip("h100-sxm"))
    least = weight_bytes(model("llama-3.1-8b")) / h100.memory_bandwidth_bytes_per_s
    assert decoding(running(), replica(), 1.0, 128.0) > 0.9 * least  # one row of the embedding


def test_a_prompt_takes_no_less_than_its_flop_at_the_peak() -> None:
    h100 = machine(chip("h100-sxm"))
    load = Load(np.zeros(1), 1.0, np.array([2048.0]), 2048.0)
    least = 2 * 7.5e9 * 2048 / h100.peak_flop_per_s["bf16"]
    assert one(step(running(), replica(), load).total_s) > least


@given(
    st.floats(1, 512), st.floats(1, 1e5), st.floats(1.01, 3),
    st.sampled_from(["llama-3.1-8b", "deepseek-v3", "qwen3-30b-a3b", "jamba-v0.1", "gemma-2-9b"]),
)  # fmt: skip
def test_more_requests_or_context_never_take_less_time(requests, context, more, name) -> None:
    own, layout = running(name), replica(tp=8)
    base = decoding(own, layout, requests, context)
    assert decoding(own, layout, requests * more, context) >= base * (1 - 1e-9)
    assert decoding(own, layout, requests, context * more) >= base * (1 - 1e-9)


@given(
    st.sampled_from([("peak", 300e12), ("bandwidth", 2e12), ("near", 300e9)]),
    st.floats(1.0, 4.0), st.floats(1, 300),
)  # fmt: skip
def test_a_faster_chip_never_takes_longer(figure, more, requests) -> None:
    name, value = figure
    plain, faster = two_level(), two_level(**{name: value * more})
    layout = replica(tp=8)
    slow = decoding(running(on=plain), layout, requests, 2000.0)
    assert decoding(running(on=faster), layout, requests, 2000.0) <= slow * (1 + 1e-9)


def test_drafts_read_the_cache_once() -> None:
    """Three queries of a request cost less than three steps where the cache is what is read."""
    own, layout = running(), replica()
    single = step(own, layout, Load(np.array([64.0]), 8000.0)).total_s
    drafted = step(own, layout, Load(np.array([64.0]), 8000.0, queries=3.0)).total_s
    assert one(single) < one(drafted) < 1.5 * one(single)


def test_the_busiest_expert_chip_works_more_than_the_mean() -> None:
    arch = model("deepseek-v3")
    even = hottest_share(arch, replica(tp=1, dp=32, ep=32), np.array([1e9]), 0.0)
    assert one(even) == pytest.approx(1.0, abs=1e-3)
    skewed = hottest_share(arch, replica(tp=1, dp=32, ep=32), np.array([1e9]), 0.5)
    few = hottest_share(arch, replica(tp=1, dp=32, ep=32), np.array([4.0]), 0.5)
    assert 1.0 < one(skewed) < one(few) <= 32


# --- memory ------------------------------------------------------------------------------------


def test_weights_of_all_chips_are_those_of_the_model() -> None:
    """DeepSeek-V3 in FP8 on 16 chips, experts spread: attention is on every rank."""
    own = deepseek()
    alone = one(weights_per_chip(own, replica()))
    assert alone == pytest.approx(weight_bytes(model("deepseek-v3")), rel=0.01)
    # What narrows queries and keys to their latents is on every chip of a group.
    assert alone < 16 * one(weights_per_chip(own, replica(tp=16))) < 1.04 * alone
    assert 16 * one(weights_per_chip(own, replica(dp=16, ep=16))) > 1.1 * alone


@pytest.mark.parametrize(
    ("name", "tp", "token"),
    [
        ("llama-3.1-70b", 1, 2 * 80 * 8 * 128 * 2),
        ("llama-3.1-70b", 8, 2 * 80 * 8 * 128 * 2 / 8),
        ("llama-3.1-70b", 16, 2 * 80 * 8 * 128 * 2 / 8),  # copied beyond 8 key-value heads
        ("deepseek-v3", 1, 61 * 576 * 2),
        ("deepseek-v3", 8, 61 * 576 * 2),  # a latent cache is copied to every chip
    ],
)
def test_the_cache_of_a_token_on_a_chip(name, tp, token) -> None:
    held = one(cache_per_request(running(name), replica(tp=tp), 1000.0))
    assert held == pytest.approx(1000 * token)


# --- steady states -----------------------------------------------------------------------------


def load(**given_: float) -> Request:
    return Request(**{"input_tokens": 1000, "output_tokens": 500, **given_})


def test_littles_law_holds() -> None:
    requests = np.array([1.0, 16.0, 64.0, 200.0])
    steady = steady_state(running(), replica(4), requests, load(), 8192)
    there = steady.requests_per_s * (steady.ttft_s + 499 * steady.tpot_s)
    assert there == pytest.approx(steady.concurrency)


@pytest.mark.parametrize("name", engines())
def test_every_engine_serves_every_load(name) -> None:
    requests = np.array([0.1, 1.0, 50.0, 1000.0])
    for request in (load(), load(input_tokens=1), load(output_tokens=1), load(input_tokens=1e5)):
        budget = engine(name).token_budget
        steady = steady_state(running(under=engine(name)), replica(4), requests, request, budget)
        for figure in (steady.tpot_s, steady.ttft_s, steady.requests_per_s, steady.concurrency):
            assert np.all(np.isfinite(figure))
            assert np.all(figure > 0)


def test_a_full_budget_limits_how_many_decode() -> None:
    """Prompts of 4,000 for every token leave a step of 2,048 no room for 1,000 requests."""
    few = load(input_tokens=4000, output_tokens=2)
    steady = steady_state(running(), replica(), np.array([1000.0]), few, 2048)
    assert one(steady.decoding) == pytest.approx(2048 / 4001)


def test_a_cached_prefix_is_not_computed() -> None:
    requests = np.array([32.0])
    whole = steady_state(running(), replica(), requests, load(), 8192)
    cached = steady_state(running(), replica(), requests, load(cached_tokens=900), 8192)
    assert one(cached.ttft_s) < one(whole.ttft_s)
    assert one(cached.requests_per_s) > one(whole.requests_per_s)


def test_drafts_make_a_lone_user_faster_and_a_full_machine_hardly() -> None:
    def gain(requests: float) -> float:
        plain = steady_state(running(), replica(), np.array([requests]), load(), 8192)
        drafts = load(drafted=3, accepted=2.5)
        quick = steady_state(running(), replica(), np.array([requests]), drafts, 8192)
        return one(plain.tpot_s) / one(quick.tpot_s)

    assert gain(1.0) > 1.8
    assert gain(600.0) < gain(1.0)


def test_samples_broadcast() -> None:
    sampler = Sampler(samples=32)
    own = served(model("llama-3.1-8b"), HALF, machine(chip("ppu"), "", sampler), engine(), sampler)
    steady = steady_state(own, replica(3), np.array([1.0, 8.0, 64.0]), load(), 8192)
    assert steady.tpot_s.shape == (32, 3)
    assert np.all(np.diff(steady.tpot_s, axis=1) > 0)
