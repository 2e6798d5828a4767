"""Between what a source states and the seconds of a step.

Every metric is a constant over, or times, the step time; the constant holds the batch, the chips,
the FLOPs of a step as the source counts them, and the steps of a run.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from parity.evidence.schema import RATES, UNITS, Convention, Row
from parity.evidence.sources import Evaluation
from parity.workload.count import operators
from parity.workload.flop import BACKWARD, forward_flop
from parity.workload.operator import Architecture, Attention


@dataclass(frozen=True)
class Scale:
    """`value = constant / step_s` for rates, `constant · step_s` for times, in the row's unit."""

    constant: float
    rate: bool

    def value(self, step_s: float) -> float:
        """The metric of a step of `step_s` seconds."""
        return self.constant / step_s if self.rate else self.constant * step_s

    def step_s(self, value: float) -> float:
        """Seconds of the step that gives this value of the metric."""
        return self.constant / value if self.rate else value / self.constant


def scale(
    row: Row,
    arch: Architecture,
    *,
    chips: int,
    batch_tokens: float,
    peak_flop_per_s: float,
    run_tokens: float,
    recompute: str,
    evaluation: Evaluation | None = None,
) -> Scale:
    """How the row's metric follows from the step time.

    batch_tokens: of one step. peak_flop_per_s: of one chip, what an MFU is measured against.
    run_tokens: of the whole run, where a run was timed. evaluation: what it evaluated on the way.
    """
    unit = UNITS[row.metric][row.unit]
    steps = np.ceil(run_tokens / batch_tokens)
    if evaluation:
        steps += evaluation_steps(row, evaluation, run_tokens / row.seq_len, recompute)
    flop = 0.0
    if row.metric in ("tflops_per_chip", "mfu"):
        flop = batch_tokens * flop_per_token(arch, row.seq_len, row.flop_convention, recompute)
    constants = {
        "iteration_time": 1.0,
        "train_time": steps,
        "tokens_per_s_per_chip": batch_tokens / chips,
        "tflops_per_chip": flop / chips,
        "mfu": flop / chips / peak_flop_per_s,
        "chip_hours": steps * chips,
    }
    return Scale(float(constants[row.metric]) / unit, row.metric in RATES)


def evaluation_steps(
    row: Row, evaluation: Evaluation, run_sequences: float, recompute: str
) -> float:
    """Training steps that take as long as all the evaluations of a run.

    An evaluation runs forward only, over whole global batches (the last one is padded). A step is
    a forward and a backward pass of twice its work, of the same work where weights are frozen, and
    a second forward pass where all is recomputed.
    """
    batch = row.global_batch_seqs
    interval = np.ceil(evaluation.every / batch) * batch
    skipped = np.floor(evaluation.skip + evaluation.skip_per_sequence * batch)
    times = max(0.0, np.floor(run_sequences / interval) - skipped)
    backward = 1.0 if row.task == "lora" else BACKWARD
    passes = 1.0 + backward + (recompute == "full")
    return float(times * np.ceil(evaluation.sequences / batch) / passes)


def flop_per_token(
    arch: Architecture, seq_len: int, convention: Convention, recompute: str
) -> float:
    """FLOPs of training one token, as a source that follows `convention` counts them.

    `model` takes attention over the whole square [Narayanan et al. 2021, arXiv 2104.04473, §5.1;
    Chowdhery et al. 2022, arXiv 2204.02311, app. B], `model-causal` half of it, `hardware` adds
    what is recomputed to `model`.
    """
    causal = convention == "model-causal"
    ends = (*arch.embedding, *arch.head)
    total = 0.0
    for times, op in operators(arch):
        if isinstance(op, Attention) and not causal:
            width = op.qk_head_dim + op.v_head_dim
            forward = 2.0 * op.query_heads * width * seq_len
        else:
            forward = float(forward_flop(op, seq_len)) / seq_len
        again = 0.0
        if convention == "hardware" and op not in ends:
            again = recompute == "full" or (recompute == "selective" and isinstance(op, Attention))
        total += times * forward * (1.0 + BACKWARD + again)
    return total
