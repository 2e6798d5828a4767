"""What a pipeline schedule costs: how long chips wait, and how much they keep.

With p stages, v virtual stages a chip, F and B seconds of a forward and of a whole backward pass of
a stage, W of the gradients of weights, which nothing waits for:

    1f1b         waits (p - 1)/v · (F + B)              keeps p microbatches   [1, 2]
    zero-bubble  waits (p - 1) · (F + B - 2W)           keeps p                [3], ZB-H1
    dualpipe     waits (p/2 - 1) · (F&B + B - 3W)       keeps p + 1, weights twice   [4]

F&B is a forward and a backward pass in one, whose exchanges among experts and stages hide behind
the other's computation.

[1] Narayanan et al. 2021, arXiv 2104.04473, §2.2. [2] Korthikanti et al. 2022, arXiv 2205.05198,
§4.2.3. [3] Qi et al. 2023, arXiv 2401.10241, §2.1 and Table 2. [4] DeepSeek-V3 report, arXiv
2412.19437, §3.2.1 and Table 2.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from parity.catalogue.machine import Number
from parity.layout.layout import SCHEDULES, Layout


def runs(layout: Layout, schedule: str) -> NDArray[np.bool_]:
    """Which layouts run `schedule`."""
    return np.asarray(layout.schedule == SCHEDULES.index(schedule))


def in_flight(layout: Layout, microbatches: Number, stage: Number = 0) -> Number:
    """Microbatches whose activations stage `stage` keeps at the fullest moment. [1]

    One for each stage behind it and its own; interleaved p + (p - 1 - 2·stage)/v [2; Megatron-LM,
    warm-up of the interleaved schedule]. ZB-H1 lets every stage keep as many as the first one [3];
    under DualPipe a chip has a stage from either end [4].
    """
    interleaved = layout.pp + (layout.pp - 1 - 2 * stage) / layout.interleave
    kept = np.where(layout.interleave > 1, interleaved, layout.pp - stage)
    waiting = layout.pp + runs(layout, "dualpipe").astype(float)
    return np.minimum(microbatches, np.where(layout.schedule > 0, waiting, kept))


def copies(layout: Layout) -> Number:
    """Stages whose weights a chip holds: DualPipe feeds the pipeline from both ends. [1]"""
    return np.where(runs(layout, "dualpipe"), 2.0, 1.0)


def bubble_seconds(layout: Layout, stage_s: Number, backward_s: Number, weight_s: Number) -> Number:
    """How long a chip waits in a step while the pipeline fills and drains. [s]

    stage_s: F + B of the mean stage, with what shows of its communication. backward_s, weight_s:
    of them B and W.
    """
    p = layout.pp
    return np.select(
        [runs(layout, "dualpipe"), runs(layout, "zero-bubble")],
        [
            np.maximum(p / 2 - 1, 0) * np.maximum(stage_s + backward_s - 3 * weight_s, 0.0),
            (p - 1) * np.maximum(stage_s - 2 * weight_s, 0.0),
        ],
        (p - 1) / layout.interleave * stage_s,
    )


def shown_exchange(
    layout: Layout, time_s: Number, compute_s: Number, plain: Number, taken: Number
) -> Number:
    """What a step shows of an exchange among experts. [s]

    time_s: of both passes of a layer. compute_s: of the same passes. plain: share that shows where
    a pass hides its own. taken: from the computation, of what hides. Under DualPipe all of it hides
    behind the passes of the microbatch that comes the other way, as far as they last. [4]
    """
    hidden = np.minimum(time_s, compute_s)
    paired = time_s - hidden + taken * hidden
    return np.where(runs(layout, "dualpipe"), paired, plain * time_s)
