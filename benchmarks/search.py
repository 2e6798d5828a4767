"""How fast layouts are searched: `python benchmarks/search.py`.

GPT-3 175B on 4,096 chips, every layout there is, the case of Calculon's published search; layouts
of all counts up to 8,192; and the main match of the README. Best and median of five runs, of one
process on one core, with the layouts made anew in each.

A peer runs beside it where there is one: `CALCULON=/path/to/calculon` names a clone of
calculon-ai/calculon (the package of that name on PyPI is another one).
"""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import parity
from parity.catalogue.load import chip
from parity.catalogue.machine import machine
from parity.layout.layout import describe
from parity.search.candidates import Candidates, evaluate
from parity.search.grid import Space, layouts
from parity.timing.software import software
from parity.workload.find import model
from parity.workload.training import TrainingJob

RUNS = 5
CHIPS, BATCH, SEQ_LEN = 4096, 4096, 2048
ARCH, ERA = model("gpt3-175b"), software()
JOB = TrainingJob(tokens=3e11, seq_len=SEQ_LEN, global_batch_tokens=BATCH * SEQ_LEN)


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Best and median seconds of `RUNS` runs."""
    seconds = []
    for _ in range(RUNS):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds), float(np.median(seconds))


def search(name: str, space: Space, chips: int | None, most: float = np.inf) -> Candidates:
    """All layouts of `chips` chips, or of up to `most`."""
    target = machine(chip(name))
    blocks = layouts(ARCH, JOB, target, ERA, chips=chips, most=most, space=space)
    return evaluate(ARCH, JOB, blocks, target, ERA)


def readme_match() -> object:
    """The match that the README begins with."""
    return parity.match(
        "llama-3.1-70b", have="1024xh100", want="h20,a100,910b,ppu,mi300x", train=True,
        tokens="15T", seq="8k", gbs="16M",
    )  # fmt: skip


def calculon(clone: Path) -> tuple[int, float]:
    """Configurations that Calculon evaluates of the same question, and its seconds for them."""
    sys.path.insert(0, str(clone))
    from calculon.llm import Llm
    from calculon.llm.optimal_execution import OptimalExecution
    from calculon.system import System

    app = Llm.Application(json.loads((clone / "models/gpt3-175B.json").read_text()))
    system = System(json.loads((clone / "systems/a100_80g.json").read_text()))
    tp, pp = 8, 4
    start = time.perf_counter()
    _, count, *_ = OptimalExecution.search(
        False, 1, False, CHIPS, BATCH, "float16", app, system, tp, pp, CHIPS // (tp * pp), 6,
        BATCH, "none", True, "rs_ag", False,
    )  # fmt: skip
    return count, time.perf_counter() - start


def main() -> None:
    whole, usual = Space(exhaustive=True), Space()
    cases: dict[str, Callable[[], Candidates]] = {
        "every layout of 4,096 A100": lambda: search("a100-sxm-80", whole, CHIPS),
        "every layout of 4,096 H100": lambda: search("h100", whole, CHIPS),
        "usual layouts of 4,096 A100": lambda: search("a100-sxm-80", usual, CHIPS),
        "usual layouts of 1 to 8,192 A100": lambda: search("a100-sxm-80", usual, None, 8192),
    }
    print(f"Python {platform.python_version()}, NumPy {np.__version__}, {platform.machine()}")
    print(f"{'case':34} {'layouts':>9} {'best s':>7} {'median s':>9} {'layouts/s':>11}")
    for name, work in cases.items():
        found = work()
        best, median = timed(work)
        print(f"{name:34} {found.tried:9,} {best:7.3f} {median:9.3f} {found.tried / best:11,.0f}")
        i = int(np.argmin(found.time_s))
        print(f"    {found.time_s[i]:.2f} s: {describe(found.layout, i)}")
    best, median = timed(readme_match)
    print(f"{'match of the README, 5 chips':34} {'':9} {best:7.3f} {median:9.3f}")
    if "CALCULON" in os.environ:
        count, seconds = calculon(Path(os.environ["CALCULON"]))
        print(f"{'Calculon, part of its A100 space':34} {count:9,} {seconds:7.3f}", end="")
        print(f" {'':9} {count / seconds:11,.0f}")
    else:
        print("Calculon is not installed: no peer was run")


if __name__ == "__main__":
    main()
