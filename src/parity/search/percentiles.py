"""Percentiles of latencies: by the steady state, or held request by request."""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import NormalDist

from parity.evaluate.serving import waited
from parity.record import Finding
from parity.search.confirm import (
    PERCENTILES,
    Confirmed,
    Trial,
    at_load,
    confirm,
    fewest_that_hold,
    most_that_holds,
)
from parity.search.findings import note
from parity.search.pools import Pool
from parity.search.replica import replica
from parity.search.serve import ServingPlan
from parity.search.serving_plan import ANY_S, Outcome, ServingQuestion, merit, serve
from parity.units import render

#: Where the percentile is missed on every plan, plans that are faster on average are sought: each
#: time in so much of the time, so many times.
FASTER, TRIES = 0.5, 4
#: Factor on the requests under way for the slope of the time per token.
NEARBY = 1.05
#: Requests that decode in a lane where one alone is seldom there.
ALONE = 1e-3


def steady_percentiles(plan: ServingPlan) -> tuple[dict[int, float], dict[int, float]]:
    """(TTFT, TPOT) of requests of the mean length by percentile, without a simulation. [s]

    The time per token of a request is a mean over many steps, and about normal; answers of one
    token have none.
    """
    ttft, tpot, spread, alone_s = {}, {}, _tpot_spread(plan), _alone_s(plan)
    for p in PERCENTILES:
        ttft[p] = float(waited(plan.ttft_s, alone_s, p))
        more = plan.job.request.output_tokens > 1
        tpot[p] = plan.tpot_s + NormalDist().inv_cdf(p / 100.0) * spread if more else 0.0
    return ttft, tpot


def _alone_s(plan: ServingPlan) -> float:
    """The time to the first token of a request that meets no other. [s]"""
    if plan.prefill:
        return plan.prefill.pass_s + plan.prefill.transfer_s
    own = plan.decode
    idle = replica(own.model, own.layout, ALONE, own.token_budget, own.request)
    return float(idle.steady.ttft_s[0])


def _tpot_spread(plan: ServingPlan) -> float:
    """Standard deviation of the time per output token over requests. [s]

    Each of S steps takes t(D, u) with probability φ, else t(D, 0), see `evaluate/serving.py`. Where
    requests come at random, those under way are Poisson around D, as in a queue with any number of
    servers [Takács 1962]; of their variance two thirds are left over the life of a request.
    """
    decode, job = plan.decode, plan.job
    steady, steps = decode.steady, max(float(job.request.decode_steps), 1.0)
    often, mixed = float(steady.prompt_share[0]), decode.model.engine.mixed
    one, other = (float(x.total_s[0]) for x in (steady.prompt, steady.decode))
    varied = often * (1.0 - min(often, 1.0)) * (one - other) ** 2 if mixed else often * one**2
    spread = varied / steps / float(job.request.accepted) ** 2
    if plan.need.requests_per_s is not None:
        at = decode.decoding
        more = replica(
            decode.model, decode.layout, at * NEARBY, decode.token_budget, decode.request
        )
        slope = (float(more.steady.tpot_s[0]) - plan.tpot_s) / (at * (NEARBY - 1.0))
        spread += slope**2 * at * 2 / 3
    return math.sqrt(spread)


def at_percentile(question: ServingQuestion, trial: Trial) -> Outcome:
    """The best plans whose latencies hold at a percentile of the requests, not on average.

    Each of the best plans by the steady state is simulated, with as many replicas, or with as much
    load, as the percentile allows. Where none holds, plans that are faster on average are tried;
    where none of these does, the first comes back with `missed` (P115).
    Raises `Infeasible` as `serve` does.
    """
    found: Outcome | None = None
    asked = question
    for _ in range(TRIES):
        outcome = serve(asked)
        if found is not None and outcome.missed:
            break
        tried = [_confirmed(question, plan, trial, outcome.missed) for plan in outcome.plans]
        tried.sort(key=lambda one: (one.holds, *merit(one.plan, question)), reverse=True)
        best = tried[0]
        if found is None or best.holds:
            plans = tuple(one.plan for one in tried)
            found = replace(outcome, plans=plans, confirmed=best)
        if best.holds or outcome.missed:
            break
        asked = _faster(asked, best, trial.percentile)
    assert found is not None
    assert found.confirmed is not None
    if found.confirmed.holds or found.missed:
        return found
    return replace(found, missed=(_missed(found.confirmed, trial.percentile),))


def _confirmed(
    question: ServingQuestion, plan: ServingPlan, trial: Trial, missed: tuple[Finding, ...]
) -> Confirmed:
    """The plan with the replicas or the load that the percentile asks for, simulated."""
    asked = question.pool.job
    own = replace(plan, job=replace(plan.job, ttft_s=asked.ttft_s, tpot_s=asked.tpot_s))
    if any(finding.code == "P106" for finding in missed):
        return confirm(own, trial)  # nothing is as fast as asked
    found = fewest_that_hold(own, trial) if question.counted else confirm(own, trial)
    known = found.plan.need.amount if found.holds else None
    most = most_that_holds(found.plan, trial, known or 0.0)
    if not most.most:
        return found
    if trial.trace is None and (plan.need.amount is None or not plan.meets):
        return confirm(at_load(most, most.most), trial, most.most)
    return replace(found, plan=most)


def _faster(asked: ServingQuestion, seen: Confirmed, percentile: int) -> ServingQuestion:
    """The same with less time, on average, for what was late at the percentile."""
    job = seen.plan.job
    first = FASTER if seen.ttft_s[percentile] > job.ttft_s else 1.0
    each = FASTER if seen.tpot_s[percentile] > job.tpot_s else 1.0

    def sooner(pool: Pool) -> Pool:
        own = pool.job
        return replace(pool, job=replace(own, ttft_s=own.ttft_s * first, tpot_s=own.tpot_s * each))

    prompts = sooner(asked.prompts) if asked.prompts else None
    return replace(asked, pool=sooner(asked.pool), prompts=prompts)


def _missed(seen: Confirmed, percentile: int) -> Finding:
    """P115: what the percentile is, for what was asked."""
    job = seen.plan.job
    parts = [
        f"{name} {render(found[percentile], 's')} for {render(asked, 's')}"
        for name, found, asked in (
            ("TTFT", seen.ttft_s, job.ttft_s), ("TPOT", seen.tpot_s, job.tpot_s),
        )
        if found[percentile] > asked and asked < ANY_S
    ]  # fmt: skip
    words = f"At the {percentile}th percentile of simulated requests: {' and '.join(parts)}."
    return note("P115", words, "error", "more chips, a lower --p, or wider latencies")
