"""Where requests wait, one by one: of the time to the first token and of the whole answer.

    answer = waiting + its prompt + decoding        waiting: sent, until a step first holds it

Means over the requests that were answered, and over the slowest of them: those whose first token
took as long as the percentile asked for, or longer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from parity.search.confirm import Confirmed, at_load
from parity.search.replica import ServingJob
from parity.search.requests import WARM_UP
from parity.search.serve import ServingPlan

#: What the time of an answer is spent on, in order.
PHASES = ("queue", "prompt", "decode")


@dataclass(frozen=True)
class Waits:
    """Mean seconds of an answer by phase, of all requests and of the slowest."""

    percentile: int
    requests: int
    mean: tuple[tuple[str, float], ...]
    slowest: tuple[tuple[str, float], ...]
    waited: float  # share of the requests that waited for as long as their prompt took, or longer


def waits_of(seen: Confirmed, percentile: int, *, drawn: bool = True) -> Waits:
    """Where the requests of a simulation spent their time.

    drawn: its requests were drawn, and come to an empty service: the first are left out.
    """
    result = seen.result
    late = np.arange(len(result.sent_s)) >= (WARM_UP if drawn else 0.0) * len(result.sent_s)
    some = np.flatnonzero(result.finished & np.isfinite(result.queue_s) & late)
    if not len(some):
        nothing = tuple((phase, 0.0) for phase in PHASES)
        return Waits(percentile, 0, nothing, nothing, 0.0)
    queue, first, whole = result.queue_s[some], result.ttft_s[some], result.e2e_s[some]
    spent = dict(zip(PHASES, (queue, first - queue, whole - first), strict=True))
    slow = first >= np.percentile(first, percentile, method="inverted_cdf")
    return Waits(
        percentile,
        len(some),
        tuple((phase, float(np.mean(seconds))) for phase, seconds in spent.items()),
        tuple((phase, float(np.mean(seconds[slow]))) for phase, seconds in spent.items()),
        float(np.mean(queue >= first - queue)),
    )


def queue_share(phases: tuple[tuple[str, float], ...]) -> float:
    """Share of the time to the first token that is waiting. [1]"""
    spent = dict(phases)
    first = spent["queue"] + spent["prompt"]
    return spent["queue"] / first if first > 0 else 0.0


def at_its_means(plan: ServingPlan) -> ServingJob:
    """What is asked, with the mean latencies of a plan at the load that keeps its percentile.

    What would help is found by the steady state, which knows means: whatever has the same means
    under more load is taken to keep the percentile there too.
    """
    job = plan.job
    if job.patient or not plan.most:
        return job
    full = at_load(plan, plan.most)
    ttft = full.ttft_s if math.isfinite(job.ttft_s) else job.ttft_s
    tpot = full.tpot_s if math.isfinite(job.tpot_s) else job.tpot_s
    return replace(job, ttft_s=min(ttft, job.ttft_s), tpot_s=min(tpot, job.tpot_s))
