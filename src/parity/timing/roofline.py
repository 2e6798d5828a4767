"""How long one operator takes on one chip.

    t = launch + max( FLOP / (peak · η_c),  bytes / (bandwidth · η_m) )

[Williams, Waterman, Patterson 2009, "Roofline"]; η_c falls where tiles and waves do not come out
even [NVIDIA, "Matrix Multiplication Background User's Guide"], and where attention has few keys or
narrow heads.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from parity.catalogue.machine import Number
from parity.record import Record

#: Tile shapes a GEMM library chooses from (rows, columns), the largest first. How fast each is,
#: relative to the largest, is measured per chip family: `Tiling.rates`.
TILES = ((128, 256), (64, 128), (16, 128))
#: The width of a head that `AttentionShape.half_keys` is for.
HEAD_WIDTH = 128.0


class Tiling(Record, frozen=True):
    """How the GEMM library of a chip family cuts products of one width of operand, as fitted."""

    rates: tuple[float, float, float]  # of TILES, relative to the first
    prologue: float  # depth at which starting and ending a tile cost as much as its work
    idle_share: float  # of the time that cores idle in the last wave, what is lost
    split_depth: float  # a product is not split along k into pieces shallower than this
    source: str = ""


class AttentionShape(Record, frozen=True):
    """What fused attention of a chip family loses on short sequences and narrow heads: fitted."""

    half_keys: float  # keys a query sees at which heads of 128 reach half of the rate
    full_width: float  # width of a head below which exponentials take longer than products
    half_cached: float  # cached keys of a request at which half of the bandwidth is reached
    source: str = ""


@dataclass(frozen=True)
class Cost:
    """Time of one operator, split by what sets it. [s]"""

    compute_s: Number
    memory_s: Number  # time beyond compute that moving bytes takes
    launch_s: Number

    @property
    def total_s(self) -> Number:
        """All of it."""
        return self.compute_s + self.memory_s + self.launch_s


def roofline(
    flop: Number,
    moved_bytes: Number,
    flop_per_s: Number,
    bytes_per_s: Number,
    launch_s: Number,
) -> Cost:
    """Time of an operator with these achieved rates: the larger of the two, and the launch."""
    compute = flop / flop_per_s
    memory = moved_bytes / bytes_per_s
    bound = compute >= memory
    return Cost(
        compute_s=np.where(bound, compute, 0.0),
        memory_s=np.where(bound, 0.0, memory),
        launch_s=launch_s,
    )


def gemm_shape_efficiency(
    m: Number, n: Number, k: Number, units: Number, tiling: Tiling | None, batch: Number = 1.0
) -> Number:
    """Share of the best rate that `batch` products of m × n × k reach on `units` cores. [1]

    A tile that sticks out of the matrix computes padding; the last wave of tiles leaves cores
    idle, part of which a higher clock of the others or a finer cut gives back; where there are
    fewer tiles than cores, k is split to make more; a shallow k spends its time filling and
    draining. The best of `TILES` is taken. `units` 0 (not published) leaves the waves out; no
    `tiling` leaves all of it out, as if every shape suited the chip.
    """
    if tiling is None:
        return 1.0
    m, n, k = (np.asarray(x, dtype=float) for x in (m, n, k))
    waved, whole, best = np.any(units), np.all(units), 0.0
    area, depth = m * n, k
    most = np.maximum(k / tiling.split_depth, 1.0)
    for (rows, columns), rate in zip(TILES, tiling.rates, strict=True):
        tiles = np.ceil(m / rows) * np.ceil(n / columns)
        padding = tiles * (rows * columns) / area
        if waved:
            every = tiles * batch
            pieces = np.minimum(np.maximum(np.floor(units / every), 1.0), most)
            waves = every * pieces / (units if whole else np.where(units > 0, units, every))
            padding = padding * (1 + tiling.idle_share * (np.ceil(waves) / waves - 1))
            depth = k / pieces
        best = np.maximum(best, rate * depth / (padding * (depth + tiling.prologue)))
    return best


def attention_shape_efficiency(keys: Number, width: Number, shape: AttentionShape) -> Number:
    """Share of the best rate of fused attention at `keys` keys a query and heads of `width`. [1]

    A block of queries begins and ends its walk over the keys, and computes what the mask hides
    of the blocks on its edge; part of that grows with the width of the head as the products do,
    part does not. Below a width the exponentials, of which there is one per score whatever the
    width, take longer than the products [Shah et al. 2024, FlashAttention-3, arXiv 2407.08608,
    §3.1; Zadouri et al. 2026, FlashAttention-4].
    """
    half = shape.half_keys * (1 + HEAD_WIDTH / width) / 2
    return keys / (keys + half) * np.minimum(width / shape.full_width, 1.0)


def cached_share(keys: Number, shape: AttentionShape) -> Number:
    """Share of the best bandwidth at which one query of a request reads `keys` cached ones. [1]

    Each pair of request and key-value head is a block of its own, with a beginning and an end.
    """
    return keys / (keys + shape.half_cached)
