"""Countries, the groups that export rules sort them into, and where vendors are at home."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files

import msgspec

from parity.errors import UnknownName
from parity.record import Record

_LONGEST_NAME = 80


class Country(Record, frozen=True, kw_only=True):
    """A country; `groups` is empty where none is held of it, which says nothing of it."""

    code: str = ""  # ISO 3166, two letters
    name: str
    aliases: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()  # of Supplement 1 to Part 740: A5, A6, D1, D4, D5


class Geography(Record, frozen=True):
    """All that is held of countries."""

    source: str
    countries: dict[str, Country]
    vendors: dict[str, str]  # vendor as the catalogue writes it -> code of its headquarters


@cache
def geography() -> Geography:
    """All countries and vendors."""
    text = files("parity.supply").joinpath("data/countries.toml").read_text("utf-8")
    table = tomllib.loads(text)
    for code, country in table["countries"].items():
        country["code"] = code
    return msgspec.convert(table, Geography)


def country(name: str) -> Country:
    """The country that `name` means: a code, `CN`, or a name. Raises `UnknownName`."""
    known = geography().countries
    found = _names().get(name.strip().casefold()[:_LONGEST_NAME])
    if found is None:
        spoken = [n for c in known.values() for n in (c.code, c.name, *c.aliases)]
        raise UnknownName("country", name, spoken, "Two letters are enough, as in `CN`.")
    return known[found]


def home_of(vendor: str) -> str | None:
    """The code of the country where a vendor has its headquarters; None where it is not held."""
    return geography().vendors.get(vendor)


@cache
def _names() -> dict[str, str]:
    return {
        name.casefold(): code
        for code, one in geography().countries.items()
        for name in (code, one.name, *one.aliases)
    }
