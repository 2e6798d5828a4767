"""What the words of `parity outlook` mean: scenarios, years, figures typed over them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from parity.errors import UsageError, shorten
from parity.supply.scenario import LAST_YEAR, Scenario
from parity.supply.scenario_file import check_years, scenario
from parity.timing.draw import Sampler
from parity.words.asked import sampler

#: Enough to count in how many cases something holds, to half a percent of them.
USUAL_SAMPLES = 2048
#: More take gigabytes and change no figure that is shown.
MOST_SAMPLES = 8192
#: More scenarios than this are no longer told apart in a chart.
MOST_COMPARED = 5
_YEARS = re.compile(r"\s*(\d{1,15})\s*(?:\.\.|-|–)\s*(\d{1,15})\s*")


@dataclass(frozen=True)
class Asked:
    """The scenarios, the one asked about first, and the first year that is shown."""

    scenarios: tuple[Scenario, ...]
    shown_from: int


def drawing(samples: int) -> Sampler:
    """Draws so many samples. Raises `UsageError` beyond 64 to 8,192."""
    if samples > MOST_SAMPLES:
        raise UsageError(f"--samples is {samples}; 64 to {MOST_SAMPLES:,} was expected.")
    return sampler(samples)


def asked(name: str, compare: str | None, years: str | None, typed: Iterable[str]) -> Asked:
    """The words of a question. Raises `UnknownName`, `BadFile`, `UsageError`."""
    others = [one.strip() for one in compare.split(",")] if compare else []
    if len(others) > MOST_COMPARED:
        raise UsageError(f"--compare names {len(others)} scenarios; at most {MOST_COMPARED}.")
    figures = tuple(typed)
    found = [scenario(one, figures) for one in (name, *others)]
    ids = [one.id for one in found]
    if len(set(ids)) < len(ids):
        raise UsageError("--compare names a scenario twice, or the one that is asked about.")
    first, last = _years(years, found[0])
    until = tuple(one.until(last) for one in found)
    for one in until:
        check_years(one)
        if one.workload != until[0].workload:
            raise UsageError(
                f"{one.id} measures its chips by other work than {until[0].id}; the two cannot be "
                "compared."
            )
    return Asked(until, first)


def _years(text: str | None, of: Scenario) -> tuple[int, int]:
    """The first year that is shown, and the last that is worked out."""
    if text is None:
        return of.first, of.last
    match = _YEARS.fullmatch(text) if len(text) <= 40 else None
    if match is None:
        raise UsageError(
            f"--years is {shorten(text)!r}; a first and a last year were expected, as in "
            "`2024..2032`."
        )
    first, last = int(match[1]), int(match[2])
    if first > last:
        raise UsageError(f"--years runs from {first} back to {last}; the earlier year comes first.")
    if last > LAST_YEAR or first < of.first:
        raise UsageError(
            f"--years is {shorten(text)!r}; years from {of.first}, where the scenario begins, to "
            f"{LAST_YEAR} were expected."
        )
    return first, last
