"""What would make a training step faster: every figure of the chip, and what software could do.

Each is tried twice, with the layout held and with the best layout for it. A step with one figure
better by f is never shorter than 1/f of what it was, since every term is a quotient of such
figures; so only layouts within f times the best can become the best, and only these are evaluated
again. More memory changes no time: what fits then is chosen among layouts evaluated once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from msgspec import structs

from parity.catalogue.machine import Machine
from parity.errors import Infeasible
from parity.evaluate.training import training_step
from parity.layout.layout import Layout, describe
from parity.search.candidates import Candidates, comparable, evaluate
from parity.search.findings import computes_in
from parity.search.grid import USUAL, Space, layouts
from parity.search.train import TrainingPlan, sampled_times, what_binds
from parity.search.uncertainty import p10_p90
from parity.search.why_figures import (
    FACTORS,
    Effect,
    Figure,
    figures,
    improved,
    more_of,
    ratio,
    words_of,
)
from parity.timing.draw import USUAL_SAMPLES
from parity.timing.software import DIFFERENCES, Software
from parity.workload.operator import Architecture
from parity.workload.precision import HALVES
from parity.workload.training import TrainingJob

#: Memory up to so many times the chip's is looked at.
MOST_MEMORY = 2.0


@dataclass(frozen=True)
class TrainingCase:
    """A training plan with all that it was chosen among."""

    arch: Architecture
    plan: TrainingPlan
    software: Software
    found: Candidates  # that fit in `MOST_MEMORY` times the memory
    space: Space

    @property
    def job(self) -> TrainingJob:
        """What is trained."""
        return self.plan.job

    @property
    def machine(self) -> Machine:
        """What it runs on."""
        return self.plan.machine

    def fits(self, factor: float = 1.0) -> np.ndarray:
        """Which layouts fit in `factor` times the memory."""
        return np.asarray(self.found.memory_bytes <= factor * np.mean(self.machine.memory_bytes))


def training_case(
    arch: Architecture,
    plan: TrainingPlan,
    software: Software,
    space: Space = USUAL,
    memory: float = MOST_MEMORY,
) -> TrainingCase:
    """The case of `plan`, with every layout of its chips that fits in `memory` times as much."""
    roomy = replace(plan.machine, memory_bytes=memory * plan.machine.memory_bytes)
    space = replace(space, report=None)
    chips = int(plan.layout.chips[0])
    blocks = layouts(arch, plan.job, roomy, software, chips=chips, space=space)
    found = evaluate(arch, plan.job, blocks, roomy, software)
    return TrainingCase(arch, plan, software, found, space)


def training_effects(case: TrainingCase) -> tuple[Effect, ...]:
    """The effect of each figure and lever on tokens/s, the largest first."""
    half = "bf16" if "bf16" in case.machine.peak_flop_per_s else "fp16"
    found = [
        _hardware(case, figure, factor)
        for figure in figures(case.machine, (case.job.dtype, half))
        for factor in FACTORS
    ]
    effects = [effect for effect in found if effect is not None]
    return tuple(sorted((*effects, *_software(case)), key=lambda one: -one.size))


def _hardware(case: TrainingCase, figure: Figure, factor: float) -> Effect | None:
    better = improved(case.machine, figure, factor)
    if better is None:
        return None
    old = case.plan.time_s
    if figure.key == "memory.capacity":
        held, (new, layout) = old, roomiest(case, factor)
    else:
        held = seconds(case, better)
        new, layout = replanned(case, better, factor)
    return Effect(
        figure.key, words_of(factor), ratio(old, held), ratio(old, min(new, held)),
        other_layout(case, layout) if new < held else "", span=held_span(case, figure, factor),
    )  # fmt: skip


def held_span(case: TrainingCase, figure: Figure, factor: float) -> tuple[float, float] | None:
    """P10 and P90 of what a better figure does to tokens/s, the layout held, over all ranges.

    The same samples are drawn with the figure and without, so that what both share cancels.
    """
    better = more_of(USUAL_SAMPLES, figure, factor)
    if better is None or figure.key == "memory.capacity":
        return None
    args = (case.arch, case.plan, case.software)
    return p10_p90(sampled_times(*args, USUAL_SAMPLES) / sampled_times(*args, better) - 1.0)


def seconds(
    case: TrainingCase,
    target: Machine | None = None,
    software: Software | None = None,
    layout: Layout | None = None,
    job: TrainingJob | None = None,
) -> float:
    """The step of the plan with one thing another. [s]"""
    step = training_step(
        case.arch, job or case.job, layout or case.plan.layout, target or case.machine,
        software or case.software,
    )  # fmt: skip
    return float(np.ravel(step.time_s)[0])


def replanned(case: TrainingCase, target: Machine, factor: float) -> tuple[float, Layout]:
    """The fastest step on a machine that is better by up to `factor`, and its layout. [s]"""
    near = case.found.time_s <= factor * case.plan.time_s * (1 + 1e-6)
    rows = case.found.layout.take(np.flatnonzero(case.fits() & near))
    if not len(rows):
        return seconds(case, target), case.plan.layout
    step = training_step(case.arch, case.job, rows, target, case.software)
    time = np.broadcast_to(step.time_s, (len(rows),))
    i = int(np.argmin(comparable(time)))
    return float(time[i]), rows.take(np.array([i]))


def roomiest(case: TrainingCase, factor: float) -> tuple[float, Layout]:
    """The fastest step in `factor` times the memory, and its layout. [s]"""
    rows = np.flatnonzero(case.fits(factor))
    if not len(rows):  # the plan's number of replicas is none of those that divide the batch
        return case.plan.time_s, case.plan.layout
    i = rows[int(np.argmin(comparable(case.found.time_s[rows])))]
    return float(case.found.time_s[i]), case.found.layout.take(np.array([i]))


def other_layout(case: TrainingCase, layout: Layout) -> str:
    """The layout in words, where it is another than the plan's."""
    words = describe(layout)
    return "" if words == describe(case.plan.layout) else words


