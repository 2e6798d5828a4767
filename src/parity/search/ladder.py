"""Chips in order of what one of them does for a piece of work, and the generation that makes it.

Serving has two orders, since taking in prompts is bound by compute and decoding by memory; each
chip runs its own best division of the model and batch. Training has one, on as many of each chip.
The steps of the ladder are the flagships that NVIDIA brought out, in the years of the catalogue.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import msgspec
import numpy as np
from msgspec import structs

from parity.catalogue.machine import Machine, Number
from parity.catalogue.schema import Chip
from parity.economics.ledger import Span
from parity.errors import Infeasible, MissingFact
from parity.search.findings import choose_dtype
from parity.search.precision import choose_precision
from parity.search.replica import ServingJob, best_replica
from parity.search.serve import sampled_rates
from parity.search.train import best_plans, sampled_times
from parity.search.uncertainty import p10_p90
from parity.timing.draw import USUAL_SAMPLES, Sampler
from parity.timing.engine import Engine
from parity.timing.software import Software
from parity.workload.operator import Architecture
from parity.workload.request import Request
from parity.workload.training import TrainingJob

#: Chips of each kind that train, where nothing else is said.
USUAL_CHIPS = 256
#: One chip of each generation, the oldest first.
FLAGSHIPS = ("p100-sxm2-16", "v100-sxm2-32", "a100-sxm-80", "h100-sxm", "b200-sxm")
#: Generations that differ by less are a step apart all the same.
LEAST_STEP = 1.05


@dataclass(frozen=True)
class Rung:
    """A chip, and what one of it does in each phase. reason: why one is missing.

    samples: the same over the ranges of all figures, shape (samples,), drawn alike for all chips.
    """

    chip: Chip
    tokens_per_s: dict[str, float]
    reason: str = ""
    samples: dict[str, Number] = field(default_factory=dict)
    label: str = ""  # what was asked for, where that is not the plain chip

    @property
    def name(self) -> str:
        """What it is called."""
        return self.label or self.chip.id


def serving_rungs(
    arch: Architecture,
    job: ServingJob,
    machines: Iterable[Machine],
    engine: Engine,
    dtype: str = "auto",
    kv: str = "auto",
    sampler: Sampler = USUAL_SAMPLES,
) -> tuple[Rung, ...]:
    """Prompt tokens/s and output tokens/s of a chip, each by itself, within the TTFT or TPOT.

    Prompts are computed and answered by one token; answers begin with the prompt in the cache.
    """
    return tuple(
        _serving_rung(arch, job, target, engine, dtype, kv, sampler) for target in machines
    )


def _serving_rung(
    arch: Architecture,
    job: ServingJob,
    target: Machine,
    engine: Engine,
    dtype: str,
    kv: str,
    sampler: Sampler,
) -> Rung:
    request = job.request
    alone = {
        "prefill": (structs.replace(request, output_tokens=1.0), request.new_tokens),
        "decode": (_cached(request), request.output_tokens),
    }
    found: dict[str, float] = {}
    samples: dict[str, Number] = {}
    try:
        precision, _ = choose_precision(arch, target.chip, dtype, kv)
        for phase, (only, tokens) in alone.items():
            own = replace(job, request=only, precision=precision)
            best = best_replica(arch, own, target, engine)
            found[phase] = best.requests_per_s_per_chip * float(tokens)
            samples[phase] = sampled_rates(own, best, sampler) * tokens
    except (Infeasible, MissingFact) as error:
        return Rung(target.chip, found, _why(error), samples)
    return Rung(target.chip, found, "", samples)


def _cached(request: Request) -> Request:
    return structs.replace(request, cached_tokens=request.input_tokens - 1.0)


def training_rungs(
    arch: Architecture,
    job: TrainingJob,
    machines: Iterable[Machine],
    software: Software,
    dtype: str = "auto",
    chips: int = USUAL_CHIPS,
    sampler: Sampler = USUAL_SAMPLES,
) -> tuple[Rung, ...]:
    """Tokens/s of a chip in the best layout of `chips` of it."""
    rungs = []
    for target in machines:
        try:
            own, _ = choose_dtype(target.chip, dtype)
            this = msgspec.structs.replace(job, dtype=own)
            plan = best_plans(arch, this, target, software, chips, 1)[0]
            each = job.global_batch_tokens / plan.chips
            speed, drawn = each / plan.time_s, each / sampled_times(arch, plan, software, sampler)
            rungs.append(Rung(target.chip, {"training": speed}, "", {"training": drawn}))
        except (Infeasible, MissingFact) as error:
            rungs.append(Rung(target.chip, {}, _why(error)))
    return tuple(rungs)


def _why(error: Infeasible | MissingFact) -> str:
    if isinstance(error, Infeasible) and error.findings:
        return error.findings[0].message
    return str(error)


def in_order(rungs: Iterable[Rung], phase: str) -> tuple[Rung, ...]:
    """Those that do the phase, the slowest first."""
    able = [rung for rung in rungs if phase in rung.tokens_per_s]
    return tuple(sorted(able, key=lambda rung: (rung.tokens_per_s[phase], rung.name)))


@dataclass(frozen=True)
class Neighbour:
    """Another chip, and how much faster than it a chip is, less one; P10 to P90."""

    rung: Rung
    faster: Span


def between(
    rungs: Iterable[Rung], rung: Rung, phase: str
) -> tuple[Neighbour | None, Neighbour | None]:
    """The next slower and the next faster chip of a phase."""
    order = in_order([other for other in rungs if other is not rung], phase)
    own = rung.tokens_per_s[phase]
    slower = [other for other in order if other.tokens_per_s[phase] <= own]
    faster = [other for other in order if other.tokens_per_s[phase] > own]
    below = Neighbour(slower[-1], _faster(rung, slower[-1], phase)) if slower else None
    above = Neighbour(faster[0], _faster(rung, faster[0], phase)) if faster else None
    return below, above


def _faster(rung: Rung, other: Rung, phase: str) -> Span:
    ratio = over(rung, other, phase)
    return Span(ratio.value - 1.0, ratio.low - 1.0, ratio.high - 1.0)


def over(rung: Rung, other: Rung, phase: str) -> Span:
    """The speed of one chip over another's: what both are drawn with cancels. [1]"""
    value = rung.tokens_per_s[phase] / other.tokens_per_s[phase]
    return _span(value, rung.samples[phase] / other.samples[phase])


