"""How fast a match is: `python benchmarks/match.py`.

One chip against all of the catalogue, and against one with 4,096 samples, from the shell: wall and
processor seconds, best and median of five runs, the start of Python and all imports included. Then
in one process: the ways of all chips evaluated together and chip by chip, which gives the same.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from parity.catalogue.load import chips
from parity.catalogue.machine import machine
from parity.errors import Infeasible, MissingFact
from parity.search.pools import Pool
from parity.search.precision import choose_precision
from parity.search.replica import ServingJob
from parity.search.serve import Need
from parity.search.serving_plan import ServingQuestion, prepared
from parity.timing.engine import usual_engine
from parity.workload.find import model
from parity.workload.request import Request

RUNS = 5
SHELL = (sys.executable, "-m", "parity", "match", "llama-3.1-70b", "--have", "8xh100")
WORK = ("--isl", "2k", "--osl", "500", "--tpot", "40ms")
COMMANDS = {
    "all chips, 256 samples": (*SHELL, "--want", "all", *WORK),
    "one chip, 256 samples": (*SHELL, "--want", "h20", *WORK),
    "one chip, 4,096 samples": (*SHELL, "--want", "h20", *WORK, "--samples", "4096"),
}


def from_shell(command: tuple[str, ...]) -> tuple[float, float]:
    """(wall, processor) seconds of one run."""
    start, before = time.perf_counter(), os.times()
    subprocess.run(command, check=True, capture_output=True)
    wall, after = time.perf_counter() - start, os.times()
    used = after.children_user + after.children_system
    return wall, used - before.children_user - before.children_system


def best_and_median(run: Callable[[], float]) -> tuple[float, float]:
    """Of `RUNS` runs."""
    seconds = [run() for _ in range(RUNS)]
    return min(seconds), float(np.median(seconds))


def questions() -> list[ServingQuestion]:
    """The match's question of every chip that has its figures."""
    arch, found = model("llama-3.1-70b"), []
    request = Request(input_tokens=2048.0, output_tokens=500.0)
    for chip in chips():
        try:
            precision, _ = choose_precision(arch, chip)
            pool = Pool(machine(chip), ServingJob(request, precision, tpot_s=0.04))
        except (Infeasible, MissingFact):
            continue
        need = Need(requests_per_s=7.0)
        found.append(ServingQuestion(arch, pool, usual_engine(chip), need, full=True))
    return found


def processor(work: Callable[[], object]) -> Callable[[], float]:
    """Processor seconds of `work`."""

    def run() -> float:
        start = time.process_time()
        work()
        return time.process_time() - start

    return run


def main() -> None:
    """Print the tables."""
    print(f"Python {platform.python_version()}, NumPy {np.__version__}, {platform.machine()}")
    print(f"{'from the shell':26} {'wall s':>7} {'median':>7} {'processor s':>12} {'median':>7}")
    for name, command in COMMANDS.items():
        runs = [from_shell(command) for _ in range(RUNS)]
        wall, used = (sorted(column) for column in zip(*runs, strict=True))
        middle = RUNS // 2
        print(f"{name:26} {wall[0]:7.2f} {wall[middle]:7.2f} {used[0]:12.2f} {used[middle]:7.2f}")
    asked = questions()
    together, _ = best_and_median(processor(lambda: prepared(asked)))
    apart, _ = best_and_median(processor(lambda: [prepared([replace(one)]) for one in asked]))
    print(f"\nways of {len(asked)} chips: {together:.2f} s together, {apart:.2f} s one by one")


if __name__ == "__main__":
    main()
