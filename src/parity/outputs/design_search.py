"""What a search over designs found: the front, the best of each portfolio, and their regret."""

from __future__ import annotations

from typing import Any

import numpy as np

from parity.outputs.document import Chart, Part, Series, Table, Words
from parity.outputs.fab_tables import percent
from parity.search.design import Judged, Objective, toll
from parity.search.design_space import (
    Report,
    Tried,
    best,
    explore,
    front,
    general,
    regrets,
    task,
)
from parity.search.portfolio import Portfolio
from parity.supply.custom import Design
from parity.units import render, significant

#: Points of a front that are written.
MOST_POINTS = 24


def searched(
    start: Design,
    objective: Objective,
    portfolios: tuple[Portfolio, ...],
    reference: Design,
    seed: int,
    tries: int,
    report: Report | None,
) -> tuple[list[Part], dict[str, Any]]:
    """The parts of the answer that a search adds, and the same as data."""
    asked = task(start, objective, portfolios, reference, seed, tries)
    found = explore(asked, report)
    chosen = {
        "as given": found[0],
        **{f"best for {one.name}": best(found, i) for i, one in enumerate(portfolios)},
        "least regret": general(found),
    }

    def worth(one: Tried, measure: Objective) -> float:
        if not one.speeds:
            return 0.0
        return toll(one.one, one.speeds[0], asked.reference, asked.reference_speeds[0], measure)

    axes = (lambda one: worth(one, "tokens/s/$"), lambda one: worth(one, "tokens/s/W"))
    kept = sorted(front(found, axes), key=axes[0])[-MOST_POINTS:]
    parts: list[Part] = [
        _table(chosen, found, portfolios, objective),
        Words(_said(chosen, found, portfolios)),
        Chart(
            title=f"Designs on `{portfolios[0].name}`: none beats the front in both",
            x=f"work for a dollar, over {reference.name}",
            y=f"work for a watt, over {reference.name}",
            series=(
                Series("tried", tuple((axes[0](one), axes[1](one)) for one in found if one.speeds)),
                Series("front", tuple((axes[0](one), axes[1](one)) for one in kept), joined=True),
            ),
        ),
    ]
    fields = {
        "objective": objective,
        "seed": seed,
        "tried": len(found),
        "portfolios": [one.name for one in portfolios],
        "designs": [
            {"name": name, **_fields(one), "regrets": list(regrets(one, found))}
            for name, one in chosen.items()
        ],
        "front": [{**_fields(one), "per_usd": axes[0](one), "per_w": axes[1](one)} for one in kept],
    }
    return parts, fields


def _table(
    chosen: dict[str, Tried],
    found: tuple[Tried, ...],
    portfolios: tuple[Portfolio, ...],
    objective: Objective,
) -> Table:
    rows = []
    for name, one in chosen.items():
        missed = regrets(one, found)
        cells = [name, *_made(one.one)]
        for merit, regret in zip(one.merits, missed, strict=True):
            cells += [f"×{merit:.3g}" if merit > 0 else "no", percent(regret)]
        rows.append(tuple(cells))
    heads = [head for one in portfolios for head in (one.name, "regret")]
    return Table(
        columns=("design", "dies", "mm²", "bf16", "stacks", "links", "W", *heads),
        rows=tuple(rows),
        align="lrrrrrr" + "rr" * len(portfolios),
        title=f"best of {len(found)} designs by {objective}",
    )


def _made(one: Judged) -> list[str]:
    design, at = one.design, one.figures
    stacks = f"{design.memory.count} {design.memory.hbm.id}" if design.memory else "0"
    return [
        str(design.silicon.dies),
        significant(design.whole_mm2),
        render(float(np.median(at.peak_flop_per_s)), "FLOP/s"),
        stacks,
        str(design.silicon.ports.links),
        significant(float(np.median(at.tdp_w))),
    ]


def _said(
    chosen: dict[str, Tried], found: tuple[Tried, ...], portfolios: tuple[Portfolio, ...]
) -> str:
    held = "SRAM and cores grow with the matrix units: planners do not see what less of them costs."
    if len(portfolios) == 1:
        return held
    first, later = portfolios[0].name, portfolios[-1].name
    special = regrets(chosen[f"best for {first}"], found)[-1]
    safe = max(regrets(chosen["least regret"], found))
    return (
        f"The design that is best for `{first}` gives {percent(special)} less on `{later}` than "
        f"the best there; the one with least regret at most {percent(safe)} less on either. {held}"
    )


def _fields(one: Tried) -> dict[str, Any]:
    design, at = one.one.design, one.one.figures
    return {
        "dies": design.silicon.dies,
        "silicon_mm2": design.whole_mm2,
        "bf16_flop_per_s": float(np.median(at.peak_flop_per_s)),
        "stacks": design.memory.count if design.memory else 0,
        "links": design.silicon.ports.links,
        "tdp_w": float(np.median(at.tdp_w)),
        "usd": float(np.median(one.one.dollars)),
        "merits": list(one.merits),
    }
