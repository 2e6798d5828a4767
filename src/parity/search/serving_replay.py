"""Requests of a load, drawn and replayed one by one through a plan: percentiles, what happens."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from parity.catalogue.machine import Number
from parity.search.replay import BLOCK_TOKENS, pools_of
from parity.search.serve import ServingPlan
from parity.simulate.records import Pool
from parity.simulate.result import SimulationResult
from parity.simulate.run import simulate
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
#: First requests whose figures are left out: the queue is empty when they come.
WARM_UP = 0.25


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
    """The requests of a load, or of `traffic`, through the replicas of `plan`, step by step.

    Replicas hold no more requests than the plan gives them, as an engine that is told so.
    """
    few, part = plan, 1.0
    if traffic is None:
        few, part = _some_replicas(plan)
        traffic = drawn(plan, vary, part)
    longest = float((traffic.input_tokens + traffic.output_tokens).max())
    pools = pools_of(few, longest, prefix_cache=traffic.prefix is not None)
    first, then = pools.pool, pools.decode
    if then is None:
        first = _held(first, plan)
    else:
        then = _held(then, plan)
    result = simulate(traffic, first, then, pools.transfer, report=report)
    late = np.arange(len(result.ttft_s)) >= WARM_UP * len(result.ttft_s)
    done = result.finished & late
    done = done if done.any() else result.finished
    wanted = sorted({50, 90, 99, percentile})
    return Replay(
        result,
        _percentiles(result.ttft_s[done], wanted),
        _percentiles(result.tpot_s[done], wanted, plan.decode.steady.tpot_s),
    )


def _held(pool: Pool, plan: ServingPlan) -> Pool:
    """The pool with as many sequences as the plan lets it hold."""
    lanes = int(plan.decode.layout.pp[0])
    most = max(math.ceil(plan.most_decoding - 1e-9), 1) * lanes
    return replace(pool, engine=replace(pool.engine, max_sequences=most))


def _some_replicas(plan: ServingPlan) -> tuple[ServingPlan, float]:
    """(the plan with few replicas, the part of its load that is theirs)."""
    few = min(plan.decode_replicas, MOST_REPLICAS)
    part = few / plan.decode_replicas
    prompts = max(round(plan.prefill_replicas * part), 1) if plan.prefill else 0
    return replace(plan, decode_replicas=few, prefill_replicas=prompts), part


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
    a_step = plan.decode.decoding / max(float(request.decode_steps), 1.0)  # that end in a step
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


def _lengths(mean: Number, variation: float) -> Lengths:
    middle = float(mean)
    return lognormal(middle, variation) if variation else fixed(max(round(middle), 1))
