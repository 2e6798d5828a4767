"""The books of a piece of work, on one kind of chip or on a fleet of several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from parity.api.serve import plan_serve
from parity.api.train import plan_train
from parity.catalogue.schema import Chip
from parity.catalogue.spec import Batch
from parity.economics import books
from parity.economics.hourly import owned, rented
from parity.economics.ledger import Equation, Figure, Span, drivers, spans
from parity.economics.prices import TokenPrices
from parity.economics.terms import Basis, Money
from parity.errors import Infeasible, MissingFact, NoPrice, ParityError, UsageError
from parity.evaluate.energy import WAITING_SHARE
from parity.outputs.costing_fields import Costed, Kind, Way
from parity.outputs.envelope import TARGET_MISSED, Answer
from parity.record import Fact, Finding
from parity.search.findings import note
from parity.timing.draw import Sampler
from parity.units import parse, significant
from parity.words.costs import power_figures, selling_figures

Figures = Mapping[str, Figure]
#: Words of a load. A fleet shares requests among its kinds, so only the first is of one.
LOADS = ("rps", "concurrency", "users")


@dataclass(frozen=True)
class Work:
    """How a piece of work is planned: the planner, and what it is told besides the chips."""

    model: str
    train: bool
    words: dict[str, Any]

    def plan(self, on: str, **changed: object) -> Answer:
        """The plan on other chips, or with other words."""
        planner = plan_train if self.train else plan_serve
        return planner(self.model, on, top=1, **{**self.words, **changed})

    @property
    def equation(self) -> Equation:
        """The books that are kept of it."""
        return books.training if self.train else books.serving

    @property
    def loaded(self) -> bool:
        """Whether a load is asked for, so that the number of chips may be the answer."""
        return any(self.words.get(name) is not None for name in LOADS)

    @property
    def unit(self) -> str:
        """What of the books a unit of work costs."""
        return "usd_per_mtoken" if self.train else "usd_per_mtoken_whole_output"


@dataclass(frozen=True)
class Planned:
    """The work on some chips: what the planner says, and the figures of each kind of chip."""

    answer: Mapping[str, Any]
    common: Figures  # of all kinds
    kinds: tuple[tuple[Chip, int, Figures], ...]
    findings: tuple[Finding, ...]
    missed: str = ""  # the target, in words
    exit_code: int = field(default=0)


def planned(work: Work, batches: Sequence[Batch], what: Money, **words: object) -> Planned:
    """The work on `batches`. Raises `Infeasible`, `UsageError`, and what the planners raise."""
    if len(batches) > 1 and not work.train:
        return _served_by_all(work, batches, what)
    plan = work.plan(",".join(batch.text for batch in batches), **words)
    answer = _answer(plan)
    missed = plan.document.sentence if plan.exit_code else ""
    parts = answer.get("parts", (answer,))
    known = {batch.chip.id: batch.chip for batch in batches}
    kinds = []
    for part in parts:
        chip = known[part["chip"]]
        own = _chips(part, answer) if work.train else _serving_figures(answer)
        own |= power_figures(chip, _busy(part, chip), what)
        kinds.append((chip, part["chips"], own))
    common = {"utilisation": Figure(what.utilisation)}
    common |= _run_figures(answer) if work.train else _sold(what)
    found = plan.document.findings
    return Planned(answer, common, tuple(kinds), found, missed, plan.exit_code)


def _served_by_all(work: Work, batches: Sequence[Batch], what: Money) -> Planned:
    """A service on several kinds of chip: each serves by itself, and requests are shared so that
    all are as busy as each other.
    """
    for name in LOADS[1:]:
        if work.words.get(name) is not None:
            raise UsageError(f"--{name} takes one kind of chip; a fleet takes --rps, or no load.")
    if any(batch.count is None for batch in batches):
        raise UsageError("A fleet of several kinds takes a count of each, as in `16xa100,8xh20`.")
    plans = [work.plan(batch.text, rps=None) for batch in batches]
    answers = [_answer(plan) for plan in plans]
    most = sum(answer["most_requests_per_s"] for answer in answers)
    asked = work.words.get("rps")
    load = None if asked is None else parse(asked, "1", "--rps")
    if load is not None and load <= 0:
        raise UsageError(f"--rps is {asked}; a number above zero was expected.")
    full = 1.0 if load is None else min(load / most, 1.0)
    kinds = []
    for batch, answer in zip(batches, answers, strict=True):
        own = _serving_figures(answer)
        if load is not None:
            own["requests_per_s"] = exact(answer["most_requests_per_s"] * full)
        own |= power_figures(batch.chip, _busy(answer, batch.chip, full), what)
        kinds.append((batch.chip, answer["chips"], own))
    findings = [finding for plan in plans for finding in plan.document.findings]
    missed = "; ".join(plan.document.sentence for plan in plans if plan.exit_code)
    if load is not None and load > most:
        missed = f"The fleet serves {significant(most)} of {significant(load)} requests/s."
        findings.insert(0, note("P405", missed, "warning", "more chips"))
    together = {"chips": sum(answer["chips"] for answer in answers), "most_requests_per_s": most}
    common = {"utilisation": Figure(what.utilisation), **_sold(what)}
    code = TARGET_MISSED if missed else 0
    return Planned(together, common, tuple(kinds), tuple(dict.fromkeys(findings)), missed, code)


def _answer(plan: Answer) -> dict[str, Any]:
    answer: dict[str, Any] | None = plan.content["answer"]
    if answer is None:
        raise Infeasible(plan.document.sentence, plan.content["findings"])
    return answer


def costed(
    plan: Planned,
    work: Work,
    what: Money,
    listed: TokenPrices | None = None,
    *,
    complain: bool = False,
) -> Costed:
    """The books of a plan. listed: what others sell the tokens for. complain: whether a price that
    is missing is an error.
    """
    ways = [_ways(chip, what) for chip, _, _ in plan.kinds]
    chosen = [
        _chosen(found, what, chip, complain=complain)
        for found, (chip, _, _) in zip(ways, plan.kinds, strict=True)
    ]
    basis = joined(plan, chosen)
    figures = flat(plan, chosen)
    found: Mapping[str, Span] = {}
    if basis:
        found = spans(figures, work.equation, Sampler())
    elif what.sell:
        found = spans(figures, books.earning, Sampler())
    result = "profit_usd_per_day" if what.sell else work.unit
    kinds = tuple(
        _kind(one, way, plan.common, work) for one, way in zip(plan.kinds, chosen, strict=True)
    )
    return Costed(
        kinds=kinds,
        answer=plan.answer,
        basis=basis,
        figures=figures,
        found=found,
        ways=_compared(plan, ways, work, listed),
        bought=_bought(plan, listed),
        parts=_owned_parts(plan, ways),
        over_rent=_over_rent(plan, ways, what),
        drivers=drivers(figures, work.equation, Sampler(), result) if basis else (),
    )


def flat(plan: Planned, ways: Sequence[Basis | None]) -> dict[str, Figure]:
    """The figures of all kinds as the books of a fleet take them: `kind.figure`."""
    many = len(plan.kinds) > 1
    figures = dict(plan.common)
    for at, ((chip, _, own), way) in enumerate(zip(plan.kinds, ways, strict=True)):
        again = any(other.id == chip.id for other, _, _ in plan.kinds[:at])
        kind = f"{chip.id} ({at + 1})." if again else f"{chip.id}." if many else ""
        mine = {**own, **(way.figures if way else {})}
        figures |= {f"{kind}{name}": figure for name, figure in mine.items()}
    return figures


def joined(plan: Planned, ways: Sequence[Basis | None]) -> Basis | None:
    """How the chips of all kinds are come by; None where one kind has no price."""
    known = [way for way in ways if way is not None]
    if len(known) < len(ways):
        return None
    if len(known) == 1:
        return known[0]
    names = dict.fromkeys(way.name for way in known)
    each = [f"{kind[0].id} {way.words}" for kind, way in zip(plan.kinds, known, strict=True)]
    return Basis(" and ".join(names), "; ".join(each), {}, max(way.days_old for way in known))


def _ways(chip: Chip, what: Money) -> dict[str, Basis | ParityError]:
    """To rent and to own a chip, or why one cannot be counted."""
    calls = {
        "rent": partial(rented, chip, what.on, what.terms, what.price),
        "own": partial(owned, chip, what.on, what.region, what.stated, used=what.used),
    }
    found: dict[str, Basis | ParityError] = {}
    for name, way in calls.items():
        try:
            found[name] = way()
        except (MissingFact, UsageError) as error:
            found[name] = error
    return found


def _chosen(
    ways: Mapping[str, Basis | ParityError], what: Money, chip: Chip, *, complain: bool
) -> Basis | None:
    """Rent or own as asked for; else rent where anybody quotes one."""
    wanted = ("own",) if what.own else ("rent",) if what.rent else ("rent", "own")
    errors = []
    for name in wanted:
        way = ways[name]
        if isinstance(way, Basis):
            return way
        errors.append(way)
    if complain and len(errors) > 1 and all(isinstance(error, NoPrice) for error in errors):
        raise NoPrice(
            f"Nobody published a rent or a price of {chip.id}; `--price 2.5usd/h`, or `--own "
            "--chip-price 10000..15000`, takes yours."
        )
    if complain:
        raise errors[0]
    return None


def _kind(
    kind: tuple[Chip, int, Figures],
    basis: Basis | None,
    common: Figures,
    work: Work,
) -> Kind:
    """One kind of chip by itself."""
    chip, count, own = kind
    if basis is None:
        return Kind(chip, count, None, {})
    found = spans({**common, **own, **basis.figures}, work.equation, Sampler())
    return Kind(chip, count, basis, found)


def _compared(
    plan: Planned,
    ways: Sequence[Mapping[str, Basis | ParityError]],
    work: Work,
    listed: TokenPrices | None,
) -> dict[str, Way]:
    """The whole rented and the whole owned, each where all kinds have a price."""
    found = {}
    for name in ("rent", "own"):
        mine = [way[name] for way in ways]
        bases = [one for one in mine if isinstance(one, Basis)]
        if len(bases) < len(mine):
            continue
        figures = flat(plan, bases)
        even = None
        if listed is not None and not work.train:
            with_prices = {**figures, **selling_figures(listed)}
            even = spans(with_prices, books.bought, Sampler())["break_even_utilisation"]
        found[name] = Way(spans(figures, work.equation, Sampler()), even)
    return found


def _owned_parts(
    plan: Planned, ways: Sequence[Mapping[str, Basis | ParityError]]
) -> Mapping[str, Span]:
    """The parts of an hour of one's own chips; nothing where one has no price."""
    bases = [one for way in ways if isinstance(one := way["own"], Basis)]
    if len(bases) < len(ways):
        return {}
    return spans(flat(plan, bases), books.owned_parts, Sampler())


