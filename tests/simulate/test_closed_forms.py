"""Against what queueing theory and arithmetic say."""

from __future__ import annotations

import numpy as np
import pytest

from parity.simulate.records import constant_table
from parity.simulate.run import simulate
from parity.workload.traffic import at_once, closed_loop, fixed, open_loop
from tests.simulate.engines import FULL_TABLE, full_time, pool, traffic


def test_one_request_is_its_steps_added_up():
    found = simulate(traffic([5.0], 5000, 20), pool(FULL_TABLE))
    chunks = [(0, 2048), (2048, 2048), (4096, 904)]
    prompt = sum(full_time(0, 0, size, start + (size + 1) / 2) for start, size in chunks)
    decode = sum(full_time(1, 5000 + done, 0, 0) for done in range(19))
    assert found.sent_s[0] == 5.0
    assert found.ttft_s[0] == pytest.approx(prompt)
    assert found.e2e_s[0] == pytest.approx(prompt + decode)
    assert found.tpot_s[0] == pytest.approx(decode / 19)
    assert found.steps == 3 + 19


def test_a_mixed_step_decodes_and_takes_a_part_of_a_prompt():
    """The second prompt comes while the first request decodes; its step holds both."""
    found = simulate(traffic([0.0, 1e-4], [10, 100], [2, 1]), pool(FULL_TABLE))
    first = full_time(0, 0, 10, 5.5)
    assert found.first_token_s[0] == pytest.approx(first)
    mixed = first + full_time(1, 10, 100, 50.5)
    assert found.finish_s.tolist() == pytest.approx([mixed, mixed])


@pytest.mark.parametrize("load", [0.5, 0.8])
def test_requests_of_one_step_wait_as_in_an_m_d_1_queue(load):
    """Pollaczek–Khinchine: mean wait = load · service / (2 (1 − load))."""
    service = 0.01
    arrivals = open_loop(10_000, load / service, fixed(16), fixed(1), seed=3)
    alone = pool(constant_table(service), scheduler="separate", token_budget=16)
    found = simulate(arrivals, alone)
    assert found.ttft_s.min() == pytest.approx(service)
    expected = load * service / (2 * (1 - load))
    assert found.queue_s.mean() == pytest.approx(expected, rel=0.1)


def test_a_saturated_closed_loop_makes_batch_over_step_tokens():
    """64 users, answers of 100 tokens, prompts that cost nothing: 64 / 0.01 s, save the ends."""
    requests = closed_loop(64 * 30, 64, fixed(1), fixed(100))
    found = simulate(requests, pool(constant_table(0.01)))
    assert found.summary().output_tokens_per_s == pytest.approx(64 / 0.01, rel=1e-6)
    assert found.summary().tpot_s.mean == pytest.approx(0.01)
    assert found.pools[0].batch == pytest.approx(64, rel=1e-6)
    assert found.pools[0].busy == pytest.approx(1.0)


def test_users_who_think_follow_the_interactive_response_time_law():
    """Users = requests/s · (think + response) [Little's law on the whole loop]."""
    requests = closed_loop(2000, 20, fixed(100), fixed(4), think_s=1.0, seed=1)
    found = simulate(requests, pool()).summary()
    assert found.requests_per_s * (1.0 + found.e2e_s.mean) == pytest.approx(20, rel=0.05)


def test_littles_law_holds_exactly_over_the_timeline():
    requests = open_loop(200, 16.0, fixed(800), fixed(30), seed=2)
    found = simulate(requests, pool(FULL_TABLE, max_sequences=4))
    line = found.timeline
    spans = np.append(np.diff(line.time_s), found.finish_s.max() - line.time_s[-1])
    inside = ((line.running + line.waiting) * spans).sum()
    assert inside == pytest.approx(found.e2e_s.sum())
    assert (line.waiting * spans).sum() == pytest.approx(found.queue_s.sum())
    assert (line.output_tokens_per_s * spans).sum() == pytest.approx(200 * 30)
    assert (line.prompt_tokens_per_s * spans).sum() == pytest.approx(200 * 800)


def test_offline_requests_fill_the_machine_in_waves():
    """Three waves of 64, each a prompt step and 9 decode steps."""
    found = simulate(
        at_once(192, fixed(32), fixed(10)), pool(constant_table(0.01), scheduler="separate")
    )
    assert found.span_s == pytest.approx(3 * (1 + 9) * 0.01)
    assert found.ttft_s[:64] == pytest.approx(0.01)
    assert found.ttft_s[128:] == pytest.approx(0.21)


def test_tokens_per_step_divide_the_decode_steps():
    found = simulate(traffic([0.0], 10, 31), pool(constant_table(0.01), tokens_per_step=2.5))
    assert found.steps == 1 + 12  # 30 tokens in steps of 2, 3, 2, 3 ...
    assert found.e2e_s[0] == pytest.approx(0.13)


def test_lanes_of_a_pipeline_work_at_once():
    """Four stages: four batches under way, each pass as long as it is."""
    requests = closed_loop(64 * 20, 64, fixed(1), fixed(100))
    found = simulate(requests, pool(constant_table(0.04), lanes=4))
    assert found.summary().output_tokens_per_s == pytest.approx(64 / 0.04, rel=1e-6)
    assert found.pools[0].batch == pytest.approx(16, rel=1e-6)


def test_ranks_share_sequences_but_not_a_prompt():
    """Eight ranks: a step of 8 sequences costs what one costs; one prompt is not divided."""
    table = FULL_TABLE
    alone = simulate(traffic([0.0], 1600, 1), pool(table)).e2e_s[0]
    shared = simulate(traffic([0.0], 1600, 1), pool(table, ranks=8)).e2e_s[0]
    assert shared == pytest.approx(alone)
    eight = simulate(traffic([0.0] * 8, 1600, 1), pool(table, ranks=8)).e2e_s
    assert eight == pytest.approx(alone)
