"""What is left of measurements when the ranges of figures are taken off: found where put in."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from parity.catalogue.load import chip
from parity.evidence import read
from parity.evidence.misses import (
    class_misses,
    clustering,
    counted,
    fit_misses,
    held,
    held_ratios,
    weighted_quantile,
)
from parity.evidence.residuals import SAMPLES, Residuals
from parity.timing.draw import Sampler
from parity.timing.misses import Miss, Misses, drawn_apart, drawn_by, stretched

ROW = read.bundled_serving()[0]
CHIPS = [chip(name) for name in ("h100", "h200", "a100", "l40s")]


def made(
    known: float, miss: float, rows: int = 400, sources: int = 8, parts=(0.0, 0.0, 1.0), seed=0
) -> Residuals:
    """Rows of four chips whose figures spread by `known` and that are off by as much and `miss`
    besides, each from P10 to P90 on either side.
    """
    rng = np.random.default_rng(seed)
    of = [CHIPS[i % 4] for i in range(rows)]
    one = np.ravel(drawn_apart((1.0,), ("a",), Sampler(SAMPLES)))
    error = rng.normal(0, known / 1.2816, rows)
    for i in range(rows // 4):
        draw = Sampler(1, seed=seed * 10_000 + i)
        for j in range(4):
            standing = drawn_apart(parts, drawn_by("serving", "made", of[4 * i + j]), draw)
            error[4 * i + j] += np.ravel(stretched(standing, Miss(-miss, miss)))[0]
    return Residuals(
        task="serving",
        rows=tuple(
            replace(ROW, id=str(i), set=f"source {i // 4 % sources}", concurrency=1 + i // 4)
            for i in range(rows)
        ),
        chips=tuple(of),
        counts=np.ones(rows, dtype=np.int64),
        generations=np.array(["made"] * rows),
        left_out=error,
        known=known * np.tile(one[:, None], (1, rows)),
    )


def test_what_figures_explain_is_not_counted_again() -> None:
    found = class_misses(made(known=0.2, miss=0.0)).of("made")
    assert (found.low, found.high) == pytest.approx((0.0, 0.0), abs=0.1)
    assert class_misses(made(known=0.4, miss=0.0)).of("made").high < 0.5 * 0.4


@pytest.mark.parametrize("known", [0.0, 0.1, 0.2])
def test_what_is_missed_besides_is_found_again(known: float) -> None:
    found = class_misses(made(known, miss=0.3)).of("made")
    assert (found.low, found.high) == pytest.approx((-0.3, 0.3), abs=0.06)


@pytest.mark.parametrize("known", [0.0, 0.1, 0.3])
def test_ranges_hold_what_they_were_found_from(known: float) -> None:
    errors = made(known, miss=0.2)
    assert np.mean(held(errors, class_misses(errors))) == pytest.approx(0.8, abs=0.06)


@pytest.mark.parametrize("parts", [(0.0, 0.0, 1.0), (0.0, 0.6, 0.4), (0.6, 0.3, 0.1)])
def test_what_chips_share_is_found_from_their_ratios(parts) -> None:
    errors = made(0.05, 0.3, rows=1600, parts=parts)
    found = fit_misses(errors)
    assert found.family == pytest.approx(parts[0] + parts[1], abs=0.15)
    assert found.vendor == pytest.approx(parts[0], abs=0.2)
    pairs = errors.pairs()
    assert len(pairs) == 6 * 400
    assert np.mean(held_ratios(errors, pairs, found)) == pytest.approx(0.8, abs=0.05)


def test_a_ratio_of_what_shares_everything_is_known() -> None:
    errors = made(known=0.2, miss=0.3)
    pairs = errors.pairs()
    nothing_apart = Misses(1.0, 1.0, Miss(-0.3, 0.3), {})
    inside = held_ratios(errors, pairs, nothing_apart)
    measured = errors.left_out[pairs[:, 0]] - errors.left_out[pairs[:, 1]]
    assert np.array_equal(inside, measured == 0)


def test_rows_of_one_source_go_wrong_together_or_they_do_not() -> None:
    rng = np.random.default_rng(1)
    sources = np.repeat([f"s{i}" for i in range(50)], 20)
    common = np.repeat(rng.normal(size=50), 20)
    assert clustering(common, sources) == pytest.approx(1.0)
    assert clustering(rng.normal(size=1000), sources) == pytest.approx(0.0, abs=0.03)
    both = 0.5**0.5 * (common + rng.normal(size=1000))
    assert clustering(both, sources) == pytest.approx(0.5, abs=0.12)
    assert clustering(common, np.array(["one"] * 1000)) == 0.0


@given(st.lists(st.integers(1, 60), min_size=1, max_size=8), st.floats(0.0, 1.0))
def test_a_source_counts_for_no_more_than_its_rows_and_no_less_than_one(sizes, rho) -> None:
    sources = np.concatenate([[f"s{i}"] * n for i, n in enumerate(sizes)])
    weight = counted(sources, rho)
    for i, n in enumerate(sizes):
        own = weight[sources == f"s{i}"].sum()
        assert own == pytest.approx(n / (1 + (n - 1) * rho))
        assert 1 - 1e-9 <= own <= n + 1e-9


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=30), st.floats(0, 1), st.floats(0, 1))
def test_quantiles_rise(values: list[float], one: float, other: float) -> None:
    array, weight = np.array(values), np.ones(len(values))
    low, high = (weighted_quantile(array, weight, at) for at in sorted((one, other)))
    assert array.min() <= low <= high <= array.max()


@settings(max_examples=20, deadline=None)
@given(st.floats(0.02, 0.3), st.floats(0.02, 0.3), st.integers(0, 99))
def test_the_more_figures_explain_the_less_is_missed(one, other, seed) -> None:
    wide, narrow = max(one, other), min(one, other)
    errors = made(0.2, 0.2, rows=120, seed=seed)

    def with_known(by: float) -> Miss:
        return class_misses(
            Residuals(
                errors.task, errors.rows, errors.chips, errors.counts, errors.generations,
                errors.left_out, errors.known * by / 0.2,
            )
        ).of("made")  # fmt: skip

    more, less = with_known(narrow), with_known(wide)
    assert more.high - more.low >= less.high - less.low - 0.02