def _bought(plan: Planned, listed: TokenPrices | None) -> Span | None:
    """What the tokens of a day cost where they are bought instead."""
    if listed is None or "days" in plan.answer:
        return None
    figures = {**flat(plan, [None] * len(plan.kinds)), **selling_figures(listed)}
    return spans(figures, books.earning, Sampler())["revenue_usd_per_day"]


def _over_rent(
    plan: Planned, ways: Sequence[Mapping[str, Basis | ParityError]], what: Money
) -> Span | None:
    """The mean load from which one's own chips are cheaper than those rented by the hour."""
    if what.price is None and what.terms != "on-demand":
        return None
    both = []
    for way in ways:
        own, rent = way["own"], way["rent"]
        if not isinstance(own, Basis) or not isinstance(rent, Basis):
            return None
        hourly = {"hourly_rent": rent.figures["rent"]}
        both.append(Basis("own", own.words, {**own.figures, **hourly}, own.days_old))
    return spans(flat(plan, both), books.instead_of_rent, Sampler())["break_even_utilisation"]


def exact(value: float, name: str = "the plan") -> Figure:
    """A figure without a range."""
    return Figure(Fact(value, value, value, "1", "derived", name))


def _spread(value: float, low: float, high: float, chip: str) -> Figure:
    """A result of a planner: P10 and P90 are its ends."""
    return Figure(Fact(value, low, high, "1", "derived", f"speed of {chip}"), deciles=True)


