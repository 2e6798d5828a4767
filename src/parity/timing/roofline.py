"""How long one operator takes on one chip.

    t = launch + max( FLOP / (peak · η_c),  bytes / (bandwidth · η_m) )

[Williams, Waterman, Patterson 2009, "Roofline"]; η_c falls where tiles and waves do not come out
even [NVIDIA, "Matrix Multiplication Background User's Guide"].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from parity.catalogue.machine import Number

#: Tile shapes a GEMM library chooses from (rows, columns) and the rate of each relative to the
#: largest: a smaller tile reuses less of what it loads.
TILES = ((128, 256, 1.0), (128, 128, 0.95), (64, 128, 0.85), (64, 64, 0.65), (16, 128, 0.45))
#: Depth at which the start and the end of a tile cost as much as its work [elements of k]. Of large
#: products on H20, depth 2,048 reaches 0.980 of what depth 4,096 does: k/(k + 80) gives 0.981
#: [alibaba/InferSim, bench_data/gemm/h20, m = 32,768, n = 6,144].
PROLOGUE_DEPTH = 80.0
#: A product is not split along k into pieces shallower than this [elements of k].
LEAST_SPLIT_DEPTH = 512.0


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
    m: Number, n: Number, k: Number, units: int, batch: Number = 1.0
) -> Number:
    """Share of the best rate that `batch` products of m × n × k reach on `units` cores. [1]

    A tile that sticks out of the matrix computes padding; the last wave of tiles leaves cores
    idle, half of which splitting k fills; where there are fewer tiles than cores, k is split to
    make more; a shallow k spends its time filling and draining. The best of `TILES` is taken.
    `units` 0 (not published) leaves the waves out.
    """
    m, n, k = (np.asarray(x, dtype=float) for x in (m, n, k))
    best: Number = 0.0
    for rows, columns, rate in TILES:
        tiles = np.ceil(m / rows) * np.ceil(n / columns)
        padding = tiles * rows * columns / (m * n)
        depth = k
        if units:
            pieces = np.clip(units // (tiles * batch), 1.0, np.maximum(k / LEAST_SPLIT_DEPTH, 1.0))
            waves = tiles * batch * pieces / units
            padding = padding * (0.5 + 0.5 * np.ceil(waves) / waves)
            depth = k / pieces
        best = np.maximum(best, rate / padding * depth / (depth + PROLOGUE_DEPTH))
    return best
