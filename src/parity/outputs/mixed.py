"""A training plan of several kinds of chip as an answer."""

from __future__ import annotations

import numpy as np

from parity.catalogue.machine import Machine
from parity.errors import Infeasible
from parity.evaluate.goodput import basis
from parity.layout.layout import describe, to_dict
from parity.outputs.document import Document, Fields, Table
from parity.outputs.envelope import TARGET_MISSED, Answer
from parity.outputs.figures import first, ranged
from parity.outputs.planning import goodput_fields, losses, trains
from parity.outputs.unknowns import range_fields, uncertain, uncertainty_fields
from parity.record import Finding
from parity.search.mixed import MixedPlan
from parity.search.mixed_run import MixedRun
from parity.search.mixed_step import Part, Way
from parity.units import render, significant
from parity.workload.adapters import rank_of
from parity.workload.operator import Architecture

#: What each manner is called after the fleet's name.
MANNERS = {"replicas": "as replicas of their own", "stages": "as one pipeline", "alone": "alone"}


def mixed_answer(
    arch: Architecture,
    run: MixedRun,
    missed: tuple[Finding, ...],
    findings: tuple[Finding, ...],
    top: int,
) -> Answer:
    """The fastest way to use the fleet, its parts, the other ways and each kind alone; exit 4
    where a deadline is `missed`.
    """
    findings = (*missed, *findings)
    plan = run.plan
    others = plan.others[: top - 1]
    content: dict[str, object] = {
        "answer": answer_fields(arch, run),
        "runners_up": [way_fields(plan, way) for way in others],
        "findings": findings,
    }
    families = dict.fromkeys(part.machine.chip.family for part in plan.way.parts)
    document = Document(
        sentence=sentence(arch, run),
        parts=(
            summary(arch, run),
            *uncertain(run.spread, "days"),
            parts_table(run),
            *others_table(plan, others),
        ),
        findings=findings,
        sources=tuple(dict.fromkeys(basis(family) for family in families)),
        next=tuple(
            f"parity plan train {rank_of(arch)[0]} --on {fleet_text(way.parts)}"
            for way in (plan.best_alone,)
            if way
        ),
    )
    return Answer(
        command="plan train",
        content=content,
        document=document,
        exit_code=TARGET_MISSED if missed else 0,
        keep=True,
    )


def fleet_text(parts: tuple[Part, ...]) -> str:
    """`512xa100-sxm-80,256xh20-96`."""
    return ",".join(f"{part.chips}x{part.machine.chip.id}" for part in parts)


def answer_fields(arch: Architecture, run: MixedRun) -> dict[str, object]:
    """The run as plain numbers, SI units."""
    plan, power = run.plan, run.plan.power_w
    return {
        "manner": plan.way.manner,
        "chips": plan.chips,
        "dtype": plan.job.dtype,
        "step_time_s": plan.time_s,
        "tokens_per_s": plan.tokens_per_s,
        "tokens_per_s_per_chip": plan.tokens_per_s / plan.chips,
        "mfu": plan.mfu(arch),
        "days": run.days,
        "goodput": goodput_fields(run),
        "power_w": power,
        "energy_kwh": None if power is None else power * run.days * 24 / 1000,
        "range": range_fields(run.spread, "days"),
        "uncertainty": uncertainty_fields(run.spread),
        "step_time_range_s": {"low": plan.low_s, "high": plan.high_s},
        "bound_by": plan.bound.word,
        "gains": {name.replace(" ", "_").replace("-", "_"): g for name, g in _gains(plan)},
        "gain_over_alone": plan.gain,
        "share_of_sum": plan.of_sum,
        "parts": [part_fields(plan, i) for i in range(len(plan.way.parts))],
        "alone": [alone_fields(run, i) for i in range(len(plan.alone))],
        "idle": [
            {
                "chip": idle.machine.chip.id,
                "chips": idle.chips,
                "days": plan.days(idle.joined) if idle.joined else None,
            }
            for idle in plan.idle
        ],
    }


