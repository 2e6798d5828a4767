"""What serves as much: for each wanted chip the fewest, in whole nodes, by the planner of services.

Every chip is planned as `search/serving_plan.py` plans one: replicas that do all, and two pools,
each at its best division. The ways of all chips, and the samples of their ranges, are evaluated
together.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np

from parity.catalogue.machine import Draw, Machine, Number
from parity.catalogue.schema import Chip
from parity.errors import Infeasible, MissingFact
from parity.layout.serving import degrees, describe_replica
from parity.record import Finding
from parity.search.match import FASTER, Row, refused
from parity.search.match_range import Rates, sampled_plans
from parity.search.serve import Need, ServingPlan, bound_by
from parity.search.serving_plan import (
    ServingQuestion,
    candidates,
    power_w,
    prepared,
    serve,
    serving_findings,
)
from parity.search.train import in_nodes
from parity.search.uncertainty import Answering, Spread, spread
from parity.search.walls import Obstacle
from parity.search.walls_serving import LIGHTEST, ServingCase, latency_wall, serving_wall
from parity.timing.draw import Recorder, Sampler

#: With more chips than this nothing is said of what a measurement would narrow: it takes as long as
#: the ranges themselves.
MOST_NARROWED = 12


@dataclass(frozen=True)
class Candidate:
    """A chip with the question that is put to it, or what stands in its way before speed is."""

    chip: Chip
    question: ServingQuestion | None
    findings: tuple[Finding, ...] = ()
    error: Infeasible | MissingFact | None = None


@dataclass(frozen=True)
class Held:
    """The chips whose work is to be equalled: how many there are, and their plan."""

    chips: int
    question: ServingQuestion
    plan: ServingPlan

    @property
    def machine(self) -> Machine:
        """What they are."""
        return self.plan.decode.machine

    @property
    def power_w(self) -> float | None:
        """Of all of them at work; None without a rating. [W]"""
        return power_of(self.plan, self.chips)


@dataclass(frozen=True)
class Found:
    """A chip's plan, and those that a sample may take in its place."""

    candidate: Candidate
    plan: ServingPlan
    ways: tuple[ServingPlan, ...]
    count: int


def held(question: ServingQuestion) -> Held:
    """The best plan of chips, in whole nodes where they have no count.

    Raises `Infeasible` where they are too slow.
    """
    (ready,) = prepared([replace(question, full=True)])
    outcome = serve(ready)
    if outcome.missed:
        raise Infeasible(outcome.missed[0].message, outcome.missed)
    plan = outcome.best
    fewest = int(in_nodes(plan.chips, plan.decode.machine.node))
    return Held(question.pool.chips or fewest, ready, plan)


def match_serving(
    need: Need,
    have: Held | None,
    wanted: Sequence[Candidate],
    sampler: Sampler,
    kv: str = "auto",
) -> list[Row]:
    """For each wanted chip the fewest, in whole nodes, that serve `need` within the latencies.

    have: what sets the load, whose uncertainty the counts then share; None where it is a number.
    kv: dtype of the cache, or `auto`.
    """
    few = len(wanted) <= MOST_NARROWED
    asked = [one for one in wanted if one.question is not None]
    questions = prepared(
        [replace(one.question, need=need, full=True) for one in asked if one.question]
    )
    rows: dict[int, Row] = {}
    found: list[Found] = []
    for one, question in zip(asked, questions, strict=True):
        try:
            found.append(_found(replace(one, question=question), have))
        except Infeasible as error:
            row = _without(one, question, error)
            rows[id(one.chip)] = replace(row, wall=_wall(question, kv, moved=few))
    for own, counts in zip(found, ranges(found, have, sampler), strict=True):
        row = row_of(own.plan, own.count, own.candidate, have.power_w if have else None)
        rows[id(own.candidate.chip)] = replace(row, spread=counts)
    return [refused(one.chip, one.error) if one.error else rows[id(one.chip)] for one in wanted]


def _found(one: Candidate, have: Held | None) -> Found:
    """The fewest chips of one kind. Raises `Infeasible`."""
    question = one.question
    assert question is not None
    if have and same(question, have):  # fewer may do, but nobody asked
        return Found(one, have.plan, ways_of(have.question, have.plan), have.chips)
    node = question.pool.machine.node
    plan = min(
        candidates(question), key=lambda p: (int(in_nodes(p.chips, node)), p.mode != "aggregated")
    )
    return Found(one, plan, ways_of(question, plan), int(in_nodes(plan.chips, node)))


