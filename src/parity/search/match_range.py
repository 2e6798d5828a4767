"""How sure a serving match is: plans of many chips through the same equations, one draw for all.

What two chips share, as an engine's figures, is drawn by the same key and so cancels in the ratio.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from parity.catalogue.machine import Draw, Number, machine
from parity.evaluate.step import Served, served
from parity.evaluate.together import Ask, steady_states
from parity.search.prefill import fewer_prompts, pass_times, prompts_within
from parity.search.serve import ServingPlan, fewer, rates_within

#: The ways of one chip that its samples choose from, and what its figures are drawn by.
Drawing = tuple[Sequence[ServingPlan], Draw]


@dataclass(frozen=True)
class Rates:
    """Requests/s of one replica of each pool of a plan, shape (samples,)."""

    plan: ServingPlan
    decode: Number
    prompts: Number | None = None  # where they have a pool

    @property
    def most(self) -> Number:
        """Requests/s that the plan carries with the replicas that it has. [1/s]"""
        own = self.plan.decode_replicas * self.decode
        if self.prompts is None:
            return own
        return np.minimum(own, self.plan.prefill_replicas * self.prompts)

    @property
    def chips_per_rate(self) -> Number:
        """Chips for one request a second, in as large a part of each pool as that takes. [s]"""
        own = self.plan.decode.chips / self.decode
        if self.plan.prefill is None or self.prompts is None:
            return own
        return own + self.plan.prefill.chips / self.prompts


def stated(plan: ServingPlan) -> Rates:
    """The rates of a plan at its stated figures; it holds as many requests as it takes."""
    first = plan.prefill
    return Rates(plan, plan.decode.requests_per_s, first.requests_per_s if first else None)


def sampled_plans(drawings: Sequence[Drawing]) -> list[list[Rates]]:
    """The rates of every plan over the ranges of all figures, drawing by drawing.

    Each sample holds as many requests, and prompts of a step, as its latencies allow, up to those
    of the plan.
    """
    flat: list[tuple[ServingPlan, Served, Served | None]] = []
    for plans, draw in drawings:
        known: dict[Hashable, Served] = {}
        for plan in plans:
            first = _drawn(plan.prefill.model, draw, known) if plan.prefill else None
            flat.append((plan, _drawn(plan.decode.model, draw, known), first))
    asks = [
        fewer_prompts(plan.prefill, first) if plan.prefill and first else None
        for plan, _, first in flat
    ]
    steady = steady_states([fewer(plan.decode, model) for plan, model, _ in flat])
    seconds = iter(pass_times([ask for ask in asks if ask]))
    found = []
    for (plan, model, _), ask, one in zip(flat, asks, steady, strict=True):
        job = replace(plan.job, request=plan.decode.request)
        if ask:
            job = replace(job, ttft_s=np.inf)
        own = rates_within(job, plan.decode, one) * plan.decode.chips
        found.append(Rates(plan, own, _prompts(plan, model, ask, next(seconds)) if ask else None))
    rest = iter(found)
    return [list(islice(rest, len(plans))) for plans, _ in drawings]


def _prompts(plan: ServingPlan, model: Served, ask: Ask, seconds: Number) -> Number:
    assert plan.prefill is not None
    return prompts_within(plan.prefill, ask, seconds, plan.job.ttft_s, model.machine)


def _drawn(model: Served, draw: Draw, known: dict[Hashable, Served]) -> Served:
    """The model with its figures as they are drawn, once for each chip and precision."""
    own = model.machine
    key = (id(own.chip), own.cluster_id, model.precision)
    if key not in known:
        drawn = machine(own.chip, own.cluster_id, draw)
        known[key] = served(model.arch, model.precision, drawn, model.engine, draw)
    return known[key]
