"""The page docs/accuracy.md and its plot, made from a validation."""

from __future__ import annotations

from parity.catalogue import load
from parity.evidence import read
from parity.evidence.physics import kernel_objection
from parity.evidence.sources import by_id
from parity.evidence.validate import Validation
from parity.outputs.accuracy import (
    TITLES,
    group_table,
    memory_table,
    reason_table,
    sentence,
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

Parity predicts every published training measurement it knows of, with the layout the source states,
and this page prints the error. `parity validate` repeats it on your machine in a few seconds;
`parity validate --evidence FILE.csv` does the same for your own measurements, in the same columns.

The error is of time: predicted over measured, less one. Below zero Parity is too fast. Throughput
and utilisation are turned into the step time they mean first. *Median*, *mean* and *P90* are of the
error's size, *bias* is the mean with its sign, *in range* is the share of measurements between the
low and the high that Parity printed (P10 to P90 over the ranges of all figures).
"""


def page(validation: Validation, left_out: Validation | None = None) -> str:
    """The page. left_out: the same, each source predicted by a fit without it, if there is one."""
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
    for by in TITLES:
        parts += [f"## {TITLES[by].capitalize()}\n", _markdown(_titled(validation, by))]
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
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


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
    rows = tuple((*row, by_id(row[0]).title) for row in table.rows)
    return Table(columns=(*table.columns, "source"), rows=rows, align=table.align + "l")


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