def same(question: ServingQuestion, have: Held) -> bool:
    """Whether a question is put to the chips that are held."""
    own, other = question.pool, have.question.pool
    alike = own.machine.chip == other.machine.chip and own.job.precision == other.job.precision
    return alike and question.engine == have.question.engine


def ways_of(question: ServingQuestion, plan: ServingPlan) -> tuple[ServingPlan, ...]:
    """The plan, and those that would be the best if latencies were `FASTER` as short.

    Where a sample is too slow for the plan's division, it takes another.
    """
    job = question.pool.job
    if job.patient:
        return (plan,)
    ways = [plan]
    for faster in FASTER:
        quick = replace(job, ttft_s=job.ttft_s / faster, tpot_s=job.tpot_s / faster)
        own = replace(question, pool=replace(question.pool, job=quick), mode=plan.mode)
        with suppress(Infeasible):
            (other,) = candidates(replace(own, top=1))
            if all(_division(other) != _division(way) for way in ways):
                ways.append(replace(other, job=plan.job))
    return tuple(ways)


def _division(plan: ServingPlan) -> tuple[object, ...]:
    """What two plans differ in beside the number of requests."""
    first = plan.prefill
    return (
        degrees(plan.decode.layout), plan.decode.token_budget, first and degrees(first.layout)
    )  # fmt: skip


def ranges(found: Sequence[Found], have: Held | None, sampler: Sampler) -> list[Spread]:
    """The range of each count, in whole nodes.

    Of each sample of all figures the chips are those for the load of `have` in that sample.
    """
    seen = [Recorder(sampler) for _ in (*found, have)]
    groups = [(one.ways, draw) for one, draw in zip(found, seen, strict=False)]
    if have:
        groups.append((ways_of(have.question, have.plan), seen[-1]))
    rates = sampled_plans(groups)
    demand = _demand(rates[-1], have) if have else 1.0
    narrowed = len(found) <= MOST_NARROWED
    counts = []
    for one, draw, own in zip(found, seen, rates, strict=False):
        if have and one.plan is have.plan:
            counts.append(Spread(one.count, one.count, one.count))
            continue
        draw.columns.update(seen[-1].columns)
        values = _chips(one, own) * demand
        again = _again(one, have, seen[-1].columns, demand)
        answering = recorded(values, draw, again)
        counts.append(
            spread(answering, sampler, narrowed=narrowed)
            .through(lambda chips, one=one: whole(one, chips))  # type: ignore[misc]
            .holding(one.count)
        )
    return counts


def recorded(values: Number, seen: Recorder, again: Answering) -> Answering:
    """An answer that is known for one draw, and worked out again for others."""

    def answering(draw: Draw) -> Number:
        if isinstance(draw, Recorder) and draw.sampler == seen.sampler:
            draw.columns.update(seen.columns)
            return values
        return again(draw)

    return answering


def _again(one: Found, have: Held | None, shared: dict[str, Number], demand: Number) -> Answering:
    """The chips for another draw; the load again too where it rests on a figure that is held."""

    def answering(draw: Draw) -> Number:
        assert isinstance(draw, Sampler)
        if have is None or not draw.held & shared.keys():
            return _chips(one, sampled_plans([(one.ways, draw)])[0]) * demand
        own, other = sampled_plans([(one.ways, draw), (ways_of(have.question, have.plan), draw)])
        return _chips(one, own) * _demand(other, have)

    return answering


def _demand(rates: Sequence[Rates], have: Held) -> Number:
    """The load of `have` in each sample over that of its stated figures. [1]"""
    return np.max([one.most for one in rates], axis=0) / have.plan.most_requests_per_s


def _chips(one: Found, rates: Sequence[Rates]) -> Number:
    """Chips for the stated load, in as large a part of each pool as that takes. [1]"""
    return load(one.plan) * np.min([own.chips_per_rate for own in rates], axis=0)


def load(plan: ServingPlan) -> float:
    """Requests/s that a full plan was asked for, or that it carries where nothing was. [1/s]"""
    amount = plan.need.amount
    share = 1.0 if amount is None else min(amount / plan.most, 1.0)
    return plan.most_requests_per_s * share


