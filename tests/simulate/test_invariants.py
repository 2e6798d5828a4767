"""What holds for any traffic and any engine."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parity.errors import BadQuantity
from parity.simulate.records import Engine, Limits, StepTable, Transfer, constant_table
from parity.simulate.run import simulate
from parity.workload.traffic import (
    Prefix,
    at_once,
    between,
    fixed,
    open_loop,
    with_shared_prefix,
)
from tests.simulate.engines import FULL_TABLE, pool, traffic


@st.composite
def cases(draw):
    """Traffic with shared prompts, and engines that run out of room."""
    count = draw(st.integers(1, 40))
    requests = open_loop(
        count,
        draw(st.sampled_from([1.0, 30.0, 1e6])),
        between(1, draw(st.integers(1, 400))),
        between(1, draw(st.integers(1, 100))),
        max_concurrency=draw(st.sampled_from([None, 1, 5])),
        seed=draw(st.integers(0, 1000)),
    )
    if draw(st.booleans()):
        requests = with_shared_prefix(requests, 0.7, groups=3, block_tokens=16)
    sizes = {
        "kv_blocks": draw(st.integers(4, 200)),
        "block_tokens": draw(st.sampled_from([1, 4, 16])),
        "token_budget": draw(st.integers(1, 600)),
        "max_sequences": draw(st.integers(1, 20)),
        "scheduler": draw(st.sampled_from(["chunked", "separate", "mixed"])),
        "admission": draw(st.sampled_from(["on_demand", "reserve"])),
        "prefix_cache": draw(st.booleans()),
        "lanes": draw(st.integers(1, 3)),
        "ranks": draw(st.integers(1, 2)),
        "tokens_per_step": draw(st.sampled_from([1.0, 1.7, 3.0])),
    }
    routing = draw(st.sampled_from(["round_robin", "least_loaded", "prefix"]))
    first = pool(FULL_TABLE, replicas=draw(st.integers(1, 3)), routing=routing, **sizes)
    decode = draw(st.booleans())
    second = pool(FULL_TABLE, replicas=draw(st.integers(1, 2)), **sizes) if decode else None
    return requests, first, second


@given(cases())
@settings(max_examples=100)
def test_every_request_finishes_once_and_no_cache_overflows(case):
    requests, first, second = case
    found = simulate(requests, first, second, Transfer(1e-3, 1e-6))
    assert (found.finished | found.refused).all()
    assert not (found.finished & found.refused).any()
    done = found.finished
    assert (found.queue_s[done] >= 0).all()
    assert (found.first_token_s[done] > found.sent_s[done]).all()
    assert (found.finish_s[done] >= found.first_token_s[done]).all()
    assert (found.cached_tokens < requests.input_tokens).all()
    one = (requests.output_tokens == 1) & done
    assert (found.finish_s[one] == found.first_token_s[one]).all()
    assert all(0 <= use.most_kv_share <= 1 for use in found.pools)
    assert all(use.busy <= 1 + 1e-9 for use in found.pools)
    line = found.timeline
    end = max(np.nanmax(found.finish_s, initial=0), line.time_s[-1])
    spans = np.append(np.diff(line.time_s), end - line.time_s[-1])
    made = (line.output_tokens_per_s * spans).sum()
    assert made == pytest.approx(requests.output_tokens[done].sum())
    computed = sum(use.prompt_tokens for use in found.pools)
    needed = (requests.input_tokens - found.cached_tokens)[done].sum()
    assert computed >= needed
    if not found.preemptions.any():
        assert computed == needed
    if first.engine.admission == "reserve":
        assert not found.preemptions.any()


@given(cases())
@settings(max_examples=30)
def test_the_memory_is_whole_again_at_the_end(case):
    """No block is lost or counted twice, and nobody holds a block of the prefix cache."""
    from parity.simulate.kernel.loop import ALL_DONE, advance
    from parity.simulate.kernel.state import begin

    requests, first, second = case
    sim = begin(requests, first, second, Transfer(1e-3, 1e-6), Limits())
    assert advance(sim, 1_000_000) == ALL_DONE
    world = sim.world[0]
    assert (sim.replicas.used == 0).all()
    assert (sim.engines.used == 0).all()
    assert (sim.replicas.idle <= sim.engines.blocks[sim.replicas.pool]).all()
    assert (
        not sim.memory[world.held : world.held + len(requests.prefix.ids)].any()
        if (requests.prefix is not None and first.engine.prefix_cache)
        else True
    )
    for replica in sim.replicas:
        refs = sim.memory[replica.refs : replica.refs + world.different]
        kept = (refs == 0).sum()
        assert set(np.unique(refs)) <= {-1, 0}
        assert replica.idle == kept * sim.engines[replica.pool].blocks_per_id
    assert not sim.lanes.decoding.any()
    assert not sim.lanes.context.any()
    for lane in sim.lanes:
        assert not sim.memory[lane.residue : lane.residue + first.engine.block_tokens].any()
    assert (world.running, world.waiting, world.in_flight) == (0, 0, 0)


@given(cases())
@settings(max_examples=20)
def test_the_same_question_has_the_same_answer(case):
    once, again = (simulate(*case) for _ in range(2))
    assert np.array_equal(once.finish_s, again.finish_s, equal_nan=True)
    assert np.array_equal(once.timeline.running, again.timeline.running)


@pytest.mark.parametrize("scheduler", ["chunked", "separate", "mixed"])
def test_more_memory_and_faster_steps_never_make_fewer_tokens(scheduler):
    requests = at_once(50, fixed(100), fixed(60))
    rates = [
        simulate(requests, pool(kv_blocks=blocks, scheduler=scheduler)).summary()
        .output_tokens_per_s
        for blocks in (12, 25, 70, 1000)
    ]  # fmt: skip
    assert rates == sorted(rates)
    slow, fast = (
        simulate(requests, pool(constant_table(step, 1e-5), scheduler=scheduler)).summary()
        for step in (0.02, 0.01)
    )
    assert fast.output_tokens_per_s > slow.output_tokens_per_s
    assert fast.ttft_s.p99 < slow.ttft_s.p99


def test_a_full_cache_preempts_the_last_and_computes_it_again():
    """Two requests of 64 + 64 tokens in 12 blocks of 16: both begin, one has to wait."""
    requests = traffic([0.0, 0.0], 64, 64)
    found = simulate(requests, pool(kv_blocks=12))
    assert found.preemptions.tolist() == [0, 1]
    assert found.finish_s[0] < found.finish_s[1]
    # Both decode until 96 tokens each fill 12 blocks: 33 tokens are made, and computed again.
    assert found.pools[0].prompt_tokens == 2 * 64 + (64 + 33)
    reserved = simulate(requests, pool(kv_blocks=12, admission="reserve"))
    assert not reserved.preemptions.any()
    assert reserved.queue_s[1] == pytest.approx(reserved.finish_s[0])


def test_the_least_priority_is_preempted_and_the_highest_served_first():
    requests = traffic([0.0] * 3, 64, 64, priority=np.array([1, 0, 0]))
    found = simulate(requests, pool(kv_blocks=12))
    assert found.preemptions[0] >= 1
    assert found.preemptions[1] == 0
    assert found.finish_s.argmax() == 0
    queued = simulate(requests, pool(max_sequences=1))
    assert queued.finish_s.argsort().tolist() == [1, 2, 0]


def test_a_request_that_no_cache_could_hold_is_refused_and_said():
    found = simulate(traffic([0.0, 0.0], [1000, 10], 10), pool(kv_blocks=20))
    assert found.refused.tolist() == [True, False]
    assert found.finished.tolist() == [False, True]
    assert [finding.code for finding in found.findings] == ["P323"]


def test_limits_end_it_and_say_so():
    requests = open_loop(1000, 100.0, fixed(100), fixed(100))
    by_steps = simulate(requests, pool(), limits=Limits(steps=50))
    assert (by_steps.stopped, by_steps.steps) == ("steps", 50)
    by_time = simulate(requests, pool(), limits=Limits(time_s=2.0))
    assert by_time.stopped == "time"
    assert np.nanmax(by_time.finish_s) <= 2.0
    assert 0 < by_time.finished.sum() < 1000
    for found in (by_steps, by_time):
        assert "P321" in {finding.code for finding in found.findings}


def test_an_overload_is_said_and_a_busy_system_is_not():
    calm = simulate(open_loop(1000, 20.0, fixed(100), fixed(10), seed=1), pool())
    assert calm.findings == ()
    crowded = simulate(open_loop(1000, 200.0, fixed(100), fixed(20), seed=1), pool(max_sequences=8))
    assert {finding.code for finding in crowded.findings} == {"P322"}
    assert crowded.finished.all()


def test_steps_beyond_the_table_go_on_with_the_last_slope_and_are_counted():
    axis = np.array([0.0, 1.0, 2.0])
    flat = np.zeros((3, 3))
    table = StepTable(axis, axis, axis, axis, 0.01 * (1 + axis[:, None] + axis), flat, flat)
    found = simulate(traffic([0.0], 10, 1), pool(table))
    assert found.e2e_s[0] == pytest.approx(0.01 * 11)
    assert found.steps_beyond_table == 1
    assert [finding.code for finding in found.findings] == ["P324"]


def test_progress_counts_requests_and_a_break_comes_through():
    seen = []
    requests = open_loop(1000, 100.0, fixed(10), fixed(50))
    simulate(requests, pool(), report=lambda done, of: seen.append((done, of)))
    assert seen == sorted(seen)
    assert seen[-1] == (1000, 1000)

    def stop(done: int, of: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(requests, pool(), report=stop)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Engine(kv_blocks=0), "kv_blocks"),
        (lambda: Engine(kv_blocks=10, tokens_per_step=0.5), "tokens_per_step"),
        (lambda: Transfer(-1.0), "transfer"),
        (lambda: Limits(steps=0), "step"),
        (lambda: pool(replicas=0), "replicas"),
        (lambda: constant_table(0.0), "no time"),
        (lambda: constant_table(float("nan")), "not finite"),
    ],
)
def test_settings_that_cannot_be_are_refused(make, words):
    with pytest.raises(BadQuantity, match=words):
        make()


def test_prefix_blocks_must_be_whole_blocks_of_the_engine():
    prefix = Prefix(24, np.arange(4), np.array([0, 4]))
    with pytest.raises(BadQuantity, match="whole number"):
        simulate(traffic([0.0], 100, 1, prefix=prefix), pool())


def test_what_is_too_large_for_memory_is_refused():
    requests = with_shared_prefix(at_once(1000, fixed(16_000), fixed(1)), 1.0, groups=1000)
    with pytest.raises(BadQuantity, match="fewer replicas"):
        simulate(requests, pool(replicas=1000))
