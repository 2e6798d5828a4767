"""How many chips, divided how, serve a load within its latencies: replicas that do everything."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from parity.catalogue.machine import Draw, Machine, Number, machine
from parity.evaluate.serving import Steady, steady_state
from parity.evaluate.step import Served, served
from parity.evaluate.together import Ask, steady_states
from parity.search.prefill import Prefill
from parity.search.replica import Replica, Replicas, ServingJob, meeting, replica, replicas
from parity.timing.engine import Engine
from parity.workload.operator import Architecture
from parity.workload.request import Request

Mode = Literal["aggregated", "disaggregated"]
#: Requests decode no more than so many times as fast where hardly any do.
_LIGHTER = 0.01
#: Numbers of requests that samples of a replica are tried with, and the fewest of them. Against 192
#: numbers P10 and P90 of the rates of ten chips at 40 ms a token differ by 0.5 %, at most by 3 %.
TRIED, FEWEST = 8, 0.5


@dataclass(frozen=True)
class Need:
    """How much must be served: requests a second, or users at a time; nothing: as much as can be.

    think_s: from a user's answer to the user's next request.
    """

    requests_per_s: float | None = None
    users: float | None = None
    think_s: float = 0.0

    def capacity(self, rate: Number, concurrency: Number) -> Number:
        """How much of this a replica takes that does `rate` with `concurrency` in it."""
        if self.users is not None:
            return concurrency + rate * self.think_s
        return rate

    @property
    def amount(self) -> float | None:
        """What is needed, in what `capacity` counts."""
        return self.requests_per_s if self.users is None else self.users


@dataclass(frozen=True)
class ServingPlan:
    """Replicas that serve, and what they do at the load asked for; without `prefill` they do all.

    requests_per_s: at that load. most_requests_per_s, most_decoding: within the latencies asked
    for. most: the same in what is needed, requests/s or users.
    """

    arch: Architecture
    job: ServingJob
    need: Need
    decode: Replica  # at the load
    decode_replicas: int
    most_requests_per_s: float
    most: float
    requests_per_s: float
    most_decoding: float  # requests of a lane that decode, at most
    prefill: Prefill | None = None
    prefill_replicas: int = 0
    meets: bool = True

    @property
    def mode(self) -> Mode:
        """Whether prompts have chips of their own."""
        return "disaggregated" if self.prefill else "aggregated"

    @property
    def sequences(self) -> int:
        """That a rank of a replica holds at most: those that decode, and one more in each lane
        whose prompt is under way.
        """
        return (math.ceil(self.most_decoding - 1e-6) + 1) * int(self.decode.layout.pp[0])

    @property
    def chips(self) -> int:
        """Of all replicas."""
        own = self.prefill.chips * self.prefill_replicas if self.prefill else 0
        return self.decode.chips * self.decode_replicas + own

    @property
    def ttft_s(self) -> float:
        """Mean time to the first token."""
        return self.prefill.ttft_s if self.prefill else float(self.decode.steady.ttft_s[0])

    @property
    def tpot_s(self) -> float:
        """Mean time per output token after the first."""
        return float(self.decode.steady.tpot_s[0])

    @property
    def tokens_per_s_per_chip(self) -> float:
        """Output tokens."""
        return float(self.requests_per_s * self.job.request.output_tokens / self.chips)

    @property
    def tokens_per_s_per_user(self) -> float:
        """Output tokens, of one request while it decodes."""
        return 1.0 / self.tpot_s


def best_plans(
    arch: Architecture,
    job: ServingJob,
    target: Machine,
    engine: Engine,
    need: Need,
    chips: int | None = None,
    top: int = 1,
) -> list[ServingPlan]:
    """The best plans of replicas that do all, one for each division, the best first.

    chips: how many there are; with none the plan with the fewest is the best. Where they cannot
    serve what is needed the plan that serves the most comes back with `meets` False.
    Raises `Infeasible` with P105 or P106.
    """
    return best_of(replicas(arch, job, target, engine, chips or np.inf), job, need, chips, top)


def best_of(
    found: Replicas,
    job: ServingJob,
    need: Need,
    chips: int | None = None,
    top: int = 1,
    *,
    full: bool = False,
) -> list[ServingPlan]:
    """The same of replicas that are known already.

    full: with as many requests as they take, not as many as the load is. Raises `Infeasible` with
    P106.
    """
    quick = meeting(found, job)
    each = need.capacity(found.steady.requests_per_s, found.steady.concurrency)
    count, score = _counted(each, found.layout.chips, need.amount, chips)
    score = np.where(quick & (count > 0), score, -np.inf)
    plans = []
    for i in _first_of_each(found, score, top):
        row = found.row(i)
        plans.append(_at_load(found.model.arch, job, need, row, int(count[i]), full=full))
    return plans


def _counted(
    each: Number, chips_each: Number, amount: float | None, chips: int | None
) -> tuple[Number, Number]:
    """(replicas, score) of each way: fewest chips where they are to be found, else most served."""
    if chips is None:
        if amount is None:
            return np.ones(len(each)), each / chips_each
        count = np.ceil(amount / each - 1e-9)
        spare = each / chips_each  # of ways with as many chips the one that carries more
        return count, -count * chips_each + 1e-3 * spare / np.max(spare)
    count = np.floor(chips / chips_each)
    return count, count * each


def _first_of_each(found: Replicas, score: Number, top: int) -> Iterator[int]:
    """Columns of the best scores, each division once. Scores count to seven digits."""
    seen: set[tuple[int, ...]] = set()
    for i in np.argsort(-np.asarray(score, dtype=np.float32), kind="stable"):
        if score[i] == -np.inf or len(seen) >= top:
            return
        layout = found.layout
        key = tuple(int(getattr(layout, n)[i]) for n in ("tp", "pp", "dp", "ep", "etp"))
        if key not in seen:
            seen.add(key)
            yield int(i)


def _at_load(
    arch: Architecture, job: ServingJob, need: Need, row: Replica, count: int, *, full: bool
) -> ServingPlan:
    """The plan of `count` replicas like `row`, full or with as many requests as are needed."""
    most = need.capacity(row.steady.requests_per_s, row.steady.concurrency)
    amount = need.amount
    meets = amount is None or count * float(most[0]) >= amount * (1 - 1e-9)
    loaded = row
    if amount is not None and meets and not full:
        loaded = with_load(row, job.request, need, amount / count)
    return ServingPlan(
        arch, job, need, loaded, count,
        most_requests_per_s=row.requests_per_s * count,
        most=float(most[0]) * count,
        requests_per_s=loaded.requests_per_s * count,
        most_decoding=row.decoding,
        meets=meets,
    )  # fmt: skip


def with_load(row: Replica, request: Request, need: Need, amount: float) -> Replica:
    """The replica with as many requests as make up `amount`: near it first, then between."""
    most = float(need.capacity(row.steady.requests_per_s, row.steady.concurrency)[0])
    least = row.decoding * min(max(amount / most, 1e-12), 1.0) * _LIGHTER
    low, high = least, row.decoding
    for _ in range(2):
        some = np.geomspace(low, high, 48)
        layout = row.layout.take(np.zeros(len(some), dtype=np.int64))
        steady = steady_state(row.model, layout, some, request, row.token_budget)
        taken = np.maximum.accumulate(
            need.capacity(steady.requests_per_s, steady.concurrency) * np.ones(len(some))
        )
        i = int(np.clip(np.searchsorted(taken, amount), 1, len(some) - 1))
        low, high = float(some[i - 1]), float(some[i])
    decoding = float(np.interp(amount, taken, some))
    return replica(row.model, row.layout, decoding, row.token_budget, request)


def sampled_rates(job: ServingJob, found: Replica, draw: Draw) -> Number:
    """Requests/s per chip of one replica over the ranges of all figures, shape (samples,). [1/s]

    Each sample holds as many requests as its latencies allow, up to those of the plan.
    """
    own = found.machine
    drawn = machine(own.chip, own.cluster_id, draw)
    model = served(found.model.arch, job.precision, drawn, found.model.engine, draw)
    return rates_within(job, found, steady_states([fewer(found, model)])[0])


def fewer(found: Replica, model: Served) -> Ask:
    """The replica with as many requests as the plan has, and fewer, to be evaluated.

    model: its model and machine with the figures as they are drawn.
    """
    most = max(found.decoding, FEWEST)
    some = np.unique(np.geomspace(max(most / 16, FEWEST), most, TRIED))
    layout = found.layout.take(np.zeros(len(some), dtype=np.int64))
    return Ask(model, layout, found.request, (some, np.full(len(some), float(found.token_budget))))


def rates_within(job: ServingJob, found: Replica, steady: Steady) -> Number:
    """Requests/s per chip with as many of `fewer` as the latencies allow, shape (samples,). [1/s]

    Between two numbers of requests, of which one is soon enough and one is not, both the rate and
    the latency are taken as straight. Where even the fewest are late, these.
    """
    rate = np.atleast_2d(steady.requests_per_s)
    if job.patient:
        return rate.max(axis=-1) / found.chips
    limits = (
        max(job.ttft_s, float(found.steady.ttft_s[0])), max(job.tpot_s, found.steady.tpot_s[0])
    )  # fmt: skip
    late = np.maximum(steady.ttft_s / limits[0], steady.tpot_s / limits[1]) / (1.0 + 1e-6)
    late = np.broadcast_to(np.atleast_2d(late), rate.shape)
    best = np.maximum(np.where(late <= 1, rate, 0.0).max(axis=-1), rate[..., 0])
    before, after = late[..., :-1], late[..., 1:]
    crossed = (before <= 1) & (after > 1)
    part = np.where(crossed, (1 - before) / np.where(crossed, after - before, 1.0), 0.0)
    between = rate[..., :-1] + part * (rate[..., 1:] - rate[..., :-1])
    some = np.where(crossed, between, 0.0).max(axis=-1, initial=0.0)
    return np.maximum(best, some) / found.chips


def prompt_time_share(plan: ServingPlan) -> float:
    """Share of the chips' time that goes to prompts: of a mixed step what it takes longer than one
    that only decodes; with two pools, the chips of the one.
    """
    if plan.prefill:
        return plan.prefill.chips * plan.prefill_replicas / plan.chips
    steady, engine = plan.decode.steady, plan.decode.model.engine
    shared = engine.mixed and not engine.static_batch
    longer = steady.prompt.total_s - (steady.decode.total_s if shared else 0.0)
    share = float(np.mean(steady.prompt_share * longer / steady.step_s))
    return min(max(share, 0.0), 1.0)


def bound_by(found: Replica) -> str:
    """What most of the time of a token goes into: which phase, and which figure sets it."""
    steady = found.steady
    share = float(steady.prompt_share[0])
    parts: dict[str, float] = {}
    whole = 1.0 - share if found.model.engine.mixed else 1.0
    for phase, one, weight in (("prefill", steady.prompt, share), ("decode", steady.decode, whole)):
        cost = one.cost
        figures = {
            "compute": cost.compute_s,
            "memory bandwidth": cost.memory_s,
            "link": one.communication_s,
            "launches": cost.launch_s,
            "host": one.host_s if not found.model.engine.overlapped else 0.0,
        }
        for name, seconds in figures.items():
            parts[f"{phase} {name}"] = weight * float(np.mean(seconds))
    return max(parts, key=lambda name: parts[name])
