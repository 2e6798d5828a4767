"""Why a plan of several kinds of chip is as fast as it is, as an answer."""

from __future__ import annotations

from dataclasses import dataclass

from parity.layout.layout import describe
from parity.outputs.document import Bars, Document, Fields, Part
from parity.outputs.envelope import TARGET_MISSED, Answer
from parity.outputs.mixed import MANNERS, fleet_text, part_share
from parity.outputs.why_fields import effects_fields, losses_fields, parts_fields
from parity.outputs.why_words import figure_table, helps, ladder, spanned, spent
from parity.record import Finding
from parity.search.why_figures import figures
from parity.search.why_mixed import FleetWhy, KindTime
from parity.units import render, significant
from parity.workload.adapters import rank_of
from parity.workload.operator import Architecture

SPENT = {
    "work": "operators at work", "exchanges": "exchanges, launches, recomputation",
    "waiting": "waiting for the slowest kind", "closing": "gradients between kinds",
}  # fmt: skip
#: The same of a pipeline over two kinds.
STAGED = SPENT | {"closing": "pipeline bubble, gradients, optimizer"}


@dataclass(frozen=True)
class FleetTold:
    """All that an answer is made of."""

    why: FleetWhy
    arch: Architecture
    findings: tuple[Finding, ...]
    missed: bool = False


def fleet_answer(told: FleetTold) -> Answer:
    """What each kind does in a step, which is waited for, and which figure of which would help."""
    why, plan = told.why, told.why.plan
    parts: list[Part] = [_facts(told)]
    for i, kind in enumerate(why.kinds):
        parts += _kind_parts(told, i, kind)
    anew = "the work shared as it is, and as if no kind ever waited for another"
    values = {
        f"{kind.part.machine.chip.id}@{f.key}": render(f.value, f.unit)
        for kind in why.kinds
        for f in figures(kind.part.machine, (plan.job.dtype,))
        if f.value is not None
    }
    parts.append(figure_table(why.effects, values, "tokens/s", anew))
    return Answer(
        command="why",
        content={
            "why": {
                "manner": plan.way.manner,
                "chips": plan.chips,
                "dtype": plan.job.dtype,
                "speed": plan.tokens_per_s,
                "step_s": plan.time_s,
                "range": {"low": plan.low_s, "high": plan.high_s, "unit": "s"},
                "waited_for": why.kinds[why.slowest].part.machine.chip.id,
                "kinds": [_fields(told, i) for i in range(len(why.kinds))],
                "effects": effects_fields(why.effects),
            },
            "findings": told.findings,
        },
        document=Document(
            sentence=_sentence(told),
            parts=tuple(parts),
            findings=told.findings,
            next=(f"parity plan train {rank_of(told.arch)[0]} --on {fleet_text(plan.way.parts)}",),
        ),
        exit_code=TARGET_MISSED if told.missed else 0,
    )


def _sentence(told: FleetTold) -> str:
    why, plan = told.why, told.why.plan
    names = " and ".join(f"{k.part.chips:,} x {k.part.machine.chip.name}" for k in why.kinds)
    span = spanned((plan.low_s, plan.high_s), "s")
    share = 100 * plan.mfu(told.arch)
    return (
        f"A step of {told.arch.name} on {names} {MANNERS[plan.way.manner]} takes "
        f"{render(plan.time_s, 's')} ({span}), {share:.1f} % of the peaks; {_waiting(why)}. "
        f"{helps(why.effects, 'tokens/s')}"
    )


def _waiting(why: FleetWhy) -> str:
    """`H20 is waited for (A100 waits 12 % of a step)`."""
    slowest = why.kinds[why.slowest].part.machine.chip.name
    if len(why.kinds) == 1:
        return "no kind waits for another"
    idle = [
        f"{kind.part.machine.chip.name} waits {100 * kind.waits_s / why.plan.time_s:.1f} %"
        for i, kind in enumerate(why.kinds)
        if i != why.slowest
    ]
    return f"{slowest} is waited for ({', '.join(idle)} of a step)"


def _facts(told: FleetTold) -> Fields:
    plan = told.why.plan
    rows = [
        (kind.part.machine.chip.id, f"{100 * part_share(plan, i):.1f} % of "
         f"{'the layers' if plan.way.manner == 'stages' else 'the batch'}: "
         f"{describe(kind.part.layout)}")
        for i, kind in enumerate(told.why.kinds)
    ]  # fmt: skip
    return Fields((*rows, ("speed", f"{significant(plan.tokens_per_s)} tokens/s of all chips")))


def _kind_parts(told: FleetTold, i: int, kind: KindTime) -> list[Part]:
    """What one kind does in the step, its own step by operators, and its way from the peak."""
    why, chip = told.why, kind.part.machine.chip
    name = f"{kind.part.chips:,} x {chip.name}"
    words = STAGED if why.plan.way.manner == "stages" else SPENT
    whole = why.plan.time_s
    rows = tuple(
        (words[what], s, f"{render(s, 's')}  {100 * s / whole:.1f} %") for what, s in kind.spent
    )
    slow = " (waited for)" if i == why.slowest and len(why.kinds) > 1 else ""
    found: list[Part] = [Bars(rows, f"{name}{slow}, a step of {render(whole, 's')}")]
    if kind.parts is not None:
        found += [
            spent(kind.parts, f"{name}: its own step"),
            ladder(kind.rungs, f"{name}: of its {why.plan.job.dtype} peak, model FLOPs (MFU)"),
        ]
    return found


def _fields(told: FleetTold, i: int) -> dict[str, object]:
    kind = told.why.kinds[i]
    return {
        "chip": kind.part.machine.chip.id,
        "chips": kind.part.chips,
        "layout": describe(kind.part.layout),
        "share": part_share(told.why.plan, i),
        "own_s": kind.own_s,
        "spent": [{"part": what, "time_s": seconds} for what, seconds in kind.spent],
        "parts": [] if kind.parts is None else parts_fields(kind.parts),
        "losses": losses_fields(kind.rungs),
    }
