"""Percentiles of a plan, by simulation, and how much of its rate keeps them within the limits."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from parity.search.grid import Report
from parity.search.replay import pools_of
from parity.search.serve import Need, ServingPlan, with_load
from parity.simulate.result import SimulationResult, Summary
from parity.simulate.run import simulate
from parity.workload.traffic import Traffic, closed_loop, lognormal, open_loop

#: Requests that are simulated: enough for a hundred beyond the 95th percentile.
REQUESTS = 2000
#: Replicas of a plan that are simulated together; the rest are taken to do the same.
MOST_REPLICAS = 4
#: Steps of the search for the rate; each halves what is not known of it.
HALVINGS = 6
#: Spread of the lengths of prompts and answers, over their means, where nothing else is said:
#: between those of conversations (Azure 2023: 0.96 and 0.77) and the fixed lengths of benchmarks.
SPREAD = 0.5


@dataclass(frozen=True)
class Confirmed:
    """A plan at its load, request by request.

    share: of the load that the steady state holds within the limits, what keeps the percentile
    within them too. holds: whether the load that is asked for does.
    """

    plan: ServingPlan
    percentile: int
    share: float
    holds: bool
    summary: Summary
    result: SimulationResult


def traffic_for(plan: ServingPlan, amount: float, seed: int = 0) -> Traffic:
    """Requests as the plan's question describes them: `amount` a second, or from so many users."""
    request, need = plan.job.request, plan.need
    inputs, outputs = (
        lognormal(max(mean, 1.0), SPREAD) for mean in (request.input_tokens, request.output_tokens)
    )
    if need.users is None:
        return open_loop(REQUESTS, amount, inputs, outputs, seed=seed)
    users = max(1, round(amount))
    count = max(REQUESTS, 4 * users)
    return closed_loop(count, users, inputs, outputs, think_s=need.think_s, seed=seed)


def confirm(
    plan: ServingPlan,
    percentile: int = 99,
    *,
    traffic: Traffic | None = None,
    report: Report | None = None,
) -> Confirmed:
    """Simulate a plan at its load, and find the share of its load that keeps the percentile.

    traffic: what comes, in place of requests of the plan's means; then nothing is sought. Nor is
    it where nothing is asked of latency. percentile: 50, 90 or 99.
    """
    if traffic is not None:
        return _of(plan, percentile, 1.0, _run(plan, traffic, report))
    few = _some_replicas(plan)
    part = few.chips / plan.chips
    load = (plan.need.amount or plan.most) if plan.meets else plan.most
    result = _run(few, traffic_for(plan, load * part), report)
    share = 1.0 if plan.job.patient else _most_share(few, plan.most * part, percentile)
    return _of(plan, percentile, share, result)


def _most_share(plan: ServingPlan, most: float, percentile: int) -> float:
    """The largest share of the steady load at which the percentile keeps the limits, to 2 %."""

    def held(share: float) -> bool:
        return _holds(plan, _run(plan, traffic_for(plan, most * share)), percentile)

    if held(1.0):
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if held(middle) else (low, middle)
    return low


def _run(plan: ServingPlan, traffic: Traffic, report: Report | None = None) -> SimulationResult:
    longest = float((traffic.input_tokens + traffic.output_tokens).max())
    pools = pools_of(plan, longest, prefix_cache=traffic.prefix is not None)
    return simulate(traffic, pools.pool, pools.decode, pools.transfer, report=report)


def _holds(plan: ServingPlan, result: SimulationResult, percentile: int) -> bool:
    made = result.summary()
    late = made.ttft_s.at(percentile) > plan.job.ttft_s
    slow = made.tpot_s.at(percentile) > plan.job.tpot_s
    return not (late or slow)


def _of(plan: ServingPlan, percentile: int, share: float, result: SimulationResult) -> Confirmed:
    return Confirmed(
        plan, percentile, share, _holds(plan, result, percentile), result.summary(), result
    )


def _some_replicas(plan: ServingPlan) -> ServingPlan:
    """The plan with few enough replicas to simulate; two pools are simulated whole."""
    if plan.decode_replicas <= MOST_REPLICAS or plan.prefill is not None:
        return plan
    return replace(plan, decode_replicas=MOST_REPLICAS)


def fewest_that_hold(plan: ServingPlan, percentile: int = 99) -> Confirmed:
    """The plan with as many replicas as its percentile asks for, where replicas are counted.

    Each replica then carries no more than `share` of what the steady state gives it. Of two pools
    both grow.
    """
    first = confirm(plan, percentile)
    amount = plan.need.amount
    if amount is None or not 0 < first.share < 1:
        return first
    wanted = amount / (plan.most * first.share)
    if wanted <= 1 + 1e-9:
        return first
    return confirm(_grown(plan, wanted, amount), percentile)


def _grown(plan: ServingPlan, factor: float, amount: float) -> ServingPlan:
    """The plan with `factor` times the replicas, rounded up, under the same load."""
    count = math.ceil(plan.decode_replicas * factor - 1e-9)
    prompts = math.ceil(plan.prefill_replicas * factor - 1e-9)
    more = count / plan.decode_replicas
    if plan.prefill:
        need, each = Need(requests_per_s=plan.requests_per_s), plan.requests_per_s / count
    else:
        need, each = plan.need, amount / count
    loaded = with_load(plan.decode, plan.decode.request, need, each)
    return replace(
        plan, decode=loaded, decode_replicas=count, prefill_replicas=prompts,
        most=plan.most * more, most_requests_per_s=plan.most_requests_per_s * more,
        requests_per_s=loaded.requests_per_s * count,
    )  # fmt: skip