def speed(rung: Rung, phase: str) -> Span:
    """Tokens/s of a chip, P10 to P90."""
    return _span(rung.tokens_per_s[phase], rung.samples[phase])


def _span(value: float, samples: Number) -> Span:
    low, high = p10_p90(samples)
    return Span(value, min(low, value), max(high, value))


@dataclass(frozen=True)
class Standing:
    """Where a chip stands on a ladder: generations behind its last step, and in whose year."""

    behind: Span
    year: Span


def standing(rung: Rung, steps: Sequence[Rung], phase: str) -> Standing | None:
    """The generation of a chip for one phase; None where fewer than two steps do the phase.

    steps: chips of one generation each, the oldest first.
    """
    able = [step for step in steps if phase in step.tokens_per_s and step.chip.year]
    if len(able) < 2 or phase not in rung.tokens_per_s:
        return None
    years = np.array([step.chip.year.value for step in able if step.chip.year])

    def placed(own: Number, each: Sequence[Number]) -> tuple[Number, Number]:
        at, part = place(own, np.stack(np.broadcast_arrays(*each)))
        behind = len(able) - 1 - at - part
        return behind, years[at] + part * (years[at + 1] - years[at])

    stated = placed(
        np.array(rung.tokens_per_s[phase]), [np.array(step.tokens_per_s[phase]) for step in able]
    )
    drawn = placed(rung.samples[phase], [step.samples[phase] for step in able])
    behind, year = (
        _span(float(value), samples) for value, samples in zip(stated, drawn, strict=True)
    )
    return Standing(behind, year)


def place(own: Number, steps: Number) -> tuple[Number, Number]:
    """(the step below a speed, the part of the way to the next one): even in the logarithm. [1]

    steps: speeds, shape (steps, samples). Below the first step and above the last it goes on at
    the mean pace of all.
    """
    logs = np.log(np.maximum.accumulate(steps, axis=0))
    log, most = np.log(own), len(logs) - 2
    at = np.clip((logs <= log).sum(axis=0) - 1, 0, most)
    below, above = (np.take_along_axis(logs, (at + i)[None], axis=0)[0] for i in (0, 1))
    least = np.log(LEAST_STEP)
    inside = (np.clip(log, below, above) - below) / np.maximum(above - below, least)
    pace = np.maximum((logs[-1] - logs[0]) / (most + 1), least)
    beyond = np.minimum(log - logs[0], 0.0) + np.maximum(log - logs[-1], 0.0)
    return at, inside + beyond / pace
