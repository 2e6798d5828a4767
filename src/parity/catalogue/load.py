"""The catalogue by name.

    >>> from parity.catalogue import load
    >>> load.chip("H20").memory.bandwidth.value
    4000000000000.0

Names are looked up without regard to case, spaces, punctuation and vendor words. Files are read
once and again when a user's own file changes.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import msgspec

from parity.catalogue import files
from parity.catalogue.check import normalise
from parity.catalogue.schema import Catalogue, Chip, Cluster, Link, Source
from parity.errors import UnknownName

_LONGEST_NAME = 200


def chips() -> tuple[Chip, ...]:
    """Every chip, by id."""
    return tuple(catalogue().chips.values())


def chip(name: str) -> Chip:
    """The chip that `name` means: an id, an alias, a label. Raises `UnknownName`."""
    return catalogue().chips[resolve(name)]


def resolve(name: str) -> str:
    """The id of the chip that `name` means. Raises `UnknownName`."""
    known = catalogue()
    if name in known.chips:
        return name
    found = known.names.get(normalise(name[:_LONGEST_NAME]))
    if found is None:
        spoken = [n for c in known.chips.values() for n in (c.id, *c.aliases)]
        raise UnknownName("chip", name, spoken, "`parity chips` lists them all.")
    return found


def cluster(name: str) -> Cluster:
    """The cluster of that id. Raises `UnknownName`."""
    known = catalogue().clusters
    if name in known:
        return known[name]
    by_key = {normalise(n): c for c in known.values() for n in (c.name, c.id)}
    found = by_key.get(normalise(name[:_LONGEST_NAME]))
    if found is None:
        raise UnknownName("cluster", name, known)
    return found


def link(name: str) -> Link:
    """The link of that id. Raises `UnknownName`."""
    known = catalogue().links
    found = known.get(name.strip().lower())
    if found is None:
        raise UnknownName("link", name, known)
    return found


def source(key: str) -> Source:
    """The bibliography's entry under `key`. Raises `UnknownName`."""
    known = catalogue().sources
    if key not in known:
        raise UnknownName("source", key, known)
    return known[key]


def catalogue() -> Catalogue:
    """All that is known, the user's own files over the built-in ones. Raises `BadCatalogue`."""
    folders = files.user_folders()
    return _loaded(folders, files.signature(folders))


@lru_cache(maxsize=8)
def _loaded(folders: tuple[Path, ...], _changed: object) -> Catalogue:
    texts = files.read_all(folders)
    key = files.digest(texts)
    kept = files.read_cache(key)
    if kept is not None:
        try:
            return msgspec.json.decode(kept, type=Catalogue)
        except (msgspec.DecodeError, RecursionError):
            pass
    from parity.catalogue.build import build

    built = build(texts)
    files.write_cache(key, msgspec.json.encode(built))
    return built
