"""The question of what equals what: so many of these chips do the work of so many of those.

>>> import parity
>>> parity.match("llama-3.1-70b", have="1024xh100", want="h20", train=True)  # doctest: +SKIP
"""

from __future__ import annotations

from dataclasses import replace

from msgspec import structs

from parity.api.beside import owned_chips, serving_beside, training_beside
from parity.catalogue.load import chip
from parity.catalogue.machine import machine
from parity.catalogue.spec import Batch
from parity.errors import UsageError
from parity.evaluate.goodput import Stated
from parity.outputs.envelope import Answer
from parity.outputs.ladder import ladder_answer
from parity.outputs.matching import match_answer
from parity.outputs.matching_fields import MatchQuestion
from parity.outputs.supplied import asked_supply, with_supply
from parity.search import match as matching
from parity.search import train as training
from parity.search.findings import choose_dtype, weak_class
from parity.search.ladder import FLAGSHIPS, USUAL_CHIPS, Rung, serving_rungs, training_rungs
from parity.search.precision import choose_precision
from parity.search.replica import ServingJob, best_replica
from parity.timing.draw import USUAL_SAMPLES, Sampler
from parity.timing.engine import CURRENT_ENGINE, engine
from parity.timing.software import CURRENT
from parity.units import parse, parse_length
from parity.words.asked import (
    DEFAULT_GBS,
    DEFAULT_SEQ,
    DEFAULT_TOKENS,
    Quantity,
    asked_dtype,
    in_order,
    machines_of,
    many_kinds,
    one_kind,
    positive,
    rate,
    sampler,
    step_for_days,
    training_run,
)
from parity.words.kept import spoken
from parity.workload.dtype import dtype as dtype_name
from parity.workload.find import model as find_model
from parity.workload.precision import Precision
from parity.workload.request import Request


def match(
    model: str,
    *,
    want: str | None = None,
    have: str | None = None,
    owned: str | None = None,
    train: bool = False,
    tokens: Quantity = DEFAULT_TOKENS,
    seq: Quantity = DEFAULT_SEQ,
    gbs: Quantity = DEFAULT_GBS,
    days: Quantity | None = None,
    tokens_per_second: Quantity | None = None,
    isl: Quantity = "2k",
    osl: Quantity = 500,
    ttft: Quantity | None = None,
    tpot: Quantity | None = None,
    dtype: str = "auto",
    kv: str = "auto",
    software_generation: str = CURRENT,
    engine_generation: str = CURRENT_ENGINE,
    ladder: bool = False,
    samples: int = USUAL_SAMPLES.samples,
    to: str | None = None,
    risk: bool = False,
) -> Answer:
    """How many of each wanted chip do the work of the chips `have`, at their own best layouts.

    With `train` the same step in the same time; else the same requests a second, at saturation or
    within `ttft` and `tpot`. `days` or `tokens_per_second` set the target where there is no `have`.
    ladder: instead the wanted chips, and that of `have`, in order of what one of them does.
    owned: chips that are there already, as in `512xa100`: how many of each wanted kind, or of their
    own, must be added to them. samples, to, risk: as in `plan_train`.

    Raises `UsageError` for words that cannot be read, `MissingFact`, `Infeasible` for `have`.
    """
    said = spoken(match, locals())
    wanted = _wanted(want, owned)
    targets = {"--have": have, "--days": days, "--tokens-per-second": tokens_per_second}
    given = [name for name, value in targets.items() if value is not None]
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} each set the target; give one of them.")
    if days is not None and not train:
        raise UsageError("--days sets the target of a training match; add --train.")
    drawn, supply = sampler(samples), asked_supply(to, risk)
    chips = [batch.chip for batch in wanted]
    if owned is not None:
        answer = _match_beside(
            model, owned, wanted, have, tokens, seq, gbs, days, tokens_per_second, isl, osl, ttft,
            tpot, dtype, kv, software_generation, engine_generation, drawn, train=train,
            ladder=ladder,
        )  # fmt: skip
    elif ladder:
        if days is not None or tokens_per_second is not None:
            raise UsageError("--ladder puts chips in order; it takes no target but --have.")
        answer = _ladder(
            model, have, wanted, tokens, seq, gbs, isl, osl, ttft, tpot, dtype, kv,
            software_generation, engine_generation, drawn, train=train,
        )  # fmt: skip
        chips += [one_kind(have, "--have").chip] if have else []
    elif train:
        answer = _match_training(
            model, have, wanted, tokens, seq, gbs, days, tokens_per_second, dtype,
            software_generation, drawn,
        )  # fmt: skip
    else:
        answer = _match_serving(
            model, have, wanted, isl, osl, ttft, tpot, tokens_per_second, dtype, kv,
            engine_generation, drawn,
        )  # fmt: skip
    return structs.replace(with_supply(answer, chips, supply), question=said)


