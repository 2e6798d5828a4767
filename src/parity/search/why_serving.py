"""What would make a service carry more: every figure of the chips, and what software could do.

The answer is requests/s for each chip within the latencies; users, where these pause or the number
of chips is asked; of users who do not pause, the requests/s that so many make. Each change is tried
with the division into replicas held, and with the best division for it (`why_ways`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from msgspec import structs

from parity.errors import Infeasible, MissingFact
from parity.layout.serving import describe_replica
from parity.search.gate import serving_gate
from parity.search.precision import precision_of
from parity.search.serving_plan import ServingQuestion
from parity.search.why_change import Change, part_of
from parity.search.why_figures import FACTORS, Effect, figures, improved, ratio, words_of
from parity.search.why_ways import ServingCase, Way, both_of
from parity.workload.precision import HALVES
from parity.workload.speculation import accepted_tokens

#: A choice of software is looked for among ways that it would have to speed up by less than this.
MOST_GAIN = 2.0
#: Tokens drafted by the lever that drafts: EAGLE's usual chain of three.
DRAFTED = 3


def serving_effects(case: ServingCase) -> tuple[Effect, ...]:
    """The effect of each figure and lever on what a chip carries, the largest first."""
    figured = list(better_figures(case))
    chosen = list(levers(case))
    plain = Change(timeless=True)
    changes = [plain, *(change for *_, change in figured), *(change for *_, change in chosen)]
    first, *found = both_of(case, changes)
    base = tuple(way.rate if way else np.nan for way in first)
    effects = [
        _effect(case, lever, words_of(factor), ways, base)
        for (lever, factor, _), ways in zip(figured, found, strict=False)
    ]
    for (lever, amount, _), ways in zip(chosen, found[len(figured) :], strict=True):
        effects.append(replace(_effect(case, lever, amount, ways, base), hardware=False))
    anew = ratio(base[1], base[0])
    if anew:
        lever = "the best division for this alone"
        effects.append(Effect(lever, "", None, anew, hardware=False))
    other = _other_mode(case, base[1])
    return tuple(sorted([*effects, *other], key=lambda one: -one.size))


def better_figures(case: ServingCase) -> Iterator[tuple[str, float, Change]]:
    """(figure, factor, change) of the chips, and of the other chips that take prompts, whose
    figures and those beside them have the chip's name before them.
    """
    other, first = case.question.prompts, case.plan.prefill
    several = other is not None and other.machine.chip.id != case.machine.chip.id
    dtypes = [rate.dtype for rate in case.plan.decode.model.by_dtype.values()]
    for figure in figures(case.machine, dtypes):
        name = f"{case.machine.chip.id}@{figure.key}" if several else figure.key
        for factor in FACTORS:
            better = improved(case.machine, figure, factor)
            if better is not None:
                roomier = figure.key == "memory.capacity"
                part = "" if roomier else part_of(figure.key)
                gain = 1.0 if roomier else factor
                yield name, factor, Change(better, gain=gain, part=part, timeless=roomier)
    if other is None or first is None or not several:
        return
    for figure in figures(other.machine, [rate.dtype for rate in first.model.by_dtype.values()]):
        for factor in FACTORS:
            better = improved(other.machine, figure, factor)
            if better is not None:
                yield f"{other.machine.chip.id}@{figure.key}", factor, Change(prompts=better)


def _effect(
    case: ServingCase,
    lever: str,
    amount: str,
    ways: tuple[Way | None, Way | None],
    base: tuple[float, ...],
) -> Effect:
    held, new = ways
    gains = [
        ratio(found.rate if found else None, old)
        for found, old in zip((held, new), base, strict=True)
    ]
    own = describe_replica(case.plan.decode.layout)
    layout = new.words if new and new.words != own and (not held or new.rate > held.rate) else ""
    return Effect(lever, amount, gains[0], gains[1], layout)


def levers(case: ServingCase) -> Iterator[tuple[str, str, Change]]:
    """What software, precision and the asker could change: (name, amount, change)."""
    question, job, engine = case.question, case.question.pool.job, case.question.engine
    chip, precision = case.machine.chip, job.precision
    if precision.kv in HALVES:
        narrow = structs.replace(precision, kv="fp8")
        cached = replace(job, precision=narrow)
        yield "fp8 KV cache", "", Change(job=cached, gain=MOST_GAIN, part="memory")
    if precision.weights in HALVES:
        try:
            passed = serving_gate(question.arch, chip, engine.name, "fp8")
            half = precision_of(question.arch, chip, passed, precision.kv)
            yield "fp8 weights", "", Change(job=replace(job, precision=half), gain=MOST_GAIN)
        except (Infeasible, MissingFact):
            pass
    if not job.patient:
        idle = replace(job, ttft_s=np.inf, tpot_s=np.inf)
        yield "no latency asked for", "", Change(job=idle, timeless=True)
    budget = structs.replace(engine, token_budget=2 * engine.token_budget)
    yield "token budget", "x2", Change(engine=budget, gain=MOST_GAIN)
    free = structs.replace(engine, step_s=0.0, sequence_s=0.0, launches_s=0.0, overlapped=True)
    yield "no time of the host", "", Change(engine=free, gain=MOST_GAIN, part="host")
    more = structs.replace(engine, max_sequences=2 * engine.max_sequences)
    yield "requests at a time at most", "x2", Change(engine=more, gain=1.0)
    if not job.request.drafted:
        tokens = min(accepted_tokens(question.arch.name, DRAFTED)[0], DRAFTED + 1)
        drafted = structs.replace(job.request, drafted=DRAFTED, accepted=tokens)
        change = Change(job=replace(job, request=drafted), gain=MOST_GAIN)
        yield f"{DRAFTED} tokens drafted", "", change


def _other_mode(case: ServingCase, base: float) -> Iterator[Effect]:
    """Prompts on chips of their own, or no longer."""
    question = case.question
    if question.prompts is not None or question.need.users is not None:
        return
    try:
        other = most_together(question) if case.apart else most_apart(question)
    except Infeasible:
        other = None
    lever = "prompts among the decoding" if case.apart else "prompts on chips of their own"
    yield Effect(lever, "", None, ratio(other, base), hardware=False)


def most_apart(question: ServingQuestion) -> float:
    """Requests/s of a chip in the best pair of pools. Raises `Infeasible`."""
    pair = question.pair
    return pair.most_requests_per_s / pair.chips


def most_together(question: ServingQuestion) -> float | None:
    """Requests/s of a chip where replicas do all; None where no way is quick enough.

    Raises `Infeasible`.
    """
    job, found = question.pool.job, question.ways
    steady = found.steady
    quick = steady.fits & (steady.ttft_s <= job.ttft_s) & (steady.tpot_s <= job.tpot_s)
    return float(np.where(quick, steady.requests_per_s / found.layout.chips, 0.0).max()) or None
