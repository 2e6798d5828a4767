"""What serving measurements say of engines and chips."""

import tomllib

import numpy as np
import pytest

import fit_steps
from parity.evidence import read
from parity.evidence.fit_serving import STATED, fit_engines, runs_of, serving_fit
from parity.evidence.fitting import Steps, left_out


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


def test_left_out_figures_take_the_mean_of_their_kind_and_stated_ones_stay(bundled: Steps) -> None:
    """vLLM 0 shows its host in one source alone: without it nothing of that is known."""
    rows = read.bundled_serving()
    column = bundled.keys.index("engine.vllm-v0.step_s")
    (source,) = np.unique(bundled.source[np.abs(bundled.slope[:, column]) > 1e-6])
    draw, without = fit_engines(rows, source), serving_fit(rows, source)
    mean = next(m for g, m in without.means.items() if g.ending == ".step_s")
    assert draw("engine.vllm-v0.step_s", 1.0, 1.0, 1.0) == pytest.approx(mean, rel=1e-3)
    assert draw("engine.unheard-of.step_s", 1.0, 1.0, 1.0) == mean
    assert [draw(key, 1.23, 1.0, 2.0) for key in STATED] == [1.23] * len(STATED)


def test_what_is_fitted_is_written_where_it_is_read() -> None:
    found = {"hopper.served.16": 0.8, "prior.served.16": 0.8, "engine.trtllm-1.routed": 1.5}
    page = tomllib.loads(fit_steps.page("serving", found))
    assert page["engines"] == {"trtllm-1": {"routed": 1.5}}
    family, prior = page["families"]["hopper"]["served"]["16"], page["prior"]["served"]["16"]
    assert family["provenance"] == "measured"
    assert prior["provenance"] == "derived"
    assert prior["low"] < family["low"] < 0.8 < family["high"] < prior["high"]
