"""What equals what: for each wanted chip the fewest that do the same work in the same time."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

import msgspec
import numpy as np

from parity.catalogue.machine import Draw, Machine, Number
from parity.catalogue.schema import Chip
from parity.errors import Infeasible, MissingFact
from parity.evaluate.energy import chip_power
from parity.evaluate.goodput import Stated
from parity.evaluate.kernels import rates
from parity.layout.layout import describe, to_dict
from parity.layout.serving import degrees, describe_replica
from parity.record import Finding
from parity.search.findings import choose_dtype, unmeasured, weak_figures
from parity.search.precision import choose_precision
from parity.search.replica import Replica, Replicas, ServingJob, best_of, replicas
from parity.search.run import fewest_chips_within, interrupted_times, plan_goodput
from parity.search.serve import bound_by, sampled_rates
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
from parity.search.walls_serving import ServingCase, serving_wall
from parity.timing.draw import USUAL_SAMPLES, Sampler
from parity.timing.engine import Engine
from parity.timing.software import Software
from parity.workload.operator import Architecture
from parity.workload.training import TrainingJob

#: The high end of how far engines' times are missed: a plan so many times as fast stands by.
FASTER = 1.5
#: What stands in the way of a chip that the catalogue does not hold enough of.
MISSING_FIGURE = "missing figure"
#: With more chips than this nothing is said of what a measurement would narrow, or what would move
#: a wall: it takes as long as the ranges themselves.
MOST_NARROWED = 12


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
            row = _training_row(arch, found, target, software, have.power_w if have else None)
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
    return Row(target.chip, None, found.reason, "P104", text, columns, None, {}, findings)


def _training_row(
    arch: Architecture,
    found: TrainingPlan,
    target: Machine,
    software: Software,
    reference_power: float | None,
) -> Row:
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
    )


def match_serving(
    arch: Architecture,
    job: ServingJob,
    requests_per_s: float,
    have: Replica | None,
    have_chips: int,
    wanted: tuple[Machine, ...],
    engine: Engine,
    dtype: str = "auto",
    kv: str = "auto",
    sampler: Sampler = USUAL_SAMPLES,
) -> list[Row]:
    """For each wanted machine the fewest chips that serve `requests_per_s` within the TPOT."""

    reference = None
    if have:
        own = have.model
        every = replicas(own.arch, job, have.machine, own.engine, have_chips)
        reference = once(relative_time(job, have, every), sampler)
    reference_power = _serving_power(have, have_chips) if have else None
    rows = []
    for target in wanted:
        try:
            precision, chosen = choose_precision(arch, target.chip, dtype, kv)
        except (Infeasible, MissingFact) as error:
            rows.append(refused(target.chip, error))
            continue
        this = replace(job, precision=precision)
        try:
            every = replicas(arch, this, target, engine)
            found = best_of(every, this)
        except Infeasible as error:
            case = ServingCase(arch, this, target, engine, kv)
            wall = serving_wall(case, moved=len(wanted) <= MOST_NARROWED)
            rows.append(replace(refused(target.chip, error), wall=wall))
            continue
        row = _serving_row(found, this, requests_per_s, reference_power)
        over = ratio(relative_time(this, found, every), reference)
        few = len(wanted) <= MOST_NARROWED
        counts = counted(row.count or 1, over, found.machine, sampler, narrowed=few)
        findings = (*chosen, *quality(target, found.multiplied))
        rows.append(replace(row, findings=findings, spread=counts))
    return rows


def relative_time(job: ServingJob, found: Replica, every: Replicas) -> Answering:
    """Time of a request over that of a plan at stated figures. every: what it was chosen from. [1]

    Where a sample is too slow for the plan's division, it takes the one that would be best if
    tokens had to come `FASTER`.
    """
    ways = [found]
    if not job.patient:
        quick = replace(job, ttft_s=job.ttft_s / FASTER, tpot_s=job.tpot_s / FASTER)
        with suppress(Infeasible):
            ways.append(best_of(every, quick))

    def relative(draw: Draw) -> Number:
        rate = np.max([sampled_rates(job, one, draw) for one in ways], axis=0)
        return found.requests_per_s_per_chip / rate

    return relative


def _serving_row(
    found: Replica,
    job: ServingJob,
    requests_per_s: float,
    reference_power: float | None,
) -> Row:
    replicas = int(np.ceil(requests_per_s / found.requests_per_s - 1e-6))
    count = int(in_nodes(replicas * found.chips, found.machine.node))
    power = _serving_power(found, count)
    steady = found.steady
    return Row(
        chip=found.machine.chip,
        count=count,
        reason=(
            f"{job.precision.weights}, {replicas:,} replicas of {found.chips}, batch {found.batch}"
        ),
        bound_by=bound_by(found),
        layout=f"{replicas:,} × {describe_replica(found.layout)}",
        layout_fields={**degrees(found.layout), "replicas": replicas, "batch": found.batch},
        power_ratio=power / reference_power if power and reference_power else None,
        detail={
            "tpot_s": float(steady.tpot_s[0]),
            "ttft_s": float(steady.ttft_s[0]),
            "prefill_s": float(steady.prompt.total_s[0]),
            "decode_s": float(steady.decode.total_s[0]),
            "output_tokens_per_s_per_chip": found.requests_per_s_per_chip
            * job.request.output_tokens,
        },
    )


def _serving_power(found: Replica, chips: int) -> float | None:
    if found.machine.tdp_w is None:
        return None
    return chips * float(np.mean(chip_power(found.machine.tdp_w, 0.9)))
