"""A training plan as an answer."""

from __future__ import annotations

from dataclasses import fields

import numpy as np

from parity.evaluate.goodput import Lost, basis
from parity.evaluate.memory import Memory
from parity.evaluate.training import Breakdown
from parity.layout.layout import describe, to_dict
from parity.outputs.document import Bars, Document, Fields, Table
from parity.outputs.envelope import NOT_FEASIBLE, TARGET_MISSED, Answer
from parity.outputs.figures import first, ranged
from parity.outputs.prices import price_fields, price_words
from parity.outputs.unknowns import range_fields, uncertain, uncertainty_fields
from parity.record import Finding
from parity.search.pareto import Trade
from parity.search.run import Course, Run
from parity.search.train import WORDS, TrainingPlan, Wall, in_nodes
from parity.search.uncertainty import Spread
from parity.units import render, significant
from parity.workload.adapters import rank_of
from parity.workload.operator import Architecture

#: Shares of time below this are not worth a word.
NEGLIGIBLE = 0.0005
#: What the causes of lost time are called in a sentence.
CAUSES = {
    "restarts": "restarts", "rework": "work done again", "checkpoints": "checkpoints",
    "stragglers": "slow chips",
}  # fmt: skip


def plan_answer(
    arch: Architecture,
    runs: tuple[Run, ...],
    wall: Wall | None,
    findings: tuple[Finding, ...],
    *,
    deadline_days: float | None = None,
    front: tuple[Trade, ...] = (),
) -> Answer:
    """The best run with its runners-up; at a wall `runs` are the fastest there is, and exit 4.

    front: layouts that none beats in time, memory and chips, where they were asked for.
    """
    if wall is not None:
        findings = (Finding(code="P104", severity="error", message=wall.reason + "."), *findings)
    if not runs:
        reason = wall.reason if wall else "no layout"
        document = Document(
            sentence=f"No number of these chips does it: {reason}.", findings=findings
        )
        nothing: dict[str, object] = {"answer": None, "findings": findings}
        return Answer(
            command="plan train", content=nothing, document=document, exit_code=NOT_FEASIBLE
        )
    best = runs[0]
    content: dict[str, object] = {
        "answer": answer_fields(arch, best, deadline_days),
        "runners_up": [answer_fields(arch, run) for run in runs[1:]],
        "findings": findings,
    }
    if front:
        content["pareto"] = [trade_fields(trade) for trade in front]
    span, unit = answer_range(best, deadline_days)
    document = Document(
        sentence=sentence(arch, best, deadline_days, wall),
        parts=(
            summary(arch, best),
            *uncertain(span, unit),
            spent(best.plan),
            filled(best.plan),
            *others(runs),
            *traded(front),
        ),
        findings=findings,
        sources=(best_basis(best.plan), basis(best.plan.machine.chip.family)),
        next=(_next(arch, count_of(best.plan)),),
    )
    return Answer(
        command="plan train",
        content=content,
        document=document,
        exit_code=TARGET_MISSED if wall is not None else 0,
        keep=True,
    )


def trade_fields(trade: Trade) -> dict[str, object]:
    """A layout of the front as plain numbers."""
    return {
        "chips": trade.chips,
        "step_time_s": trade.time_s,
        "memory_bytes": trade.memory_bytes,
        "layout": to_dict(trade.layout),
    }


def traded(front: tuple[Trade, ...]) -> tuple[Table, ...]:
    """The front as a table."""
    rows = tuple(
        (
            f"{trade.chips:,}",
            render(trade.time_s, "s"),
            render(trade.memory_bytes, "byte"),
            describe(trade.layout),
        )
        for trade in front
    )
    title = "nothing beats these in time, memory and chips"
    return (Table(("chips", "step", "memory", "layout"), rows, "rrrl", title),) if rows else ()


def count_of(plan: TrainingPlan) -> str:
    """`1024xh100-sxm`."""
    return f"{plan.chips}x{plan.machine.chip.id}"


