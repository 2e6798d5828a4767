"""From a row of evidence to what Parity can evaluate: model, machine, job, layout.

What a row leaves blank: precision and recomputation come from its source where that says so;
degrees of parallelism that are not named are 1; a microbatch or recomputation that is not stated is
taken as the fastest that fits; a row without any layout is searched.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Generic, TypeVar

from parity.catalogue import load
from parity.catalogue.machine import Draw, Machine, central, machine
from parity.catalogue.schema import Chip
from parity.errors import ParityError, UnknownName
from parity.evidence import metrics, models
from parity.evidence.interconnect import network_bytes_per_s, rewired, slices_of
from parity.evidence.schema import Row
from parity.evidence.sources import (
    evaluation_of,
    precision_of,
    recompute_of,
    tokens_of,
    with_conventions,
)
from parity.workload.adapters import low_rank
from parity.workload.count import parameters
from parity.workload.operator import Architecture
from parity.workload.training import TrainingJob

#: What a row states of precision -> the dtype of matrix products.
PRECISIONS = (
    ("fp4", "fp4"), ("fp8", "fp8"), ("int8", "int8"), ("fp16", "fp16"), ("bf16", "bf16"),
    ("tf32", "tf32"),
)  # fmt: skip


#: Llama 2 70B LoRA of MLPerf Training: rank 16 on queries, keys, values and outputs
#: [mlcommons/training, llama2_70b_lora].
ADAPTER_RANK = 16


@dataclass(frozen=True)
class Target:
    """A chip in the network that a row states."""

    chip: str
    network: float = 0.0
    node: int = 0
    chips: int = 0
    slices: int = 0

    def machine(self, draw: Draw = central) -> Machine:
        """Its numbers, drawn anew."""
        whole = machine(load.chip(self.chip), "", draw)
        return rewired(
            whole, network=self.network, node=self.node, chips=self.chips, slices=self.slices
        )


@dataclass(frozen=True)
class Case:
    """A row with all that is needed to predict it; `row` has its conventions explicit."""

    row: Row
    arch: Architecture
    size: int  # parameters
    kind: str  # dense or moe
    target: Target
    job: TrainingJob
    chips: int
    software: str
    recompute: str  # "" where not stated
    scale: metrics.Scale

    @property
    def measured_s(self) -> float:
        """Seconds of a step that the measurement means."""
        return self.scale.step_s(self.row.value)


R = TypeVar("R")


@dataclass(frozen=True)
class Refused(Generic[R]):
    """A row that is not predicted, and why."""

    row: R
    reason: str
    specified: bool  # whether the row itself says enough
    chip: str = ""


class Refusal(Exception):
    """Why a row is not predicted."""

    def __init__(self, reason: str, *, specified: bool = False) -> None:
        """specified: whether the row itself says enough."""
        self.reason, self.specified = reason, specified
        super().__init__(reason)


def resolve(row: Row) -> Case | Refused[Row]:
    """The case of a row, or why there is none."""
    row = with_conventions(row)
    name = row.chip
    try:
        chip = _chip(row)
        name = chip.id
        return _case(row, chip)
    except Refusal as refusal:
        return Refused(row, refusal.reason, refusal.specified, name)
    except ParityError as error:
        return Refused(row, str(error), True, name)


@cache
def chip_of(label: str) -> Chip:
    """The chip a label means. Raises `UnknownName`."""
    return load.chip(label)


@cache
def tuned(arch: Architecture) -> Architecture:
    """The model of a row that trains adapters: of the rank and beside the products of MLPerf."""
    return low_rank(arch, ADAPTER_RANK, "attention")


def _chip(row: Row) -> Chip:
    try:
        return chip_of(row.chip)
    except UnknownName as error:
        raise Refusal(str(error)) from None


def _case(row: Row, chip: Chip) -> Case:
    try:
        arch = models.architecture(row)
    except models.Unresolved as error:
        raise Refusal(str(error)) from None
    _complete(row)
    if row.task == "lora":
        arch = tuned(arch)
    target = _target(row, chip)
    numbers = _central(target)
    dtype = _dtype(row, chip, numbers)
    batch = row.global_batch_seqs * row.seq_len
    name = models.bundled_name(row.model)
    tokens = tokens_of(row, name)
    if row.metric in ("train_time", "chip_hours") and not tokens:
        raise Refusal("the tokens of the whole run are not stated")
    kind = "moe" if arch.num_experts > 1 else "dense"
    recompute = recompute_of(row, kind)
    job = TrainingJob(
        tokens=tokens or batch, seq_len=row.seq_len, global_batch_tokens=batch, dtype=dtype
    )
    measure = metrics.scale(
        row,
        arch,
        chips=row.chip_count,
        batch_tokens=batch,
        peak_flop_per_s=float(numbers.peak_flop_per_s[dtype]),
        run_tokens=job.tokens,
        recompute=recompute,
        evaluation=evaluation_of(row, name),
    )
    return Case(
        row=row,
        arch=arch,
        size=parameters(arch),
        kind=kind,
        target=target,
        job=job,
        chips=row.chip_count,
        software=row.software,
        recompute=recompute,
        scale=measure,
    )


def _complete(row: Row) -> None:
    named = {
        "chip_count": "the number of chips",
        "seq_len": "the sequence length",
        "global_batch_seqs": "the global batch",
    }
    missing = [words for column, words in named.items() if not getattr(row, column)]
    if missing:
        verb = "are" if len(missing) > 1 else "is"
        raise Refusal(f"{', '.join(missing)} {verb} not stated")


def _target(row: Row, chip: Chip) -> Target:
    node = row.chips_per_node
    torus = slices_of(row.interconnect)
    spans = chip.cluster.startswith("tpu")
    return Target(
        chip=chip.id,
        network=network_bytes_per_s(row.interconnect, node),
        node=node,
        chips=row.chip_count if spans else 0,
        slices=torus,
    )


@cache
def _central(target: Target) -> Machine:
    return target.machine()


def _dtype(row: Row, chip: Chip, numbers: Machine) -> str:
    stated = precision_of(row, chip.id)
    low = stated.lower()
    dtype = next((name for text, name in PRECISIONS if text in low), "")
    if stated and not dtype:
        raise Refusal(f"precision {stated!r} is not known")
    half = "bf16" if "bf16" in numbers.peak_flop_per_s else "fp16"
    dtype = dtype or half
    if dtype not in numbers.peak_flop_per_s and not row.precision:
        dtype = half  # what its source uses elsewhere, this chip lacks
    if dtype not in numbers.peak_flop_per_s:
        raise Refusal(f"{chip.id} has no published peak for {dtype}", specified=True)
    return dtype
