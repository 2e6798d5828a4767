"""What equals what: for each wanted chip the fewest that do the same work in the same time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import msgspec
import numpy as np

from parity.catalogue.machine import Draw, Machine, Number
from parity.catalogue.schema import Chip
from parity.errors import Infeasible, MissingFact
from parity.evaluate.goodput import Stated
from parity.evaluate.kernels import rates
from parity.layout.layout import describe, to_dict
from parity.record import Finding
from parity.search.findings import choose_dtype, unmeasured, weak_figures
from parity.search.run import fewest_chips_within, interrupted_times, plan_goodput
from parity.search.serve import ServingPlan
from parity.search.train import (
    TrainingPlan,
    Wall,
    fewest_chips,
    in_nodes,
    sampled_times,
    what_binds,
)
from parity.search.uncertainty import Answering, Spread, once, ratio, spread
from parity.search.walls import Obstacle, TrainingCase, training_wall
from parity.timing.draw import USUAL_SAMPLES, Sampler
from parity.timing.software import Software
from parity.workload.operator import Architecture
from parity.workload.training import TrainingJob

#: Plans so many times as fast stand by: for the high end of how far engines' times are missed, and
#: for that of a chip whose figures are estimated besides.
FASTER = (1.5, 2.5)
#: What stands in the way of a chip that the catalogue does not hold enough of.
MISSING_FIGURE = "missing figure"


@dataclass(frozen=True)
class Row:
    """One wanted chip: its count, or the wall."""

    chip: Chip
    count: int | None
    reason: str
    bound_by: str
    layout: str
    layout_fields: dict[str, int | str | bool]
    power_ratio: float | None
    detail: dict[str, float]
    findings: tuple[Finding, ...] = ()
    label: str = ""  # what was asked for, where that is not the plain chip
    spread: Spread | None = None  # of the count, in whole nodes
    wall: Obstacle | None = None  # what no count gets past
    way: TrainingPlan | ServingPlan | None = None  # the plan; without a count, the fastest there is
    work: Spread | None = None  # at equal cost: over the work of `have`
    work_ratio: float | None = None
    paid: str = ""  # `own` or `rent`, where cost is equal

    @property
    def name(self) -> str:
        """What the row is about, in words."""
        return self.label or self.chip.id

    @property
    def low(self) -> int | None:
        """P10 of the count, in whole nodes."""
        return int(self.spread.low) if self.spread else None

    @property
    def high(self) -> int | None:
        """P90 of the count, in whole nodes."""
        return int(self.spread.high) if self.spread else None


def refused(chip: Chip, error: Infeasible | MissingFact) -> Row:
    """The row of a chip that cannot do the work at all."""
    findings = error.findings if isinstance(error, Infeasible) else ()
    bound = findings[0].code if findings else MISSING_FIGURE
    reason = findings[0].message if findings else str(error)
    return Row(chip, None, reason, bound, "", {}, None, {}, findings)


def match_training(
    arch: Architecture,
    job: TrainingJob,
    time_s: float,
    have: TrainingPlan | None,
    wanted: tuple[Machine, ...],
    software: Software,
    dtype: str = "auto",
    stated: Stated | None = None,
    sampler: Sampler = USUAL_SAMPLES,
) -> list[Row]:
    """For each wanted machine the fewest chips whose step takes at most `time_s`.

    have: the plan that sets the target, whose uncertainty the counts then share; None where the
    target is a number. dtype: of the wanted chips; `auto` lets each choose. stated: when given,
    a step and what interrupts it must take at most `time_s` together.
    """

    def relative(plan: TrainingPlan, draw: Draw) -> Number:
        """Times of a plan over its own. [1]"""
        if stated is None:
            return sampled_times(arch, plan, software, draw) / plan.time_s
        alone = plan.time_s / plan_goodput(arch, plan, stated).fraction
        return interrupted_times(arch, plan, software, stated, draw) / alone

    reference = once(partial(relative, have), sampler) if have else None
    rows = []
    for target in wanted:
        try:
            own, chosen = choose_dtype(target.chip, dtype)
            this = msgspec.structs.replace(job, dtype=own)
            if have and (target.chip, own) == (have.machine.chip, have.job.dtype):
                found: TrainingPlan | Wall = have  # fewer may do, but nobody asked
            elif stated is None:
                found = fewest_chips(arch, this, target, software, time_s)
            else:
                found = fewest_chips_within(arch, this, target, software, time_s, stated)
            findings = (*chosen, *quality(target, own))
            if isinstance(found, Wall):
                case = TrainingCase(arch, this, target, software, time_s, stated)
                wall = training_wall(case, found)
                rows.append(replace(_wall_row(found, target, findings), wall=wall))
                continue
            row = training_row(arch, found, target, software, have.power_w if have else None)
            over = ratio(partial(relative, found), reference)
            counts = counted(found.chips, over, target, sampler)
            rows.append(replace(row, findings=findings, spread=counts))
        except (Infeasible, MissingFact) as error:
            rows.append(refused(target.chip, error))
    return rows


def quality(target: Machine, dtype: str) -> tuple[Finding, ...]:
    """Findings about the figures of one machine at one dtype."""
    basis = rates(target, dtype).basis
    return (*weak_figures(target.chip, dtype), *unmeasured(target.chip, dtype, basis))


def counted(
    count: int, relative: Answering, target: Machine, sampler: Sampler, *, narrowed: bool = True
) -> Spread:
    """The range of a count whose work takes `relative` of the time predicted, whole nodes. [1]"""

    def whole(ratio: float) -> float:
        return float(in_nodes(np.ceil(count * ratio - 1e-9), target.node))

    return spread(relative, sampler, narrowed=narrowed).through(whole).holding(count)


def _wall_row(found: Wall, target: Machine, findings: tuple[Finding, ...]) -> Row:
    fastest = found.fastest
    text = describe(fastest.layout) if fastest else ""
    columns = to_dict(fastest.layout) if fastest else {}
    way = found.fastest
    return Row(target.chip, None, found.reason, "P104", text, columns, None, {}, findings, way=way)


def training_row(
    arch: Architecture,
    found: TrainingPlan,
    target: Machine,
    software: Software,
    reference_power: float | None,
) -> Row:
    """The row of a plan. reference_power: of the chips held. [W]"""
    power = found.power_w
    ratio = power / reference_power if power and reference_power else None
    bound = what_binds(arch, found.job, target, software, found.layout)
    return Row(
        chip=target.chip,
        count=found.chips,
        reason=f"{found.job.dtype}, step {found.time_s:.3g} s",
        bound_by=bound.word,
        layout=describe(found.layout),
        layout_fields=to_dict(found.layout),
        power_ratio=ratio,
        detail={
            "step_time_s": found.time_s,
            "mfu": found.mfu(arch),
            "tokens_per_s_per_chip": found.tokens_per_s / found.chips,
            **{f"gain_{k.replace(' ', '_').replace('-', '_')}": v for k, v in bound.gains.items()},
        },
        way=found,
    )
