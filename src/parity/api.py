"""The questions as Python functions: words or numbers in, an `Answer` out.

    >>> import parity
    >>> parity.match("llama-3.1-70b", have="1024xh100", want="h20", train=True)  # doctest: +SKIP

The command line is a thin skin over these.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from parity.catalogue.load import chips
from parity.catalogue.machine import Machine, machine
from parity.catalogue.schema import Chip
from parity.catalogue.spec import Batch, parse_fleet
from parity.catalogue.table import where
from parity.errors import UsageError
from parity.outputs.envelope import Answer
from parity.outputs.matching import MatchQuestion, match_answer
from parity.outputs.planning import plan_answer
from parity.record import Finding
from parity.search import match as matching
from parity.search import train as training
from parity.search.findings import choose_dtype
from parity.search.serve import ServingJob, best_replica
from parity.timing.software import CURRENT, Software, software
from parity.units import parse, parse_count
from parity.workload.dtype import dtype as dtype_name
from parity.workload.find import model as find_model
from parity.workload.operator import Architecture
from parity.workload.training import TrainingJob

Quantity = str | float

#: Defaults of a training question: what current large runs use.
DEFAULT_TOKENS, DEFAULT_SEQ, DEFAULT_GBS = "15T", "8k", "4M"


@dataclass(frozen=True)
class _TrainingQuestion:
    arch: Architecture
    job: TrainingJob
    era: Software


def plan_train(
    model: str,
    on: str,
    *,
    tokens: Quantity = DEFAULT_TOKENS,
    seq: Quantity = DEFAULT_SEQ,
    gbs: Quantity = DEFAULT_GBS,
    days: Quantity | None = None,
    dtype: str = "auto",
    cluster: str = "",
    software_generation: str = CURRENT,
    top: int = 3,
) -> Answer:
    """The best layout to train `model` on the chips `on`, its speed, memory, energy and range.

    on: `1024xh100`, `h20@memory.bandwidth=4.8TB/s`. tokens: of the run. seq: tokens of a sequence.
    gbs: tokens of a global batch. days: when given, `on` needs no count and the answer is how many
    chips finish in time. top: layouts shown.

    Raises `UsageError` for words that cannot be read, `MissingFact`, `Infeasible`.
    """
    batch = _one(on, "--on")
    chosen, question = _training_question(
        model, batch.chip, tokens, seq, gbs, dtype, software_generation
    )
    target = machine(batch.chip, cluster)
    arch, job, era = question.arch, question.job, question.era
    plans: tuple[training.TrainingPlan, ...] = ()
    wall = None
    if days is not None:
        found = training.fewest_chips(arch, job, target, era, _step_for_days(question, days))
        wall = found if isinstance(found, training.Wall) else None
        plans = () if isinstance(found, training.Wall) else (found,)
    elif batch.count is None:
        raise UsageError(
            f"`--on {on}` has no count. Say how many, as in `--on 64x{on}`, or give --days."
        )
    else:
        plans = tuple(training.best_plans(arch, job, target, era, batch.count, _few(top)))
    findings = (*chosen, *training.plan_findings(question.arch, batch.chip, question.job, target))
    return plan_answer(question.arch, plans, wall, findings, days_asked=days is not None)


def match(
    model: str,
    *,
    want: str,
    have: str | None = None,
    train: bool = False,
    tokens: Quantity = DEFAULT_TOKENS,
    seq: Quantity = DEFAULT_SEQ,
    gbs: Quantity = DEFAULT_GBS,
    days: Quantity | None = None,
    tokens_per_second: Quantity | None = None,
    isl: Quantity = "2k",
    osl: Quantity = 500,
    tpot: Quantity | None = None,
    dtype: str = "auto",
    kv: str = "bf16",
    software_generation: str = CURRENT,
) -> Answer:
    """How many of each wanted chip do the work of the chips `have`, at their own best layouts.

    With `train` the same step in the same time; else the same requests a second, at saturation or
    within `tpot`. `days` or `tokens_per_second` set the target where there is no `have`.

    Raises `UsageError` for words that cannot be read, `MissingFact`, `Infeasible` for `have`.
    """
    wanted = _many(want)
    if train:
        return _match_training(
            model,
            have,
            wanted,
            tokens,
            seq,
            gbs,
            days,
            tokens_per_second,
            dtype,
            software_generation,
        )
    return _match_serving(
        model, have, wanted, isl, osl, tpot, tokens_per_second, dtype, kv, software_generation
    )


def _match_training(
    model: str,
    have: str | None,
    wanted: tuple[Chip, ...],
    tokens: Quantity,
    seq: Quantity,
    gbs: Quantity,
    days: Quantity | None,
    tokens_per_second: Quantity | None,
    dtype: str,
    generation: str,
) -> Answer:
    batch = _one(have, "--have", counted=True) if have else None
    chip = batch.chip if batch else wanted[0]
    _, question = _training_question(
        model, chip, tokens, seq, gbs, dtype if batch else "bf16", generation
    )
    plan = None
    if batch and batch.count:
        target = machine(batch.chip)
        plan = training.best_plans(
            question.arch, question.job, target, question.era, batch.count, 1
        )[0]
        step_s = plan.time_s
    elif days is not None:
        step_s = _step_for_days(question, days)
    elif tokens_per_second is not None:
        rate = parse(tokens_per_second, "1", "--tokens-per-second")
        step_s = question.job.global_batch_tokens / _positive(rate, "--tokens-per-second")
    else:
        raise UsageError(
            "A match needs a target: `--have 1024xh100`, `--days 60` or `--tokens-per-second 1M`."
        )
    machines, missing = _machines(wanted)
    rows = matching.match_training(
        question.arch, question.job, step_s, plan, machines, question.era, dtype
    )
    shown = MatchQuestion("training", question.arch.name, have or "", step_s, question.job, None)
    return match_answer(shown, plan, _in_order(wanted, [*rows, *missing]))


def _match_serving(
    model: str,
    have: str | None,
    wanted: tuple[Chip, ...],
    isl: Quantity,
    osl: Quantity,
    tpot: Quantity | None,
    tokens_per_second: Quantity | None,
    dtype: str,
    kv: str,
    generation: str,
) -> Answer:
    arch, era = find_model(model), software(generation)
    batch = _one(have, "--have", counted=True) if have else None
    limit = _positive(parse(tpot, "s", "--tpot"), "--tpot") if tpot is not None else float("inf")
    job = ServingJob(
        input_tokens=parse_count(_binary(isl), "--isl", most=1e7),
        output_tokens=parse_count(_binary(osl), "--osl", most=1e6),
        dtype="bf16",
        kv_dtype=dtype_name(kv),
        tpot_s=limit,
    )
    plan, chips, target_rps = None, 0, 0.0
    if batch and batch.count:
        own, _ = choose_dtype(batch.chip, _asked(dtype))
        plan = best_replica(arch, _with_dtype(job, own), machine(batch.chip), era, batch.count)
        chips = batch.count
        target_rps = plan.requests_per_s * (batch.count // plan.chips)
    elif tokens_per_second is not None:
        rate = _positive(
            parse(tokens_per_second, "1", "--tokens-per-second"), "--tokens-per-second"
        )
        target_rps = rate / job.output_tokens
    else:
        raise UsageError(
            "A match needs a target: `--have 8xh100` or `--tokens-per-second 10k` (output tokens)."
        )
    machines, missing = _machines(wanted)
    rows = matching.match_serving(arch, job, target_rps, plan, chips, machines, era, _asked(dtype))
    shown = MatchQuestion("serving", arch.name, have or "", target_rps, None, job)
    return match_answer(shown, plan, _in_order(wanted, [*rows, *missing]))


def _with_dtype(job: ServingJob, dtype: str) -> ServingJob:
    return ServingJob(job.input_tokens, job.output_tokens, dtype, job.kv_dtype, job.tpot_s)


def _asked(dtype: str) -> str:
    return dtype if dtype == "auto" else dtype_name(dtype)


def _training_question(
    model: str,
    chip: Chip,
    tokens: Quantity,
    seq: Quantity,
    gbs: Quantity,
    dtype: str,
    generation: str,
) -> tuple[tuple[Finding, ...], _TrainingQuestion]:
    own, findings = choose_dtype(chip, _asked(dtype))
    seq_len = parse_count(_binary(seq), "--seq", least=16, most=1e8)
    batch_tokens = parse_count(_binary(gbs), "--gbs", most=1e12)
    if batch_tokens < seq_len:
        raise UsageError(f"--gbs is {gbs} tokens, less than one sequence of {seq_len:,}.")
    sequences = max(1, round(batch_tokens / seq_len))
    job = TrainingJob(
        tokens=parse_count(tokens, "--tokens", most=1e17),
        seq_len=seq_len,
        global_batch_tokens=sequences * seq_len,
        dtype=own,
    )
    return findings, _TrainingQuestion(find_model(model), job, software(generation))


def _few(top: int) -> int:
    """Layouts to show, 1 to 20."""
    if not 1 <= top <= 20:
        raise UsageError(f"--top is {top}; 1 to 20 was expected.")
    return top


def _binary(quantity: Quantity) -> Quantity:
    """Token lengths with a suffix are powers of two: `8k` is 8,192, `16M` 2,048 times that."""
    text = str(quantity).strip()
    scale = {"k": 2**10, "K": 2**10, "m": 2**20, "M": 2**20}.get(text[-1:])
    return int(text[:-1]) * scale if scale and text[:-1].isdigit() else quantity


def _step_for_days(question: _TrainingQuestion, days: Quantity) -> float:
    length = _positive(parse(days, "day", "--days"), "--days") * 86400.0
    return length / question.job.steps


def _positive(value: float, what: str) -> float:
    if value <= 0:
        raise UsageError(f"{what} is {value:g}; a number above zero was expected.")
    return value


def _one(text: str | None, option: str, *, counted: bool = False) -> Batch:
    batches = parse_fleet(text or "")
    if len(batches) != 1:
        raise UsageError(
            f"{option} names {len(batches)} kinds of chip. Mixed fleets are not planned yet: "
            "name one kind."
        )
    if counted and batches[0].count is None:
        raise UsageError(
            f"`{option} {text}` has no count; say how many, as in `{option} 8x{text}`."
        )
    return batches[0]


def _many(text: str) -> tuple[Chip, ...]:
    if text.strip() == "all":
        return chips()
    if "@" not in text and any(mark in text for mark in "<>="):
        return where(text, chips())
    batches = parse_fleet(text)
    for batch in batches:
        if batch.count is not None:
            raise UsageError(
                "--want takes chips without a count, since the count is the answer: "
                f"`{batch.chip.id}`, not `{batch.count}x{batch.chip.id}`."
            )
    return tuple(batch.chip for batch in batches)


def _machines(wanted: Iterable[Chip]) -> tuple[tuple[Machine, ...], list[matching.Row]]:
    """Numbers of each wanted chip; a row that names the missing figure where one is missing."""
    from parity.errors import MissingFact

    machines, missing = [], []
    for chip in wanted:
        try:
            machines.append(machine(chip))
        except MissingFact as error:
            missing.append(matching.refused(chip, error))
    return tuple(machines), missing


def _in_order(wanted: tuple[Chip, ...], rows: list[matching.Row]) -> list[matching.Row]:
    place = {id(chip): i for i, chip in enumerate(wanted)}
    return sorted(rows, key=lambda row: place[id(row.chip)])
