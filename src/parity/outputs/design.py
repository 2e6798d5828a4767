"""A chip of one's own, as an answer: floor plan, figures, cost, speed, and what it breaks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from parity.catalogue.schema import Chip
from parity.catalogue.spec import COMMAND_LINE
from parity.outputs.design_search import searched
from parity.outputs.design_tables import (
    Shown,
    cost_table,
    figures_table,
    floorplan_table,
    money_fields,
    plan_fields,
    speed_fields,
    speed_table,
    worth_fields,
    worth_table,
)
from parity.outputs.document import Document, Part
from parity.outputs.envelope import NOT_FEASIBLE, Answer
from parity.outputs.fab_tables import cited, inputs_of, percent
from parity.outputs.figures import marks, ranged
from parity.record import Fact, Finding
from parity.search.design import Judged, Objective, judged, score, speeds
from parity.search.design_space import Report
from parity.search.portfolio import Portfolio
from parity.supply import blocks
from parity.supply.custom import Design, cooling_of, recipe
from parity.supply.custom_chip import as_chip, at_end
from parity.supply.custom_limits import LITTLE_REST, limits
from parity.timing.draw import USUAL_SAMPLES
from parity.units import render, significant

UNSEEN = "P333"
#: A share of the samples that is worth a word.
OFTEN = 0.1


@dataclass(frozen=True)
class Asked:
    """The whole question; the first chip of `against` is the measure."""

    design: Design
    portfolio: Portfolio
    against: tuple[Design, ...]
    objective: Objective | None
    later: Portfolio
    tries: int
    seed: int
    words: str  # of the design, as typed


def design_answer(asked: Asked, report: Report | None = None) -> tuple[Answer, Chip | None]:
    """The answer, and the chip it is of; None where the design cannot be made."""
    at = judged(asked.design)
    found = limits(asked.design, at.figures)
    cooled = replace(asked.design, cooling=cooling_of(asked.design, at.figures))
    at, over = judged(cooled), judged(cooled, USUAL_SAMPLES)
    if any(one.severity == "error" for one in found):
        return _broken(asked, at, over, found), None
    chip = as_chip(asked.design, at.figures, over.figures)
    shown = _shown(asked, at, over, chip)
    findings = (*found, *_doubtful(shown), *_unseen(shown))
    parts: list[Part] = [
        floorplan_table(shown), figures_table(shown), cost_table(shown), speed_table(shown),
        worth_table(shown),
    ]  # fmt: skip
    content: dict[str, Any] = {"answer": {**plan_fields(shown), **money_fields(shown)}}
    content["answer"] |= speed_fields(shown) | worth_fields(shown)
    if asked.objective is not None:
        more, fields = searched(
            asked.design, asked.objective, _portfolios(asked), asked.against[0],
            asked.seed, asked.tries, report,
        )  # fmt: skip
        parts += more
        content["search"] = fields
    mark = marks(fact.source for fact in _inputs(asked.design, at))
    document = Document(
        sentence=_sentence(shown),
        parts=tuple(parts),
        findings=findings,
        sources=tuple(cited(key) for key in mark),
        next=_next(asked),
    )
    content["findings"] = findings
    return Answer(command="chips design", content=content, document=document), chip


def _portfolios(asked: Asked) -> tuple[Portfolio, ...]:
    one, other = asked.portfolio, asked.later
    return (one,) if one == other else (one, other)


def _shown(asked: Asked, at: Judged, over: Judged, chip: Chip) -> Shown:
    against = tuple(judged(other) for other in asked.against)
    theirs = tuple(speeds(other.chip, asked.portfolio, other.design.without) for other in against)
    own, low, high = (
        speeds(one, asked.portfolio, asked.design.without)
        for one in (at.chip, at_end(chip, "low"), at_end(chip, "high"))
    )
    return Shown(at, over, chip, asked.portfolio, own, (low, high), against, theirs)


def _broken(asked: Asked, at: Judged, over: Judged, found: tuple[Finding, ...]) -> Answer:
    chip = as_chip(asked.design, at.figures, over.figures)
    shown = Shown(at, over, chip, asked.portfolio, (), ((), ()), (), ())
    first = next(one for one in found if one.severity == "error")
    document = Document(
        sentence=f"{asked.design.name} cannot be made: {_lower(first.message)}",
        parts=(floorplan_table(shown), figures_table(shown)),
        findings=found,
        next=(f"parity chips design --from {asked.design.like.id}",),
    )
    content = {"answer": plan_fields(shown), "findings": found}
    return Answer(
        command="chips design", content=content, document=document, exit_code=NOT_FEASIBLE
    )


def _lower(text: str) -> str:
    return text[0].lower() + text[1:] if text[:1].isupper() and text[1:2].islower() else text


def _sentence(shown: Shown) -> str:
    design, chip, at = shown.at.design, shown.chip, shown.at
    peak = chip.compute.dense.bf16 or chip.compute.dense.fp16
    assert peak is not None
    assert chip.physical.tdp is not None
    speed = ranged(peak.value, peak.low, peak.high, peak.unit)
    memory = ""
    if chip.memory.capacity and chip.memory.bandwidth:
        memory = (
            f", {render(chip.memory.capacity.value, 'byte')} at "
            f"{render(chip.memory.bandwidth.value, 'byte/s')}"
        )
    low, middle, high = (
        float(q) for q in np.quantile(np.ravel(shown.over.cost.total_usd), [0.1, 0.5, 0.9])
    )
    worth = score(shown.speeds, shown.theirs[0])
    first = shown.against[0].design.name
    dollars = worth / float(np.median(at.dollars)) * float(np.median(shown.against[0].dollars))
    what = (
        f"worth {significant(worth)} {first} on `{shown.portfolio.name}`, "
        f"{significant(dollars)} for a dollar"
        if worth > 0
        else f"it cannot do all of `{shown.portfolio.name}`"
    )
    watts = render(chip.physical.tdp.value, "W")
    return (
        f"{design.name} on {design.silicon.node.id}: {speed} bf16{memory}, {watts}; it costs about "
        f"{ranged(middle, low, high, 'USD')} to make; {what}."
    )


def _doubtful(shown: Shown) -> tuple[Finding, ...]:
    """Whether the blocks may not fit after all, over the range of their areas."""
    rest = np.ravel(shown.over.figures.plan.areas["rest"])
    share = float(np.mean(rest < 0))
    if share < OFTEN:
        return ()
    message = (
        f"In {percent(share)} of what the figures of its blocks allow they do not fit on the dies."
    )
    return (Finding(LITTLE_REST, "warning", message, "a larger die, or less of a block"),)


def _unseen(shown: Shown) -> tuple[Finding, ...]:
    """What the planners cannot see of a design."""
    design = shown.at.design
    if design.silicon.mac == "mac" and shown.at.figures.plan.cores > 0:
        ratio = float(shown.at.figures.plan.macs / shown.at.figures.plan.cores)
        if ratio <= 2 * design.core_macs:
            return ()
    return (
        Finding(
            UNSEEN, "note",
            "Speeds take the cores, kernels and software of the chip it is like "
            f"({design.like.id}); whether software of its own reaches them, and what less SRAM and "
            "fewer vector lanes cost, they do not see.",
            "a design whose cores are like that chip's",
        ),
    )  # fmt: skip


def _inputs(design: Design, at: Judged) -> list[Fact]:
    """The figures of blocks, energy and cost that a design rests on."""
    silicon, ports = design.silicon, design.silicon.ports
    energy = blocks.energy()
    cooling = cooling_of(design, at.figures)
    found = [blocks.logic()[name].transistors for name in (silicon.mac, "core", "crossbar")]
    found += [silicon.node.density_mtr_per_mm2, silicon.node.sram_cell_um2]
    found += [silicon.array.efficiency, ports.memory.area_mm2, ports.link.area_mm2]
    found += [ports.memory.pj_per_bit, ports.link.pj_per_bit, energy.mac_pj, energy.delivery]
    found += [energy.static_w_per_mm2, blocks.scales()[str(silicon.node.class_nm)].energy]
    found += [cooling.limit_w, cooling.usd_per_w, cooling.pue]
    found += [fact for _, fact in inputs_of(recipe(design)) if fact.source != COMMAND_LINE]
    return [fact for fact in found if fact is not None]


def _next(asked: Asked) -> tuple[str, ...]:
    start = f"parity chips design {asked.words}"
    return (f"{start} --optimise tokens/s/$", f"{start} --save {asked.design.name}.toml")
