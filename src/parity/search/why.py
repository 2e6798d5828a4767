"""Questions of why, answered for one plan: where its time goes, what it loses, what would help."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from parity.catalogue.machine import Number
from parity.evaluate.classes import Parts, one_step, serving_parts, training_parts
from parity.evaluate.losses import Rung, interrupted, roofs, serving_rungs, training_rungs
from parity.evaluate.serving import Loads
from parity.search import why_training, why_ways
from parity.search.prefill import prompt_load
from parity.search.replica import replica
from parity.search.run import Run
from parity.search.serve import ServingPlan
from parity.search.serving_range import sampled_most
from parity.search.uncertainty import p10_p90
from parity.search.why_figures import Effect
from parity.search.why_measured import Measured, measured_serving, measured_training
from parity.search.why_serving import serving_effects
from parity.search.why_sweep import Axis, Sweep, swept
from parity.search.why_training import TrainingCase
from parity.search.why_ways import ServingCase
from parity.timing.draw import Sampler


@dataclass(frozen=True)
class PoolRate:
    """What one of two pools carries, and its mean step from the roofline down."""

    role: str  # "prefill", "decode"
    chip: str
    chips: int
    most_requests_per_s: float
    rungs: tuple[Rung, ...]


@dataclass(frozen=True)
class Why:
    """The answer for one plan. Parts and rungs are of its step, effects of its speed."""

    parts: Parts
    rungs: tuple[Rung, ...]
    effects: tuple[Effect, ...]
    sweep: Sweep | None = None
    measured: Measured | None = None
    first_token: tuple[tuple[str, float], ...] = ()  # of serving: seconds of TTFT by what they are
    decode: Parts | None = None  # of a step that only decodes
    prompt: Parts | None = None  # of a step that takes prompts in, or of the pool that does
    roofs_s: tuple[float, float] | None = None  # of the mean step: FLOPs, bytes at the data sheet
    pools: tuple[PoolRate, ...] = ()  # of serving in two pools: prompts, then decoding


def why_training_plan(
    case: TrainingCase,
    run: Run | None,
    sweep: tuple[Axis, Axis | None] | None = None,
    measured: str = "",
) -> Why:
    """Why a training plan is as fast as it is. Raises `UsageError` for what was measured.

    run: with it the losses go on to the whole run: slow chips, and what interrupts it.
    """
    args = (case.arch, case.job, case.plan.layout, case.machine, case.software)
    rungs = training_rungs(*args)
    found = None
    if sweep is not None:
        found = swept(
            case.machine, *sweep,
            lambda target, capacities: why_training.over_capacities(case, target, capacities),
            lambda target: why_training.bound(case, target),
        )  # fmt: skip
    return Why(
        training_parts(*args),
        (*rungs, *interrupted(rungs[-1].time_s, run.goodput)) if run else rungs,
        why_training.training_effects(case),
        found,
        measured_training(measured, case) if measured else None,
    )


def why_serving_plan(
    case: ServingCase, sweep: tuple[Axis, Axis | None] | None = None, measured: str = ""
) -> Why:
    """Why a serving plan is as fast as it is. Raises `UsageError` for what was measured."""
    decode = case.plan.decode
    loads = decode.steady.loads
    found = None
    if sweep is not None:
        found = swept(
            case.machine, *sweep,
            lambda target, capacities: why_ways.over_capacities(case, target, capacities),
            lambda target: why_ways.bound(case, target),
        )  # fmt: skip
    return Why(
        serving_parts(decode.model, decode.layout, loads),
        serving_rungs(decode.model, decode.layout, loads),
        serving_effects(case),
        found,
        measured_serving(measured, case) if measured else None,
        first_token(case),
        one_step(decode.model, decode.layout, loads.decode),
        prompt_parts(case, loads),
        roofs(decode.model, decode.layout, loads),
        pool_rates(case.plan),
    )


def pool_rates(plan: ServingPlan) -> tuple[PoolRate, ...]:
    """What each of two pools carries at most; nothing where one pool does all."""
    first, row = plan.prefill, plan.decode
    if first is None:
        return ()
    full = replica(row.model, row.layout, plan.most_decoding, row.token_budget, row.request)
    load = prompt_load(np.array([first.most_prompts]), first.request)
    rungs = (
        serving_rungs(first.model, first.layout, Loads(load, load, 0.0, 1.0)),
        serving_rungs(full.model, full.layout, full.steady.loads),
    )
    rates = (
        first.requests_per_s * plan.prefill_replicas,
        full.requests_per_s * plan.decode_replicas,
    )
    counts = (first.chips * plan.prefill_replicas, row.chips * plan.decode_replicas)
    chips = (first.machine.chip.id, row.machine.chip.id)
    roles = ("prefill", "decode")
    return tuple(PoolRate(*one) for one in zip(roles, chips, counts, rates, rungs, strict=True))


def speed_range(plan: ServingPlan, sampler: Sampler) -> tuple[float, float]:
    """P10 and P90 of the requests/s of a plan: at its load where users wait, else at most. [1/s]"""
    closed = plan.need.users is not None
    rate = plan.requests_per_s if closed else plan.most_requests_per_s
    if not plan.most_requests_per_s:
        return rate, rate
    found = sampled_most(plan, sampler) * rate / plan.most_requests_per_s
    low, high = p10_p90(found)
    return min(low, rate), max(high, rate)


def prompt_parts(case: ServingCase, loads: Loads) -> Parts:
    """The parts of a step that takes prompts in: of the pool for prompts where there is one. [s]"""
    first, decode = case.plan.prefill, case.plan.decode
    if first is None:
        return one_step(decode.model, decode.layout, loads.prompt)
    load = prompt_load(np.array([first.prompts]), first.request)
    return one_step(first.model, first.layout, load)


def first_token(case: ServingCase) -> tuple[tuple[str, float], ...]:
    """Seconds of the mean time to the first token, by what they are spent on; they add up to it."""
    plan = case.plan
    if plan.prefill is not None:
        first = plan.prefill
        queue = first.ttft_s - first.pass_s - first.transfer_s
        return ("queue", queue), ("prompt", first.pass_s), ("transfer", first.transfer_s)
    steady = plan.decode.steady
    wait, whole = (float(np.ravel(x)[0]) for x in (steady.wait_s, steady.ttft_s))
    return ("queue", wait), ("prompt", whole - wait)


def bound_of(parts: Parts) -> str:
    """What most of a step goes to: `compute`, `memory`, `link`, `launch` or another.

    An operator counts for the roof it is under, with all of its time.
    """
    links = ("tp_s", "ep_s", "cp_s", "pp_s", "dp_s")
    others = {name: total(value) for name, value in parts.others.items()}
    operators = sum(total(x) for kind in (parts.compute, parts.memory) for x in kind.values())
    memory = total(parts.memory_bound_s)
    kinds = {
        "compute": operators - memory,
        "memory": memory,
        "link": sum(others.pop(name, 0.0) for name in links),
        **{name.removesuffix("_s"): value for name, value in others.items()},
    }
    return max(kinds, key=lambda name: kinds[name])


def total(value: Number) -> float:
    """The number of a single-row column."""
    return float(np.ravel(value)[0])
