"""What came of a simulation: every request, a timeline, and the figures benchmarks print."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from parity.record import Finding
from parity.simulate.records import Pool
from parity.workload.traffic import Floats, Ints, Traffic

if TYPE_CHECKING:
    from parity.simulate.kernel.state import Simulation

PERCENTILES = (50, 90, 99)
#: A queue that at the end of the arrivals is so many times what it was half way keeps growing.
GROWING = 1.5


@dataclass(frozen=True)
class Spread:
    """Mean and percentiles of a figure over requests; NaN where there is no request."""

    mean: float
    p50: float
    p90: float
    p99: float

    @classmethod
    def of(cls, values: Floats) -> Spread:
        """Of the values that are there."""
        values = values[np.isfinite(values)]
        if not len(values):
            return cls(math.nan, math.nan, math.nan, math.nan)
        return cls(float(values.mean()), *(float(p) for p in np.percentile(values, PERCENTILES)))

    def at(self, percentile: int) -> float:
        """The percentile 50, 90 or 99."""
        return {50: self.p50, 90: self.p90, 99: self.p99}[percentile]


@dataclass(frozen=True, eq=False)
class Timeline:
    """Averages over short spans of equal length, from the first arrival on; at most 2,048 of them.

    kv_share, decode_kv_share: part of the blocks that requests hold; the idle ones that only the
        prefix cache holds are not counted.
    """

    time_s: Floats  # beginning of each span
    width_s: float
    running: Floats  # requests
    waiting: Floats
    kv_share: Floats
    decode_kv_share: Floats
    output_tokens_per_s: Floats
    prompt_tokens_per_s: Floats


@dataclass(frozen=True)
class PoolUse:
    """How busy the lanes of a pool were.

    busy: part of the span in which a lane ran a step, mean over lanes.
    batch: sequences that decoded in a step, mean over the steps.
    prompt_tokens: computed, what preemption made compute again included.
    most_kv_share: of the fullest replica.
    """

    busy: float
    steps: int
    batch: float
    prompt_tokens: int
    most_kv_share: float


@dataclass(frozen=True)
class Summary:
    """The figures that `vllm bench serve` prints, by its definitions.

    Rates are over the span from the first request sent to the last answer, ramp and tail included.
    TPOT is the time after the first token over the tokens after the first.
    """

    requests: int
    finished: int
    span_s: float
    ttft_s: Spread
    tpot_s: Spread
    e2e_s: Spread
    queue_s: Spread
    requests_per_s: float
    output_tokens_per_s: float
    input_tokens_per_s: float
    cached_share: float  # of the prompt tokens of all that began
    preemptions: int


@dataclass(frozen=True, eq=False)
class SimulationResult:
    """Every request, in the order of the traffic. Times are NaN for what did not happen.

    sent_s: when the client sent it, which under a limit of concurrency is after its arrival.
    queue_s: from sent to the first step that holds it (of the prefill pool).
    cached_tokens: of its prompt, found in the prefix cache.
    replica, decode_replica: where it went, −1 nowhere.
    stopped: "steps" or "time" where a limit ended the simulation, else "".
    steps_beyond_table: steps whose time was extrapolated.
    """

    sent_s: Floats
    first_token_s: Floats
    finish_s: Floats
    queue_s: Floats
    preemptions: Ints
    cached_tokens: Ints
    replica: Ints
    decode_replica: Ints
    refused: NDArray[np.bool_]
    input_tokens: Ints
    output_tokens: Ints
    timeline: Timeline
    pools: tuple[PoolUse, ...]
    steps: int
    steps_beyond_table: int
    stopped: str
    findings: tuple[Finding, ...]

    @property
    def ttft_s(self) -> Floats:
        """Time to the first token of each request. [s]"""
        return self.first_token_s - self.sent_s

    @property
    def e2e_s(self) -> Floats:
        """Time to the whole answer. [s]"""
        return self.finish_s - self.sent_s

    @property
    def tpot_s(self) -> Floats:
        """Time per token after the first; NaN for answers of one token. [s]"""
        after = np.where(self.output_tokens > 1, self.output_tokens - 1.0, np.nan)
        return (self.finish_s - self.first_token_s) / after

    @property
    def finished(self) -> NDArray[np.bool_]:
        """Which requests got their whole answer."""
        return np.isfinite(self.finish_s)

    @property
    def span_s(self) -> float:
        """From the first request sent to the last answer."""
        if not self.finished.any():
            return math.nan
        return float(np.nanmax(self.finish_s) - np.nanmin(self.sent_s))

    def summary(self) -> Summary:
        """The figures a benchmark prints."""
        done, began = self.finished, np.isfinite(self.queue_s)
        prompts = float(self.input_tokens[began].sum())
        return Summary(
            requests=len(self.sent_s),
            finished=int(done.sum()),
            span_s=self.span_s,
            ttft_s=Spread.of(self.ttft_s[done]),
            tpot_s=Spread.of(self.tpot_s[done]),
            e2e_s=Spread.of(self.e2e_s[done]),
            queue_s=Spread.of(self.queue_s[done]),
            requests_per_s=self._rate(float(done.sum())),
            output_tokens_per_s=self._rate(float(self.output_tokens[done].sum())),
            input_tokens_per_s=self._rate(float(self.input_tokens[done].sum())),
            cached_share=float(self.cached_tokens[began].sum()) / prompts if prompts else 0.0,
            preemptions=int(self.preemptions.sum()),
        )

    def met(self, ttft_s: float = math.inf, tpot_s: float = math.inf) -> NDArray[np.bool_]:
        """Which requests finished within both times; answers of one token have no TPOT to miss."""
        late = (self.ttft_s > ttft_s) | (self.tpot_s > tpot_s)
        return np.asarray(self.finished & ~late)

    def goodput(self, ttft_s: float = math.inf, tpot_s: float = math.inf) -> float:
        """Requests per second that met both times [Zhong et al. 2024, DistServe]."""
        return self._rate(float(self.met(ttft_s, tpot_s).sum()))

    def _rate(self, amount: float) -> float:
        return amount / self.span_s if amount and self.span_s > 0 else 0.0


def result_of(
    traffic: Traffic, sim: Simulation, pool: Pool, decode: Pool | None, stopped: str
) -> SimulationResult:
    """Read a simulation that has come to its end."""
    from parity.simulate.kernel import state

    requests = sim.requests
    pools = (pool,) if decode is None else (pool, decode)
    refused = np.asarray(requests.state == state.REFUSED)
    timeline = _timeline(sim, pools)
    beyond, steps = int(sim.world[0].beyond), int(sim.world[0].steps)
    offset = pool.replicas if decode is not None else 0
    return SimulationResult(
        sent_s=requests.sent_s,
        first_token_s=requests.first_s,
        finish_s=requests.finish_s,
        queue_s=requests.admitted_s - requests.sent_s,
        preemptions=requests.preemptions,
        cached_tokens=requests.cached,
        replica=requests.replica,
        decode_replica=np.where(requests.decode_replica < 0, -1, requests.decode_replica - offset),
        refused=refused,
        input_tokens=requests.input,
        output_tokens=requests.output,
        timeline=timeline,
        pools=tuple(_use(sim, i, p) for i, p in enumerate(pools)),
        steps=steps,
        steps_beyond_table=beyond,
        stopped=stopped,
        findings=(
            *traffic.findings,
            *_stopped(sim, stopped),
            *_overloaded(traffic, timeline),
            *_refused(refused, pools),
            *_beyond(beyond, steps),
        ),
    )


def _timeline(sim: Simulation, pools: tuple[Pool, ...]) -> Timeline:
    from parity.simulate.kernel import state

    width, start = float(sim.world[0].width_s), float(sim.world[0].start_s)
    passed = float(sim.world[0].now_s) - start
    count = max(1, min(state.SAMPLES, math.ceil(passed / width)))
    time = start + width * np.arange(count, dtype=np.float64)
    spans = np.full(count, width)
    spans[-1] = max(passed - width * (count - 1), 1e-12)
    shown = sim.timeline[:count] / spans[:, None]
    blocks = [p.engine.kv_blocks * p.engine.ranks * p.replicas for p in pools] + [1]
    return Timeline(
        time_s=time,
        width_s=width,
        running=shown[:, state.SHOWN_RUNNING],
        waiting=shown[:, state.SHOWN_WAITING],
        kv_share=shown[:, state.SHOWN_BLOCKS] / blocks[0],
        decode_kv_share=shown[:, state.SHOWN_DECODE_BLOCKS] / blocks[1],
        output_tokens_per_s=shown[:, state.SHOWN_OUT],
        prompt_tokens_per_s=shown[:, state.SHOWN_IN],
    )


def _use(sim: Simulation, number: int, pool: Pool) -> PoolUse:

    mine = sim.replicas.pool[sim.lanes.replica] == number
    passed = float(sim.world[0].now_s - sim.world[0].start_s)
    steps = int(sim.lanes.steps[mine].sum())
    decoding = int(sim.lanes.decode_steps[mine].sum())
    blocks = pool.engine.kv_blocks * pool.engine.ranks
    return PoolUse(
        busy=float(sim.lanes.busy_s[mine].mean()) / passed if passed > 0 else 0.0,
        steps=steps,
        batch=float(sim.lanes.sequence_steps[mine].sum()) / decoding if decoding else 0.0,
        prompt_tokens=int(sim.lanes.prompt_tokens[mine].sum()),
        most_kv_share=float(sim.replicas.most_used[sim.replicas.pool == number].max()) / blocks,
    )


def _stopped(sim: Simulation, stopped: str) -> tuple[Finding, ...]:

    if not stopped:
        return ()
    done, count = int(sim.world[0].done), len(sim.requests)
    limit = f"{int(sim.world[0].steps):,} engine steps"
    if stopped == "time":
        limit = f"{float(sim.world[0].end_s - sim.world[0].start_s):,g} s of simulated time"
    words = f"The simulation stopped after {limit} with {done:,} of {count:,} requests finished."
    return (Finding("P321", "warning", words, "fewer requests, more replicas, a higher limit"),)


def _overloaded(traffic: Traffic, timeline: Timeline) -> tuple[Finding, ...]:
    """P322 where requests keep coming faster than they are served."""
    span = float(traffic.arrival_s[-1] - traffic.arrival_s[0])
    if traffic.max_concurrency is not None or not span > 0:
        return ()
    since = (timeline.time_s - traffic.arrival_s[0]) / span
    waiting = [
        float(timeline.waiting[(since >= low) & (since < low + 0.25)].mean())
        if np.any((since >= low) & (since < low + 0.25)) else 0.0
        for low in (0.25, 0.75)
    ]  # fmt: skip
    crowd = timeline.running.max()
    if not (waiting[1] > GROWING * waiting[0] and waiting[1] > crowd):
        return ()
    words = (
        f"Requests come faster than they are served: {waiting[1]:,.0f} wait in the last quarter of "
        f"the arrivals, {waiting[0]:,.0f} in the second. Latencies grow with the length of the run."
    )
    return (Finding("P322", "warning", words, "a lower rate or more replicas"),)


def _refused(refused: NDArray[np.bool_], pools: tuple[Pool, ...]) -> tuple[Finding, ...]:
    if not refused.any():
        return ()
    least = min(p.engine.kv_blocks * p.engine.ranks * p.engine.block_tokens for p in pools)
    words = (
        f"{int(refused.sum()):,} requests were refused: the KV cache of a replica holds "
        f"{least:,} tokens, and prompt and answer together are longer."
    )
    return (Finding("P323", "warning", words, "replicas with more memory, or shorter requests"),)


def _beyond(beyond: int, steps: int) -> tuple[Finding, ...]:
    if not beyond:
        return ()
    words = (
        f"{beyond:,} of {steps:,} steps lie beyond the table of step times, which was extrapolated."
    )
    return (Finding("P324", "note", words, "a table with longer contexts or larger batches"),)
