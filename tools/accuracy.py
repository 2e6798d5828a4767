"""Writes docs/accuracy.md and its two plots: the error on every published measurement.

Run it after a change to the equations, their coefficients or the evidence, and read the diff. With
`--leave-out` the published error, each source predicted by a fit without it, is worked out as well.
"""

from __future__ import annotations

import sys
from pathlib import Path

from parity.evidence.validate import validate
from parity.outputs.accuracy import sentence
from parity.outputs.accuracy_page import PLOT, SERVING_PLOT, Halves, page, plot, serving_plot
from parity.outputs.scatter import svg

DOCS = Path(__file__).resolve().parent.parent / "docs"


def main(words: list[str]) -> None:
    """Write the page and its plots."""
    found = _halves()
    left_out = _halves("source") if "--leave-out" in words else None
    shown = left_out or found
    (DOCS / "accuracy.md").write_text(page(found, left_out), encoding="utf-8")
    (DOCS / PLOT).write_text(svg(plot(shown.training)), encoding="utf-8")
    (DOCS / SERVING_PLOT).write_text(svg(serving_plot(shown.serving)), encoding="utf-8")
    print(sentence(shown.training), sentence(shown.serving), sep="\n")


def _halves(leave_out: str = "") -> Halves:
    kinds = ("training", "serving")
    return Halves(*(validate(kind=kind, leave_out=leave_out) for kind in kinds))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
