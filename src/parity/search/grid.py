"""The space of layouts, as columns.

Axes are crossed one after another and rows dropped after each, so that no row is made that a rule
would refuse, and none twice.

What the usual search leaves out, because it hardly ever helps:

- a sequence that is not divided by tp: it keeps more and sends as much;
- ZeRO 0 where weights are shared, which keeps more and sends as much as 1; ZeRO 2, which sends
  gradients at every microbatch where there is no pipeline; ZeRO 3 with pipeline stages, which
  gathers weights at each;
- selective recomputation where attention is fused: there are no scores to do again;
- expert tensor parallelism other than 1 and tp; expert parallelism with prime factors above 3;
- stages that leave more than a tenth of the pipeline empty; microbatches that are no power of two;
- offloading: it is tried where nothing fits without.

`Space(exhaustive=True)` tries all of these too, and `fixed` pins any axis to any legal value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from parity.catalogue.machine import Machine, Number
from parity.layout.layout import (
    CP_METHODS,
    OFFLOADS,
    RECOMPUTE,
    SCHEDULES,
    Column,
    Layout,
    concatenate,
    single,
)
from parity.layout.layout import columns as as_columns
from parity.layout.legal import ENDS, LEAST_CP_TOKENS, REASONS, illegal, missing_layers
from parity.timing.software import Software
from parity.workload.operator import Architecture
from parity.workload.training import TrainingJob

#: No published layout divides one matrix product over more chips.
WIDEST_TP = 64
LARGEST_MICROBATCH = 16
MOST_VIRTUAL_STAGES = 12
MOST_STAGES = 128
#: Context parallelism below so many tokens a chip is not usual.
USUAL_CP_TOKENS = 4096

#: Axes that change neither how a layer is divided nor whether a layout is legal.
INNER = ("recompute", "zero", "offload")

Columns = dict[str, Column]
#: Called with how many layouts are done, of how many.
Report: TypeAlias = Callable[[int, int], None]


@dataclass(frozen=True)
class Space:
    """Which layouts are tried: axes with one value, and whether the rest take every value.

    offload: also try what offloading does. report: called with how many layouts are evaluated, of
    how many, while they are.
    """

    fixed: Mapping[str, int] = field(default_factory=dict)
    exhaustive: bool = False
    offload: bool = False
    report: Report | None = None


USUAL = Space()


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
    arch: Architecture,
    job: TrainingJob,
    machine: Machine,
    software: Software,
    space: Space = USUAL,
) -> dict[str, list[int]]:
    """The values each axis takes for this model, job and machine, `dp` left out."""
    every = space.exhaustive
    batch, layers = job.global_batch_sequences, arch.num_hidden_layers
    widest = min(WIDEST_TP, machine.closest)
    tp = divisors(max(arch.num_attention_heads, 1), widest)
    stages = range(1, min(layers, MOST_STAGES) + 1)
    virtual = range(1, (layers if every else min(layers, MOST_VIRTUAL_STAGES)) + 1)
    experts = divisors(arch.num_experts, 512) if arch.num_experts else [1]
    recompute = [0, 2] if software.fused_attention else list(range(len(RECOMPUTE)))
    values = {
        "tp": tp,
        "cp": powers_of_two(job.seq_len // (LEAST_CP_TOKENS if every else USUAL_CP_TOKENS)),
        "pp": [p for p in stages if every or _even(layers, p)],
        "microbatch": divisors(batch, LARGEST_MICROBATCH)
        if every
        else powers_of_two(min(LARGEST_MICROBATCH, batch)),
        "ep": [e for e in experts if every or _smooth(e)],
        "etp": tp,
        "interleave": [v for v in virtual if missing_layers(layers, v) <= ENDS],
        "schedule": [SCHEDULES.index(s) for s in software.schedules],
        "zero": [0, 1, 2, 3] if every else [0, 1, 3],
        "recompute": list(range(len(RECOMPUTE))) if every else recompute,
        "cp_method": list(range(len(CP_METHODS))),
        "offload": list(range(len(OFFLOADS))) if every or space.offload else [0],
        "sequence_parallel": [1, 0] if every else [1],
    }
    return {
        name: [space.fixed[name]] if name in space.fixed else tried
        for name, tried in values.items()
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


def cross(columns: Columns, name: str, values: Sequence[int]) -> Columns:
    """Every row of `columns` with every one of `values`."""
    rows = len(next(iter(columns.values()))) if columns else 1
    repeated = {k: np.repeat(v, len(values)) for k, v in columns.items()}
    return {**repeated, name: np.tile(np.asarray(values, dtype=np.int64), rows)}


def keep(columns: Columns, mask: NDArray[np.bool_]) -> Columns:
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
    space: Space = USUAL,
) -> list[Layout]:
    """Every legal layout of exactly `chips` chips, or of `least` to `most` with `dp` replicas.

    In blocks of divisions, each with all values of the axes of `INNER` along dimensions of their
    own. Memory is not judged here. Within a node or less, counts are as asked; above, whole nodes.
    """
    values = axes(arch, job, machine, software, space)
    within = (least, most)
    divisions = _divisions(arch, job, values, space, chips=chips, within=within, dp=dp)
    legal = illegal(arch, divisions, job.seq_len, job.global_batch_sequences) == 0
    return _blocks(divisions.take(legal), values, machine, space)


def refusal(
    arch: Architecture,
    job: TrainingJob,
    machine: Machine,
    software: Software,
    chips: int,
    space: Space,
) -> str:
    """The rule that stands in the way of the axes that `space` fixes, in words."""
    values = axes(arch, job, machine, software, space)
    divisions = _divisions(arch, job, values, space, chips=chips)
    host = machine.host_bytes_per_s is not None
    divisions = divisions.replace(offload=np.full_like(divisions.tp, values["offload"][0]))
    codes = illegal(arch, divisions, job.seq_len, job.global_batch_sequences, host)
    counts = np.bincount(codes[codes > 0], minlength=1)
    if counts.any():
        return REASONS[int(np.argmax(counts))]
    return "they do not divide the chips, the layers and the batch"


def _divisions(
    arch: Architecture,
    job: TrainingJob,
    values: Mapping[str, list[int]],
    space: Space,
    *,
    chips: int | None = None,
    within: tuple[float, float] = (1, np.inf),
    dp: Sequence[int] | None = None,
) -> Layout:
    """All values of the axes that are not of `INNER` with each other, not all of them legal."""
    batch = job.global_batch_sequences
    columns: Columns = {}
    for name in ("tp", "cp", "pp"):
        columns = cross(columns, name, values[name])
    columns = _with_replicas(columns, chips, *within, dp or divisors(batch, batch))
    if "dp" in space.fixed:
        columns = keep(columns, columns["dp"] == space.fixed["dp"])
    if not arch.num_experts and "etp" not in space.fixed:
        columns["etp"] = columns["tp"]
    for name in values:
        if name not in columns and name not in INNER:
            columns = cross(columns, name, values[name])
            if name not in space.fixed:
                columns = keep(columns, _tried(name, columns, arch, batch, space.exhaustive))
    return as_columns(**columns)


def _blocks(
    divisions: Layout, inner: Mapping[str, list[int]], machine: Machine, space: Space
) -> list[Layout]:
    """Divisions by what is tried with them: ZeRO where there is something to share."""
    known = machine.host_bytes_per_s is not None
    offload = [o for o in inner["offload"] if known or o == 0]
    shared, staged = divisions.dp * divisions.cp > 1, divisions.pp > 1
    every, pinned = space.exhaustive, "zero" in space.fixed
    out = []
    for stages in (False, True):
        for sharing in (False, True):
            zero = [z for z in inner["zero"] if pinned or _sensible(z, sharing, stages, every)]
            some = divisions.take((shared == sharing) & (staged == stages))
            if len(some) and zero and offload:
                out.append(
                    some.replace(
                        recompute=np.array(inner["recompute"])[:, None, None, None],
                        zero=np.array(zero)[:, None, None],
                        offload=np.array(offload)[:, None],
                    )
                )
    return out


def flat(blocks: Sequence[Layout]) -> Layout:
    """The layouts of all blocks, one after another along one dimension."""
    nothing = single().take(np.zeros(0, dtype=np.int64))
    return concatenate([nothing, *(block.rows() for block in blocks)])


def _sensible(zero: int, sharing: bool, stages: bool, every: bool) -> bool:
    """Whether a ZeRO stage is neither a copy of another nor, unless `every`, seldom a help."""
    if not sharing:
        return zero == 0
    return every or (zero == 1) or (zero == 3 and not stages)


def _with_replicas(
    columns: Columns, chips: int | None, least: float, most: float, dp: Sequence[int]
) -> Columns:
    """The rows with the replicas that make up the chips."""
    inner = columns["tp"] * columns["cp"] * columns["pp"]
    if chips is not None:
        whole = (inner <= chips) & (chips % np.minimum(inner, chips + 1) == 0)
        return keep(columns, whole) | {"dp": chips // inner[whole]}
    columns = cross(columns, "dp", dp)
    count = columns["tp"] * columns["cp"] * columns["pp"] * columns["dp"]
    return keep(columns, (count >= least) & (count <= most))


def _tried(name: str, c: Columns, arch: Architecture, batch: int, every: bool) -> Number:
    """The rows worth going on with once axis `name` has a value: neither illegal nor a copy of
    another row, nor, unless `every` is tried, of a kind that hardly ever helps.
    """
    own = c[name]
    match name:
        case "microbatch":
            return c["dp"] * own <= batch
        case "ep":
            return c["tp"] * c["cp"] * c["dp"] % own == 0
        case "etp":
            inside = c["tp"] * c["cp"] * c["dp"] // c["ep"] % own == 0
            ends = every | (own == c["tp"]) | ((own == 1) & (c["ep"] > 1))
            return (c["tp"] % own == 0) & inside & ends
        case "interleave":
            whole = missing_layers(arch.num_hidden_layers, c["pp"] * own) <= ENDS
            rounds = -(-batch // (c["dp"] * c["microbatch"])) % c["pp"] == 0
            return (own == 1) | ((c["pp"] > 1) & whole & rounds)
        case "schedule":
            return (own == 0) | ((c["pp"] > 1) & (c["interleave"] == 1))
        case "cp_method":
            return (own == 0) | (c["cp"] > 1)
        case "sequence_parallel":
            return (own == 1) | (c["tp"] > 1)
        case _:
            return np.ones(len(own), dtype=bool)
