"""Prompts on chips of their own: two pools whose rates are matched."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from msgspec import structs

from parity.catalogue.machine import Machine, Number
from parity.errors import Infeasible
from parity.evaluate.step import Served, served
from parity.evaluate.together import Ask, steady_states
from parity.layout.layout import Column
from parity.record import Finding
from parity.search.findings import note
from parity.search.prefill import Prefill, at_rate, pass_times, passes, soon_enough
from parity.search.replica import (
    Replicas,
    ServingJob,
    at_steady_state,
    best_of_each_size,
    meeting,
    ways,
)
from parity.search.serve import Need, ServingPlan, with_load
from parity.timing.engine import Engine
from parity.workload.operator import Architecture


@dataclass(frozen=True)
class Pool:
    """Chips for one phase: how many there are (None: as many as it takes), and their precision."""

    machine: Machine
    job: ServingJob
    chips: int | None = None


@dataclass(frozen=True)
class _Pairs:
    """Replicas of both pools in matched numbers, a column a pair that can be."""

    prefill: Column  # place among the sizes of the one pool
    decode: Column  # column among the ways of the other
    n_prefill: Column
    n_decode: Column
    chips: Column
    requests_per_s: Number
    asked: Number  # requests/s that the load comes to with them; 0 where none is asked for

    @property
    def enough(self) -> Number:
        """Whether they serve what is asked for."""
        return self.requests_per_s >= self.asked * (1 - 1e-9)

    def best(self, *, counted: bool, loaded: bool) -> int:
        """The fewest chips for a load where they are counted, else what serves most (per chip)."""
        rate = self.requests_per_s
        some = np.flatnonzero(self.enough) if self.enough.any() else np.arange(len(rate))
        if counted and loaded:
            return int(some[np.lexsort((-rate[some], self.chips[some]))[0]])
        return int(some[np.argmax((rate / self.chips if counted else rate)[some])])


def best_pools(
    arch: Architecture,
    prompts: Pool,
    tokens: Pool,
    engine: Engine,
    need: Need,
    shared: int | None = None,
    *,
    known: Phases | None = None,
    full: bool = False,
) -> ServingPlan:
    """The best pair of pools for a load.

    n_p : n_d such that both pass the same requests a second [Zhong et al. 2024, DistServe, arXiv
    2401.09670]. shared: chips that both pools take their parts of. Where the chips cannot serve
    what is needed the pair that serves the most comes back with `meets` False. known: the ways of
    both, where they are evaluated already. full: as many requests as the pools take, not the load.
    Raises `Infeasible` with P105 or P106.
    """
    if known is None:
        one, other = (
            served(arch, pool.job.precision, pool.machine, engine) for pool in (prompts, tokens)
        )
        ahead, behind = phases((one, other), prompts, tokens, shared)
        answers = at_steady_state(behind, *steady_states([behind]))
        known = Phases(ahead, pass_times([ahead])[0], answers)
    first = soon_enough(known.passes, known.pass_s, prompts.job, tokens.machine)
    alone, second = decoding(tokens.job), known.tokens
    rate = np.where(meeting(second, alone), second.steady.requests_per_s, 0.0)
    found = _pairs(first, second, rate, need, (prompts.chips, tokens.chips), shared)
    if not len(found.chips):
        raise Infeasible(*_no_pair(arch, prompts, tokens, shared))
    counted = shared is None and None in (prompts.chips, tokens.chips)
    best = found.best(counted=counted, loaded=need.amount is not None)
    most, asked = float(found.requests_per_s[best]), float(found.asked[best])
    n_prefill, n_decode = int(found.n_prefill[best]), int(found.n_decode[best])
    at = min(asked, most) if asked else most
    row, prefill = second.row(int(found.decode[best])), first[int(found.prefill[best])]
    loaded = row
    if not full:
        loaded = with_load(row, alone.request, Need(requests_per_s=at), at / n_decode)
        prefill = at_rate(prefill, at / n_prefill, tokens.machine)
    return ServingPlan(
        arch, tokens.job, need, loaded, n_decode,
        most_requests_per_s=most,
        most=most if need.amount is None else need.amount * most / asked,
        requests_per_s=at,
        most_decoding=row.decoding,
        prefill=prefill,
        prefill_replicas=n_prefill,
        meets=bool(found.enough[best]),
    )  # fmt: skip


@dataclass(frozen=True)
class Phases:
    """Ways to do each phase by itself: passes of prompts, their times, replicas that decode."""

    passes: Ask
    pass_s: Number
    tokens: Replicas


def phases(
    models: tuple[Served, Served], prompts: Pool, tokens: Pool, shared: int | None = None
) -> tuple[Ask, Ask]:
    """The ways of each phase, to be evaluated. models: on the chips of either pool.

    Raises `Infeasible` with P105.
    """
    most = [shared or pool.chips or np.inf for pool in (prompts, tokens)]
    ahead = passes(models[0], prompts.job, most[0])
    return ahead, ways(models[1], decoding(tokens.job), most[1])


def decoding(job: ServingJob) -> ServingJob:
    """What is left of a job for chips that are handed every prompt as it was cached."""
    request = job.request
    handed = structs.replace(request, cached_tokens=request.input_tokens)
    return replace(job, request=handed, ttft_s=np.inf)


def _pairs(
    first: list[Prefill],
    second: Replicas,
    rate: Number,
    need: Need,
    chips: tuple[int | None, int | None],
    shared: int | None,
) -> _Pairs:
    """Every size of one pool's replica with every size of the other's, in matched numbers."""
    best = np.array(best_of_each_size(rate, second.layout.chips), dtype=np.int64)
    p, d = (grid.ravel() for grid in np.meshgrid(np.arange(len(first)), best, indexing="ij"))
    sizes = np.array([one.chips for one in first])[p], second.layout.chips[d]
    rates = np.array([one.requests_per_s for one in first])[p], rate[d]
    answer_s = second.request.decode_steps * second.steady.step_s[d]
    asked = _asked(need, np.array([one.ttft_s for one in first])[p] + answer_s)
    if shared is None:
        n_p, n_d = _matched(rates, sizes, asked, chips, loaded=need.amount is not None)
    else:
        n_p, n_d = _divided(rates, sizes, shared)
    passed = np.minimum(n_p * rates[0], n_d * rates[1])
    can = (n_p > 0) & (n_d > 0)
    every = (p, d, n_p, n_d, n_p * sizes[0] + n_d * sizes[1], passed, asked)
    return _Pairs(*(column[can] for column in every))


def _asked(need: Need, answered_s: Number) -> Number:
    """Requests/s of the load where each is answered in so long [Little 1961]; 0 for none. [1/s]"""
    if need.users is None:
        return np.full_like(answered_s, need.requests_per_s or 0.0)
    return need.users / (answered_s + need.think_s)


def _divided(
    rates: tuple[Number, Number], sizes: tuple[Number, Number], shared: int
) -> tuple[Column, Column]:
    """Replicas of each pool of chips that both take their parts of; zeros where none do."""
    found = np.zeros((len(sizes[0]), 2), dtype=np.int64)
    for i, (p, d) in enumerate(zip(*sizes, strict=True)):
        n_p = np.arange(1, shared // p + 1)
        n_d = (shared - n_p * p) // d
        passed = np.minimum(n_p * rates[0][i], n_d * rates[1][i])
        if len(passed) and passed.max() > 0:
            at = int(np.argmax(passed))
            found[i] = n_p[at], n_d[at]
    return found[:, 0], found[:, 1]


def _matched(
    rates: tuple[Number, Number],
    sizes: tuple[Number, Number],
    asked: Number,
    chips: tuple[int | None, int | None],
    *,
    loaded: bool,
) -> tuple[Column, Column]:
    """Replicas of each pool, of chips of its own: all that there are, or as many as are asked for.

    Where nothing is asked for, as many as match the other pool; both free, near a whole ratio.
    """
    fixed = [None if own is None else own // size for own, size in zip(chips, sizes, strict=True)]
    amount = asked
    if not loaded:
        held = [n * r for n, r in zip(fixed, rates, strict=True) if n is not None]
        amount = np.minimum.reduce(held) if held else 8 * np.maximum(*rates)
    needed = [np.ceil(amount / r - 1e-9).astype(np.int64) for r in rates]
    first, second = (n if own is None else own for own, n in zip(fixed, needed, strict=True))
    return first, second


def _no_pair(
    arch: Architecture, prompts: Pool, tokens: Pool, shared: int | None
) -> tuple[str, tuple[Finding, ...]]:
    ids = dict.fromkeys((prompts.machine.chip.id, tokens.machine.chip.id))
    held = f"{shared} chips" if shared else f"{prompts.chips} and {tokens.chips} chips"
    finding = note(
        "P105",
        f"{held} of {' and '.join(ids)} do not hold one replica of {arch.name} for prompts and "
        "one for tokens.",
        "error",
        "more chips, or --mode aggregated",
    )
    return f"{arch.name} does not fit in two pools.", (finding,)
