"""What the words about money mean: prices, places, dates, use. Errors name the option."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

from parity.catalogue.schema import Chip
from parity.economics import prices
from parity.economics.ledger import Figure
from parity.economics.prices import TokenPrices
from parity.economics.quotes import newest, operation, parse_date, regions
from parity.economics.terms import Money
from parity.errors import BadQuantity, UnknownName, UsageError, shorten
from parity.evaluate.energy import WAITING_SHARE
from parity.record import Fact
from parity.units import parse, render
from parity.words.asked import Quantity
from parity.workload.count import active_parameters, parameters
from parity.workload.find import model as find_model
from parity.workload.find import names, spelled

USUAL_REGION = "us"
TOKEN_KINDS = ("in", "out", "cached")
HOURS_A_DAY = 24


def money(said: Mapping[str, Any], usual: Mapping[str, object]) -> Money:
    """The words of a question about money, by the names of the parameters of `parity.cost`.

    usual: words of training, as they stand where nobody says them.

    Raises `UsageError`, `UnknownName`, `BadQuantity`, `NoPrice`.
    """
    price, sell, train = said["price"], said["sell"], said["train"]
    _misplaced(said, usual)
    if said["own"] and (said["rent"] or price is not None):
        raise UsageError("--own and --rent or --price are two ways to pay; give one of them.")
    on = newest() if said["on_date"] is None else parse_date(said["on_date"], "--on-date")
    region, load = region_of(said["region"]), _load(said["utilisation"], train)
    assumed = [] if said["on_date"] else [f"--on-date {on}"]
    assumed += [] if said["region"] else [f"--region {region}"]
    if said["utilisation"] is None and not train:
        assumed.append(f"--utilisation {100 * load.value:.0f}% ({load.note}, {load.source})")
    return Money(
        rent=said["rent"] or price is not None,
        own=said["own"] or (not said["rent"] and price is None and _owns(said)),
        price=None if price is None else quantity(price, "USD/h", "--price", least=1e-6, most=1e6),
        terms=_terms(said["terms"]),
        region=region,
        utilisation=load,
        on=on,
        used=said["used"],
        sell=None if sell is None else selling(sell, said["model"], on),
        stated=_stated({option: said[option] for option in _OWNING}),
        assumed=tuple(assumed),
    )


#: Words that mean nothing of a training run.
_SERVING = (
    "isl", "osl", "rps", "concurrency", "users", "profile", "prefix", "ttft", "tpot",
    "engine_generation", "utilisation", "sell", "buy", "sensitivity",
)  # fmt: skip


def _misplaced(said: Mapping[str, Any], usual: Mapping[str, object]) -> None:
    """Raises `UsageError` for a word of serving in a question of training, and the reverse."""
    if said["train"]:
        wrong = [name for name in _SERVING if said[name] not in (None, False)]
        of = "of serving; leave it or --train out"
    else:
        wrong = [name for name, value in usual.items() if said[name] != value]
        of = "of training; add --train"
    if wrong:
        option = {"engine_generation": "engine"}.get(wrong[0], wrong[0])
        raise UsageError(f"--{option} is {of}.")


def _owns(said: Mapping[str, Any]) -> bool:
    """Whether a word was said that only chips of one's own have a use for."""
    words = ("chip_price", "years", "residual", "interest", "staff")
    return said["used"] or any(said[word] is not None for word in words)


def _terms(terms: str) -> str:
    if terms not in prices.TERMS:
        known = ", ".join(prices.TERMS)
        raise UnknownName("terms of rent", terms, prices.TERMS, f"Known are {known}.")
    return terms


def region_of(region: str | None) -> str:
    """A region with a price of electricity. Raises `UnknownName`."""
    place = (region or USUAL_REGION).strip().lower()
    if place not in regions():
        known = ", ".join(regions())
        raise UnknownName("region", region or "", regions(), f"Known are {known}.")
    return place


def _load(utilisation: Quantity | None, train: bool) -> Fact:
    """The mean load over the load planned for: a share, a range, or 24 shares, one an hour."""
    if utilisation is None:
        return Fact(1.0, 1.0, 1.0, "1", "user", "a run") if train else operation("utilisation")
    what = "--utilisation"
    parts = str(utilisation).split(",")
    if len(parts) == 1:
        return quantity(utilisation, "fraction", what, least=1e-3, most=1)
    if len(parts) != HOURS_A_DAY:
        raise UsageError(f"{what} has {len(parts)} shares; one, or {HOURS_A_DAY}, one an hour.")
    hours = [quantity(part, "fraction", what, least=0, most=1).value for part in parts]
    mean = sum(hours) / HOURS_A_DAY
    if mean < 1e-3:
        raise UsageError(f"{what} is zero all day; nothing is served.")
    return Fact(mean, mean, mean, "fraction", "user", "command line", "mean of 24 hours")


#: option -> (unit, least, most, figure of the books)
_OWNING = {
    "chip_price": ("USD", 1e-3, 1e8, "chip_usd"),
    "years": ("1", 0.25, 50, "depreciation"),
    "residual": ("fraction", 0, 1, "residual"),
    "interest": ("fraction", 0, 1, "interest"),
    "electricity": ("USD/kWh", 0, 100, "electricity"),
    "pue": ("1", 1, 10, "pue"),
    "staff": ("USD", 0, 1e7, "staff"),
}


