"""Fits the figures that only whole steps show and, with `--write`, writes them to `steps.toml`.

    python tools/fit_steps.py [--write]

Needs SciPy (the `fit` extra). The fit is linear around the stated figures, so half of each move is
written and the fit repeated until nothing moves by more than two percent.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

TARGET = Path(__file__).resolve().parent.parent / "src/parity/timing/data/steps.toml"
#: Range written around a fitted figure, a factor up and as much down; no share is above 1.
UP = 1.25
ROUNDS = 12
STILL = 0.02


def main() -> None:
    """Print what is stated and what is fitted; write and repeat if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    if not parser.parse_args().write:
        move(write=False)
        return
    for _ in range(ROUNDS):  # the files are read once a process
        if subprocess.run([sys.executable, __file__, "--once"], check=False).returncode == 0:
            return


def move(*, write: bool) -> float:
    """One fit, printed; the largest relative move of a figure."""
    from parity.evidence import read
    from parity.evidence.fit import steps_of, training_fit

    steps = steps_of(read.bundled())
    found = training_fit(read.bundled()).figures
    stated = dict(zip(steps.keys, steps.stated.tolist(), strict=True))
    for key, value in found.items():
        print(f"{key:40s} {stated[key]:10.3g} -> {value:10.3g}")
    if write:
        halfway = {k: float(f"{(v * stated[k]) ** 0.5:.3g}") for k, v in found.items()}
        TARGET.write_text(page(halfway), "utf-8")
    return max(abs(found[key] / stated[key] - 1) for key in found)


def page(found: dict[str, float]) -> str:
    """The file."""
    tables: dict[str, list[str]] = defaultdict(list)
    for key, value in sorted(found.items()):
        if key.startswith("software."):
            _, generation, name = key.split(".")
            tables[f"software.{generation}"].append(f"{name} = {value}")
        else:
            family, name = key.split(".", 1) if "." in key else ("", key)
            where = f"families.{family}" if family else "prior"
            tables[where].append(f"{name} = {figure(value, capped=bool(family))}")
    head = (
        "# Written by tools/fit_steps.py from published training steps; do not edit. Read last.\n"
    )
    return head + "".join(
        f"\n[{name}]\n" + "\n".join(lines) + "\n" for name, lines in sorted(tables.items())
    )


def figure(value: float, *, capped: bool) -> str:
    """A figure with its range, as a TOML table."""
    high = round(min(value * UP, 1.0) if capped else value * UP, 3)
    return (
        f"{{ value = {value}, low = {round(value * value / high, 3)}, high = {high}, "
        'provenance = "measured", source = "steps" }'
    )


if __name__ == "__main__":
    if sys.argv[1:] == ["--once"]:
        sys.exit(0 if move(write=True) < STILL else 1)
    main()
