"""How fast a service is planned: `python benchmarks/serve.py`.

Qwen3-32B on 32 H200, prompts of 4,000 tokens and answers of 500 within a TTFT of 2 s and a TPOT of
50 ms: from the shell, a process each; warm, in one process; and with requests simulated one by one.
Best and median of five runs.

A peer runs beside it where it is installed: AIConfigurator (`aiconfigurator cli default`), put the
same question; `AICONFIGURATOR=/path/to/aiconfigurator` names another one than that of the PATH.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

import parity

RUNS = 5
MODEL, CHIPS, ISL, OSL, TTFT_MS, TPOT_MS = "qwen3-32b", 32, 4000, 500, 2000, 50
ASKED = {"isl": ISL, "osl": OSL, "ttft": f"{TTFT_MS}ms", "tpot": f"{TPOT_MS}ms"}
WORDS = [word for name, value in ASKED.items() for word in (f"--{name}", str(value))]
SHELL = [
    sys.executable, "-c", "import sys; from parity.apps.cli import main; sys.exit(main())",
    "plan", "serve", MODEL, "--on", f"{CHIPS}xh200", *WORDS,
]  # fmt: skip


def timed(work: Callable[[], object], runs: int = RUNS) -> tuple[float, float]:
    """Best and median seconds of so many runs."""
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds), float(np.median(seconds))


def shell(*more: str) -> None:
    """The command, as typed."""
    subprocess.run([*SHELL, *more], check=True, capture_output=True)


def peer() -> list[str] | None:
    """The command of AIConfigurator for the same question; None where it is not installed."""
    found = os.environ.get("AICONFIGURATOR") or shutil.which("aiconfigurator")
    if found is None:
        return None
    words = {
        "--model-path": "Qwen/Qwen3-32B", "--total-gpus": CHIPS, "--system": "h200_sxm",
        "--isl": ISL, "--osl": OSL, "--ttft": TTFT_MS, "--tpot": TPOT_MS,
    }  # fmt: skip
    return [found, "cli", "default", *(str(w) for pair in words.items() for w in pair)]


def main() -> None:
    print(f"Python {platform.python_version()}, NumPy {np.__version__}, {platform.machine()}")
    print(f"{'what':34} {'best s':>8} {'median s':>9}")

    def row(name: str, work: Callable[[], object], runs: int = RUNS) -> float:
        best, median = timed(work, runs)
        print(f"{name:34} {best:8.3f} {median:9.3f}", flush=True)
        return best

    ours = row("from the shell", shell)
    parity.plan_serve(MODEL, f"{CHIPS}xh200", **ASKED)
    row("warm", lambda: parity.plan_serve(MODEL, f"{CHIPS}xh200", **ASKED))
    row("from the shell, --p 99", lambda: shell("--p", "99"))
    parity.plan_serve(MODEL, f"{CHIPS}xh200", p=99, **ASKED)
    row("warm, p=99", lambda: parity.plan_serve(MODEL, f"{CHIPS}xh200", p=99, **ASKED))
    command = peer()
    if command is None:
        print("AIConfigurator is not installed")
        return
    theirs = row(
        "AIConfigurator, from the shell",
        lambda: subprocess.run(command, check=True, capture_output=True),
    )
    print(f"{theirs / ours:.1f} times as long")


if __name__ == "__main__":
    main()
