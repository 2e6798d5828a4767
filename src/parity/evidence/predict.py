"""Predicts rows of evidence, many with one evaluation.

`step_times` is the door to the equations: with `central` it gives the expected step times, with a
`Sampler` samples of them, with a fit's draw those of a candidate. Shape (samples, cases).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity.catalogue import load
from parity.catalogue.machine import Draw, Machine, Number, central
from parity.errors import ParityError
from parity.evaluate.memory import counted_bytes
from parity.evaluate.training import Step, training_step
from parity.evidence.layouts import NoLayout, Placed, place
from parity.evidence.physics import objection
from parity.evidence.resolve import Case, Refused, Target, resolve
from parity.evidence.schema import Prediction, Row
from parity.evidence.sources import by_id
from parity.layout.layout import concatenate, describe
from parity.timing.draw import Sampler
from parity.timing.software import software

Array = NDArray[np.float64]

#: Samples over the ranges of all figures; low and high are their P10 and P90.
SAMPLES = 64
LOW, HIGH = 0.1, 0.9
GIB = 2.0**30


@dataclass(frozen=True)
class Excluded:
    """A case whose measurement breaks physics."""

    case: Case
    reason: str


Outcome = Placed | Excluded | Refused[Row]


def prepare(rows: Iterable[Row], draw: Draw = central) -> tuple[Outcome, ...]:
    """Resolve each row, hold it against physics, and give it a layout; in the order of the rows."""
    machines: dict[Target, Machine] = {}
    known: dict[object, Placed] = {}
    return tuple(_prepared(row, machines, known, draw) for row in rows)


def _prepared(
    row: Row, machines: dict[Target, Machine], known: dict[object, Placed], draw: Draw
) -> Outcome:
    case = resolve(row)
    if isinstance(case, Refused):
        return case
    try:
        if case.target not in machines:
            machines[case.target] = case.target.machine(draw)
        numbers = machines[case.target]
        broken = objection(case, numbers)
        return Excluded(case, broken) if broken else _place(case, numbers, known)
    except (NoLayout, ParityError) as error:
        return Refused(case.row, str(error), True, case.target.chip)


def _place(case: Case, numbers: Machine, known: dict[object, Placed]) -> Placed:
    """The layout of a case; rows that ask for the same one are answered once."""
    row = case.row
    key = (
        id(case.arch), case.target, case.job.seq_len, case.job.global_batch_tokens, case.job.dtype,
        case.chips, case.software, case.recompute, row.tp, row.pp, row.cp, row.ep, row.dp,
        row.interleave, row.microbatch, row.zero_or_fsdp, row.seq_parallel, row.ranks_per_chip,
    )  # fmt: skip
    if key not in known:
        known[key] = place(case, numbers)
    return Placed(case, known[key].layout, known[key].origin)


def steps(placed: Sequence[Placed], draw: Draw = central) -> Iterator[tuple[list[int], Step]]:
    """Evaluates the cases in groups of one model, job, machine and software: (which, their step).

    The columns of the step are in the order of `which`.
    """
    groups: dict[object, list[int]] = defaultdict(list)
    for i, one in enumerate(placed):
        case = one.case
        job = (case.job.seq_len, case.job.global_batch_tokens, case.job.dtype)
        groups[id(case.arch), case.target, job, case.software, case.row.set].append(i)
    machines: dict[Target, Machine] = {}
    for which in groups.values():
        case = placed[which[0]].case
        if case.target not in machines:
            machines[case.target] = case.target.machine(draw)
        layout = concatenate([placed[i].layout for i in which])
        era = software(case.software)
        yield which, training_step(case.arch, case.job, layout, machines[case.target], era, draw)


def step_times(placed: Sequence[Placed], draw: Draw = central) -> Array:
    """Seconds of a step of each case under `draw`, shape (samples, cases)."""
    return _spread([(which, step.time_s) for which, step in steps(placed, draw)], len(placed))


def _spread(parts: list[tuple[list[int], Number]], cases: int) -> Array:
    """Columns of groups, put where each case stands; shape (samples, cases)."""
    columns = [(which, np.atleast_2d(values)) for which, values in parts]
    out = np.zeros((max((v.shape[0] for _, v in columns), default=1), cases))
    for which, values in columns:
        out[:, which] = np.broadcast_to(values, (values.shape[0], len(which)))
    return out


def predict(rows: Iterable[Row], draw: Draw = central) -> tuple[Prediction, ...]:
    """A prediction, or the reason why there is none, for each row, in their order.

    draw: gives the efficiency figures their values; their ranges are kept around these.
    """
    outcomes = prepare(rows, draw)
    placed = [one for one in outcomes if isinstance(one, Placed)]
    done = iter(_predicted(placed, draw))
    return tuple(next(done) if isinstance(one, Placed) else _without(one) for one in outcomes)


def around(draw: Draw, sampler: Draw) -> Draw:
    """What `draw` gives, and under it, as more rows, samples of its range moved along with it."""

    def drawn(key: str, value: float, low: float, high: float) -> Number:
        found = float(np.ravel(draw(key, value, low, high))[0])
        ratio = found / value if value else 1.0
        samples = sampler(key, found, low * ratio, high * ratio)
        return np.vstack([[[found]], samples]) if np.ndim(samples) else found

    return drawn


def _predicted(placed: Sequence[Placed], draw: Draw) -> Iterator[Prediction]:
    times, needs, shown = [], [], []
    for which, step in steps(placed, around(draw, Sampler(SAMPLES))):
        case = placed[which[0]].case
        counter, era = by_id(case.row.set).memory, software(case.software)
        times.append((which, step.time_s))
        needs.append((which, step.memory.total_bytes))
        shown.append((which, counted_bytes(step.memory, era, counter)))
    seconds, memory, peaks = (_spread(each, len(placed)) for each in (times, needs, shown))
    rest = seconds[1:] if len(seconds) > 1 else seconds
    ends = np.quantile(rest, [LOW, HIGH], axis=0)
    for i, one in enumerate(placed):
        value = one.case.scale.value
        low, high = sorted((value(float(ends[0, i])), value(float(ends[1, i]))))
        held = (float(memory[0, i]), float(peaks[0, i]))
        yield _prediction(one, float(seconds[0, i]), (low, high), held)


def _prediction(
    one: Placed, step_s: float, ends: tuple[float, float], held: tuple[float, float]
) -> Prediction:
    """held: bytes that must fit, and those that the counter of the row's source shows."""
    case, row = one.case, one.case.row
    return Prediction(
        id=row.id,
        set=row.set,
        status="predicted",
        metric=row.metric,
        unit=row.unit,
        measured=row.value,
        predicted=case.scale.value(step_s),
        low=ends[0],
        high=ends[1],
        error=step_s / case.measured_s - 1.0,
        measured_step_s=case.measured_s,
        predicted_step_s=step_s,
        model=row.model,
        chip=case.target.chip,
        chips=case.chips,
        size=float(case.size),
        kind=case.kind,
        layout=one.origin,
        plan=describe(one.layout),
        memory_gib=held[1] / GIB,
        measured_memory_gib=row.peak_memory_gib or None,
        fits=held[0] <= _capacity(case),
    )


def _capacity(case: Case) -> float:
    fact = load.chip(case.target.chip).memory.capacity
    return fact.value if fact else np.inf


def _without(one: Excluded | Refused[Row]) -> Prediction:
    """What is said of a row that is not predicted."""
    if isinstance(one, Excluded):
        case, row = one.case, one.case.row
        about: dict[str, Any] = {
            "status": "excluded", "chip": case.target.chip, "size": float(case.size),
            "kind": case.kind,
        }  # fmt: skip
    else:
        row = one.row
        about = {"status": "skipped", "chip": one.chip or row.chip, "specified": one.specified}
    return Prediction(
        id=row.id,
        set=row.set,
        reason=one.reason,
        metric=row.metric,
        unit=row.unit,
        measured=row.value,
        model=row.model,
        chips=row.chip_count,
        **about,
    )
