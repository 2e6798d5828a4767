"""Predicts rows of serving evidence by the equations that plan: steps, steady states, runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from parity.catalogue.machine import Draw, Machine, Number, central
from parity.errors import ParityError
from parity.evaluate.step import Served, served
from parity.evidence.predict import HIGH, LOW, SAMPLES, around
from parity.evidence.resolve import Target
from parity.evidence.schema import Prediction
from parity.evidence.serving_physics import serving_objection
from parity.evidence.serving_resolve import ServingCase, ServingRefused, resolve_serving
from parity.evidence.serving_run import (
    Outcome,
    Traffic,
    alone_for,
    batch,
    decoding_for,
    outcome,
    prompts_alone,
    tokens_alone,
)
from parity.evidence.serving_schema import ServingRow
from parity.evidence.serving_sources import generation_of, limit_of, serving_set
from parity.evidence.serving_words import words_of
from parity.evidence.sources import by_text
from parity.layout.layout import Layout, columns
from parity.layout.serving import describe_replica
from parity.search.replica import divisions
from parity.timing.draw import Sampler
from parity.timing.engine import Engine, engine, usual_engine
from parity.workload.precision import Precision
from parity.workload.request import Request
from parity.workload.speculation import accepted_tokens

Array = NDArray[np.float64]

#: What schedulers hold where a benchmark lets their limits be chosen.
_MOST_SEQUENCES = 8192
#: Variance of answers whose mean alone is stated, over its square: that of an exponential.
EXPONENTIAL = 1.0
#: Seconds that an offline run of MLPerf lasts at least, with the slack that LoadGen adds to it.
_OFFLINE_S = 660.0


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
    decoding: float  # requests of a lane; prompts of a step where those alone are measured
    origin: str  # stated or searched


def engine_of(case: ServingCase, target: Machine) -> Engine:
    """The generation of the engine that ran a row, with the limits it was told."""
    row = case.row
    told_by_set = by_text(words_of(row), serving_set(row.set).generation, "")
    name = told_by_set or generation_of(row.family, row.version)
    own = engine(name) if name else usual_engine(target.chip)
    memory = float(np.mean(target.memory_bytes)) / 1e9
    usual = limit_of(row.family, row.version, target.chip.id, memory) or own
    tuned = _MOST_SEQUENCES if row.scenario else usual.max_sequences
    told = {
        "max_sequences": row.max_sequences or tuned,
        "token_budget": row.token_budget or usual.token_budget,
    }
    return structs.replace(own, **told)


def request_of(case: ServingCase) -> Request:
    """The mean request of a row; where decoding alone is measured, one whose prompt is cached."""
    row = case.row
    accepted = row.accepted or accepted_tokens(case.arch.name, row.drafted)[0]
    spread = EXPONENTIAL if row.lengths == "mean" else 0.0
    if case.phase == "decode":
        answer = row.osl if row.isl and row.osl else 2.0
        prompt = row.isl if row.isl and row.osl else max((row.context or row.isl) - 1.0, 1.0)
        return Request(
            input_tokens=prompt, output_tokens=answer, cached_tokens=prompt,
            drafted=row.drafted, accepted=accepted, spread=spread,
        )  # fmt: skip
    beams = max(row.beams, 1)  # each is a request that computes its part of the prompt
    return Request(
        input_tokens=row.isl,
        output_tokens=max(row.osl, 1.0),
        cached_tokens=row.isl * max(row.cached_share, 1.0 - 1.0 / beams),
        drafted=row.drafted,
        accepted=accepted,
        spread=spread,
    )


def traffic_of(case: ServingCase, replicas: Number) -> Traffic:
    """The load of one of the replicas of a row; `replicas` by ways to divide one."""
    row = case.row
    arrival = row.arrival or "offline"
    each = row.concurrency / np.asarray(replicas, dtype=float)
    if arrival == "closed" and np.all(each <= 1):
        arrival, each = "batch", np.ones_like(each)
    return Traffic(
        arrival=arrival,
        concurrency=each,
        requests=row.requests / replicas if arrival in ("offline", "open") else 0.0,
        rate_per_s=row.rate_per_s / replicas,
        least_s=_OFFLINE_S if row.scenario == "offline" else 0.0,
        varied=row.lengths == "mean",
        ttft_s=row.ttft_limit_ms / 1e3 or np.inf,
        tpot_s=row.tpot_limit_ms / 1e3 or np.inf,
    )


def ran(case: ServingCase, models: Models) -> Ran:
    """A case with its layout, its own or the one that serves most, and its load.

    Raises `ParityError` where no layout can be.
    """
    target = models.machine(case.target)
    own = engine_of(case, target)
    request = request_of(case)
    model = models.served(case, own)
    if case.degrees[0]:
        layout, origin = _column(case), "stated"
    else:
        layout, origin = _searched(case, target), "searched"
    replicas = np.maximum(case.chips // layout.chips, 1)
    traffic = traffic_of(case, replicas)
    decoding = _load(case, model, layout, request, traffic)
    best = 0
    if len(layout) > 1:
        found = _outcome(case, model, layout, request, traffic, decoding)
        best = int(np.argmax(found.requests_per_s * replicas))
    return Ran(
        case, own, request, layout.take(np.array([best])), int(replicas[best]),
        float(decoding[best]), origin,
    )  # fmt: skip


@dataclass
class Models:
    """Served models under one draw, each made once."""

    draw: Draw
    machines: dict[Target, Machine]
    made: dict[object, Served]

    @classmethod
    def under(cls, draw: Draw) -> Models:
        """None made yet."""
        return cls(draw, {}, {})

    def machine(self, target: Target) -> Machine:
        """The numbers of a target."""
        if target not in self.machines:
            self.machines[target] = target.machine(self.draw)
        return self.machines[target]

    def served(self, case: ServingCase, own: Engine) -> Served:
        """The model of a row under an engine."""
        plain = structs.replace(own, max_sequences=1, token_budget=1)
        key = (id(case.arch), case.target, case.precision, plain.name, plain.static_batch)
        if key not in self.made:
            self.made[key] = _served(case, self.machine(case.target), plain, self.draw)
        return replace(
            self.made[key],
            engine=structs.replace(
                self.made[key].engine,
                max_sequences=own.max_sequences,
                token_budget=own.token_budget,
            ),
        )


def _served(case: ServingCase, target: Machine, own: Engine, draw: Draw) -> Served:
    stored = case.precision
    half = stored.weights if stored.weights in ("bf16", "fp16") else "bf16"
    if half not in target.peak_flop_per_s:
        half = "fp16" if half == "bf16" else "bf16"
    precision = Precision(
        weights=half if stored.weights in ("bf16", "fp16") else stored.weights,
        kv=half if stored.kv in ("bf16", "fp16") else stored.kv,
        half=half,
        weight_only=stored.weight_only,
    )
    return served(case.arch, precision, target, own, draw)


def _column(case: ServingCase) -> Layout:
    tp, pp, dp, cp, ep = (np.array([n]) for n in case.degrees)
    none = np.zeros(1, dtype=int)
    return columns(tp=tp, pp=pp, dp=dp, cp=cp, ep=ep, zero=none, sequence_parallel=none)


def _searched(case: ServingCase, target: Machine) -> Layout:
    """Every way to divide a replica that its chips are a whole number of."""
    layout = divisions(case.arch, target, case.chips)
    whole = case.chips % layout.chips == 0
    if case.degrees[4]:
        whole = whole & (layout.ep == case.degrees[4])
    return layout.take(whole) if whole.any() else layout


def _load(
    case: ServingCase, model: Served, layout: Layout, request: Request, traffic: Traffic
) -> Number:
    """Requests of a lane that decode, prompts of a step, or requests of a batch: by column."""
    ones, budget = np.ones(len(layout)), float(model.engine.token_budget)
    if case.phase == "prefill":
        if np.any(traffic.concurrency):
            return np.maximum(traffic.concurrency / layout.dp, ones)
        return np.maximum(np.floor(budget / request.new_tokens), 1.0) * ones
    if case.phase == "decode":
        return alone_for(model, layout, request, traffic, budget)
    if traffic.arrival == "batch":
        return traffic.concurrency * ones
    return decoding_for(model, layout, request, traffic, budget)


def _outcome(
    case: ServingCase,
    model: Served,
    layout: Layout,
    request: Request,
    traffic: Traffic,
    decoding: Array,
) -> Outcome:
    budget = float(model.engine.token_budget)
    if case.phase == "prefill":
        once, rate = prompts_alone(model, layout, request, decoding)
        return Outcome(rate, once * layout.pp, once, decoding, np.array([True]))
    if case.phase == "decode":
        return tokens_alone(model, layout, request, decoding, budget)
    if traffic.arrival == "batch":
        return batch(model, layout, request, decoding, budget)
    return outcome(model, layout, request, traffic, decoding, budget)


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
    """A prediction, or the reason why there is none, for each row, in their order."""
    plain = Models.under(central)
    drawn = Models.under(around(draw, Sampler(SAMPLES)))
    known: dict[object, Ran] = {}
    outcomes: dict[object, Outcome] = {}
    done = []
    for row in rows:
        case = resolve_serving(row)
        if isinstance(case, ServingRefused):
            done.append(_refused(case))
            continue
        try:
            broken = serving_objection(case, plain.machine(case.target))
            if broken:
                done.append(_excluded(Excluded(case, broken)))
                continue
            key = _key(case)
            if key not in known:
                known[key] = ran(case, plain)
                outcomes[key] = sampled(known[key], drawn)
            run = Ran(case, *_rest(known[key]))
            done.append(_prediction(run, outcomes[key]))
        except ParityError as error:
            done.append(_refused(ServingRefused(row, str(error), True, case.target.chip)))
    return tuple(done)


def _rest(one: Ran) -> tuple[Engine, Request, Layout, int, float, str]:
    return one.engine, one.request, one.layout, one.replicas, one.decoding, one.origin


def sampled(one: Ran, models: Models) -> Outcome:
    """What comes of a case under the figures of `models`."""
    model = models.served(one.case, one.engine)
    traffic = traffic_of(one.case, np.array([one.replicas]))
    decoding = np.array([one.decoding])
    return _outcome(one.case, model, one.layout, one.request, traffic, decoding)


def _key(case: ServingCase) -> object:
    """What two rows have in common that measure the same run."""
    row = case.row
    return (
        id(case.arch), case.target, case.chips, case.precision, case.phase, case.degrees,
        row.family, row.version, row.max_sequences, row.token_budget, row.isl, row.osl,
        row.context, row.cached_share, row.beams, row.drafted, row.accepted, row.arrival,
        row.concurrency, row.requests, row.rate_per_s, row.lengths, row.ttft_limit_ms, row.tpot_limit_ms,
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
        plan=f"{one.replicas}x {describe_replica(one.layout)}, {one.decoding:.0f} at a time",
        engine=" ".join(part for part in (row.family, row.version) if part),
        mode=case.phase if case.phase != "both" else row.arrival,
        fits=bool(np.all(found.fits)),
    )


def _refused(one: ServingRefused) -> Prediction:
    row = one.row
    return _without(row, one.reason, "skipped", one.chip or row.chip, row.chip_count, one.specified)


def _excluded(one: Excluded) -> Prediction:
    case = one.case
    return _without(case.row, one.reason, "excluded", case.target.chip, case.chips, True)


def _without(
    row: ServingRow, reason: str, status: str, chip: str, chips: int, specified: bool
) -> Prediction:
    return Prediction(
        id=row.id,
        set=row.set,
        task="serving",
        status="skipped" if status == "skipped" else "excluded",
        reason=reason,
        specified=specified,
        metric=row.metric,
        unit=row.unit,
        measured=row.value,
        model=row.model,
        chip=chip,
        chips=chips,
        engine=" ".join(part for part in (row.family, row.version) if part),
    )
