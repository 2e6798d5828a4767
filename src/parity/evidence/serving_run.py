"""What an engine makes of one run: how many requests decode, how fast, how long they wait.

A run is a load on replicas of one layout. All at once, at a rate, or so many at a time: each says
how many requests decode at a time, and the steady state says the rest. Runs of n requests have a
beginning and an end that the steady state does not know:

    T = n/X + O·a·(ln D + γ - 1)

where they come at once and lengths vary: the last D requests end one after another, and steps of
few requests take a. Lengths that spread like an exponential leave D·e^(-s/O) of D after s steps,
the last after O·(ln D + γ), or when the longest answer allowed is full, of which O steps are in n/X
already. Where all lengths are equal, waves
of D end at once, and only the last, smaller one is lost. Of n requests that come at once the k-th
begins when k - D have ended. Many runs of one model under one engine are columns.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from parity.catalogue.machine import Number
from parity.evaluate.serving import Steady, steady_state, tokens_read
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

Phase = Literal["both", "prefill", "decode"]

#: Decoding requests of a lane that are tried.
DECODING = np.unique(np.round(np.geomspace(1, 8192, 80)))
#: p99 over the mean where waits are exponential: ln 100.
P99_OVER_MEAN = float(np.log(100.0))
#: What a system took at most of its memory that ran although its engine's shares leave no room.
ALL_BUT = 0.97


@dataclass(frozen=True)
class Traffic:
    """The load of one replica; numbers, or arrays over columns.

    arrival: offline, batch, closed or open. concurrency: requests under way; requests: of the whole
    run, 0 where it goes on, and as many as take least_s; rate_per_s: requests that arrive. varied:
    lengths spread around their means, up to `longest`. ttft_s, tpot_s: what must be kept, by the
    99th percentile.
    """

    arrival: str
    concurrency: Number = 0.0
    requests: Number = 0.0
    rate_per_s: Number = 0.0
    least_s: float = 0.0
    varied: bool = False
    longest: Number = np.inf
    ttft_s: Number = np.inf
    tpot_s: Number = np.inf

    @property
    def kind(self) -> tuple[object, ...]:
        """What two loads have in common that are columns of the same run."""
        finite = bool(np.any(self.requests))
        held = bool(np.any(self.concurrency))
        return self.arrival, finite, held, self.limited, self.least_s, self.varied

    @property
    def limited(self) -> bool:
        """Whether latencies must be kept."""
        return bool(np.any(np.isfinite(self.ttft_s)) or np.any(np.isfinite(self.tpot_s)))


#: Fields of a request and of a load that may differ from column to column.
OF_REQUEST = ("input_tokens", "output_tokens", "cached_tokens", "accepted", "spread")
OF_TRAFFIC = ("concurrency", "requests", "rate_per_s", "longest", "ttft_s", "tpot_s")


@dataclass(frozen=True)
class Run:
    """Runs of one model under one engine, as columns: of replicas, of requests, of loads."""

    model: Served
    layout: Layout
    request: Request
    traffic: Traffic
    phase: Phase = "both"

    def __len__(self) -> int:
        """Columns."""
        return len(self.layout)

    @property
    def budget(self) -> float:
        """Tokens of a step."""
        return float(self.model.engine.token_budget)

    @property
    def lanes(self) -> Number:
        """Batches that go through a replica side by side."""
        return self.layout.pp * self.layout.dp

    def columns(self, of: Request | Traffic, names: tuple[str, ...]) -> dict[str, Number]:
        """Each field as long as the run has columns."""
        return {n: np.broadcast_to(getattr(of, n), len(self)) for n in names}

    def take(self, at: NDArray[np.int64]) -> Run:
        """Some of the columns."""
        request = {n: x[at] for n, x in self.columns(self.request, OF_REQUEST).items()}
        traffic = {n: x[at] for n, x in self.columns(self.traffic, OF_TRAFFIC).items()}
        return replace(
            self,
            layout=self.layout.take(at),
            request=structs.replace(self.request, **request),
            traffic=replace(self.traffic, **traffic),
        )

    def tried(self, decoding: Number) -> tuple[Run, Number]:
        """Each column once for each row of `decoding`: the run, and its load of each."""
        at = np.broadcast_to(np.arange(len(self)), decoding.shape).ravel()
        return self.take(at), decoding.ravel()


@dataclass(frozen=True)
class Outcome:
    """What is measured of one replica. Shapes as the columns of the run; samples may lead."""

    requests_per_s: Number
    ttft_s: Number
    tpot_s: Number
    fits: Number

    def column(self, i: int) -> Outcome:
        """Of one column, samples kept."""
        return Outcome(*(np.asarray(x)[..., min(i, np.shape(x)[-1] - 1)] for x in self._all()))

    def _all(self) -> tuple[Number, ...]:
        return self.requests_per_s, self.ttft_s, self.tpot_s, self.fits


def load_of(run: Run) -> Number:
    """Requests of a lane that decode, prompts of a step, or requests of a batch: by column."""
    ones = np.ones(len(run))
    if run.phase == "prefill":
        if np.any(run.traffic.concurrency):
            return np.maximum(run.traffic.concurrency / run.layout.dp, ones)
        return np.maximum(np.floor(run.budget / run.request.new_tokens), ones)
    if run.phase == "decode":
        return _alone_for(run)
    if run.traffic.arrival == "batch":
        return run.traffic.concurrency * ones
    return _decoding_for(run)


def outcome_of(run: Run, load: Number) -> Outcome:
    """What a run gives with `load` as `load_of` counts it."""
    if run.phase == "prefill":
        once, rate = prompts_alone(run, load)
        return Outcome(rate, once * run.layout.pp, once, np.ones(len(run), dtype=bool))
    if run.phase == "decode":
        return tokens_alone(run, load)
    if run.traffic.arrival == "batch":
        return _batch(run, load)
    return _outcome(run, load)


def most_decoding(run: Run) -> Number:
    """Requests that decode in a lane at most: what the scheduler holds and the memory has room for,
    beside one whose prompt is worked on.

    An engine that reserves the whole answer holds fewer. Where the usual shares leave no room for
    one, it ran all the same: all memory but a little is taken then.
    """
    model, layout, request = run.model, run.layout, run.request
    reserves = model.engine.reserves_output
    context = request.reserved_context if reserves else request.mean_context
    each = cache_per_request(model, layout, context) * layout.pp
    free = room_for_cache(model, layout, run.budget)
    whole = model.machine.memory_bytes * BINARY * ALL_BUT - weights_per_chip(model, layout)
    room = np.where(free < each, whole, free) / np.maximum(each, 1.0) - 1.0
    held = np.maximum(model.engine.max_sequences / layout.pp, 1.0)
    return np.clip(np.floor(room), 1.0, held)


def prompts_alone(run: Run, together: Number) -> tuple[Number, Number]:
    """(seconds of a step that takes `together` whole prompts and nothing else, prompts/s)."""
    request = run.request
    load = Load(
        np.zeros(len(run)), 1.0, together * request.new_tokens,
        request.input_tokens, request.cached_tokens,
    )  # fmt: skip
    once = step(run.model, run.layout, load).total_s
    return once, run.lanes * together / once


def decode_s(run: Run, count: Number) -> Number:
    """Seconds of a step in which `count` requests of a lane decode and nothing else is done."""
    each, queries = np.maximum(count, 1.0), run.request.drafted + 1.0
    read = tokens_read(run.model.engine, run.request)
    return step(run.model, run.layout, Load(each, read, queries=queries)).total_s


def tokens_alone(run: Run, decoding: Number) -> Outcome:
    """Steps of `decoding` requests a lane and no prompts: what chips for decoding do."""
    tpot = decode_s(run, decoding) / run.request.accepted
    answers = np.maximum(run.request.output_tokens - 1.0, 1.0)
    fits = decoding <= most_decoding(run)
    return Outcome(run.lanes * decoding / (answers * tpot), tpot, tpot, fits)


def _alone_for(run: Run) -> Number:
    """Requests of a lane that decode on chips for decoding: as many as there are, else as many as
    keep the time per token, else all that the memory holds.
    """
    if np.any(run.traffic.concurrency):
        return np.maximum(run.traffic.concurrency / run.lanes, 1.0)
    tried = np.minimum(DECODING[:, None], most_decoding(run))
    found = tokens_alone(*run.tried(tried))
    quick = found.tpot_s.reshape(tried.shape) <= run.traffic.tpot_s
    return np.where(quick, tried, 1.0).max(axis=0)


def _batch(run: Run, size: Number) -> Outcome:
    """A batch of `size` requests a replica that begins and ends together."""
    request, stages = run.request, run.layout.pp
    each = np.maximum(size / run.lanes, 1.0)
    room = np.maximum(run.budget, request.new_tokens)
    passes = np.maximum(np.ceil(each * request.new_tokens / room), 1.0)
    first = passes * prompts_alone(run, each / passes)[0] * stages
    one = decode_s(run, each)
    whole = first + request.decode_steps * one * stages
    fits = each <= most_decoding(run)
    return Outcome(size / whole, first, one / request.accepted, fits)


def _outcome(run: Run, decoding: Number) -> Outcome:
    """What a load gives on a replica of which `decoding` requests a lane decode."""
    request, traffic = run.request, run.traffic
    steady = steady_state(run.model, run.layout, decoding, request, run.budget)
    rate, tpot, ttft = steady.requests_per_s, steady.tpot_s, steady.ttft_s
    answered = np.maximum(request.output_tokens - 1.0, 0.0) * tpot
    finite = bool(np.any(traffic.requests))
    if traffic.arrival == "closed":
        queued = traffic.concurrency / rate - answered  # Little: N = X (TTFT + the answer)
        full = steady.concurrency < 0.98 * traffic.concurrency
        ttft = np.where(full, np.maximum(queued, ttft), ttft)
    if traffic.arrival == "offline" and finite:
        return _all_at_once(run, steady)
    if traffic.arrival == "open" and finite:
        n = traffic.requests
        rate = n / (n / traffic.rate_per_s + ttft + answered)
    return Outcome(rate, ttft, tpot, steady.fits)


def _all_at_once(run: Run, steady: Steady) -> Outcome:
    """A run of requests that come at once.

    Those that the engine has room for are prompts first and decode then; while others wait the
    steady state goes on.
    """
    request, traffic = run.request, run.traffic
    n = np.maximum(traffic.requests, traffic.least_s * steady.requests_per_s)
    held = np.minimum(steady.decoding * run.lanes, n)
    together = np.maximum(np.floor(run.budget / request.new_tokens), np.ones(len(run)))
    filled = held / prompts_alone(run, together)[1]
    late = np.maximum(n - held, 0.0)
    one = decode_s(run, held / run.lanes)
    whole = np.where(late > 0, n / steady.requests_per_s, filled + request.decode_steps * one)
    whole = whole + _ending(run, n, held, one)
    behind = late / steady.requests_per_s
    ttft = (held * filled / 2 + late * (filled + behind / 2)) / n
    # while the rest of their batch are prompts, those that began wait between their tokens
    between = (one + filled / 2 / np.maximum(request.decode_steps, 1.0)) / request.accepted
    tpot = np.where(late > 0, steady.tpot_s, between)
    return Outcome(n / whole, ttft, tpot, steady.fits)


def _ending(run: Run, requests: Number, held: Number, full_s: Number) -> Number:
    """Seconds that a run takes after its last request began, beyond what n/X has of it."""
    if run.traffic.varied:
        last = np.log(np.maximum(held, 1.0)) + np.euler_gamma
        last = np.minimum(last, run.traffic.longest / run.request.output_tokens)
        waits = np.maximum(last - 1.0, 0.0)
        return run.request.decode_steps * waits * decode_s(run, np.ones(len(run)))
    rest = np.mod(requests, held)
    last = decode_s(run, rest / run.lanes) - rest / held * full_s
    return run.request.decode_steps * np.where(rest > 0, last, 0.0)


def met_by_requests(traffic: Traffic, latency_s: Number) -> Number:
    """Requests under way that a request of a finite run meets, on average.

    n requests that come within w = n/λ and stay e each: their number rises, stays and falls as a
    trapezoid, whose mean over what is under way is n·(e/w)·(1 - e/3w) where e < w, and
    n·(1 - w/3e) where it is not.
    """
    window = traffic.requests / traffic.rate_per_s
    short = latency_s / window * (1 - latency_s / (3 * window))
    return traffic.requests * np.where(latency_s < window, short, 1 - window / (3 * latency_s))


def _decoding_for(run: Run) -> Number:
    """Requests of a lane that decode under a load that comes and goes, one for each column."""
    traffic, request = run.traffic, run.request
    most = most_decoding(run)
    finite = bool(np.any(traffic.requests)) and not traffic.least_s
    if finite:
        most = np.clip(traffic.requests / run.lanes, 1.0, most)
    if traffic.arrival == "offline" and not traffic.limited:
        return most
    tried = np.minimum(DECODING[:, None], most)  # (tried, columns)
    spread, flat = run.tried(tried)
    steady = steady_state(run.model, spread.layout, flat, spread.request, run.budget)

    def table(column: Number) -> Number:
        return np.broadcast_to(column, flat.shape).reshape(tried.shape)

    decoding, rate = table(steady.decoding), table(steady.requests_per_s)
    first, each = table(steady.ttft_s), table(steady.tpot_s)
    if traffic.limited:
        late = first + (P99_OVER_MEAN - 1.0) * (first - first[0]) > traffic.ttft_s
        best = np.argmax(np.where(late | (each > traffic.tpot_s), -np.inf, rate), axis=0)
        return decoding[best, np.arange(len(run))]
    if traffic.arrival == "closed":
        sought, scale = traffic.concurrency, table(steady.concurrency)
    elif finite:
        met = met_by_requests(traffic, first + (request.output_tokens - 1.0) * each)
        sought, scale = 0.0, decoding - met / run.lanes
    else:
        sought, scale = traffic.rate_per_s, rate
    rising = np.maximum.accumulate(scale, axis=0)
    goals = np.broadcast_to(sought, len(run))
    return np.array(
        [np.interp(s, rising[:, i], decoding[:, i]) for i, s in enumerate(goals)], dtype=float
    )
