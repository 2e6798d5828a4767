# /// script
# dependencies = ["tomlkit"]
# ///
"""Fits the figures that only whole steps show and, with `--write`, puts them into the data files.

    python tools/fit_steps.py [--write]

Needs SciPy (the `fit` extra) and, to write, tomlkit. The fit is linear around the stated figures,
so it is written and repeated until nothing moves by more than a percent.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TIMING = ROOT / "src/parity/timing/data"
#: Half-width of the range written around a fitted rate.
SPREAD = 0.20
ROUNDS = 6


def main() -> None:
    """Print what is stated and what is fitted; write and repeat if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    if not parser.parse_args().write:
        moved()
        return
    for _ in range(ROUNDS):
        if subprocess.run([sys.executable, __file__, "--once"], check=False).returncode == 0:
            return


def moved(*, write: bool = False) -> float:
    """One fit, printed; the largest relative move of a figure."""
    from parity.evidence import read
    from parity.evidence.fit import fitted, steps_of

    steps = steps_of(tuple(read.bundled()))
    found = fitted(steps).figures
    stated = dict(zip(steps.keys, steps.stated.tolist(), strict=True))
    for key, value in found.items():
        print(f"{key:45s} {stated[key]:10.3g} -> {value:10.3g}")
    if write:
        put({key: float(f"{value:.3g}") for key, value in found.items()})
    return max(abs(found[key] / stated[key] - 1) for key in found)


def put(found: dict[str, float]) -> None:
    """Write the figures where they belong, comments and order kept."""
    import tomlkit

    efficiency = tomlkit.parse((TIMING / "efficiency.toml").read_text("utf-8"))
    software = tomlkit.parse((TIMING / "software.toml").read_text("utf-8"))
    for key, value in found.items():
        if key.startswith("software."):
            _, generation, name = key.split(".")
            software[generation][name] = value
        elif key == "power_exponent":
            efficiency["prior"][key]["value"] = value
        else:
            family, _, bits = key.split(".")
            entry = tomlkit.inline_table()
            entry.update({
                "value": value, "low": round(value * (1 - SPREAD), 3),
                "high": round(min(value * (1 + SPREAD), 1.0), 3),
                "provenance": "measured", "source": "steps",
            })  # fmt: skip
            own = efficiency["families"].setdefault(family, tomlkit.table())
            own.setdefault("sustained", tomlkit.table())[bits] = entry
    (TIMING / "efficiency.toml").write_text(tomlkit.dumps(efficiency), "utf-8")
    (TIMING / "software.toml").write_text(tomlkit.dumps(software), "utf-8")


if __name__ == "__main__":
    if sys.argv[1:] == ["--once"]:
        sys.exit(0 if moved(write=True) < 0.01 else 1)
    main()
