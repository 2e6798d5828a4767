"""Fits of what serving needs besides: reading caches, and sorting tokens by expert."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from kernel_fit import (
    FAMILIES,
    WIDTHS,
    Array,
    Figure,
    Lines,
    coefficient,
    columns,
    families,
    fit,
    mean,
    report,
    sampled,
    spread,
)
from kernel_tables import SYSTEMS, experts, generation_attention, settled, system
from parity.timing.efficiency import efficiency
from parity.timing.roofline import AttentionShape, cached_share, gemm_shape_efficiency

CACHE = ["keys", "flop", "bytes", "peak", "bandwidth", "seconds"]
EXPERTS = ["tokens", "hidden", "inner", "active", "experts", "tp", "ep", "seconds"]
#: A gap that a kernel other than a product costs, and the share of the bandwidth it reaches, as
#: `launch_s` and `memory` of efficiency.toml have them.
LAUNCH_S = 5e-6


# --- caches ------------------------------------------------------------------------------------


def cache_rows(wheel: Path) -> pl.DataFrame:
    """Every measured reading of a cache, once for each shape."""
    shape = ["batch", "keys", "heads", "kv", "width"]
    return settled(generation_attention(wheel), shape, median=pl.lit(False))


def cache_seconds(p: Array, c: dict[str, Array], share: float) -> Array:
    """Rows of one chip under (keys at half, launch, share of the peak of many heads on one key)."""
    reach = cached_share(c["keys"], AttentionShape(0.0, 1.0, float(p[0])))
    read = c["bytes"] / (c["bandwidth"] * share * reach)
    return np.asarray(p[1] + np.maximum(read, c["flop"] / (c["peak"] * p[2] * reach)))


def fit_cache(rows: pl.DataFrame, chips: list[str]) -> tuple[float, Figure, dict[str, Figure]]:
    """(keys at half, launch, share of the bandwidth of each chip) of chips that share a curve."""
    used = sampled(rows.filter(pl.col("system").is_in(chips)))
    parts = {name: columns(used.filter(pl.col("system") == name), CACHE) for name in chips}
    measured = np.concatenate([c["seconds"] for c in parts.values()])

    def predict(p: Array) -> Array:
        each = enumerate(parts.values())
        return np.concatenate([cache_seconds(p, c, p[3 + i]) for i, c in each])

    n = len(parts)
    low, high = [0, 5e-7, 0.01] + [0.1] * n, [2000, 1e-4, 1.0] + [1.0] * n
    p = fit(predict, measured, [20, 8e-6, 0.2] + [0.85] * n, low, high)
    shares, short = {}, []
    for i, name in enumerate(chips):
        c = columns(rows.filter(pl.col("system") == name), CACHE)
        off = np.log(cache_seconds(p, c, p[3 + i]) / c["seconds"])
        least = c["bytes"] / c["bandwidth"]
        # Heads so many that computing counts are kernels of another kind (latent attention).
        read = (c["keys"] >= 512) & (least > 2e-5) & (c["flop"] / c["peak"] < least * p[2])
        report(f"{name} cache", off, read)
        shares[name] = spread(p[3 + i], off[read])
        short.append(off[least < 1e-6])
    return float(p[0]), spread(p[1], -np.concatenate(short)), shares


# --- routed experts ----------------------------------------------------------------------------


def expert_parts(name: str, dtype: str, c: dict[str, Array]) -> tuple[Array, Array, Array]:
    """(products and activation with their gaps, a pass over routed tokens, over all tokens) [s]."""
    machine, element = system(name), {"bf16": 2.0, "fp8": 1.0, "int8": 1.0, "fp4": 4.5 / 8}[dtype]
    eff = efficiency(machine, dtype)
    local, copies = c["experts"] / c["ep"], c["tokens"] * c["active"] / c["ep"]
    hit = local * (1 - (1 - c["active"] / c["experts"]) ** c["tokens"])
    m, inner = copies / hit, c["inner"] / c["tp"]

    def product(n: Array, k: Array) -> Array:
        shape = gemm_shape_efficiency(m, n, k, machine.units, eff.tiling, hit)
        compute = 2 * copies * n * k / (machine.peak_flop_per_s[dtype] * eff.gemm * shape)
        moved = (copies + hit * n) * k * element + copies * n * 2
        speed = machine.memory_bandwidth_bytes_per_s * eff.gemm_memory
        return np.asarray(np.maximum(compute, moved / speed))

    speed = machine.memory_bandwidth_bytes_per_s * eff.memory
    work = product(2 * inner, c["hidden"]) + product(c["hidden"], inner)
    gaps = 2 * eff.gemm_launch_s + LAUNCH_S
    work = work + copies * inner * 3 * 2 / speed + gaps
    return work, copies * c["hidden"] * 2 / speed, c["tokens"] * c["hidden"] * 2 / speed


def routed(wheel: Path) -> Lines:
    """Fits `routed_launch_s` and `routed_passes` on top of the products as they stand.

    Reads the curves of products from `kernels.toml`: write those first. The tables have all tokens
    of a group on each chip; what that costs is fitted beside and left out.
    """
    shape = ["tokens", "hidden", "inner", "active", "experts", "tp", "ep"]
    rows = settled(experts(wheel), shape, median=pl.lit(False))
    lines: Lines = []
    for owner, chips in FAMILIES.items():
        table = "families" if owner in families() else "chips"
        if owner == "ampere":
            continue  # measured with kernels that are not tuned for it: up to ten times as long
        for dtype in ("bf16", "fp8", "fp4"):
            used = rows.filter(pl.col("system").is_in(chips) & (pl.col("dtype") == dtype))
            if len(used):
                launch, passes = _fit_routed(used, dtype)
                width = WIDTHS[dtype]
                for key, figure in (("routed_launch_s", launch), ("routed_passes", passes)):
                    lines += [f"[{table}.{owner}.{key}.{width}]", *coefficient(figure), ""]
    return lines


def _fit_routed(used: pl.DataFrame, dtype: str) -> tuple[Figure, Figure]:
    chips = [name for name in SYSTEMS if name in used["system"].unique()]
    some = sampled(used)
    parts = []
    for name in chips:
        c = columns(some.filter(pl.col("system") == name), EXPERTS)
        parts.append(np.stack([*expert_parts(name, dtype, c), c["seconds"]]))
    work, routed_pass, token_pass, seconds = np.concatenate(parts, axis=1)

    def predict(p: Array) -> Array:
        return np.asarray(work + p[0] + p[1] * routed_pass + p[2] * token_pass)

    p = fit(predict, seconds, [1.5e-5, 2.0, 1.0], [0, 0, 0], [2e-4, 30, 30])
    found = []
    for name in chips:
        c = columns(used.filter(pl.col("system") == name), EXPERTS)
        a, b, d = expert_parts(name, dtype, c)
        off = np.log((a + p[0] + p[1] * b + p[2] * d) / c["seconds"])
        per_expert = c["tokens"] * c["active"] / c["experts"]
        report(f"{name} {dtype} experts", off, per_expert >= 128)
        tiny = a < 3e-5
        large = (per_expert >= 128) & (c["ep"] == 1)
        gap = (c["seconds"] - (a + p[1] * b + p[2] * d))[tiny]
        moved = ((c["seconds"] - (a + p[0] + p[2] * d)) / b)[large]
        found.append((np.quantile(gap, [0.1, 0.9]), np.quantile(moved, [0.25, 0.75])))
    gaps, moves = (np.mean([f[i] for f in found], axis=0) for i in (0, 1))
    launch = Figure(p[0], max(min(gaps[0], p[0]), 1e-6), max(gaps[1], p[0]))
    return launch, Figure(p[1], max(min(moves[0], p[1]), 0.0), max(moves[1], p[1]))


__all__ = ["cache_rows", "fit_cache", "mean", "routed"]
