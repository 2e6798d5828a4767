"""Fits what an engine costs besides its kernels to published serving measurements.

What is fitted: the figures of each generation in `GROUPS`. Kernels measured alone, links and what
training steps show of the chips stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from parity.catalogue.machine import Draw, central
from parity.evidence.fitting import Array, Fitted, Group, Steps, fitted, linear
from parity.evidence.serving_predict import Ran, gated, metric_of, outcomes_of, run_all
from parity.evidence.serving_resolve import ServingCase
from parity.evidence.serving_schema import ServingRow
from parity.evidence.serving_setup import Models

GROUPS = (
    Group(".served.16", 0.95, 0.08, 0.10, 1.3),
    Group(".served.8", 0.95, 0.08, 0.10, 1.3),
    Group(".served.4", 0.95, 0.08, 0.10, 1.3),
    Group(".bandwidth_share", 0.95, 0.05, 0.12, 1.15),
    Group(".launch_share", 0.6, 0.15, 0.25, 3.0),
    Group(".routed", 1.2, 0.10, 0.35, 4.0),
    # Engines of 2024 spent 5 to 40 ms of host time on a step, those of 2025 1 to 5 [vLLM blog,
    # v0.6.0 performance update; vLLM V1, 2025-01].
    Group(".step_s", 2.5e-3, 0.40, 0.60, 60e-3),
    Group(".sequence_s", 8e-6, 0.40, 0.50, 400e-6),
)
#: Not fitted: the best kernels of routed experts that were measured are those of TensorRT-LLM, and
#: what its host takes in version 1 is hidden in nearly every row.
STATED = ("engine.trtllm.routed", "engine.trtllm-1.step_s", "engine.trtllm-1.sequence_s")


def fit_engines(rows: Sequence[ServingRow], leave_out: str = "") -> Draw:
    """A draw that gives each fitted figure its value without the source `leave_out`.

    Figures of a kind that no row drew take the mean of the kind; those of `STATED` stay.
    """
    return serving_fit(rows, leave_out).draw(lambda key: key in STATED)


def serving_fit(rows: Sequence[ServingRow], leave_out: str = "") -> Fitted:
    """Every figure that serving is fitted to, without the source `leave_out`."""
    return fitted(runs_of(tuple(rows)), (leave_out,))


@lru_cache(maxsize=2)
def runs_of(rows: tuple[ServingRow, ...]) -> Steps:
    """Every predicted row with its slopes at the stated figures."""
    runs = ran(rows)
    return linear(
        lambda draw: times(runs, draw),
        np.array([one.case.row.value for one in runs]),
        [one.case.row.set for one in runs],
        GROUPS,
        STATED,
    )


@lru_cache(maxsize=2)
def ran(rows: tuple[ServingRow, ...]) -> tuple[Ran, ...]:
    """Rows that can be predicted, each with layout and load as they are at the stated figures."""
    plain = Models.under(central)
    cases = [one for row in rows if isinstance(one := gated(row, plain), ServingCase)]
    return tuple(one for one in run_all(cases, plain) if isinstance(one, Ran))


def times(runs: Sequence[Ran], draw: Draw) -> Array:
    """The time that each row measures: its own figure, or for a rate as much as makes the ratio
    of predicted to measured that of times. Shape (cases,), or (samples, cases).
    """
    columns = []
    for one, outcome in zip(runs, outcomes_of(runs, Models.under(draw)), strict=True):
        found = np.asarray(metric_of(one, outcome), dtype=float)
        columns.append(found if one.case.measure.time else one.case.row.value**2 / found)
    return np.moveaxis(np.array(np.broadcast_arrays(*columns)), 0, -1)
