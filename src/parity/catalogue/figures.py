"""A figure as a catalogue file writes it, and the `Fact` it means.

The unit comes from the schema, the prefix from the text; what is wrong is said with the file, the
key and what was expected.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, get_args

from parity import units
from parity.errors import BadCatalogue, BadQuantity, nearest, shorten
from parity.record import DEFAULT_SPREAD, Also, Fact, Provenance
from parity.units import EXAMPLES

PROVENANCES: tuple[str, ...] = get_args(Provenance)

#: Counts and years are exact: provenance alone opens no range around them.
_EXACT = ("1", "year")

#: Unit -> the smallest and the largest value that a figure of this kind can sensibly have.
LIMITS: dict[str, tuple[float, float]] = {
    "1": (1e-3, 1e16), "year": (1990, 2100), "fraction": (1e-6, 2), "byte": (1, 1e18),
    "byte/s": (1, 1e20), "FLOP/s": (1, 1e22), "s": (1e-12, 1e6), "W": (1e-3, 1e9),
    "mm2": (1e-3, 1e7), "USD": (1e-2, 1e10),
}  # fmt: skip

_KEYS = ("value", "low", "high", "provenance", "source", "note", "also")
_ALSO_KEYS = ("value", "source", "note")
_MOST_ALSO = 16
_LONGEST_TEXT = 2000


class Place(NamedTuple):
    """Where in which file something is written, for messages."""

    file: str
    path: str = ""

    def into(self, key: str) -> Place:
        """The place of `key` inside this one."""
        return Place(self.file, f"{self.path}.{key}" if self.path else key)

    def __str__(self) -> str:
        return f"{self.file}: `{shorten(self.path, 80)}`" if self.path else self.file


def bounded(text: str | float, unit: str, what: str) -> float:
    """The SI value of `text`, positive and within what such a figure can be.

    Raises `BadQuantity`.
    """
    value = float(f"{units.parse(text, unit, what):.15g}")  # 2.039 TB/s is 2039e9, not 2039e9 + ε
    least, most = LIMITS[unit]
    if not least <= value <= most:
        raise BadQuantity(
            f"{what} is {shorten(str(text))!r}; a value from {least:g} to {most:g} "
            f"[{unit}] was expected, as in `{EXAMPLES[unit]}`."
        )
    return value


def read_figure(raw: object, unit: str, at: Place, sources: Mapping[str, Any]) -> Fact:
    """The figure written as `raw`. Raises `BadCatalogue`."""
    table = _table(raw, at, _KEYS, f'{{ value = "{EXAMPLES[unit]}", provenance = …, source = … }}')
    value = _quantity(table, "value", unit, at)
    provenance = _provenance(table, at)
    low, high = default_range(value, unit, provenance)
    if "low" in table:
        low = _quantity(table, "low", unit, at)
    if "high" in table:
        high = _quantity(table, "high", unit, at)
    if not low <= value <= high:
        raise BadCatalogue(
            f"{at}: low ≤ value ≤ high was expected; got {low:g}, {value:g}, {high:g}."
        )
    also = table.get("also", [])
    if not isinstance(also, list) or len(also) > _MOST_ALSO:
        raise BadCatalogue(
            f"{at.into('also')}: a list of at most {_MOST_ALSO} tables was expected."
        )
    return Fact(
        value=value,
        low=low,
        high=high,
        unit=unit,
        provenance=provenance,
        source=read_source(table, at, sources),
        note=read_text(table, "note", at),
        also=tuple(_read_also(one, unit, at.into("also"), sources) for one in also),
    )


def default_range(value: float, unit: str, provenance: str) -> tuple[float, float]:
    """The range of a figure that states none: its provenance gives the half-width."""
    spread = 0.0 if unit in _EXACT else DEFAULT_SPREAD[provenance]
    return value * (1 - spread), value * (1 + spread)


def read_statement(
    raw: object, key: str, usual: str, at: Place, sources: Mapping[str, Any]
) -> dict[str, str]:
    """A word under `key` and who says so, as fields of `Support` and `Market`."""
    example = f'{{ {key} = "{usual}", provenance = …, source = … }}'
    table = _table(raw, at, (key, "provenance", "source", "note"), example)
    if not isinstance(table.get(key), str):
        raise BadCatalogue(f"{at}: `{key}` is missing; expected {example}.")
    return {
        key: table[key],
        "provenance": _provenance(table, at),
        "source": read_source(table, at, sources),
        "note": read_text(table, "note", at),
    }


def read_source(table: Mapping[str, Any], at: Place, sources: Mapping[str, Any]) -> str:
    """The source key of a figure, known to the bibliography. Raises `BadCatalogue`."""
    key = table.get("source")
    if not isinstance(key, str) or not key:
        raise BadCatalogue(f"{at}: `source` is missing; name a key of sources.toml.")
    if key not in sources:
        raise BadCatalogue(
            f"{at}: no source called {shorten(key)!r} in sources.toml.{_meant(key, sources)}"
        )
    return key


def read_text(table: Mapping[str, Any], key: str, at: Place) -> str:
    """An optional text of bounded length. Raises `BadCatalogue`."""
    text = table.get(key, "")
    if not isinstance(text, str) or len(text) > _LONGEST_TEXT:
        raise BadCatalogue(
            f"{at.into(key)}: a text of at most {_LONGEST_TEXT} letters was expected."
        )
    return text


def refuse_unknown(table: Mapping[str, Any], known: tuple[str, ...], at: Place) -> None:
    """Raises `BadCatalogue` for the first key of `table` that is not known."""
    for key in table:
        if key not in known:
            meant = _meant(key, known) or f" Known here: {', '.join(known)}."
            raise BadCatalogue(f"{at}: unknown field {shorten(key)!r}.{meant}")


def _meant(key: str, known: Iterable[str]) -> str:
    near = nearest(key, known)
    return f" Did you mean {' or '.join(f'`{n}`' for n in near)}?" if near else ""


def _table(raw: object, at: Place, keys: tuple[str, ...], example: str) -> dict[str, Any]:
    if not isinstance(raw, dict):
        kind = "a bare number" if isinstance(raw, (int, float)) else f"a {type(raw).__name__}"
        raise BadCatalogue(f"{at}: {kind}; a sourced table was expected: {example}.")
    refuse_unknown(raw, keys, at)
    return raw


def _quantity(table: Mapping[str, Any], key: str, unit: str, at: Place) -> float:
    text = table.get(key)
    if text is None:
        raise BadCatalogue(f'{at}: `{key}` is missing; expected {key} = "{EXAMPLES[unit]}".')
    number = isinstance(text, (int, float)) and not isinstance(text, bool)
    if not isinstance(text, str) and not (number and unit in ("1", "year", "fraction")):
        raise BadCatalogue(
            f'{at}: `{key}` must be written with its unit, as in {key} = "{EXAMPLES[unit]}".'
        )
    try:
        return bounded(text, unit, f"{at}: {key}")
    except BadQuantity as error:
        raise BadCatalogue(str(error)) from error


def _provenance(table: Mapping[str, Any], at: Place) -> Provenance:
    word = table.get("provenance")
    if word is None:
        raise BadCatalogue(f"{at}: `provenance` is missing; one of {', '.join(PROVENANCES)}.")
    for known in PROVENANCES:
        if word == known:
            return known  # type: ignore[return-value]
    raise BadCatalogue(
        f"{at}: provenance is {shorten(str(word))!r}; expected one of {', '.join(PROVENANCES)}."
    )


def _read_also(raw: object, unit: str, at: Place, sources: Mapping[str, Any]) -> Also:
    table = _table(raw, at, _ALSO_KEYS, f'{{ value = "{EXAMPLES[unit]}", source = … }}')
    return Also(
        value=_quantity(table, "value", unit, at),
        source=read_source(table, at, sources),
        note=read_text(table, "note", at),
    )
