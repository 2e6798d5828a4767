"""Ways to serve with one thing another than in the plan: what a chip carries then.

Either the division into replicas is held, of which the batch still follows memory and latencies, or
the best division is looked for. A step with one figure better by f is never shorter than 1/f of
what it was, so only ways to run the model within f times the best, in rate and latency, can become
it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from msgspec import structs

from parity.catalogue.machine import Machine, Number
from parity.errors import Infeasible, MissingFact
from parity.evaluate.serving import Steady
from parity.evaluate.serving_memory import room_for_cache
from parity.evaluate.step import Served, served
from parity.evaluate.together import Ask, steady_states
from parity.layout.layout import Layout
from parity.layout.serving import describe_replica
from parity.search.prefill import pass_seconds, prefills
from parity.search.replica import (
    BATCHES,
    SMALL_BUDGETS,
    Replicas,
    ServingJob,
    replica,
    replicas,
    ways,
)
from parity.search.serve import ServingPlan, bound_by
from parity.search.serving_plan import ANY_S, ServingQuestion
from parity.search.why_change import Change, most_gain
from parity.search.why_figures import stated
from parity.timing.engine import Engine

#: Memory up to so many times the chip's is looked at.
MOST_MEMORY = 2.0


@dataclass(frozen=True)
class ServingCase:
    """A serving plan, the question it answers, and the ways that it was chosen among."""

    question: ServingQuestion  # with the room that a percentile took
    plan: ServingPlan
    found: Replicas | None  # of a mixture of experts, whose ways are many
    gains: Number = ()  # by which each of `found` would have to be better to be the best

    @property
    def apart(self) -> bool:
        """Whether prompts have chips of their own."""
        return self.plan.prefill is not None

    @property
    def in_users(self) -> bool:
        """Whether what a chip carries is counted in users: those who pause, or chips are asked."""
        need = self.question.need
        sized = need.think_s > 0 or self.question.pool.chips is None
        return need.users is not None and sized and not self.apart

    @property
    def at_once(self) -> float:
        """Requests that decode at a time at most: so many users as there are, where none pauses."""
        users = self.question.need.users
        return np.inf if users is None or self.in_users or self.apart else users

    @property
    def machine(self) -> Machine:
        """What decodes."""
        return self.question.pool.machine

    @property
    def job(self) -> ServingJob:
        """What is asked of decoding; where prompts are cached already, and TTFT is not its own."""
        return job_of(self.question, apart=self.apart)


def job_of(question: ServingQuestion, *, apart: bool) -> ServingJob:
    """What is asked of those that decode; `apart`: their prompts are cached already."""
    job = question.pool.job
    if not apart:
        return job
    handed = structs.replace(job.request, cached_tokens=job.request.input_tokens)
    return replace(job, request=handed, ttft_s=np.inf)


def serving_case(
    question: ServingQuestion,
    plan: ServingPlan,
    job: ServingJob | None = None,
    memory: float = MOST_MEMORY,
) -> ServingCase:
    """The case of `plan`. A dense model has few ways, which are tried anew for each change.

    job: whose latencies a change must keep; without, those of the plan, so that one that misses
    what was asked is held to the latencies that it keeps.
    """
    asked = job or plan.job
    if asked != question.pool.job:
        question = replace(question, pool=replace(question.pool, job=asked))
    case = ServingCase(question, plan, None)
    if not question.arch.num_experts:
        return case
    own = question.pool.machine
    roomy = replace(own, memory_bytes=memory * own.memory_bytes)
    most = question.pool.chips or np.inf
    found = replicas(question.arch, case.job, roomy, question.engine, most)
    return replace(case, found=found, gains=_gains(replace(case, found=found)))


@dataclass(frozen=True)
class Way:
    """A division with its batch, and what a chip carries in it: requests/s or users."""

    rate: float
    layout: Layout  # a single row
    decoding: float  # requests of a lane
    token_budget: int

    @property
    def words(self) -> str:
        """The division."""
        return describe_replica(self.layout)


def most(case: ServingCase, change: Change, *, held: bool) -> Way | None:
    """The way that carries most a chip with one thing changed; None where none fits.

    held: in the division of the plan.
    """
    return _ways(case, (change,), (held,))[0][0]


def both(case: ServingCase, change: Change) -> tuple[Way | None, Way | None]:
    """The way in the division of the plan, and the best of all, which may be the same."""
    return both_of(case, (change,))[0]


def both_of(case: ServingCase, changes: Sequence[Change]) -> list[tuple[Way | None, Way | None]]:
    """The same of many changes, those of the same engine evaluated together."""
    found = _ways(case, changes, (True, False))
    return [
        (held, max((way for way in (new, held) if way), key=lambda way: way.rate, default=None))
        for held, new in found
    ]


@dataclass(frozen=True)
class _Tried:
    """Ways to serve with one change, to be evaluated, or evaluated already."""

    question: ServingQuestion  # as it is changed
    job: ServingJob
    held: bool
    ask: Ask | None  # None where nothing runs
    steady: Steady | None = None


def _ways(
    case: ServingCase, changes: Sequence[Change], kinds: tuple[bool, ...]
) -> list[list[Way | None]]:
    """Of each change the best way of each kind, in the division of the plan (True) or any."""
    tried = [one for change in changes for one in _asked(case, change, kinds)]
    steady = _evaluated(case, tried)
    found = []
    for one, state in zip(tried, steady, strict=True):
        way = None if one.ask is None or state is None else _best(case, one, one.ask, state)
        found.append(way and _with_prompts(case, one.question, way, held=one.held))
    return [found[i : i + len(kinds)] for i in range(0, len(found), len(kinds))]


def _evaluated(case: ServingCase, tried: Sequence[_Tried]) -> list[Steady | None]:
    """The steady states: those of the same engine in one evaluation, of others each by itself."""
    found = [one.steady for one in tried]
    open_ = [i for i, one in enumerate(tried) if one.ask is not None and one.steady is None]
    own = [i for i in open_ if tried[i].question.engine is case.question.engine]
    for some in (own, *([i] for i in open_ if i not in own)):
        asks = [ask for i in some if (ask := tried[i].ask) is not None]
        for i, state in zip(some, steady_states(asks), strict=True):
            found[i] = state
    return found


def _asked(case: ServingCase, change: Change, kinds: tuple[bool, ...]) -> list[_Tried]:
    """What is to be evaluated of one change, for each kind."""
    question = _changed(case.question, change)
    job, engine, target = job_of(question, apart=case.apart), question.engine, question.pool.machine
    nothing = [_Tried(question, job, held, None) for held in kinds]
    try:
        model = served(question.arch, job.precision, target, engine)
    except (Infeasible, MissingFact):
        return nothing
    found = []
    for one in nothing:
        if not one.held and case.found is not None and change.timeless:
            of = case.found
            ask = Ask(model, of.layout, job.request, (of.steady.decoding, of.token_budget))
            found.append(replace(one, ask=ask, steady=fitting(of, target)))
            continue
        try:
            ask = _columns(case, question, change, model, held=one.held)
        except Infeasible:
            found.append(one)
            continue
        found.append(replace(one, ask=ask if len(ask.layout) else None))
    return found


def _columns(
    case: ServingCase, question: ServingQuestion, change: Change, model: Served, *, held: bool
) -> Ask:
    """The ways that a change may make the best. Raises `Infeasible` where nothing fits."""
    job = job_of(question, apart=case.apart)
    if held:
        layout, batch, budget = _batches(case, question.engine)
        return Ask(model, layout, job.request, (batch, budget))
    if case.found is None:
        tried = replace(job, ttft_s=ANY_S, tpot_s=ANY_S)  # small budgets too, as latency asks for
        return ways(model, tried, question.pool.chips or np.inf)
    rows = np.flatnonzero(case.gains <= most_gain(case.found.steady, change) * (1 + 1e-6))
    found, own = case.found, case.question.engine
    budget = found.token_budget[rows]
    budget = np.where(budget == own.token_budget, question.engine.token_budget, budget)
    columns = (found.steady.decoding[rows], budget)
    return Ask(model, found.layout.take(rows), job.request, columns)


def _with_prompts(
    case: ServingCase, question: ServingQuestion, decode: Way, *, held: bool
) -> Way | None:
    """The way beside the pool for prompts, where there is one."""
    if not case.apart:
        return decode
    try:
        return joined(case, decode, _prompting(case, question, held=held))
    except (Infeasible, MissingFact):
        return None


def _changed(question: ServingQuestion, change: Change) -> ServingQuestion:
    own, other = question.pool, question.prompts
    job = change.job or own.job
    if other is not None:
        asked = replace(other.job, ttft_s=job.ttft_s, tpot_s=job.tpot_s)
        other = replace(other, machine=change.prompts or other.machine, job=asked)
    pool = replace(own, machine=change.target or own.machine, job=job)
    return replace(question, engine=change.engine or question.engine, pool=pool, prompts=other)


def joined(case: ServingCase, decode: Way, prompts: float) -> Way | None:
    """Both pools together; prompts: of a chip that takes them. [1/s]

    Of one kind of chip in the proportion that passes the most: times of a chip add up. Of two kinds
    as many chips as the plan has of each, so that the pool that takes less is waited for.
    """
    plan, first = case.plan, case.plan.prefill
    if prompts <= 0 or first is None:
        return None
    if case.question.prompts is None:
        return replace(decode, rate=1.0 / (1.0 / prompts + 1.0 / decode.rate))
    own = plan.decode.chips * plan.decode_replicas
    other = first.chips * plan.prefill_replicas
    return replace(decode, rate=min(prompts * other, decode.rate * own) / plan.chips)


def _best(case: ServingCase, tried: _Tried, ask: Ask, steady: Steady) -> Way | None:
    """The best of the ways; None where none fits and is quick enough."""
    question, job, layout = tried.question, tried.job, ask.layout
    quick = steady.fits & (steady.ttft_s <= job.ttft_s) & (steady.tpot_s <= job.tpot_s)
    each = _each(case, question, layout, steady.requests_per_s, steady.concurrency)
    if np.isfinite(case.at_once):
        count = np.floor((question.pool.chips or np.inf) / layout.chips)
        quick &= steady.decoding * layout.pp * layout.dp * count <= case.at_once * (1 + 1e-9)
    rate = np.where(quick, each, 0.0)
    i = int(np.argmax(np.asarray(rate, dtype=np.float32)))
    if rate[i] <= 0:
        return None
    row = layout.take(np.array([i]))
    return Way(float(rate[i]), row, float(steady.decoding[i]), int(ask.columns[1][i]))


def over_capacities(
    case: ServingCase, target: Machine, capacities: Sequence[float]
) -> list[float | None]:
    """The most that a chip carries at each capacity of its memory; None where nothing fits.

    Ways of a mixture of experts are evaluated once, in the memory that `target` has.
    """
    own = [stated(target, "memory.capacity", c) for c in capacities]
    arch, question = case.question.arch, case.question
    if not arch.num_experts or len(own) == 1:
        plain = replace(case, found=None)
        ways = [most(plain, Change(target=one), held=False) for one in own]
        return [way.rate if way else None for way in ways]
    try:
        found = replicas(arch, case.job, target, question.engine, question.pool.chips or np.inf)
    except Infeasible:
        return [None for _ in own]
    rates: list[float | None] = []
    for one in own:
        changed = replace(question, pool=replace(question.pool, machine=one))
        ask = Ask(
            found.model, found.layout, found.request, (found.steady.decoding, found.token_budget)
        )
        way = _best(case, _Tried(changed, case.job, False, ask), ask, fitting(found, one))
        way = way and _with_prompts(case, changed, way, held=False)
        rates.append(way.rate if way else None)
    return rates


def fitting(found: Replicas, target: Machine) -> Steady:
    """The steady states of ways, as they fit in the memory of `target`, which is as fast."""
    room = room_for_cache(replace(found.model, machine=target), found.layout, found.token_budget)
    return replace(found.steady, fits=found.steady.cache_bytes <= room)


def bound(case: ServingCase, target: Machine) -> str:
    """What sets the pace of the best way on `target`, as `search.serve.bound_by` says."""
    way = most(replace(case, found=None), Change(target=target), held=False)
    if way is None:
        return ""
    job = case.job
    model = served(case.question.arch, job.precision, target, case.question.engine)
    return bound_by(replica(model, way.layout, way.decoding, way.token_budget, job.request))


def _each(
    case: ServingCase, question: ServingQuestion, layout: Layout, rate: Number, held: Number
) -> Number:
    """What a chip takes of the load, whole replicas of the chips that there are."""
    if case.apart:
        return rate / layout.chips
    amount = question.need.capacity(rate, held) if case.in_users else rate
    chips = question.pool.chips
    if chips is None:
        return amount / layout.chips
    return amount * np.floor(chips / layout.chips) / chips


def _gains(case: ServingCase) -> Number:
    """By how much each way would have to be better, in rate and latency, to be the best. [1]"""
    assert case.found is not None
    found, job = case.found, case.job
    steady = found.steady
    each = _each(case, case.question, found.layout, steady.requests_per_s, steady.concurrency)
    held = most(case, Change(), held=True)
    late = np.maximum(steady.ttft_s / job.ttft_s, steady.tpot_s / job.tpot_s)
    gains = np.maximum(late, (held.rate if held else 0.0) / np.maximum(each, 1e-30))
    return np.where(steady.fits, gains, np.inf)


def _batches(case: ServingCase, engine: Engine) -> tuple[Layout, Number, Number]:
    """The division of the plan with every batch and budget that is tried."""
    decode = case.plan.decode
    tried = [b for b in BATCHES if b <= engine.max_sequences]
    budgets = sorted({decode.token_budget, engine.token_budget, *SMALL_BUDGETS})
    batch, budget = (
        x.ravel() for x in np.meshgrid(np.array(tried), np.array(budgets, dtype=float))
    )
    return decode.layout.take(np.zeros(len(batch), dtype=np.int64)), batch, budget


def _prompting(case: ServingCase, question: ServingQuestion, *, held: bool) -> float:
    """Prompts a second of a chip of the pool that takes them."""
    first = case.plan.prefill
    assert first is not None
    own, most_chips = question.prompts or question.pool, np.inf
    if held:
        model = served(question.arch, own.job.precision, own.machine, question.engine)
        faster = first.pass_s / pass_seconds(first, model)
        return faster * first.requests_per_s / first.chips
    if question.prompts is not None:
        most_chips = first.chips * case.plan.prefill_replicas
    elif own.chips:
        most_chips = own.chips
    to = question.pool.machine
    some = prefills(question.arch, own.job, own.machine, to, question.engine, most_chips)
    return max(one.requests_per_s / one.chips for one in some)