def _gains(plan: MixedPlan) -> list[tuple[str, float]]:
    return list(plan.bound.gains.items())


def part_fields(plan: MixedPlan, i: int) -> dict[str, object]:
    """One kind of the plan: what it takes, how, and how long it waits for the others."""
    part, step = plan.way.parts[i], plan.step
    return {
        "chip": part.machine.chip.id,
        "chips": part.chips,
        "cluster": part.machine.cluster_id,
        "layout": to_dict(part.layout),
        "layers": part.layers,
        "sequences": part.sequences,
        "share": part_share(plan, i),
        "own_time_s": first(step.own_s[i]),
        "waits": waits(plan, i),
        "memory_bytes": first(step.bytes[i]),
        "capacity_bytes": float(np.mean(part.machine.memory_bytes)),
        "power_w": plan.part_power_w(i),
    }


def part_share(plan: MixedPlan, i: int) -> float:
    """Of the sequences, or of the layers, that fall to one part. [1]"""
    parts = plan.way.parts
    taken = [p.layers if plan.way.manner == "stages" else p.sequences for p in parts]
    return taken[i] / sum(taken)


def waits(plan: MixedPlan, i: int) -> float:
    """Share of the slowest part's time in which this part waits for it. [1]"""
    own = [first(time) for time in plan.step.own_s]
    return 1 - own[i] / max(own)


def alone_fields(run: MixedRun, i: int) -> dict[str, object]:
    """One kind alone; no time where it cannot train the model, with the reason."""
    target, chips = run.plan.fleet[i]
    found = run.plan.alone[i]
    fields: dict[str, object] = {"chip": target.chip.id, "chips": chips}
    if isinstance(found, Infeasible):
        return {**fields, "step_time_s": None, "days": None, "reason": str(found)}
    days = days_alone(run, target)
    return {**fields, "step_time_s": found.time_s, "days": days, "reason": ""}


def days_alone(run: MixedRun, target: Machine) -> float | None:
    """Days of the whole run on one kind; None where it cannot train the model."""
    for way in (run.plan.way, *run.plan.others):
        if way.manner == "alone" and way.parts[0].machine is target:
            return run.plan.days(way)
    return None


def way_fields(plan: MixedPlan, way: Way) -> dict[str, object]:
    """Another way to use the fleet, in short."""
    return {
        "manner": way.manner,
        "step_time_s": way.time_s,
        "days": plan.days(way),
        "parts": [
            {
                "chip": part.machine.chip.id,
                "chips": part.chips,
                "layout": to_dict(part.layout),
                "layers": part.layers,
                "sequences": part.sequences,
            }
            for part in way.parts
        ],
    }


def sentence(arch: Architecture, run: MixedRun) -> str:
    """The answer in one sentence: what trains it, how long, how shared, the gain, what binds."""
    plan, job, days = run.plan, run.plan.job, significant(run.days)
    low, high = (significant(end) for end in run.days_range)
    parts = plan.way.parts
    names = " and ".join(f"{part.chips:,} x {part.machine.chip.name}" for part in parts)
    manner = MANNERS[plan.way.manner]
    if plan.way.manner == "replicas":
        taken = " and ".join(f"{part.sequences:,}" for part in parts)
        manner += f" ({taken} of {job.global_batch_sequences:,} sequences)"
    if plan.way.manner == "stages":
        manner += f" ({' and '.join(f'{part.layers}' for part in parts)} layers)"
    work = f"{arch.name} on {render(job.tokens, '1')} tokens in {days} days ({low}–{high})"
    return f"{names} train {work} {manner}; {_gain_words(plan)}{plan.bound.word} binds."