def _wanted(want: str | None, owned: str | None) -> tuple[Batch, ...]:
    """The chips to count: those of --want, or more of the owned ones."""
    if want is not None:
        return many_kinds(want)
    if owned is None:
        raise UsageError("--want names the chips to count, as in `--want h20,a100`.")
    return tuple(structs.replace(batch, count=None) for batch in owned_chips(owned))


def _match_beside(
    model: str,
    owned: str,
    wanted: tuple[Batch, ...],
    have: str | None,
    tokens: Quantity,
    seq: Quantity,
    gbs: Quantity,
    days: Quantity | None,
    tokens_per_second: Quantity | None,
    isl: Quantity,
    osl: Quantity,
    ttft: Quantity | None,
    tpot: Quantity | None,
    dtype: str,
    kv: str,
    software_generation: str,
    engine_generation: str,
    drawn: Sampler,
    *,
    train: bool,
    ladder: bool,
) -> Answer:
    """What must be added to the chips `owned`."""
    if ladder:
        raise UsageError("--ladder puts chips in order; it takes no --with.")
    if have is None and days is None and tokens_per_second is None:
        raise UsageError(
            "What to add needs a target: `--have 1024xh100`, `--days 60` or "
            "`--tokens-per-second 1M`."
        )
    per_s = None if tokens_per_second is None else rate(tokens_per_second)
    if train:
        run = training_run(model, tokens, seq, gbs, software_generation)
        return training_beside(run, owned, wanted, have, days, per_s, dtype, drawn)
    job, asked, cache = _serving_job(isl, osl, ttft, tpot, dtype, kv)
    per_s = per_s and per_s / job.request.output_tokens
    arch, era = find_model(model), engine(engine_generation)
    return serving_beside(arch, job, owned, wanted, have, per_s, (asked, cache), era, drawn)


def _match_training(
    model: str,
    have: str | None,
    wanted: tuple[Batch, ...],
    tokens: Quantity,
    seq: Quantity,
    gbs: Quantity,
    days: Quantity | None,
    tokens_per_second: Quantity | None,
    dtype: str,
    generation: str,
    drawn: Sampler,
) -> Answer:
    run = training_run(model, tokens, seq, gbs, generation)
    arch, era, job = run.arch, run.era, run.job
    plan, about = None, (*arch.findings, *weak_class(arch))
    if have:
        batch = one_kind(have, "--have", counted=True)
        own, _ = choose_dtype(batch.chip, asked_dtype(dtype))
        job = structs.replace(job, dtype=own)
        target = machine(batch.chip)
        plan = training.best_plans(arch, job, target, era, batch.count or 1, 1)[0]
        step_s = plan.time_s
        about += matching.quality(target, own)
    elif days is not None:
        step_s = step_for_days(job, days)
    elif tokens_per_second is not None:
        step_s = job.global_batch_tokens / rate(tokens_per_second)
    else:
        raise UsageError(
            "A match needs a target: `--have 1024xh100`, `--days 60` or `--tokens-per-second 1M`."
        )
    machines, missing = machines_of(wanted)
    within = Stated() if days is not None else None
    rows = matching.match_training(
        arch, job, step_s, plan, machines, era, asked_dtype(dtype), within, drawn
    )
    shown = MatchQuestion(
        "training", arch.name, have or "", step_s, job, None, interrupted=within is not None
    )
    return match_answer(shown, plan, in_order(wanted, [*rows, *missing]), about)


