"""Operator times against rooflines worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parity.timing.roofline import gemm_shape_efficiency, roofline

DIMENSION = st.integers(1, 65536)


def test_the_larger_of_compute_and_memory_counts() -> None:
    compute_bound = roofline(1e12, 1e6, 1e14, 1e12, 2e-6)
    assert compute_bound.total_s == pytest.approx(1e-2 + 2e-6)
    assert compute_bound.memory_s == 0
    memory_bound = roofline(1e6, 1e9, 1e14, 1e12, 2e-6)
    assert memory_bound.total_s == pytest.approx(1e-3 + 2e-6)
    assert memory_bound.compute_s == 0


def test_whole_tiles_and_a_deep_k_waste_little() -> None:
    assert gemm_shape_efficiency(8192, 8192, 8192, 108) > 0.95


def test_one_row_too_many_starts_a_new_row_of_tiles() -> None:
    whole, spilt = (float(gemm_shape_efficiency(m, 4096, 4096, 0)) for m in (256, 257))
    assert spilt < 0.9 * whole


def test_a_wave_that_is_barely_begun_leaves_cores_idle() -> None:
    # 108 cores, tiles of 128 x 256: 12 x 9 tiles are one wave, 13 x 9 begin a second.
    one = float(gemm_shape_efficiency(12 * 128, 9 * 256, 8192, 108))
    two = float(gemm_shape_efficiency(13 * 128, 9 * 256, 8192, 108))
    assert two < one


@given(m=DIMENSION, n=DIMENSION, k=DIMENSION, units=st.sampled_from([0, 24, 78, 108, 132, 304]))
def test_no_shape_beats_the_peak(m, n, k, units) -> None:
    assert 0 < float(gemm_shape_efficiency(m, n, k, units)) <= 1


@given(m=DIMENSION, n=DIMENSION, k=DIMENSION)
def test_a_deeper_product_is_never_less_efficient(m, n, k) -> None:
    shallow, deep = (float(gemm_shape_efficiency(m, n, x, 108)) for x in (k, 2 * k))
    assert deep >= shallow


def test_arrays_give_what_scalars_give() -> None:
    m = np.array([1.0, 100, 4096])
    together = gemm_shape_efficiency(m, 4096, 1024, 132)
    assert together == pytest.approx([float(gemm_shape_efficiency(x, 4096, 1024, 132)) for x in m])
