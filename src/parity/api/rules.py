"""The question about export rules as a Python function: words in, an `Answer` out."""

from __future__ import annotations

from datetime import date

from parity.catalogue.load import chips
from parity.catalogue.spec import parse_fleet
from parity.catalogue.table import where
from parity.errors import UsageError, shorten
from parity.outputs.envelope import Answer
from parity.outputs.rules import Judged, rules_answer
from parity.supply.rules import assess, trade
from parity.supply.rules_data import book, stack
from parity.supply.thresholds import Thresholds, thresholds


def rules(
    chips: str,
    *,
    on_date: str | None = None,
    from_: str = "US",
    to: str = "CN",
    hq: str | None = None,
    check: bool = False,
    chart: bool = False,
) -> Answer:
    """What export rules say of `chips` on a day: caught, not caught, or not to be told.

    chips: names, `all`, a filter such as `vendor=huawei`, figures of your own
    (`h20@memory.bandwidth=4.8TB/s`), memory stacks (`hbm3e`). on_date: as in `2023-11-17`; None is
    the last day up to which rules were looked for. from_, to, hq: countries, as in `CN`: of origin,
    of destination, of the buyer's headquarters. check: exit code 5 where one is caught,
    else 3 where one cannot be told. chart: draw the verdict over time.

    A screening aid, no legal advice. Raises `UnknownName`, `BadQuantity`, `UsageError`.
    """
    day = book().known_to if on_date is None else _day(on_date)
    way = trade(from_, to, hq or "")
    judged = tuple(Judged(label, assess(facts, way, day)) for label, facts in _asked(chips))
    if not judged:
        raise UsageError(f"No chip meets {shorten(chips)!r}; `parity chips` lists them all.")
    return rules_answer(judged, way, day, check=check, chart=chart)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise UsageError(
            f"--on-date is {shorten(text)!r}; a day was expected, as in `2023-11-17`."
        ) from None


def _asked(text: str) -> list[tuple[str, Thresholds]]:
    """What is asked about, with the label it was asked by."""
    if text.strip() == "all":
        return [(chip.id, thresholds(chip)) for chip in chips()]
    if "@" not in text and any(mark in text for mark in "<>="):
        return [(chip.id, thresholds(chip)) for chip in where(text, chips())]
    stacks = [stack(name) for name in text.split(",")]
    if any(stacks) and not all(stacks):
        raise UsageError("Ask of memory stacks and of chips one after the other.")
    if all(stacks):
        return [(facts.id, facts) for facts in stacks if facts]
    named = []
    for batch in parse_fleet(text):
        if batch.count is not None:
            raise UsageError(
                f"`parity rules` takes chips without a count: `{batch.chip.id}`. Rules look at one."
            )
        _, at, own = batch.text.partition("@")
        named.append((f"{batch.chip.id}{at}{own}", thresholds(batch.chip)))
    return named