def answer_fields(
    arch: Architecture, run: Run, deadline_days: float | None = None
) -> dict[str, object]:
    """The run as plain numbers, SI units; `range` is of the chips where they are the answer."""
    plan, power = run.plan, run.plan.power_w
    span, unit = answer_range(run, deadline_days)
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
        "days": run.days,
        "goodput": goodput_fields(run),
        "microbatches": int(first(plan.step.microbatches)),
        "memory": {
            **memory,
            "total_bytes": first(plan.step.memory.total_bytes),
            "capacity_bytes": float(np.mean(plan.machine.memory_bytes)),
        },
        "memory_of_stages_bytes": list(plan.stages_bytes),
        "breakdown_s": {
            f.name.removesuffix("_s"): first(getattr(plan.step.breakdown, f.name))
            for f in fields(Breakdown)
        },
        "power_w": power,
        **price_fields(plan.machine.chip),
        "energy_kwh": None if power is None else power * run.days * 24 / 1000,
        "range": range_fields(span, unit),
        "uncertainty": uncertainty_fields(span),
        "step_time_range_s": {"low": run.step_range[0], "high": run.step_range[1]},
    }


def goodput_fields(run: Course) -> dict[str, object]:
    """What of the days trains, what the rest goes to, and what both follow from."""
    found, (low, high) = run.goodput, run.goodput_range
    return {
        "fraction": first(found.fraction),
        "low": low,
        "high": high,
        "failures": run.failures,
        "mtbf_hours": first(found.mtbf_hours),
        "checkpoint_interval_s": first(found.checkpoint_interval_s),
        "checkpoint_cost_s": first(found.checkpoint_s),
        "checkpoint_write_s": first(found.write_s),
        "restart_s": first(found.restart_s),
        "lost": {f.name: first(getattr(found.lost, f.name)) for f in fields(Lost)},
    }


def answer_range(run: Run, deadline_days: float | None) -> tuple[Spread, str]:
    """The range of what was asked for, and its unit: days, or chips where a deadline is given."""
    if deadline_days is None:
        return run.spread, "days"
    return chip_range(run, deadline_days), "chips"


def chip_range(run: Run, deadline_days: float) -> Spread:
    """The range of the chips that finish in time, in whole nodes: never fewer than the run fits."""
    plan = run.plan
    deadline = max(deadline_days, run.days)  # beyond it where no number of chips is in time

    def whole(days: float) -> float:
        needed = in_nodes(np.ceil(plan.chips * days / deadline), plan.machine.node)
        return max(float(needed), float(plan.fewest))

    return run.spread.through(whole).holding(plan.chips)


def sentence(arch: Architecture, run: Run, deadline_days: float | None, wall: Wall | None) -> str:
    """The answer in one sentence: number, range, what of it is lost, what limits it."""
    plan, days = run.plan, significant(run.days)
    name, work = plan.machine.chip.name, f"{arch.name} on {render(plan.job.tokens, '1')} tokens"
    lost = percent(1 - first(run.goodput.fraction))
    end = f"of which {lost} go to failures, checkpoints and slow chips"
    end = f"{end}, at {100 * plan.mfu(arch):.0f} % MFU; {largest_shares(plan)}."
    if wall is not None:
        cause = wall.reason.split(":")[0]
        return (
            f"No number of {name} trains {work} in that time: {plan.chips:,} are the fastest, "
            f"{days} days; {cause}."
        )
    if deadline_days is not None:
        chips = chip_range(run, deadline_days)
        count = f"{plan.chips:,} x {name} ({chips.low:,.0f}–{chips.high:,.0f})"
        held = "the fewest that hold it, " if plan.fewest == plan.chips else ""
        return f"{count} train {work} in {days} days, {held}{end}"
    ends = f"({significant(run.spread.low)}–{significant(run.spread.high)})"
    return f"{plan.chips:,} x {name} train {work} in {days} days {ends}, {end}"


