"""The question of a training run: how long, laid out how, with what memory and energy.

>>> import parity
>>> parity.plan_train("llama-3.1-70b", "1024xh100", tokens="15T")  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import structs

from parity.catalogue.spec import Batch, merged, parse_fleet
from parity.errors import UsageError
from parity.evaluate.goodput import Stated
from parity.outputs.envelope import Answer
from parity.outputs.mixed import mixed_answer
from parity.outputs.planning import plan_answer
from parity.outputs.supplied import asked_supply, with_supply
from parity.search import mixed as mixing
from parity.search import run as running
from parity.search import train as training
from parity.search.grid import Report, Space
from parity.search.mixed_days import Deadline, fewest_beside
from parity.search.mixed_run import mixed_run, stretch_of
from parity.search.pareto import trades
from parity.search.pinned import pinned
from parity.timing.draw import USUAL_SAMPLES, Sampler
from parity.timing.software import CURRENT
from parity.words.asked import (
    DEFAULT_GBS,
    DEFAULT_SEQ,
    DEFAULT_TOKENS,
    Quantity,
    Run,
    asked_days,
    asked_dtype,
    few,
    sampler,
    stated_failures,
    step_for_days,
    training_run,
)
from parity.words.kept import spoken
from parity.words.training import trained


def plan_train(
    model: str,
    on: str,
    *,
    tokens: Quantity = DEFAULT_TOKENS,
    seq: Quantity = DEFAULT_SEQ,
    gbs: Quantity = DEFAULT_GBS,
    days: Quantity | None = None,
    lora: int | None = None,
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
    samples: int = USUAL_SAMPLES.samples,
    to: str | None = None,
    risk: bool = False,
    report: Report | None = None,
) -> Answer:
    """The best layout to train `model` on the chips `on`, its days, memory, energy and range.

    on: `1024xh100`, `h20@memory.bandwidth=4.8TB/s`. tokens: of the run. seq: tokens of a sequence.
    gbs: tokens of a global batch. days: when given, `on` needs no count and the answer is how many
    chips finish in time. lora: rank of adapters, where they alone are trained. mtbf, checkpoint,
    restart: as in `50000h`, `30s`, `10min`: time between failures of one chip, that a checkpoint
    stops training, and from a failure to the next step; None takes what others published. top:
    layouts shown. fix: axes of the layout held at a value, as in `tp=8,schedule=1f1b`. exhaustive:
    try all there is. pareto: also the layouts that none beats in time, memory and chips. samples:
    of what is uncertain, for the ranges. to: country, for what export rules say of the chips. risk:
    also what they hang on: vendor, foundry, maker of memory, licence.
    report: called with (layouts evaluated, of how many).

    With several kinds, `512xa100,256xh20`, the plan gives each kind its part; with days one of them
    may go without a count.

    Raises `UsageError` for words that cannot be read, `MissingFact`, `Infeasible`.
    """
    given = spoken(plan_train, locals())
    drawn, supply = sampler(samples), asked_supply(to, risk)
    run = training_run(model, tokens, seq, gbs, software_generation, lora)
    batch, *more = batches = merged(parse_fleet(on))
    space = Space(pinned(fix), exhaustive, report=report)
    stated = stated_failures(mtbf, checkpoint, restart)
    if more:
        if cluster:
            raise UsageError("--cluster wires one kind of chip; in a fleet each has its usual one.")
        if space.fixed or exhaustive or pareto:
            raise UsageError("--fix, --exhaustive and --pareto take one kind of chip in --on.")
        answer = _plan_fleet(run, batches, days, dtype, stated, top, drawn)
        answer = with_supply(answer, [batch.chip for batch in batches], supply)
        return structs.replace(answer, question=given)
    if pareto and (days is not None or batch.count is None):
        raise UsageError("--pareto takes a count in --on, as in `--on 64xh100`, and no --days.")
    found = trained(
        run, batch, days=days, dtype=dtype, cluster=cluster, stated=stated, top=top, space=space
    )
    arch, era, target = run.arch, run.era, found.target
    front = trades(arch, found.run.job, target, era, batch.count or 1, space) if pareto else ()
    runs = tuple(running.run_of(arch, plan, era, stated, drawn) for plan in found.plans)
    deadline = asked_days(days) if days is not None else None
    answer = plan_answer(
        arch, runs, found.wall, found.findings, deadline_days=deadline, front=front
    )
    return structs.replace(with_supply(answer, [batch.chip], supply), question=given)


def _plan_fleet(
    run: Run,
    batches: tuple[Batch, ...],
    days: Quantity | None,
    dtype: str,
    stated: Stated,
    top: int,
    drawn: Sampler,
) -> Answer:
    """The best plan of several kinds of chip in one job; of an open kind as many as it takes."""
    own, chosen = mixing.common_dtype(tuple(batch.chip for batch in batches), asked_dtype(dtype))
    arch, era, job = run.arch, run.era, structs.replace(run.job, dtype=own)
    fleet, more = mixing.fleet_of(batches, days is not None)
    if days is None:
        stretch = stretch_of(arch, job, era, stated)
        found = Deadline(mixing.best_mixed(arch, job, fleet, era, stretch), ())
    else:
        step_s = step_for_days(job, days)
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
    course = mixed_run(arch, found.plan, era, stated, drawn)
    return mixed_answer(arch, course, found.missed, findings, few(top))
