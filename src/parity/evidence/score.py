"""How far predictions are from measurements, over all rows and by group."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import cache

import numpy as np

from parity.catalogue.load import chips
from parity.evidence.schema import Prediction
from parity.record import Record

#: Model sizes are grouped below these numbers of parameters.
SIZES = (
    (1e9, "below 1B"), (1e10, "1B to 10B"), (1e11, "10B to 100B"), (3e11, "100B to 300B"),
    (np.inf, "300B and more"),
)  # fmt: skip


class Summary(Record, frozen=True, kw_only=True):
    """Errors of time over a group of rows; `None` where nothing was predicted.

    coverage: predicted rows over those whose source says enough. bias: the mean of signed errors,
    below zero where Parity is too fast. interval_coverage: measurements inside low to high.
    """

    rows: int
    predicted: int
    skipped: int
    excluded: int
    coverage: float | None
    median_abs_error: float | None
    mean_abs_error: float | None
    p90_abs_error: float | None
    bias: float | None
    interval_coverage: float | None


def summary(predictions: Iterable[Prediction]) -> Summary:
    """Counts and errors of a group."""
    rows = tuple(predictions)
    done = [p for p in rows if p.status == "predicted"]
    usable = sum(p.specified for p in rows if p.status != "excluded")
    errors = np.array([p.error for p in done], dtype=float)
    inside = [
        p.low is not None and p.high is not None and p.low <= p.measured <= p.high for p in done
    ]

    def of(measure: Callable[[np.ndarray], object], values: np.ndarray) -> float | None:
        return float(measure(values)) if len(values) else None  # type: ignore[arg-type]

    size = np.abs(errors)
    return Summary(
        rows=len(rows),
        predicted=len(done),
        skipped=sum(p.status == "skipped" for p in rows),
        excluded=sum(p.status == "excluded" for p in rows),
        coverage=len(done) / usable if usable else None,
        median_abs_error=of(np.median, size),
        mean_abs_error=of(np.mean, size),
        p90_abs_error=of(lambda values: np.quantile(values, 0.9), size),
        bias=of(np.mean, errors),
        interval_coverage=float(np.mean(inside)) if inside else None,
    )


class MemorySummary(Record, frozen=True, kw_only=True):
    """Errors of peak memory over the rows whose source states it: predicted over stated, less 1."""

    rows: int
    median_abs_error: float
    bias: float
    close: float  # share of them within `CLOSE`


#: A peak of memory this near is exact, as far as frameworks keep the same from run to run.
CLOSE = 0.05


def memory_by_set(predictions: Iterable[Prediction]) -> dict[str, MemorySummary]:
    """Errors of peak memory by source, in alphabetical order."""
    errors: dict[str, list[float]] = defaultdict(list)
    for one in predictions:
        if one.measured_memory_gib and one.memory_gib:
            errors[one.set].append(one.memory_gib / one.measured_memory_gib - 1.0)
    return {name: _memory_summary(np.array(errors[name])) for name in sorted(errors)}


def _memory_summary(errors: np.ndarray) -> MemorySummary:
    return MemorySummary(
        rows=len(errors),
        median_abs_error=float(np.median(np.abs(errors))),
        bias=float(np.mean(errors)),
        close=float(np.mean(np.abs(errors) <= CLOSE)),
    )


def size_of(prediction: Prediction) -> str:
    """The size class of a row's model."""
    if not prediction.size:
        return "not known"
    return next(name for limit, name in SIZES if prediction.size < limit)


@cache
def _families() -> dict[str, str]:
    """The family of each chip of the catalogue."""
    return {one.id: one.family for one in chips()}


#: What rows are grouped by -> the group of one, "" where it has none.
GROUPS: dict[str, Callable[[Prediction], str]] = {
    "task": lambda p: p.task,
    "set": lambda p: p.set,
    "family": lambda p: _families().get(p.chip, "not known"),
    "chip": lambda p: p.chip,
    "kind": lambda p: p.kind or "not known",
    "size": size_of,
    "layout": lambda p: p.layout or "not predicted",
    "metric": lambda p: p.metric,
    "engine": lambda p: p.engine,
    "mode": lambda p: p.mode,
}


def grouped(predictions: Sequence[Prediction], by: str) -> dict[str, Summary]:
    """The summary of each group, in alphabetical order; sizes from small to large."""
    groups: dict[str, list[Prediction]] = defaultdict(list)
    for one in predictions:
        name = GROUPS[by](one)
        if name:
            groups[name].append(one)
    names = sorted(groups)
    if by == "size":
        order = [name for _, name in SIZES]
        names = sorted(groups, key=lambda n: order.index(n) if n in order else len(order))
    return {name: summary(groups[name]) for name in names}


def worst(predictions: Iterable[Prediction], count: int) -> list[Prediction]:
    """The predictions that are furthest off, as factors of time, furthest first."""
    done = [p for p in predictions if p.error is not None]
    return sorted(done, key=lambda p: -abs(np.log1p(p.error or 0.0)))[:count]


def reasons(predictions: Iterable[Prediction]) -> dict[str, int]:
    """Reasons why rows are not predicted, and how many have each, most first."""
    counted: dict[str, int] = defaultdict(int)
    for one in predictions:
        if one.reason:
            counted[f"{one.status}: {one.reason}"] += 1
    return dict(sorted(counted.items(), key=lambda item: (-item[1], item[0])))
