"""Predicts rows of serving evidence by the equations that plan: steps, steady states, runs.

Rows that measure the same run are answered once, and runs of one model under one engine together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from msgspec import structs

from parity.catalogue.machine import Draw, Number, central
from parity.errors import ParityError
from parity.evidence.predict import HIGH, LOW, SAMPLES, around
from parity.evidence.resolve import Refused
from parity.evidence.schema import Prediction
from parity.evidence.serving_physics import serving_objection
from parity.evidence.serving_resolve import ServingCase, resolve_serving
from parity.evidence.serving_run import OF_REQUEST, OF_TRAFFIC, Outcome, Run, load_of, outcome_of
from parity.evidence.serving_schema import ServingRow
from parity.evidence.serving_setup import Models, candidates, engine_of, request_of, traffic_of
from parity.layout.layout import Layout, concatenate
from parity.layout.serving import describe_replica
from parity.timing.draw import Sampler
from parity.timing.engine import Engine
from parity.workload.request import Request


@dataclass(frozen=True)
class Excluded:
    """A case whose measurement breaks physics."""

    case: ServingCase
    reason: str


@dataclass(frozen=True)
class Ran:
    """A case with the layout and the load of one of its replicas."""

    case: ServingCase
    engine: Engine
    request: Request
    layout: Layout  # one row
    replicas: int
    load: float  # requests of a lane that decode, prompts of a step, or requests of a batch
    origin: str  # stated or searched


def run_all(cases: Sequence[ServingCase], models: Models) -> list[Ran | Refused[ServingRow]]:
    """Each case with its layout, its own or the one that serves most, and its load; or why not."""
    out: dict[int, Ran | Refused[ServingRow]] = {}
    ready: list[tuple[int, ServingCase, Layout, str]] = []
    for i, case in enumerate(cases):
        try:
            ready.append((i, case, *candidates(case, models.machine(case.target))))
        except ParityError as error:
            out[i] = Refused(case.row, str(error), True, case.target.chip)
    parts = [
        (case, layout, np.maximum(case.chips // layout.chips, 1)) for _, case, layout, _ in ready
    ]
    for which, run in _together(parts, models):
        load = load_of(run)
        several = len(run) > len(which)
        rate = outcome_of(run, load).requests_per_s if several else load
        start = 0
        for k in which:
            i, case, layout, origin = ready[k]
            own = slice(start, start + len(layout))
            start += len(layout)
            replicas = parts[k][2]
            best = int(np.argmax(np.broadcast_to(rate, len(run))[own] * replicas))
            out[i] = Ran(
                case, run.model.engine, request_of(case), layout.take(np.array([best])),
                int(replicas[best]), float(load[own][best]), origin,
            )  # fmt: skip
    return [out[i] for i in range(len(cases))]


def outcomes_of(runs: Sequence[Ran], models: Models) -> list[Outcome]:
    """What comes of each run under the figures of `models`."""
    found: dict[int, Outcome] = {}
    parts = [(one.case, one.layout, np.array([one.replicas])) for one in runs]
    for which, run in _together(parts, models):
        outcome = outcome_of(run, np.array([runs[k].load for k in which]))
        found.update({k: outcome.column(at) for at, k in enumerate(which)})
    return [found[k] for k in range(len(runs))]


def _together(
    parts: Sequence[tuple[ServingCase, Layout, Number]], models: Models
) -> Iterator[tuple[list[int], Run]]:
    """Cases of one model, engine and kind of load as one run: (which, the run of all columns)."""
    groups: dict[object, list[tuple[int, Run]]] = defaultdict(list)
    for k, (case, layout, replicas) in enumerate(parts):
        own = engine_of(case, models.machine(case.target))
        model = models.served(case, own)
        run = Run(model, layout, request_of(case), traffic_of(case, replicas), case.phase)
        key = (
            id(case.arch), case.target, case.precision, own.name, own.max_sequences,
            own.token_budget, run.request.drafted, run.phase, run.traffic.kind,
        )  # fmt: skip
        groups[key].append((k, run))
    for members in groups.values():
        yield [k for k, _ in members], joined([run for _, run in members])


def joined(runs: Sequence[Run]) -> Run:
    """Runs of one model under one engine, as one of all their columns."""
    whole = [run.take(np.arange(len(run))) for run in runs]
    first = whole[0]

    def fields(of: str, names: Iterable[str]) -> dict[str, Number]:
        return {n: np.concatenate([getattr(getattr(r, of), n) for r in whole]) for n in names}

    return replace(
        first,
        layout=concatenate([run.layout for run in whole]),
        request=structs.replace(first.request, **fields("request", OF_REQUEST)),
        traffic=replace(first.traffic, **fields("traffic", OF_TRAFFIC)),
    )


def metric_of(one: Ran, found: Outcome) -> Number:
    """What a row measures, in its own unit, of the outcome of one replica."""
    case, row = one.case, one.case.row
    measure = case.measure
    answered = max(row.osl - 1.0, 0.0) * found.tpot_s
    times = {
        "ttft": found.ttft_s,
        "tpot": found.tpot_s,
        "itl": found.tpot_s,
        "e2e_latency": found.ttft_s + answered,
    }
    if measure.time:
        return times[measure.time] * (1e3 if row.unit == "ms" else 1.0)
    if measure.per == "per_user":
        return 1.0 / found.tpot_s
    request = one.request
    tokens = {"output": request.output_tokens, "input": row.isl or request.input_tokens}
    if case.phase == "decode":
        tokens["output"] = max(request.output_tokens - 1.0, 1.0)
    tokens["total"] = tokens["output"] + tokens["input"]
    rate = found.requests_per_s * one.replicas * tokens[measure.counts]
    return rate / max(row.beams, 1) / case.units


def predict_serving(rows: Iterable[ServingRow], draw: Draw = central) -> tuple[Prediction, ...]:
    """A prediction, or the reason why there is none, for each row, in their order.

    draw: gives the figures of engines and chips their values; their ranges are kept around these.
    """
    plain = Models.under(draw)
    ready = [gated(row, plain) for row in rows]
    keys = {_key(one): one for one in ready if isinstance(one, ServingCase)}
    known = dict(zip(keys, run_all(list(keys.values()), plain), strict=True))
    done = [one for one in known.values() if isinstance(one, Ran)]
    drawn = Models.under(around(draw, Sampler(SAMPLES)))
    outcomes = {id(one): found for one, found in zip(done, outcomes_of(done, drawn), strict=True)}
    out = []
    for one in ready:
        if not isinstance(one, ServingCase):
            out.append(_without(one))
            continue
        run = known[_key(one)]
        if isinstance(run, Refused):
            out.append(_without(replace(run, row=one.row)))
        else:
            out.append(_prediction(replace(run, case=one), outcomes[id(run)]))
    return tuple(out)


def gated(row: ServingRow, models: Models) -> ServingCase | Refused[ServingRow] | Excluded:
    """A row made ready and held against physics."""
    case = resolve_serving(row)
    if isinstance(case, Refused):
        return case
    try:
        broken = serving_objection(case, models.machine(case.target))
    except ParityError as error:
        return Refused(row, str(error), True, case.target.chip)
    return Excluded(case, broken) if broken else case


def _key(case: ServingCase) -> object:
    """What two rows have in common that measure the same run."""
    row = case.row
    return (
        id(case.arch), case.target, case.chips, case.precision, case.phase, case.degrees, row.set,
        row.family, row.version, row.max_sequences, row.token_budget, row.isl, row.osl,
        row.context, row.cached_share, row.beams, row.drafted, row.accepted, row.arrival,
        row.concurrency, row.requests, row.rate_per_s, row.lengths, row.longest, row.scenario,
        row.ttft_limit_ms, row.tpot_limit_ms,
    )  # fmt: skip


def _prediction(one: Ran, found: Outcome) -> Prediction:
    case, row = one.case, one.case.row
    values = np.ravel(np.asarray(metric_of(one, found), dtype=float))
    rest = values[1:] if len(values) > 1 else values
    low, high = (float(v) for v in np.quantile(rest, [LOW, HIGH]))
    predicted = float(values[0])
    ratio = predicted / row.value if case.measure.time else row.value / predicted
    return Prediction(
        id=row.id,
        set=row.set,
        task="serving",
        status="predicted",
        metric=row.metric,
        unit=row.unit,
        measured=row.value,
        predicted=predicted,
        low=low,
        high=high,
        error=ratio - 1.0,
        model=row.model,
        chip=case.target.chip,
        chips=case.chips,
        size=float(case.size),
        kind=case.kind,
        layout=one.origin,
        plan=f"{one.replicas}x {describe_replica(one.layout)}, {one.load:.0f} at a time",
        engine=_engine(row),
        mode=case.phase if case.phase != "both" else row.arrival,
        fits=bool(np.all(found.fits)),
    )


def _without(one: Refused[ServingRow] | Excluded) -> Prediction:
    """What is said of a row that is not predicted."""
    refused = isinstance(one, Refused)
    row = one.row if isinstance(one, Refused) else one.case.row
    return Prediction(
        id=row.id,
        set=row.set,
        task="serving",
        status="skipped" if refused else "excluded",
        reason=one.reason,
        specified=one.specified if isinstance(one, Refused) else True,
        metric=row.metric,
        unit=row.unit,
        measured=row.value,
        model=row.model,
        chip=(one.chip or row.chip) if isinstance(one, Refused) else one.case.target.chip,
        chips=row.chip_count if isinstance(one, Refused) else one.case.chips,
        engine=_engine(row),
    )


def _engine(row: ServingRow) -> str:
    return " ".join(part for part in (row.family, row.version) if part)
