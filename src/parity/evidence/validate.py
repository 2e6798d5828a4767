"""Predicts a body of evidence and scores it, as it is or with each source left out in turn."""

from __future__ import annotations

from collections.abc import Sequence

from parity.catalogue.machine import central
from parity.errors import UnknownName
from parity.evidence import read
from parity.evidence.fit import fit
from parity.evidence.fit_serving import fit_engines
from parity.evidence.predict import predict
from parity.evidence.read import AnyRow
from parity.evidence.schema import Prediction, Row
from parity.evidence.score import GROUPS, Summary, grouped, summary
from parity.evidence.serving_predict import predict_serving
from parity.evidence.serving_schema import ServingRow
from parity.record import Record

#: What `--leave-out` may name.
LEAVE_OUT = ("source",)
#: What `--kind` may name.
KINDS = ("training", "serving")


class Validation(Record, frozen=True, kw_only=True):
    """Every prediction, and the errors over all of them and by group."""

    rows: tuple[Prediction, ...]
    summary: Summary
    groups: dict[str, dict[str, Summary]]
    left_out: str = ""  # what each row's figures were fitted without


def validate(
    rows: Sequence[AnyRow] | None = None,
    *,
    sets: Sequence[str] = (),
    kind: str = "",
    leave_out: str = "",
) -> Validation:
    """Predict `rows` (the bundled ones when None), all or those of some sets, and score them.

    kind: `training` or `serving` alone. leave_out: `source` refits what is fitted without each
    row's own set before it is predicted. Raises `UnknownName` for a set that no row has.
    """
    for name, given, known in (
        ("thing to leave out", leave_out, LEAVE_OUT),
        ("kind of measurement", kind, KINDS),
    ):
        if given and given not in known:
            raise UnknownName(name, given, known)
    everything = _bundled(kind) if rows is None else tuple(rows)
    chosen = tuple(row for row in _chosen(everything, sets) if not kind or _kind(row) == kind)
    training = [(i, row) for i, row in enumerate(chosen) if isinstance(row, Row)]
    serving = [(i, row) for i, row in enumerate(chosen) if isinstance(row, ServingRow)]
    done: dict[int, Prediction] = {}
    for name in dict.fromkeys(row.set for _, row in training) if leave_out else ("",):
        own = [(i, row) for i, row in training if not name or row.set == name]
        draw = fit(read.bundled(), leave_out=name) if name else central
        done.update(zip([i for i, _ in own], predict([r for _, r in own], draw), strict=True))
    for name in dict.fromkeys(row.set for _, row in serving) if leave_out else ("",):
        ours = [(i, row) for i, row in serving if not name or row.set == name]
        draw = fit_engines(read.bundled_serving(), name) if name else central
        found = predict_serving([r for _, r in ours], draw)
        done.update(zip([i for i, _ in ours], found, strict=True))
    return scored(tuple(done[i] for i in range(len(chosen))), leave_out)


def _bundled(kind: str) -> tuple[AnyRow, ...]:
    training = read.bundled() if kind != "serving" else ()
    return (*training, *(read.bundled_serving() if kind != "training" else ()))


def _kind(row: AnyRow) -> str:
    return "training" if isinstance(row, Row) else "serving"


def scored(predictions: Sequence[Prediction], left_out: str = "") -> Validation:
    """Predictions with their errors over all and by group."""
    return Validation(
        rows=tuple(predictions),
        summary=summary(predictions),
        groups={by: grouped(predictions, by) for by in GROUPS},
        left_out=left_out,
    )


def _chosen(rows: Sequence[AnyRow], sets: Sequence[str]) -> tuple[AnyRow, ...]:
    known = list(dict.fromkeys(row.set for row in rows))
    for name in sets:
        if name not in known:
            raise UnknownName("set of evidence", name, known, f"Sets: {', '.join(known)}.")
    return tuple(row for row in rows if not sets or row.set in sets)
