"""The base of every record: frozen, strict, and a figure that knows where it comes from."""

from __future__ import annotations

from typing import Literal

import msgspec

#: How a figure came to be known. `read` on a page or in a file, `measured` by somebody who says
#: how, `recalled` from memory of a document, `derived` by arithmetic on other figures,
#: `secondary` from an unsourced copy, `estimated` as a reasoned placeholder, `user` typed in.
Provenance = Literal["read", "measured", "recalled", "derived", "secondary", "estimated", "user"]

#: Half-width of the range of a figure that states none, by provenance [fraction].
DEFAULT_SPREAD: dict[str, float] = {
    "read": 0.0, "measured": 0.03, "recalled": 0.05, "derived": 0.10,
    "secondary": 0.25, "estimated": 0.50, "user": 0.0,
}  # fmt: skip


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A frozen record that refuses unknown fields."""


class Also(Record, frozen=True):
    """Another value somebody published for the same figure."""

    value: float
    source: str
    note: str = ""


class Fact(Record, frozen=True):
    """One figure: its value in SI, its range, and who says so."""

    value: float
    low: float
    high: float
    unit: str
    provenance: Provenance
    source: str
    note: str = ""
    also: tuple[Also, ...] = ()


class Finding(Record, frozen=True):
    """Something the user must know: why a plan is impossible, or which figure is weak.

    `P1xx` feasibility, `P2xx` data quality, `P3xx` outside what was measured.
    """

    code: str
    severity: Literal["error", "warning", "note"]
    message: str
    fix: str = ""