def _busy(answer: Mapping[str, Any], chip: Chip, full: float = 1.0) -> float | None:
    """Draw of a chip over its rating at so much of the load of the plan."""
    draw, rating = answer["power_w"], chip.physical.tdp
    if not draw or not rating:
        return None
    busy = draw / answer["chips"] / rating.value
    return WAITING_SHARE + full * (float(busy) - WAITING_SHARE)


def _sold(what: Money) -> dict[str, Figure]:
    return selling_figures(what.sell) if what.sell else {}


def _serving_figures(answer: Mapping[str, Any]) -> dict[str, Figure]:
    request, span, chip = answer["request"], answer["range"], answer["chip"]
    rate, chips = exact(answer["requests_per_s"]), exact(answer["chips"])
    asked = answer["target"]["requests_per_s"] or answer["target"]["users"]
    if span["of"] == "chips":
        chips = _spread(answer["chips"], span["low"], span["high"], chip)
    elif not asked:
        rate = _spread(answer["most_requests_per_s"], span["low"], span["high"], chip)
    cached = request["cached_tokens"]
    return {
        "requests_per_s": rate,
        "chips": chips,
        "input": exact(request["input_tokens"] - cached),
        "cached": exact(cached),
        "output": exact(request["output_tokens"]),
        "prompt_share": exact(answer["prompt_time_share"]),
    }


def _chips(part: Mapping[str, Any], answer: Mapping[str, Any]) -> dict[str, Figure]:
    """How many chips of a kind a run takes."""
    span = answer["range"]
    if span["of"] != "chips" or part is not answer:
        return {"chips": exact(part["chips"])}
    return {"chips": _spread(part["chips"], span["low"], span["high"], part["chip"])}


def _run_figures(answer: Mapping[str, Any]) -> dict[str, Figure]:
    """How long a run takes, and its tokens."""
    span, hours = answer["range"], exact(24 * answer["days"])
    if span["of"] != "chips":
        chip = answer.get("chip", "the fleet")
        hours = _spread(24 * answer["days"], 24 * span["low"], 24 * span["high"], chip)
    tokens = answer["tokens_per_s"] * answer["days"] * 86_400 * answer["goodput"]["fraction"]
    return {"hours": hours, "tokens": exact(tokens)}
