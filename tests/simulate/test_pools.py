"""Prefix caches, replicas, pools for prefill and decode; and that compiling changes nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import parity
from parity.simulate.records import Transfer, constant_table
from parity.simulate.run import simulate
from parity.workload.traces import find
from parity.workload.traffic import Prefix, closed_loop, fixed, open_loop
from tests.simulate.engines import FULL_TABLE, full_time, pool, traffic


def with_ids(requests, block_tokens, *ids):
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in ids])])
    flat = np.array([block for row in ids for block in row], np.int64)
    return replace(requests, prefix=Prefix(block_tokens, flat, offsets))


class TestPrefixCache:
    def test_hits_of_a_trace_are_those_of_an_endless_cache(self):
        """Each prompt of the Mooncake excerpt alone and in turn, in a cache that holds them all.

        Counted beside it: the full blocks, from the first on, that an earlier prompt had too.
        """
        trace = find("mooncake-conversation")
        prefix, seen, expected = trace.prefix, set(), []
        for i, tokens in enumerate(trace.input_tokens):
            ids = prefix.ids[prefix.offsets[i] : prefix.offsets[i] + tokens // 512].tolist()
            found = next((n for n, block in enumerate(ids) if block not in seen), len(ids))
            expected.append(min(found * 512, (tokens - 1) // 16 * 16))
            seen.update(ids)
        assert sum(expected) > 100_000
        slow = replace(
            trace,
            arrival_s=1000.0 * np.arange(len(trace)),
            output_tokens=0 * trace.output_tokens + 1,
        )
        result = simulate(slow, pool(FULL_TABLE, kv_blocks=10_000_000))
        assert result.cached_tokens.tolist() == expected
        computed = result.pools[0].prompt_tokens
        assert computed == trace.input_tokens.sum() - sum(expected)
        share = result.summary().cached_share
        assert share == pytest.approx(sum(expected) / trace.input_tokens.sum())

    def test_a_cached_beginning_is_not_computed_but_attended_to(self):
        requests = with_ids(traffic([0.0, 10.0], 1000, 1), 512, [1, 2], [1, 3])
        found = simulate(requests, pool(FULL_TABLE))
        assert found.cached_tokens.tolist() == [0, 512]
        assert found.ttft_s[1] == pytest.approx(full_time(0, 0, 488, 512 + 489 / 2))

    def test_of_a_prompt_that_is_all_there_one_block_is_computed(self):
        requests = with_ids(traffic([0.0, 10.0], 1024, 1), 512, [1, 2], [1, 2])
        assert simulate(requests, pool()).cached_tokens.tolist() == [0, 1008]

    def test_a_block_is_found_while_its_first_owner_still_runs(self):
        requests = with_ids(traffic([0.0, 0.5], 600, 500), 512, [1, 2], [1, 3])
        assert simulate(requests, pool()).cached_tokens.tolist() == [0, 512]

    def test_the_block_that_was_not_used_for_longest_goes_first(self):
        """Room for two prompts: A, B, A again, then C drops B and not A."""
        ids = [[1], [2], [1], [3], [1], [2]]
        requests = with_ids(traffic(10.0 * np.arange(6), 513, 1), 512, *ids)
        found = simulate(requests, pool(kv_blocks=65))
        assert found.cached_tokens.tolist() == [0, 0, 512, 0, 512, 0]
        assert not simulate(requests, pool(prefix_cache=False)).cached_tokens.any()

    def test_a_running_request_keeps_its_blocks(self):
        """B does not fit beside A, whose blocks are held, not only cached."""
        requests = with_ids(traffic([0.0, 0.1], 600, 200), 512, [1], [2])
        found = simulate(requests, pool(kv_blocks=60))
        assert found.queue_s[1] == pytest.approx(found.finish_s[0] - 0.1)


class TestReplicas:
    def test_two_replicas_do_what_one_does_twice_over(self):
        one = simulate(closed_loop(200, 8, fixed(100), fixed(50)), pool(FULL_TABLE)).summary()
        two = simulate(
            closed_loop(400, 16, fixed(100), fixed(50)), pool(FULL_TABLE, replicas=2)
        ).summary()
        assert two.output_tokens_per_s == pytest.approx(2 * one.output_tokens_per_s, rel=0.02)

    def test_round_robin_takes_turns_and_least_loaded_the_emptiest(self):
        requests = traffic([0.0, 0.1, 0.2, 0.3], 10, [500, 1, 500, 1])
        turns = simulate(requests, pool(replicas=2, routing="round_robin"))
        assert turns.replica.tolist() == [0, 1, 0, 1]
        least = simulate(requests, pool(replicas=2))
        assert least.replica.tolist() == [0, 1, 1, 0]

    def test_a_prompt_goes_where_its_beginning_is(self):
        busy = traffic([0.0, 5.0, 10.0, 15.0], 600, [900, 1, 1, 1])  # the first still runs at 5 s
        requests = with_ids(busy, 512, [1], [2], [2], [1])
        found = simulate(requests, pool(replicas=2, routing="prefix"))
        assert found.replica.tolist() == [0, 1, 1, 0]
        assert found.cached_tokens.tolist() == [0, 0, 512, 512]

    def test_a_prompt_leaves_where_its_beginning_is_when_the_load_is_uneven(self):
        """All begin alike; beyond 64 more than the other replica has, they go there."""
        requests = with_ids(traffic(1e-6 * np.arange(200), 600, 50), 512, *([[1]] * 200))
        found = simulate(requests, pool(replicas=2, routing="prefix"))
        assert 0 < (found.replica == 1).sum() <= 100


class TestDisaggregated:
    def test_one_request_is_prefill_then_transfer_then_decode(self):
        found = simulate(
            traffic([0.0], 1000, 20), pool(constant_table(0.5)), pool(constant_table(0.02)),
            Transfer(0.1, 1e-3),
        )  # fmt: skip
        assert found.ttft_s[0] == pytest.approx(0.5)
        assert found.e2e_s[0] == pytest.approx(0.5 + 0.1 + 1.0 + 19 * 0.02)
        assert (found.replica[0], found.decode_replica[0]) == (0, 0)
        prefill, decode = found.pools
        assert (prefill.steps, decode.steps) == (1, 19)
        assert (prefill.prompt_tokens, decode.prompt_tokens) == (1000, 0)

    def test_the_slower_pool_sets_the_rate(self):
        """DistServe's rate matching: the least of both pools' own rates."""
        requests = closed_loop(1000, 400, fixed(64), fixed(51))
        prefill = pool(constant_table(0.01), scheduler="separate", token_budget=64)
        decode = pool(constant_table(0.05), max_sequences=64)
        slow = simulate(requests, prefill, decode, Transfer(0.01)).summary()
        waves = -(-1000 // 64)
        assert slow.span_s == pytest.approx(waves * 50 * 0.05, rel=0.02)
        wide = pool(constant_table(0.05), replicas=8)
        fast = simulate(requests, prefill, wide, Transfer(0.01)).summary()
        last_answer_s = 0.01 + 50 * 0.05
        assert fast.span_s == pytest.approx(1000 * 0.01 + last_answer_s, abs=0.051)

    def test_the_prefill_replica_holds_the_cache_until_it_has_gone(self):
        requests = traffic([0.0, 0.0], 160, 5)
        found = simulate(requests, pool(kv_blocks=10), pool(), Transfer(2.0))
        assert found.queue_s[1] == pytest.approx(found.first_token_s[0] + 2.0)

    def test_what_is_preempted_on_a_decode_replica_is_computed_there(self):
        requests = traffic([0.0, 0.0], 64, 64)
        found = simulate(requests, pool(), pool(kv_blocks=12), Transfer(0.0))
        assert found.preemptions.sum() == 1
        assert found.pools[1].prompt_tokens == 64 + 33
        assert found.finished.all()

    def test_replicas_of_both_pools_are_numbered_from_zero(self):
        requests = open_loop(200, 50.0, fixed(100), fixed(50))
        found = simulate(requests, pool(replicas=3), pool(replicas=2), Transfer(0.01))
        assert set(found.replica) == {0, 1, 2}
        assert set(found.decode_replica) == {0, 1}


CASE = """
import sys
import numpy as np
from parity.simulate.records import Transfer
from parity.simulate.run import simulate
from parity.workload.traffic import between, lognormal, open_loop, with_shared_prefix
from tests.simulate.engines import FULL_TABLE, pool

