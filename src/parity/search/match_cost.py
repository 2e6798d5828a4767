"""What the same money does: so many chips cost as much as those held, and do so much of the work.

    chips = ⌊chips held · USD of their chip-hour / USD of the other's⌋
    work  = what the best plan of these chips does / what the plan of those held does

Both chips are owned, where both have a price, else both rented. In a range prices and speeds are
drawn together, so that what two chips share, as the price of power, cancels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import msgspec
import numpy as np

from parity.catalogue.machine import Draw, Machine, Number, central
from parity.catalogue.schema import Chip
from parity.economics.hourly import at_work, drawn_hour
from parity.economics.terms import Basis
from parity.errors import Infeasible, MissingFact, NoPrice
from parity.record import Finding
from parity.search.candidates import comparable, evaluate
from parity.search.findings import choose_dtype
from parity.search.grid import layouts
from parity.search.match import Row, quality, refused, training_row
from parity.search.match_range import sampled_plans
from parity.search.match_serving import Candidate, Held, recorded, row_of, same, ways_of
from parity.search.serve import Need, ServingPlan
from parity.search.serving_plan import ServingQuestion, prepared, serve
from parity.search.train import TrainingPlan, best_plans, in_nodes, plan, sampled_times
from parity.search.uncertainty import Answering, Spread, once, ratio, spread
from parity.timing.draw import Recorder, Sampler
from parity.timing.software import Software
from parity.workload.operator import Architecture
from parity.workload.training import TrainingJob

#: Ways to pay that are compared, the first that both chips have a price for.
BASES = ("own", "rent")
#: A training run on fewer chips than this share of those that the money buys leaves too many idle.
LEAST_USED = 0.5


@dataclass(frozen=True)
class Budget:
    """Chips that are held, and what a chip-hour of them and of another is made of."""

    held: int
    mine: Basis
    theirs: Basis

    @property
    def exact(self) -> float:
        """Chips of the other for the same money, not whole. [1]"""
        return float(self.chips(central)[0])

    @property
    def count(self) -> int:
        """The same in whole chips."""
        return int(np.floor(self.exact + 1e-9))

    def chips(self, draw: Draw) -> Number:
        """The same over the ranges of prices, shape (samples,). [1]"""
        return self.held * drawn_hour(self.mine, draw) / drawn_hour(self.theirs, draw)


def budget(held: int, mine: Chip, theirs: Chip, bases: Sequence[str] = BASES) -> Budget:
    """What `held` of one chip cost, in the other. Raises `NoPrice` where no basis has both."""
    own, other = ({one.name: one for one in at_work(chip)} for chip in (mine, theirs))
    for name in bases:
        if name in own and name in other:
            return Budget(held, own[name], other[name])
    words = {"own": "to buy", "rent": "to rent"}
    lacking = [chip.id for chip, found in ((mine, own), (theirs, other)) if not found]
    if not lacking:
        lacking = [theirs.id if bases[0] in own else mine.id]
    ways = " or ".join(words[name] for name in bases)
    raise NoPrice(
        f"{lacking[-1]} lacks a published price {ways} beside that of "
        f"{(theirs if lacking[-1] == mine.id else mine).id}."
    )


def serving_for_money(
    have: Held, wanted: Sequence[Candidate], sampler: Sampler, bases: Sequence[str] = BASES
) -> list[Row]:
    """For each wanted chip what the money of `have` buys of it, and what that serves."""
    money: dict[int, Budget] = {}
    asked: list[tuple[Candidate, ServingQuestion]] = []
    rows: dict[int, Row] = {}
    for one in wanted:
        try:
            if one.error or one.question is None:
                raise one.error or NoPrice(f"{one.chip.id} has no question.")
            own = budget(have.chips, have.machine.chip, one.chip, bases)
            money[id(one.chip)] = own
            pool = replace(one.question.pool, chips=max(own.count, 1))
            asked.append((one, replace(one.question, pool=pool, need=Need(), full=True)))
        except (Infeasible, MissingFact) as error:
            rows[id(one.chip)] = refused(one.chip, error)
    for (one, _), question in zip(asked, prepared([ask for _, ask in asked]), strict=True):
        try:
            rows[id(one.chip)] = _served(one, question, have, money[id(one.chip)], sampler)
        except Infeasible as error:
            rows[id(one.chip)] = replace(refused(one.chip, error), count=None)
    return [rows[id(one.chip)] for one in wanted]


def _served(
    one: Candidate, question: ServingQuestion, have: Held, own: Budget, sampler: Sampler
) -> Row:
    if own.count < 1:
        raise Infeasible(f"The money of {have.chips} {have.machine.chip.id} buys no {one.chip.id}.")
    outcome = serve(question)
    if outcome.missed:
        raise Infeasible(outcome.missed[0].message, outcome.missed)
    best = have.plan if same(question, have) and own.count == have.chips else outcome.best
    done = best.most_requests_per_s / have.plan.most_requests_per_s
    work = Spread(1.0, 1.0, 1.0)
    if best is not have.plan:
        work = spread(_work(best, question, have, own, sampler), sampler).holding(done)
    row = row_of(best, own.count, one, have.power_w)
    count = _count(own, sampler)
    return replace(row, spread=count, work_ratio=done, work=work, paid=own.mine.name)


def _count(own: Budget, sampler: Sampler) -> Spread:
    """The range of the chips that the money buys, whole."""
    found = spread(own.chips, sampler, narrowed=False)
    return found.through(lambda chips: float(np.floor(chips + 1e-9))).holding(own.count)


def _work(
    best: ServingPlan, question: ServingQuestion, have: Held, own: Budget, sampler: Sampler
) -> Answering:
    """Requests/s for the money over those of the chips held, sample by sample. [1]"""
    ways = (ways_of(question, best), ways_of(have.question, have.plan))

    def again(draw: Draw) -> Number:
        mine, theirs = sampled_plans([(ways[0], draw), (ways[1], draw)])
        rates = [np.max([one.most for one in rates], axis=0) for rates in (mine, theirs)]
        return own.chips(draw) / own.exact * rates[0] / rates[1]

    seen = Recorder(sampler)
    return recorded(again(seen), seen, again)


def training_for_money(
    arch: Architecture,
    job: TrainingJob,
    have: TrainingPlan,
    wanted: Sequence[Machine],
    software: Software,
    dtype: str,
    sampler: Sampler,
    bases: Sequence[str] = BASES,
) -> list[Row]:
    """For each wanted machine what the money of `have` buys of it, and how fast that trains."""
    reference = once(partial(_relative, arch, have, software), sampler)
    rows = []
    for target in wanted:
        try:
            own, chosen = choose_dtype(target.chip, dtype)
            this = msgspec.structs.replace(job, dtype=own)
            money = budget(have.chips, have.machine.chip, target.chip, bases)
            found = have
            if (target.chip, own) != (have.machine.chip, have.job.dtype):
                found = fastest_of(arch, this, target, software, money.count)
            done = have.time_s / found.time_s
            rows.append(
                _trained(arch, found, have, money, reference, software, sampler, done,
                         (*chosen, *quality(target, own)))
            )  # fmt: skip
        except (Infeasible, MissingFact) as error:
            rows.append(refused(target.chip, error))
    return rows


def _trained(
    arch: Architecture,
    found: TrainingPlan,
    have: TrainingPlan,
    money: Budget,
    reference: Answering,
    software: Software,
    sampler: Sampler,
    done: float,
    findings: tuple[Finding, ...],
) -> Row:
    row = training_row(arch, found, found.machine, software, have.power_w)
    work = Spread(1.0, 1.0, 1.0)
    if found is not have:
        slower = ratio(partial(_relative, arch, found, software), reference)
        work = spread(
            lambda draw: done * money.chips(draw) / money.exact / slower(draw), sampler
        ).holding(done)
    return replace(
        row, count=money.count, findings=findings, spread=_count(money, sampler), work=work,
        work_ratio=done, paid=money.mine.name,
    )  # fmt: skip


def _relative(arch: Architecture, plan: TrainingPlan, software: Software, draw: Draw) -> Number:
    """Times of a plan over its own. [1]"""
    return sampled_times(arch, plan, software, draw) / plan.time_s


def fastest_of(
    arch: Architecture, job: TrainingJob, target: Machine, software: Software, chips: int
) -> TrainingPlan:
    """The fastest layout of at most `chips` chips, in whole nodes where they are more than one.

    Raises `Infeasible` where none is legal or none fits.
    """
    node = target.node
    most = chips if chips <= node else chips // node * node
    blocks = layouts(arch, job, target, software, least=LEAST_USED * most, most=most)
    found = evaluate(arch, job, blocks, target, software)
    within: Number = np.zeros(0, dtype=np.int64)
    if found.tried:
        within = np.flatnonzero(in_nodes(found.layout.chips, node) <= most)
    if not len(within):
        return best_plans(arch, job, target, software, max(most, 1), 1)[0]  # which says why
    i = within[int(np.argmin(comparable(found.time_s[within])))]
    return plan(arch, job, target, software, found.layout.take(np.array([i])))
