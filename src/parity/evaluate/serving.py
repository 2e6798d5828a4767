"""Serving at a steady state: what continuous batching makes of a step.

D requests decode at a time. Each takes S steps, so that D/S of them end in a step, as many begin,
and a step has to take in p = D·I/S tokens of prompts. Where prompts and decoding share a step, a
share φ = p/u of steps carries u of them, within the token budget; else prompts take steps of their
own:

    shared    t = φ·t(D, u) + (1 - φ)·t(D, 0)           apart    t = t(D, 0) + (D/S)·t(0, I)

    requests/s = D / (S·t)        time per output token = t / (tokens of a step)

[Yu et al. 2022, Orca, OSDI'22; Agrawal et al. 2024, Sarathi-Serve, arXiv 2403.02310]. A prompt
waits for the step under way and for prompts before it, as in a queue with one server of constant
service time whose use is ρ, the share of time that prompts are worked on:

    TTFT = t/2 + s·(1 + ρ / 2(1 - ρ))

[Pollaczek 1930, Khinchine 1932]; and N = D + (requests/s)·TTFT requests are in the system
[Little 1961]. All results broadcast over columns of layouts and D.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from parity.catalogue.machine import Number
from parity.evaluate.serving_memory import cache_per_request, room_for_cache, weights_per_chip
from parity.evaluate.step import Served, Step, draft_time, step
from parity.layout.layout import Layout
from parity.layout.step import Load
from parity.workload.request import Request

#: Use of the prompt server beyond which its queue is not followed: a closed system has no more
#: requests than it has, and an open one is full.
_BUSIEST = 0.98


@dataclass(frozen=True)
class Steady:
    """A replica with D decoding requests in each lane, per column."""

    decoding: Number  # D, of one pipeline lane of one rank, as far as the budget lets it
    prompt: Step  # a step that takes prompts in, of `prompt_tokens`
    decode: Step  # a step that takes none
    prompt_share: Number  # of steps, or of time where prompts have steps of their own
    prompt_tokens: Number
    step_s: Number  # the mean over both kinds of steps
    tpot_s: Number
    ttft_s: Number
    requests_per_s: Number  # of one replica, all lanes and ranks
    concurrency: Number  # requests in the replica, those whose prompt waits included
    weight_bytes: Number  # per chip
    cache_bytes: Number  # per chip
    room_bytes: Number  # per chip, for the cache
    fits: Number


def steady_state(
    model: Served, layout: Layout, decoding: Number, request: Request, token_budget: Number
) -> Steady:
    """The steady state of a replica of tp · pp · dp · cp chips with `decoding` requests a lane.

    decoding: shape of the layout's columns; a replica has pp lanes for each of its dp ranks.
    token_budget: tokens of one step at most. Requests of a rank fill its lanes evenly.
    """
    budget = np.asarray(token_budget, dtype=float)
    steps = np.maximum(request.decode_steps, 1e-9)
    new, queries = request.new_tokens, request.drafted + 1.0
    flow = new / steps  # prompt tokens that a decoding request brings to a step
    shared = model.engine.mixed and not model.engine.static_batch
    room = budget
    if shared:
        decoding = np.minimum(decoding, budget / (queries + flow))
        room = np.maximum(budget - decoding * queries, 1.0)
    if not model.engine.chunked:
        room = np.maximum(room, new)
    taken = np.minimum(np.maximum(decoding * flow, new), room)  # of a step with prompts
    none = Load(decoding, request.mean_context, queries=queries)
    beside = decoding if shared else np.zeros_like(decoding)
    some = Load(
        beside, request.mean_context, taken, request.input_tokens, request.cached_tokens, queries
    )
    decode, prompt = step(model, layout, none), step(model, layout, some)
    often = decoding * flow / taken  # steps with prompts, for each step that decodes
    mean_s = (1 - often if shared else 1.0) * decode.total_s + often * prompt.total_s
    mean_s = mean_s + draft_time(model, layout, none, request.drafted)
    together = decoding if model.engine.static_batch else 1.0
    served_s = np.maximum(together * new / taken, 1.0) * prompt.total_s
    busy = np.minimum(often * prompt.total_s / mean_s, _BUSIEST)
    waiting = 0.0 if model.engine.static_batch else busy / (2 * (1 - busy)) * served_s
    ttft = mean_s / 2 + served_s + waiting
    lanes = layout.pp * layout.dp
    rate = lanes * decoding / (steps * mean_s)
    begun = rate / lanes * ttft  # requests of a lane whose prompt is not done
    reserves = model.engine.reserves_output
    context = request.reserved_context if reserves else request.mean_context
    kept = (decoding + np.minimum(begun, 1.0)) * layout.pp
    cache = cache_per_request(model, layout, context) * kept
    free = room_for_cache(model, layout, budget)
    return Steady(
        decoding=decoding,
        prompt=prompt,
        decode=decode,
        prompt_share=often,
        prompt_tokens=taken,
        step_s=mean_s,
        tpot_s=mean_s / request.accepted,
        ttft_s=ttft,
        requests_per_s=rate,
        concurrency=lanes * (decoding + begun),
        weight_bytes=weights_per_chip(model, layout),
        cache_bytes=cache,
        room_bytes=free,
        fits=cache <= free,
    )
