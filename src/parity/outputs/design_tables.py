"""The tables of a chip of one's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from parity.catalogue.machine import Number
from parity.catalogue.schema import Chip, figure_at
from parity.outputs.document import Table
from parity.outputs.fab_tables import percent, triple
from parity.outputs.figures import fact_text, span
from parity.record import Fact
from parity.search.design import Judged, Objective, Speed, price, score, toll
from parity.search.portfolio import Portfolio
from parity.supply.cost import PARTS
from parity.supply.custom import cooling_of
from parity.supply.floorplan import BLOCKS
from parity.supply.power import Power
from parity.units import significant

#: What of a chip is set beside the chip that it is like.
_FIGURES = (
    "compute.dense.bf16", "compute.dense.fp8", "compute.dense.fp4", "compute.vector_fp32",
    "compute.units", "memory.capacity", "memory.bandwidth", "memory.sram", "scale_up.bandwidth",
    "scale_up.domain", "physical.die_area", "physical.dies_per_package", "physical.tdp",
)  # fmt: skip
_MEASURES: tuple[tuple[str, Objective], ...] = (
    ("a dollar", "tokens/s/$"), ("a watt", "tokens/s/W"), ("a wafer", "tokens/s/wafer"),
)  # fmt: skip


@dataclass(frozen=True)
class Shown:
    """A design at its stated figures and over their range, its speeds and those of others."""

    at: Judged
    over: Judged
    chip: Chip
    portfolio: Portfolio
    speeds: tuple[Speed, ...]
    ends: tuple[tuple[Speed, ...], tuple[Speed, ...]]  # at P10 and P90 of its figures
    against: tuple[Judged, ...]
    theirs: tuple[tuple[Speed, ...], ...]


def _watts(power: Power) -> dict[str, Number]:
    """Watts by block; what is drawn whatever is done stands beside the rest."""
    return {
        "matrix units": power.matrix, "HBM PHYs": power.memory, "links": power.links,
        "rest": power.static,
    }  # fmt: skip


def floorplan_table(shown: Shown) -> Table:
    """Blocks: area, its range, share of the dies, watts."""
    areas, over = shown.at.figures.plan.areas, shown.over.figures.plan.areas
    watts, whole = _watts(shown.at.figures.power), shown.at.design.whole_mm2
    rows = []
    for name in BLOCKS:
        area = _middle(areas[name])
        low, high = _ends(over[name], area)
        drawn = f"{significant(_middle(watts[name]))}" if name in watts else ""
        rows.append(
            (name, significant(area), span(low, high, area, "mm2"), percent(area / whole), drawn)
        )
    total = significant(_middle(shown.at.figures.power.total))
    rows.append(("all dies", significant(whole, 4), "", "", total))
    return Table(
        columns=("block", "mm²", "range", "share", "W"),
        rows=tuple(rows),
        align="lrrrr",
        title="floor plan; watts at the sustained clock (links with host and dies; rest: leakage)",
    )


def figures_table(shown: Shown) -> Table:
    """Figures of the chip beside those of the chip it is like."""
    like = shown.at.design.like
    rows = []
    for path in _FIGURES:
        own, base = figure_at(shown.chip, path), figure_at(like, path)
        if own is None:
            continue
        ratio = f"×{own.value / base.value:.3g}" if base and base.value else ""
        rows.append((path, fact_text(own), fact_text(base) if base else "", ratio))
    return Table(columns=("figure", "design", like.id, "ratio"), rows=tuple(rows), align="llll")


def cost_table(shown: Shown) -> Table:
    """Dollars by component, with cooling and electricity below what making costs."""
    parts = _parts(shown.over)
    made = float(np.mean(shown.over.cost.total_usd))
    rows = []
    for name, value in parts.items():
        ends = triple(value)
        of = percent(float(np.mean(value)) / made) if name in PARTS else ""
        rows.append((name, *(significant(ends[end]) for end in ("low", "p50", "high")), of))
    return Table(
        columns=("USD a chip", "P10", "P50", "P90", "share"),
        rows=tuple(rows),
        align="lrrrr",
        title="what it costs (percentiles of parts do not add up to those of the total)",
    )


def _parts(one: Judged) -> dict[str, Number]:
    made = {name: one.cost.parts[name] for name in PARTS if name in one.cost.parts}
    cooling = cooling_of(one.design, one.figures).name
    return {
        **made,
        "making": one.cost.total_usd,
        f"cooling by {cooling}": one.cooling_usd,
        "electricity": one.energy_usd,
    }


def speed_table(shown: Shown) -> Table:
    """Tokens a second of a chip on each piece of work, and over those of the others."""
    names = [other.design.name for other in shown.against]
    rows = []
    for i, own in enumerate(shown.speeds):
        low, high = sorted(end[i].tokens_per_s for end in shown.ends)
        cells = [own.work.name, own.work.model, percent(own.work.share), _rate(own.tokens_per_s)]
        cells.append("" if low == high else f"{significant(low)}–{significant(high)}")
        cells += [_ratio(own.tokens_per_s, theirs[i].tokens_per_s) for theirs in shown.theirs]
        rows.append((*cells, own.reason))
    heads = (
        "work",
        "model",
        "share",
        "tokens/s",
        "range",
        *(f"of {name}" for name in names),
        "why",
    )
    if not any(row[-1] for row in rows):
        heads, rows = heads[:-1], [row[:-1] for row in rows]
    return Table(
        columns=heads,
        rows=tuple(rows),
        align="llrrr" + "r" * len(names) + "l" * (len(heads) - 5 - len(names)),
        title=f"speed of one chip on `{shown.portfolio.name}`, prompts and answers together",
    )


def worth_table(shown: Shown) -> Table:
    """What it is worth on the whole portfolio, by itself and for what is scarce."""
    rows = []
    for other, theirs in zip(shown.against, shown.theirs, strict=True):
        cells = [f"against {other.design.name}", _times(score(shown.speeds, theirs))]
        cells += [
            _times(toll(shown.at, shown.speeds, other, theirs, objective))
            for _, objective in _MEASURES
        ]
        rows.append(tuple(cells))
    return Table(
        columns=("", "a chip", *(f"{name}" for name, _ in _MEASURES)),
        rows=tuple(rows),
        align="lrrrr",
        title="worth (what it cannot do is done by the other chip, at its price)",
    )


def _rate(value: float) -> str:
    return significant(value) if value > 0 else "no"


def _ratio(own: float, other: float) -> str:
    return f"×{own / other:.3g}" if other > 0 and own > 0 else ""


def _times(value: float) -> str:
    return f"×{value:.3g}" if value > 0 else "no"


def _middle(value: Number) -> float:
    return float(np.median(value))


def _ends(samples: Number, value: float) -> tuple[float, float]:
    low, high = (float(q) for q in np.quantile(np.ravel(samples), [0.1, 0.9]))
    return min(low, value), max(high, value)


def _wide(at: Number, over: Number) -> dict[str, float]:
    low, high = _ends(over, _middle(at))
    return {"value": _middle(at), "p10": low, "p90": high}


def plan_fields(shown: Shown) -> dict[str, Any]:
    """The design, its floor plan and its figures, as JSON has them."""
    design, at, over = shown.at.design, shown.at.figures, shown.over.figures
    watts = _watts(at.power)
    cooling = cooling_of(design, at)
    figures: dict[str, Fact | None] = {path: figure_at(shown.chip, path) for path in _FIGURES}
    return {
        "chip": design.name,
        "like": design.like.id,
        "node": design.silicon.node.id,
        "dies": design.silicon.dies,
        "die_mm2": design.die_mm2,
        "clock_hz": design.clock_ghz.value * 1e9 * _middle(at.clock),
        "logic_fit": design.silicon.fit,
        "power_fit": design.watts_fit,
        "blocks": [
            {
                "block": name,
                "mm2": _wide(at.plan.areas[name], over.plan.areas[name]),
                "w": _middle(watts[name]) if name in watts else None,
            }
            for name in BLOCKS
        ],
        "tdp_w": _wide(at.tdp_w, over.tdp_w),
        "cooling": cooling.id,
        "figures": {path: fact for path, fact in figures.items() if fact is not None},
    }


def money_fields(shown: Shown) -> dict[str, Any]:
    """Dollars by component."""
    return {
        "usd": [{"part": name, **triple(value)} for name, value in _parts(shown.over).items()],
        "per_wafer": triple(shown.over.per_wafer),
    }


def speed_fields(shown: Shown) -> dict[str, Any]:
    """Speed on each piece of work."""
    rows = []
    for i, own in enumerate(shown.speeds):
        ends = [end[i].tokens_per_s for end in shown.ends]
        rows.append({
            "work": own.work.name, "kind": own.work.kind, "model": own.work.model,
            "share": own.work.share, "tokens_per_s": own.tokens_per_s, "p10": min(ends),
            "p90": max(ends), "chips": own.chips, "reason": own.reason,
            "against": [
                {"chip": other.design.name, "tokens_per_s": theirs[i].tokens_per_s}
                for other, theirs in zip(shown.against, shown.theirs, strict=True)
            ],
        })  # fmt: skip
    return {"portfolio": shown.portfolio.name, "speeds": rows}


def worth_fields(shown: Shown) -> dict[str, Any]:
    """Worth on the whole portfolio against each chip."""
    measures: tuple[tuple[str, Callable[[Judged], float]], ...] = (
        ("usd", lambda one: price(one, "tokens/s/$")),
        ("site_w", lambda one: price(one, "tokens/s/W")),
    )
    rows = []
    for other, theirs in zip(shown.against, shown.theirs, strict=True):
        tolls = [
            toll(shown.at, shown.speeds, other, theirs, objective) for _, objective in _MEASURES
        ]
        rows.append({
            "chip": other.design.name, "chips": score(shown.speeds, theirs),
            "per_usd": tolls[0], "per_w": tolls[1], "per_wafer": tolls[2],
            **{name: {"design": of(shown.at), "other": of(other)} for name, of in measures},
        })  # fmt: skip
    return {"worth": rows}
