"""The question of which generation a chip is of, for a piece of work."""

from __future__ import annotations

from parity.catalogue.load import chip
from parity.catalogue.machine import machine
from parity.errors import UsageError
from parity.outputs.envelope import Answer
from parity.outputs.ladder import ladder_answer
from parity.search.ladder import FLAGSHIPS, USUAL_CHIPS, Rung, serving_rungs, training_rungs
from parity.words.asked import machines_of
from parity.words.matches import MatchWords
from parity.workload.find import model as find_model


def ladder_of(asked: MatchWords) -> Answer:
    """The wanted chips, and that of `have`, in order, beside a chip of each generation; in training
    as many of each as `have` has.

    Raises `UsageError` where a target is given.
    """
    if asked.equals is not None or asked.named:
        raise UsageError("--ladder puts chips in order; it takes no target but --have.")
    own = asked.have
    chips = {batch.chip.id: batch for batch in (*((own,) if own else ()), *asked.wanted)}
    machines, missing = machines_of(chips.values())
    others = tuple(machine(chip(name)) for name in FLAGSHIPS if name not in chips)
    unknown = tuple(Rung(row.chip, {}, row.reason) for row in missing)
    every, drawn = (*machines, *others), asked.sampler
    if asked.train:
        run = asked.training()
        count = (own.count if own else None) or USUAL_CHIPS
        rungs = training_rungs(run.arch, run.job, every, run.era, asked.dtype, count, drawn)
        work = f"Training on {count:,} chips"
        return _put_in_order(run.arch.name, rungs, len(machines), unknown, work)
    arch = find_model(asked.model)
    job = asked.job(arch.name)
    rungs = serving_rungs(arch, job, every, asked.era(), asked.dtype, asked.kv, drawn)
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
