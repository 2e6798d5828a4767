"""Requests that a plan is put to: drawn as its question describes them, or those of a trace."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from parity.catalogue.machine import Number
from parity.search.serve import ServingPlan
from parity.workload.traffic import (
    Lengths,
    Traffic,
    at_rate,
    closed_loop,
    fixed,
    lognormal,
    open_loop,
    with_shared_prefix,
)

#: Requests that are drawn: enough for fifteen beyond the 99th percentile.
REQUESTS = 2_000
#: Of each request under way so many are drawn, one after another.
TURNS = 3
#: Requests and engine steps that one simulation goes through, and requests whatever their steps.
MOST_REQUESTS, MOST_STEPS, LEAST_REQUESTS = 20_000, 2_000_000, 200
#: First of the requests drawn whose figures are left out: the queue is empty when they come.
WARM_UP = 0.25


@dataclass(frozen=True)
class Variation:
    """Standard deviation over mean of the lengths of prompts and answers."""

    inputs: float = 0.0
    outputs: float = 0.0


def traffic_for(plan: ServingPlan, amount: float, vary: Variation, seed: int = 0) -> Traffic:
    """Requests of a plan's load: `amount` a second, or of so many users.

    At a rate they come at random. Users begin one after another over the time of one answer, and
    each waits for the answer before the next; where they are too many to follow their turns, their
    requests come at random at the rate that they come to.
    """
    request, need = plan.job.request, plan.need
    inputs = _lengths(request.input_tokens, vary.inputs)
    outputs = _lengths(request.output_tokens, vary.outputs)
    count, people = _count(plan), max(round(amount), 1)
    if need.users is None:
        found = open_loop(count, amount, inputs, outputs, seed=seed)
    elif people * TURNS > MOST_REQUESTS:
        rate = plan.requests_per_s * amount / need.users
        found = open_loop(count, rate, inputs, outputs, max_concurrency=people, seed=seed)
    else:
        count = max(count, TURNS * people)
        found = closed_loop(count, people, inputs, outputs, think_s=need.think_s, seed=seed)
        turn_s = plan.ttft_s + float(request.output_tokens) * plan.tpot_s + need.think_s
        found = replace(found, arrival_s=np.minimum(np.arange(count) / people, 1.0) * turn_s)
    shared = float(request.cached_tokens / request.input_tokens)
    from parity.search.replay import BLOCK_TOKENS  # with the simulator, which takes long to load

    return with_shared_prefix(found, shared, block_tokens=BLOCK_TOKENS) if shared else found


def _count(plan: ServingPlan) -> int:
    """Requests to draw: enough to tell, to fill the plan, and few enough to go through."""
    held = float(plan.decode.steady.concurrency[0]) * plan.decode_replicas
    ended = plan.decode.decoding / max(float(plan.job.request.decode_steps), 1.0)  # in a step
    wanted = min(max(REQUESTS, TURNS * held), MOST_REQUESTS, MOST_STEPS * ended)
    return max(round(wanted), LEAST_REQUESTS)


def _lengths(mean: Number, variation: float) -> Lengths:
    middle = max(float(mean), 1.0)
    return lognormal(middle, variation) if variation else fixed(round(middle))


def trace_at(trace: Traffic, rate: float) -> Traffic:
    """The requests of a trace at a mean rate; the trace itself where that is its own. [1/s]"""
    return trace if rate == trace.rate else at_rate(trace, rate)
