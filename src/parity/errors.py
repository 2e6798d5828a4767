"""What can go wrong, and with which exit code.

    ParityError                 1  something inside failed
    ├── UsageError              2  the question was not understood
    │   ├── UnknownName         2  no such chip, model, cluster, field ...; says what is near
    │   ├── BadQuantity         2  "4.0 parsecs" where a bandwidth was expected
    │   ├── BadFile             2  a config, TOML or CSV that breaks its format
    │   │   └── BadCatalogue    2  a catalogue file that breaks the schema
    │   └── NeedsExtra          2  an optional library is not installed
    ├── MissingFact             3  the catalogue does not hold a figure the answer needs
    │   └── NoPrice             3  nobody published a price of it
    └── Infeasible              3  no plan exists; carries the findings that say why

A message says what was asked, what is true, and what to do, in one sentence or two.
In a search nothing is raised: rows that do not fit carry a reason code.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from parity.record import Finding


class ParityError(Exception):
    """Root of every error Parity raises on purpose."""

    exit_code = 1


class UsageError(ParityError):
    """The question cannot be read as asked."""

    exit_code = 2


class UnknownName(UsageError):
    """A name that nothing in the catalogue answers to."""

    def __init__(self, kind: str, name: str, known: Iterable[str], hint: str = "") -> None:
        self.kind, self.name = kind, name
        self.suggestions = nearest(name, known)
        parts = [f"No {kind} called {shorten(name)!r}."]
        if self.suggestions:
            parts.append("Did you mean " + " or ".join(f"`{s}`" for s in self.suggestions) + "?")
        if hint:
            parts.append(hint)
        super().__init__(" ".join(parts))


class BadQuantity(UsageError):
    """A number or unit that does not fit the place it was given for."""


class BadFile(UsageError):
    """A file from outside that breaks its format."""


class BadCatalogue(BadFile):
    """A catalogue file that breaks the schema."""


class NeedsExtra(UsageError):
    """An optional library is needed and not installed."""


class MissingFact(ParityError):
    """The catalogue does not hold a figure that this answer needs."""

    exit_code = 3

    def __init__(self, item: str, field: str, example: str) -> None:
        self.item, self.field = item, field
        super().__init__(
            f"`{item}` has no published {field}, and this answer needs it. "
            f"Supply it as `{item}@{field}={example}`, or add it with a source to the catalogue."
        )


class NoPrice(MissingFact):
    """Nobody published a price of this."""

    def __init__(self, message: str) -> None:
        Exception.__init__(self, message)


class Infeasible(ParityError):
    """No plan exists for the question; `findings` say which rules stand in the way."""

    exit_code = 3

    def __init__(self, message: str, findings: tuple[Finding, ...] = ()) -> None:
        self.findings = findings
        super().__init__(message)


def nearest(name: str, known: Iterable[str], count: int = 3) -> list[str]:
    """The names of `known` that look most like `name`, best first."""
    by_lower = {k.lower(): k for k in known}
    key = name.lower()[:64]
    found = difflib.get_close_matches(key, by_lower, n=count, cutoff=0.6)
    starts = sorted((k for k in by_lower if key and k.startswith(key)), key=len)
    ordered = dict.fromkeys([*found, *starts])
    return [by_lower[k] for k in ordered][:count]


def shorten(text: str, length: int = 60) -> str:
    """`text`, cut to `length` characters, so that a message stays one line."""
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 1] + "…"
