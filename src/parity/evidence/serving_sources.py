"""What is true of all serving rows of one source, of one engine, of one benchmark of MLPerf."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec

from parity.evidence.sources import named_after
from parity.record import Record


class ServingSet(Record, frozen=True, kw_only=True):
    """The rows of one source; what its tables by text mean stands in `serving.toml`."""

    id: str
    title: str
    match: tuple[str, ...] = ()
    version: dict[str, str] = msgspec.field(default_factory=dict)
    kv: dict[str, str] = msgspec.field(default_factory=dict)
    model: dict[str, str] = msgspec.field(default_factory=dict)
    lengths: dict[str, str] = msgspec.field(default_factory=dict)
    requests: dict[str, int] = msgspec.field(default_factory=dict)
    generation: dict[str, str] = msgspec.field(default_factory=dict)
    static: bool = False
    chips_by_layout: bool = False
    note: str = ""


class Limit(Record, frozen=True, kw_only=True, rename={"since": "from", "but": "except"}):
    """What a scheduler holds by default, from one version on, on chips with so much memory."""

    since: str
    max_sequences: int
    token_budget: int
    memory_gib: float = 0.0
    but: str = "none"  # chips whose id holds this are left out


class EngineLabel(Record, frozen=True, kw_only=True):
    """How published tables call one family of engines."""

    family: str
    labels: tuple[str, ...]
    weight_only: tuple[str, ...] = ()
    tensorrt: dict[str, str] = msgspec.field(default_factory=dict)
    generations: dict[str, str] = msgspec.field(default_factory=dict)  # from which version on
    limits: tuple[Limit, ...] = ()


class ServingBenchmark(Record, frozen=True, kw_only=True):
    """One benchmark of MLPerf Inference. server, interactive: p99 of TTFT and TPOT, in ms."""

    labels: tuple[str, ...]
    requests: int
    isl: float  # 0 where not known
    osl: float
    source: str
    server: tuple[float, float] = (0.0, 0.0)
    interactive: tuple[float, float] = (0.0, 0.0)
    lengths: str = "mean"  # of answers
    longest: float = 0.0  # of them, in tokens
    beams: int = 0


@cache
def _file() -> dict[str, Any]:
    text = files("parity.evidence").joinpath("data", "serving.toml").read_text("utf-8")
    return tomllib.loads(text)


@cache
def serving_sets() -> tuple[ServingSet, ...]:
    """The sources of the bundled serving rows, in the order in which they are tried."""
    return msgspec.convert(_file()["set"], tuple[ServingSet, ...])


@cache
def serving_set_of(source: str, where: str = "") -> ServingSet:
    """The set a row belongs to by its source; one of its own where nobody knows it."""
    low = f"{source} {where}".lower()
    for known in serving_sets():
        if any(part.lower() in low for part in known.match):
            return known
    return ServingSet(id=named_after(source), title=source or "no source named")


@cache
def serving_set(name: str) -> ServingSet:
    """The set called `name`; one that says nothing where nobody knows it."""
    return next((s for s in serving_sets() if s.id == name), ServingSet(id=name, title=name))


@cache
def engine_labels() -> tuple[EngineLabel, ...]:
    """Families of engines by their labels."""
    return msgspec.convert(_file()["engine"], tuple[EngineLabel, ...])


@cache
def engine_label(words: str) -> EngineLabel | None:
    """The family that a table's words for an engine mean; None where nobody knows them."""
    low = " ".join(words.lower().split())
    return next((e for e in engine_labels() if any(label in low for label in e.labels)), None)


@cache
def generation_of(family: str, version: str) -> str:
    """The generation of serving engines that a version of a family is, "" where none is known."""
    known = next((e for e in engine_labels() if e.family == family), None)
    steps = [] if known is None else sorted((_numbers(v), g) for v, g in known.generations.items())
    if not steps:
        return ""
    reached = [g for v, g in steps if not version or v <= _numbers(version)]
    return reached[-1] if reached else steps[0][1]


@cache
def limit_of(family: str, version: str, chip: str, memory_gib: float) -> Limit | None:
    """What the scheduler of an engine holds by default on a chip; None where that is not known."""
    known = next((e for e in engine_labels() if e.family == family), None)
    return next(
        (
            one
            for one in (known.limits if known else ())
            if (not version or _numbers(one.since) <= _numbers(version))
            and memory_gib >= one.memory_gib
            and one.but not in chip
        ),
        None,
    )


def _numbers(version: str) -> tuple[int, ...]:
    """`0.10.1` as numbers."""
    return tuple(int(part) for part in version.split(".") if part.isdigit())


@cache
def serving_benchmark(model: str) -> ServingBenchmark | None:
    """The benchmark that a model's label in MLPerf's results means."""
    low = model.lower().replace(" ", "")
    table = msgspec.convert(_file()["benchmark"], tuple[ServingBenchmark, ...])
    return next((b for b in table if any(low.startswith(text) for text in b.labels)), None)
