"""What stands between a chip and a serving target: memory, copied key-value heads, or the latency
that no number of chips goes below.

Memory and latency are those of the lightest load that is planned, where nothing waits and a step
holds one request: no plan needs less of either.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from parity.catalogue.machine import Machine, Number, machine
from parity.errors import Infeasible, MissingFact
from parity.evaluate.serving_memory import (
    cache_per_request,
    room_for_cache,
    weights_per_chip,
    workspace_per_chip,
)
from parity.evaluate.step import Served, Step, exchanges, multiplied_in, served, step
from parity.evaluate.together import Ask
from parity.layout.layout import Layout
from parity.layout.serving import describe_replica
from parity.layout.step import Load
from parity.search.precision import choose_precision
from parity.search.prefill import alone_s, pass_times, passes, prompt_load
from parity.search.replica import BATCHES, Replica, Replicas, ServingJob, divisions, replicas
from parity.search.replica_rules import accepted, cache_copies
from parity.search.serving_plan import ANY_S
from parity.search.walls import Kind, Obstacle, listed, round_up
from parity.search.why_figures import stated
from parity.timing.engine import Engine
from parity.units import render
from parity.workload.dtype import DTYPE_BYTES
from parity.workload.operator import Architecture

#: The fewest decoding requests of a lane that are planned.
LIGHTEST = BATCHES[:1]
#: A token budget that leaves most room for the cache.
SMALL_BUDGET = 512.0
#: Multiples of a figure that are tried, an eighth of a doubling apart.
FACTORS = 2.0 ** (np.arange(1, 41) / 8)
#: A link so many times as fast takes only its latency.
ENDLESS = 1e6
#: Figures of data sheets that a floor may follow, beside the peak.
FIGURES = ("memory.bandwidth", "scale_up.bandwidth", "scale_out.bandwidth")
#: What it spends on exchanges.
LINKS = ("latency of the links", "bandwidth of the links")
#: Parts of a time with their names, the largest first.
Parts: TypeAlias = tuple[tuple[str, float], ...]
#: What a step spends on the cache is called.
READING = "reading the KV cache"
#: Weights of these are tried where wider ones are too slow or too large.
NARROWER = ("fp8", "int8", "int4")


@dataclass(frozen=True)
class ServingCase:
    """Requests that no number of `target` serves in time; kv: dtype of the cache, or auto."""

    arch: Architecture
    job: ServingJob
    target: Machine
    engine: Engine
    kv: str = "auto"
    mode: str = "auto"  # `aggregated` has no pool of chips for prompts

    def lightest(self, target: Machine | None = None, job: ServingJob | None = None) -> Replicas:
        """Every division at the lightest load. Raises `Infeasible` with P105."""
        soon = replace(job or self.job, ttft_s=ANY_S, tpot_s=ANY_S)  # small budgets are tried too
        return replicas(self.arch, soon, target or self.target, self.engine, batches=LIGHTEST)

    def prompts(
        self, target: Machine | None = None, job: ServingJob | None = None
    ) -> tuple[Ask, Number] | None:
        """Every way to take in one prompt on chips for prompts, and when its first token comes.

        None where there are none, or the model does not fit. [s]
        """
        own, asked = target or self.target, job or self.job
        if self.mode == "aggregated":
            return None
        try:
            every = passes(served(self.arch, asked.precision, own, self.engine), asked, np.inf)
        except Infeasible:
            return None
        alone = np.flatnonzero(every.columns[0] == 1.0)
        one = replace(every, layout=every.layout.take(alone), columns=(np.ones(len(alone)),))
        return one, alone_s(one, pass_times([one])[0], self.target)

    def in_time(self, target: Machine | None = None, job: ServingJob | None = None) -> Number:
        """Whether a plan is in time with some of it changed, for each sample of its figures.

        Raises `Infeasible` with P105.
        """
        asked, steady = job or self.job, self.lightest(target, job).steady
        quick = (steady.tpot_s <= asked.tpot_s) & steady.fits
        together = np.any(quick & (steady.ttft_s <= asked.ttft_s), axis=-1)
        first = self.prompts(target, job)
        if first is None:
            return together
        soon = np.any(first[1] <= asked.ttft_s, axis=-1)
        return together | (np.any(quick, axis=-1) & soon)

    def works(self, target: Machine | None = None, job: ServingJob | None = None) -> bool:
        """Whether a plan is in time with some of it changed."""
        try:
            return bool(self.in_time(target, job))
        except Infeasible:
            return False


def serving_wall(case: ServingCase, *, moved: bool = True) -> Obstacle | None:
    """The wall before a serving target; None where speed and memory are not what forbids it.

    moved: also which figures of the chip, and which dtypes, would reach the target.
    """
    try:
        light = case.lightest()
    except Infeasible:
        return memory_wall(case, moved=moved)
    return latency_wall(case, light, moved=moved)


def memory_wall(case: ServingCase, *, moved: bool = True) -> Obstacle:
    """No division has room for one request, by what takes the room."""
    arch, job, chip = case.arch, case.job, case.target.chip
    model = served(arch, job.precision, case.target, case.engine)
    layout = accepted(arch, chip, divisions(arch, case.target, np.inf), job.precision.weights)
    held = (LIGHTEST[0] + 1.0) * layout.pp  # that decode, and one more in each lane
    cache = cache_per_request(model, layout, job.request.mean_context) * held
    weights = weights_per_chip(model, layout)
    work = workspace_per_chip(model, layout, SMALL_BUDGET)
    usable = case.engine.cache_share * case.engine.memory_share
    short = (cache - room_for_cache(model, layout, SMALL_BUDGET)) / usable
    i = int(np.argmin(short))
    lacking, chips, copies = float(short[i]), int(layout.chips[i]), cache_copies(arch, layout, i)
    have = float(np.mean(case.target.memory_bytes))
    needed = have * (1.0 + lacking / float(np.mean(case.target.driver_bytes)))
    parts = tuple(
        sorted(
            (("weights", float(weights[i])), ("KV cache", float(cache[i])),
             ("workspace", float(work[i]))),
            key=lambda part: -part[1],
        )
    )  # fmt: skip
    taken = ", ".join(f"{name} {render(size, 'byte')}" for name, size in parts)
    words = (
        f"{arch.name} in {job.precision.weights} lacks {render(lacking, 'byte')} on each of "
        f"{chips:,} {chip.id} ({describe_replica(layout, i)}), where it lacks least: {taken}"
    )
    heads = float(cache[i]) * (1.0 - 1.0 / copies) / usable >= lacking
    if copies > 1:
        words += f"; the cache is kept {copies:g} times"
    works = tuple(_roomier(case, needed)) if moved else ()
    return Obstacle(
        "KV heads" if heads else "memory", have, needed, "byte", f"{words}.", parts, works
    )


def _roomier(case: ServingCase, needed: float) -> Iterator[str]:
    for value in (round_up(needed), round_up(1.1 * needed)):
        if case.works(stated(case.target, "memory.capacity", value)):
            yield f"memory.capacity {render(value, 'byte')}"
            break
    yield from narrower(case)


def latency_wall(case: ServingCase, light: Replicas, *, moved: bool = True) -> Obstacle | None:
    """The shortest time of a token, or to the first one, by what it is spent on.

    light: every division at the lightest load.
    """
    job, steady = case.job, light.steady
    fits = np.broadcast_to(steady.fits, steady.tpot_s.shape)
    if not fits.any():
        return memory_wall(case, moved=moved)
    tpot, ttft = (np.where(fits, x, np.inf) for x in (steady.tpot_s, steady.ttft_s))
    first = case.prompts()
    late = np.maximum(steady.tpot_s / job.tpot_s, steady.ttft_s / job.ttft_s)
    i = int(np.argmin(np.where(fits, late, np.inf)))
    nearest = float(tpot[i]), float(ttft[i])
    if first:
        apart = float(tpot.min()), float(first[1].min())
        nearest = min(
            nearest, apart, key=lambda both: max(both[0] / job.tpot_s, both[1] / job.ttft_s)
        )
    if nearest[0] <= job.tpot_s and nearest[1] <= job.ttft_s:
        return None
    floors = _floors(case, light, (tpot, ttft), first)
    works = tuple(_sooner(case, *nearest)) if moved else ()
    return replace(floors[0], works=works, words=f"{'. '.join(one.words for one in floors)}.")


def _floors(
    case: ServingCase,
    light: Replicas,
    latencies: tuple[Number, Number],
    first: tuple[Ask, Number] | None,
) -> list[Obstacle]:
    """The latencies that are out of reach, each on its fastest division."""
    job, found, (tpot, ttft) = case.job, list[Obstacle](), latencies
    soonest = min(float(ttft.min()), float(first[1].min()) if first else np.inf)
    if tpot.min() > job.tpot_s or soonest <= job.ttft_s:
        soon = ttft <= job.ttft_s
        both = soon.any() and tpot.min() <= job.tpot_s
        one = light.row(int(np.argmin(np.where(soon, tpot, np.inf) if both else tpot)))
        beside = f" where the first comes within {render(job.ttft_s, 's')}" if both else ""
        words = f"A token takes {render(float(one.steady.tpot_s[0]), 's')} at best{beside}"
        found.append(_floor(case, one.layout, words, token_parts(one), job.tpot_s))
    if soonest > job.ttft_s:
        words = f"The first token comes after {render(soonest, 's')} at best"
        if first and first[1].min() < ttft.min():
            i = int(np.argmin(first[1]))
            layout = first[0].layout.take(np.array([i]))
            parts = pass_parts(first[0], i, soonest)
            found.append(_floor(case, layout, words, parts, job.ttft_s, " for prompts alone"))
        else:
            one = light.row(int(np.argmin(ttft)))
            found.append(_floor(case, one.layout, words, prompt_parts(one), job.ttft_s))
    return found


def _floor(
    case: ServingCase, layout: Layout, what: str, parts: Parts, asked: float, role: str = ""
) -> Obstacle:
    """One latency at its shortest, on one division."""
    value = sum(size for _, size in parts)
    copies = cache_copies(case.arch, layout)
    copied = f", the cache kept {copies:g} times" if copies > 1 else ""
    words = (
        f"{what}, on {int(layout.chips[0]):,} {case.target.chip.id}{role} "
        f"({describe_replica(layout)}{copied}): {listed(parts, value)}; "
        f"{render(asked, 's')} was asked for"
    )
    links = sum(size for name, size in parts if name in LINKS)
    kind: Kind = "link" if links > value / 2 else "latency floor"
    if copies > 1 and parts[0][0] == READING:
        kind = "KV heads"
    return Obstacle(kind, value, asked, "s", words, parts)


def _sooner(case: ServingCase, tpot: float, ttft: float) -> Iterator[str]:
    """What would be in time: wider latencies, a better figure, narrower weights."""
    job = case.job
    wider = replace(
        job,
        ttft_s=round_up(ttft) if ttft > job.ttft_s else job.ttft_s,
        tpot_s=round_up(tpot) if tpot > job.tpot_s else job.tpot_s,
    )
    if case.works(job=wider):
        pairs = (("tpot", wider.tpot_s, job.tpot_s), ("ttft", wider.ttft_s, job.ttft_s))
        yield " ".join(
            f"--{name} {render(new, 's').replace(' ', '')}" for name, new, old in pairs if new > old
        )
    multiplied = multiplied_in(case.target, job.precision.weights, job.precision)
    for path in (*FIGURES, f"compute.dense.{multiplied}"):
        if (found := smallest_figure(case, path)) is not None:
            yield found
    yield from narrower(case)


def narrower(case: ServingCase) -> Iterator[str]:
    """The first narrower dtype of weights that is in time."""
    now = DTYPE_BYTES[case.job.precision.weights]
    for dtype in NARROWER:
        try:
            precision, _ = choose_precision(
                case.arch, case.target.chip, dtype, case.kv, case.engine.name
            )
        except (Infeasible, MissingFact):
            continue
        if DTYPE_BYTES[precision.weights] < now and case.works(
            job=replace(case.job, precision=precision)
        ):
            yield f"--dtype {dtype}"
            return


def smallest_figure(case: ServingCase, path: str) -> str | None:
    """The least of a figure that is in time: all multiples in one broadcast, the first of them
    planned again.
    """
    seen: list[float] = []

    def draw(name: str, value: float, low: float, high: float) -> Number:  # noqa: ARG001
        if name != f"{case.target.chip.id}.{path}":
            return value
        seen.append(value)
        return value * FACTORS[:, None]

    within = np.broadcast_to(
        case.in_time(machine(case.target.chip, case.target.cluster_id, draw)), FACTORS.shape
    )
    if not seen or not within.any():
        return None
    needed = round_up(seen[0] * float(FACTORS[int(np.argmax(within))]))
    if not case.works(stated(case.target, path, needed)):
        return None
    peak = path.startswith("compute")
    watts = " at the same watts" if peak and case.target.tdp_w is not None else ""
    return f"{path} {render(needed, 'FLOP/s' if peak else 'byte/s')}{watts}"


def token_parts(one: Replica) -> Parts:
    """What a token takes of a replica, the largest first; they add up to it. [s]"""
    steady, each = one.steady, 1.0 / float(one.request.accepted)
    parts = _step_parts(one.model, one.layout, steady.decode, steady.loads.decode)
    own = float(np.mean(steady.decode.total_s))
    beside = float(np.mean(steady.step_s)) - own
    return _largest({**parts, "prompts and drafts beside": beside}, each)


def prompt_parts(one: Replica) -> Parts:
    """What the time to the first token is spent on, the largest first; they add up to it. [s]"""
    steady = one.steady
    wait, whole = float(np.mean(steady.wait_s)), float(np.mean(steady.ttft_s))
    parts = _step_parts(one.model, one.layout, steady.prompt, steady.loads.prompt)
    times = (whole - wait) / float(np.mean(steady.prompt.total_s))
    return _largest({**{k: times * v for k, v in parts.items()}, "waiting": wait}, 1.0)


def pass_parts(asked: Ask, i: int, whole_s: float) -> Parts:
    """What the first token of a prompt alone, on division `i`, is spent on; they add up to it. [s]

    whole_s: when it comes, what it cached handed over.
    """
    layout = asked.layout.take(np.array([i]))
    load = prompt_load(np.ones(1), asked.request)
    once = step(asked.model, layout, load)
    parts = _step_parts(asked.model, layout, once, load)
    handed = whole_s - float(np.mean(once.total_s))
    return _largest({**parts, "handing over the cache": handed}, 1.0)


def _largest(parts: dict[str, float], each: float) -> Parts:
    found = [(name, size * each) for name, size in parts.items() if abs(size) > 1e-12]
    return tuple(sorted(found, key=lambda part: -part[1]))


def _step_parts(model: Served, layout: Layout, step: Step, load: Load) -> dict[str, float]:
    """One step by what it is spent on; they add up to it. [s]"""
    wide = tuple(
        replace(level, bandwidth_bytes_per_s=level.bandwidth_bytes_per_s * ENDLESS)
        for level in model.machine.levels
    )
    distant = replace(model, machine=replace(model.machine, levels=wide))
    latency = float(np.mean(sum(exchanges(distant, layout, load).values())))
    products = step.products
    reading = float(np.mean(products.memory_s)) > float(np.mean(products.compute_s))
    kernels = {
        "reading weights" if reading else "matrix products": products,
        READING: step.decode_attention,
        "attention of prompts": step.prompt_attention,
    }
    found = {name: float(np.mean(cost.compute_s + cost.memory_s)) for name, cost in kernels.items()}
    found["launches"] = float(np.mean(step.cost.launch_s))
    whole = float(np.mean(step.total_s)) / float(np.mean(model.elapsed))
    chip = float(np.mean(step.chip_s))
    shown = max(chip - sum(found.values()), 0.0)  # of exchanges, as far as nothing hides them
    found[LINKS[0]] = min(latency, shown)
    found[LINKS[1]] = shown - found[LINKS[0]]
    found["the host"] = whole - chip
    scale = float(np.mean(step.total_s)) / sum(found.values())
    return {name: scale * size for name, size in found.items()}
