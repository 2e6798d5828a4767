"""Fits the figures that only whole steps show and, with `--write`, writes them to a data file.

    python tools/fit_steps.py training [--write]
    python tools/fit_steps.py serving [--write]

Training goes to `steps.toml`, serving to `serving.toml`. Needs SciPy (the `fit` extra). The fit is
linear around the stated figures, so half of each move is written and the fit repeated until nothing
moves by more than three percent.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

DATA = Path(__file__).resolve().parent.parent / "src/parity/timing/data"
ROUNDS = 12
STILL = 0.03


@dataclass(frozen=True)
class Kind:
    """One body of evidence: where its figures go, and how they are called there."""

    file: str
    generations: str  # table of what belongs to a generation of software: `software`, `engines`
    prefix: str  # of their keys
    source: str
    up: float  # range written around a fitted figure, a factor up and as much down
    most: float  # no share of a chip family is above
    apart: float = 0.0  # of families from their mean, in 80 of 100 [natural log]


KINDS = {
    "training": Kind("steps.toml", "software", "software.", "steps", 1.25, 1.0),
    "serving": Kind("serving.toml", "engines", "engine.", "serving", 1.15, 1.3, 1.28 * 0.10),
}
#: Table of what chips have that nobody measured: of serving, the means of the families.
PRIOR = "prior"


def main() -> None:
    """Print what is stated and what is fitted; write and repeat if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--once", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if not asked.write:
        move(asked.kind, write=False)
    elif asked.once:
        sys.exit(0 if move(asked.kind, write=True) < STILL else 1)
    else:
        again = [sys.executable, __file__, asked.kind, "--write", "--once"]
        for _ in range(ROUNDS):  # the files are read once a process
            if subprocess.run(again, check=False).returncode == 0:
                return


def move(kind: str, *, write: bool) -> float:
    """One fit, printed; the largest relative move of a figure."""
    stated, found = _training() if kind == "training" else _serving()
    for key, value in found.items():
        print(f"{key:40s} {stated[key]:10.3g} -> {value:10.3g}")
    if write:
        halfway = {k: float(f"{(v * stated[k]) ** 0.5:.3g}") for k, v in found.items()}
        (DATA / KINDS[kind].file).write_text(page(kind, halfway), "utf-8")
    return max(abs(found[key] / stated[key] - 1) for key in found)


Figures = dict[str, float]


def _training() -> tuple[Figures, Figures]:
    from parity.evidence import read
    from parity.evidence.fit import steps_of, training_fit

    steps = steps_of(read.bundled())
    stated = dict(zip(steps.keys, steps.stated.tolist(), strict=True))
    return stated, training_fit(read.bundled()).figures


def _serving() -> tuple[Figures, Figures]:
    from parity.evidence import read
    from parity.evidence.fit_serving import runs_of, serving_fit

    rows = read.bundled_serving()
    runs, fit = runs_of(rows), serving_fit(rows)
    stated = dict(zip(runs.keys, runs.stated.tolist(), strict=True))
    means = {PRIOR + g.ending: mean for g, mean in fit.means.items() if ".served." in g.ending}
    return stated | means, fit.figures | means


def page(kind: str, found: Figures) -> str:
    """The file."""
    about = KINDS[kind]
    tables: dict[str, list[str]] = defaultdict(list)
    for key, value in sorted(found.items()):
        if key.startswith(about.prefix):
            _, generation, name = key.split(".")
            tables[f"{about.generations}.{generation}"].append(f"{name} = {value}")
        else:
            family, name = key.split(".", 1) if "." in key else (PRIOR, key)
            where = PRIOR if family == PRIOR else f"families.{family}"
            written = figure(value, about, of_family=family != PRIOR)
            tables[where].append(f"{name} = {written}")
    head = f"# Written by tools/fit_steps.py {kind} --write from published figures; do not edit.\n"
    return head + "".join(
        f"\n[{name}]\n" + "\n".join(lines) + "\n" for name, lines in sorted(tables.items())
    )


def figure(value: float, about: Kind, *, of_family: bool) -> str:
    """A figure with its range, as a TOML table; of a family that nobody measured, wider."""
    up = about.up if of_family else math.exp(math.hypot(math.log(about.up), about.apart))
    high = round(min(value * up, about.most) if of_family else value * up, 3)
    return (
        f"{{ value = {value}, low = {round(value * value / high, 3)}, high = {high}, "
        f'provenance = "{"measured" if of_family else "derived"}", source = "{about.source}" }}'
    )


if __name__ == "__main__":
    main()
