"""The fit of what only whole steps show: it finds what was put in, and forgets what is left out."""

import numpy as np
import pytest

from parity.evidence import read
from parity.evidence.fit import GROUPS, HELD_OUT, STATED, fit, steps_of, training_fit
from parity.evidence.fitting import Steps, fitted

KEYS = ("hopper.sustained.16", "volta.sustained.16")
VALUES = np.array([0.75, 0.75])


def made(truth: float, rows: int, source: str = "made") -> Steps:
    """Steps on Hopper whose whole time is compute, measured at `truth` instead of 0.75."""
    return Steps(
        groups=GROUPS,
        keys=KEYS,
        stated=VALUES,
        source=np.array([source] * rows),
        miss=np.full(rows, np.log(truth / 0.75)),
        slope=np.tile([-1.0, 0.0], (rows, 1)),
    )


def joined(*parts: Steps) -> Steps:
    return Steps(
        groups=GROUPS,
        keys=KEYS,
        stated=VALUES,
        source=np.concatenate([p.source for p in parts]),
        miss=np.concatenate([p.miss for p in parts]),
        slope=np.concatenate([p.slope for p in parts]),
    )


def hopper(steps: Steps, leave_out: str = "") -> float:
    return fitted(steps, (*HELD_OUT, leave_out)).figures["hopper.sustained.16"]


@pytest.fixture(scope="module")
def bundled() -> Steps:
    return steps_of(read.bundled())


def test_many_rows_find_the_number_that_made_them() -> None:
    assert hopper(made(0.60, 4000)) == pytest.approx(0.60, abs=0.01)


def test_a_single_row_hardly_moves_the_prior() -> None:
    centre = next(g.centre for g in GROUPS if g.holds(KEYS[0]))
    one, many = (hopper(made(0.6, n)) for n in (1, 4000))
    assert abs(one - centre) < 0.7 * abs(many - centre)


def test_a_wild_row_hardly_moves_the_rest() -> None:
    wild = joined(made(0.6, 99), made(0.1, 1))
    assert hopper(wild) == pytest.approx(hopper(made(0.6, 99)), abs=0.01)


def test_a_source_left_out_has_no_say() -> None:
    both = joined(made(0.55, 100, "a"), made(0.85, 100, "b"))
    assert hopper(both, leave_out="a") == pytest.approx(hopper(made(0.85, 100, "b")), rel=1e-6)
    assert hopper(both, leave_out="b") == pytest.approx(hopper(made(0.55, 100, "a")), rel=1e-6)


def test_what_the_tests_hold_the_model_against_is_never_fitted_to() -> None:
    held, own = made(0.45, 500, HELD_OUT[0]), made(0.8, 50, "own")
    assert hopper(joined(held, own)) == pytest.approx(hopper(own), rel=1e-6)


def test_a_family_without_rows_follows_the_others() -> None:
    assert 0.55 < fitted(made(0.55, 4000)).figures["volta.sustained.16"] < 0.75


def test_the_reference_generation_is_not_fitted(bundled: Steps) -> None:
    assert not set(STATED) & set(bundled.keys)


def test_figures_of_single_chips_and_of_kernels_are_not_touched(bundled: Steps) -> None:
    draw = fit(read.bundled())
    found = training_fit(read.bundled())
    assert draw("hopper.sustained.16", 0.7, 0.5, 1.0) == found.figures["hopper.sustained.16"]
    assert draw("hopper.gemm.bf16", 0.8, 0.7, 0.9) == 0.8
    assert draw("h20-96.sustained.16", 0.82, 0.5, 1.0) == 0.82
    assert [draw(key, 1.23, 1.0, 2.0) for key in STATED] == [1.23] * len(STATED)
    mean = next(mean for g, mean in found.means.items() if g.holds("ppu.sustained.16"))
    assert draw("ppu.sustained.16", 0.75, 0.5, 1.0) == mean


def test_the_files_hold_what_the_fit_finds(bundled: Steps) -> None:
    """Within what a linear model is good for: `python tools/fit_steps.py training --write`."""
    found = training_fit(read.bundled()).figures
    assert len(found) <= len(bundled.miss) / 20
    stated = dict(zip(bundled.keys, bundled.stated, strict=True))
    assert {k: v for k, v in found.items() if stated[k] != pytest.approx(v, rel=0.03)} == {}
