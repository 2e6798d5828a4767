"""The page docs/accuracy.md and its plot, made from a validation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from parity.catalogue import load
from parity.evidence import peers, read
from parity.evidence.pairs import Pair, by_chips, pair_summary, pairs
from parity.evidence.physics import kernel_objection
from parity.evidence.read import AnyRow
from parity.evidence.schema import Prediction
from parity.evidence.serving_schema import MEASURES
from parity.evidence.serving_sources import serving_set
from parity.evidence.sources import by_id
from parity.evidence.validate import Validation
from parity.outputs.accuracy import (
    TITLES,
    group_table,
    memory_table,
    percent,
    reason_table,
    sentence,
    telling,
    worst_table,
)
from parity.outputs.accuracy_making import making
from parity.outputs.accuracy_ranges import ranges_hold
from parity.outputs.document import Table
from parity.outputs.scatter import Dot, Scatter
from parity.outputs.serving import pools_words
from parity.units import significant

PLOT, SERVING_PLOT = "accuracy.svg", "accuracy-serving.svg"
LEFT_OUT = "With each source left out"
#: Pairs of two chips that make a row.
FEWEST_PAIRS = 5
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
measurements, in the same columns. What chips cost to make, beside published estimates, is at the
[end](#what-chips-cost-to-make).

The error is of time: predicted over measured, less one. Below zero Parity is too fast. Throughput
and utilisation are turned into the time they mean first. *Median*, *mean* and *P90* are of the
error's size, *bias* is the mean with its sign, *in range* is the share of measurements between the
low and the high that Parity printed (P10 to P90 over the ranges of all figures).
"""


_SERVING = """\
# Accuracy of serving

Rates are predicted at the load that the source states: as many requests as memory and scheduler
hold where all come at once, so many at a time, at a rate, or as many as keep MLPerf's latencies.
Engines are those of the version that ran. What is fitted are the figures of each generation of an
engine and what kernels of a chip family reach in serving, not a row or a source. Rows without a
layout are served with the one that serves most, and counted apart as *searched*.
"""

_LEFT_OUT = """\
Each source is predicted by a fit without it: what a reader's own measurement should be held
against. Which generations of software there are was chosen with all sources in view, so a little of
each is known.
"""

_PAIRS = """\
# What equals what

Two chips that one source measured at the same work, as many of the one as of the other: how much
faster the first is, measured and predicted. *Kendall's tau* is the share of pairs that are ordered
rightly, less those ordered wrongly; pairs within 2 % of each other are not ordered. Ratios are
predicted better than times, since what is wrong of a model or of an engine is wrong on both sides.
"""

_PEERS = """\
# Beside AIConfigurator

NVIDIA's AIConfigurator 0.12.0 interpolates kernels measured on ten kinds of chip, all but one
NVIDIA's. Eight questions put to both, with the same layout and load. Neither column is a
measurement; where there is one, it is said.
"""


@dataclass(frozen=True)
class Halves:
    """Training and serving, each by itself."""

    training: Validation
    serving: Validation


def page(found: Halves, left_out: Halves | None = None) -> str:
    """The page: training, serving, ratios of chips, and what another planner says.

    left_out: each source predicted by a fit without it, if there is one.
    """
    training, serving = found.training, found.serving
    parts = [_HEAD, sentence(training) + "\n"]
    if left_out is not None:
        parts += _left_out(left_out.training)
    parts += [
        f"![Predicted against measured step time]({PLOT})\n",
        "A row counts as *stated* where its source gives the whole layout, *completed* where a "
        "microbatch, recomputation or interleaving was left open and the fastest that fits was "
        "taken, *searched* where no layout is given. Rows are predicted with the software "
        "generation of their date.\n",
    ]
    parts += _groups(training)
    parts += [
        f"## The {WORST} furthest off\n",
        _markdown(worst_table(training.rows, WORST)),
        "## Not predicted\n",
        _markdown(reason_table(training.rows)),
        "## Memory\n",
        "Peak memory, where a source states it, as it counts: handed out by PyTorch (SimuMax), "
        "held by PyTorch (torchtitan), or taken on the device (BigScience, in whole GB).\n",
        _markdown(memory_table(training.rows)),
        "## Kernels\n",
        _kernels(),
        _SERVING,
        sentence(serving) + "\n",
    ]
    if left_out is not None:
        parts += _left_out(left_out.serving, "serving ")
    parts += [f"![Predicted against measured rates and times of serving]({SERVING_PLOT})\n"]
    parts += _groups(serving, "Serving ")
    parts += [
        f"## The {WORST} furthest off in serving\n",
        _markdown(worst_table(serving.rows, WORST)),
        "## Serving not predicted\n",
        _markdown(reason_table(serving.rows)),
        _PAIRS,
        *_ratios(found if left_out is None else left_out),
        *([] if left_out is None else _ranges()),
        _PEERS,
        *_beside(),
        *_made(),
    ]
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


