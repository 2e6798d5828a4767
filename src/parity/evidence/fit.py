"""Fits the coefficients that only whole steps can show, to published training steps.

What is fitted: `sustained` of each chip family and width of operand, and the figures of each
generation of software in `GROUPS`. Everything else comes from kernels measured alone or from
specifications.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from parity.catalogue.machine import Draw
from parity.evidence.fitting import Fitted, Group, Steps, fitted, linear
from parity.evidence.layouts import Placed
from parity.evidence.predict import prepare, step_times
from parity.evidence.schema import Row
from parity.timing.efficiency import book

#: Generations that start every kernel from Python, one by one.
EAGER = (".2023.",)
GROUPS = (
    Group(".sustained.16", 0.75, 0.15, 0.12, 1.0),
    Group(".sustained.8", 0.80, 0.15, 0.12, 1.0),
    Group(".sustained.4", 0.80, 0.15, 0.12, 1.0),
    Group(".attention_sustained", 0.80, 0.10, 0.12, 1.0),
    Group(".kernel_share", 1.00, 0.03, 0.08, 1.2),
    # Eager PyTorch needed 39 ms for a token of Llama 7B, 32 layers of 48 kernels: 25 us a kernel
    # [PyTorch blog, "GPT, Fast", 2023]. A layer has 14 operators and exchanges, so 87 us for each;
    # Megatron's fused layer is 20 kernels for 16 of them, 32 us. The geometric mean of the two.
    Group(".issue_s", 53e-6, 0.40, 0.30, 200e-6, EAGER),
    Group(".issue_s", 30e-6, 0.50, 0.50, 200e-6),
    Group(".traffic", 2.0, 0.20, 0.25, 4.0),
    Group(".routed", 1.3, 0.20, 0.25, 4.0),
    Group(".routing_s", 0.7e-3, 0.50, 0.30, 10e-3),
    Group("power_exponent", 0.5, 0.20, 0.20, 1.5),
)
#: Not fitted: what the others are measured against, and what comes from elsewhere.
STATED = ("software.current.kernel_share", "software.current.issue_s")
#: Never fitted to: what the tests hold the model against.
HELD_OUT = ("korthikanti",)


def fit(rows: Sequence[Row], leave_out: str = "") -> Draw:
    """A draw that gives each fitted figure its value without the source `leave_out`.

    Figures of a kind that no row drew (a family that nobody trained on) take the mean of the kind;
    those of single chips and of `STATED` stay.
    """
    kept = (*book().chips, *STATED)
    return training_fit(rows, leave_out).draw(lambda key: key in kept or key.split(".")[0] in kept)


def training_fit(rows: Sequence[Row], leave_out: str = "") -> Fitted:
    """Every figure that training steps are fitted to, without the source `leave_out`."""
    return fitted(steps_of(tuple(rows)), (*HELD_OUT, leave_out))


@lru_cache(maxsize=2)
def placed(rows: tuple[Row, ...]) -> tuple[Placed, ...]:
    """Rows that can be predicted, each with its layout."""
    return tuple(one for one in prepare(rows) if isinstance(one, Placed))


@lru_cache(maxsize=2)
def steps_of(rows: tuple[Row, ...]) -> Steps:
    """Every predicted case with its slopes at the stated figures."""
    cases = placed(rows)
    return linear(
        lambda draw: step_times(cases, draw),
        np.array([one.case.measured_s for one in cases]),
        [one.case.row.set for one in cases],
        GROUPS,
        STATED,
    )
