"""The questions as Python functions: words or numbers in, an `Answer` out.

    >>> import parity
    >>> parity.match("llama-3.1-70b", have="1024xh100", want="h20", train=True)  # doctest: +SKIP

The command line is a thin skin over these.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from msgspec import structs

from parity.catalogue.load import chips
from parity.catalogue.machine import Machine, machine
from parity.catalogue.spec import Batch, merged, parse_fleet
from parity.catalogue.table import where
from parity.errors import MissingFact, UsageError
from parity.evaluate.goodput import Stated
from parity.outputs.envelope import Answer
from parity.outputs.matching import MatchQuestion, match_answer
from parity.outputs.mixed import mixed_answer
from parity.outputs.planning import plan_answer
from parity.search import match as matching
from parity.search import mixed as mixing
from parity.search import run as running
from parity.search import train as training
from parity.search.findings import choose_dtype, weak_class
from parity.search.grid import Report, Space
from parity.search.mixed_days import Deadline, fewest_beside
from parity.search.mixed_run import mixed_run, stretch_of
from parity.search.pareto import trades
from parity.search.pinned import pinned
from parity.search.serve import ServingJob, best_replica
from parity.timing.software import CURRENT, Software, software
from parity.units import parse, parse_count, parse_length
from parity.workload.dtype import dtype as dtype_name
from parity.workload.find import model as find_model
from parity.workload.operator import Architecture
from parity.workload.training import TrainingJob

Quantity = str | float

#: Defaults of a training question: what current large runs use.
DEFAULT_TOKENS, DEFAULT_SEQ, DEFAULT_GBS = "15T", "8k", "4M"


@dataclass(frozen=True)
class _Run:
    """A training run as asked for, read but not yet given a dtype."""

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
    mtbf: Quantity | None = None,
    checkpoint: Quantity | None = None,
    restart: Quantity | None = None,
    top: int = 3,
    fix: Iterable[str] = (),
    exhaustive: bool = False,
    pareto: bool = False,
    report: Report | None = None,
) -> Answer:
    """The best layout to train `model` on the chips `on`, its days, memory, energy and range.

    on: `1024xh100`, `h20@memory.bandwidth=4.8TB/s`. tokens: of the run. seq: tokens of a sequence.
    gbs: tokens of a global batch. days: when given, `on` needs no count and the answer is how many
    chips finish in time. mtbf, checkpoint, restart: as in `50000h`, `30s`, `10min`: time between
    failures of one chip, that a checkpoint stops training, and from a failure to the next step;
    None takes what others published. top: layouts shown. fix: axes of the layout held at a value,
    as in `tp=8,schedule=1f1b`. exhaustive: try all there is. pareto: also the layouts that none
    beats in time, memory and chips. report: called with (layouts evaluated, of how many).

    With several kinds, `512xa100,256xh20`, the plan gives each kind its part; with days one of them
    may go without a count.

    Raises `UsageError` for words that cannot be read, `MissingFact`, `Infeasible`.
    """
    run = _run(model, tokens, seq, gbs, software_generation)
    batch, *more = batches = merged(parse_fleet(on))
    space = Space(pinned(fix), exhaustive, report=report)
    if more:
        if cluster:
            raise UsageError("--cluster wires one kind of chip; in a fleet each has its usual one.")
        if space.fixed or exhaustive or pareto:
            raise UsageError("--fix, --exhaustive and --pareto take one kind of chip in --on.")
        own_figures = _stated(mtbf, checkpoint, restart)
        return _plan_fleet(run, batches, days, dtype, own_figures, top)
    own, chosen = choose_dtype(batch.chip, _asked(dtype))
    arch, era, job = run.arch, run.era, structs.replace(run.job, dtype=own)
    target, stated = machine(batch.chip, cluster), _stated(mtbf, checkpoint, restart)
    plans: list[training.TrainingPlan] = []
    wall = None
    if pareto and (days is not None or batch.count is None):
        raise UsageError("--pareto takes a count in --on, as in `--on 64xh100`, and no --days.")
    if days is not None:
        step_s = _step_for_days(job, days)
        found = running.fewest_chips_within(arch, job, target, era, step_s, stated, space)
        wall = found if isinstance(found, training.Wall) else None
        best = found.fastest if isinstance(found, training.Wall) else found
        plans = [best] if best else []
    elif batch.count is None:
        raise UsageError(
            f"`--on {on}` has no count. Say how many, as in `--on 64x{on}`, or give --days."
        )
    else:
        plans = training.best_plans(arch, job, target, era, batch.count, _few(top), space)
    front = trades(arch, job, target, era, batch.count or 1, space) if pareto else ()
    runs = tuple(running.run_of(arch, plan, era, stated) for plan in plans)
    findings = (*chosen, *training.plan_findings(arch, batch.chip, job, target))
    findings += running.run_findings(batch.chip, stated)
    return plan_answer(arch, runs, wall, findings, days_asked=days is not None, front=front)


def _plan_fleet(
    run: _Run,
    batches: tuple[Batch, ...],
    days: Quantity | None,
    dtype: str,
    stated: Stated,
    top: int,
) -> Answer:
    """The best plan of several kinds of chip in one job; of an open kind as many as it takes."""
    own, chosen = mixing.common_dtype(tuple(batch.chip for batch in batches), _asked(dtype))
    arch, era, job = run.arch, run.era, structs.replace(run.job, dtype=own)
    fleet, more = mixing.fleet_of(batches, days is not None)
    if days is None:
        stretch = stretch_of(arch, job, era, stated)
        found = Deadline(mixing.best_mixed(arch, job, fleet, era, stretch), ())
    else:
        step_s = _step_for_days(job, days)
        found = fewest_beside(arch, job, fleet, more, era, step_s, stated)
    about = [
        finding
        for part in found.plan.way.parts
        for finding in (
            *training.plan_findings(arch, part.machine.chip, job, part.machine),
            *running.run_findings(part.machine.chip, stated),
        )
    ]
    findings = (*chosen, *mixing.mixed_findings(found.plan), *dict.fromkeys(about))
    course = mixed_run(arch, found.plan, era, stated)
    return mixed_answer(arch, course, found.missed, findings, _few(top))


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
    targets = {"--have": have, "--days": days, "--tokens-per-second": tokens_per_second}
    given = [name for name, value in targets.items() if value is not None]
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} each set the target; give one of them.")
    if days is not None and not train:
        raise UsageError("--days sets the target of a training match; add --train.")
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
    wanted: tuple[Batch, ...],
    tokens: Quantity,
    seq: Quantity,
    gbs: Quantity,
    days: Quantity | None,
    tokens_per_second: Quantity | None,
    dtype: str,
    generation: str,
) -> Answer:
    run = _run(model, tokens, seq, gbs, generation)
    arch, era, job = run.arch, run.era, run.job
    plan, about = None, (*arch.findings, *weak_class(arch))
    if have:
        batch = _one(have, "--have", counted=True)
        own, _ = choose_dtype(batch.chip, _asked(dtype))
        job = structs.replace(job, dtype=own)
        target = machine(batch.chip)
        plan = training.best_plans(arch, job, target, era, batch.count or 1, 1)[0]
        step_s = plan.time_s
        about += matching.quality(target, own)
    elif days is not None:
        step_s = _step_for_days(job, days)
    elif tokens_per_second is not None:
        step_s = job.global_batch_tokens / _rate(tokens_per_second)
    else:
        raise UsageError(
            "A match needs a target: `--have 1024xh100`, `--days 60` or `--tokens-per-second 1M`."
        )
    machines, missing = _machines(wanted)
    within = Stated() if days is not None else None
    rows = matching.match_training(arch, job, step_s, plan, machines, era, _asked(dtype), within)
    shown = MatchQuestion(
        "training", arch.name, have or "", step_s, job, None, interrupted=within is not None
    )
    return match_answer(shown, plan, _in_order(wanted, [*rows, *missing]), about)


def _match_serving(
    model: str,
    have: str | None,
    wanted: tuple[Batch, ...],
    isl: Quantity,
    osl: Quantity,
    tpot: Quantity | None,
    tokens_per_second: Quantity | None,
    dtype: str,
    kv: str,
    generation: str,
) -> Answer:
    arch, era = find_model(model), software(generation)
    limit = _positive(parse(tpot, "s", "--tpot"), "--tpot") if tpot is not None else float("inf")
    job = ServingJob(
        input_tokens=parse_length(isl, "--isl", most=1e7),
        output_tokens=parse_length(osl, "--osl", most=1e6),
        dtype="bf16",
        kv_dtype=dtype_name(kv),
        tpot_s=limit,
    )
    plan, chips_held, about = None, 0, arch.findings
    if have:
        batch = _one(have, "--have", counted=True)
        chips_held = batch.count or 1
        own, _ = choose_dtype(batch.chip, _asked(dtype))
        target = machine(batch.chip)
        plan = best_replica(arch, replace(job, dtype=own), target, era, chips_held)
        about += matching.quality(target, own)
        requests_per_s = plan.requests_per_s * (chips_held // plan.chips)
    elif tokens_per_second is not None:
        requests_per_s = _rate(tokens_per_second) / job.output_tokens
    else:
        raise UsageError(
            "A match needs a target: `--have 8xh100` or `--tokens-per-second 10k` (output tokens)."
        )
    machines, missing = _machines(wanted)
    rows = matching.match_serving(
        arch, job, requests_per_s, plan, chips_held, machines, era, _asked(dtype)
    )
    shown = MatchQuestion("serving", arch.name, have or "", requests_per_s, None, job)
    return match_answer(shown, plan, _in_order(wanted, [*rows, *missing]), about)


def _asked(dtype: str) -> str:
    return dtype if dtype == "auto" else dtype_name(dtype)


def _run(model: str, tokens: Quantity, seq: Quantity, gbs: Quantity, generation: str) -> _Run:
    seq_len = parse_length(seq, "--seq", least=16)
    batch_tokens = parse_length(gbs, "--gbs", most=1e12)
    if batch_tokens < seq_len:
        raise UsageError(f"--gbs is {gbs} tokens, less than one sequence of {seq_len:,}.")
    job = TrainingJob(
        tokens=parse_count(tokens, "--tokens", most=1e17),
        seq_len=seq_len,
        global_batch_tokens=max(1, round(batch_tokens / seq_len)) * seq_len,
    )
    return _Run(find_model(model), job, software(generation))


def _few(top: int) -> int:
    """Layouts to show, 1 to 20."""
    if not 1 <= top <= 20:
        raise UsageError(f"--top is {top}; 1 to 20 was expected.")
    return top


def _step_for_days(job: TrainingJob, days: Quantity) -> float:
    return _positive(parse(days, "day", "--days"), "--days") * running.SECONDS_A_DAY / job.steps


def _stated(mtbf: Quantity | None, checkpoint: Quantity | None, restart: Quantity | None) -> Stated:
    """What the user says of the own operation, in hours and seconds."""

    def seconds(value: Quantity | None, what: str, least: str, most: str) -> float | None:
        if value is None:
            return None
        found = parse(value, "s", what)
        if not parse(least, "s") <= found <= parse(most, "s"):
            raise UsageError(f"{what} is {value}; {least} to {most} was expected.")
        return found

    between = seconds(mtbf, "--mtbf", "1min", "1000000000h")
    return Stated(
        mtbf_hours=None if between is None else between / 3600,
        checkpoint_s=seconds(checkpoint, "--checkpoint", "1ms", "24h"),
        restart_s=seconds(restart, "--restart", "1ms", "720h"),
    )


def _rate(tokens_per_second: Quantity) -> float:
    what = "--tokens-per-second"
    return _positive(parse(tokens_per_second, "1", what), what)


def _positive(value: float, what: str) -> float:
    if value <= 0:
        raise UsageError(f"{what} is {value:g}; a number above zero was expected.")
    return value


def _one(text: str | None, option: str, *, counted: bool = False) -> Batch:
    batches = parse_fleet(text or "")
    if len(batches) != 1:
        raise UsageError(
            f"{option} names {len(batches)} kinds of chip; one was expected. "
            "`plan train --on` plans a fleet of several."
        )
    if counted and batches[0].count is None:
        raise UsageError(
            f"`{option} {text}` has no count; say how many, as in `{option} 8x{text}`."
        )
    return batches[0]


def _many(text: str) -> tuple[Batch, ...]:
    """The chips of --want: named, `all`, or a filter such as `vendor=huawei`."""
    if text.strip() == "all":
        return tuple(Batch(None, chip, chip.id) for chip in chips())
    if "@" not in text and any(mark in text for mark in "<>="):
        return tuple(Batch(None, chip, chip.id) for chip in where(text, chips()))
    batches = parse_fleet(text)
    for batch in batches:
        if batch.count is not None:
            raise UsageError(
                "--want takes chips without a count, since the count is the answer: "
                f"`{batch.chip.id}`, not `{batch.count}x{batch.chip.id}`."
            )
    return batches


def _machines(wanted: Iterable[Batch]) -> tuple[tuple[Machine, ...], list[matching.Row]]:
    """Numbers of each wanted chip; a row that names the missing figure where one is missing."""
    machines, missing = [], []
    for batch in wanted:
        try:
            machines.append(machine(batch.chip))
        except MissingFact as error:
            missing.append(matching.refused(batch.chip, error))
    return tuple(machines), missing


def _in_order(wanted: tuple[Batch, ...], rows: list[matching.Row]) -> list[matching.Row]:
    """Rows as they were asked for; a chip with overrides is called by them."""
    place = {id(batch.chip): i for i, batch in enumerate(wanted)}
    ordered = sorted(rows, key=lambda row: place[id(row.chip)])
    labels = {id(b.chip): f"{b.chip.id}@{b.text.split('@', 1)[1]}" for b in wanted if "@" in b.text}
    return [replace(row, label=labels.get(id(row.chip), "")) for row in ordered]
