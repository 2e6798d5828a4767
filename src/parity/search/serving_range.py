"""How sure the answer to a serving question is: its chips, or what they carry, over all ranges."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from parity.catalogue.machine import Draw, Number
from parity.search.prefill import sampled_pass
from parity.search.serve import ServingPlan, sampled_rates
from parity.search.serving_plan import ServingQuestion
from parity.search.uncertainty import Spread, spread
from parity.timing.draw import USUAL_SAMPLES, Sampler


def plan_spread(
    plans: tuple[ServingPlan, ...], question: ServingQuestion, sampler: Sampler = USUAL_SAMPLES
) -> Spread:
    """The range of the chips, where they are the answer, else of requests/s at most.

    Whatever the figures turn out to be, the best of `plans` for them is taken.
    """
    counted = question.counted and question.need.amount is not None

    def answering(draw: Draw) -> Number:
        each = [_chips(plan, draw) if counted else sampled_most(plan, draw) for plan in plans]
        return np.min(each, axis=0) if counted else np.max(each, axis=0)

    best = plans[0]
    return spread(answering, sampler).holding(
        float(best.chips) if counted else best.most_requests_per_s
    )


def _chips(plan: ServingPlan, draw: Draw) -> Number:
    """Of all replicas that the load takes, shape (samples,). [1]"""
    decode, prompts = _relative(plan, draw)
    chips = plan.decode.chips * np.ceil(plan.decode_replicas / decode - 1e-9)
    if plan.prefill:
        need = plan.prefill_replicas * plan.requests_per_s / plan.most_requests_per_s
        chips = chips + plan.prefill.chips * np.ceil(need / prompts - 1e-9)
    return chips


def sampled_most(plan: ServingPlan, draw: Draw) -> Number:
    """Requests that the plan carries at most, shape (samples,). [1/s]"""
    return plan.most_requests_per_s * np.minimum(*_relative(plan, draw))


def _relative(plan: ServingPlan, draw: Draw) -> tuple[Number, Number]:
    """Rates of both pools over their own, each of shape (samples,). [1]"""
    decode, first = plan.decode, plan.prefill
    job = replace(plan.job, request=decode.request)
    if first is None:
        return sampled_rates(job, decode, draw) / decode.requests_per_s_per_chip, np.inf
    rate = sampled_rates(replace(job, ttft_s=np.inf), decode, draw)
    return rate / decode.requests_per_s_per_chip, first.pass_s / sampled_pass(first, draw)
