"""Predicts a body of evidence and scores it, as it is or with each source left out in turn."""

from __future__ import annotations

from collections.abc import Sequence

from parity.catalogue.machine import central
from parity.errors import UnknownName
from parity.evidence import read
from parity.evidence.fit import fit
from parity.evidence.predict import predict
from parity.evidence.schema import Prediction, Row
from parity.evidence.score import GROUPS, Summary, grouped, summary
from parity.record import Record

#: What `--leave-out` may name.
LEAVE_OUT = ("source",)


class Validation(Record, frozen=True, kw_only=True):
    """Every prediction, and the errors over all of them and by group."""

    rows: tuple[Prediction, ...]
    summary: Summary
    groups: dict[str, dict[str, Summary]]
    left_out: str = ""  # what each row's figures were fitted without


def validate(
    rows: Sequence[Row] | None = None, *, sets: Sequence[str] = (), leave_out: str = ""
) -> Validation:
    """Predict `rows` (the bundled ones when None), all or those of some sets, and score them.

    leave_out: `source` refits the efficiency figures without each row's own set before it is
    predicted. Raises `UnknownName` for a set that no row has.
    """
    if leave_out and leave_out not in LEAVE_OUT:
        raise UnknownName("thing to leave out", leave_out, LEAVE_OUT)
    everything = tuple(read.bundled() if rows is None else rows)
    chosen = _chosen(everything, sets)
    if not leave_out:
        return scored(predict(chosen, central))
    done: dict[int, Prediction] = {}
    for name in dict.fromkeys(row.set for row in chosen):
        which = [i for i, row in enumerate(chosen) if row.set == name]
        draw = fit(read.bundled(), leave_out=name)
        done.update(zip(which, predict([chosen[i] for i in which], draw), strict=True))
    return scored(tuple(done[i] for i in range(len(chosen))), leave_out)


def scored(predictions: Sequence[Prediction], left_out: str = "") -> Validation:
    """Predictions with their errors over all and by group."""
    return Validation(
        rows=tuple(predictions),
        summary=summary(predictions),
        groups={by: grouped(predictions, by) for by in GROUPS},
        left_out=left_out,
    )


def _chosen(rows: Sequence[Row], sets: Sequence[str]) -> tuple[Row, ...]:
    known = list(dict.fromkeys(row.set for row in rows))
    for name in sets:
        if name not in known:
            raise UnknownName("set of evidence", name, known, f"Sets: {', '.join(known)}.")
    return tuple(row for row in rows if not sets or row.set in sets)
