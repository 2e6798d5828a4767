"""Prompts on chips of their own: two pools whose rates are matched."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from msgspec import structs

from parity.catalogue.machine import Machine
from parity.errors import Infeasible
from parity.record import Finding
from parity.search.findings import note
from parity.search.prefill import Prefill, at_rate, prefills
from parity.search.replica import Replicas, ServingJob, best_of_each_size, meeting, replicas
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
class _Pair:
    """Replicas of both pools: `prefill` and column `i` of those that decode."""

    prefill: Prefill
    i: int
    n_prefill: int
    n_decode: int
    chips: int
    requests_per_s: float
    asked: float | None  # requests/s that the load comes to here

    @property
    def enough(self) -> bool:
        """Whether it serves what is asked for."""
        return self.asked is None or self.requests_per_s >= self.asked * (1 - 1e-9)


def best_pools(
    arch: Architecture,
    prompts: Pool,
    tokens: Pool,
    engine: Engine,
    need: Need,
    shared: int | None = None,
) -> ServingPlan:
    """The best pair of pools for a load.

    n_p : n_d such that both pass the same requests a second [Zhong et al. 2024, DistServe, arXiv
    2401.09670]. shared: chips that both pools take their parts of. Where the chips cannot serve
    what is needed the pair that serves the most comes back with `meets` False.
    Raises `Infeasible` with P105 or P106.
    """
    most = [shared or pool.chips or np.inf for pool in (prompts, tokens)]
    first = prefills(arch, prompts.job, prompts.machine, tokens.machine, engine, most[0])
    handed = structs.replace(tokens.job.request, cached_tokens=tokens.job.request.input_tokens)
    alone = replace(tokens.job, request=handed, ttft_s=np.inf)
    second = replicas(arch, alone, tokens.machine, engine, most[1])
    rate = np.where(meeting(second, alone), second.steady.requests_per_s, 0.0)
    found = list(_pairs(first, second, rate, need, (prompts.chips, tokens.chips), shared))
    if not found:
        raise Infeasible(*_no_pair(arch, prompts, tokens, shared))
    enough = [pair for pair in found if pair.enough]
    counted = shared is None and None in (prompts.chips, tokens.chips)
    if counted and need.amount is not None:
        best = min(enough or found, key=lambda pair: (pair.chips, -pair.requests_per_s))
    elif counted:
        best = max(found, key=lambda pair: pair.requests_per_s / pair.chips)
    else:
        best = max(enough or found, key=lambda pair: pair.requests_per_s)
    at = best.requests_per_s if best.asked is None else min(best.asked, best.requests_per_s)
    row = second.row(best.i)
    loaded = with_load(row, handed, Need(requests_per_s=at), at / best.n_decode)
    share = best.requests_per_s / (best.asked or best.requests_per_s)
    return ServingPlan(
        arch, tokens.job, need, loaded, best.n_decode,
        most_requests_per_s=best.requests_per_s,
        most=best.requests_per_s if need.amount is None else need.amount * share,
        requests_per_s=at,
        most_decoding=row.decoding,
        prefill=at_rate(best.prefill, at / best.n_prefill, tokens.machine),
        prefill_replicas=best.n_prefill,
        meets=best.enough,
    )  # fmt: skip


def _pairs(
    first: list[Prefill],
    second: Replicas,
    rate: np.ndarray,
    need: Need,
    chips: tuple[int | None, int | None],
    shared: int | None,
) -> Iterator[_Pair]:
    """Every size of one pool's replica with every size of the other's, in matched numbers."""
    for p in first:
        for i in best_of_each_size(rate, second.layout.chips):
            size, each = int(second.layout.chips[i]), float(rate[i])
            answer_s = second.request.decode_steps * float(second.steady.step_s[i])
            asked = _asked(need, p.ttft_s + answer_s)
            n_p, n_d = _matched(p, each, size, asked, chips, shared)
            if n_p and n_d:
                passed = min(n_p * p.requests_per_s, n_d * each)
                yield _Pair(p, i, n_p, n_d, n_p * p.chips + n_d * size, passed, asked)


def _asked(need: Need, answered_s: float) -> float | None:
    """Requests/s of the load where each is answered in so long [Little 1961]. [1/s]"""
    if need.users is None:
        return need.requests_per_s
    return need.users / (answered_s + need.think_s)


def _matched(
    p: Prefill,
    each: float,
    size: int,
    amount: float | None,
    chips: tuple[int | None, int | None],
    shared: int | None,
) -> tuple[int, int]:
    """Replicas of each pool; zeros where they do not fit."""
    if shared is not None:
        n_p = np.arange(1, shared // p.chips + 1)
        n_d = (shared - n_p * p.chips) // size
        passed = np.minimum(n_p * p.requests_per_s, n_d * each)
        i = int(np.argmax(passed)) if len(passed) else 0
        return (int(n_p[i]), int(n_d[i])) if len(passed) and passed[i] > 0 else (0, 0)
    fixed = [chips[0] // p.chips if chips[0] else None, chips[1] // size if chips[1] else None]
    if amount is None:
        held = [
            n * r for n, r in zip(fixed, (p.requests_per_s, each), strict=True) if n is not None
        ]
        amount = min(held) if held else 8 * max(p.requests_per_s, each)
    needed = [int(np.ceil(amount / r - 1e-9)) for r in (p.requests_per_s, each)]
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
