"""The question about money as a Python function: words or numbers in, an `Answer` out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from parity.api.cost_work import Work, costed, planned
from parity.catalogue.spec import Batch, parse_fleet
from parity.economics import books
from parity.economics.ledger import OLD, Figure, drivers, spans
from parity.economics.terms import Money
from parity.errors import Infeasible, MissingFact, ParityError, UsageError
from parity.outputs.costing import cost_answer
from parity.outputs.costing_fields import Asked, Costed, Row, Switched
from parity.outputs.envelope import Answer
from parity.record import Fact
from parity.search.grid import Report
from parity.timing.draw import Sampler
from parity.words.asked import DEFAULT_GBS, DEFAULT_SEQ, DEFAULT_TOKENS, Quantity
from parity.words.costs import list_prices, money, quantity, region_of

#: What the planners are told.
USUAL = {"tokens": DEFAULT_TOKENS, "seq": DEFAULT_SEQ, "gbs": DEFAULT_GBS, "days": None}
BOTH = ("dtype", "cluster")
TRAINED = ("tokens", "seq", "gbs", "days", "report", *BOTH)
SERVED = (
    "isl", "osl", "rps", "concurrency", "users", "profile", "prefix", "ttft", "tpot", "kv",
    "engine_generation", "mode", *BOTH,
)  # fmt: skip


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
    buy: str | None = None,
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
    buy: the prices at which the tokens could be bought instead, as `sell` takes them; else the list
    of `model`, or of the model nearest in size. against: other chips for the same work, a fleet
    joined by `+`. switch_from: chips to come from, with the cost of porting and the part of the new
    speed that is not reached. Quantities take `low..high`.

    Raises `UsageError`, `UnknownName`, `NoPrice`, and what the planners raise.
    """
    said = locals()
    what = money(said, USUAL)
    work = Work(model, train, {name: said[name] for name in (TRAINED if train else SERVED)})
    return _answered(work, what, said)


def _answered(work: Work, what: Money, said: Mapping[str, Any]) -> Answer:
    """The books of the work on the chips `on`, and what was asked for beside them."""
    batches = parse_fleet(said["on"])
    _one_kind_only(batches, said)
    plan = planned(work, batches, what)
    listed = None if work.train else list_prices(work.model, what, said["buy"]) or what.sell
    main = costed(plan, work, what, listed, complain=True)
    asked = Asked(
        work.model, said["on"], _count(batches), what, work.train, plan.findings, plan.exit_code,
        listed,
    )  # fmt: skip
    rows = [*_against(work, what, main, said["against"], said["against_region"])]
    swings = [*_sensitivity(work, what, batches[0])] if said["sensitivity"] else []
    switched = _switch(work, what, main, said["switch_from"], said["port_cost"], said["port_loss"])
    return cost_answer(asked, main, rows, swings, switched)


def _count(batches: tuple[Batch, ...]) -> int | None:
    """All chips, where every kind has a count."""
    counts = [batch.count for batch in batches if batch.count is not None]
    return sum(counts) if len(counts) == len(batches) else None


def _one_kind_only(batches: tuple[Batch, ...], said: Mapping[str, object]) -> None:
    """Raises `UsageError` for a word that a fleet of several kinds cannot take."""
    for name in ("price", "chip_price", "sensitivity"):
        if len(batches) > 1 and said[name] not in (None, False):
            option = f"--{name.replace('_', '-')}"
            raise UsageError(f"{option} takes one kind of chip in --on; a fleet has several.")


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
    for fleet in alternatives(against):
        yield _row(work, elsewhere, main, fleet)


def alternatives(text: str) -> Iterator[tuple[Batch, ...]]:
    """The chips of `--against`: one or another, `h20,16xa100`, or a fleet, `8xh20+16xa100`."""
    fleets: list[list[str]] = []
    for joint, piece in re.findall(r"(^|[,+])([^,+]*)", text):
        if fleets and "=" in piece and "@" not in piece.partition("=")[0]:
            fleets[-1][-1] += f",{piece}"  # one more figure of the chip before
        elif joint == "+":
            fleets[-1].append(piece)
        else:
            fleets.append([piece])
    for fleet in fleets:
        yield parse_fleet(",".join(fleet))


def _row(work: Work, what: Money, main: Costed, fleet: tuple[Batch, ...]) -> Row:
    """The work on other chips: as many as were said, or as the load or the days need, or the same
    number.
    """
    words: dict[str, object] = {}
    batch, *more = fleet
    if not more and batch.count is None and work.train:
        words = {"days": main.answer["days"]}
    elif not more and batch.count is None and not work.loaded:
        fleet = parse_fleet(f"{main.answer['chips']}x{batch.text}")
    label = "+".join(_label(one, counted=bool(more)) for one in fleet)
    try:
        plan = planned(work, fleet, what, **words)
        found = costed(plan, work, what)
    except (Infeasible, MissingFact) as error:
        return Row(label, what.region, None, str(error))
    unpriced = "" if found.basis else "no price published"
    return Row(label, what.region, found, plan.missed or unpriced)


def _label(batch: Batch, *, counted: bool) -> str:
    _, at, own = batch.text.partition("@")
    number = f"{batch.count}x" if counted else ""
    return f"{number}{batch.chip.id}{at}{own}"


def _sensitivity(work: Work, what: Money, batch: Batch) -> Iterator[tuple[str, Costed | str]]:
    """The same service with other cache hits, other latencies, another load and other prices."""
    tpot = planned(work, (batch,), what).answer["target"]["tpot_s"]
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
            plan = planned(work, (batch,), told, **words)
            yield label, plan.missed or costed(plan, work, told)
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
    batches = parse_fleet(old)
    kept = {k: v for k, v in what.stated.items() if k != "chip_usd"}
    free = replace(what, price=None, stated=kept, rent=what.rent and what.price is None)
    counted = all(batch.count is not None for batch in batches)
    words = {"days": main.answer["days"]} if work.train and not counted else {}
    before = costed(planned(work, batches, free, **words), work, free, complain=True)
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
