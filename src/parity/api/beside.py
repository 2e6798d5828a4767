"""The question of what to add: so many chips are owned, how many of others make up the rest.

>>> import parity
>>> parity.match(
...     "llama-3.1-70b", have="1024xh100", owned="512xa100-sxm-80", want="h20", train=True
... )  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from msgspec import structs

from parity.catalogue.machine import Draw, Number, machine
from parity.catalogue.spec import Batch, merged, parse_fleet
from parity.errors import Infeasible, MissingFact, UsageError
from parity.evaluate.goodput import Stated
from parity.layout.layout import describe
from parity.outputs.beside import BesideQuestion, beside_answer
from parity.outputs.envelope import Answer
from parity.outputs.matching_fields import MatchQuestion
from parity.record import Finding
from parity.search import match_serving as serving
from parity.search.beside import Added, refused
from parity.search.beside_fleet import fleet_of
from parity.search.beside_kinds import Kind, kind_of
from parity.search.beside_serving import Load, added_serving, load_of, owned_serving
from parity.search.beside_step import Case, Goal
from parity.search.beside_training import added_training, owned_training
from parity.search.findings import choose_dtype, note, weak_class
from parity.search.match import quality
from parity.search.mixed import MOST_KINDS, common_dtype
from parity.search.run import interrupted_times, plan_goodput
from parity.search.train import MOST_CHIPS, best_plans, sampled_times
from parity.search.uncertainty import once
from parity.words.asked import Run, rate, step_for_days
from parity.words.matches import MatchWords
from parity.words.serving import Asked
from parity.workload.find import model as find_model
from parity.workload.operator import Architecture

#: (chips as typed, how many are owned, open_=whether there may be more) -> what they do.
KindOf: TypeAlias = Callable[..., Kind]


def owned_chips(text: str) -> tuple[Batch, ...]:
    """The chips of `--with`, each kind once. Raises `UsageError` where one has no count."""
    batches = merged(parse_fleet(text))
    for batch in batches:
        if batch.count is None:
            raise UsageError(
                f"`--with {batch.text}` has no count; say how many are owned, as in "
                f"`--with 512x{batch.text}`."
            )
    if len(batches) >= MOST_KINDS:
        raise UsageError(
            f"--with names {len(batches)} kinds of chip; at most {MOST_KINDS - 1} work beside one "
            "that is added."
        )
    return batches


def beside(asked: MatchWords, *, ladder: bool) -> Answer:
    """What must be added to the chips that are owned, for training or for serving.

    Raises `UsageError`, `MissingFact`, `Infeasible` for the chips that set the target.
    """
    asked.beside(ladder=ladder)
    return _training(asked) if asked.train else _serving(asked)


def _training(asked: MatchWords) -> Answer:
    run, batches = asked.training(), owned_chips(asked.owned or "")
    for batch in batches:
        if (batch.count or 0) > MOST_CHIPS:
            raise UsageError(
                f"`--with {batch.text}` is more than the {MOST_CHIPS:,} chips that one job takes."
            )
    goal, divided, about = _training_goal(run, asked)
    held = tuple((machine(batch.chip), batch.count or 0) for batch in batches)
    own, _ = common_dtype(tuple(batch.chip for batch in batches), asked.dtype)
    job = structs.replace(run.job, dtype=own)
    case = Case(run.arch, job, held, run.era, goal)
    found, alone = owned_training(case, asked.sampler)
    rows: list[Added] = []
    for batch in asked.wanted:
        others = tuple(one for one in held if one[0].chip != batch.chip)
        here = sum(count for one, count in held if one.chip == batch.chip)
        try:
            more = machine(batch.chip)
            chips = (*(one.chip for one, _ in others), batch.chip)
            dtype, chosen = common_dtype(chips, asked.dtype)
            this = replace(case, job=structs.replace(job, dtype=dtype), held=others)
            row = added_training(this, more, found, alone, here, asked.sampler)
            kinds = (*(one for one, _ in others), more)
            weak = (finding for one in kinds for finding in quality(one, dtype))
            rows.append(replace(row, findings=(*chosen, *row.findings, *weak)))
        except (Infeasible, MissingFact) as error:
            rows.append(refused(batch.chip, error))
    shown = MatchQuestion(
        "training", run.arch.name, asked.have_text or "", goal.step_s, job, None,
        interrupted=goal.stated is not None,
    )  # fmt: skip
    question = BesideQuestion(shown, asked.owned or "", divided)
    return beside_answer(question, found, _labelled(asked, rows), about)


def _training_goal(run: Run, asked: MatchWords) -> tuple[Goal, str, tuple[Finding, ...]]:
    """(the step to reach, how the chips that set it are divided, what to know of them)"""
    arch, about = run.arch, (*run.arch.findings, *weak_class(run.arch))
    within = Stated() if asked.equal() == "time" else None
    if asked.have is None:
        if asked.days is not None:
            return Goal(step_for_days(run.job, asked.days), within), "", about
        return Goal(run.job.global_batch_tokens / rate(asked.tokens_per_second or 0)), "", about
    own, _ = choose_dtype(asked.have.chip, asked.dtype)
    job, target = structs.replace(run.job, dtype=own), machine(asked.have.chip)
    plan = best_plans(arch, job, target, run.era, asked.have.count or 1, 1)[0]
    share = float(plan_goodput(arch, plan, within).fraction) if within else 1.0

    def relative(draw: Draw) -> Number:
        if within is None:
            return sampled_times(arch, plan, run.era, draw) / plan.time_s
        return interrupted_times(arch, plan, run.era, within, draw) * share / plan.time_s

    goal = Goal(plan.time_s / share, within, once(relative, asked.sampler))
    return goal, describe(plan.layout), (*about, *quality(target, own))


def _serving(asked: MatchWords) -> Answer:
    arch, batches = find_model(asked.model), owned_chips(asked.owned or "")
    work = asked.requests(arch.name)

    def kind(batch: Batch, owned: int, *, open_: bool = False) -> Kind:
        one = asked.candidate(arch, batch, work)
        if one.question is None:
            raise one.error or Infeasible(f"{batch.text} cannot serve {arch.name}.")
        return kind_of(one.question, owned, one.findings, open_=open_)

    load, divided = _serving_load(asked, arch, work)
    kinds, about = _held(batches, kind)
    fleet = fleet_of(kinds)
    found = owned_serving(fleet, load, asked.sampler)
    few = len(asked.wanted) <= serving.MOST_NARROWED
    rows: list[Added] = []
    for batch in asked.wanted:
        others = tuple(one for one in kinds if one.machine.chip != batch.chip)
        here = sum(own.count or 0 for own in batches if own.chip == batch.chip)
        try:
            new = kind(batch, here, open_=True)
            rest = fleet if len(others) == len(kinds) else fleet_of(others)
            row = added_serving(rest, new, load, asked.sampler, few=few)
            weak = (f for one in (*others, new) for f in quality(one.machine, one.multiplied))
            rows.append(replace(row, findings=(*row.findings, *weak)))
        except (Infeasible, MissingFact) as error:
            rows.append(refused(batch.chip, error))
    shown = MatchQuestion(
        "serving", arch.name, asked.have_text or "", load.requests_per_s, None, asked.job(arch.name)
    )
    question = BesideQuestion(shown, asked.owned or "", divided)
    return beside_answer(question, found, _labelled(asked, rows), (*arch.findings, *about))


def _serving_load(asked: MatchWords, arch: Architecture, work: Asked) -> tuple[Load, str]:
    """(the requests/s to serve, stated or as many as the chips of `have` carry; how these are
    divided)
    """
    stated = asked.need().requests_per_s
    if stated is not None or asked.have is None:
        return Load(stated or 1.0), ""
    one = asked.candidate(arch, asked.have, work)
    if one.question is None:
        raise one.error or Infeasible(f"{asked.have_text} cannot serve {arch.name}.")
    load = load_of(serving.held(one.question))
    assert load.held is not None
    return replace(load, relative=once(load.relative, asked.sampler)), serving.division(
        load.held.plan
    )


def _held(batches: tuple[Batch, ...], kind: KindOf) -> tuple[tuple[Kind, ...], tuple[Finding, ...]]:
    """(what each owned kind does, P311 for those that cannot serve the model at all)"""
    kinds, idle = [], []
    for batch in batches:
        try:
            kinds.append(kind(batch, batch.count or 0))
        except Infeasible as error:
            why = error.findings[0].message if error.findings else str(error)
            words = f"{batch.count:,} {batch.chip.id} stay idle: {why}"
            idle.append(note("P311", words, "warning"))
    return tuple(kinds), tuple(idle)


def _labelled(asked: MatchWords, rows: list[Added]) -> list[Added]:
    """A chip with figures of the user's own is called by them."""
    return [
        replace(row, label=f"{batch.chip.id}@{batch.text.split('@', 1)[1]}")
        if "@" in batch.text
        else row
        for batch, row in zip(asked.wanted, rows, strict=True)
    ]
