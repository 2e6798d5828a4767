# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy>=2", "scipy>=1.13", "polars>=1", "msgspec>=0.19"]
# ///
"""Fits the curves of `parity.timing` to measured tables of kernels and writes `kernels.toml`.

    pip download --no-deps aiconfigurator-core==0.12.0
    PYTHONPATH=src python tools/fit_kernels.py aiconfigurator_core-0.12.0-*.whl [--write]

The tables are NVIDIA's, Apache-2.0. Nothing here is needed at run time. Without `--write` only the
misses are printed: median and P90 of |ln(predicted/measured)|, and the median of ln.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kernel_fit import (
    FAMILIES,
    LARGE_MISS,
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
from kernel_serving import cache_rows, fit_cache, routed
from kernel_tables import SYSTEMS, context_attention, experts, gemm, settled, stratified, system
from parity.timing.efficiency import book
from parity.timing.roofline import (
    AttentionShape,
    Tiling,
    attention_shape_efficiency,
    gemm_shape_efficiency,
)

#: Of attention: Blackwell Ultra has twice the exponentials of Blackwell.
ATTENTION_GROUPS = {
    **FAMILIES,
    "blackwell": ["b200_sxm", "gb200"], "b300-sxm": ["b300_sxm"], "gb300": ["gb300"],
}  # fmt: skip
#: Width of a head that reaches the full rate where only one width was measured: the A100's kernels
#: are those of L40S.
FULL_WIDTH = 80.0
#: Rate of the backward pass over the forward one, with range, and who says so.
BACKWARD = {
    "ampere": (0.86, 0.78, 0.92, "flash2"),
    "ada": (0.86, 0.70, 0.92, "flash2"),
    "hopper": (0.79, 0.72, 0.86, "flash3"),
    "blackwell": (0.69, 0.60, 0.85, "flashmla"),
    "b300-sxm": (0.69, 0.60, 0.85, "flashmla"),
    "gb300": (0.69, 0.60, 0.85, "flashmla"),
    "rtxpro6000-bw-server": (0.86, 0.70, 0.92, "flash2"),
}
TARGET = Path(__file__).parents[1] / "src/parity/timing/data/kernels.toml"
SAMPLE = Path(__file__).parents[1] / "tests/timing/measured_kernels.csv"
HEAD = """\
# Written by tools/fit_kernels.py from the kernel tables of aiconfigurator-core 0.12.0 (NVIDIA,
# Apache-2.0); do not edit. Curves: parity/timing/roofline.py. Ranges: what holds 80 % of the rows.
# Read after efficiency.toml, and goes before it.
"""


# --- matrix products ---------------------------------------------------------------------------

PRODUCT = ["m", "n", "k", "flop", "bytes", "peak", "bandwidth", "seconds"]


def tiling(p: Array) -> Tiling:
    """The first five parameters as a record."""
    return Tiling(
        rates=(1.0, round(float(p[0]), 3), round(float(p[1]), 3)),
        prologue=round(float(p[2]), 1),
        idle_share=round(float(p[3]), 3),
        split_depth=round(float(np.exp(p[4]))),
    )


def product_seconds(p: Array, c: dict[str, Array], units: int, share: float) -> Array:
    """Rows of one chip under parameters (5 of the tiling, launch, share of bandwidth)."""
    shape = gemm_shape_efficiency(c["m"], c["n"], c["k"], units, _loose(p))
    compute = c["flop"] / (c["peak"] * share * shape)
    return np.asarray(p[5] + np.maximum(compute, c["bytes"] / (c["bandwidth"] * p[6])))


def _loose(p: Array) -> Tiling:
    """`tiling` unrounded, for the search."""
    return Tiling((1.0, float(p[0]), float(p[1])), float(p[2]), float(p[3]), float(np.exp(p[4])))


def fit_products(rows: pl.DataFrame, chips: list[str]) -> tuple[Array, dict[str, float]]:
    """(7 shared parameters, asymptote of each chip)."""
    parts = {name: columns(rows.filter(pl.col("system") == name), PRODUCT) for name in chips}
    parts = {name: c for name, c in parts.items() if len(c["m"])}
    measured = np.concatenate([c["seconds"] for c in parts.values()])

    def predict(p: Array) -> Array:
        return np.concatenate(
            [
                product_seconds(p, c, system(name).units, p[7 + i])
                for i, (name, c) in enumerate(parts.items())
            ]
        )

    n = len(parts)
    best: tuple[float, Array] | None = None
    for depth in (512.0, 4096.0):
        start = [0.8, 0.4, 150, 0.5, np.log(depth), 4e-6, 0.8] + [0.7] * n
        low = [0.1, 0.02, 0, 0, np.log(64), 5e-7, 0.3] + [0.1] * n
        high = [1.0, 1.0, 2000, 1, np.log(65536), 3e-5, 0.95] + [1.0] * n
        p = fit(predict, measured, start, low, high)
        loss = float(np.sum(np.sqrt(1 + (np.log(predict(p) / measured) / LARGE_MISS) ** 2)))
        if best is None or loss < best[0]:
            best = (loss, p)
    assert best is not None
    p = best[1]
    return p[:7], dict(zip(parts, p[7:], strict=True))


def products(wheel: Path) -> Lines:
    """Fits and writes `gemm`, `tiling`, `gemm_memory` and `gemm_launch_s`."""
    rows = settled(gemm(wheel), ["m", "n", "k"], median=pl.col("dtype") == "bf16")
    lines: Lines = []
    for owner, chips in FAMILIES.items():
        table = "families" if owner in families() else "chips"
        shapes: dict[str, Any] = {}
        asymptotes: dict[str, dict[str, Figure]] = {}
        for dtype in ("bf16", "fp8", "int8", "fp4"):
            used = rows.filter(pl.col("system").is_in(chips) & (pl.col("dtype") == dtype))
            if not len(used):
                continue
            p, shares = fit_products(sampled(used), chips)
            p = np.concatenate([_rounded(p), p[5:]])
            miss = {}
            for name, share in shares.items():
                c = columns(used.filter(pl.col("system") == name), PRODUCT)
                off = np.log(product_seconds(p, c, system(name).units, share) / c["seconds"])
                report(f"{name} {dtype}", off, _large(c))
                miss[name] = (off, c)
                figure = spread(share, off[_large(c)])
                asymptotes.setdefault(name, {})[dtype] = figure
            shapes[WIDTHS[dtype]] = (tiling(p), *_small(p, miss))
        lines += _product_lines(table, owner, shapes, asymptotes)
    return lines


def _rounded(p: Array) -> Array:
    t = tiling(p)
    return np.array([t.rates[1], t.rates[2], t.prologue, t.idle_share, np.log(t.split_depth)])


def _large(c: dict[str, Array]) -> NDArray[np.bool_]:
    """Shapes as training has them."""
    return (c["m"] >= 1024) & (c["n"] >= 1024) & (c["k"] >= 512)


def _small(p: Array, miss: dict[str, tuple[Array, dict[str, Array]]]) -> tuple[Figure, Figure]:
    """(launch, share of bandwidth) with the ranges of rows that show them."""
    off = np.concatenate([m for m, _ in miss.values()])
    least = np.concatenate(
        [np.maximum(c["flop"] / c["peak"], c["bytes"] / c["bandwidth"]) for _, c in miss.values()]
    )
    bound = np.concatenate(
        [c["bytes"] / c["bandwidth"] > 2 * c["flop"] / c["peak"] for _, c in miss.values()]
    )
    return spread(p[5], -off[least < 1e-6]), spread(p[6], off[bound & (least > 2e-5)])


def _product_lines(table: str, owner: str, shapes: dict[str, Any],
                   asymptotes: dict[str, dict[str, Figure]]) -> Lines:  # fmt: skip
    lines = []
    for width, (shape, launch, memory) in shapes.items():
        lines += [f"[{table}.{owner}.tiling.{width}]", *_record(shape), ""]
        lines += [f"[{table}.{owner}.gemm_launch_s.{width}]", *coefficient(launch), ""]
        lines += [f"[{table}.{owner}.gemm_memory.{width}]", *coefficient(memory), ""]
    dtypes = sorted({d for figures in asymptotes.values() for d in figures})
    if table == "families":
        for dtype in dtypes:
            lines += _gemm(table, owner, dtype, mean([f[dtype] for f in asymptotes.values()]))
    if table == "chips" or len(asymptotes) > 1:
        for name, figures in asymptotes.items():
            for dtype, figure in figures.items():
                lines += _gemm("chips", SYSTEMS[name], dtype, figure)
    return lines


def _gemm(table: str, owner: str, dtype: str, figure: Figure) -> Lines:
    names = ("bf16", "fp16") if dtype == "bf16" else (dtype,)
    lines = []
    for name in names:
        lines += [f"[{table}.{owner}.gemm.{name}]", *coefficient(figure), ""]
    return lines


def _record(record: Tiling | AttentionShape) -> Lines:
    names = [n for n in record.__struct_fields__ if n != "source"]
    values = {n: getattr(record, n) for n in names}
    plain = {n: list(v) if isinstance(v, tuple) else v for n, v in values.items()}
    return [*(f"{n} = {v!r}" for n, v in plain.items()), 'source = "aiconfigurator"']


# --- attention ---------------------------------------------------------------------------------

ATTENTION = ["keys", "width", "flop", "bytes", "peak", "bandwidth", "seconds", "s"]


def attention_seconds(p: Array, c: dict[str, Array], share: float) -> Array:
    """Rows of one chip under parameters (keys at half, full width, launch, share of bandwidth)."""
    shape = AttentionShape(float(p[0]), float(p[1]), 0.0)
    rate = c["peak"] * share * attention_shape_efficiency(c["keys"], c["width"], shape)
    return np.asarray(p[2] + np.maximum(c["flop"] / rate, c["bytes"] / (c["bandwidth"] * 0.85)))


def fit_attention(rows: pl.DataFrame, chips: list[str]) -> tuple[Array, dict[str, float]]:
    """(3 shared parameters, asymptote of each chip)."""
    parts = {name: columns(rows.filter(pl.col("system") == name), ATTENTION) for name in chips}
    measured = np.concatenate([c["seconds"] for c in parts.values()])

    def predict(p: Array) -> Array:
        each = enumerate(parts.values())
        return np.concatenate([attention_seconds(p, c, p[3 + i]) for i, c in each])

    n = len(parts)
    narrow, wide = (16.0, 256.0) if rows["width"].n_unique() > 1 else (FULL_WIDTH, FULL_WIDTH + 1)
    low, high = [0, narrow, 5e-7] + [0.1] * n, [5000, wide, 5e-5] + [1.0] * n
    p = fit(predict, measured, [300, FULL_WIDTH + 0.5, 8e-6] + [0.6] * n, low, high)
    return p[:3], dict(zip(parts, p[3:], strict=True))


def attention(wheel: Path) -> Lines:
    """Fits and writes the figures of fused attention over whole prompts."""
    shape = ["batch", "s", "heads", "kv", "width", "window"]
    rows = settled(context_attention(wheel), shape, median=pl.lit(False))
    caches = cache_rows(wheel)
    lines: Lines = []
    for owner, chips in ATTENTION_GROUPS.items():
        table = "families" if owner in families() else "chips"
        whole = pl.col("system").is_in(chips) & (pl.col("window") == 0)
        p, shares = fit_attention(sampled(rows.filter(whole)), chips)
        p = np.array([round(p[0], 1), round(p[1], 1), p[2]])
        figures, short = {}, []
        for name, share in shares.items():
            c = columns(rows.filter(pl.col("system") == name), ATTENTION)
            off = np.log(attention_seconds(p, c, share) / c["seconds"])
            report(f"{name} attention", off, _long(c))
            figures[name] = spread(share, off[_long(c)])
            short.append(off[c["flop"] / c["peak"] < 1e-6])
        lines += [f"[{table}.{owner}.attention_shape]"]
        half_cached, cache_launch, reads = fit_cache(caches, chips)
        shapes = AttentionShape(float(p[0]), float(p[1]), round(half_cached, 1))
        lines += [*_record(shapes), ""]
        lines += [f"[{table}.{owner}.cache_launch_s]", *coefficient(cache_launch), ""]
        lines += [f"[{table}.{owner}.cache_memory]", *coefficient(mean(list(reads.values()))), ""]
        if len(reads) > 1:
            for name, read in reads.items():
                lines += [f"[chips.{SYSTEMS[name]}.cache_memory]", *coefficient(read), ""]
        launch = spread(p[2], -np.concatenate(short))
        lines += [f"[{table}.{owner}.attention_launch_s]", *coefficient(launch), ""]
        lines += _attention_lines(table, owner, mean(list(figures.values())), BACKWARD[owner])
        if len(figures) > 1:
            for name, figure in figures.items():
                lines += _attention_lines("chips", SYSTEMS[name], figure, BACKWARD[owner])
    return lines


def _attention_lines(table: str, owner: str, forward: Figure,
                     ratio: tuple[float, float, float, str]) -> Lines:  # fmt: skip
    value, low, high, source = ratio
    backward = Figure(forward.value * value, forward.low * low, forward.high * high)
    lines = [f"[{table}.{owner}.attention_forward]", *coefficient(forward), ""]
    return [*lines, f"[{table}.{owner}.attention_backward]", *coefficient(backward, source), ""]


def _long(c: dict[str, Array]) -> NDArray[np.bool_]:
    """Sequences as training has them, long enough that launching does not count."""
    return (c["s"] >= 2048) & (c["width"] >= 64) & (c["flop"] / c["peak"] > 1e-4)


def main() -> None:
    """Fits everything; prints misses; with `--write` writes the coefficients."""
    reader = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    reader.add_argument("wheel", type=Path)
    reader.add_argument("--write", action="store_true", help=f"write {TARGET.name}")
    options = reader.parse_args()
    if not options.wheel.is_file():
        sys.exit(f"No wheel at {options.wheel}; see the head of this file for where to get it.")
    lines = [HEAD, *products(options.wheel), *attention(options.wheel)]
    if options.write:
        _write(lines)
        book.cache_clear()
    lines += routed(options.wheel)
    if options.write:
        _write(lines)

        sample(options.wheel).write_csv(SAMPLE)


def sample(wheel: Path) -> pl.DataFrame:
    """Rows that the tests hold the curves against: a few of every chip, dtype and kind."""
    product, prompt = ["m", "n", "k"], ["batch", "s", "heads", "kv", "width", "window"]
    cache = ["batch", "keys", "heads", "kv", "width"]
    expert = ["tokens", "hidden", "inner", "active", "experts", "tp", "ep"]
    products = settled(gemm(wheel), product, median=pl.col("dtype") == "bf16")
    prompts = settled(context_attention(wheel), prompt, median=pl.lit(False))
    routed_rows = settled(experts(wheel), expert, median=pl.lit(False))
    return pl.concat(
        [
            stratified(products, "product", product, 24),
            stratified(prompts, "prompt", prompt, 24),
            stratified(cache_rows(wheel), "cache", cache, 24),
            stratified(routed_rows.filter(pl.col("ep") == 1), "experts", expert, 12),
        ]
    )


def _write(lines: Lines) -> None:
    TARGET.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
