"""A training plan as an answer."""

from __future__ import annotations

from dataclasses import fields

import numpy as np

from parity.catalogue.machine import Number
from parity.evaluate.memory import Memory
from parity.evaluate.training import Breakdown
from parity.layout.layout import describe, to_dict
from parity.outputs.document import Bars, Document, Fields, Table
from parity.outputs.envelope import Answer
from parity.outputs.figures import ranged
from parity.record import Finding
from parity.search.train import WORDS, TrainingPlan, Wall, in_nodes
from parity.units import render, significant
from parity.workload.operator import Architecture

NOT_FEASIBLE, TARGET_MISSED = 3, 4
SECONDS_A_DAY = 86400.0


def plan_answer(
    arch: Architecture,
    plans: tuple[TrainingPlan, ...],
    wall: Wall | None,
    findings: tuple[Finding, ...],
    *,
    days_asked: bool,
) -> Answer:
    """The best plan with its runners-up; or, at a wall, the fastest plan there is and exit 4."""
    shown = plans or ((wall.fastest,) if wall and wall.fastest else ())
    if wall is not None:
        findings = (Finding(code="P104", severity="error", message=wall.reason + "."), *findings)
    if not shown:
        reason = wall.reason if wall else "no layout"
        document = Document(
            sentence=f"No number of these chips does it: {reason}.", findings=findings
        )
        nothing: dict[str, object] = {"answer": None, "findings": findings}
        return Answer(
            command="plan train", content=nothing, document=document, exit_code=NOT_FEASIBLE
        )
    best = shown[0]
    content: dict[str, object] = {
        "answer": answer_fields(arch, best, of_chips=days_asked),
        "runners_up": [answer_fields(arch, p, of_chips=False) for p in shown[1:]],
        "findings": findings,
    }
    document = Document(
        sentence=sentence(arch, best, days_asked=days_asked, wall=wall),
        parts=(summary(arch, best), spent(best), filled(best), *others(shown)),
        findings=findings,
        sources=(best_basis(best),),
        next=(f"parity match {arch.name} --have {count_of(best)} --want all --train",),
    )
    return Answer(
        command="plan train",
        content=content,
        document=document,
        exit_code=TARGET_MISSED if wall is not None else 0,
        keep=True,
    )


def count_of(plan: TrainingPlan) -> str:
    """`1024xh100-sxm`."""
    return f"{plan.chips}x{plan.machine.chip.id}"


def run_days(plan: TrainingPlan, step_s: float) -> float:
    """Days of the whole run at `step_s` a step, without interruptions."""
    return plan.job.steps * step_s / SECONDS_A_DAY


def first(value: Number) -> float:
    """The number of a single-row column."""
    return float(np.ravel(value)[0])


def answer_fields(arch: Architecture, plan: TrainingPlan, *, of_chips: bool) -> dict[str, object]:
    """The plan as plain numbers, SI units; `range` is of the chips where they are the answer."""
    days = run_days(plan, plan.time_s)
    power = plan.power_w
    memory = {f.name: first(getattr(plan.step.memory, f.name)) for f in fields(Memory)}
    return {
        "chip": plan.machine.chip.id,
        "chips": plan.chips,
        "cluster": plan.machine.cluster_id,
        "dtype": plan.job.dtype,
        "layout": to_dict(plan.layout),
        "step_time_s": plan.time_s,
        "tokens_per_s": plan.tokens_per_s,
        "tokens_per_s_per_chip": plan.tokens_per_s / plan.chips,
        "mfu": plan.mfu(arch),
        "days": days,
        "microbatches": int(first(plan.step.microbatches)),
        "memory": {
            **memory,
            "total_bytes": first(plan.step.memory.total_bytes),
            "capacity_bytes": float(np.mean(plan.machine.memory_bytes)),
        },
        "breakdown_s": {
            f.name.removesuffix("_s"): first(getattr(plan.step.breakdown, f.name))
            for f in fields(Breakdown)
        },
        "power_w": power,
        "energy_kwh": None if power is None else power * days * 24 / 1000,
        "range": chip_range(plan) if of_chips else day_range(plan),
        "step_time_range_s": {"low": plan.low_s, "high": plan.high_s},
    }


def day_range(plan: TrainingPlan) -> dict[str, float | str]:
    """P10 and P90 of the days."""
    return {"of": "days", "low": run_days(plan, plan.low_s), "high": run_days(plan, plan.high_s)}


def chip_range(plan: TrainingPlan) -> dict[str, float | str]:
    """P10 and P90 of the chips that hold the same speed."""
    ends = [plan.chips * plan.low_s / plan.time_s, plan.chips * plan.high_s / plan.time_s]
    low, high = in_nodes(np.ceil(np.array(ends)), plan.machine.node)
    return {"of": "chips", "low": int(min(low, plan.chips)), "high": int(max(high, plan.chips))}


