"""What work costs and earns: the plan by the planners, its books by `economics`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from parity.api.serve import plan_serve
from parity.api.train import plan_train
from parity.catalogue.schema import Chip
from parity.catalogue.spec import Batch, parse_fleet
from parity.economics import books
from parity.economics.hourly import owned, rented
from parity.economics.ledger import OLD, Equation, Figure, drivers, spans
from parity.economics.quotes import NoPrice
from parity.economics.terms import Basis, Money
from parity.errors import Infeasible, MissingFact, ParityError, UsageError
from parity.outputs.costing import cost_answer
from parity.outputs.costing_fields import Asked, Costed, Row, Switched
from parity.outputs.envelope import Answer
from parity.record import Fact
from parity.search.grid import Report
from parity.timing.draw import Sampler
from parity.words.asked import DEFAULT_GBS, DEFAULT_SEQ, DEFAULT_TOKENS, Quantity, one_kind
from parity.words.costs import (
    list_prices,
    money,
    power_figures,
    quantity,
    region_of,
    selling_figures,
)

#: What the planners are told.
USUAL = {"tokens": DEFAULT_TOKENS, "seq": DEFAULT_SEQ, "gbs": DEFAULT_GBS, "days": None}
BOTH = ("dtype", "cluster")
TRAINED = ("tokens", "seq", "gbs", "days", "report", *BOTH)
SERVED = (
    "isl", "osl", "rps", "concurrency", "users", "profile", "prefix", "ttft", "tpot", "kv",
    "engine_generation", "mode", *BOTH,
)  # fmt: skip


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
        return any(self.words.get(name) is not None for name in ("rps", "concurrency", "users"))

    @property
    def unit(self) -> str:
        """What of the books a unit of work costs."""
        return "usd_per_mtoken" if self.train else "usd_per_mtoken_whole_output"


def cost(
    model: str,
    on: str,
    *,
    train: bool = False,
    tokens: Quantity = DEFAULT_TOKENS,
    seq: Quantity = DEFAULT_SEQ,
    gbs: Quantity = DEFAULT_GBS,
    days: Quantity | None = None,
    isl: Quantity | None = None,
    osl: Quantity | None = None,
    rps: Quantity | None = None,
    concurrency: Quantity | None = None,
    users: Quantity | None = None,
    profile: str | None = None,
    prefix: Quantity | None = None,
    ttft: Quantity | None = None,
    tpot: Quantity | None = None,
    dtype: str = "auto",
    kv: str = "auto",
    engine_generation: str | None = None,
    mode: str = "auto",
    cluster: str = "",
    rent: bool = False,
    own: bool = False,
    price: Quantity | None = None,
    terms: str = "on-demand",
    chip_price: Quantity | None = None,
    used: bool = False,
    years: Quantity | None = None,
    residual: Quantity | None = None,
    interest: Quantity | None = None,
    region: str | None = None,
    electricity: Quantity | None = None,
    pue: Quantity | None = None,
    staff: Quantity | None = None,
    utilisation: Quantity | None = None,
    on_date: str | None = None,
    sell: str | None = None,
    sensitivity: bool = False,
    against: str | None = None,
    against_region: str | None = None,
    switch_from: str | None = None,
    port_cost: Quantity | None = None,
    port_loss: Quantity | None = None,
    report: Report | None = None,
) -> Answer:
    """What a day, a million tokens or a training run costs on the chips `on`, and what it earns.

    The work is planned as `plan_serve` and `plan_train` do, with the same words. Chips are rented
    at `price`, or at the quotes of `on_date` under `terms`, or owned; with none of these rented
    where anybody quotes a rent. sell: what tokens sell for, `in=0.55,out=2.19,cached=0.14` in USD
    per million, a model or seller that has a price list, or `list` for that of `model`.
    utilisation: mean load over the load planned for, a share or one for each hour. years, residual,
    interest, staff: of depreciation, share of the price that is left, a year, USD a chip-year.
    against: other chips for the same work. switch_from: chips to come from, with the cost of
    porting and the part of the new speed that is not reached. Quantities take `low..high`.

    Raises `UsageError`, `UnknownName`, `NoPrice`, and what the planners raise.
    """
    said = locals()
    what = money(said, USUAL)
    work = Work(model, train, {name: said[name] for name in (TRAINED if train else SERVED)})
    batch = one_kind(on, "--on")
    plan = work.plan(on)
    main = costed(plan, batch.chip, work, what, complain=True)
    asked = Asked(model, on, batch.count, what, plan, None if train else list_prices(model, what))
    rows = [*_against(work, what, main, against, against_region)]
    swings = [*_sensitivity(work, what, on, batch.chip)] if sensitivity else []
    switched = _switch(work, what, main, switch_from, port_cost, port_loss)
    return cost_answer(asked, main, rows, swings, switched)


def costed(plan: Answer, chip: Chip, work: Work, what: Money, *, complain: bool = False) -> Costed:
    """The books of a plan. complain: whether a price that is missing is an error."""
    answer = plan.content["answer"]
    if answer is None:
        raise Infeasible(plan.document.sentence, plan.content["findings"])
    done = _training_figures(answer, what) if work.train else _serving_figures(answer, what)
    draw = answer["power_w"]
    rating = chip.physical.tdp
    busy = draw / answer["chips"] / rating.value if draw and rating else None
    common = {**done, **power_figures(chip, busy, what)}
    ways, missing = [], []
    rent = partial(rented, chip, what.on, what.terms, what.price)
    own = partial(owned, chip, what.on, what.region, what.stated, used=what.used)
    for name, way in (("rent", rent), ("own", own)):
        try:
            ways.append(way())
        except (MissingFact, UsageError) as error:
            missing.append((name, error))
    chosen = _chosen(ways, missing, what, chip, complain=complain)
    figures = {**common, **(chosen.figures if chosen else {})}
    found = {}
    if chosen:
        found = spans(figures, work.equation, Sampler())
    elif what.sell:
        found = spans(figures, books.earning, Sampler())
    others = {way.name: spans({**common, **way.figures}, work.equation, Sampler()) for way in ways}
    drive = drivers(figures, work.equation, Sampler(), _result(work, what)) if chosen else ()
    parts = {}
    if mine := next((way for way in ways if way.name == "own"), None):
        parts = spans({**common, **mine.figures}, books.owned_hour, Sampler())
    return Costed(chip, answer, chosen, figures, found, others, drive, parts)


def _result(work: Work, what: Money) -> str:
    return "profit_usd_per_day" if what.sell else work.unit


def _chosen(
    ways: list[Basis],
    missing: Sequence[tuple[str, ParityError]],
    what: Money,
    chip: Chip,
    *,
    complain: bool,
) -> Basis | None:
    """Rent or own as asked for; else rent where anybody quotes one."""
    wanted = "own" if what.own else "rent" if what.rent else None
    for way in ways:
        if wanted in (None, way.name):
            return way
    errors = [error for name, error in missing if wanted in (None, name)]
    if complain and len(errors) > 1 and all(isinstance(error, NoPrice) for error in errors):
        raise NoPrice(
            f"Nobody published a rent or a price of {chip.id}; `--price 2.5usd/h`, or `--own "
            "--chip-price 10000..15000`, takes yours."
        )
    if complain:
        raise errors[0]
    return None


def _exact(value: float, name: str = "the plan") -> Figure:
    return Figure(Fact(value, value, value, "1", "derived", name))


def _spread(value: float, low: float, high: float, chip: str) -> Figure:
    """A result of a planner: P10 and P90 are its ends."""
    return Figure(Fact(value, low, high, "1", "derived", f"speed of {chip}"), deciles=True)


def _serving_figures(answer: dict[str, Any], what: Money) -> dict[str, Figure]:
    request, span, chip = answer["request"], answer["range"], answer["chip"]
    rate, chips = _exact(answer["requests_per_s"]), _exact(answer["chips"])
    asked = answer["target"]["requests_per_s"] or answer["target"]["users"]
    if span["of"] == "chips":
        chips = _spread(answer["chips"], span["low"], span["high"], chip)
    elif not asked:
        rate = _spread(answer["most_requests_per_s"], span["low"], span["high"], chip)
    cached = request["cached_tokens"]
    return {
        "requests_per_s": rate,
        "chips": chips,
        "utilisation": Figure(what.utilisation),
        "input": _exact(request["input_tokens"] - cached),
        "cached": _exact(cached),
        "output": _exact(request["output_tokens"]),
        "prompt_share": _exact(answer["prompt_time_share"]),
        **(selling_figures(what.sell) if what.sell else {}),
    }


def _training_figures(answer: dict[str, Any], what: Money) -> dict[str, Figure]:
    if "parts" in answer:
        raise UsageError("--on takes one kind of chip here; cost the kinds of a fleet one by one.")
    span, chip = answer["range"], answer["chip"]
    chips, hours = _exact(answer["chips"]), _exact(24 * answer["days"])
    if span["of"] == "chips":
        chips = _spread(answer["chips"], span["low"], span["high"], chip)
    else:
        hours = _spread(24 * answer["days"], 24 * span["low"], 24 * span["high"], chip)
    tokens = answer["tokens_per_s"] * answer["days"] * 86_400 * answer["goodput"]["fraction"]
    return {
        "chips": chips,
        "hours": hours,
        "utilisation": Figure(what.utilisation),
        "tokens": _exact(tokens),
    }


def _against(
    work: Work, what: Money, main: Costed, against: str | None, region: str | None
) -> Iterator[Row]:
    """The same work on other chips, each with what it costs or why it has no cost."""
    if against is None:
        if region is not None:
            raise UsageError("--against-region says where the chips of --against stand; add those.")
        return
    elsewhere = what
    if region is not None:
        elsewhere = replace(what, region=region_of(region))
    if what.price is not None or "chip_usd" in what.stated:
        kept = {k: v for k, v in what.stated.items() if k != "chip_usd"}
        elsewhere = replace(elsewhere, price=None, stated=kept, rent=False)
    for batch in parse_fleet(against):
        yield _row(work, elsewhere, main, batch)


def _row(work: Work, what: Money, main: Costed, batch: Batch) -> Row:
    """The work on other chips: as many as were said, or as the load or the days need, or the same
    number.
    """
    on, words = batch.text, {}
    if batch.count is None and work.train:
        words = {"days": main.answer["days"]}
    elif batch.count is None and not work.loaded:
        on = f"{main.answer['chips']}x{batch.text}"
    name = batch.text.partition("x")[2] if batch.count else batch.text
    label = name if "@" in name else batch.chip.id
    try:
        plan = work.plan(on, **words)
        found = costed(plan, batch.chip, work, what)
    except (Infeasible, MissingFact) as error:
        return Row(label, what.region, None, str(error))
    missed = plan.document.sentence if plan.exit_code else ""
    return Row(label, what.region, found, missed or ("" if found.basis else "no price published"))


def _sensitivity(
    work: Work, what: Money, on: str, chip: Chip
) -> Iterator[tuple[str, Costed | str]]:
    """The same service with other cache hits, other latencies, another load and other prices."""
    tpot = work.plan(on).content["answer"]["target"]["tpot_s"]
    changes: list[tuple[str, dict[str, Any], Money]] = [
        (f"--prefix {share}", {"prefix": share}, what) for share in (0, 0.5, 0.8)
    ]
    if tpot is not None and tpot < 1e6:
        changes += [
            (f"--tpot {1000 * tpot * f:.3g}ms", {"tpot": f"{1000 * tpot * f:.3g}ms"}, what)
            for f in (0.5, 2)
        ]
    changes.append(("--ttft none --tpot none", {"ttft": "none", "tpot": "none"}, what))
    changes += [
        (f"--utilisation {share}", {}, replace(what, utilisation=_share(share)))
        for share in ("30%", "100%")
    ]
    if what.sell:
        sold = what.sell
        half = replace(
            sold,
            input=_scaled(sold.input, 0.5),
            cached=_scaled(sold.cached, 0.5),
            output=_scaled(sold.output, 0.5),
        )
        changes.append(("tokens at half the price", {}, replace(what, sell=half)))
    for label, words, told in changes:
        try:
            plan = work.plan(on, **words)
            missed = plan.document.sentence if plan.exit_code else ""
            yield label, missed or costed(plan, chip, work, told)
        except ParityError as error:
            yield label, str(error)


def _share(text: str) -> Fact:
    return quantity(text, "fraction", "--utilisation", least=0, most=1)


def _scaled(fact: Fact, by: float) -> Fact:
    return Fact(
        fact.value * by, fact.low * by, fact.high * by, fact.unit, fact.provenance, fact.source
    )


def _switch(
    work: Work,
    what: Money,
    main: Costed,
    old: str | None,
    port_cost: Quantity | None,
    port_loss: Quantity | None,
) -> Switched | None:
    """From the chips `old` to those of the question, at the work of the latter."""
    if old is None:
        if port_cost is not None or port_loss is not None:
            raise UsageError("--port-cost and --port-loss belong to --switch-from 8xh100.")
        return None
    if port_cost is None:
        raise UsageError(
            "--switch-from needs --port-cost: what porting and testing cost once, as in 200k..1M."
        )
    batch = one_kind(old, "--switch-from")
    free = replace(what, price=None, stated={
        k: v for k, v in what.stated.items() if k != "chip_usd"
    }, rent=what.rent and what.price is None)  # fmt: skip
    words = {"days": main.answer["days"]} if work.train and batch.count is None else {}
    before = costed(work.plan(old, **words), batch.chip, work, free, complain=True)
    figures = {
        **main.figures,
        **{OLD + name: figure for name, figure in before.figures.items()},
        "port_cost": Figure(quantity(port_cost, "1", "--port-cost", least=0, most=1e12)),
        "port_loss": Figure(
            quantity(port_loss or 0, "fraction", "--port-loss", least=0, most=0.99)
        ),
    }
    equation = partial(books.switching, unit=work.unit, equation=work.equation)
    found = spans(figures, equation, Sampler())
    drive = drivers(figures, equation, Sampler(), "saved_usd_per_day")
    return Switched(before, found, drive)
