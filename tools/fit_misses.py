"""Finds how far measurements lie from predictions and, with `--write`, writes `misses.toml`.

    python tools/fit_misses.py [--write]

Run it after `tools/fit_steps.py`, whose figures it takes as they are. Needs SciPy (the `fit`
extra).
"""

from __future__ import annotations

import argparse
from pathlib import Path

from parity.evidence.misses import by_class, fit_misses, held
from parity.evidence.residuals import residuals
from parity.timing.misses import PREFIX, Miss, Misses

FILE = Path(__file__).resolve().parent.parent / "src/parity/timing/data/misses.toml"
HEAD = """\
# Written by tools/fit_misses.py --write from the bundled measurements; do not edit. P10 and P90 of
# the logarithm of measured over predicted time, beyond what the ranges of figures cover.
"""


def main() -> None:
    """Print what is found and how many rows it holds, by class; write it if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    text = HEAD
    for task in PREFIX:
        found = residuals(task)
        misses = fit_misses(found)
        text += table(task, misses)
        for one in by_class(found, held(found, misses)):
            print(f"{task:9} {one.name:22} {one.rows:4} {one.sources:3} {one.share:7.1%}")
    print(text)
    if asked.write:
        FILE.write_text(text, "utf-8")


def table(task: str, misses: Misses) -> str:
    """The tables of one task."""
    lines = [
        f"\n[{task}]",
        f"vendor = {misses.vendor:.3g}",
        f"family = {misses.family:.3g}",
        f"others = {ends(misses.others)}",
        f"\n[{task}.classes]",
    ]
    return "\n".join(lines + [f"{k} = {ends(v)}" for k, v in misses.classes.items()]) + "\n"


def ends(miss: Miss) -> str:
    """A miss as an inline table."""
    return f"{{ low = {miss.low + 0.0:.3g}, high = {miss.high + 0.0:.3g} }}"


if __name__ == "__main__":
    main()
