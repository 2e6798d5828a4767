"""How fast requests are simulated: `python benchmarks/simulate.py [requests]`.

One replica with the prompts and answers of the bundled Azure conversations, drawn with replacement,
at 70 % of what it can serve at most; the same requests on eight replicas, through lanes of a
pipeline, in two pools; and the bundled Mooncake prompts again and again, with their prefix cache.
Step times are those of a model of 8 billion parameters on a chip of 3.3 TB/s in round figures: how
long a simulation takes depends on how many steps there are, not on how long each is.

Best and median of five runs of one process on one core, after a first that compiles or loads what
was compiled before. `--plain` measures the functions without Numba beside it, on fewer requests.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np

from parity.simulate.records import Engine, Pool, StepTable
from parity.simulate.run import simulate
from parity.workload.traces import find
from parity.workload.traffic import Prefix, Traffic, at_rate

RUNS = 5
PLAIN_REQUESTS = 1_000
LOAD = 0.7


def table() -> StepTable:
    """16 GB of weights, 128 kB of cache a token, 16 GFLOP a token at 600 TFLOP/s, 1 ms of host."""
    decoding = np.array([0.0, *(2.0**i for i in range(10))])
    prompt = np.array([0.0, *(2.0**i for i in range(15))])
    length = np.array([0.0, *(2.0**i for i in range(6, 18))])
    tokens = decoding[:, None] + prompt
    return StepTable(
        decoding=decoding,
        prompt=prompt,
        context=length,
        keys=length,
        base_s=1e-3 + np.maximum(16e9 / 3.3e12, tokens * 16e9 / 600e12),
        decode_attention_s=decoding[:, None] * length * 128e3 / 3.3e12,
        prompt_attention_s=prompt[:, None] * length * 0.5e6 / 600e12,
    )


def conversations(count: int) -> Traffic:
    """So many requests with lengths of the Azure trace, all at once."""
    trace = find("azure-conv")
    drawn = np.random.default_rng(0).integers(0, len(trace), count)
    return Traffic(np.zeros(count), trace.input_tokens[drawn], trace.output_tokens[drawn])


def prompts_again(count: int) -> Traffic:
    """The Mooncake prompts over and over; each time round their blocks are other ones."""
    trace = find("mooncake-conversation")
    prefix, rounds = trace.prefix, -(-count // len(trace))
    assert prefix is not None
    ids = prefix.ids + (prefix.ids.max() + 1) * np.arange(rounds)[:, None]
    sizes = np.tile(np.diff(prefix.offsets), rounds)
    return Traffic(
        np.zeros(rounds * len(trace)),
        np.tile(trace.input_tokens, rounds),
        np.tile(trace.output_tokens, rounds),
        prefix=Prefix(prefix.block_tokens, ids.ravel(), np.concatenate([[0], np.cumsum(sizes)])),
    )


def loaded(traffic: Traffic, *pools: Pool) -> Traffic:
    """`traffic` at 70 % of the rate at which `pools` get through it when all comes at once."""
    most = simulate(traffic, *pools).summary().requests_per_s
    return at_rate(traffic, LOAD * most)


def measure(name: str, traffic: Traffic, *pools: Pool) -> float:
    """Print what a case takes; its requests per second at best."""
    seconds = []
    for _ in range(RUNS):
        start = time.perf_counter()
        found = simulate(traffic, *pools)
        seconds.append(time.perf_counter() - start)
    summary, count = found.summary(), len(traffic)
    print(
        f"{name:34} {count:9,} {found.steps:10,} {found.pools[-1].batch:6.1f} {min(seconds):7.3f} "
        f"{np.median(seconds):9.3f} {count / min(seconds):11,.0f}"
    )
    print(
        f"    {summary.requests_per_s:.1f} requests/s served, {found.pools[0].busy:.0%} busy, TTFT "
        f"p99 {summary.ttft_s.p99:.2f} s, cached {summary.cached_share:.0%}, "
        f"preempted {summary.preemptions:,}"
    )
    return count / min(seconds)


def main() -> None:
    count = next((int(word) for word in sys.argv[1:] if word.isdigit()), 100_000)
    plain = os.environ.get("NUMBA_DISABLE_JIT") == "1"
    engine = Engine(kv_blocks=25_000)
    one = Pool(engine=engine, table=table())
    start = time.perf_counter()
    simulate(conversations(10), one)
    print(f"Python {platform.python_version()}, NumPy {np.__version__}, {platform.machine()}")
    print(f"first call, which compiles or loads: {time.perf_counter() - start:.1f} s")
    print(
        f"{'case':34} {'requests':>9} {'steps':>10} {'batch':>6} {'best s':>7} {'median s':>9} "
        f"{'requests/s':>11}"
    )
    chats = conversations(count)
    measure("one replica at 70 %", loaded(chats, one), one)
    if plain:
        return
    eight = replace(one, replicas=8)
    measure("eight replicas at 70 %", loaded(chats, eight), eight)
    lanes = replace(one, engine=replace(engine, lanes=4))
    measure("four lanes of a pipeline", loaded(chats, lanes), lanes)
    pools = (replace(one, replicas=2), replace(one, replicas=2))
    measure("two pools of two", loaded(chats, *pools), *pools)
    scarce = Pool(engine=replace(engine, kv_blocks=4_000), table=table())
    measure("one replica, all at once, preempted", chats, scarce)
    cached = Pool(engine=replace(engine, kv_blocks=100_000), table=table())
    again = prompts_again(min(count, 3_000))
    measure("prompts with a prefix cache", loaded(again, cached), cached)
    if "--plain" in sys.argv:
        print("without Numba:", flush=True)
        subprocess.run(
            [sys.executable, __file__, str(PLAIN_REQUESTS)],
            env=os.environ | {"NUMBA_DISABLE_JIT": "1"}, check=True,
        )  # fmt: skip


if __name__ == "__main__":
    main()
