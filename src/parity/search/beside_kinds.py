"""What each kind of chip does in serving, alone and joined to another in two pools."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from parity.catalogue.machine import Draw, Machine, machine
from parity.errors import Infeasible, MissingFact
from parity.evaluate.mixed import port_bandwidth
from parity.evaluate.step import multiplied_in, served
from parity.record import Finding
from parity.search.beside_units import Able, Joined, Unit, worthwhile
from parity.search.match import FASTER
from parity.search.pools import decoding
from parity.search.prefill import fewer_prompts, pass_times, prefills, prompts_within
from parity.search.replica import (
    Replica,
    Replicas,
    ServingJob,
    best_of,
    best_of_each_size,
    meeting,
    replicas,
)
from parity.search.serve import sampled_rates
from parity.search.serving_plan import ANY_S, ServingQuestion


@dataclass(frozen=True)
class Kind:
    """One kind of chip behind the router, with what it is asked, in the precision it serves in.

    most: chips that a replica may have. standby: replicas for where the chip turns out slower than
    the latencies allow the others to be.
    """

    question: ServingQuestion
    owned: int
    most: float
    able: Able
    standby: tuple[Unit, ...] = ()
    refusal: Infeasible | None = None  # of replicas that do everything
    findings: tuple[Finding, ...] = ()

    @property
    def machine(self) -> Machine:
        """What it is."""
        return self.question.pool.machine

    @property
    def job(self) -> ServingJob:
        """What it serves, in its own precision."""
        return self.question.pool.job

    @property
    def multiplied(self) -> str:
        """The dtype in which most of its products run."""
        precision = self.job.precision
        return multiplied_in(self.machine, precision.weights, precision)


def kind_of(
    question: ServingQuestion,
    owned: int,
    findings: tuple[Finding, ...] = (),
    *,
    open_: bool = False,
) -> Kind:
    """What `owned` chips of a kind, or with `open_` any number of them, do by themselves.

    findings: of the gate that the question has passed.
    """
    pool, limit = question.pool, np.inf if open_ else owned
    soon = replace(pool.job, ttft_s=ANY_S, tpot_s=ANY_S)  # small budgets are tried too
    whole: tuple[Unit, ...] = ()
    standby: tuple[Unit, ...] = ()
    refusal = None
    try:
        every = replicas(question.arch, soon, pool.machine, question.engine, limit)
        whole = _whole(every, pool.job)
        standby = _standby(every, pool.job)
    except Infeasible as error:
        refusal = error
    kind = Kind(question, owned, limit, Able(whole), standby, refusal, findings)
    able = Able(whole, tuple(product(*_phases(kind, kind))))
    return replace(kind, able=able if open_ else worthwhile(able))


def _whole(every: Replicas, job: ServingJob) -> tuple[Unit, ...]:
    """Replicas that do a job within its latencies, the best of each size."""
    rate = np.where(meeting(every, job), every.steady.requests_per_s, 0.0)
    rows = [every.row(i) for i in best_of_each_size(rate, every.layout.chips)]
    return tuple(Unit(row.chips, row.requests_per_s, row, job) for row in rows)


def _standby(every: Replicas, job: ServingJob) -> tuple[Unit, ...]:
    """The replicas that would be best if tokens had to come `FASTER`."""
    found = []
    for faster in () if job.patient else FASTER:
        quick = replace(job, ttft_s=job.ttft_s / faster, tpot_s=job.tpot_s / faster)
        with suppress(Infeasible):
            row = best_of(every, quick)
            found.append(Unit(row.chips, row.requests_per_s, row, job))
    return tuple(found)


def _phases(prompts: Kind, tokens: Kind) -> tuple[tuple[Unit, ...], tuple[Unit, ...]]:
    """(replicas for prompts alone, for decoding alone) within the latencies; none where either
    cannot be.
    """
    one, two = prompts.question, tokens.question
    with suppress(Infeasible, MissingFact):
        first = prefills(
            one.arch, prompts.job, prompts.machine, tokens.machine, one.engine, prompts.most
        )
        alone = decoding(tokens.job)
        second = replicas(two.arch, alone, tokens.machine, two.engine, tokens.most)
        return (
            tuple(Unit(p.chips, p.requests_per_s, p, prompts.job, tokens.machine) for p in first),
            _whole(second, alone),
        )
    return (), ()


def joined(ours: Kind, theirs: Kind) -> tuple[Joined, ...]:
    """Every two pools over two kinds, in both orders and of all sizes of replica.

    None where the caches of both have another dtype, or a chip has no network port.
    """
    if ours.job.precision.kv != theirs.job.precision.kv:
        return ()
    vendors = frozenset((ours.machine.chip.vendor, theirs.machine.chip.vendor))
    try:
        for kind in (ours, theirs):
            port_bandwidth(kind.machine, vendors)
    except MissingFact:
        return ()
    own_first = product(*_phases(ours, theirs))
    other_first = product(*_phases(theirs, ours))
    return (
        *(Joined(prompts, tokens, prompts_ours=True) for prompts, tokens in own_first),
        *(Joined(tokens, prompts, prompts_ours=False) for prompts, tokens in other_first),
    )


def sampled(unit: Unit, draw: Draw) -> Unit:
    """A replica over the ranges of all figures: its rate of shape (samples, 1)."""
    by = unit.by
    if isinstance(by, Replica):
        rate = sampled_rates(unit.job, by, draw) * by.chips
    else:
        to = unit.to or by.machine
        drawn, other = (machine(m.chip, m.cluster_id, draw) for m in (by.machine, to))
        model = served(by.model.arch, by.model.precision, drawn, by.model.engine, draw)
        fewer = fewer_prompts(by, model)
        rate = prompts_within(by, fewer, pass_times([fewer])[0], unit.job.ttft_s, other)
    return replace(unit, requests_per_s=np.reshape(rate, (-1, 1)))


def once_each(draw: Draw) -> Callable[[Unit], Unit]:
    """`sampled`, each replica once however often it is asked for."""
    known: dict[int, Unit] = {}

    def get(unit: Unit) -> Unit:
        if id(unit.by) not in known:
            known[id(unit.by)] = sampled(unit, draw)
        return known[id(unit.by)]

    return get
