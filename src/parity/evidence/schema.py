"""One row of evidence: what was run, on what, and what was measured.

The columns are the public format: anybody's CSV with these names is read. Only `model`, `chip`,
`metric` and `value` must be there; what a row leaves blank is filled as `resolve` says, or the row
is skipped with the reason.
"""

from __future__ import annotations

from typing import Literal

from parity.evidence.table import Number, Words
from parity.record import Record

Metric = Literal[
    "iteration_time", "tokens_per_s_per_chip", "tflops_per_chip", "mfu", "train_time", "chip_hours"
]
#: Which operations a stated FLOP rate or MFU counts: those of the model, attention over the whole
#: square; the same with the causal half; or all that ran, recomputation included.
Convention = Literal["", "model", "model-causal", "hardware"]


#: An `interleave` of `>1`: interleaved, but not how often.
SOME = -1


class Row(Record, frozen=True, kw_only=True):
    """One training measurement, as its source gives it; 0 and "" where the source is silent."""

    id: str
    set: str = ""  # the group its source belongs to
    model: str
    params_b: float = 0.0
    layers: int = 0
    hidden: int = 0
    heads: int = 0
    kv_heads: int = 0
    ffn: int = 0  # width of a dense layer's network
    expert_ffn: int = 0  # width of one expert
    vocab: int = 0
    moe_experts: int = 0
    moe_topk: int = 0
    seq_len: int = 0
    chip: str
    chip_count: int = 0
    chips_per_node: int = 0
    interconnect: str = ""
    global_batch_seqs: int = 0
    microbatch: int = 0
    tp: int = 0
    pp: int = 0
    interleave: int = 0  # `SOME` where it is interleaved and no more is said
    cp: int = 0
    ep: int = 0
    dp: int = 0
    zero_or_fsdp: str = ""
    seq_parallel: str = ""
    recompute: str = ""
    precision: str = ""
    metric: Metric
    value: float
    unit: str = ""
    source: str = ""
    where: str = ""
    provenance: str = ""
    notes: str = ""
    flop_convention: Convention = ""
    time_kind: Literal["", "step", "train"] = ""
    task: Literal["", "pretrain", "sft", "lora"] = ""
    tokens: float = 0.0  # of the whole run, where a run was timed
    ranks_per_chip: int = 1  # what the degrees of parallelism count, for one chip
    software: str = ""  # generation of the training software
    peak_memory_gib: float = 0.0


class KernelRow(Record, frozen=True, kw_only=True):
    """One kernel or collective, measured alone."""

    id: str
    chip: str
    kernel: str
    kind: str = ""  # gemm, attention_prefill, attention_decode, all_reduce, ...
    shape: str = ""  # `m=1 n=4096 k=4096`
    dtype: str = ""
    metric: str
    value: float
    unit: str
    source: str = ""
    where: str = ""
    provenance: str = ""
    notes: str = ""


_DEGREE = Number(1, 1_000_000)
_WIDTH = Number(1, 10_000_000)

#: Column -> what it may hold. `ffn` holds `2048 (expert); 18432 (dense)` as well as a number,
#: `interleave` also `>1`.
COLUMNS: dict[str, Number | Words] = {
    "id": Words(80),
    "set": Words(80),
    "model": Words(200),
    "params_b": Number(1e-6, 1e6, whole=False),
    "layers": Number(1, 10_000),
    "hidden": _WIDTH,
    "heads": _WIDTH,
    "kv_heads": _WIDTH,
    "ffn": Words(80),
    "vocab": Number(1, 100_000_000),
    "moe_experts": Number(1, 100_000),
    "moe_topk": Number(1, 100_000),
    "seq_len": Number(1, 1e9),
    "chip": Words(200),
    "chip_count": Number(1, 10_000_000),
    "chips_per_node": Number(1, 100_000),
    "interconnect": Words(),
    "global_batch_seqs": Number(1, 1e9),
    "microbatch": Number(1, 1e6),
    **dict.fromkeys(("tp", "pp", "interleave", "cp", "ep", "dp"), _DEGREE),
    "zero_or_fsdp": Words(80, within=("none", "ddp", "distributed", "zero", "fsdp", "shard")),
    "seq_parallel": Words(20, ("yes", "no")),
    "recompute": Words(20, ("none", "selective", "full")),
    "precision": Words(80),
    "metric": Words(
        40,
        (
            "iteration_time",
            "tokens_per_s_per_chip",
            "tflops_per_chip",
            "mfu",
            "train_time",
            "chip_hours",
        ),
    ),
    "value": Number(0, 1e15, whole=False),
    "unit": Words(20),
    "source": Words(),
    "where": Words(),
    "provenance": Words(40),
    "notes": Words(4000),
    "flop_convention": Words(20, ("model", "model-causal", "hardware")),
    "time_kind": Words(20, ("step", "train")),
    "task": Words(20, ("pretrain", "sft", "lora")),
    "tokens": Number(1, 1e18, whole=False),
    "ranks_per_chip": Number(1, 64),
    "software": Words(40),
    "peak_memory_gib": Number(0, 1e6, whole=False),
}
REQUIRED = ("model", "chip", "metric", "value")

#: Metric -> the units it may be given in, the first being assumed where none is, and the size of
#: each in seconds, tokens/s, FLOP/s, a fraction or chip-seconds.
UNITS: dict[str, dict[str, float]] = {
    "iteration_time": {"s": 1.0, "ms": 1e-3, "min": 60.0},
    "train_time": {"min": 60.0, "s": 1.0, "h": 3600.0, "days": 86400.0},
    "tokens_per_s_per_chip": {"tokens/s": 1.0},
    "tflops_per_chip": {"TFLOP/s": 1e12},
    "mfu": {"percent": 0.01, "%": 0.01, "fraction": 1.0},
    "chip_hours": {"chip-hours": 3600.0},
}
#: Metrics that rise when the step gets faster.
RATES = ("tokens_per_s_per_chip", "tflops_per_chip", "mfu")


class Prediction(Record, frozen=True, kw_only=True):
    """What became of one row. Measured and predicted are in the row's own unit.

    error is of time: predicted over measured, less one; below zero Parity is too fast.
    """

    id: str
    set: str
    task: Literal["training", "serving"] = "training"
    status: Literal["predicted", "skipped", "excluded"]
    reason: str = ""
    specified: bool = True  # whether the source says enough to predict it
    metric: str
    unit: str
    measured: float
    predicted: float | None = None
    low: float | None = None
    high: float | None = None
    error: float | None = None
    measured_step_s: float | None = None  # the step that each of them means
    predicted_step_s: float | None = None
    model: str
    chip: str  # id in the catalogue, else the label
    chips: int
    size: float = 0.0  # parameters
    kind: str = ""  # dense or moe
    layout: str = ""  # stated, completed or searched
    plan: str = ""  # the layout in words
    engine: str = ""  # that served
    mode: str = ""  # of serving: prefill or decode alone, else how requests came
    memory_gib: float | None = None
    measured_memory_gib: float | None = None
    fits: bool | None = None  # whether Parity's memory model lets the row run
