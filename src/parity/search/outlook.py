"""How fast each chip of a scenario is on its work, at its own best layout, over all ranges."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np
from msgspec import structs

from parity.catalogue import load
from parity.catalogue.machine import Draw, Number, machine
from parity.search.findings import choose_dtype
from parity.search.precision import choose_precision
from parity.search.replica import Replica, ServingJob, best_replica
from parity.search.serve import sampled_rates
from parity.search.train import TrainingPlan, best_plans, sampled_times
from parity.search.uncertainty import Source, sources_of
from parity.supply.lines import recipes_of
from parity.supply.outlook import Outlook, project
from parity.supply.scenario import Scenario
from parity.timing.draw import Recorder, Sampler
from parity.timing.engine import Engine
from parity.timing.software import Software
from parity.workload.operator import Architecture
from parity.workload.request import Request
from parity.workload.training import TrainingJob

#: Tokens a second of one chip, for figures that a draw gives; (samples, 1).
Speed: TypeAlias = Callable[[Draw], Number]


@dataclass(frozen=True)
class Planned:
    """A chip as it runs: how it is laid out, in which dtype, and how fast."""

    chip: str  # as the scenario names it
    dtype: str
    speed: Speed
    tokens_per_s: float  # at stated figures


def trained(
    chips: Iterable[str], arch: Architecture, job: TrainingJob, software: Software, count: int
) -> dict[str, Planned]:
    """Training tokens/s of one of `count` chips of each kind, at the best layout of each.

    Raises `MissingFact`, `Infeasible` where a chip cannot train the model.
    """
    found = {}
    for name in chips:
        chip = load.chip(name)
        own, _ = choose_dtype(chip, "auto")
        this = structs.replace(job, dtype=own)
        plan = best_plans(arch, this, machine(chip), software, count, 1)[0]
        speed = partial(_training_speed, arch, plan, software)
        found[name] = Planned(name, own, speed, plan.tokens_per_s / plan.chips)
    return found


def _training_speed(
    arch: Architecture, plan: TrainingPlan, software: Software, draw: Draw
) -> Number:
    times = sampled_times(arch, plan, software, draw)
    return (plan.job.global_batch_tokens / plan.chips / times)[:, None]


def served(
    chips: Iterable[str], arch: Architecture, request: Request, engine: Engine
) -> dict[str, Planned]:
    """Output tokens/s of one chip of each kind at saturation, at the best replica of each.

    Raises `MissingFact`, `Infeasible` where a chip cannot serve the model.
    """
    found = {}
    for name in chips:
        chip = load.chip(name)
        precision, _ = choose_precision(arch, chip, "auto", "auto")
        job = ServingJob(request, precision)
        replica = best_replica(arch, job, machine(chip), engine)
        speed = partial(_serving_speed, job, replica)
        tokens = float(replica.requests_per_s_per_chip * request.output_tokens)
        found[name] = Planned(name, precision.weights, speed, tokens)
    return found


def _serving_speed(job: ServingJob, replica: Replica, draw: Draw) -> Number:
    return (sampled_rates(job, replica, draw) * job.request.output_tokens)[:, None]


def speeds(planned: dict[str, Planned], draw: Draw) -> dict[str, Number]:
    """Speeds of all chips at the figures that `draw` gives, by name. [tokens/s]"""
    return {name: np.asarray(one.speed(draw), dtype=float) for name, one in planned.items()}


@dataclass(frozen=True)
class Worked:
    """A scenario worked out over all ranges, and what its ends hang on."""

    scenario: Scenario
    planned: dict[str, Planned]
    outlook: Outlook
    speeds: dict[str, Number]  # tokens/s, (samples, 1)
    cover: tuple[Source, ...]  # what most of the range of the last year's cover comes from
    behind: tuple[Source, ...]  # the same of the years behind at its end
    flop_per_token: float | None = None  # of the work, where it is training

    @property
    def unit(self) -> Number:
        """The speed that counts as one. [tokens/s]"""
        return self.speeds[self.scenario.workload.unit]


def worked(
    scenario: Scenario,
    planned: dict[str, Planned],
    sampler: Sampler,
    flop_per_token: float | None = None,
) -> Worked:
    """The scenario at samples of every figure that it and its chips rest on.

    flop_per_token: of the model's training, where that is the work. Raises `UsageError`,
    `MissingFact`, `Infeasible` for a product that cannot be made.
    """
    seen = Recorder(sampler)
    speed = speeds(planned, seen)
    found = project(scenario, speed, seen, recipes_of(scenario))
    cover = np.log(np.maximum(found.coverage[:, -1], np.finfo(float).tiny))
    behind = np.minimum(found.behind[:, -1], found.years.size)  # as far as years are worked out
    return Worked(
        scenario,
        planned,
        found,
        speed,
        sources_of(cover, seen.columns),
        sources_of(behind, seen.columns),
        flop_per_token,
    )
