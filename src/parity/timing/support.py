"""What serving engines run on which chips, as data: `data/support.toml`, each entry with sources.

Engines and kernels are facts about software, looked up by the family of a chip; no equation is
here.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Literal

import msgspec

from parity.catalogue.schema import Chip
from parity.errors import UnknownName
from parity.record import Record


class Source(Record, frozen=True):
    """Where an entry was read."""

    title: str
    url: str


class Entry(Record, frozen=True, kw_only=True):
    """What all entries say: of which chips they hold, and who says so."""

    families: tuple[str, ...] = ()
    chips: tuple[str, ...] = ()  # ids, where not the whole family
    sources: tuple[str, ...]

    def about(self, chip: Chip) -> bool:
        """Whether the entry holds of `chip`."""
        return chip.family in self.families or bool({chip.id, chip.like} & set(self.chips))


class Runs(Entry, frozen=True, kw_only=True):
    """An engine that runs on these chips."""

    engine: str
    package: str  # what one installs
    release: str  # that it was read of
    old: bool = False  # only releases before the current one do
    note: str = ""


class Way(Entry, frozen=True, kw_only=True):
    """What engines do with weights that these chips do not multiply."""

    stored: str
    engines: tuple[str, ...]
    way: Literal["weight-only", "converted", "refused"]
    words: str
    dtype: str = ""  # what is served instead


class Kernel(Entry, frozen=True, kw_only=True):
    """A kernel that these chips lack."""

    engines: tuple[str, ...]
    severity: Literal["error", "warning"]
    words: str
    fix: str
    attention: str = ""
    models: tuple[str, ...] = ()  # by model_type


class Cores(Entry, frozen=True, kw_only=True):
    """How many cores of these chips a tensor-parallel group may take."""

    cores_a_chip: int
    counts: tuple[int, ...]
    multiple: int
    words: str

    def allows(self, chips: int) -> bool:
        """Whether a group may take so many chips."""
        cores = chips * self.cores_a_chip
        return cores in self.counts or cores % self.multiple == 0


class Rule(Record, frozen=True):
    """Something that holds on every chip."""

    words: str
    sources: tuple[str, ...]


class Support(Record, frozen=True):
    """The whole file."""

    runs: tuple[Runs, ...]
    ways: tuple[Way, ...]
    kernels: tuple[Kernel, ...]
    cores: tuple[Cores, ...]
    rules: dict[str, Rule]
    sources: dict[str, Source]


@cache
def support() -> Support:
    """All that is known of engines and chips."""
    text = files("parity.timing").joinpath("data", "support.toml").read_text("utf-8")
    return msgspec.convert(tomllib.loads(text), Support)


def engine_names() -> tuple[str, ...]:
    """Engines that something is known of."""
    return tuple(dict.fromkeys(run.engine for run in support().runs))


def engine_of(generation: str) -> str:
    """The engine of a generation, `vllm` of `vllm-v1`; empty where it is none in particular."""
    name = generation.split("-")[0]
    return name if name in engine_names() else ""


def runs_on(chip: Chip, engine: str = "") -> tuple[Runs, ...]:
    """The engines that run on `chip`, current releases first; only `engine` where it is named."""
    found = [r for r in support().runs if r.about(chip) and engine in ("", r.engine)]
    return tuple(sorted(found, key=lambda r: r.old))


def source(key: str) -> Source:
    """Where an entry was read. Raises `UnknownName`."""
    known = support().sources
    if key not in known:
        raise UnknownName("source", key, known)
    return known[key]