def _software(case: TrainingCase) -> Iterator[Effect]:
    """What software and batch could do."""
    own = case.software
    graphs = structs.replace(own, issue_s=0.0, routing_s=0.0)
    hidden = structs.replace(own, **dict.fromkeys(DIFFERENCES, 1.0))
    for lever, changed in (("no host launches", graphs), ("all communication hidden", hidden)):
        yield _with_software(case, lever, changed)
    job = structs.replace(case.job, global_batch_tokens=2 * case.job.global_batch_tokens)
    yield _with_job(case, "global batch", "x2", job)
    chip = case.machine.chip
    narrow = computes_in(chip, "fp8") and "fp8" in case.machine.peak_flop_per_s
    if case.job.dtype in HALVES and narrow:
        yield _with_job(case, "fp8 products", "", structs.replace(case.job, dtype="fp8"))
    if int(case.plan.layout.recompute[0]):
        yield _without_recomputation(case)


def _without_recomputation(case: TrainingCase) -> Effect:
    """Tokens/s if nothing were recomputed: held, if memory allowed it; anew, where it does."""
    plain = case.plan.layout.replace(recompute=np.zeros(1, dtype=np.int64))
    held = ratio(case.plan.time_s, seconds(case, layout=plain))
    rows = np.flatnonzero(case.fits() & (case.found.layout.recompute == 0))
    if not len(rows):
        return Effect("no recomputation", "", held, None, hardware=False)
    i = rows[int(np.argmin(comparable(case.found.time_s[rows])))]
    anew = ratio(case.plan.time_s, float(case.found.time_s[i]))
    layout = other_layout(case, case.found.layout.take(np.array([i])))
    return Effect("no recomputation", "", held, anew, layout, hardware=False)


def _with_software(case: TrainingCase, lever: str, software: Software) -> Effect:
    held = ratio(case.plan.time_s, seconds(case, software=software))
    new = searched(case, case.job, software)
    gain = ratio(case.plan.time_s, new[0]) if new else None
    layout = other_layout(case, new[1]) if new and gain != held else ""
    return Effect(lever, "", held, gain, layout, hardware=False)


def _with_job(case: TrainingCase, lever: str, amount: str, job: TrainingJob) -> Effect:
    """Tokens/s of another job."""
    more = job.global_batch_tokens / case.job.global_batch_tokens
    old = case.plan.time_s * more
    held = ratio(old, seconds(case, job=job))
    new = searched(case, job, case.software)
    gain = ratio(old, new[0]) if new else None
    layout = other_layout(case, new[1]) if new and gain != held else ""
    return Effect(lever, amount, held, gain, layout, hardware=False)


def searched(
    case: TrainingCase, job: TrainingJob, software: Software, target: Machine | None = None
) -> tuple[float, Layout] | None:
    """The best step of the same number of chips, and its layout; None where none fits. [s]"""
    target, chips = target or case.machine, int(case.plan.layout.chips[0])
    try:
        blocks = layouts(case.arch, job, target, software, chips=chips, space=case.space)
        found = evaluate(case.arch, job, blocks, target, software)
    except Infeasible:
        return None
    if not len(found.layout):
        return None
    i = int(np.argmin(comparable(found.time_s)))
    return float(found.time_s[i]), found.layout.take(np.array([i]))


def over_capacities(
    case: TrainingCase, target: Machine, capacities: Sequence[float]
) -> list[float | None]:
    """Tokens/s of the best layout at each capacity of the memory, evaluated in that of `target`;
    None where nothing fits.
    """
    chips = int(case.plan.layout.chips[0])
    blocks = layouts(case.arch, case.job, target, case.software, chips=chips, space=case.space)
    found = evaluate(case.arch, case.job, blocks, target, case.software)
    speeds: list[float | None] = []
    for capacity in capacities:
        fits = found.memory_bytes <= capacity
        time = float(found.time_s[fits].min()) if fits.any() else None
        speeds.append(time and case.job.global_batch_tokens / time)
    return speeds


def bound(case: TrainingCase, target: Machine) -> str:
    """The figure that matters most to the best layout on `target`; empty where nothing fits."""
    found = searched(case, case.job, case.software, target)
    if found is None:
        return ""
    return what_binds(case.arch, case.job, target, case.software, found[1]).word
