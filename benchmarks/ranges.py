"""How fast ranges are drawn: `python benchmarks/ranges.py`.

A match of five chips against one, with 256 samples of what is uncertain and with 4,096: the whole
question, and what its ranges take of it (P10, P50, P90, what they come from, and what is left with
the first source known); the rest is the search. Best and median of five runs of one process.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from contextlib import ExitStack
from unittest import mock

import numpy as np

import parity
from parity.outputs.envelope import Answer
from parity.search import match, match_serving
from parity.search.uncertainty import effects_of

RUNS, WANTED = 5, "h20,a100,910b,ppu,mi300x"
SAMPLES = (256, 4096)
#: What draws, none of it inside another: of training, and of serving.
DRAWN = ((match, "spread"), (match, "once"), (match_serving, "ranges"))


def training(samples: int) -> Answer:
    """The match that the README begins with."""
    return parity.match(
        "llama-3.1-70b", have="1024xh100", want=WANTED, train=True, tokens="15T", seq="8k",
        gbs="16M", samples=samples,
    )  # fmt: skip


def saturated(samples: int) -> Answer:
    """The same chips in serving, whatever a token takes."""
    return parity.match("llama-3.1-70b", have="8xh100", want=WANTED, samples=samples)


def within(samples: int) -> Answer:
    """And with a limit on a token."""
    return parity.match("llama-3.1-70b", have="8xh100", want=WANTED, tpot="50ms", samples=samples)


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Best and median seconds of `RUNS` runs."""
    seconds = []
    for _ in range(RUNS):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds), float(np.median(seconds))


def ranges_in(work: Callable[[int], Answer], samples: int) -> Callable[[], float]:
    """Seconds that the ranges take inside of `work`."""
    spent = [0.0]

    def clocked(of: Callable[..., object]) -> Callable[..., object]:
        def call(*given: object, **named: object) -> object:
            start = time.perf_counter()
            found = of(*given, **named)
            spent[0] += time.perf_counter() - start
            return found

        return call

    def run() -> float:
        spent[0] = 0.0
        with ExitStack() as patched:
            for module, name in DRAWN:
                own = clocked(getattr(module, name))
                patched.enter_context(mock.patch.object(module, name, own))
            work(samples)
        return spent[0]

    return run


def main() -> None:
    print(f"Python {platform.python_version()}, NumPy {np.__version__}, {platform.machine()}")
    print(
        f"{'match of 5 chips':28} {'samples':>8} {'best s':>7} {'median s':>9} "
        f"{'of it ranges':>13} {'share':>7}"
    )
    cases = {
        "training": training, "serving, saturated": saturated, "serving within 50 ms": within,
    }  # fmt: skip
    for name, work in cases.items():
        for samples in SAMPLES:
            work(samples)
            best, median = timed(lambda work=work, samples=samples: work(samples))
            drawn = ranges_in(work, samples)
            ranges = min(drawn() for _ in range(RUNS))
            print(
                f"{name:28} {samples:8,} {best:7.3f} {median:9.3f} "
                f"{ranges:13.3f} {ranges / best:7.0%}"
            )
    columns = np.random.default_rng(0).random((SAMPLES[-1], 60))
    values, orders = columns.sum(axis=1), np.argsort(columns, axis=0)
    best, median = timed(lambda: effects_of(values, orders))
    print(f"{'indices of 60 figures':28} {SAMPLES[-1]:8,} {best:7.3f} {median:9.3f}")


if __name__ == "__main__":
    main()