def largest_shares(plan: TrainingPlan) -> str:
    """`matrix products take 71 % of a step, the pipeline bubble 8 %`."""
    share = {
        f.name: first(getattr(plan.step.breakdown, f.name)) / plan.time_s for f in fields(Breakdown)
    }
    top, second = sorted(share, key=lambda k: -share[k])[:2]
    most = f"{WORDS[top]} take {100 * share[top]:.0f} % of a step"
    return f"{most}, {WORDS[second]} {100 * share[second]:.0f} %"


def summary(arch: Architecture, run: Run) -> Fields:
    """Layout, speed, memory, goodput, energy: one line each."""
    plan = run.plan
    job, step = plan.job, ranged(plan.time_s, *run.step_range, "s")
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
        ("goodput", trains(run)),
        ("lost", losses(run)),
    ]
    if plan.power_w is not None:
        energy = plan.power_w * run.days * 24
        drawn = f"{render(plan.power_w, 'W')} of chips, {render(energy, 'Wh')} for the run"
        rows.append(("power", drawn))
    if words := price_words(plan.machine.chip, plan.chips, run.days * 24):
        rows.append(("cost", words))
    rows.append(("cluster", plan.machine.cluster_id or "as the chip's own figures say"))
    return Fields(rows=tuple(rows))


def trains(run: Course) -> str:
    """`92 % (78–95) of the days: 730 failures, one every 3.09 h; a checkpoint every 6.2 min`."""
    found, (low, high) = run.goodput, run.goodput_range
    share = ranged(first(found.fraction), low, high, "fraction")
    every = render(first(found.mtbf_hours) * 3600, "s")
    saved = render(first(found.checkpoint_interval_s), "s")
    expected = "hardly any" if run.failures < 0.05 else significant(run.failures, 2)
    count = f"{expected} failures, one every {every}"
    return f"{share} of the days; {count}; a checkpoint every {saved}"


def losses(run: Course) -> str:
    """`restarts of 10 min each 5.3 %, work done again 1.6 %, …`, largest first."""
    found = run.goodput
    share = {f.name: first(getattr(found.lost, f.name)) for f in fields(Lost)}
    each = {
        "restarts": f" of {render(first(found.restart_s), 's')} each",
        "checkpoints": f" of {render(first(found.checkpoint_s), 's')} each",
    }
    largest = sorted((k for k in share if share[k] > NEGLIGIBLE), key=lambda k: -share[k])
    named = [f"{CAUSES[k]}{each.get(k, '')} {percent(share[k])}" for k in largest]
    return ", ".join(named) or percent(0.0)


def percent(share: float) -> str:
    """`9.8 %`, or that it is less than anybody would notice."""
    if share < NEGLIGIBLE:
        return f"less than {100 * NEGLIGIBLE:g} %"
    return f"{significant(100 * share, 2)} %"


def spent(plan: TrainingPlan) -> Bars:
    """Where the time of a step goes."""
    rows = []
    for f in fields(Breakdown):
        seconds = first(getattr(plan.step.breakdown, f.name))
        if seconds > NEGLIGIBLE * plan.time_s:
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


def others(runs: tuple[Run, ...]) -> tuple[Table, ...]:
    """Runner-up layouts."""
    rows = tuple(
        (
            describe(run.plan.layout),
            render(run.plan.time_s, "s"),
            significant(run.days),
            f"+{100 * (run.plan.time_s / runs[0].plan.time_s - 1):.1f} %",
            render(first(run.plan.step.memory.total_bytes), "byte"),
        )
        for run in runs[1:]
    )
    columns = ("runner-up layout", "step", "days", "slower by", "memory")
    return (Table(columns, rows, "lrrrr"),) if rows else ()


def best_basis(plan: TrainingPlan) -> str:
    """Where the achieved rate comes from."""
    from parity.evaluate.kernels import rates

    return f"achieved GEMM rate of {rates(plan.machine, plan.job.dtype).basis}"


def _next(arch: Architecture, have: str) -> str:
    """What one asks next: other chips for the same, or the same with all weights trained."""
    name, rank = rank_of(arch)
    if rank:
        return f"parity plan train {name} --on {have}"
    return f"parity match {name} --have {have} --want all --train"
