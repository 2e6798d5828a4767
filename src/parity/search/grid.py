"""The space of layouts, as columns.

Axes are crossed one after another and illegal rows dropped after each, so that no row is made
that a rule would refuse.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from parity.catalogue.machine import Machine
from parity.layout.layout import RECOMPUTE, Column, Layout
from parity.layout.legal import illegal
from parity.timing.software import Software
from parity.workload.operator import Architecture
from parity.workload.training import TrainingJob

#: No published layout divides one matrix product over more chips.
WIDEST_TP = 64
LARGEST_MICROBATCH = 16
MOST_VIRTUAL_STAGES = 12


def divisors(n: int, most: int) -> list[int]:
    """All divisors of `n` up to `most`."""
    return [d for d in range(1, min(n, most) + 1) if n % d == 0]


def powers_of_two(most: float) -> list[int]:
    """1, 2, 4, ... up to `most`."""
    return [2**i for i in range(max(1, int(most)).bit_length())]


def replicas(global_batch: int) -> list[int]:
    """Data-parallel sizes that lower the number of microbatches: ⌈B/m⌉ for each m."""
    m = np.arange(1, global_batch + 1)
    return [int(d) for d in np.unique(-(-global_batch // m))]


def axes(
    arch: Architecture, job: TrainingJob, machine: Machine, software: Software
) -> dict[str, list[int]]:
    """The values each axis takes for this model, job and machine, `dp` left out."""
    heads = max(arch.num_attention_heads, 1)
    widest = min(WIDEST_TP, machine.closest)
    layers = arch.num_hidden_layers
    recompute = ["none", "full"] if software.fused_attention else list(RECOMPUTE)
    return {
        "tp": divisors(heads, widest),
        "cp": powers_of_two(job.seq_len // 4096),
        "pp": [p for p in range(1, min(layers, 128) + 1) if layers % p == 0 or _even(layers, p)],
        "ep": [e for e in divisors(arch.num_experts, 512) if _smooth(e)]
        if arch.num_experts
        else [1],
        "microbatch": powers_of_two(min(LARGEST_MICROBATCH, job.global_batch_sequences)),
        "interleave": list(range(1, MOST_VIRTUAL_STAGES + 1)),
        "zero": [0, 1, 3],
        "recompute": [RECOMPUTE.index(r) for r in recompute],
    }


def _even(layers: int, stages: int) -> bool:
    """Whether uneven stages waste less than a tenth of the pipeline."""
    return -(-layers // stages) * stages <= 1.1 * layers


def _smooth(n: int) -> bool:
    """Whether `n` has no prime factor above 3: what clusters are built in."""
    for p in (2, 3):
        while n % p == 0:
            n //= p
    return n == 1


def cross(columns: dict[str, Column], name: str, values: Sequence[int]) -> dict[str, Column]:
    """Every row of `columns` with every one of `values`."""
    rows = len(next(iter(columns.values()))) if columns else 1
    repeated = {k: np.repeat(v, len(values)) for k, v in columns.items()}
    return {**repeated, name: np.tile(np.asarray(values, dtype=np.int64), rows)}


def keep(columns: dict[str, Column], mask: NDArray[np.bool_]) -> dict[str, Column]:
    """The rows where `mask` holds."""
    return {k: v[mask] for k, v in columns.items()}


def layouts(
    arch: Architecture,
    job: TrainingJob,
    machine: Machine,
    software: Software,
    *,
    chips: int | None = None,
    least: float = 1,
    most: float = np.inf,
    dp: Sequence[int] | None = None,
) -> Layout:
    """Every legal layout of exactly `chips` chips, or of `least` to `most` with `dp` replicas.

    Memory is not judged here. Within a node or less, counts are as asked; above, whole nodes.
    """
    a = axes(arch, job, machine, software)
    cols: dict[str, Column] = {}
    for name in ("tp", "cp", "pp"):
        cols = cross(cols, name, a[name])
    inner = cols["tp"] * cols["cp"] * cols["pp"]
    if chips is not None:
        cols = keep(cols, (inner <= chips) & (chips % np.minimum(inner, chips + 1) == 0))
        cols["dp"] = chips // (cols["tp"] * cols["cp"] * cols["pp"])
    else:
        cols = cross(
            cols,
            "dp",
            dp
            if dp is not None
            else divisors(job.global_batch_sequences, job.global_batch_sequences),
        )
        count = cols["tp"] * cols["cp"] * cols["pp"] * cols["dp"]
        cols = keep(cols, (count >= least) & (count <= most))
    cols = keep(cols, cols["dp"] <= job.global_batch_sequences)
    cols = cross(cols, "microbatch", a["microbatch"])
    cols = keep(cols, cols["dp"] * cols["microbatch"] <= job.global_batch_sequences)
    if len(a["ep"]) > 1:
        cols = cross(cols, "ep", a["ep"])
        cols = keep(cols, cols["tp"] * cols["cp"] * cols["dp"] % cols["ep"] == 0)
    else:
        cols["ep"] = np.ones_like(cols["dp"])
    cols = cross(cols, "interleave", a["interleave"])
    layers = arch.num_hidden_layers
    whole = layers % (cols["pp"] * cols["interleave"]) == 0
    cols = keep(cols, (cols["interleave"] == 1) | ((cols["pp"] > 1) & whole))
    cols = cross(cols, "zero", a["zero"])
    shared = cols["dp"] * cols["cp"] > 1
    cols = keep(cols, np.where(shared, cols["zero"] > 0, cols["zero"] == 0))
    cols = keep(cols, (cols["zero"] < 3) | (cols["pp"] == 1))
    cols = cross(cols, "recompute", a["recompute"])
    layout = Layout(**cols, sequence_parallel=np.ones_like(cols["tp"]))
    return layout.take(illegal(arch, layout, job.seq_len, job.global_batch_sequences) == 0)
