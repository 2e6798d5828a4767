"""Operator times against rooflines worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parity.timing.roofline import (
    AttentionShape,
    Tiling,
    attention_shape_efficiency,
    cached_share,
    gemm_shape_efficiency,
    roofline,
)

DIMENSION = st.integers(1, 65536)
TILING = Tiling(rates=(1.0, 0.8, 0.35), prologue=180, idle_share=0.4, split_depth=2000)
SHAPES = st.builds(
    AttentionShape,
    half_keys=st.floats(0, 2000),
    full_width=st.floats(16, 256),
    half_cached=st.floats(0, 200),
)


def test_the_larger_of_compute_and_memory_counts() -> None:
    compute_bound = roofline(1e12, 1e6, 1e14, 1e12, 2e-6)
    assert compute_bound.total_s == pytest.approx(1e-2 + 2e-6)
    assert compute_bound.memory_s == 0
    memory_bound = roofline(1e6, 1e9, 1e14, 1e12, 2e-6)
    assert memory_bound.total_s == pytest.approx(1e-3 + 2e-6)
    assert memory_bound.compute_s == 0


def test_whole_tiles_and_a_deep_k_waste_little() -> None:
    assert gemm_shape_efficiency(8192, 8192, 8192, 108, TILING) > 0.95


def test_one_row_too_many_starts_a_new_row_of_tiles() -> None:
    whole, spilt = (float(gemm_shape_efficiency(m, 4096, 4096, 0, TILING)) for m in (256, 257))
    assert spilt < 0.9 * whole


def test_a_wave_that_is_barely_begun_leaves_cores_idle() -> None:
    # 108 cores, tiles of 128 x 256: 12 x 9 tiles are one wave, 13 x 9 begin a second.
    one = float(gemm_shape_efficiency(12 * 128, 9 * 256, 8192, 108, TILING))
    two = float(gemm_shape_efficiency(13 * 128, 9 * 256, 8192, 108, TILING))
    assert two < one


@given(m=DIMENSION, n=DIMENSION, k=DIMENSION, units=st.sampled_from([0, 24, 78, 108, 132, 304]))
def test_no_shape_beats_the_peak(m, n, k, units) -> None:
    assert 0 < float(gemm_shape_efficiency(m, n, k, units, TILING)) <= 1


@given(m=DIMENSION, n=DIMENSION, k=DIMENSION)
def test_a_deeper_product_is_never_less_efficient(m, n, k) -> None:
    shallow, deep = (float(gemm_shape_efficiency(m, n, x, 108, TILING)) for x in (k, 2 * k))
    assert deep >= shallow


def test_half_of_the_rate_at_the_keys_that_say_so() -> None:
    shape = AttentionShape(half_keys=400, full_width=64, half_cached=20)
    assert attention_shape_efficiency(400, 128, shape) == pytest.approx(1 / 2)
    # Narrow heads lose to exponentials, and more of a block is its beginning and its end.
    narrow = attention_shape_efficiency(400, 32, shape)
    assert narrow == pytest.approx(1 / 2 * 400 / (400 + 400 * (1 + 4) / 2))


@given(shape=SHAPES, keys=st.floats(1, 1e6), width=st.floats(8, 512), factor=st.floats(1, 10))
def test_more_keys_and_wider_heads_never_cost_rate(shape, keys, width, factor) -> None:
    share = attention_shape_efficiency(keys, width, shape)
    assert 0 < share <= 1
    assert attention_shape_efficiency(factor * keys, width, shape) >= share * (1 - 1e-12)
    assert attention_shape_efficiency(keys, factor * width, shape) >= share * (1 - 1e-12)
    assert 0 < cached_share(keys, shape) <= cached_share(factor * keys, shape) * (1 + 1e-12)


def test_arrays_give_what_scalars_give() -> None:
    m = np.array([1.0, 100, 4096])
    together = gemm_shape_efficiency(m, 4096, 1024, 132, TILING)
    assert together == pytest.approx(
        [float(gemm_shape_efficiency(x, 4096, 1024, 132, TILING)) for x in m]
    )