def whole(one: Found, chips: float) -> float:
    """Chips in whole replicas, of one pool, and whole nodes. [1]"""
    plan = one.plan
    size = 1 if plan.prefill else plan.decode.chips
    least = plan.decode.chips + (plan.prefill.chips if plan.prefill else 0)
    some = max(np.ceil(chips / size - 1e-9) * size, least)
    return float(in_nodes(some, plan.decode.machine.node))


def _wall(question: ServingQuestion, kv: str, *, moved: bool) -> Obstacle | None:
    """What no number of the chips gets past, from the lightest load of what was evaluated."""
    pool = question.pool
    case = ServingCase(question.arch, pool.job, pool.machine, question.engine, kv, question.mode)
    if not question.known or not question.known.ways:
        return serving_wall(case, moved=moved)
    every = question.known.ways
    light = every.some(np.flatnonzero(every.steady.decoding <= min(LIGHTEST)))
    return latency_wall(case, light, moved=moved)


def _without(one: Candidate, question: ServingQuestion, error: Infeasible) -> Row:
    """The row of a chip that is too slow, with the fastest plan there is, or has no room."""
    row = refused(one.chip, error)
    with suppress(Infeasible):
        best = serve(replace(question, top=1)).best
        row = replace(row, layout=division(best), layout_fields=fields(best), way=best)
    return row


def row_of(plan: ServingPlan, count: int, one: Candidate, reference: float | None) -> Row:
    """The row of a plan on `count` chips. reference: mean draw of the chips held. [W]"""
    power = power_of(plan, count)
    return Row(
        chip=one.chip,
        count=count,
        reason=reason(plan),
        bound_by=bound_by(plan.decode),
        layout=division(plan),
        layout_fields=fields(plan),
        power_ratio=power / reference if power and reference else None,
        detail=detail(plan),
        findings=(*one.findings, *serving_findings(plan)),
        way=plan,
    )


def power_of(plan: ServingPlan, chips: int) -> float | None:
    """Mean draw of so many chips of a plan; None without a rating. [W]"""
    drawn = power_w(plan)
    return None if drawn is None else drawn / plan.chips * chips


def reason(plan: ServingPlan) -> str:
    """How the count comes about."""
    decode, first = plan.decode, plan.prefill
    own = f"{_replicas(plan.decode_replicas)} of {decode.chips}"
    if first is not None:
        ahead = f"{_replicas(plan.prefill_replicas)} of {first.chips} for prompts"
        own = f"two pools: {ahead}, {own} for answers"
    return f"{plan.job.precision.weights}, {own}, batch {decode.batch}"


def _replicas(count: int) -> str:
    return f"{count:,} replica{'s' if count > 1 else ''}"


def division(plan: ServingPlan) -> str:
    """`3 × TP4`, or `1 × TP4 + 2 × TP2` with the pool for prompts first."""
    own = f"{plan.decode_replicas:,} × {describe_replica(plan.decode.layout)}"
    if plan.prefill is None:
        return own
    return f"{plan.prefill_replicas:,} × {describe_replica(plan.prefill.layout)} + {own}"


def fields(plan: ServingPlan) -> dict[str, int | str | bool]:
    """The same as plain values; degrees are of the replicas that decode."""
    own: dict[str, int | str | bool] = {
        "mode": plan.mode,
        **degrees(plan.decode.layout),
        "replicas": plan.decode_replicas,
        "batch": plan.decode.batch,
    }
    if plan.prefill:
        own |= {f"prefill_{name}": n for name, n in degrees(plan.prefill.layout).items()}
        own["prefill_replicas"] = plan.prefill_replicas
    return own


def detail(plan: ServingPlan) -> dict[str, float]:
    """Latencies and speed of the plan, as full as it may be."""
    steady = plan.decode.steady
    prompt_s = plan.prefill.pass_s if plan.prefill else float(steady.prompt.total_s[0])
    per_chip = plan.most_requests_per_s * float(plan.job.request.output_tokens) / plan.chips
    return {
        "tpot_s": plan.tpot_s,
        "ttft_s": plan.ttft_s,
        "prefill_s": prompt_s,
        "decode_s": float(steady.decode.total_s[0]),
        "output_tokens_per_s_per_chip": per_chip,
    }