def sentence(arch: Architecture, plan: TrainingPlan, *, days_asked: bool, wall: Wall | None) -> str:
    """The answer in one sentence: number, range, what limits it."""
    days, span = significant(run_days(plan, plan.time_s)), day_range(plan)
    name, run = plan.machine.chip.name, f"{arch.name} on {render(plan.job.tokens, '1')} tokens"
    end = f"at {100 * plan.mfu(arch):.0f} % MFU; {largest_shares(plan)}."
    if wall is not None:
        cause = wall.reason.split(":")[0]
        return (
            f"No number of {name} trains {run} in that time: {plan.chips:,} are the fastest, "
            f"{days} days; {cause}."
        )
    if days_asked:
        chips = chip_range(plan)
        count = f"{plan.chips:,} x {name} ({chips['low']:,}–{chips['high']:,})"
        return f"{count} train {run} in {days} days {end}"
    ends = f"({significant(float(span['low']))}–{significant(float(span['high']))})"
    return f"{plan.chips:,} x {name} train {run} in {days} days {ends} {end}"


def largest_shares(plan: TrainingPlan) -> str:
    """`matrix products take 71 % of a step, the pipeline bubble 8 %`."""
    share = {
        f.name: first(getattr(plan.step.breakdown, f.name)) / plan.time_s for f in fields(Breakdown)
    }
    top, second = sorted(share, key=lambda k: -share[k])[:2]
    most = f"{WORDS[top]} take {100 * share[top]:.0f} % of a step"
    return f"{most}, {WORDS[second]} {100 * share[second]:.0f} %"


def summary(arch: Architecture, plan: TrainingPlan) -> Fields:
    """Layout, speed, memory, energy: one line each."""
    job, step = plan.job, ranged(plan.time_s, plan.low_s, plan.high_s, "s")
    batch = f"{job.global_batch_sequences:,} sequences of {job.seq_len:,}, {job.dtype}"
    each = significant(plan.tokens_per_s / plan.chips)
    peak = render(first(plan.machine.peak_flop_per_s[job.dtype]), "FLOP/s")
    used = render(first(plan.step.memory.total_bytes), "byte")
    capacity = render(first(plan.machine.memory_bytes), "byte")
    rows = [
        ("layout", describe(plan.layout)),
        ("step", f"{step}, {batch}"),
        ("speed", f"{each} tokens/s/chip, {render(plan.tokens_per_s, '1')} tokens/s in all"),
        ("MFU", f"{100 * plan.mfu(arch):.1f} % of {peak}"),
        ("memory", f"{used} of {capacity} on the fullest chip"),
    ]
    if plan.power_w is not None:
        energy = plan.power_w * run_days(plan, plan.time_s) * 24
        drawn = f"{render(plan.power_w, 'W')} of chips, {render(energy, 'Wh')} for the run"
        rows.append(("power", drawn))
    rows.append(("cluster", plan.machine.cluster_id or "as the chip's own figures say"))
    return Fields(rows=tuple(rows))


def spent(plan: TrainingPlan) -> Bars:
    """Where the time of a step goes."""
    rows = []
    for f in fields(Breakdown):
        seconds = first(getattr(plan.step.breakdown, f.name))
        if seconds > 0.0005 * plan.time_s:
            note = f"{render(seconds, 's')}  {100 * seconds / plan.time_s:.1f} %"
            rows.append((WORDS[f.name].removeprefix("the "), seconds, note))
    return Bars(rows=tuple(sorted(rows, key=lambda r: -r[1])), title="a step")


def filled(plan: TrainingPlan) -> Bars:
    """What fills the memory of the fullest chip."""
    rows = [
        (f.name.removesuffix("_bytes"), size, render(size, "byte"))
        for f in fields(Memory)
        if (size := first(getattr(plan.step.memory, f.name))) > 0
    ]
    return Bars(rows=tuple(rows), title="memory")


def others(plans: tuple[TrainingPlan, ...]) -> tuple[Table, ...]:
    """Runner-up layouts."""
    rows = tuple(
        (
            describe(plan.layout),
            render(plan.time_s, "s"),
            significant(run_days(plan, plan.time_s)),
            f"+{100 * (plan.time_s / plans[0].time_s - 1):.1f} %",
            render(first(plan.step.memory.total_bytes), "byte"),
        )
        for plan in plans[1:]
    )
    columns = ("runner-up layout", "step", "days", "slower by", "memory")
    return (Table(columns, rows, "lrrrr"),) if rows else ()


def best_basis(plan: TrainingPlan) -> str:
    """Where the achieved rate comes from."""
    from parity.evaluate.kernels import rates

    return f"achieved GEMM rate of {rates(plan.machine, plan.job.dtype).basis}"
