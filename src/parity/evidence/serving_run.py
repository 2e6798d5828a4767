"""What an engine makes of one run: how many requests decode, how fast, how long they wait.

A run is a load on replicas of one layout. All at once, at a rate, or so many at a time: each says
how many requests decode at a time, and the steady state says the rest. Runs of n requests have a
beginning and an end that the steady state does not know:

    T = n/X + O·a·(ln D + γ - 1)

where they come at once and lengths vary: the last D requests end one after another, and steps of
few requests take a. Lengths that spread like an exponential leave D·e^(-s/O) of D after s steps,
the last after O·(ln D + γ), of which O steps are in n/X already. Where all lengths are equal, waves
of D end at once, and only the last, smaller one is lost. Of n requests that come at once the k-th
begins when k - D have ended.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from parity.catalogue.machine import Number
from parity.evaluate.serving import Steady, steady_state
from parity.evaluate.serving_memory import (
    cache_per_request,
    room_for_cache,
    weights_per_chip,
)
from parity.evaluate.step import Served, step
from parity.evidence.serving_physics import BINARY
from parity.layout.layout import Layout
from parity.layout.step import Load
from parity.workload.request import Request

#: Decoding requests of a lane that are tried.
DECODING = np.unique(np.round(np.geomspace(1, 8192, 80)))
#: p99 over the mean where waits are exponential: ln 100.
P99_OVER_MEAN = float(np.log(100.0))
#: What a system took at most of its memory that ran although its engine's shares leave no room.
ALL_BUT = 0.97


@dataclass(frozen=True)
class Traffic:
    """The load of one replica, each a number or an array over ways to divide one.

    arrival: offline, batch, closed or open. concurrency: requests under way; requests: of the whole
    run, 0 where it goes on, and as many as take least_s; rate_per_s: requests that arrive. varied:
    lengths spread around their means. ttft_s, tpot_s: what must be kept, by the 99th percentile.
    """

    arrival: str
    concurrency: Number = 0.0
    requests: Number = 0.0
    rate_per_s: Number = 0.0
    least_s: float = 0.0
    varied: bool = False
    ttft_s: float = np.inf
    tpot_s: float = np.inf


@dataclass(frozen=True)
class Outcome:
    """What is measured of one replica. Shapes as the columns of the layout; samples may lead."""

    requests_per_s: Number
    ttft_s: Number
    tpot_s: Number
    decoding: Number
    fits: Number


def most_decoding(model: Served, layout: Layout, request: Request, budget: float) -> Number:
    """Requests that decode in a lane at most: what the scheduler holds and the memory has room for.

    An engine that reserves the whole answer holds fewer. Where the usual shares leave no room for
    one, it ran all the same: all memory but a little is taken then.
    """
    engine = model.engine
    context = request.reserved_context if engine.reserves_output else request.mean_context
    each = cache_per_request(model, layout, context) * layout.pp
    free = room_for_cache(model, layout, budget)
    whole = model.machine.memory_bytes * BINARY * ALL_BUT - weights_per_chip(model, layout)
    room = np.where(free < each, whole, free) / np.maximum(each, 1.0)
    return np.clip(np.floor(room), 1.0, np.maximum(engine.max_sequences / layout.pp, 1.0))


def prompts_alone(
    model: Served, layout: Layout, request: Request, together: Number
) -> tuple[Number, Number]:
    """(seconds of a step that takes `together` whole prompts and nothing else, prompts/s)."""
    load = Load(
        np.zeros(len(layout)), 1.0, together * request.new_tokens,
        request.input_tokens, request.cached_tokens,
    )  # fmt: skip
    once = step(model, layout, load).total_s
    return once, layout.pp * layout.dp * together / once


def tokens_alone(
    model: Served, layout: Layout, request: Request, decoding: Number, budget: float
) -> Outcome:
    """Steps of `decoding` requests a lane and no prompts: what chips for decoding do."""
    one = step(model, layout, Load(decoding, request.mean_context, queries=request.drafted + 1.0))
    lanes, tpot = layout.pp * layout.dp, one.total_s / request.accepted
    answers = np.maximum(request.output_tokens - 1.0, 1.0)
    held = most_decoding(model, layout, request, budget)
    return Outcome(lanes * decoding / (answers * tpot), tpot, tpot, decoding, decoding <= held)


def alone_for(
    model: Served, layout: Layout, request: Request, traffic: Traffic, budget: float
) -> Number:
    """Requests of a lane that decode on chips for decoding: as many as there are, else as many as
    keep the time per token, else all that the memory holds. One for each column of `layout`.
    """
    if np.any(traffic.concurrency):
        return np.maximum(traffic.concurrency / (layout.pp * layout.dp), 1.0)
    most = most_decoding(model, layout, request, budget)
    tried = np.minimum(DECODING[:, None], most)
    at = np.broadcast_to(np.arange(len(layout)), tried.shape).ravel()
    found = tokens_alone(model, layout.take(at), request, tried.ravel(), budget)
    quick = found.tpot_s.reshape(tried.shape) <= traffic.tpot_s
    return np.where(quick, tried, 1.0).max(axis=0)


def batch(model: Served, layout: Layout, request: Request, size: Number, budget: float) -> Outcome:
    """A batch of `size` requests a replica that begins and ends together."""
    lanes = layout.pp * layout.dp
    each = np.maximum(size / lanes, 1.0)
    room = max(budget, request.new_tokens)
    passes = np.maximum(np.ceil(each * request.new_tokens / room), 1.0)
    first = passes * prompts_alone(model, layout, request, each / passes)[0]
    queries = request.drafted + 1.0
    one = step(model, layout, Load(each, request.mean_context, queries=queries)).total_s
    whole = first * layout.pp + request.decode_steps * one * layout.pp
    held = most_decoding(model, layout, request, budget)
    return Outcome(
        requests_per_s=size / whole,
        ttft_s=first * layout.pp,
        tpot_s=one / request.accepted,
        decoding=each,
        fits=each <= held,
    )


def outcome(
    model: Served, layout: Layout, request: Request, traffic: Traffic, decoding: Number,
    budget: float,
) -> Outcome:  # fmt: skip
    """What `traffic` gives on a replica of which `decoding` requests a lane decode."""
    steady = steady_state(model, layout, decoding, request, budget)
    rate, tpot, ttft = steady.requests_per_s, steady.tpot_s, steady.ttft_s
    answered = np.maximum(request.output_tokens - 1.0, 0.0) * tpot
    if traffic.arrival == "closed":
        queued = traffic.concurrency / rate - answered  # Little: N = X (TTFT + the answer)
        full = steady.concurrency < 0.98 * traffic.concurrency
        ttft = np.where(full, np.maximum(queued, ttft), ttft)
    if traffic.arrival == "offline" and np.any(traffic.requests):
        n = np.maximum(traffic.requests, traffic.least_s * rate)
        return all_at_once(model, layout, request, traffic, n, steady, budget)
    if traffic.arrival == "open" and np.any(traffic.requests):
        n = traffic.requests
        rate = n / (n / traffic.rate_per_s + ttft + answered)
    return Outcome(rate, ttft, tpot, steady.decoding, steady.fits)


def all_at_once(
    model: Served,
    layout: Layout,
    request: Request,
    traffic: Traffic,
    requests: Number,
    steady: Steady,
    budget: float,
) -> Outcome:
    """A run of `requests` that come at once.

    Those that the engine has room for are prompts first and decode then; while others wait the
    steady state goes on.
    """
    lanes, n = layout.pp * layout.dp, requests
    held = np.minimum(steady.decoding * lanes, n)
    together = np.maximum(np.floor(budget / request.new_tokens), 1.0) * np.ones(len(layout))
    prompt_s = 1.0 / prompts_alone(model, layout, request, together)[1]
    filled = held * prompt_s
    late = np.maximum(n - held, 0.0)
    decode_s = _decode_s(model, layout, request, held)
    alone = filled + request.decode_steps * decode_s
    whole = np.where(late > 0, n / steady.requests_per_s, alone)
    whole = whole + _ending(model, layout, request, traffic.varied, n, held)
    behind = late / steady.requests_per_s
    ttft = (held * filled / 2 + late * (filled + behind / 2)) / n
    # while the rest of their batch are prompts, those that began wait between their tokens
    between = decode_s + filled / 2 / np.maximum(request.decode_steps, 1.0)
    tpot = np.where(late > 0, steady.tpot_s, between / request.accepted)
    return Outcome(n / whole, ttft, tpot, steady.decoding, steady.fits)


def _decode_s(model: Served, layout: Layout, request: Request, count: Number) -> Number:
    """Seconds of a step in which `count` requests of a replica decode and nothing else is done."""
    each = np.maximum(count / (layout.pp * layout.dp), 1.0)
    load = Load(each, request.mean_context, queries=request.drafted + 1.0)
    return step(model, layout, load).total_s


def _ending(
    model: Served, layout: Layout, request: Request, varied: bool, requests: Number, held: Number
) -> Number:
    """Seconds that a run takes after its last request began, beyond what n/X has of it."""
    if varied:
        waits = np.maximum(np.log(np.maximum(held, 1.0)) + np.euler_gamma - 1.0, 0.0)
        few = _decode_s(model, layout, request, np.ones(len(layout)))
        return request.decode_steps * waits * few
    rest = np.mod(requests, held)
    full = _decode_s(model, layout, request, held)
    last = _decode_s(model, layout, request, rest) - rest / held * full
    return request.decode_steps * np.where(rest > 0, last, 0.0)


def met_by_requests(traffic: Traffic, latency_s: Number) -> Number:
    """Requests under way that a request of a finite run meets, on average.

    n requests that come within w = n/λ and stay e each: their number rises, stays and falls as a
    trapezoid, whose mean over what is under way is n·(e/w)·(1 - e/3w) where e < w, and
    n·(1 - w/3e) where it is not.
    """
    window = traffic.requests / traffic.rate_per_s
    short = latency_s / window * (1 - latency_s / (3 * window))
    return traffic.requests * np.where(latency_s < window, short, 1 - window / (3 * latency_s))


def decoding_for(
    model: Served, layout: Layout, request: Request, traffic: Traffic, budget: float
) -> Number:
    """Requests of a lane that decode under `traffic`, one for each column of `layout`."""
    most = most_decoding(model, layout, request, budget)
    lanes = layout.pp * layout.dp
    finite = bool(np.any(traffic.requests)) and not traffic.least_s
    if finite:
        most = np.clip(traffic.requests / lanes, 1.0, most)
    limited = np.isfinite(traffic.ttft_s) or np.isfinite(traffic.tpot_s)
    if traffic.arrival == "offline" and not limited:
        return most
    tried = np.minimum(DECODING[:, None], most)  # (tried, columns)
    at = np.broadcast_to(np.arange(len(layout)), tried.shape).ravel()
    steady = steady_state(model, layout.take(at), tried.ravel(), request, budget)
    shape = tried.shape
    decoding = np.broadcast_to(steady.decoding, tried.size).reshape(shape)
    rate = steady.requests_per_s.reshape(shape)
    if limited:
        first = steady.ttft_s.reshape(shape)
        late = first + (P99_OVER_MEAN - 1.0) * (first - first[0]) > traffic.ttft_s
        slow = steady.tpot_s.reshape(shape) > traffic.tpot_s
        best = np.argmax(np.where(late | slow, -np.inf, rate), axis=0)
        return decoding[best, np.arange(len(layout))]
    if traffic.arrival == "closed":
        sought, scale = traffic.concurrency, steady.concurrency.reshape(shape)
    elif finite:
        latency = steady.ttft_s + (request.output_tokens - 1.0) * steady.tpot_s
        met = met_by_requests(traffic, latency.reshape(shape)) / lanes
        sought, scale = 0.0, decoding - met
    else:
        sought, scale = traffic.rate_per_s, rate
    sought = np.broadcast_to(sought, len(layout))
    rising = np.maximum.accumulate(scale, axis=0)
    return np.array(
        [np.interp(s, rising[:, i], decoding[:, i]) for i, s in enumerate(sought)], dtype=float
    )
