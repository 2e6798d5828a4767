"""The curves against kernels that NVIDIA measured: a sample of the tables they were fitted to.

`measured_kernels.csv` is a sample of the tables of aiconfigurator-core 0.12.0 (NVIDIA, Apache-2.0),
written by `tools/fit_kernels.py`.
"""

import csv
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from parity.catalogue.load import chip
from parity.catalogue.machine import machine
from parity.evaluate.kernels import Rates, fused_attention, permute_cost, product_cost, rates
from parity.layout.shard import AttentionWork, Gemm
from parity.timing.efficiency import efficiency
from parity.timing.roofline import gemm_shape_efficiency

ROWS = Path(__file__).with_name("measured_kernels.csv")


@cache
def alone(chip_id: str, dtype: str) -> Rates:
    """Rates of kernels measured alone: nothing is lost to heat over hours."""
    made = machine(chip(chip_id))
    own, half = efficiency(made, dtype), efficiency(made, "bf16")
    return replace(
        rates(made, dtype),
        gemm_flop_per_s=made.peak_flop_per_s[dtype] * own.gemm,
        attention_forward_flop_per_s=made.peak_flop_per_s["bf16"] * half.attention_forward,
    )


def product(rate, m, n, k):
    return product_cost(Gemm(m, n, k, 1.0), rate).total_s


def prompt(rate, batch, s, heads, kv, width, window):
    seen = min(window, s) if window else s
    work = AttentionWork(
        flop=4 * batch * heads * width * (s * seen - seen * (seen - 1) / 2),
        keys=seen - seen * (seen - 1) / (2 * s),
        elements=2 * batch * s * width * (heads + kv),
        score_elements=0.0,
        qk_dim=width,
        v_dim=width,
    )
    return fused_attention(work, 1.0, 1.0, rate.attention_forward_flop_per_s, rate).total_s


def cached(rate, batch, keys, heads, kv, width):
    work = AttentionWork(
        flop=4 * batch * heads * width * keys,
        keys=keys,
        elements=2 * batch * width * (keys * kv + heads),
        score_elements=0.0,
        qk_dim=width,
        v_dim=width,
        cached_elements=2 * batch * width * keys * kv,
    )
    return fused_attention(work, 1.0, 1.0, rate.attention_forward_flop_per_s, rate).total_s


def experts(rate, tokens, hidden, inner, active, experts, tp, ep):
    hit = experts / ep * (1 - (1 - active / experts) ** tokens)
    m, inner = tokens * active / ep / hit, inner / tp
    up = Gemm(m, 2 * inner, hidden, hit)
    down = Gemm(m, hidden, inner, hit, combined=True)
    products = product_cost(up, rate).total_s + product_cost(down, rate).total_s
    activation = rate.launch_s + 3 * m * hit * inner * 2 / rate.bytes_per_s
    return products + activation + permute_cost(down, rate).total_s


KINDS = {"product": product, "prompt": prompt, "cache": cached, "experts": experts}


@cache
def misses(kind):
    """(chip, dtype, numbers of the shape, ln of predicted over measured) of each row of a kind."""
    found = []
    with ROWS.open() as file:
        for row in csv.DictReader(file):
            if row["kind"] == kind:
                numbers = {k: float(v) for k, v in (w.split("=") for w in row["shape"].split())}
                seconds = KINDS[kind](alone(row["chip"], row["dtype"]), **numbers)
                miss = float(np.log(seconds / (float(row["us"]) / 1e6)))
                found.append((row["chip"], row["dtype"], numbers, miss))
    return found


@pytest.mark.parametrize(
    ("kind", "median", "ninetieth"),
    # As fitted, with some air: what moves these has moved a curve.
    [
        ("product", 0.12, 0.40), ("prompt", 0.20, 0.65),
        ("cache", 0.20, 0.80), ("experts", 0.20, 0.80),
    ],
)  # fmt: skip
def test_kernels_are_predicted_from_the_smallest_to_the_largest(kind, median, ninetieth) -> None:
    size = np.abs([miss for *_, miss in misses(kind)])
    assert np.median(size) < median
    assert np.quantile(size, 0.9) < ninetieth


@pytest.mark.parametrize(
    "chip_id", ["a100-sxm-80", "h100-sxm", "h200-sxm", "b200-sxm", "b300-sxm", "gb200", "gb300"]
)
def test_products_as_training_has_them_are_within_a_tenth_in_the_median(chip_id) -> None:
    miss = [
        x for c, d, s, x in misses("product")
        if c == chip_id and d == "bf16" and min(s["m"], s["n"]) >= 1024 and s["k"] >= 512
    ]  # fmt: skip
    assert len(miss) >= 5
    assert np.median(np.abs(miss)) < 0.10


def test_experts_run_at_the_rate_of_their_own_products() -> None:
    """No coefficient makes grouped products slower than as many dense ones of their size."""
    miss = [
        x for c, d, s, x in misses("experts")
        if c != "a100-sxm-80" and s["tokens"] * s["active"] / s["experts"] >= 256
    ]  # fmt: skip
    assert len(miss) >= 20
    assert abs(np.median(miss)) < 0.15


def test_without_tiles_and_waves_small_products_would_be_missed() -> None:
    """The shape is most of what is known of products that leave cores idle."""
    small = [
        (c, s, x) for c, d, s, x in misses("product")
        if d == "bf16" and s["m"] * s["n"] < 1e6 and s["k"] >= 8192
    ]  # fmt: skip
    assert small
    shares = []
    for chip_id, s, _ in small:
        rate = alone(chip_id, "bf16")
        shares.append(gemm_shape_efficiency(s["m"], s["n"], s["k"], rate.units, rate.tiling))
    assert np.median(shares) < 0.5
    assert abs(np.median([x for *_, x in small])) < 0.25
