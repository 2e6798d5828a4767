"""How far Parity is from what others measured, as an answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from parity.errors import UsageError
from parity.evidence import validate as validation
from parity.evidence.read import read_file
from parity.evidence.schema import Prediction
from parity.evidence.score import CLOSE, Summary, memory_by_set, reasons, worst
from parity.evidence.sources import by_id
from parity.evidence.validate import Validation
from parity.outputs.document import Document, Part, Table
from parity.outputs.envelope import Answer
from parity.record import Finding
from parity.units import parse, significant

OVER_TOLERANCE = 6
WORST = 10

#: How each grouping is called in a title, in the order in which they are shown.
TITLES = {
    "task": "by what was run",
    "set": "by source", "family": "by chip family", "chip": "by chip", "kind": "by kind of model",
    "size": "by model size",
    "layout": "by where the layout comes from", "metric": "by what was measured",
    "engine": "by engine", "mode": "by how requests came",
}  # fmt: skip
ERROR_COLUMNS = ("rows", "predicted", "median", "mean", "P90", "bias", "in range")


def validate(
    evidence: str | Path | None = None,
    *,
    sets: Sequence[str] = (),
    kind: str = "",
    leave_out: str = "",
    tolerance: str | float | None = None,
) -> Answer:
    """Predict the bundled measurements, or those of the CSV file `evidence`, and score them.

    sets: ids of the sources to keep to, all where none is named. kind: `training` or `serving`
    alone. leave_out: `source` refits the
    efficiency figures without each row's own source first. tolerance: as `10%`; exit code 6 where
    the median error is above.

    Raises `BadFile`, `UnknownName` for a set no row has.
    """
    limit = None if tolerance is None else _tolerance(tolerance)
    rows = None if evidence is None else read_file(Path(evidence))
    found = validation.validate(rows, sets=sets, kind=kind, leave_out=leave_out)
    return accuracy_answer(found, limit)


def accuracy_answer(found: Validation, tolerance: float | None = None) -> Answer:
    """The errors as an answer; exit 6 where the median error is above `tolerance`."""
    overall = found.summary
    parts: list[Part] = [group_table(found, by) for by in TITLES if telling(found, by)]
    parts += [memory_table(found.rows), worst_table(found.rows, WORST), reason_table(found.rows)]
    over = (
        tolerance is not None
        and overall.median_abs_error is not None
        and overall.median_abs_error > tolerance
    )
    document = Document(
        sentence=sentence(found),
        parts=tuple(part for part in parts if not isinstance(part, Table) or part.rows),
        findings=findings(found),
        next=("parity validate --set korthikanti", "parity validate --json"),
    )
    content = {
        "left_out": found.left_out or None,
        "summary": overall,
        "groups": found.groups,
        "memory": memory_by_set(found.rows),
        "rows": [_row(one) for one in found.rows],
    }
    return Answer(
        command="validate",
        content=content,
        document=document,
        exit_code=OVER_TOLERANCE if over else 0,
    )


def _tolerance(text: str | float) -> float:
    value = parse(text, "fraction", "--tolerance")
    if not 0 < value < 10:
        raise UsageError(f"--tolerance is {text}; a share above 0 was expected, as in `10%`.")
    return value


def sentence(found: Validation) -> str:
    """Median error, how many rows it is over, and how many were left."""
    overall = found.summary
    if overall.median_abs_error is None:
        return f"None of the {overall.rows:,} measurements could be predicted."
    how = " fitted without the row's own source" if found.left_out else ""
    return (
        f"Parity{how} is {percent(overall.median_abs_error)} off in the median, "
        f"{percent(overall.mean_abs_error)} in the mean and {_lean(overall.bias or 0.0)} "
        f"over {overall.predicted:,} of {overall.rows:,} measurements, "
        f"{percent(overall.coverage)} of those whose source says enough."
    )


def _lean(bias: float) -> str:
    """To which side the predictions lean, in words."""
    if percent(abs(bias)) == percent(0.0):
        return "neither too fast nor too slow"
    return f"{percent(abs(bias))} too {'fast' if bias < 0 else 'slow'}"


def percent(share: float | None, signed: bool = False) -> str:
    """A share as `12.3 %`; blank where there is none."""
    if share is None:
        return ""
    return f"{100 * share:+.1f} %" if signed else f"{100 * share:.1f} %"


def error_cells(one: Summary) -> tuple[str, ...]:
    """The cells of a group, under `ERROR_COLUMNS`."""
    return (
        str(one.rows),
        str(one.predicted),
        percent(one.median_abs_error),
        percent(one.mean_abs_error),
        percent(one.p90_abs_error),
        percent(one.bias, signed=True),
        percent(one.interval_coverage),
    )


def telling(found: Validation, by: str) -> bool:
    """Whether a grouping says more than the whole does."""
    return by != "task" or len(found.groups[by]) > 1


def group_table(found: Validation, by: str) -> Table:
    """The errors of each group."""
    groups = found.groups[by]
    return Table(
        title=f"Error of time, {TITLES[by]}",
        columns=(by, *ERROR_COLUMNS),
        rows=tuple((name, *error_cells(one)) for name, one in groups.items()),
        align="l" + "r" * len(ERROR_COLUMNS),
    )


def memory_table(rows: Sequence[Prediction]) -> Table:
    """The errors of peak memory, by source."""
    return Table(
        title="Error of the peak memory, where the source states it",
        columns=("set", "rows", "median", "bias", f"within {100 * CLOSE:.0f} %"),
        rows=tuple(
            (
                name,
                str(one.rows),
                percent(one.median_abs_error),
                percent(one.bias, signed=True),
                percent(one.close),
            )
            for name, one in memory_by_set(rows).items()
        ),
        align="lrrrr",
    )


def worst_table(rows: Iterable[Prediction], count: int) -> Table:
    """The predictions furthest off."""
    return Table(
        title="Furthest off",
        columns=("id", "error", "measured", "predicted", "unit", "chips", "what ran"),
        rows=tuple(
            (
                one.id,
                percent(one.error, signed=True),
                significant(one.measured),
                significant(one.predicted or 0.0),
                one.unit,
                f"{one.chips}x{one.chip}",
                f"{one.model}, {one.plan}",
            )
            for one in worst(rows, count)
        ),
        align="lrrrlll",
    )


def reason_table(rows: Sequence[Prediction]) -> Table:
    """Why rows are not predicted."""
    return Table(
        title="Not predicted",
        columns=("rows", "reason"),
        rows=tuple((str(count), reason) for reason, count in reasons(rows).items()),
        align="rl",
    )


def findings(found: Validation) -> tuple[Finding, ...]:
    """What the errors do not say."""
    out = []
    tight = [one for one in found.rows if one.fits is False]
    if tight:
        out.append(
            Finding(
                code="P203",
                severity="note",
                message=f"{len(tight):,} predicted rows ran although Parity's memory model finds "
                "them too large.",
            )
        )
    for name in found.groups["set"]:
        note = by_id(name).note
        if note and len(found.groups["set"]) == 1:
            out.append(Finding(code="P202", severity="note", message=note))
    return tuple(out)


def _row(one: Prediction) -> dict[str, object]:
    return msgspec.structs.asdict(one)