def _gain_words(plan: MixedPlan) -> str:
    best = plan.best_alone
    if best is None or plan.gain is None:
        return "no kind holds the model alone; "
    if plan.way is best:
        others = " and ".join(f"{idle.chips:,} {idle.machine.chip.id}" for idle in plan.idle)
        return f"{others} would not speed it up; "
    (one,) = best.parts
    return f"{plan.gain:.2f} times as fast as {one.chips:,} {one.machine.chip.id} alone; "


def summary(arch: Architecture, run: MixedRun) -> Fields:
    """Speed, use, goodput and energy of the fleet: one line each."""
    plan = run.plan
    job, step = plan.job, ranged(plan.time_s, plan.low_s, plan.high_s, "s")
    batch = f"{job.global_batch_sequences:,} sequences of {job.seq_len:,}, {job.dtype}"
    each = significant(plan.tokens_per_s / plan.chips)
    rows = [
        ("step", f"{step}, {batch}"),
        ("speed", f"{each} tokens/s/chip, {render(plan.tokens_per_s, '1')} tokens/s in all"),
        ("MFU", f"{100 * plan.mfu(arch):.1f} % of the peaks together"),
    ]
    if plan.of_sum is not None and len(plan.way.parts) > 1:
        rows.append(("use", f"{100 * plan.of_sum:.0f} % of the sum of the kinds' speeds alone"))
    rows += [("goodput", trains(run)), ("lost", losses(run))]
    if plan.power_w is not None:
        energy = plan.power_w * run.days * 24
        drawn = f"{render(plan.power_w, 'W')} of chips, {render(energy, 'Wh')} for the run"
        rows.append(("power", drawn))
    gains = sorted(_gains(plan), key=lambda g: -g[1])
    ten = ", ".join(f"{name} {100 * gain:.1f} %" for name, gain in gains if gain > 0.0005)
    rows.append(("10 % more", f"{ten} faster"))
    return Fields(rows=tuple(rows))


def parts_table(run: MixedRun) -> Table:
    """Each kind: what it takes, its layout, how long it waits, and its days alone."""
    plan, rows = run.plan, []
    for i, part in enumerate(plan.way.parts):
        memory = f"{render(first(plan.step.bytes[i]), 'byte')}"
        capacity = render(float(np.mean(part.machine.memory_bytes)), "byte")
        rows.append(
            (
                f"{part.chips:,} {part.machine.chip.id}",
                takes(plan, i),
                f"{100 * part_share(plan, i):.0f} %",
                f"{100 * waits(plan, i):.0f} %",
                f"{memory} of {capacity}",
                _days(run, part.machine),
                describe(part.layout),
            )
        )
    for idle in plan.idle:
        name = f"{idle.chips:,} {idle.machine.chip.id}"
        rows.append((name, "nothing", "", "", "", _days(run, idle.machine), ""))
    columns = ("part", "takes", "share", "waits", "memory", "days alone", "layout")
    return Table(columns, tuple(rows), "llrrrrl")


def takes(plan: MixedPlan, i: int) -> str:
    """`1,216 sequences` of a batch, or `layers 1–76`."""
    part = plan.way.parts[i]
    if plan.way.manner != "stages":
        return f"{part.sequences:,} sequences"
    before = sum(p.layers for p in plan.way.parts[:i])
    if part.layers == 1:
        return f"layer {before + 1}"
    return f"layers {before + 1}–{before + part.layers}"


def _days(run: MixedRun, target: Machine) -> str:
    days = days_alone(run, target)
    return "—" if days is None else significant(days)


def others_table(plan: MixedPlan, others: tuple[Way, ...]) -> tuple[Table, ...]:
    """The other ways to use the fleet, best first."""
    rows = tuple(
        (
            f"{fleet_text(way.parts)} {way.manner}",
            render(way.time_s, "s"),
            significant(plan.days(way)),
            f"+{100 * (way.run_s / plan.way.run_s - 1):.1f} %",
        )
        for way in others
    )
    return (Table(("other way", "step", "days", "slower by"), rows, "lrrr"),) if rows else ()
