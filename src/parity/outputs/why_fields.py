"""Why a plan is as fast as it is, as plain numbers in SI units."""

from __future__ import annotations

from parity.evaluate.classes import Parts
from parity.evaluate.losses import Rung
from parity.outputs.why_words import part_rows
from parity.search.why import Why, bound_of, total
from parity.search.why_figures import Effect
from parity.search.why_measured import Measured
from parity.search.why_sweep import Sweep


def fields_of(why: Why) -> dict[str, object]:
    """All of the answer that does not depend on what was asked."""
    return {
        "step_s": total(why.parts.total_s),
        "parts": parts_fields(why.parts),
        "bound_by": bound_of(why.parts),
        "decode": None if why.decode is None else step_fields(why.decode),
        "prompt": None if why.prompt is None else step_fields(why.prompt),
        "first_token": [{"part": name, "time_s": s} for name, s in why.first_token],
        "losses": losses_fields(why.rungs),
        "roofline_s": None
        if why.roofs_s is None
        else {"compute": why.roofs_s[0], "memory": why.roofs_s[1]},
        "pools": [
            {
                "role": pool.role,
                "chip": pool.chip,
                "chips": pool.chips,
                "most_requests_per_s": pool.most_requests_per_s,
                "losses": losses_fields(pool.rungs),
            }
            for pool in why.pools
        ],
        "effects": effects_fields(why.effects),
        "sweep": None if why.sweep is None else sweep_fields(why.sweep),
        "measured": None if why.measured is None else measured_fields(why.measured),
    }


def losses_fields(rungs: tuple[Rung, ...]) -> list[dict[str, object]]:
    """Every rung with its share of the limit."""
    return [
        {"loss": rung.loss, "time_s": rung.time_s, "share": rungs[0].time_s / rung.time_s}
        for rung in rungs
    ]


def effects_fields(effects: tuple[Effect, ...]) -> list[dict[str, object]]:
    """Every figure and choice with what it does."""
    return [
        {
            "lever": one.lever,
            "amount": one.amount,
            "held": one.held,
            "low": one.span[0] if one.span else None,
            "high": one.span[1] if one.span else None,
            "replanned": one.replanned,
            "layout": one.layout,
            "hardware": one.hardware,
        }
        for one in effects
    ]


def parts_fields(parts: Parts) -> list[dict[str, object]]:
    """Every part with its seconds."""
    return [
        {"kind": kind, "part": name.removesuffix("_s"), "time_s": seconds}
        for kind, name, seconds in part_rows(parts)
    ]


def step_fields(parts: Parts) -> dict[str, object]:
    """One kind of step."""
    return {
        "step_s": total(parts.total_s), "bound_by": bound_of(parts), "parts": parts_fields(parts),
    }  # fmt: skip


def sweep_fields(sweep: Sweep) -> dict[str, object]:
    """Every point, and where the first figure stops helping on each line."""
    ends = [line.enough() for line in sweep.lines]
    return {
        "figure": sweep.axis.key,
        "values": list(sweep.axis.values),
        "other": sweep.other.key if sweep.other else None,
        "lines": [
            {
                "at": line.at,
                "speeds": list(line.speeds),
                "enough": None if end is None else sweep.axis.values[end],
                "binds": line.binds,
            }
            for line, end in zip(sweep.lines, ends, strict=True)
        ],
    }


def measured_fields(found: Measured) -> dict[str, object]:
    """A measurement among what is predicted."""
    return {
        "text": found.text,
        "speed": found.speed,
        "predicted": found.predicted,
        "low": found.low,
        "high": found.high,
        "percentile": found.percentile,
        "normal": found.normal,
        "faults": [
            {
                "name": one.name,
                "speed": one.speed,
                "checks": list(one.checks),
                "score": one.score,
                "explains": one.explains,
            }
            for one in found.faults
        ],
    }
