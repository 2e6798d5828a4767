"""The page docs/accuracy.md and its plot, made from a validation."""

from __future__ import annotations

from parity.catalogue import load
from parity.evidence import read
from parity.evidence.physics import kernel_objection
from parity.evidence.serving_sources import serving_set
from parity.evidence.sources import by_id
from parity.evidence.validate import Validation
from parity.outputs.accuracy import (
    TITLES,
    group_table,
    memory_table,
    reason_table,
    sentence,
    telling,
    worst_table,
)
from parity.outputs.document import Table
from parity.outputs.scatter import Dot, Scatter

PLOT = "accuracy.svg"
BAND = 0.1
WORST = 20
#: Chip families -> the groups of the plot.
FAMILIES = {
    "volta": "NVIDIA Volta, Ampere", "ampere": "NVIDIA Volta, Ampere", "hopper": "NVIDIA Hopper",
    "blackwell": "NVIDIA Blackwell",
}  # fmt: skip

_HEAD = """\
# Accuracy

<!-- Written by `python tools/accuracy.py`. Change the code, not this page. -->

Parity predicts every published measurement of training and of serving that it knows of, with the
layout the source states, and this page prints the error. `parity validate` repeats it on your
machine in a few seconds; `parity validate --evidence FILE.csv` does the same for your own
measurements, in the same columns.

The error is of time: predicted over measured, less one. Below zero Parity is too fast. Throughput
and utilisation are turned into the time they mean first. *Median*, *mean* and *P90* are of the
error's size, *bias* is the mean with its sign, *in range* is the share of measurements between the
low and the high that Parity printed (P10 to P90 over the ranges of all figures).
"""


_SERVING = """\
# Accuracy of serving

Rates are predicted at the load that the source states: as many requests as memory and scheduler
hold where all come at once, so many at a time, at a rate, or as many as keep MLPerf's latencies.
Engines are those of the version that ran. No figure is fitted to a row of these. Rows without a
layout are served with the one that serves most, and counted apart as *searched*.
"""


def page(
    validation: Validation, served: Validation | None = None, left_out: Validation | None = None
) -> str:
    """The page: training, then serving.

    left_out: training, each source predicted by a fit without it, if there is one.
    """
    parts = [_HEAD, sentence(validation) + "\n"]
    if left_out is not None:
        parts += ["## With each source left out\n", sentence(left_out) + "\n"]
        parts += [_markdown(group_table(left_out, "set"))]
    parts += [
        f"![Predicted against measured step time]({PLOT})\n",
        "A row counts as *stated* where its source gives the whole layout, *completed* where a "
        "microbatch, recomputation or interleaving was left open and the fastest that fits was "
        "taken, *searched* where no layout is given. Rows are predicted with the software "
        "generation of their date.\n",
    ]
    parts += _groups(validation)
    parts += [
        f"## The {WORST} furthest off\n",
        _markdown(worst_table(validation.rows, WORST)),
        "## Not predicted\n",
        _markdown(reason_table(validation.rows)),
        "## Memory\n",
        "Peak memory, where a source states it, as it counts: handed out by PyTorch (SimuMax), "
        "held by PyTorch (torchtitan), or taken on the device (BigScience, in whole GB).\n",
        _markdown(memory_table(validation.rows)),
        "## Kernels\n",
        _kernels(),
    ]
    if served is not None:
        parts += [_SERVING, sentence(served) + "\n", *_groups(served, "Serving ")]
        parts += [f"## The {WORST} furthest off in serving\n"]
        parts += [_markdown(worst_table(served.rows, WORST)), "## Serving not predicted\n"]
        parts += [_markdown(reason_table(served.rows))]
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


def _groups(validation: Validation, what: str = "") -> list[str]:
    parts = []
    for by in TITLES:
        table = _titled(validation, by)
        if table.rows and telling(validation, by):
            title = f"{what}{TITLES[by]}"
            parts += [f"## {title[:1].upper()}{title[1:]}\n", _markdown(table)]
    return parts


def plot(validation: Validation) -> Scatter:
    """Predicted against measured step time of every row."""
    dots = tuple(
        Dot(one.measured_step_s, one.predicted_step_s, family(one.chip), one.id)
        for one in validation.rows
        if one.measured_step_s is not None and one.predicted_step_s is not None
    )
    return Scatter(
        title=f"Step time of {len(dots):,} published runs",
        x="measured [s], the band is 10 % around equal",
        y="predicted [s]",
        dots=dots,
        band=BAND,
    )


def family(chip: str) -> str:
    """The group of the plot that a chip belongs to."""
    name = load.chip(chip).family
    return FAMILIES.get(name, "Google TPU" if name.startswith("tpu") else "other chips")


def _titled(validation: Validation, by: str) -> Table:
    table = group_table(validation, by)
    if by != "set":
        return table
    rows = tuple((*row, _source(row[0])) for row in table.rows)
    return Table(columns=(*table.columns, "source"), rows=rows, align=table.align + "l")


def _source(name: str) -> str:
    """What a set is called."""
    known = by_id(name)
    return serving_set(name).title if known.title == name else known.title


def _markdown(table: Table) -> str:
    def cell(text: str) -> str:
        return text.replace("|", "\\|")

    rule = ["---:" if side == "r" else "---" for side in table.align.ljust(len(table.columns), "l")]
    lines = [table.columns, tuple(rule), *(tuple(map(cell, row)) for row in table.rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _kernels() -> str:
    """What became of the kernel measurements."""
    rows = read.kernels()
    broken: list[tuple[str, str]] = []
    kinds: dict[str, int] = {}
    for row in rows:
        objection = kernel_objection(row)
        if objection:
            broken.append((row.id, f"{row.chip}, {row.kernel}, {row.shape}: {objection}"))
        kinds[row.kind] = kinds.get(row.kind, 0) + 1
    counted = ", ".join(f"{n} {kind.replace('_', ' ')}" for kind, n in sorted(kinds.items()))
    table = Table(columns=("id", "excluded because"), rows=tuple(broken))
    return (
        f"{len(rows):,} kernel measurements come with Parity ({counted}). These are excluded:\n\n"
        + _markdown(table)
    )
