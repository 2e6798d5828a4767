"""Training plans: the best layout of so many chips, or the fewest chips for so much speed."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Literal

import numpy as np

from parity.catalogue.machine import Draw, Machine, Number, machine
from parity.catalogue.schema import Chip
from parity.errors import Infeasible
from parity.evaluate.energy import chip_power
from parity.evaluate.goodput import Stretch, steps_alone
from parity.evaluate.kernels import rates
from parity.evaluate.offload import bytes_of_stages
from parity.evaluate.training import Breakdown, Step, training_step
from parity.layout.layout import Layout, to_dict
from parity.record import Finding
from parity.search.candidates import Candidates, comparable, evaluate
from parity.search.findings import note, unmeasured, weak_class, weak_figures
from parity.search.grid import USUAL, Space, layouts, refusal, replicas
from parity.timing.software import Software
from parity.units import render
from parity.workload.flop import flop_per_token
from parity.workload.operator import Architecture
from parity.workload.training import TrainingJob

#: A step as long as the target meets it, whatever the order its parts were added in.
ROUNDING = 1e-9
#: No single job runs on more chips than this.
MOST_CHIPS = 1_048_576


@dataclass(frozen=True)
class TrainingPlan:
    """One layout on one machine, evaluated."""

    machine: Machine
    layout: Layout  # a single row
    job: TrainingJob
    step: Step  # a single row
    chips: int
    stages_bytes: tuple[float, ...]  # memory of a chip of each pipeline stage
    fewest: int = 1  # chips on which any layout fits at all, where a count was looked for

    @property
    def time_s(self) -> float:
        """Seconds of a step."""
        return float(self.step.time_s[0])

    @property
    def tokens_per_s(self) -> float:
        """Tokens of all chips."""
        return self.job.global_batch_tokens / self.time_s

    def mfu(self, arch: Architecture) -> float:
        """Model FLOPs of a step (causal attention counted once) over what the chips could do."""
        work = flop_per_token(arch, self.job.seq_len, "training") * self.tokens_per_s
        return float(work / (self.chips * np.mean(self.machine.peak_flop_per_s[self.job.dtype])))

    @property
    def power_w(self) -> float | None:
        """Mean draw of the chips; None where no rating is published."""
        if self.machine.tdp_w is None:
            return None
        return self.chips * float(np.mean(chip_power(self.machine.tdp_w, self.step.busy_fraction)))


def plan(
    arch: Architecture, job: TrainingJob, target: Machine, software: Software, layout: Layout
) -> TrainingPlan:
    """The plan of one layout row."""
    step = training_step(arch, job, layout, target, software)
    stages = bytes_of_stages(arch, job, layout, software)
    return TrainingPlan(target, layout, job, step, int(layout.chips[0]), stages)


def sampled_times(arch: Architecture, plan: TrainingPlan, software: Software, draw: Draw) -> Number:
    """Step times of a plan over the ranges of all figures, shape (samples,). [s]"""
    uncertain = machine(plan.machine.chip, plan.machine.cluster_id, draw)
    step = training_step(arch, plan.job, plan.layout, uncertain, software, draw)
    return np.atleast_2d(step.time_s)[:, 0]


def best_plans(
    arch: Architecture,
    job: TrainingJob,
    target: Machine,
    software: Software,
    chips: int,
    top: int = 4,
    space: Space = USUAL,
) -> list[TrainingPlan]:
    """The fastest layouts of exactly `chips` chips, best first, no two alike in their degrees.

    Raises `Infeasible` with the findings where none is legal or none fits.
    """
    blocks = layouts(arch, job, target, software, chips=chips, space=space)
    if not blocks:
        why = refusal(arch, job, target, software, chips, space) if space.fixed else ""
        raise _no_layout(target, chips, why)
    found = evaluate(arch, job, blocks, target, software, report=space.report)
    if not len(found.layout):
        raise _too_large(arch, job, target, software, chips, found.leanest_bytes, space)
    order = _distinct_best(found, top)
    return [plan(arch, job, target, software, found.layout.take(np.array([i]))) for i in order]


def _distinct_best(found: Candidates, top: int) -> list[int]:
    """Indices of the fastest rows, skipping near copies (same tp, pp, cp, dp)."""
    seen: set[tuple[int, ...]] = set()
    out: list[int] = []
    for i in np.argsort(comparable(found.time_s), kind="stable"):
        row = tuple(int(getattr(found.layout, n)[i]) for n in ("tp", "pp", "cp", "dp"))
        if row not in seen:
            seen.add(row)
            out.append(int(i))
        if len(out) == top:
            break
    return out


def _no_layout(target: Machine, chips: int, why: str) -> Infeasible:
    """P103; `why`: the rule that refuses what --fix asks for, if it does."""
    lower = 2 ** (chips.bit_length() - 1)
    if why:
        message = f"No layout of {chips:,} {target.chip.id} has what --fix asks for: {why}."
        finding = note("P103", message, "error", "another value, or fewer axes in --fix")
        return Infeasible(f"No layout of {chips:,} {target.chip.id} keeps to --fix.", (finding,))
    finding = note(
        "P103",
        f"No legal layout of this model on {chips:,} {target.chip.id}: heads, layers, experts and "
        "batch do not divide over them.",
        "error",
        f"{lower:,} or {2 * lower:,} chips",
    )
    return Infeasible(f"No layout takes exactly {chips:,} {target.chip.id}.", (finding,))


def _too_large(
    arch: Architecture,
    job: TrainingJob,
    target: Machine,
    software: Software,
    chips: int,
    leanest: float,
    space: Space,
) -> Infeasible:
    capacity = float(np.mean(target.memory_bytes))
    enough = smallest_that_fits(arch, job, target, software, chips, space)
    fix = (
        f"{enough:,}x{target.chip.id}" if enough else "a chip with more memory, or a smaller model"
    )
    if "offload" not in space.fixed:
        blocks = layouts(
            arch, job, target, software, chips=chips, space=replace(space, offload=True)
        )
        lean = evaluate(arch, job, blocks, target, software)
        if len(lean.layout):
            first = int(np.argmin(comparable(lean.time_s)))
            fix += f", or `--fix offload={to_dict(lean.layout, first)['offload']}`"
    finding = note(
        "P102",
        f"{arch.name} does not fit on {chips:,} {target.chip.id}: the leanest layout needs "
        f"{render(leanest, 'byte')} a chip, {render(capacity, 'byte')} are there.",
        "error",
        fix,
    )
    return Infeasible(f"{chips:,} {target.chip.id} cannot train {arch.name}.", (finding,))


def smallest_that_fits(
    arch: Architecture,
    job: TrainingJob,
    target: Machine,
    software: Software,
    above: int,
    space: Space = USUAL,
) -> int | None:
    """The least count, doubling from `above`, whose leanest layout fits; None up to 64 times."""
    for factor in (2, 4, 8, 16, 32, 64):
        blocks = layouts(arch, job, target, software, chips=above * factor, space=space)
        if blocks and len(evaluate(arch, job, blocks, target, software).layout):
            return above * factor
    return None


#: `peak`: more chips than any job has. `batch`: its sequences are used up. `floor`: what does not
#: shrink with more chips. `failures`: what more chips have more of.
WallKind = Literal["peak", "memory", "batch", "floor", "failures"]
#: A step that is so much longer than the fastest is about as fast.
NEARLY = 1.05


@dataclass(frozen=True)
class Wall:
    """No count of this chip reaches the target; the fastest plan there is, and the reason.

    kind: what stands in the way. enough: chips whose step is about as fast. leanest_bytes: of a
    chip, in the layout that takes least.
    """

    fastest: TrainingPlan | None
    reason: str
    kind: WallKind = "floor"
    enough: int = 0
    leanest_bytes: float = 0.0


def fewest_chips(
    arch: Architecture,
    job: TrainingJob,
    target: Machine,
    software: Software,
    time_s: float,
    stretch: Stretch = steps_alone,
    space: Space = USUAL,
) -> TrainingPlan | Wall:
    """The smallest count whose best layout makes a step in `time_s`, or the wall before it.

    stretch: when given, a step and what interrupts it must take no longer than `time_s` together.

    The count is one more axis of the search: layouts of all counts are evaluated together. First
    with replica counts that divide the batch, then, below the count found, with every replica
    count that lowers the number of microbatches.
    """
    ideal = roofline_chips(arch, job, target, time_s)
    if ideal > MOST_CHIPS:
        words = f"needs more than {MOST_CHIPS:,} chips even at the physical peak"
        return Wall(None, words, "peak")
    least = max(1.0, ideal)
    most = min(40 * ideal + 4096, MOST_CHIPS)
    blocks = layouts(arch, job, target, software, least=least, most=most, space=space)
    coarse = evaluate(arch, job, blocks, target, software, stretch, space.report)
    hit = _cheapest(coarse, target, time_s)
    if hit is None:  # the fastest may be fewer chips than the peak asks for
        blocks = layouts(arch, job, target, software, most=MOST_CHIPS, space=space)
        coarse = evaluate(arch, job, blocks, target, software, stretch, space.report)
        hit = _cheapest(coarse, target, time_s)
    if hit is None:
        return _wall(arch, job, target, software, coarse, time_s)
    blocks = layouts(
        arch,
        job,
        target,
        software,
        least=max(least, 0.5 * hit[1]),
        most=hit[1],
        dp=replicas(job.global_batch_sequences),
        space=space,
    )
    fine = evaluate(arch, job, blocks, target, software, stretch, space.report)
    better = _cheapest(fine, target, time_s)
    pool, (index, count) = (fine, better) if better and better[1] <= hit[1] else (coarse, hit)
    row = pool.layout.take(np.array([index]))
    found = plan(arch, job, target, software, row)
    held = np.concatenate([coarse.layout.chips, fine.layout.chips])
    return replace(found, chips=count, fewest=int(in_nodes(held.min(), target.node)))


def roofline_chips(arch: Architecture, job: TrainingJob, target: Machine, time_s: float) -> float:
    """Chips that make the step at their peak rate: no count below can do it."""
    work = flop_per_token(arch, job.seq_len, "training") * job.global_batch_tokens
    return float(work / (np.mean(target.peak_flop_per_s[job.dtype]) * time_s))


def in_nodes(chips: Number, node: int) -> Number:
    """Chips rounded up to whole nodes once they fill one. [1]"""
    chips = np.asarray(chips)
    return np.where(chips > node, np.ceil(chips / node) * node, chips)


def _cheapest(found: Candidates, target: Machine, time_s: float) -> tuple[int, int] | None:
    """(row, chips in whole nodes) of the smallest count that meets the target, fastest first."""
    meets = found.time_s <= time_s * (1 + ROUNDING)
    if not meets.any():
        return None
    count = in_nodes(found.layout.chips, target.node)
    rows = np.flatnonzero(meets)
    best = rows[np.lexsort((comparable(found.time_s[rows]), count[rows]))[0]]
    return int(best), int(count[best])


def _wall(
    arch: Architecture,
    job: TrainingJob,
    target: Machine,
    software: Software,
    found: Candidates,
    time_s: float,
) -> Wall:
    if not found.tried:
        least = int(np.ceil(roofline_chips(arch, job, target, time_s)))
        batch = f"a global batch of {job.global_batch_sequences:,} sequences"
        words = f"{batch} does not divide over {least:,} chips, the fewest that could at the peak"
        return Wall(None, words, "batch")
    if not len(found.layout):
        need = render(found.leanest_bytes, "byte")
        have = render(float(np.mean(target.memory_bytes)), "byte")
        words = f"memory: the leanest layout needs {need} a chip, {have} are there"
        return Wall(None, words, "memory", leanest_bytes=found.leanest_bytes)
    row = found.layout.take(np.array([int(np.argmin(comparable(found.time_s)))]))
    fastest = plan(arch, job, target, software, row)
    parts = fastest.step.breakdown
    share = {f.name: float(getattr(parts, f.name)[0]) for f in fields(Breakdown)}
    largest = max(share, key=lambda k: share[k])
    used_up = row.dp[0] * row.microbatch[0] * 2 > job.global_batch_sequences
    cause = (
        f"the global batch of {job.global_batch_sequences:,} sequences is used up"
        if used_up
        else f"{WORDS[largest]} sets a floor"
    )
    least_s = float(found.time_s.min())
    enough = int(found.layout.chips[found.time_s <= NEARLY * least_s].min())
    words = f"{cause}: {fastest.chips:,} chips are the fastest, still {least_s / time_s:.2f} times"
    return Wall(fastest, f"{words} too slow", "batch" if used_up else "floor", enough)


#: What each part of a step is called in a sentence.
WORDS = {
    "compute_s": "matrix products", "memory_s": "memory-bound work", "launch_s": "kernel launches",
    "recompute_s": "recomputation", "tp_s": "tensor-parallel communication",
    "cp_s": "context-parallel communication", "ep_s": "expert-parallel communication",
    "pp_s": "pipeline transfers", "bubble_s": "the pipeline bubble",
    "dp_s": "gradient communication", "optimizer_s": "the optimizer",
    "offload_s": "activations moved to the host and back",
}  # fmt: skip


def plan_findings(
    arch: Architecture, chip: Chip, job: TrainingJob, target: Machine
) -> tuple[Finding, ...]:
    """Findings about what the answer rests on: the model's reading, weak figures, priors."""
    basis = rates(target, job.dtype).basis
    of_model = (*arch.findings, *weak_class(arch))
    return (*of_model, *weak_figures(chip, job.dtype), *unmeasured(chip, job.dtype, basis))


