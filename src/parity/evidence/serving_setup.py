"""From a row of serving evidence that can be predicted to a run: engine, request, load, layouts."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from msgspec import structs

from parity.catalogue.machine import Draw, Machine, Number
from parity.evaluate.step import Served, served
from parity.evidence.resolve import Target
from parity.evidence.serving_resolve import HALVES, ServingCase
from parity.evidence.serving_run import Traffic
from parity.evidence.serving_sources import generation_of, limit_of, serving_set
from parity.evidence.serving_words import words_of
from parity.evidence.sources import by_text
from parity.layout.layout import Layout, columns
from parity.search.replica import divisions
from parity.timing.engine import Engine, engine, usual_engine
from parity.workload.precision import Precision
from parity.workload.request import Request
from parity.workload.speculation import accepted_tokens

#: What schedulers hold where a benchmark lets their limits be chosen.
_MOST_SEQUENCES = 8192
#: Variance of answers whose mean alone is stated, over its square: that of an exponential.
EXPONENTIAL = 1.0
#: Seconds that an offline run of MLPerf lasts at least, with the slack that LoadGen adds to it.
_OFFLINE_S = 660.0


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
        key = (id(case.arch), case.target, case.precision, own.name)
        if key not in self.made:
            self.made[key] = _served(case, self.machine(case.target), own, self.draw)
        one = self.made[key]
        told = structs.replace(
            one.engine, max_sequences=own.max_sequences, token_budget=own.token_budget
        )
        return replace(one, engine=told)


def _served(case: ServingCase, target: Machine, own: Engine, draw: Draw) -> Served:
    stored = case.precision
    half = stored.weights if stored.weights in HALVES else "bf16"
    if half not in target.peak_flop_per_s:
        half = "fp16" if half == "bf16" else "bf16"
    precision = Precision(
        weights=half if stored.weights in HALVES else stored.weights,
        kv=half if stored.kv in HALVES else stored.kv,
        half=half,
        weight_only=stored.weight_only,
    )
    return served(case.arch, precision, target, own, draw)


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
        longest=row.longest or np.inf,
        ttft_s=row.ttft_limit_ms / 1e3 or np.inf,
        tpot_s=row.tpot_limit_ms / 1e3 or np.inf,
    )


def candidates(case: ServingCase, target: Machine) -> tuple[Layout, str]:
    """The layout that a row states, or all that its replicas may have, and which of both.

    Raises `ParityError` where none can be.
    """
    return (_column(case), "stated") if case.degrees[0] else (_searched(case, target), "searched")


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
