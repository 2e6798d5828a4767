"""Measured tables of kernels out of the wheel of `aiconfigurator-core` (Apache-2.0), as columns.

Only what physics allows is kept: no row may beat the datasheet's peak or bandwidth, which rows that
were read from a cache do.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import polars as pl

from parity.catalogue.load import chip
from parity.catalogue.machine import Machine, machine

#: Folders of the wheel and our names.
SYSTEMS = {
    "a100_sxm": "a100-sxm-80", "l40s": "l40s", "h100_sxm": "h100-sxm", "h200_sxm": "h200-sxm",
    "b200_sxm": "b200-sxm", "b300_sxm": "b300-sxm", "gb200": "gb200", "gb300": "gb300",
    "rtx_pro_6000_server": "rtxpro6000-bw-server",
}  # fmt: skip
#: Operand formats of the tables, and ours. Block-scaled fp8 is fp8 by another kernel.
DTYPES = {
    "bfloat16": "bf16", "fp8": "fp8", "fp8_block": "fp8", "nvfp4": "fp4", "sq": "int8",
}  # fmt: skip
#: Timed with the host in the way: no product, however small, takes less than 50 to 400 µs.
HOST_BOUND = {("vllm", "fp8_block")}
_PATH = re.compile(r".*/systems/data/(\w+)/[\w]+/([\w]+)/([^/]+)/(\w+)_perf\.parquet")


@cache
def system(name: str) -> Machine:
    """The machine of a folder of the wheel, from our catalogue."""
    return machine(chip(SYSTEMS[name]))


def tables(wheel: Path, kind: str) -> Iterator[tuple[str, str, pl.DataFrame]]:
    """(system, framework, rows) of every table of one kind."""
    with zipfile.ZipFile(wheel) as archive:
        for path in sorted(archive.namelist()):
            found = _PATH.fullmatch(path)
            if found and found[4] == kind and found[1] in SYSTEMS:
                rows = pl.read_parquet(io.BytesIO(archive.read(path)))
                yield found[1], f"{found[2]} {found[3]}", rows


def gemm(wheel: Path) -> pl.DataFrame:
    """chip, dtype, m, n, k, framework, seconds."""
    parts = []
    for name, framework, rows in tables(wheel, "gemm"):
        used = rows.filter(pl.col("gemm_dtype").is_in(list(DTYPES)) & (pl.col("latency") > 0))
        tool = framework.split()[0]
        for slow_tool, slow_dtype in HOST_BOUND:
            if tool == slow_tool:
                used = used.filter(pl.col("gemm_dtype") != slow_dtype)
        parts.append(
            used.select(
                pl.lit(name).alias("system"),
                pl.lit(framework).alias("framework"),
                pl.col("gemm_dtype").replace_strict(DTYPES).alias("dtype"),
                pl.col("m", "n", "k").cast(pl.Float64),
                (pl.col("latency").cast(pl.Float64) / 1e3).alias("seconds"),
            )
        )
    rows = _with_limits(pl.concat(parts))
    m, n, k = (pl.col(x) for x in "mnk")
    moved = (m * k + k * n) * pl.col("element_bytes") + 2 * m * n
    return _possible(rows.with_columns((2 * m * n * k).alias("flop"), moved.alias("bytes")))


def context_attention(wheel: Path) -> pl.DataFrame:
    """Prefill of whole prompts in 16 bits: batch, s, heads, kv, width, keys, framework, seconds."""
    parts = []
    for name, framework, rows in tables(wheel, "context_attention"):
        window = pl.col("window_size") if "window_size" in rows.columns else pl.lit(0)
        used = rows.filter(
            (pl.col("attn_dtype") == "bfloat16")
            & (pl.col("kv_cache_dtype") == "bfloat16")
            & (pl.col("step") == 0)
            & (pl.col("latency") > 0)
        )
        parts.append(
            used.select(
                pl.lit(name).alias("system"),
                pl.lit(framework).alias("framework"),
                pl.lit("bf16").alias("dtype"),
                pl.col("batch_size").cast(pl.Float64).alias("batch"),
                pl.col("isl").cast(pl.Float64).alias("s"),
                pl.col("num_heads").cast(pl.Float64).alias("heads"),
                pl.col("num_key_value_heads").cast(pl.Float64).alias("kv"),
                pl.col("head_dim").cast(pl.Float64).alias("width"),
                window.cast(pl.Float64).alias("window"),
                (pl.col("latency").cast(pl.Float64) / 1e3).alias("seconds"),
            )
        )
    s, w = pl.col("s"), pl.col("window")
    seen = pl.when((w > 0) & (w < s)).then(w).otherwise(s)
    rows = _with_limits(pl.concat(parts)).with_columns(
        (seen - seen * (seen - 1) / (2 * s)).alias("keys")
    )
    queries = pl.col("batch") * s
    flop = 4 * queries * pl.col("heads") * pl.col("width") * pl.col("keys")
    moved = 4 * queries * (pl.col("heads") + pl.col("kv")) * pl.col("width")
    return _possible(rows.with_columns(flop.alias("flop"), moved.alias("bytes")))


def generation_attention(wheel: Path) -> pl.DataFrame:
    """One query a request over a cache of 16 bits: batch, keys, heads, kv, width, seconds."""
    parts = []
    for name, framework, rows in tables(wheel, "generation_attention"):
        window = pl.col("window_size") if "window_size" in rows.columns else pl.lit(0)
        used = rows.filter((pl.col("kv_cache_dtype") == "bfloat16") & (window == 0))
        parts.append(
            used.select(
                pl.lit(name).alias("system"),
                pl.lit(framework).alias("framework"),
                pl.lit("bf16").alias("dtype"),
                pl.col("batch_size").cast(pl.Float64).alias("batch"),
                (pl.col("isl") + pl.col("step")).cast(pl.Float64).alias("keys"),
                pl.col("num_heads").cast(pl.Float64).alias("heads"),
                pl.col("num_key_value_heads").cast(pl.Float64).alias("kv"),
                pl.col("head_dim").cast(pl.Float64).alias("width"),
                (pl.col("latency").cast(pl.Float64) / 1e3).alias("seconds"),
            )
        )
    batch, heads, width = (pl.col(x) for x in ("batch", "heads", "width"))
    moved = 4 * batch * width * (pl.col("kv") * pl.col("keys") + heads)
    flop = 4 * batch * heads * width * pl.col("keys")
    rows = _with_limits(pl.concat(parts))
    return _possible(rows.with_columns(flop.alias("flop"), moved.alias("bytes")))


def experts(wheel: Path) -> pl.DataFrame:
    """Routed experts under an even load, gated: tokens of a chip, sizes, divisions, seconds.

    Products, activation, sorting by expert and adding up; `tokens` of the chip's group are there
    and those for the chip's own experts are worked on.
    """
    names = {
        "num_tokens": "tokens", "hidden_size": "hidden", "inter_size": "inner", "topk": "active",
        "num_experts": "experts", "moe_tp_size": "tp", "moe_ep_size": "ep",
    }  # fmt: skip
    parts = []
    for name, framework, rows in tables(wheel, "moe"):
        used = rows.filter(
            (pl.col("distribution") == "balanced")
            & pl.col("moe_dtype").is_in(list(DTYPES))
            & ~pl.col("kernel_source").str.contains("nongated")
            & (pl.col("topk") != 22)  # Nemotron 3: no gate
            & (pl.col("hidden_size") != 2688)
        )
        parts.append(
            used.select(
                pl.lit(name).alias("system"),
                pl.lit(framework).alias("framework"),
                pl.col("moe_dtype").replace_strict(DTYPES).alias("dtype"),
                *(pl.col(theirs).cast(pl.Float64).alias(ours) for theirs, ours in names.items()),
                (pl.col("latency").cast(pl.Float64) / 1e3).alias("seconds"),
            )
        )
    rows = _with_limits(pl.concat(parts))
    routed = pl.col("tokens") * pl.col("active") / pl.col("ep")
    weight = 3 * pl.col("hidden") * pl.col("inner") / pl.col("tp")
    moved = weight * pl.col("experts") / pl.col("ep") * pl.col("element_bytes")
    least = pl.when(routed >= pl.col("experts") / pl.col("ep")).then(moved).otherwise(0.0)
    return _possible(rows.with_columns((2 * routed * weight).alias("flop"), least.alias("bytes")))


def _with_limits(rows: pl.DataFrame) -> pl.DataFrame:
    """Peak, bandwidth and bytes of an operand, of each row's chip and dtype."""
    sizes = {"bf16": 2.0, "fp8": 1.0, "int8": 1.0, "fp4": 4.5 / 8}  # NVFP4 with its scales
    limits = [
        (name, dtype, peak, system(name).memory_bandwidth_bytes_per_s, sizes[dtype])
        for name in SYSTEMS
        for dtype, peak in system(name).peak_flop_per_s.items()
        if dtype in sizes
    ]
    names = ["system", "dtype", "peak", "bandwidth", "element_bytes"]
    return rows.join(pl.DataFrame(limits, schema=names, orient="row"), on=["system", "dtype"])


