"""The question of what to add: so many chips are owned, how many of others make up the rest.

>>> import parity
>>> parity.match(
...     "llama-3.1-70b", have="1024xh100", owned="512xa100-sxm-80", want="h20", train=True
... )  # doctest: +SKIP
"""

from __future__ import annotations

from dataclasses import replace

from msgspec import structs

from parity.catalogue.machine import Machine, machine
from parity.catalogue.spec import Batch, merged, parse_fleet
from parity.errors import Infeasible, MissingFact, UsageError
from parity.evaluate.goodput import Stated
from parity.layout.layout import describe
from parity.layout.serving import describe_replica
from parity.outputs.beside import BesideQuestion, beside_answer
from parity.outputs.envelope import Answer
from parity.outputs.matching_fields import MatchQuestion
from parity.record import Finding
from parity.search.beside import Added, refused
from parity.search.beside_fleet import fleet_of
from parity.search.beside_kinds import Kind, kind_of
from parity.search.beside_serving import Load, added_serving, load_of, owned_serving
from parity.search.beside_step import Case, Goal
from parity.search.beside_training import added_training, owned_training
from parity.search.beside_units import division
from parity.search.findings import choose_dtype, note, weak_class
from parity.search.match import quality
from parity.search.match_serving import MOST_NARROWED
from parity.search.mixed import MOST_KINDS, Fleet, common_dtype
from parity.search.replica import ServingJob
from parity.search.train import best_plans, sampled_times
from parity.search.uncertainty import once
from parity.timing.draw import Sampler
from parity.timing.engine import Engine
from parity.words.asked import Quantity, Run, asked_dtype, one_kind, step_for_days
from parity.workload.operator import Architecture


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


def training_beside(
    run: Run,
    owned: str,
    wanted: tuple[Batch, ...],
    have: str | None,
    days: Quantity | None,
    tokens_per_s: float | None,
    dtype: str,
    drawn: Sampler,
) -> Answer:
    """What to add to the chips `owned` for a training run as fast as on `have`, in `days`, or of so
    many tokens/s.

    Raises `UsageError`, `MissingFact`, `Infeasible` for `have`.
    """
    batches, asked = owned_chips(owned), asked_dtype(dtype)
    goal, divided, about = _training_goal(run, have, days, tokens_per_s, asked, drawn)
    held = tuple((machine(batch.chip), batch.count or 0) for batch in batches)
    own, _ = common_dtype(tuple(batch.chip for batch in batches), asked)
    job = structs.replace(run.job, dtype=own)
    case = Case(run.arch, job, held, run.era, goal)
    found, alone = owned_training(case, drawn)
    rows: list[Added] = []
    for batch in wanted:
        others = tuple(one for one in held if one[0].chip != batch.chip)
        here = sum(count for one, count in held if one.chip == batch.chip)
        try:
            more = machine(batch.chip)
            chips = (*(one.chip for one, _ in others), batch.chip)
            dtype_of_all, chosen = common_dtype(chips, asked)
            this = replace(case, job=structs.replace(job, dtype=dtype_of_all), held=others)
            row = added_training(this, more, found, alone, here, drawn)
            findings = (*chosen, *row.findings, *_training_quality(others, more, dtype_of_all))
            rows.append(replace(row, findings=findings, label=_label(batch)))
        except (Infeasible, MissingFact) as error:
            rows.append(replace(refused(batch.chip, error), label=_label(batch)))
    shown = MatchQuestion(
        "training", run.arch.name, have or "", goal.step_s, job, None,
        interrupted=goal.stated is not None,
    )  # fmt: skip
    return beside_answer(BesideQuestion(shown, owned, divided), found, rows, about)


def _training_goal(
    run: Run, have: str | None, days: Quantity | None, tokens_per_s: float | None, dtype: str,
    drawn: Sampler,
) -> tuple[Goal, str, tuple[Finding, ...]]:  # fmt: skip
    """(the step to reach, how the chips that set it are divided, what to know of them)"""
    about = (*run.arch.findings, *weak_class(run.arch))
    if have is None:
        if days is not None:
            return Goal(step_for_days(run.job, days), Stated()), "", about
        return Goal(run.job.global_batch_tokens / (tokens_per_s or 1.0)), "", about
    batch = one_kind(have, "--have", counted=True)
    own, _ = choose_dtype(batch.chip, dtype)
    job, target = structs.replace(run.job, dtype=own), machine(batch.chip)
    plan = best_plans(run.arch, job, target, run.era, batch.count or 1, 1)[0]
    relative = once(lambda draw: sampled_times(run.arch, plan, run.era, draw) / plan.time_s, drawn)
    about = (*about, *quality(target, own))
    return Goal(plan.time_s, None, relative), describe(plan.layout), about


