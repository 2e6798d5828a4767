"""Typed reading of a configuration somebody else wrote.

A file from outside is hostile until read: every number is checked for kind and size, every list
for kind and length, and what is wrong is said in one sentence with the key, what was found and
what was expected. A key that is null counts as absent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from parity.errors import BadFile, shorten

Config = Mapping[str, Any]

#: Largest value believed, by what is counted.
WIDTH = 1_000_000  # features, heads, head dimensions
LAYERS = 10_000
VOCABULARY = 100_000_000
EXPERTS = 100_000
CONTEXT = 1_000_000_000

_MISSING: Any = object()


def present(config: Config, *keys: str) -> str | None:
    """The first of `keys` that the configuration holds and is not null."""
    return next((key for key in keys if config.get(key) is not None), None)


def integer(
    config: Config, *keys: str, default: int = _MISSING, least: int = 1, most: int = WIDTH
) -> int:
    """The whole number under the first of `keys` present; `default` if none is.

    Raises `BadFile`.
    """
    key = present(config, *keys)
    if key is None:
        if default is not _MISSING:
            return default
        raise BadFile(f"{_names(keys)} {_absence(config, keys)}; {_range(least, most)}.")
    value = config[key]
    if type(value) is not int or not least <= value <= most:
        raise BadFile(f"`{key}` is {found(value)}; {_range(least, most)}.")
    return value


def number(config: Config, *keys: str, default: float, least: float, most: float) -> float:
    """The number under the first of `keys` present; `default` if none is. Raises `BadFile`."""
    key = present(config, *keys)
    if key is None:
        return default
    value = config[key]
    if type(value) not in (int, float) or not least <= value <= most:
        expected = f"a number from {least:g} to {most:g} was expected"
        raise BadFile(f"`{key}` is {found(value)}; {expected}.")
    return float(value)


def flag(config: Config, *keys: str, default: bool) -> bool:
    """The true or false under the first of `keys` present. Raises `BadFile`."""
    key = present(config, *keys)
    if key is None:
        return default
    value = config[key]
    if type(value) is not bool:
        raise BadFile(f"`{key}` is {found(value)}; true or false was expected.")
    return value


def word(config: Config, *keys: str, default: str = "") -> str:
    """The string under the first of `keys` present. Raises `BadFile`."""
    key = present(config, *keys)
    if key is None:
        return default
    value = config[key]
    if type(value) is not str or len(value) > 200:
        raise BadFile(f"`{key}` is {found(value)}; a short string was expected.")
    return value


def table(config: Config, *keys: str) -> Config:
    """The object under the first of `keys` present; empty if none is. Raises `BadFile`."""
    key = present(config, *keys)
    if key is None:
        return {}
    value = config[key]
    if type(value) is not dict:
        raise BadFile(f"`{key}` is {found(value)}; an object was expected.")
    return value


def integers(
    config: Config, key: str, *, least: int = 0, most: int = WIDTH, count: int = 0
) -> tuple[int, ...]:
    """The list of whole numbers under `key`; empty if absent.

    With `count` > 0 the list must be at least that long, and is cut to it. Raises `BadFile`.
    """
    value = _items(config, key, count)
    for item in value:
        if type(item) is not int or not least <= item <= most:
            expected = f"whole numbers from {least} to {most:,} were expected"
            raise BadFile(f"`{key}` holds {found(item)}; {expected}.")
    return tuple(value)


def words(config: Config, key: str, known: Mapping[str, str], count: int) -> tuple[str, ...]:
    """The list of strings under `key`, each translated by `known`; empty if absent.

    The list must be at least `count` long, and is cut to it. Raises `BadFile`.
    """
    value = _items(config, key, count)
    for item in value:
        if type(item) is not str or item not in known:
            expected = f"each entry must be one of {', '.join(known)}"
            raise BadFile(f"`{key}` holds {found(item)}; {expected}.")
    return tuple(known[item] for item in value)


def _items(config: Config, key: str, count: int) -> Sequence[Any]:
    value = config.get(key)
    if value is None:
        return ()
    if type(value) is not list or len(value) > LAYERS:
        kind = f"a list of {len(value):,} entries" if type(value) is list else found(value)
        raise BadFile(f"`{key}` is {kind}; a list of at most {LAYERS:,} entries was expected.")
    if len(value) < count:
        expected = f"one for each of the {count} layers was expected"
        raise BadFile(f"`{key}` has {len(value)} entries; {expected}.")
    return value[:count] if count else value


def divided(what: str, whole: int, by_what: str, parts: int) -> int:
    """`whole / parts`, which must come out even. Raises `BadFile`."""
    if whole % parts:
        raise BadFile(f"`{what}` ({whole:,}) is not a multiple of `{by_what}` ({parts:,}).")
    return whole // parts


def found(value: object) -> str:
    """A value as it stands in the file, cut to fit into a sentence."""
    if isinstance(value, list):
        return "a list"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}" if abs(value) < 10**15 else "a number of more than 15 digits"
    return shorten(json.dumps(value), 40)


def _names(keys: Sequence[str]) -> str:
    first, *others = [f"`{key}`" for key in keys]
    return f"{first} (or {' or '.join(others)})" if others else first


def _absence(config: Config, keys: Sequence[str]) -> str:
    return "is null" if any(key in config for key in keys) else "is missing"


def _range(least: int, most: int) -> str:
    return f"a whole number from {least} to {most:,} was expected"