def _possible(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows no faster than the datasheet."""
    least = pl.max_horizontal(
        pl.col("flop") / pl.col("peak"), pl.col("bytes") / pl.col("bandwidth")
    )
    return rows.with_columns(least.alias("least_s")).filter(pl.col("seconds") >= least)


def settled(rows: pl.DataFrame, shape: list[str], median: pl.Expr) -> pl.DataFrame:
    """One time for each shape: the median of the frameworks where `median`, else the fastest.

    Where frameworks call the same library they differ by machine and moment; where each brings a
    kernel of its own, a user takes the fastest.
    """
    keys = ["system", "dtype", *shape]
    others = [c for c in rows.columns if c not in (*keys, "seconds", "framework")]
    grouped = rows.group_by(keys, maintain_order=True).agg(
        pl.col(others).first(),
        pl.col("seconds").median().alias("usual"),
        pl.col("seconds").min().alias("fastest"),
    )
    return grouped.with_columns(
        pl.when(median).then(pl.col("usual")).otherwise(pl.col("fastest")).alias("seconds")
    ).sort(keys)


def stratified(rows: pl.DataFrame, kind: str, shape: list[str], each: int) -> pl.DataFrame:
    """`each` rows of every system and dtype, spread evenly over their times; the shape in words."""
    ordered = rows.sort("seconds", *shape)
    parts = [
        part.gather_every(max(len(part) // each, 1)).head(each)
        for part in ordered.partition_by("system", "dtype", maintain_order=True)
    ]
    words = pl.concat_str(
        *(pl.lit(f"{name}=") + pl.col(name).cast(pl.Int64).cast(pl.String) for name in shape),
        separator=" ",
    )
    return pl.concat(parts).select(
        pl.lit(kind).alias("kind"),
        pl.col("system").replace(SYSTEMS).alias("chip"),
        "dtype",
        words.alias("shape"),
        (pl.col("seconds") * 1e6).round(3).alias("us"),
    )
