"""A whole serving question: which mode, how many chips, what they trade, and how sure that is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

from parity.catalogue.machine import Machine
from parity.errors import Infeasible
from parity.evaluate.energy import chip_power
from parity.evaluate.kernels import rates
from parity.evaluate.step import Served, served
from parity.evaluate.together import Ask, steady_states
from parity.layout.serving import describe_replica
from parity.record import Finding
from parity.search.findings import note, unmeasured, weak_figures
from parity.search.gate import Choice, Gate
from parity.search.pools import Phases, Pool, best_pools, phases
from parity.search.precision import precision_of
from parity.search.prefill import pass_times
from parity.search.replica import Replicas, ServingJob, at_steady_state, ways
from parity.search.replica_rules import copied_cache, left_out
from parity.search.serve import Need, ServingPlan, best_of
from parity.timing.engine import Engine
from parity.units import render, significant
from parity.workload.operator import Architecture

if TYPE_CHECKING:  # what only simulated questions load
    from parity.search.confirm import Confirmed

Mode = Literal["auto", "aggregated", "disaggregated"]
#: Two pools must serve so much more, or on so many chips fewer, to be worth their trouble.
WORTH = 1.05
#: Latency of a search that asks nothing but tries what latency would: finite, so that small token
#: budgets are tried too. [s]
ANY_S = 1e9
#: The nearest plan may be so many times as slow as the fastest: the last bit costs most chips.
NEARLY = 1.2
#: Points of the front that are kept.
MOST_POINTS = 24


@dataclass(frozen=True)
class ServingQuestion:
    """What is asked: a load within latencies, on chips, by an engine."""

    arch: Architecture
    pool: Pool  # chips None: as many as it takes
    engine: Engine
    need: Need
    mode: Mode = "auto"
    prompts: Pool | None = None  # other chips for prompts
    top: int = 3
    full: bool = False  # plans hold as many requests as they take, not as many as the load is
    known: Known | None = None  # what was evaluated before, with other questions

    @property
    def counted(self) -> bool:
        """Whether the number of chips is the answer."""
        return self.pool.chips is None

    @property
    def shared(self) -> int | None:
        """Chips that two pools take their parts of."""
        return self.pool.chips if self.prompts is None else None

    @cached_property
    def ways(self) -> Replicas:
        """Every way to run a replica that does everything, however fast.

        Raises `Infeasible` with P105.
        """
        if self.known and self.known.ways:
            return self.known.ways
        asked = self.ask_ways()
        return at_steady_state(asked, steady_states([asked])[0])

    @cached_property
    def pair(self) -> ServingPlan:
        """The best pair of pools, for prompts and for tokens.

        Raises `Infeasible` with P105 or P106.
        """
        pool, known = self.pool, self.known.phases if self.known else None
        return best_pools(
            self.arch, self.prompts or pool, pool, self.engine, self.need, self.shared,
            known=known, full=self.full,
        )  # fmt: skip

    @cached_property
    def model(self) -> Served:
        """The model on the chips of the pool."""
        return served(self.arch, self.pool.job.precision, self.pool.machine, self.engine)

    def ask_ways(self) -> Ask:
        """The same, to be evaluated. Raises `Infeasible` with P105."""
        pool = self.pool
        job = replace(pool.job, ttft_s=ANY_S, tpot_s=ANY_S)
        return ways(self.model, job, pool.chips or np.inf)

    def ask_phases(self) -> tuple[Ask, Ask]:
        """Every way to do each phase by itself, to be evaluated. Raises `Infeasible` with P105."""
        pool, first = self.pool, self.model
        if self.prompts:
            own = self.prompts
            first = served(self.arch, own.job.precision, own.machine, self.engine)
        return phases((first, self.model), self.prompts or pool, pool, self.shared)


@dataclass(frozen=True)
class Known:
    """What was evaluated of a question; None where nothing fits, or nobody asked."""

    ways: Replicas | None = None
    phases: Phases | None = None


def prepared(questions: Sequence[ServingQuestion]) -> list[ServingQuestion]:
    """The questions with all their ways evaluated, those of chips that are alike together."""
    together, apart = (dict[int, Ask](), dict[int, tuple[Ask, Ask]]())
    for i, question in enumerate(questions):
        if question.prompts is None:  # two pools too are told by it how fast the chips can be
            with suppress(Infeasible):
                together[i] = question.ask_ways()
        if question.mode != "aggregated":
            with suppress(Infeasible):
                apart[i] = question.ask_phases()
    alone = [tokens for _, tokens in apart.values()]
    steady = steady_states([*together.values(), *alone])
    whole = {
        i: at_steady_state(asked, one)
        for (i, asked), one in zip(together.items(), steady, strict=False)
    }
    seconds = pass_times([prompts for prompts, _ in apart.values()])
    halves = {
        i: Phases(asked[0], pass_s, at_steady_state(asked[1], one))
        for (i, asked), pass_s, one in zip(
            apart.items(), seconds, steady[len(together) :], strict=True
        )
    }
    return [
        replace(question, known=Known(whole.get(i), halves.get(i)))
        for i, question in enumerate(questions)
    ]


@dataclass(frozen=True)
class Point:
    """A trade between users and chips: one way to run the model, saturated."""

    mode: str
    words: str
    chips: int
    tokens_per_s_per_user: float
    tokens_per_s_per_chip: float
    ttft_s: float


@dataclass(frozen=True)
class Outcome:
    """The best plans, and what they miss of the target."""

    plans: tuple[ServingPlan, ...]
    missed: tuple[Finding, ...] = ()
    confirmed: Confirmed | None = None  # the first plan, request by request

    @property
    def best(self) -> ServingPlan:
        """The plan that is the answer."""
        return self.plans[0]


def serve(question: ServingQuestion) -> Outcome:
    """The best plans of a question.

    Where no plan is as fast as asked the nearest one comes back with `missed` saying by how much
    (P106); where the chips do not carry the load, the plan that carries most (P114).
    Raises `Infeasible` where the model does not fit at all.
    """
    missed: tuple[Finding, ...] = ()
    asked = question
    try:
        plans = _plans(question)
    except Infeasible as error:
        if {f.code for f in error.findings if f.severity == "error"} != {"P106"}:
            raise
        missed = error.findings
        question = _as_fast_as_can_be(question)
        plans = _plans(question)
    if not plans[0].meets:
        missed = (*missed, _too_few(plans[0], asked))
    return Outcome(tuple(plans), missed)


def _plans(question: ServingQuestion) -> list[ServingPlan]:
    """Plans of every mode asked for, the best first."""
    found = candidates(question)
    found.sort(key=lambda plan: merit(plan, question), reverse=True)
    return found[: question.top]


def candidates(question: ServingQuestion) -> list[ServingPlan]:
    """Plans of every mode asked for; what one mode cannot do, another may.

    Raises `Infeasible` with P105, or P106 where no mode is as fast as asked.
    """
    found: list[ServingPlan] = []
    refusals: list[Infeasible] = []
    tries: list[Callable[[], list[ServingPlan]]] = []
    if question.prompts is None and question.mode != "disaggregated":
        tries.append(lambda: _together(question))
    if question.mode != "aggregated":
        tries.append(lambda: [question.pair])
    for attempt in tries:
        try:
            found += attempt()
        except Infeasible as error:
            refusals.append(error)
    if not found:  # two pools, tried last, are the faster way where the model fits
        slow = [one for one in refusals if {f.code for f in one.findings} == {"P106"}]
        raise (slow or refusals)[-1]
    return found


def _together(question: ServingQuestion) -> list[ServingPlan]:
    pool, need = question.pool, question.need
    return best_of(question.ways, pool.job, need, pool.chips, question.top, full=question.full)


def merit(plan: ServingPlan, question: ServingQuestion) -> tuple[float, ...]:
    """What a plan is ranked by, higher first."""
    worth = WORTH if plan.mode == "aggregated" else 1.0
    if question.counted and question.need.amount is not None:
        return (plan.meets, -plan.chips / worth, plan.most_requests_per_s)
    if question.counted:
        return (plan.meets, worth * plan.most_requests_per_s / plan.chips)
    return (plan.meets, worth * plan.most_requests_per_s)


def _as_fast_as_can_be(question: ServingQuestion) -> ServingQuestion:
    """The same with the latencies that come nearest to those asked for."""
    job, pool = question.pool.job, question.pool
    steady = question.ways.steady
    over = np.maximum(steady.ttft_s / job.ttft_s, steady.tpot_s / job.tpot_s)
    i = int(np.argmin(np.where(steady.fits, over, np.inf)))
    near = replace(
        job,
        ttft_s=max(job.ttft_s, float(steady.ttft_s[i]) * NEARLY),
        tpot_s=max(job.tpot_s, float(steady.tpot_s[i]) * NEARLY),
    )
    own = replace(pool, job=near)
    prompts = question.prompts and replace(
        question.prompts, job=replace(question.prompts.job, ttft_s=ANY_S, tpot_s=ANY_S)
    )
    return replace(question, pool=own, prompts=prompts)


def _too_few(plan: ServingPlan, question: ServingQuestion) -> Finding:
    need = question.need
    unit = "requests/s" if need.users is None else "users"
    words, asked = f"{significant(plan.most)} {unit}", significant(need.amount or 0)
    chip = plan.decode.machine.chip.id
    message = f"{plan.chips} {chip} carry {words} within these latencies; {asked} were asked for."
    return note("P114", message, "error", f"--on {chip} without a count, which says how many do")


@dataclass(frozen=True)
class Priced:
    """Another way to keep the weights, and what it comes to; None where it cannot be."""

    choice: Choice
    plan: ServingPlan | None
    reason: str = ""


def priced_choices(
    question: ServingQuestion,
    passed: Gate,
    kv: str,
    solve: Callable[[ServingQuestion], Outcome],
) -> tuple[Priced, ...]:
    """What each other way past the gate comes to, for the same question, by the same search."""
    found = []
    pool, own = question.pool, passed.choice.dtype
    for choice in passed.others:
        if choice.dtype == own:
            continue
        gate = Gate(choice, (), ())
        precision = precision_of(question.arch, pool.machine.chip, gate, kv)
        job = replace(pool.job, precision=precision)
        try:
            outcome = solve(replace(question, pool=replace(pool, job=job), top=1))
            why = outcome.missed[0].message if outcome.missed else ""
            found.append(Priced(choice, None if why else outcome.best, why))
        except Infeasible as error:
            found.append(Priced(choice, None, error.findings[0].message))
    return tuple(found)


def trades(question: ServingQuestion) -> tuple[Point, ...]:
    """Ways to run the model that none beats in tokens/s per user and per chip, fastest first.

    Each is saturated: as many requests as its batch holds, whatever load was asked for.
    """
    if question.mode == "disaggregated" or question.prompts is not None:
        return ()
    job, found = question.pool.job, question.ways
    steady, chips = found.steady, found.layout.chips
    per_chip = steady.requests_per_s * job.request.output_tokens / chips
    soon = steady.fits & (steady.ttft_s <= job.ttft_s)
    some = np.flatnonzero(soon if soon.any() else steady.fits)
    some = some[np.lexsort((-per_chip[some], steady.tpot_s[some]))]
    before = np.maximum.accumulate(np.concatenate([[0.0], per_chip[some]]))[:-1]
    best = some[per_chip[some] > before]
    if len(best) > MOST_POINTS:
        best = best[np.unique(np.linspace(0, len(best) - 1, MOST_POINTS).round().astype(int))]
    return tuple(
        Point(
            "aggregated",
            f"{describe_replica(found.layout, int(i))}, {steady.decoding[i]:.0f} a lane",
            int(chips[i]),
            1.0 / float(steady.tpot_s[i]),
            float(per_chip[i]),
            float(steady.ttft_s[i]),
        )
        for i in best
    )


def serving_findings(plan: ServingPlan) -> tuple[Finding, ...]:
    """What the plan rests on and what it leaves out."""
    machines: dict[str, Machine] = {plan.decode.machine.chip.id: plan.decode.machine}
    if plan.prefill:
        machines.setdefault(plan.prefill.machine.chip.id, plan.prefill.machine)
    arch, dtype = plan.arch, plan.decode.multiplied
    found = list(copied_cache(arch, plan.decode.layout, plan.decode.model.precision.kv))
    for target in machines.values():
        found += left_out(arch, target.chip, target.closest, plan.job.precision.weights)
        found += weak_figures(target.chip, dtype)
        if dtype in target.peak_flop_per_s:
            found += unmeasured(target.chip, dtype, rates(target, dtype).basis)
    return tuple(found)


def power_w(plan: ServingPlan) -> float | None:
    """Mean draw of all chips of the plan at its load; None where a chip has no rating. [W]

    A chip is busy for the share of a step that it works, and of the time that steps run: with less
    than one request decoding in a lane, it waits.
    """
    decode = plan.decode
    if decode.machine.tdp_w is None or (plan.prefill and plan.prefill.machine.tdp_w is None):
        return None
    steady = decode.steady
    working = float(np.mean(steady.decode.cost.total_s / steady.decode.total_s))
    busy = min(working, 1.0) * min(decode.decoding, 1.0)
    total = decode.chips * plan.decode_replicas * float(chip_power(decode.machine.tdp_w, busy))
    if plan.prefill:
        first = plan.prefill
        most = first.requests_per_s * plan.prefill_replicas
        used = min(plan.requests_per_s / most, 1.0) if most else 1.0
        assert first.machine.tdp_w is not None
        each = float(chip_power(first.machine.tdp_w, used))
        total += first.chips * plan.prefill_replicas * each
    return total


def latency_words(job: ServingJob) -> str:
    """`TTFT 2 s and TPOT 50 ms`; empty where nothing is asked."""
    parts = [
        f"{name} {render(value, 's')}"
        for name, value in (("TTFT", job.ttft_s), ("TPOT", job.tpot_s))
        if value < ANY_S
    ]
    return " and ".join(parts)