@dataclass(frozen=True)
class Bound:
    """How much faster a step gets with 10 % more of each hardware figure, at this layout."""

    gains: dict[str, float]

    @property
    def word(self) -> str:
        """The figure that matters most."""
        return max(self.gains, key=lambda k: self.gains[k])


#: Hardware figures that a nudge moves, by the end of their key.
NUDGED = {
    "compute": "compute.dense", "memory bandwidth": "memory.bandwidth",
    "scale-up link": "scale_up.bandwidth", "network": "scale_out.bandwidth",
}  # fmt: skip


def what_binds(
    arch: Architecture, job: TrainingJob, target: Machine, software: Software, layout: Layout
) -> Bound:
    """Nudge each hardware figure by 10 % in one broadcast, at a fixed layout."""

    def draw(key: str, value: float, low: float, high: float) -> Number:  # noqa: ARG001
        rows = np.full((len(NUDGED) + 1, 1), value)
        for i, part in enumerate(NUDGED.values()):
            if part in key:
                rows[i + 1] = 1.1 * value
        return rows

    nudged = machine(target.chip, target.cluster_id, draw)
    step = training_step(arch, job, layout, nudged, software)
    time = np.broadcast_to(step.time_s, (len(NUDGED) + 1, 1))[:, 0]
    return Bound({name: float(time[0] / time[i + 1] - 1) for i, name in enumerate(NUDGED)})