requests = with_shared_prefix(
    open_loop(150, 400.0, lognormal(300, 1.0), between(1, 80), seed=5), 0.5, groups=5
)
small = dict(kv_blocks=150, tokens_per_step=1.7, max_sequences=12, lanes=2)
first = pool(FULL_TABLE, replicas=2, routing="prefix", **small)
second = pool(FULL_TABLE, **small)
found = [simulate(requests, first), simulate(requests, first, second, Transfer(1e-3))]
assert found[0].preemptions.any() and found[0].cached_tokens.any()
np.save(sys.argv[1], np.array([[f.finish_s, f.queue_s, f.first_token_s] for f in found]))
"""


def test_compiled_and_plain_give_the_same_numbers_to_the_last_bit(root, tmp_path):
    pytest.importorskip("numba")
    results = []
    for disabled in ("0", "1"):
        path = tmp_path / f"{disabled}.npy"
        paths = os.pathsep.join([str(Path(parity.__file__).parents[1]), str(root)])
        subprocess.run(
            [sys.executable, "-c", CASE, path], check=True, cwd=root,
            env=os.environ | {"NUMBA_DISABLE_JIT": disabled, "PYTHONPATH": paths},
        )  # fmt: skip
        results.append(np.load(path))
    compiled, plain = results
    assert np.isfinite(compiled[:, 0]).any()
    assert np.array_equal(compiled, plain, equal_nan=True)
