"""One thing another than in a question of serving, and by how much it can better a way to serve."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from parity.catalogue.machine import Machine, Number
from parity.evaluate.serving import Steady
from parity.evaluate.step import Step
from parity.search.replica import ServingJob
from parity.search.why_figures import LAUNCHES
from parity.timing.engine import Engine


@dataclass(frozen=True)
class Change:
    """One thing another than in the question."""

    target: Machine | None = None
    prompts: Machine | None = None  # of the other chips that take prompts
    engine: Engine | None = None
    job: ServingJob | None = None  # as asked, prompts included
    gain: float = 1.0  # by which a figure is better, and so at most ways that use it
    part: str = ""  # of a step that it shortens, as in `PARTS`; empty: any
    timeless: bool = False  # whether it changes what fits or what is asked, and no time


#: Parts of a step that a figure shortens, with the figures that do.
PARTS: dict[str, Callable[[Step], Number]] = {
    "compute": lambda step: step.cost.compute_s,
    "memory": lambda step: step.cost.memory_s,
    "link": lambda step: step.communication_s,
    "launch": lambda step: step.cost.launch_s,
    "host": lambda step: step.total_s - step.chip_s,
}


def part_of(key: str) -> str:
    """The part of a step that a figure shortens: `memory` for `memory.bandwidth`."""
    if key.startswith(("compute.", "physical.")):
        return "compute"
    if key == "memory.bandwidth":
        return "memory"
    return "launch" if key == LAUNCHES else "link"


def most_gain(steady: Steady, change: Change) -> Number:
    """By how much a change can better each way: of a step T, P of which it shortens by f at most,
    T / (T - P·(1 - 1/f)), of the kind of step that gains most. [1]
    """
    if not change.part or change.gain <= 1.0:
        return change.gain
    gains = []
    for one in (steady.decode, steady.prompt):
        saved = np.maximum(PARTS[change.part](one), 0.0) * (1 - 1 / change.gain)
        gains.append(one.total_s / np.maximum(one.total_s - saved, one.total_s / change.gain))
    return np.maximum(*gains)
