"""What serving measurements say of engines and chips, and the range that they leave."""

import numpy as np
import pytest

from parity.evidence import read
from parity.evidence.fit_serving import STATED, miss_ranges, runs_of, serving_fit
from parity.evidence.fitting import Steps, left_out
from parity.timing.engine import CURRENT_ENGINE, engine


@pytest.fixture(scope="module")
def bundled() -> Steps:
    return runs_of(tuple(read.bundled_serving()))


def test_the_file_holds_what_the_fit_finds(bundled: Steps) -> None:
    """Within what a linear model is good for: `python tools/fit_steps.py serving --write`."""
    found = serving_fit(read.bundled_serving()).figures
    assert len(found) <= len(bundled.miss) / 20
    stated = dict(zip(bundled.keys, bundled.stated, strict=True))
    assert {k: v for k, v in found.items() if stated[k] != pytest.approx(v, rel=0.05)} == {}
    assert not set(STATED) & set(bundled.keys)


def test_sources_left_out_are_predicted_within_the_bars(bundled: Steps) -> None:
    error = np.abs(np.expm1(-left_out(bundled)))
    assert np.median(error) <= 0.15
    assert np.quantile(error, 0.9) <= 0.45


def test_ranges_are_those_that_left_out_predictions_leave(bundled: Steps) -> None:
    found = miss_ranges(read.bundled_serving())
    for name, (low, high) in found.items():
        assert low <= 1.0 <= high
        assert engine(name).misses == pytest.approx((low, high), rel=0.05)
    low, high = found[CURRENT_ENGINE]
    misses = np.exp(left_out(bundled))
    middle = (1 - 0.8 * (1 - low) <= misses) & (misses <= 1 + 0.8 * (high - 1))
    assert np.mean(middle) == pytest.approx(0.8, abs=0.01)