def _stated(given: Mapping[str, Quantity | None]) -> dict[str, Fact]:
    found = {}
    for option, value in given.items():
        if value is not None:
            unit, least, most, name = _OWNING[option]
            what = f"--{option.replace('_', '-')}"
            found[name] = quantity(value, unit, what, least=least, most=most)
    return found


_RANGE = re.compile(r"\s*(\S+?)\s*\.\.\s*(\S+)\s*")


def quantity(text: Quantity, unit: str, what: str, *, least: float, most: float) -> Fact:
    """A number of the user's, or a range `low..high` with the middle as its value.

    Raises `BadQuantity` where it is none or outside `least` to `most`.
    """
    match = _RANGE.fullmatch(str(text))
    if match and not re.search(r"[a-zA-Z%]", match[1]):  # 2..3USD/h: the unit counts for both
        suffix = re.sub(r"^[\d.eE+-]+", "", match[2])
        words = [match[1] + suffix, match[2]]
    else:
        words = [match[1], match[2]] if match else [str(text)]
    ends = [parse(_spelled(word), unit, what) for word in words]
    for end in ends:
        if not least <= end <= most:
            raise BadQuantity(
                f"{what} is {shorten(str(text))!r}; {least:g} to {most:g} {_name(unit)}"
                "was expected."
            )
    if ends != sorted(ends):
        raise BadQuantity(f"{what} is {shorten(str(text))!r}; the range runs from low to high.")
    low, high = ends[0], ends[-1]
    return Fact((low + high) / 2, low, high, unit, "user", f"{what} {text}")


def _spelled(word: str) -> str:
    return re.sub(r"usd", "USD", re.sub(r"kwh", "kWh", word, flags=re.I), flags=re.I)


def _name(unit: str) -> str:
    return "" if unit in ("1", "fraction") else f"{unit} "


def selling(text: str, model: str, on: date, option: str = "--sell") -> TokenPrices:
    """Prices of tokens: `in=0.55,out=2.19,cached=0.14`, or whose they are.

    Raises `UsageError`, `UnknownName`.
    """
    if "=" not in text:
        name = model if text.strip().lower() == "list" else text
        return prices.token_prices(spelled(name) or name, on)
    given: dict[str, Fact] = {}
    for part in text.split(","):
        kind, _, value = part.partition("=")
        kind = kind.strip().lower()
        if kind not in TOKEN_KINDS:
            raise UnknownName("price of tokens", kind, TOKEN_KINDS, "As in `in=0.55,out=2.19`.")
        given[kind] = quantity(value.strip(), "USD", f"{option} {kind}", least=0, most=1e6)
    missing = [kind for kind in ("in", "out") if kind not in given]
    if missing:
        raise UsageError(f"{option} lacks {' and '.join(missing)}, as in `in=0.55,out=2.19`.")
    if given["in"].high == given["out"].high == 0:
        raise UsageError(f"{option} asks nothing for tokens; a service that is free has no margin.")
    cached = given.get("cached", given["in"])
    return TokenPrices(text, "", given["in"], cached, given["out"])


def power_figures(chip: Chip, busy: float | None, what: Money) -> dict[str, Figure]:
    """What a chip draws and where; empty where its rating is not published.

    busy: of its rating, while it works.
    """
    if chip.physical.tdp is None or busy is None:
        return {}
    exact = Fact(busy, busy, busy, "1", "derived", "the plan")
    idle = Fact(WAITING_SHARE, WAITING_SHARE, WAITING_SHARE, "1", "measured", "evaluate.energy")
    carbon = operation("carbon", what.country)
    return {
        "tdp_w": Figure(chip.physical.tdp), "busy": Figure(exact), "idle": Figure(idle),
        "server_power": Figure(operation("server_power")),
        "pue": Figure(what.stated.get("pue") or operation("pue")), "carbon": Figure(carbon),
    }  # fmt: skip


def selling_figures(sold: TokenPrices) -> dict[str, Figure]:
    """Token prices as figures of the books."""
    return {
        "input_usd": Figure(sold.input),
        "cached_usd": Figure(sold.cached),
        "output_usd": Figure(sold.output),
    }


#: A model whose parameters, active or all, differ by more says nothing of what tokens cost. [1]
SIMILAR = 2.0


def list_prices(model: str, what: Money, buy: str | None = None) -> TokenPrices | None:
    """What the tokens of a model are sold for on the day, or those of a model of nearly its size;
    None where nobody sells such. buy: prices, or whose, that were asked for.

    Raises `UsageError`, `UnknownName` for words of `buy`.
    """
    if buy is not None:
        return selling(buy, model, what.on, "--buy")
    try:
        return prices.token_prices(spelled(model) or model, what.on)
    except UsageError:
        return similar(model, what.on)


def similar(model: str, on: date) -> TokenPrices | None:
    """The price list of the model that is sold on a day and nearest in size, if one is near."""
    own, nearest = _sizes(model), None
    for name in prices.sold_models():
        if name not in names():
            continue
        try:
            found = prices.token_prices(name, on)
        except UsageError:
            continue
        theirs = _sizes(name)
        apart = max(max(a / b, b / a) for a, b in zip(own, theirs, strict=True))
        if apart <= SIMILAR and (nearest is None or apart < nearest[0]):
            words = f"{name}, of {render(theirs[1], '1')} parameters"
            nearest = apart, replace(found, name=words)
    return nearest[1] if nearest else None


def _sizes(model: str) -> tuple[int, int]:
    """Active and all parameters of a model."""
    arch = find_model(model)
    return active_parameters(arch), parameters(arch)
