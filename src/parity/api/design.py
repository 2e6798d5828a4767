"""The question of a chip of one's own: what it holds, draws, costs, and what work it is worth.

>>> import parity
>>> parity.design(start="h20@memory.stacks=6")  # doctest: +SKIP
"""

from __future__ import annotations

from pathlib import Path

from parity.catalogue import load
from parity.errors import BadFile, UnknownName, UsageError, shorten
from parity.outputs.design import Asked, design_answer
from parity.outputs.envelope import Answer
from parity.outputs.supplied import asked_supply, with_supply
from parity.search.design import OBJECTIVES, Objective
from parity.search.design_space import LEAST_TRIED, MOST_TRIED, Report
from parity.search.portfolio import portfolio as find_portfolio
from parity.supply.custom import Design, from_chip
from parity.supply.custom_chip import to_toml
from parity.words.design import design_of

#: Chips that a design is set against, at most.
MOST_AGAINST = 8


def design(
    file: str | None = None,
    *,
    start: str | None = None,
    portfolio: str = "today",
    against: str = "h100,h20",
    optimise: str | None = None,
    later: str = "next-year",
    tries: int = 64,
    seed: int = 0,
    save: str | None = None,
    to: str | None = None,
    report: Report | None = None,
) -> Answer:
    """What a chip of one's own holds, draws and costs, and how fast it is on a portfolio of work.

    file: a design in TOML; or start: a chip with changes, `h20@memory.stacks=6,clock=1.5GHz`.
    portfolio: `today`, `next-year`, `transformer-dense-only`, or a TOML file. against: chips it is
    set against, or designs in files; the first is the measure. optimise: `tokens/s/$`,
    `tokens/s/W` or `tokens/s/wafer` searches logic, stacks, links and power around the design,
    `tries` designs from `seed` on, also on the portfolio `later`. save: a file of the catalogue to
    write. to: country, for what export rules say of it; nothing here aims at their thresholds.

    Raises `UsageError` for words that cannot be read, `BadFile`, `UnknownName`, `MissingFact`;
    `NeedsExtra` for `optimise` without SciPy. What the design breaks are findings, and exit code 3.
    """
    supply = asked_supply(to, risk=False)
    own = design_of(file, start)
    if not LEAST_TRIED <= tries <= MOST_TRIED:
        raise UsageError(f"--tries is {tries}; {LEAST_TRIED} to {MOST_TRIED:,} was expected.")
    if not 0 <= seed < 2**32:
        raise UsageError(f"--seed is {seed}; a whole number from 0 to 2^32 was expected.")
    asked = Asked(
        own,
        find_portfolio(portfolio),
        _against(against),
        None if optimise is None else _objective(optimise),
        find_portfolio(later),
        tries,
        seed,
        file or f"--from {start}",
    )
    answer, chip = design_answer(asked, report)
    if chip is None:
        return answer
    if save is not None:
        _save(save, to_toml(chip))
    return with_supply(answer, [chip], supply)


def _objective(text: str) -> Objective:
    for one in OBJECTIVES:
        if text.strip().lower() == one.lower():
            return one
    raise UnknownName("objective", text, OBJECTIVES, f"Known: {', '.join(OBJECTIVES)}.")


def _against(text: str) -> tuple[Design, ...]:
    words = [word.strip() for word in text.split(",")]
    if not all(words) or len(words) > MOST_AGAINST:
        raise UsageError(
            f"--against takes 1 to {MOST_AGAINST} chips or designs, as in `h100,h20,my.toml`."
        )
    return tuple(_other(word) for word in words)


def _other(word: str) -> Design:
    if word.endswith(".toml"):
        return design_of(word, None)
    if "@" in word:
        raise UsageError(
            f"--against takes chips as they are, not {shorten(word)!r}; a chip with changes is a "
            "design in a file, as in `my.toml`."
        )
    return from_chip(load.chip(word))


def _save(name: str, content: str) -> None:
    path = Path(name)
    if path.suffix != ".toml":
        raise UsageError(f"--save is {shorten(name)!r}; a file that ends in .toml was expected.")
    try:
        path.write_text(content, "utf-8")
    except OSError as error:
        raise BadFile(f"{shorten(name)} cannot be written ({error.strerror}).") from None
