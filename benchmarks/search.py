"""How fast layouts are searched: `python benchmarks/search.py`.

GPT-3 175B on 4,096 A100, the case of Calculon's published search (111-153 layouts/s on one core,
7.1 million in all), and the main match of the README. Best and median of five runs.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable

import numpy as np

import parity
from parity.catalogue.load import chip
from parity.catalogue.machine import machine
from parity.search.candidates import evaluate
from parity.search.grid import layouts
from parity.timing.software import software
from parity.workload.find import model
from parity.workload.training import TrainingJob

RUNS = 5


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Best and median seconds of `RUNS` runs."""
    seconds = []
    for _ in range(RUNS):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds), float(np.median(seconds))


def main() -> None:
    arch, a100, era = model("gpt3-175b"), machine(chip("a100-sxm-80")), software()
    job = TrainingJob(tokens=3e11, seq_len=2048, global_batch_tokens=4096 * 2048)
    exact = layouts(arch, job, a100, era, chips=4096)
    every = layouts(arch, job, a100, era, most=8192)
    cases = {
        f"layouts of 4,096 chips ({len(exact):,})": lambda: evaluate(arch, job, exact, a100, era),
        f"layouts of 1 to 8,192 chips ({len(every):,})": lambda: evaluate(
            arch, job, every, a100, era
        ),
        "match of the README, 5 chips": lambda: parity.match(
            "llama-3.1-70b", have="1024xh100", want="h20,a100,910b,ppu,mi300x", train=True,
            tokens="15T", seq="8k", gbs="16M",
        ),
    }  # fmt: skip
    print(f"Python {platform.python_version()}, NumPy {np.__version__}, {platform.machine()}")
    print(f"{'case':44} {'best s':>8} {'median s':>9} {'layouts/s':>12}")
    for name, work in cases.items():
        best, median = timed(work)
        rows = len(exact) if "4,096" in name else len(every) if "8,192" in name else 0
        rate = f"{rows / best:12,.0f}" if rows else ""
        print(f"{name:44} {best:8.3f} {median:9.3f} {rate}")


if __name__ == "__main__":
    main()
