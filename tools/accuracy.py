"""Writes docs/accuracy.md and docs/accuracy.svg: the error on every published measurement.

Run it after a change to the equations, their coefficients or the evidence, and read the diff. With
`--leave-out` the published error, each source predicted by a fit without it, is worked out as well.
"""

from __future__ import annotations

import sys
from pathlib import Path

from parity.evidence.validate import validate
from parity.outputs.accuracy import sentence
from parity.outputs.accuracy_page import PLOT, page, plot
from parity.outputs.scatter import svg

DOCS = Path(__file__).resolve().parent.parent / "docs"


def main(words: list[str]) -> None:
    """Write the page and its plot."""
    found, served = validate(kind="training"), validate(kind="serving")
    left_out = validate(kind="training", leave_out="source") if "--leave-out" in words else None
    (DOCS / "accuracy.md").write_text(page(found, served, left_out), encoding="utf-8")
    (DOCS / PLOT).write_text(svg(plot(left_out or found)), encoding="utf-8")
    print(sentence(left_out or found), sentence(served), sep="\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