def _left_out(found: Validation, what: str = "") -> list[str]:
    return [
        f"## {_capital(what)}with each source left out\n" if what else f"## {LEFT_OUT}\n",
        _LEFT_OUT,
        sentence(found) + "\n",
        _markdown(group_table(found, "set")),
    ]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _made() -> list[str]:
    """What chips cost to make, beside what others published."""
    said, table = making()
    return [said, _markdown(table)]


def _ranges() -> list[str]:
    """How many measurements, and how many ratios of chips, lie in their range."""
    return [_markdown(x) if isinstance(x, Table) else x for x in ranges_hold()]


def _ratios(found: Halves) -> list[str]:
    """Ratios of chips, over all and by the chips that were measured together most."""
    rows: tuple[AnyRow, ...] = (*read.bundled(), *read.bundled_serving())
    some = pairs(rows, (*found.training.rows, *found.serving.rows))
    kinds = {kind: [one for one in some if one.kind == kind] for kind in ("training", "serving")}
    columns = ("pairs", "median error", "P90", "Kendall's tau")
    whole = Table(
        ("", *columns),
        tuple((name, *_ratio_cells(own)) for name, own in {**kinds, "both": list(some)}.items()),
        "lrrrr",
    )
    by = Table(
        ("first", "second", "measured", "predicted", *columns),
        tuple(
            (
                *chips,
                f"{np.median([one.measured for one in own]):.2f}",
                f"{np.median([one.predicted for one in own]):.2f}",
                *_ratio_cells(own),
            )
            for chips, own in by_chips(some).items()
            if len(own) >= FEWEST_PAIRS
        ),
        "llrrrrrr",
    )
    return [
        _markdown(whole),
        "Medians, of chips that were measured together most:\n",
        _markdown(by),
    ]


def _ratio_cells(some: Sequence[Pair]) -> tuple[str, ...]:
    found = pair_summary(some)
    sizes = percent(found.median_abs_error), percent(found.p90_abs_error)
    return f"{found.pairs:,}", *sizes, f"{found.kendall_tau:.2f}"


def _beside() -> list[str]:
    """What AIConfigurator predicts, beside Parity."""
    columns = ("TTFT [ms]", "Parity", "TPOT [ms]", "Parity", "tokens/s/chip", "Parity")
    rows = tuple(
        (
            one.words,
            *(
                cell
                for own in (one.ttft_ms, one.tpot_ms, one.output_tokens_per_s_per_chip)
                for cell in (significant(own.theirs), _with_range(own))
            ),
        )
        for one in peers.runs()
    )
    best = tuple(
        (
            one.mode,
            significant(one.theirs),
            significant(one.ours),
            pools_words(one.plan) + ("" if one.meets else ", misses the latencies"),
        )
        for one in peers.searched()
    )
    searched = ("best tokens/s/chip", "AIConfigurator", "Parity", "Parity's plan")
    return [
        _markdown(Table(("what runs", *columns), rows, "l" + "r" * len(columns))),
        "AIConfigurator multiplies the time of a prompt by a constant for the queue in front of "
        "it; Parity's TTFT has the queue of that load. The last row was measured, by TensorRT-LLM "
        "0.14: at 2 and at 4 requests/s, about 11 and 25 under way, 21 and 24 ms between tokens.\n",
        "The example of its README: Qwen3-32B FP8 on 32 H200, 4,000 + 500 tokens with 500 cached, "
        "TTFT 300 ms, TPOT 10 ms. Its README prints 684.79 tokens/s/chip in two pools, its own "
        "tables of 0.12.0 give 572.66.\n",
        _markdown(Table(searched, best, "lrrl")),
    ]


def _with_range(own: peers.Figure) -> str:
    low, high = significant(own.low, 2), significant(own.high, 2)
    return f"{significant(own.ours)} ({low}–{high})"


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


def serving_plot(validation: Validation) -> Scatter:
    """Predicted against measured time of every row of serving."""
    dots = tuple(
        Dot(*_as_time(one), family(one.chip), one.id)
        for one in validation.rows
        if one.predicted is not None
    )
    return Scatter(
        title=f"Time a token or to the first one of {len(dots):,} published runs",
        x="measured [s], the band is 10 % around equal",
        y="predicted [s]",
        dots=dots,
        band=BAND,
    )


def _as_time(one: Prediction) -> tuple[float, float]:
    """(measured, predicted) seconds: of a latency, or of a chip for a token."""
    assert one.predicted is not None
    if MEASURES[one.metric].time:
        scale = 1e-3 if one.unit == "ms" else 1.0
        return scale * one.measured, scale * one.predicted
    chips = one.chips if MEASURES[one.metric].per == "total" else 1
    return chips / one.measured, chips / one.predicted


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
