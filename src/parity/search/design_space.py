"""The designs that a search tries, what each is worth, and those that none beats."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from parity.catalogue.machine import Number, central
from parity.errors import NeedsExtra, ParityError
from parity.search.design import Judged, Objective, Speed, judged, speeds, toll
from parity.search.portfolio import Portfolio
from parity.supply.custom import Design, figures
from parity.supply.custom_change import cut, with_links, with_logic, with_memory
from parity.supply.custom_limits import feasible, most_w

Report = Callable[[int, int], None]
#: What a search may change, over the design that it starts from: logic (matrix units with their
#: cores and SRAM), stacks, links, and power, of what they would draw or cooling carries.
LEAST = (0.3, 1 / 6, 0.25, 0.5)
MOST = (3.0, 2.0, 2.0, 1.0)
#: Designs of one generation, and the fewest that a search may try.
GENERATION, LEAST_TRIED, MOST_TRIED = 8, 8, 4096
#: What a design that cannot be is worth to the search, in the logarithm of its merit.
HOPELESS = -1e3
#: Stacks and links of a chip that has none, in units of which the search counts.
_STACKS, _LINKS = 6, 18


@dataclass(frozen=True)
class Tried:
    """A design with what it is worth on each portfolio; 0 where it cannot be made or run."""

    one: Judged
    merits: tuple[float, ...]
    speeds: tuple[tuple[Speed, ...], ...]


@dataclass(frozen=True)
class Task:
    """What is searched: from where, by which measure, on which portfolios, against which chip."""

    start: Design
    objective: Objective
    portfolios: tuple[Portfolio, ...]
    reference: Judged
    reference_speeds: tuple[tuple[Speed, ...], ...]
    seed: int = 0
    tries: int = 64


def task(
    start: Design,
    objective: Objective,
    portfolios: tuple[Portfolio, ...],
    reference: Design,
    seed: int = 0,
    tries: int = 64,
) -> Task:
    """The search from a design, with the speeds of the reference on each portfolio."""
    other = judged(reference)
    theirs = tuple(speeds(other.chip, one, reference.without) for one in portfolios)
    return Task(start, objective, portfolios, other, theirs, seed, tries)


def at(start: Design, x: Number) -> Design:
    """The design at a point of the space: factors of logic, stacks, links and power."""
    logic, stacks, links, watts = (float(value) for value in x)
    found = with_logic(start, logic)
    if start.memory is not None:
        count = max(round(stacks * max(start.memory.count, _STACKS)), 1)
        found = with_memory(found, start.memory.hbm, count)
        found = _trimmed(found, count)
    count = max(round(links * (start.silicon.ports.links or _LINKS)), 1)
    found = cut(with_links(found, count))
    full = float(figures(replace(found, budget_w=None), central).tdp_w)
    return replace(found, budget_w=watts * min(full, most_w(found)))


def _trimmed(design: Design, count: int) -> Design:
    """No more places for stacks than there are stacks: a design of its own leaves none empty."""
    ports = replace(design.silicon.ports, sites=count)
    known = replace(design.held.ports, sites=min(design.held.ports.sites, count))
    held = replace(design.held, ports=known)
    silicon = replace(design.silicon, ports=ports)
    return replace(design, held=held, silicon=silicon, sram_sold=1.0)


def tried(design: Design, asked: Task) -> Tried:
    """A design judged on every portfolio."""
    none = tuple(0.0 for _ in asked.portfolios)
    one = judged(design)
    if not feasible(design, one.figures):
        return Tried(one, none, ())
    own = tuple(speeds(one.chip, each, design.without) for each in asked.portfolios)
    merits = tuple(
        toll(one, mine, asked.reference, theirs, asked.objective)
        for mine, theirs in zip(own, asked.reference_speeds, strict=True)
    )
    return Tried(one, merits, own)


def explore(asked: Task, report: Report | None = None) -> tuple[Tried, ...]:
    """Every design that a search tries, the one it starts from first; the same for one seed.

    Differential evolution [Storn, Price 1997], once for each portfolio, over `LEAST` to `MOST`.
    Raises `NeedsExtra` without SciPy.
    """
    try:
        from scipy.optimize import differential_evolution
    except ImportError:
        raise NeedsExtra(
            "`--optimise` needs SciPy: install `chipparity[fit]`, or judge single designs."
        ) from None
    found = [tried(asked.start, asked)]
    each = max(asked.tries // len(asked.portfolios), LEAST_TRIED)
    generations = max(each // GENERATION - 1, 0)
    whole = len(asked.portfolios) * GENERATION * (generations + 1)
    for index in range(len(asked.portfolios)):

        def loss(x: Number, index: int = index) -> float:
            new = _attempt(asked, x)
            if new is not None:
                found.append(new)
            if report is not None:
                report(min(len(found), whole - 1), whole)
            worth = new.merits[index] if new is not None else 0.0
            return -float(np.log(worth)) if worth > 0 else -HOPELESS

        differential_evolution(
            loss,
            list(zip(LEAST, MOST, strict=True)),
            init=_first(asked, index),
            maxiter=generations,
            polish=False,
            rng=asked.seed + index,
            tol=0.0,
        )
    if report is not None:
        report(whole, whole)
    return tuple(found)


def _attempt(asked: Task, x: Number) -> Tried | None:
    try:
        return tried(at(asked.start, x), asked)
    except ParityError:
        return None


def _first(asked: Task, index: int) -> Number:
    """The first generation: the start itself and a Latin hypercube around it."""
    rng = np.random.default_rng([asked.seed, index])
    parts = np.stack([rng.permutation(GENERATION) for _ in LEAST], axis=1)
    inside = (parts + rng.random(parts.shape)) / GENERATION
    low, high = np.array(LEAST), np.array(MOST)
    points = low + inside * (high - low)
    points[0] = (1.0, _own_stacks(asked.start), 1.0, 1.0)
    return points


def _own_stacks(start: Design) -> float:
    count = start.memory.count if start.memory else 1
    return count / max(count, _STACKS)


def best(found: tuple[Tried, ...], index: int) -> Tried:
    """The design that is worth most on one portfolio."""
    return max(found, key=lambda one: one.merits[index])


def general(found: tuple[Tried, ...]) -> Tried:
    """The design whose regret on its worst portfolio is least (minimax regret, Savage 1951)."""
    return min(found, key=lambda one: max(regrets(one, found)))


def regrets(one: Tried, found: tuple[Tried, ...]) -> tuple[float, ...]:
    """Part of what the best design gives on each portfolio that this one does not. [1]"""
    tops = [best(found, i).merits[i] for i in range(len(one.merits))]
    return tuple(
        1.0 - own / top if top > 0 else 0.0 for own, top in zip(one.merits, tops, strict=True)
    )


def front(found: tuple[Tried, ...], axes: tuple[Callable[[Tried], float], ...]) -> list[Tried]:
    """Designs that none beats along all axes, of which more is better."""
    values = np.array([[axis(one) for axis in axes] for one in found])
    kept = []
    for i, own in enumerate(values):
        beaten = np.all(values >= own, axis=1) & np.any(values > own, axis=1)
        if not beaten.any() and np.all(own > 0):
            kept.append(found[i])
    return kept