def _training_quality(held: Fleet, more: Machine, dtype: str) -> tuple[Finding, ...]:
    kinds = (*(one for one, _ in held), more)
    return tuple(finding for one in kinds for finding in quality(one, dtype))


def serving_beside(
    arch: Architecture,
    job: ServingJob,
    owned: str,
    wanted: tuple[Batch, ...],
    have: str | None,
    requests_per_s: float | None,
    dtypes: tuple[str, str],
    engine: Engine,
    drawn: Sampler,
) -> Answer:
    """What to add to the chips `owned` to serve what `have` serve, or so many requests/s.

    dtypes: of the weights and of the cache, or `auto`. Raises `UsageError`, `MissingFact`,
    `Infeasible` for `have`.
    """
    batches = owned_chips(owned)
    words = (job, engine, *dtypes)
    load, divided = _serving_load(arch, have, requests_per_s, words, drawn)
    kinds, about = _held(arch, batches, words)
    fleet = fleet_of(arch, kinds, engine)
    found = owned_serving(fleet, load, drawn)
    rows: list[Added] = []
    for batch in wanted:
        others = tuple(kind for kind in kinds if kind.machine.chip != batch.chip)
        here = sum(b.count or 0 for b in batches if b.chip == batch.chip)
        try:
            new = kind_of(arch, machine(batch.chip), here, *words, open_=True)
            beside = fleet if len(others) == len(kinds) else fleet_of(arch, others, engine)
            few = len(wanted) <= MOST_NARROWED
            row = added_serving(arch, beside, new, load, engine, drawn, few=few)
            more = (f for kind in (*others, new) for f in quality(kind.machine, kind.multiplied))
            rows.append(replace(row, findings=(*row.findings, *more), label=_label(batch)))
        except (Infeasible, MissingFact) as error:
            rows.append(replace(refused(batch.chip, error), label=_label(batch)))
    shown = MatchQuestion("serving", arch.name, have or "", load.requests_per_s, None, job)
    question = BesideQuestion(shown, owned, divided)
    return beside_answer(question, found, rows, (*arch.findings, *about))


def _serving_load(
    arch: Architecture, have: str | None, requests_per_s: float | None,
    words: tuple[ServingJob, Engine, str, str], drawn: Sampler,
) -> tuple[Load, str]:  # fmt: skip
    """(the requests/s to serve, stated or as many as the chips of `have` carry; how these are
    divided)
    """
    if have is None:
        return Load(requests_per_s or 1.0), ""
    batch = one_kind(have, "--have", counted=True)
    kind = kind_of(arch, machine(batch.chip), batch.count or 1, *words)
    load = load_of(kind)
    if load.requests_per_s == 0:
        raise kind.refusal or Infeasible(f"{have} do not hold one replica of {arch.name}.")
    parts = division(kind.able, kind.owned)
    divided = ", ".join(f"{n:,} × {describe_replica(unit.by.layout)}" for unit, n in parts)
    return replace(load, relative=once(load.relative, drawn) if load.relative else None), divided


def _held(
    arch: Architecture, batches: tuple[Batch, ...], words: tuple[ServingJob, Engine, str, str]
) -> tuple[tuple[Kind, ...], tuple[Finding, ...]]:
    """(what each owned kind does, P311 for those that cannot serve the model at all)"""
    kinds, idle = [], []
    for batch in batches:
        try:
            kinds.append(kind_of(arch, machine(batch.chip), batch.count or 0, *words))
        except Infeasible as error:
            why = error.findings[0].message if error.findings else str(error)
            idle.append(
                note("P311", f"{batch.count:,} {batch.chip.id} stay idle: {why}", "warning")
            )
    return tuple(kinds), tuple(idle)


def _label(batch: Batch) -> str:
    """A chip with figures of the user's own is called by them."""
    if "@" not in batch.text:
        return ""
    return f"{batch.chip.id}@{batch.text.split('@', 1)[1]}"
