"""Chips in order of what one of them does for a piece of work: which generation a newcomer is of.

Serving has two orders, since taking in prompts is bound by compute and decoding by memory; each
chip runs its own best division of the model and batch. Training has one, on as many of each chip.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import msgspec
from msgspec import structs

from parity.catalogue.machine import Machine
from parity.catalogue.schema import Chip
from parity.errors import Infeasible, MissingFact
from parity.search.findings import choose_dtype
from parity.search.precision import choose_precision
from parity.search.replica import ServingJob, best_replica
from parity.search.train import best_plans
from parity.timing.engine import Engine
from parity.timing.software import Software
from parity.workload.operator import Architecture
from parity.workload.request import Request
from parity.workload.training import TrainingJob

#: Chips of each kind that train, where nothing else is said.
USUAL_CHIPS = 256


@dataclass(frozen=True)
class Rung:
    """A chip, and what one of it does in each phase. reason: why one is missing."""

    chip: Chip
    tokens_per_s: dict[str, float]
    reason: str = ""


def serving_rungs(
    arch: Architecture,
    job: ServingJob,
    machines: Iterable[Machine],
    engine: Engine,
    dtype: str = "auto",
    kv: str = "auto",
) -> tuple[Rung, ...]:
    """Prompt tokens/s and output tokens/s of a chip, each by itself, within the TTFT or TPOT.

    Prompts are computed and answered by one token; answers begin with the prompt in the cache.
    """
    return tuple(_serving_rung(arch, job, target, engine, dtype, kv) for target in machines)


def _serving_rung(
    arch: Architecture, job: ServingJob, target: Machine, engine: Engine, dtype: str, kv: str
) -> Rung:
    request = job.request
    alone = {
        "prefill": (structs.replace(request, output_tokens=1.0), request.new_tokens),
        "decode": (_cached(request), request.output_tokens),
    }
    found = {}
    try:
        precision, _ = choose_precision(arch, target.chip, dtype, kv)
        for phase, (only, tokens) in alone.items():
            own = replace(job, request=only, precision=precision)
            best = best_replica(arch, own, target, engine)
            found[phase] = best.requests_per_s_per_chip * float(tokens)
    except (Infeasible, MissingFact) as error:
        return Rung(target.chip, found, _why(error))
    return Rung(target.chip, found)


def _cached(request: Request) -> Request:
    return structs.replace(request, cached_tokens=request.input_tokens - 1.0)


def training_rungs(
    arch: Architecture,
    job: TrainingJob,
    machines: Iterable[Machine],
    software: Software,
    dtype: str = "auto",
    chips: int = USUAL_CHIPS,
) -> tuple[Rung, ...]:
    """Tokens/s of a chip in the best layout of `chips` of it."""
    rungs = []
    for target in machines:
        try:
            own, _ = choose_dtype(target.chip, dtype)
            this = msgspec.structs.replace(job, dtype=own)
            plan = best_plans(arch, this, target, software, chips, 1)[0]
            rungs.append(Rung(target.chip, {"training": plan.tokens_per_s / plan.chips}))
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
    return tuple(sorted(able, key=lambda rung: (rung.tokens_per_s[phase], rung.chip.id)))


def nearest(rungs: Iterable[Rung], rung: Rung, phase: str) -> tuple[Rung, float] | None:
    """(the other chip that is nearest to `rung` in the phase, how much faster `rung` is) [1]"""
    own = rung.tokens_per_s.get(phase)
    others = [other for other in in_order(rungs, phase) if other is not rung]
    if own is None or not others:
        return None
    ratios = [(other, own / other.tokens_per_s[phase]) for other in others]
    other, ratio = min(ratios, key=lambda pair: max(pair[1], 1.0 / pair[1]))
    return other, ratio - 1.0
