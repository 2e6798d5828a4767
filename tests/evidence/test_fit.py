"""The fit of what each family holds: it finds what was put in, and forgets what is left out."""

import numpy as np
import pytest

from parity.evidence import read
from parity.evidence.fit import FINE, HELD_OUT, Steps, fit, steps_of, sustained
from parity.timing.efficiency import book


def made(truth: float, rows: int, source: str = "made", family: str = "hopper") -> Steps:
    """Steps whose whole time is compute at `truth` of the kernel rate."""
    return Steps(
        family=np.array([family] * rows),
        source=np.array([source] * rows),
        log_miss=np.repeat(np.log(truth / FINE)[:, None], rows, axis=1),
    )


def joined(*parts: Steps) -> Steps:
    return Steps(
        np.concatenate([p.family for p in parts]),
        np.concatenate([p.source for p in parts]),
        np.concatenate([p.log_miss for p in parts], axis=1),
    )


def test_many_rows_find_the_number_that_made_them() -> None:
    assert sustained(made(0.60, 400))["hopper"] == pytest.approx(0.60, abs=0.02)


def test_a_single_row_hardly_moves_the_prior() -> None:
    centre = book().prior.sustained.value
    one, many = (sustained(made(0.5, n))["hopper"] for n in (1, 400))
    assert abs(one - centre) < abs(many - centre)


def test_a_source_left_out_has_no_say() -> None:
    both = joined(made(0.55, 100, "a"), made(0.85, 100, "b"))
    assert sustained(both, leave_out="a") == sustained(made(0.85, 100, "b"))
    assert sustained(both, leave_out="b") == sustained(made(0.55, 100, "a"))


def test_what_the_tests_hold_the_model_against_is_never_fitted_to() -> None:
    held = made(0.45, 500, HELD_OUT[0])
    own = made(0.8, 50, "own")
    assert sustained(joined(held, own)) == sustained(own)


def test_families_without_rows_take_the_mean_of_the_others_and_other_figures_stay() -> None:
    draw = fit(read.bundled())
    found = sustained(steps_of(tuple(read.bundled())))
    mean = np.exp(np.mean(np.log(list(found.values()))))
    assert draw("ppu.sustained", 0.75, 0.5, 1.0) == pytest.approx(mean)
    assert draw("hopper.sustained", 0.7, 0.5, 1.0) == found["hopper"]
    assert draw("hopper.gemm.bf16", 0.8, 0.7, 0.9) == 0.8
    assert draw("h20-96.sustained", 0.82, 0.5, 1.0) == 0.82


def test_the_file_holds_what_the_fit_finds() -> None:
    """Rounded, and within what a source more or less moves it by."""
    found = sustained(steps_of(tuple(read.bundled())))
    families = book().families
    for family in ("ampere", "hopper", "blackwell", "volta", "tpu-v5"):
        own = families[family].sustained
        assert own is not None
        assert own.value == pytest.approx(found[family], abs=0.06)
    assert len(found) < 903 / 20
