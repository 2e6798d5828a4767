"""What is true of all rows of one source, and what a row leaves to be known from it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import TypeVar

import msgspec
import numpy as np

from parity.evaluate.memory import Counter
from parity.evidence.schema import Convention, Row
from parity.layout.layout import OFFLOADS, SCHEDULES
from parity.record import Record
from parity.timing.software import CURRENT

_LONGEST_SET = 60
T = TypeVar("T")
_LORA = re.compile(r"\blora\b", re.IGNORECASE)
#: More ranks to a chip than this, and the degrees of parallelism are simply wrong.
_MOST_RANKS = 8


class Set(Record, frozen=True, kw_only=True):
    """The rows of one source. `match` is part of what their `source` and `where` say."""

    id: str
    title: str
    match: tuple[str, ...] = ()
    software: dict[str, str] = msgspec.field(default_factory=dict)
    flop_convention: Convention = ""
    precision: dict[str, str] = msgspec.field(default_factory=dict)
    recompute: dict[str, str] = msgspec.field(default_factory=dict)
    seq_len: int = 0
    schedule: str = SCHEDULES[0]  # of its pipelines
    offload: dict[str, str] = msgspec.field(default_factory=dict)
    memory: Counter = "device"  # what its peaks of memory count
    silent: tuple[str, ...] = ()  # columns it leaves out: blank there does not mean 1
    note: str = ""


class Evaluation(Record, frozen=True, kw_only=True):
    """What a timed run evaluates as it goes: `sequences` each time that `every` are trained on.

    skip, skip_per_sequence: evaluations left out at the start, and more of them for each sequence
    of the global batch; the sum is rounded down.
    """

    sequences: int
    every: int
    skip: int = 0
    skip_per_sequence: float = 0.0


class Benchmark(Record, frozen=True, kw_only=True):
    """Tokens until a benchmark's target is reached, by global batch in sequences.

    round: what the source of a row says where the entry holds for one round only.
    """

    model: str
    task: str
    source: str
    round: str = ""
    points: tuple[tuple[int, float], ...]
    evaluation: Evaluation | None = None


def _toml(name: str, key: str) -> object:
    text = files("parity.evidence").joinpath("data", name).read_text("utf-8")
    return tomllib.loads(text)[key]


@cache
def sets() -> tuple[Set, ...]:
    """Every source known, in the order in which they are tried."""
    return msgspec.convert(_toml("sources.toml", "set"), tuple[Set, ...])


@cache
def set_of(source: str, where: str = "") -> Set:
    """The set a row belongs to by its source; one of its own where nobody knows it."""
    low = f"{source} {where}".lower()
    for known in sets():
        if any(part.lower() in low for part in known.match):
            return known
    return Set(id=named_after(source), title=source or "no source named")


def named_after(source: str) -> str:
    """An id for the rows of a source that nobody knows."""
    return re.sub(r"[^a-z0-9]+", "-", source.lower()).strip("-")[:_LONGEST_SET] or "unnamed"


@cache
def by_id(name: str) -> Set:
    """The set called `name`; one that says nothing where nobody knows it."""
    return next((s for s in sets() if s.id == name), Set(id=name, title=name))


@cache
def benchmarks() -> tuple[Benchmark, ...]:
    """The benchmarks whose length is known."""
    return msgspec.convert(_toml("convergence.toml", "benchmark"), tuple[Benchmark, ...])


def with_conventions(row: Row) -> Row:
    """The row with its conventions made explicit, from its notes and from its source."""
    about = by_id(row.set)
    timed = row.metric in ("train_time", "chip_hours")
    return msgspec.structs.replace(
        row,
        seq_len=row.seq_len or about.seq_len,
        flop_convention=row.flop_convention or _convention(row, about),
        time_kind=row.time_kind or ("train" if timed else "step"),
        task=row.task or ("lora" if _LORA.search(row.notes) else "pretrain"),
        ranks_per_chip=_ranks(row),
        software=row.software or _by_text(row, about.software, CURRENT),
    )


def precision_of(row: Row, chip: str) -> str:
    """The precision a row states, else its source's for the chip of that id, else ""."""
    known = by_id(row.set).precision
    return row.precision or known.get(chip, known.get("*", ""))


def recompute_of(row: Row, kind: str) -> str:
    """The recomputation a row states, else its source's for models of that kind, else ""."""
    return row.recompute or by_id(row.set).recompute.get(kind, "")


def leaves_out(row: Row, column: str) -> bool:
    """Whether the row's source never gives this column, so that blank means nothing."""
    return not getattr(row, column) and column in by_id(row.set).silent


def tokens_of(row: Row, model: str) -> float:
    """Tokens of a timed run: the row's, else those its benchmark needs; 0 where neither is known.

    model: name of the architecture.
    """
    known = _benchmark(row, model)
    if row.tokens or not row.global_batch_seqs or known is None:
        return row.tokens
    batches, tokens = zip(*known.points, strict=True)
    return float(np.interp(row.global_batch_seqs, batches, tokens))


def evaluation_of(row: Row, model: str) -> Evaluation | None:
    """The evaluations that a row's training time includes; None where it includes none we know.

    model: name of the architecture.
    """
    known = _benchmark(row, model) if row.metric == "train_time" else None
    return known.evaluation if known else None


def _benchmark(row: Row, model: str) -> Benchmark | None:
    if not row.set.startswith("mlperf"):
        return None
    same = (b for b in benchmarks() if (b.model, b.task) == (model, row.task))
    return next((b for b in same if b.round in row.source), None)


def offload_of(row: Row) -> str:
    """What the recipe of a row keeps in the host's memory."""
    return _by_text(row, by_id(row.set).offload, OFFLOADS[0])


def _by_text(row: Row, table: dict[str, str], default: str) -> str:
    """The entry of the first text that a row's place, notes, chip and sharding contain; `*` the
    rest.
    """
    return by_text(
        f"{row.where} {row.notes} {row.model} {row.chip} {row.zero_or_fsdp}", table, default
    )


def by_text(words: str, table: Mapping[str, T], default: T) -> T:
    """The entry of the first text of `table` that `words` contain, in small letters; `*` for the
    rest.
    """
    low = words.lower()
    found = (entry for text, entry in table.items() if text.lower() in low)
    return next(found, table.get("*", default))


def _convention(row: Row, about: Set) -> Convention:
    if row.metric not in ("tflops_per_chip", "mfu"):
        return ""
    if "hardware TFLOP/s" in row.notes:
        return "hardware"
    return about.flop_convention or "model"


def _ranks(row: Row) -> int:
    """Ranks a chip: degrees that multiply to a few times the chips count parts of a chip."""
    degrees = max(row.tp, 1) * max(row.pp, 1) * max(row.cp, 1) * row.dp
    if row.ranks_per_chip > 1 or not row.chip_count or not degrees:
        return row.ranks_per_chip
    ranks, rest = divmod(degrees, row.chip_count)
    return ranks if rest == 0 and 1 < ranks <= _MOST_RANKS else 1
