"""Which divisions of a replica engines accept, and what a division copies."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from parity.catalogue.schema import Chip
from parity.layout.layout import Column, Layout, columns
from parity.layout.shard import ways
from parity.record import Finding
from parity.search.findings import note
from parity.timing.support import support
from parity.units import render
from parity.workload.count import kv_bytes_per_token
from parity.workload.operator import Architecture, Attention, Linear

#: Why a division is refused; the index is the reason code, 0 is "accepted".
REFUSALS = (
    "accepted",
    "it does not divide the query heads",
    "key-value heads are neither divided whole nor copied whole",
    "shards are no multiple of the blocks that FP8 weights are scaled by",
    "it takes a number of cores that the runtime does not load",
)
#: Degrees that people ask for first.
_USUAL = (2, 4, 8, 16, 32)


def refused(arch: Architecture, chip: Chip, layout: Layout, dtype: str = "") -> Column:
    """The reason code of each division, an index into `REFUSALS`.

    dtype: that weights are kept in; blocks count where it is the checkpoint's own.
    """
    heads, keys = max(arch.num_attention_heads, 1), max(arch.num_key_value_heads, 1)
    tp = layout.tp
    whole = (np.maximum(tp, keys) % np.minimum(tp, keys)) == 0
    blocks = np.zeros(len(layout), dtype=bool)
    if arch.weight_block and dtype == arch.weight_dtype:
        blocks = _splits_a_block(arch, layout)
    cores = np.zeros(len(layout), dtype=bool)
    for entry in support().cores:
        if entry.about(chip):
            cores = ~np.array([entry.allows(int(n)) for n in tp])
    attends = arch.num_attention_heads > 0
    broken = [(heads % tp != 0) & attends, ~whole & attends, blocks, cores]
    return np.select(broken, list(range(1, len(REFUSALS))), 0)


def accepted(arch: Architecture, chip: Chip, layout: Layout, dtype: str) -> Layout:
    """The divisions of `layout` that engines accept."""
    return layout.take(refused(arch, chip, layout, dtype) == 0)


def _splits_a_block(arch: Architecture, layout: Layout) -> NDArray[np.bool_]:
    """Whether a shard of FP8 weights ends inside a block, per division."""
    found = np.zeros(len(layout), dtype=bool)
    for op in (op for block in arch.blocks for op in block.operators):
        if not isinstance(op, Linear) or (op.dtype or arch.weight_dtype) != "fp8":
            continue
        divided = layout.etp.astype(float) if op.experts > 1 else ways(op, layout)
        features = op.outputs / op.matrices if op.split == "column" else float(op.inputs)
        cut = (divided > 1) & (features / divided % arch.weight_block != 0)
        found |= cut & (op.split in ("column", "row"))
    return found


def refusal_findings(
    arch: Architecture, chip: Chip, degrees: Iterable[int], dtype: str, *, asked: bool = False
) -> tuple[Finding, ...]:
    """P111 or P112 for tensor-parallel degrees that engines do not take, one for each reason.

    asked: they were asked for, so that this is an error.
    """
    tp = np.array(list(degrees), dtype=np.int64)
    layout = columns(tp=tp, zero=np.zeros_like(tp), sequence_parallel=np.zeros_like(tp))
    codes = refused(arch, chip, layout, dtype)
    found = []
    for code in sorted(set(codes.tolist()) - {0}):
        some = [f"TP{n}" for n, own in zip(tp, codes, strict=True) if own == code]
        words = f"{', '.join(some)} of {arch.name} on {chip.id} is refused: {REFUSALS[code]}"
        severity = "error" if asked else "note"
        if code == len(REFUSALS) - 1:
            why = next(entry.words for entry in support().cores if entry.about(chip))
            found.append(note("P112", f"{words}; {why}.", severity, _counts(chip)))
        else:
            fix = _accepted(arch, chip, dtype)
            if code == REFUSALS.index(REFUSALS[3]) and arch.num_experts:
                fix = f"{fix}, or experts kept whole (expert parallelism)"
            found.append(note("P111", f"{words}.", severity, fix))
    return tuple(found)


def _accepted(arch: Architecture, chip: Chip, dtype: str) -> str:
    tp = np.arange(1, 65)
    layout = columns(tp=tp, zero=np.zeros_like(tp), sequence_parallel=np.zeros_like(tp))
    fine = tp[refused(arch, chip, layout, dtype) == 0]
    return f"tensor parallelism of {', '.join(map(str, fine[:8]))}"


def _counts(chip: Chip) -> str:
    entry = next(entry for entry in support().cores if entry.about(chip))
    fine = [n for n in range(1, 65) if entry.allows(n)]
    return f"{', '.join(map(str, fine[:5]))} chips of {entry.cores_a_chip} cores each"


def left_out(arch: Architecture, chip: Chip, closest: int, dtype: str = "") -> tuple[Finding, ...]:
    """Notes on the usual degrees, up to the `closest` chips, that engines do not take."""
    return refusal_findings(arch, chip, [n for n in _USUAL if n <= closest], dtype)


def cache_copies(arch: Architecture, layout: Layout, i: int = 0) -> float:
    """Copies of the cache that division `i` keeps of what its heads cannot divide. [1]"""
    tp = int(layout.tp[i])
    return max(tp / min(_cache_shards(arch), default=tp), 1.0)


def _cache_shards(arch: Architecture) -> list[int]:
    """The most chips that each attention divides its cache over."""
    return [
        op.cache_shards
        for block in arch.blocks
        for op in block.operators
        if isinstance(op, Attention) and op.cache_elements
    ]


def copied_cache(arch: Architecture, layout: Layout, kv_dtype: str) -> tuple[Finding, ...]:
    """P110 where the first division of `layout` keeps more than one copy of the cache.

    A key-value head lies whole on a chip: beyond their number they are copied, and a latent cache
    (MLA), which has no heads, is copied on every chip.
    """
    tp = int(layout.tp[0])
    copies = cache_copies(arch, layout)
    if copies == 1.0:
        return ()
    fewest = min(_cache_shards(arch))
    own = float(np.mean(kv_bytes_per_token(arch, kv_dtype)))
    latent = arch.num_key_value_heads > fewest
    what = "a latent cache is not divided" if latent else f"{fewest} key-value heads"
    message = (
        f"At TP{tp} {what}, so that it is kept {copies:g} times: "
        f"{render(copies * own, 'byte')} a token over the replica, not {render(own, 'byte')}."
    )
    if not latent:
        message = (
            f"TP{tp} is more than the {what}: each is kept on {copies:g} chips, "
            f"{render(copies * own, 'byte')} of cache a token over the replica, not "
            f"{render(own, 'byte')}."
        )
    fix = "attention by data parallelism (DP), or fewer chips a replica with more replicas"
    return (note("P110", message, "note" if latent else "warning", fix),)
