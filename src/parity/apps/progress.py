"""A line that shows how far a long search is, where somebody watches."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TextIO

#: Shorter work needs no bar.
PATIENCE_S = 1.0
WIDTH = 30


def progress_bar(
    stream: TextIO | None = None,
    clock: Callable[[], float] = time.monotonic,
    what: str = "layouts",
) -> Callable[[int, int], None] | None:
    """A function of (so many of `what` done, of how many) that draws a bar on `stream`, stderr
    unless given, once the work has taken a second; None where that is no terminal.
    """
    out = stream or sys.stderr
    if not out.isatty():
        return None
    start, drawn = clock(), False

    def report(done: int, count: int) -> None:
        nonlocal drawn
        if done >= count:
            if drawn:
                out.write("\r\x1b[K")
                out.flush()
            return
        if clock() - start > PATIENCE_S:
            full = WIDTH * done // count
            bar = "█" * full + "░" * (WIDTH - full)
            out.write(f"\r{bar} {100 * done // count:3d} % of {count:,} {what}")
            out.flush()
            drawn = True

    return report
