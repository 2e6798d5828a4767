"""What one chip does of what another does: ratios measured in one source against those predicted.

Two rows make a pair where one source measured the same work under the same software on two chips.
What a prediction gets wrong of the model or of the software is then the same on both sides.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import combinations

import numpy as np

from parity.evidence.read import AnyRow
from parity.evidence.schema import RATES, Prediction, Row
from parity.evidence.serving_schema import MEASURES
from parity.record import Record

#: Ratios nearer to 1 than this say nothing of which chip is faster: runs vary by as much.
ALIKE = 0.02


class Pair(Record, frozen=True):
    """How much faster `first` is than `second`, by the rows' own metric."""

    kind: str
    set: str
    model: str
    first: str
    second: str
    measured: float
    predicted: float

    @property
    def error(self) -> float:
        """Predicted over measured ratio, less one."""
        return self.predicted / self.measured - 1.0


class PairSummary(Record, frozen=True):
    """Errors of ratios. kendall_tau: pairs ordered rightly less those ordered wrongly, over all."""

    pairs: int
    median_abs_error: float
    p90_abs_error: float
    kendall_tau: float


def pairs(rows: Iterable[AnyRow], predictions: Iterable[Prediction]) -> tuple[Pair, ...]:
    """Every pair of predicted rows that measured the same on two chips."""
    return tuple(_pair(a, b) for a, b in pairs_of_predictions(rows, predictions))


def pairs_of_predictions(
    rows: Iterable[AnyRow], predictions: Iterable[Prediction]
) -> tuple[tuple[Prediction, Prediction], ...]:
    """Predictions of the same work on two chips, in alphabetical order, as many of each."""
    known = {row.id: row for row in rows}
    groups: dict[object, list[Prediction]] = defaultdict(list)
    for one in predictions:
        if one.status == "predicted" and one.id in known:
            groups[same_work(known[one.id], one.chips)].append(one)
    found = []
    for group in groups.values():
        ordered = sorted(group, key=lambda one: one.chip)
        found += [(a, b) for a, b in combinations(ordered, 2) if a.chip != b.chip]
    return tuple(found)


def pair_summary(some: Sequence[Pair]) -> PairSummary:
    """Over some pairs [Kendall 1938, A new measure of rank correlation], at least one."""
    size = np.abs([one.error for one in some])
    measured = np.log([one.measured for one in some])
    apart = np.abs(measured) > ALIKE
    agree = np.sign(measured) * np.sign(np.log([one.predicted for one in some]))
    return PairSummary(
        pairs=len(some),
        median_abs_error=float(np.median(size)),
        p90_abs_error=float(np.quantile(size, 0.9)),
        kendall_tau=float(np.mean(agree[apart])) if apart.any() else 1.0,
    )


def by_chips(some: Iterable[Pair]) -> dict[tuple[str, str], tuple[Pair, ...]]:
    """Pairs of the same two chips together, those with most first."""
    groups: dict[tuple[str, str], list[Pair]] = defaultdict(list)
    for one in some:
        groups[one.first, one.second].append(one)
    most = sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))
    return {chips: tuple(group) for chips, group in most}


def _pair(a: Prediction, b: Prediction) -> Pair:
    assert a.predicted is not None
    assert b.predicted is not None
    faster = 1.0 if _is_rate(a) else -1.0
    return Pair(
        kind=a.task,
        set=a.set,
        model=a.model,
        first=a.chip,
        second=b.chip,
        measured=(a.measured / b.measured) ** faster,
        predicted=(a.predicted / b.predicted) ** faster,
    )


def _is_rate(one: Prediction) -> bool:
    return one.metric in RATES if one.task == "training" else not MEASURES[one.metric].time


def same_work(row: AnyRow, chips: int) -> object:
    """What two rows have in common that differ by the chip alone, both on `chips` of them."""
    if isinstance(row, Row):
        return (
            "training", row.set, row.model, row.metric, row.unit, row.seq_len, row.task,
            row.time_kind, chips,
        )  # fmt: skip
    return (
        "serving", row.set, row.model, row.family, row.version, row.metric, row.unit, row.isl,
        row.osl, row.mode, row.scenario, row.arrival, row.rate_per_s, row.concurrency,
        row.cached_share, row.drafted, chips,
    )  # fmt: skip