def _match_serving(
    model: str,
    have: str | None,
    wanted: tuple[Batch, ...],
    isl: Quantity,
    osl: Quantity,
    ttft: Quantity | None,
    tpot: Quantity | None,
    tokens_per_second: Quantity | None,
    dtype: str,
    kv: str,
    generation: str,
    drawn: Sampler,
) -> Answer:
    arch, era = find_model(model), engine(generation)
    job, asked, cache = _serving_job(isl, osl, ttft, tpot, dtype, kv)
    request = job.request
    plan, chips_held, about = None, 0, arch.findings
    if have:
        batch = one_kind(have, "--have", counted=True)
        chips_held = batch.count or 1
        precision, _ = choose_precision(arch, batch.chip, asked, cache)
        job = replace(job, precision=precision)
        target = machine(batch.chip)
        plan = best_replica(arch, job, target, era, chips_held)
        about += matching.quality(target, plan.multiplied)
        requests_per_s = plan.requests_per_s * (chips_held // plan.chips)
    elif tokens_per_second is not None:
        requests_per_s = rate(tokens_per_second) / request.output_tokens
    else:
        raise UsageError(
            "A match needs a target: `--have 8xh100` or `--tokens-per-second 10k` (output tokens)."
        )
    machines, missing = machines_of(wanted)
    rows = matching.match_serving(
        arch, job, requests_per_s, plan, chips_held, machines, era, asked, cache, drawn
    )
    shown = MatchQuestion("serving", arch.name, have or "", requests_per_s, None, job)
    return match_answer(shown, plan, in_order(wanted, [*rows, *missing]), about)


def _serving_job(
    isl: Quantity, osl: Quantity, ttft: Quantity | None, tpot: Quantity | None, dtype: str, kv: str
) -> tuple[ServingJob, str, str]:
    """(what each chip is asked to serve, dtype of its weights, of its cache)"""
    request = Request(
        input_tokens=parse_length(isl, "--isl", most=1e7),
        output_tokens=parse_length(osl, "--osl", most=1e6),
    )
    limits = {"--ttft": ttft, "--tpot": tpot}
    first, each = (
        positive(parse(value, "s", name), name) if value is not None else float("inf")
        for name, value in limits.items()
    )
    asked = dtype if dtype == "auto" else dtype_name(dtype)
    cache = kv if kv == "auto" else dtype_name(kv)
    job = ServingJob(request, Precision("bf16", "bf16"), ttft_s=first, tpot_s=each)
    return job, asked, cache


def _ladder(
    model: str,
    have: str | None,
    wanted: tuple[Batch, ...],
    tokens: Quantity,
    seq: Quantity,
    gbs: Quantity,
    isl: Quantity,
    osl: Quantity,
    ttft: Quantity | None,
    tpot: Quantity | None,
    dtype: str,
    kv: str,
    software_generation: str,
    engine_generation: str,
    drawn: Sampler,
    *,
    train: bool,
) -> Answer:
    """The wanted chips, and that of `have`, in order, beside a chip of each generation; in training
    as many of each as `have` has.
    """
    own = one_kind(have, "--have", counted=False) if have else None
    chips = {batch.chip.id: batch for batch in (*((own,) if own else ()), *wanted)}
    machines, missing = machines_of(chips.values())
    others = tuple(machine(chip(name)) for name in FLAGSHIPS if name not in chips)
    unknown = tuple(Rung(row.chip, {}, row.reason) for row in missing)
    if train:
        run = training_run(model, tokens, seq, gbs, software_generation)
        count = (own.count if own else None) or USUAL_CHIPS
        rungs = training_rungs(
            run.arch, run.job, (*machines, *others), run.era, asked_dtype(dtype), count, drawn
        )
        return _put_in_order(
            run.arch.name, rungs, len(machines), unknown, f"Training on {count:,} chips"
        )
    arch, era = find_model(model), engine(engine_generation)
    job, asked, cache = _serving_job(isl, osl, ttft, tpot, dtype, kv)
    rungs = serving_rungs(arch, job, (*machines, *others), era, asked, cache, drawn)
    size = f"{job.request.input_tokens:,.0f} + {job.request.output_tokens:,.0f}"
    return _put_in_order(arch.name, rungs, len(machines), unknown, f"Serving {size} tokens")


def _put_in_order(
    model: str, rungs: tuple[Rung, ...], asked: int, unknown: tuple[Rung, ...], work: str
) -> Answer:
    """rungs: those asked for first, then the generations that were not."""
    steps = sorted(
        (rung for rung in rungs if rung.chip.id in FLAGSHIPS),
        key=lambda rung: FLAGSHIPS.index(rung.chip.id),
    )
    return ladder_answer(model, (*rungs[:asked], *unknown), work, steps)
