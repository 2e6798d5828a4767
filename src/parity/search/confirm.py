"""Plans request by request: percentiles by simulation, and the load or the replicas they take."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np

from parity.catalogue.machine import Number
from parity.search.grid import Report
from parity.search.prefill import at_rate
from parity.search.replay import pools_of
from parity.search.replica import replica
from parity.search.requests import WARM_UP, Variation, trace_at, traffic_for
from parity.search.serve import Need, ServingPlan, with_load
from parity.simulate.result import SimulationResult
from parity.simulate.run import simulate
from parity.workload.traffic import Traffic

#: Replicas of a plan that drawn requests are simulated on; more carry their load as these do.
MOST_REPLICAS = 4
#: Steps of the search for the load; each halves what is not known of it.
HALVINGS = 6
#: Replicas are tried by so much more until the percentile holds, so many times.
GROWTH, GROWTHS = 1.5, 5
#: A count of replicas is found to so much of it.
PRECISE = 0.02
PERCENTILES = (50, 90, 99)


@dataclass(frozen=True)
class Trial:
    """What a plan is put to, and at which percentile of the requests its latencies hold."""

    percentile: int = 99
    vary: Variation = field(default_factory=Variation)  # of the lengths of requests that are drawn
    trace: Traffic | None = None  # requests of one's own in place of drawn ones
    report: Report | None = None


@dataclass(frozen=True)
class Confirmed:
    """A plan at its load, request by request.

    ttft_s, tpot_s: by percentile; infinite where so many requests got no answer. means_s: of both,
    over those that did. within: share of the requests that were answered within both latencies.
    holds: whether the percentile was.
    """

    plan: ServingPlan
    holds: bool
    within: float
    ttft_s: dict[int, float]
    tpot_s: dict[int, float]
    means_s: tuple[float, float]
    result: SimulationResult


def confirm(plan: ServingPlan, trial: Trial, amount: float | None = None) -> Confirmed:
    """Simulate a plan at its load, or at another `amount` of it, in requests/s or users."""
    load = amount if amount is not None else plan.need.amount or plan.requests_per_s
    few, warm_up = plan if amount is None else at_load(plan, amount), 0.0
    if trial.trace is not None:
        traffic = trace_at(trial.trace, load)
    else:
        few, part = _some_replicas(few)
        traffic, warm_up = traffic_for(few, load * part, trial.vary), WARM_UP
    longest = float((traffic.input_tokens + traffic.output_tokens).max())
    pools = pools_of(few, longest, prefix_cache=traffic.prefix is not None)
    result = simulate(traffic, pools.pool, pools.decode, pools.transfer, report=trial.report)
    late = np.arange(len(traffic)) >= warm_up * len(traffic)
    wanted = sorted({*PERCENTILES, trial.percentile})
    whole, each = result.ttft_s[late], result.tpot_s[late & (traffic.output_tokens > 1)]
    ttft, tpot = _percentiles(whole, wanted), _percentiles(each, wanted)
    job, p = plan.job, trial.percentile
    return Confirmed(
        plan,
        ttft[p] <= job.ttft_s and tpot[p] <= job.tpot_s,
        float(np.mean(result.met(job.ttft_s, job.tpot_s)[late])),
        ttft, tpot, (_mean(whole), _mean(each)), result,
    )  # fmt: skip


def _mean(values: Number) -> float:
    if not len(values):
        return 0.0
    known = values[np.isfinite(values)]
    return float(np.mean(known)) if len(known) else math.inf


def _percentiles(values: Number, wanted: list[int]) -> dict[int, float]:
    """By nearest rank, so that what never came stays infinite; zero of nothing."""
    if not len(values):
        return dict.fromkeys(wanted, 0.0)
    ended = np.where(np.isnan(values), np.inf, values)
    found = np.percentile(ended, wanted, method="inverted_cdf")
    return {p: float(value) for p, value in zip(wanted, found, strict=True)}


def _some_replicas(plan: ServingPlan) -> tuple[ServingPlan, float]:
    """(the plan with few replicas, the part of its load that is theirs)."""
    few = min(plan.decode_replicas, MOST_REPLICAS)
    part = few / plan.decode_replicas
    prompts = max(round(plan.prefill_replicas * part), 1) if plan.prefill else 0
    return replace(plan, decode_replicas=few, prefill_replicas=prompts), part


def most_that_holds(plan: ServingPlan, trial: Trial, known: float = 0.0) -> ServingPlan:
    """The plan with as much load at most as keeps the percentile, in place of the mean.

    known: a load that is known to keep it.

    [Zhong et al. 2024, DistServe, arXiv 2401.09670, goodput]. Found by halving what is not known
    of it six times; nothing where the percentile is missed however small the load.
    """
    if plan.job.patient or confirm(plan, trial, plan.most).holds:
        return plan
    low, high = min(known / plan.most, 1.0), 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        held = confirm(plan, trial, plan.most * middle).holds
        low, high = (middle, high) if held else (low, middle)
    if not low:
        return replace(plan, most=0.0, most_requests_per_s=0.0)
    rate = at_load(plan, plan.most * low).requests_per_s
    return replace(plan, most=plan.most * low, most_requests_per_s=rate)


def fewest_that_hold(plan: ServingPlan, trial: Trial) -> Confirmed:
    """The plan with as few replicas, from those it has on, as keep the percentile at its load.

    Of two pools both grow. Where even many more do not keep it, the plan itself.
    """
    first = confirm(plan, trial)
    if first.holds or plan.need.amount is None:
        return first
    low = high = plan.decode_replicas
    found: Confirmed | None = None
    for _ in range(GROWTHS):
        high = math.ceil(high * GROWTH)
        tried = confirm(_grown(plan, high), trial)
        if tried.holds:
            found = tried
            break
        low = high
    if found is None:
        return first
    while high - low > max(1, PRECISE * low):
        middle = (low + high) // 2
        tried = confirm(_grown(plan, middle), trial)
        if tried.holds:
            high, found = middle, tried
        else:
            low = middle
    return found


def _grown(plan: ServingPlan, count: int) -> ServingPlan:
    """The plan with `count` replicas under the same load, and as many more for prompts."""
    more = count / plan.decode_replicas
    wider = replace(
        plan,
        decode_replicas=count,
        prefill_replicas=math.ceil(plan.prefill_replicas * more - 1e-9),
        most=plan.most * more,
        most_requests_per_s=plan.most_requests_per_s * more,
    )
    return at_load(wider, plan.need.amount or plan.requests_per_s)


def at_load(plan: ServingPlan, amount: float) -> ServingPlan:
    """The plan with as many requests under way as `amount` brings: requests/s or users."""
    need, each = plan.need, amount / plan.decode_replicas
    if plan.prefill is not None or need.users is None:
        rate = amount if need.users is None else plan.requests_per_s * amount / need.users
        need, each = Need(requests_per_s=rate), rate / plan.decode_replicas
    row = plan.decode
    full = replica(row.model, row.layout, plan.most_decoding, row.token_budget, row.request)
    loaded = with_load(full, row.request, need, each)
    rate, first = loaded.requests_per_s * plan.decode_replicas, plan.prefill
    if first is not None:
        first = at_rate(first, rate / plan.prefill_replicas, loaded.machine)
    return replace(plan, decode=loaded, prefill=first, requests_per_s=rate)
