"""The question of which generation a chip is of, for a piece of work."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from parity.catalogue.load import chip
from parity.catalogue.machine import Machine, machine
from parity.catalogue.spec import Batch
from parity.errors import UsageError
from parity.outputs.envelope import Answer
from parity.outputs.ladder import ladder_answer
from parity.search.ladder import FLAGSHIPS, USUAL_CHIPS, Rung, serving_rungs, training_rungs
from parity.words.asked import label_of, machines_of
from parity.words.matches import MatchWords
from parity.workload.find import model as find_model

#: What chips do, in a dtype.
Done = Callable[[Iterable[Machine], str], tuple[Rung, ...]]


def ladder_of(asked: MatchWords) -> Answer:
    """The wanted chips, and that of `have`, in order, beside a chip of each generation; in training
    as many of each as `have` has.

    Raises `UsageError` where a target is given.
    """
    if asked.equals is not None or asked.named:
        raise UsageError("--ladder puts chips in order; it takes no target but --have.")
    if asked.train:
        run = asked.training()
        count = (asked.have.count if asked.have else None) or USUAL_CHIPS
        name, work = run.arch.name, f"Training on {count:,} chips"

        def done(machines: Iterable[Machine], dtype: str) -> tuple[Rung, ...]:
            return training_rungs(run.arch, run.job, machines, run.era, dtype, count, asked.sampler)

    else:
        arch, era = find_model(asked.model), asked.era()
        job = asked.job(arch.name)
        size = f"{job.request.input_tokens:,.0f} + {job.request.output_tokens:,.0f}"
        name, work = arch.name, f"Serving {size} tokens"

        def done(machines: Iterable[Machine], dtype: str) -> tuple[Rung, ...]:
            return serving_rungs(arch, job, machines, era, dtype, asked.kv, asked.sampler)

    rungs = _rungs(asked, done)
    return ladder_answer(name, rungs, work, _steps(rungs, done, asked.dtype))


def _rungs(asked: MatchWords, done: Done) -> tuple[Rung, ...]:
    """The chips asked about, each once, in the order of the question."""
    batches: dict[str, Batch] = {}
    for batch in (*((asked.have,) if asked.have else ()), *asked.wanted):
        batches.setdefault(label_of(batch) or batch.chip.id, batch)
    machines, missing = machines_of(batches.values())
    found = {id(rung.chip): rung for rung in done(machines, asked.dtype)}
    found |= {id(row.chip): Rung(row.chip, {}, row.reason) for row in missing}
    return tuple(
        replace(found[id(batch.chip)], label=label_of(batch)) for batch in batches.values()
    )


def _steps(rungs: Iterable[Rung], done: Done, dtype: str) -> tuple[Rung, ...]:
    """A chip of each generation; one that does not take the dtype asked for runs in its own."""
    steps = {rung.chip.id: rung for rung in rungs if not rung.label and rung.tokens_per_s}
    for tried in dict.fromkeys((dtype, "auto")):
        left = [machine(chip(name)) for name in FLAGSHIPS if name not in steps]
        steps |= {rung.chip.id: rung for rung in done(left, tried) if rung.tokens_per_s}
    return tuple(steps[name] for name in FLAGSHIPS if name in steps)
