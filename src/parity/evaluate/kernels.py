"""Work of one chip to time on one chip: where layout's shapes meet timing's curves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from parity.catalogue.machine import Draw, Machine, Number, central
from parity.layout.shard import AttentionWork, Gemm, Scan, Stream, Work
from parity.timing.efficiency import efficiency, flash_share
from parity.timing.roofline import (
    AttentionShape,
    Cost,
    Tiling,
    attention_shape_efficiency,
    cached_share,
    gemm_shape_efficiency,
    roofline,
)
from parity.timing.software import Software
from parity.workload.dtype import DTYPE_BYTES

#: Activations and everything that is not a matrix product stay at 16 bits.
ACTIVATION_BYTES = 2.0


@dataclass(frozen=True)
class Rates:
    """What one chip achieves at one dtype."""

    dtype: str
    element_bytes: float  # of a matrix operand
    weight_bytes: float  # of a weight, where it is stored narrower than it is multiplied
    gemm_flop_per_s: Number
    gemm_bytes_per_s: Number
    gemm_launch_s: Number
    routed_launch_s: Number
    routed_passes: Number
    tiling: Tiling | None  # None: products of every shape reach the best rate
    attention_forward_flop_per_s: Number
    attention_backward_flop_per_s: Number
    attention_launch_s: Number
    cached_flop_per_s: Number  # of attention on caches: it waits for memory, and so keeps its clock
    cache_bytes_per_s: Number
    cache_launch_s: Number
    attention_shape: AttentionShape
    scan_flop_per_s: Number
    bytes_per_s: Number
    launch_s: Number
    units: int
    basis: str
    cast: bool = True  # whether inputs are narrowed by a kernel of their own
    weights: Rates | None = None  # of products of weight gradients, where they differ


def rates(
    machine: Machine,
    dtype: str,
    draw: Draw = central,
    software: Software | None = None,
    weights: str = "",
    *,
    serving: bool = False,
) -> Rates:
    """Achieved rates of `machine` with matrix products in `dtype`, attention in 16 bits.

    software: whose kernels they are; the best there are where it is None. weights: what weights
    are stored in where that is narrower: they are widened as they are read, which costs a share
    of the rate [Frantar et al. 2024, MARLIN, arXiv 2408.11743]. serving: for the short and varied
    steps of an engine, not for hours of training.
    """
    kernel_share = software.kernel_share if software else 1.0
    flash = flash_share(machine, software.flash, draw) if software else 1.0
    half = "bf16" if "bf16" in machine.peak_flop_per_s else "fp16"
    eff = efficiency(machine, dtype, draw, weights)
    attention = efficiency(machine, half, draw)
    narrow = DTYPE_BYTES[dtype] < ACTIVATION_BYTES
    if software and narrow:
        flash = flash * software.narrow_attention
    wide_peak = kernel_share * machine.peak_flop_per_s[half]
    held = flash * wide_peak * (attention.served if serving else attention.attention_sustained)
    peak = kernel_share * machine.peak_flop_per_s[dtype] * eff.widened
    gap = machine.launch_share
    wide = software is not None and software.wide_weight_gradients and narrow
    return Rates(
        dtype=dtype,
        element_bytes=DTYPE_BYTES[dtype],
        weight_bytes=DTYPE_BYTES[weights or dtype],
        gemm_flop_per_s=peak * eff.gemm * (eff.served if serving else eff.sustained),
        gemm_bytes_per_s=machine.memory_bandwidth_bytes_per_s * eff.gemm_memory,
        gemm_launch_s=gap * eff.gemm_launch_s,
        routed_launch_s=gap * eff.routed_launch_s,
        routed_passes=eff.routed_passes,
        tiling=eff.tiling,
        attention_forward_flop_per_s=held * attention.attention_forward,
        attention_backward_flop_per_s=held * attention.attention_backward,
        attention_launch_s=gap * attention.attention_launch_s,
        cached_flop_per_s=kernel_share
        * machine.peak_flop_per_s[half]
        * attention.attention_forward,
        cache_bytes_per_s=machine.memory_bandwidth_bytes_per_s * attention.cache_memory,
        cache_launch_s=gap * attention.cache_launch_s,
        attention_shape=attention.attention_shape,
        scan_flop_per_s=machine.peak_flop_per_s[half] * attention.scan,
        bytes_per_s=machine.memory_bandwidth_bytes_per_s * eff.memory,
        launch_s=gap * eff.launch_s,
        units=machine.units,
        basis=eff.basis,
        weights=rates(machine, half, draw, software) if wide else None,
    )


def gemm_cost(work: Gemm, rate: Rates) -> Cost:
    """Time of a (batched) matrix product whose first input arrives in 16 bits.

    In a narrower dtype the input is quantised first: read at 16 bits, written narrow, and once
    more transposed for the product of the backward pass that takes it along the other side. A
    serving engine narrows it where it is made.
    """
    cost = product_cost(work, rate)
    if rate.element_bytes >= ACTIVATION_BYTES or not rate.cast:
        return cost
    cast = work.batch * work.m * work.k * (ACTIVATION_BYTES + 2 * rate.element_bytes)
    return add(cost, Cost(0.0 * cast, cast / rate.bytes_per_s, rate.launch_s))


def product_cost(work: Gemm, rate: Rates) -> Cost:
    """Time of a (batched) matrix product of inputs that are in its dtype already."""
    shape = gemm_shape_efficiency(work.m, work.n, work.k, rate.units, rate.tiling, work.batch)
    speed = rate.gemm_flop_per_s * shape
    moved = work.batch * work.m * work.k * rate.element_bytes
    moved = moved + work.batch * work.k * work.n * rate.weight_bytes
    moved = moved + work.batch * work.m * work.n * ACTIVATION_BYTES
    return roofline(work.flop, moved, speed, rate.gemm_bytes_per_s, rate.gemm_launch_s)


def forward_cost(work: Work, rate: Rates, software: Software) -> Cost:
    """Time of the forward pass of one operator."""
    match work:
        case Gemm():
            return gemm_cost(work, rate)
        case AttentionWork() if software.fused_attention:
            speed = rate.attention_forward_flop_per_s
            return fused_attention(work, 1.0, 1.0, speed, rate)
        case AttentionWork():
            return unfused_attention(work, 1.0, software.score_bytes_forward, rate)
        case Scan():
            return _scan(work, 1.0, rate)
        case Stream():
            return _stream(work, software.traffic, 1.0, rate)


def weight_cost(work: Gemm, rate: Rates) -> Cost:
    """Time of the part of the backward pass that nothing waits for: the gradient of the weight."""
    product = Gemm(m=work.k, n=work.n, k=work.m, batch=work.batch)
    return product_cost(product, rate.weights or rate)


def input_cost(work: Work, rate: Rates, software: Software) -> Cost:
    """Time of the rest of the backward pass, the gradient of the input. Attention does 2.5 times
    its forward FLOPs when it is fused, because it computes the scores again [Dao 2023], else 2; a
    scan 3 times, because it computes its states again [Dao, Gu 2024, arXiv 2405.21060, §6].
    """
    match work:
        case Gemm(m=m, n=n, k=k, batch=batch):
            return gemm_cost(Gemm(m=m, n=k, k=n, batch=batch), rate)
        case AttentionWork() if software.fused_attention:
            speed = rate.attention_backward_flop_per_s
            return fused_attention(work, 2.5, 2.0, speed, rate)
        case AttentionWork():
            return unfused_attention(work, 2.0, software.score_bytes_backward, rate)
        case Scan():
            return _scan(work, 3.0, rate)
        case Stream():
            return _stream(work, 2.0 * software.traffic, 2.0, rate)


def fused_attention(
    work: AttentionWork, flop: float, traffic: float, flop_per_s: Number, rate: Rates
) -> Cost:
    """Attention as one kernel that never stores the scores.

    flop, traffic: over those of one forward pass. flop_per_s: on long sequences.
    """
    width = (work.qk_dim + work.v_dim) / 2
    share = attention_shape_efficiency(work.keys, width, rate.attention_shape)
    share = np.where(share > 0, share, 1.0)  # without keys there is nothing to do, at any rate
    moved = traffic * work.elements * ACTIVATION_BYTES
    if not work.cached:
        speed = flop_per_s * share
        return roofline(flop * work.flop, moved, speed, rate.bytes_per_s, rate.attention_launch_s)
    speed = rate.cached_flop_per_s * share
    short = 1.0 / cached_share(work.keys, rate.attention_shape) - 1.0
    moved = moved + short * work.cached_elements * ACTIVATION_BYTES
    return roofline(flop * work.flop, moved, speed, rate.cache_bytes_per_s, rate.cache_launch_s)


def permute_cost(work: Work, rate: Rates) -> Cost:
    """Time of sorting tokens by expert and adding them up again, around the products of experts.

    It is charged to the product that ends an expert. In training `Software.routed` holds it.
    """
    if not (isinstance(work, Gemm) and work.combined):
        return Cost(0.0, 0.0, 0.0)
    routed = work.batch * work.m * work.n * ACTIVATION_BYTES
    passes = rate.routed_passes * routed / rate.bytes_per_s
    return Cost(0.0 * passes, passes, rate.routed_launch_s)


def unfused_attention(
    work: AttentionWork, products: float, score_bytes: float, rate: Rates
) -> Cost:
    """Attention as separate kernels: whole score matrices, shallow products, passes over scores.

    products: pairs of matrix products, 1 forward and 2 backward. score_bytes: moved per score.
    """
    side = np.maximum(np.sqrt(np.maximum(work.score_elements, 1.0)), 1.0)
    scores = gemm_shape_efficiency(side, side, work.qk_dim, 0, rate.tiling)
    values = gemm_shape_efficiency(side, work.v_dim, side, 0, rate.tiling)
    depth = work.qk_dim / scores + work.v_dim / values
    compute = products * 2.0 * work.score_elements * depth / rate.gemm_flop_per_s
    memory = work.score_elements * score_bytes / rate.bytes_per_s
    return Cost(compute_s=compute, memory_s=memory, launch_s=(2 * products + 2) * rate.launch_s)


def _scan(work: Scan, times_over: float, rate: Rates) -> Cost:
    """A chunked scan: small products between steps that wait for one another."""
    moved = times_over * work.elements * ACTIVATION_BYTES
    flop = times_over * work.flop
    return roofline(flop, moved, rate.scan_flop_per_s, rate.bytes_per_s, 4.0 * rate.launch_s)


def _stream(work: Stream, traffic: float, kernels: float, rate: Rates) -> Cost:
    memory = traffic * work.elements * ACTIVATION_BYTES / rate.bytes_per_s
    return Cost(np.zeros_like(memory), memory, kernels * rate.launch_s)


def add(*costs: Cost) -> Cost:
    """Costs one after another."""
    return Cost(
        compute_s=sum(c.compute_s for c in costs),
        memory_s=sum(c.memory_s for c in costs),
        launch_s=sum(c.launch_s for c in costs),
    )


def times(count: Number, cost: Cost) -> Cost:
    """A cost `count` times over."""
    return Cost(count * cost.compute_s, count * cost.memory_s, count * cost.launch_s)
