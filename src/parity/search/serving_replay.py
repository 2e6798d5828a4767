"""Requests one by one through a plan: percentiles, and what happens over time."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from msgspec import structs

from parity.catalogue.machine import Number
from parity.evaluate.serving_memory import cache_per_request, room_for_cache
from parity.evaluate.step import Served, step
from parity.layout.layout import Layout
from parity.layout.shard import is_routed
from parity.layout.step import Load
from parity.search.serve import ServingPlan
from parity.simulate.records import Engine, Pool, Scheduler, StepTable, Transfer
from parity.simulate.result import SimulationResult
from parity.simulate.run import simulate
from parity.workload.request import Request
from parity.workload.traffic import (
    Lengths,
    Traffic,
    closed_loop,
    fixed,
    lognormal,
    open_loop,
    with_shared_prefix,
)

#: Engine steps that are gone through: some seconds in plain Python, milliseconds compiled.
STEPS = 2_500
#: Requests that are followed, whatever steps they take.
LEAST_REQUESTS, MOST_REQUESTS = 200, 6_000
#: Of each request under way so many are followed, one after another.
TURNS = 3
#: Replicas that are gone through; more carry their load as these do.
MOST_REPLICAS = 2
#: Tokens of a block of the cache (vLLM's default).
BLOCK_TOKENS = 16
#: First requests whose figures are left out: the queue is empty when they come.
WARM_UP = 0.25
_LEAST_S = 1e-7


@dataclass(frozen=True)
class Variation:
    """Standard deviation over mean of the lengths of prompts and answers."""

    inputs: float = 0.0
    outputs: float = 0.0


@dataclass(frozen=True)
class Replay:
    """What came of the requests, and the latencies of those that came after the warm-up."""

    result: SimulationResult
    ttft_s: dict[int, float]  # by percentile
    tpot_s: dict[int, float]


def replay(
    plan: ServingPlan,
    vary: Variation,
    percentile: int = 99,
    traffic: Traffic | None = None,
    report: Callable[[int, int], None] | None = None,
) -> Replay:
    """The requests of a load, or of `traffic`, through the replicas of `plan`, step by step."""
    part = 1.0
    if traffic is None:
        part = min(MOST_REPLICAS / plan.decode_replicas, 1.0)
        traffic = drawn(plan, vary, part)
    pool = _pool(plan, part)
    if plan.prefill is None:
        result = simulate(traffic, pool, report=report)
    else:
        first = plan.prefill
        each = first.transfer_s / max(first.prompts * plan.job.request.input_tokens, 1.0)
        handed = Transfer(s_per_token=max(each, 0.0))
        result = simulate(traffic, _prompts(plan, part), pool, handed, report=report)
    late = np.arange(len(result.ttft_s)) >= WARM_UP * len(result.ttft_s)
    done = result.finished & late
    done = done if done.any() else result.finished
    wanted = sorted({50, 90, 99, percentile})
    return Replay(
        result,
        _percentiles(result.ttft_s[done], wanted),
        _percentiles(result.tpot_s[done], wanted, plan.decode.steady.tpot_s),
    )


def _percentiles(
    values: Number, wanted: list[int], otherwise: Number | float = math.inf
) -> dict[int, float]:
    known = values[np.isfinite(values)]
    if not len(known):
        return dict.fromkeys(wanted, float(np.mean(otherwise)))
    found = np.percentile(known, wanted)
    return {p: float(value) for p, value in zip(wanted, found, strict=True)}


def drawn(plan: ServingPlan, vary: Variation, part: float = 1.0) -> Traffic:
    """Requests of `part` of the load that `plan` is for, enough of them to fill it three times.

    At its rate; people who pause come at random too. Where nobody pauses, or a plan carries as much
    as it can, so many requests are always under way, and begin one after another.
    """
    request, need, steady = plan.job.request, plan.need, plan.decode.steady
    inputs = _lengths(request.input_tokens, vary.inputs)
    outputs = _lengths(request.output_tokens, vary.outputs)
    held = max(float(steady.concurrency[0]) * plan.decode_replicas * part, 1.0)
    each_s = plan.ttft_s + request.output_tokens * plan.tpot_s
    a_step = plan.decode.decoding / max(request.decode_steps, 1.0)  # requests that end in a step
    count = int(np.clip(max(STEPS * a_step, TURNS * held), LEAST_REQUESTS, MOST_REQUESTS))
    people = None if need.users is None else max(round(need.users * part), 1)
    if need.amount is None:
        people = max(round(held), 1)
    if people is None or need.think_s or TURNS * people > MOST_REQUESTS:
        rate = max(plan.requests_per_s * part, 1e-6)
        found = open_loop(count, rate, inputs, outputs, max_concurrency=people)
    else:
        count = max(count, TURNS * people)
        found = closed_loop(count, people, inputs, outputs)
        found = replace(found, arrival_s=np.minimum(np.arange(count) / people, 1.0) * each_s)
    shared = request.cached_tokens / request.input_tokens
    return with_shared_prefix(found, shared, block_tokens=BLOCK_TOKENS) if shared else found


def _lengths(mean: float, variation: float) -> Lengths:
    return lognormal(mean, variation) if variation else fixed(round(mean))


def _pool(plan: ServingPlan, part: float) -> Pool:
    """The replicas that decode; without a pool for prompts they take these too."""
    found = plan.decode
    model, request = found.model, found.request
    scheduler: Scheduler = "separate"
    if model.engine.mixed:
        scheduler = "chunked" if model.engine.chunked else "mixed"
    lanes = int(found.layout.pp[0])
    most = max(math.ceil(plan.most_decoding - 1e-9), 1)
    engine = Engine(
        kv_blocks=_blocks(model, found.layout, request, found.token_budget),
        block_tokens=BLOCK_TOKENS,
        token_budget=max(found.token_budget, most * (request.drafted + 1)),
        max_sequences=most * lanes,
        scheduler=scheduler,
        admission="reserve" if model.engine.reserves_output else "on_demand",
        lanes=lanes,
        ranks=int(found.layout.dp[0]),
        tokens_per_step=request.accepted,
        budget_per_sequence=request.drafted + 1,
    )
    ranks = int(found.layout.dp[0])
    shared = max(1 / ranks, min(float(np.mean(found.steady.prompt_share)), 1.0))
    spread = shared if ranks > 1 and model.arch.num_experts else 1.0
    table = step_table(model, found.layout, plan.job.request, most, found.token_budget, spread)
    return Pool(engine=engine, table=table, replicas=max(round(plan.decode_replicas * part), 1))


def _prompts(plan: ServingPlan, part: float) -> Pool:
    """The replicas that take prompts alone."""
    found = plan.prefill
    assert found is not None
    request = plan.job.request
    budget = math.ceil(found.prompts * request.new_tokens)
    lanes = int(found.layout.pp[0])
    engine = Engine(
        kv_blocks=_blocks(found.model, found.layout, request, budget),
        block_tokens=BLOCK_TOKENS,
        token_budget=budget,
        max_sequences=max(4 * found.prompts * lanes, 4),
        scheduler="separate",
        lanes=lanes,
        ranks=int(found.layout.dp[0]),
    )
    table = step_table(found.model, found.layout, request, 1, budget)
    return Pool(engine=engine, table=table, replicas=max(round(plan.prefill_replicas * part), 1))


def _blocks(model: Served, layout: Layout, request: Request, budget: int) -> int:
    """Blocks of the cache of one rank; at least what one request takes."""
    context = request.input_tokens + request.output_tokens
    each = float(np.mean(cache_per_request(model, layout, context)[..., 0])) / context
    room = float(np.mean(room_for_cache(model, layout, float(budget))[..., 0]))
    held = room / max(each, 1e-9) / BLOCK_TOKENS
    return int(min(max(held, math.ceil(context / BLOCK_TOKENS) + 1), 2**40))


def step_table(
    model: Served, layout: Layout, request: Request, most: int, budget: int, spread: float = 1.0
) -> StepTable:
    """Step times of one replica by what a step holds, up to `most` decoding and `budget` tokens.

    Attention is told apart from the rest, which is taken at the mean context: where the host is
    slower than the chip, or halves of a step hide each other, the sum is exact only there.
    spread: prompt tokens of a mean rank over those of the busiest, for which the others wait; the
    experts, which all ranks share, have the mean.
    """
    longest = 2.0 * (request.input_tokens + request.output_tokens)
    decoding, prompt = _axis(most, 12, start=1.0), _axis(max(budget, 64), 12, start=16.0)
    context, keys = _axis(longest, 8, start=16.0)[1:], _axis(longest / 2, 8, start=8.0)[1:]
    times = _Times(model, layout, request.drafted + 1.0)
    n, p = (axis.ravel() for axis in np.meshgrid(decoding, prompt, indexing="ij"))
    rest = times.rest(n, p * spread, request)
    if spread < 1.0:
        dense = replace(times, model=without_experts(model))
        rest = rest + dense.rest(n, p, request) - dense.rest(n, p * spread, request)
    both = np.meshgrid(decoding, context, indexing="ij")
    some = np.meshgrid(prompt, keys, indexing="ij")
    decode_s = times.decode_attention(both[0].ravel(), both[1].ravel()).reshape(both[0].shape)
    prompt_s = times.prompt_attention(some[0].ravel(), some[1].ravel()).reshape(some[0].shape)
    return StepTable(
        decoding=decoding,
        prompt=prompt,
        context=context,
        keys=keys,
        base_s=np.maximum(rest, _LEAST_S).reshape(len(decoding), len(prompt)),
        decode_attention_s=decode_s,
        prompt_attention_s=prompt_s,
    )


@dataclass(frozen=True)
class _Times:
    """Times of steps of one replica, by columns of what they hold. [s]"""

    model: Served
    layout: Layout  # a single row
    queries: float  # tokens that a decoding request is asked for

    def rest(self, n: Number, p: Number, request: Request) -> Number:
        """All but attention, for `n` decoding requests and `p` prompt tokens at mean contexts."""
        context = np.full(len(n), request.mean_context)
        keys = np.full(len(n), request.input_tokens / 2)
        load = Load(n, context, p, 2.0 * keys, 0.0, self.queries)
        whole = step(self.model, self._columns(n), load).total_s
        return whole - self.decode_attention(n, context) - self.prompt_attention(p, keys)

    def decode_attention(self, n: Number, context: Number) -> Number:
        """Of `n` requests with so many tokens cached."""
        load = Load(n, context, queries=self.queries)
        found = step(self.model, self._columns(n), load).decode_attention.total_s
        return np.where(n > 0, found, 0.0)

    def prompt_attention(self, p: Number, keys: Number) -> Number:
        """Of `p` prompt tokens that see so many keys each."""
        load = Load(0.0 * p, 1.0, p, np.maximum(2.0 * keys, 1.0))
        found = step(self.model, self._columns(p), load).prompt_attention.total_s
        return np.where(p > 0, found, 0.0)

    def _columns(self, like: Number) -> Layout:
        return self.layout.take(np.zeros(len(like), dtype=np.int64))


def without_experts(model: Served) -> Served:
    """The model with only what every rank does by itself."""
    blocks = tuple(
        structs.replace(
            block,
            operators=tuple(
                op for op in block.operators if getattr(op, "active", 1) == 1 and not is_routed(op)
            ),
        )
        for block in model.arch.blocks
    )
    return replace(model, arch=structs.replace(model.arch, blocks=blocks, num_experts=0))


def _axis(most: float, count: int, start: float) -> Number:
    """0, then evenly by ratio from `start` to `most`, rising."""
    top = max(most, 2.0 * start)
    return np.concatenate([[0.0], np.unique(np.geomspace(start, top, count).round(6))])
