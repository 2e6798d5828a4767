"""Serving at a steady state: what continuous batching makes of a step.

D requests decode at a time. Each takes S steps, so that a = D/S of them end in a step and as many
prompts of I tokens come in their place, at random: a step finds one or more waiting with
probability 1 - e^(-a), and then a / (1 - e^(-a)) of them on average. It takes in as many as the
token budget has room for, u tokens; φ = a·I/u of the steps do. Where prompts and decoding share a
step, or prompts have steps of their own:

    shared    t = φ·t(D, u) + (1 - φ)·t(D, 0)           apart    t = t(D, 0) + φ·t(0, u)

    requests/s = D / (S·t)        time per output token = t / (tokens of a step)

[Yu et al. 2022, Orca, OSDI'22; Agrawal et al. 2024, Sarathi-Serve, arXiv 2403.02310]. A prompt
waits for the step under way, half of one as steps are met by their length, and, as far as the
budget is used (ρ = a·I/room), for prompts before it, as in a queue with one server of constant
service time:

    TTFT = E[t²] / 2E[t] + s·max(I/room, 1) + s·(I/room)·ρ / 2(1 - ρ),    s = t(D, u)

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
from parity.timing.engine import Engine
from parity.workload.request import Request

#: Use of the budget beyond which its queue is not followed: a closed system has no more
#: requests than it has, and an open one is full.
_BUSIEST = 0.98


@dataclass(frozen=True)
class Loads:
    """The two kinds of steps of a steady state, and how much of each makes the mean step."""

    decode: Load
    prompt: Load
    alone: Number  # steps that only decode
    often: Number  # steps that take prompts in

    def mean(self, decode: Number, prompt: Number) -> Number:
        """Of what each kind takes, the mean."""
        return self.alone * decode + self.often * prompt


@dataclass(frozen=True)
class Steady:
    """A replica with D decoding requests in each lane, per column."""

    decoding: Number  # D, of one pipeline lane of one rank, as far as the budget lets it
    prompt: Step  # a step that takes prompts in, of `prompt_tokens`
    decode: Step  # a step that takes none
    prompt_share: Number  # of steps, or of time where prompts have steps of their own
    prompt_tokens: Number
    step_s: Number  # the mean over both kinds of steps
    wait_s: Number  # of a prompt, before its own steps begin
    tpot_s: Number
    ttft_s: Number
    requests_per_s: Number  # of one replica, all lanes and ranks
    concurrency: Number  # requests in the replica, those whose prompt waits included
    weight_bytes: Number  # per chip
    cache_bytes: Number  # per chip
    room_bytes: Number  # per chip, for the cache
    fits: Number
    loads: Loads


def tokens_read(engine: Engine, request: Request) -> Number:
    """Tokens of the cache that decoding reads for a request, on average. Kernels compiled for one
    shape read a cache of the longest.
    """
    return request.reserved_context if engine.whole_cache else request.mean_context


def steady_state(
    model: Served, layout: Layout, decoding: Number, request: Request, token_budget: Number
) -> Steady:
    """The steady state of a replica of tp · pp · dp · cp chips with `decoding` requests a lane.

    decoding: shape of the layout's columns; a replica has pp lanes for each of its dp ranks.
    token_budget: tokens of one step at most. Requests of a rank fill its lanes evenly.
    """
    engine = model.engine
    steps = np.maximum(request.decode_steps, 1e-9)
    new, queries = request.new_tokens, request.drafted + 1.0
    decoding, room = _room(model, decoding, request, token_budget)
    begin = decoding / steps  # prompts that come to a step
    waiting = begin / -np.expm1(-np.maximum(begin, 1e-12))  # where any do
    taken = np.where(new < room, np.minimum(new * waiting, room), room)
    beside = decoding if _shared(model) else np.zeros_like(decoding)
    prefix = (request.input_tokens, request.cached_tokens)
    read = tokens_read(engine, request)
    none = Load(decoding, read, queries=queries)
    some = Load(beside, read, taken, *prefix, queries)
    decode, prompt = step(model, layout, none), step(model, layout, some)
    often = begin * new / taken  # steps with prompts, for each step that decodes
    alone = np.maximum(1 - often, 0.0) if _shared(model) else 1.0
    drafts = draft_time(model, layout, none, request.drafted)
    plain_s, prompt_s = decode.total_s + drafts, prompt.total_s + drafts * (beside > 0)
    loads = Loads(none, some, alone, often)
    mean_s = loads.mean(plain_s, prompt_s)
    if engine.static_batch:
        wait = 0.0 * mean_s
        served_s = np.maximum(decoding * new / taken, 1.0) * prompt_s
    else:
        met = (alone * plain_s**2 + often * prompt_s**2) / (2 * mean_s)
        used = np.minimum(begin * new / room, _BUSIEST)
        wait = met + prompt_s * new / room * used / (2 * (1 - used))
        served_s = np.maximum(new / room, 1.0) * prompt_s
    lanes = layout.pp * layout.dp
    rate = lanes * decoding / (steps * mean_s)
    begun = rate / lanes * (wait + served_s)  # requests of a lane whose prompt is not done
    context = request.reserved_context if engine.reserves_output else request.mean_context
    kept = (decoding + np.minimum(begun, 1.0)) * layout.pp
    cache = cache_per_request(model, layout, context) * kept
    weights = weights_per_chip(model, layout)
    free = room_for_cache(model, layout, token_budget, weights)
    return Steady(
        decoding=decoding,
        prompt=prompt,
        decode=decode,
        prompt_share=often,
        prompt_tokens=taken,
        step_s=mean_s,
        wait_s=wait,
        tpot_s=mean_s / request.accepted,
        ttft_s=wait + served_s,
        requests_per_s=rate,
        concurrency=lanes * (decoding + begun),
        weight_bytes=weights,
        cache_bytes=cache,
        room_bytes=free,
        fits=cache <= free,
        loads=loads,
    )


def _shared(model: Served) -> bool:
    """Whether prompts and decoding requests share steps."""
    return model.engine.mixed and not model.engine.static_batch


def _room(
    model: Served, decoding: Number, request: Request, token_budget: Number
) -> tuple[Number, Number]:
    """(requests that decode as the budget lets them; tokens of prompts a step has room for).

    Requests bring prompts in proportion, so that a full budget limits how many decode.
    """
    room = np.asarray(token_budget, dtype=float)
    new, queries = request.new_tokens, request.drafted + 1.0
    if _shared(model):
        decoding = np.minimum(decoding, most_decoding(model, request, token_budget))
        room = np.maximum(room - decoding * queries, 1.0)
    return decoding, room if model.engine.chunked else np.maximum(room, new)


def most_decoding(model: Served, request: Request, token_budget: Number) -> Number:
    """Requests of a lane that a budget lets decode beside the prompts that they bring. [1]"""
    if not _shared(model):
        return np.full_like(np.asarray(token_budget, dtype=float), np.inf)
    flow = request.new_tokens / np.maximum(request.decode_steps, 1e-9)
    return np.asarray(token_budget, dtype=float) / (request.drafted + 1.0 + flow)


def waited(mean_s: Number, alone_s: Number, percentile: int) -> Number:
    """The percentile of the time to the first token. [s]

    mean_s: on average. alone_s: where no other request is. What is between them, waiting and steps
    that others make longer, is about exponential [Kingman 1961].
    """
    return alone_s + np.maximum(mean_s - alone_s, 0.0) * np.log(100.0 / (100.0 - percentile))
