"""What is assumed of chips that nobody measured follows from those that somebody did."""

from dataclasses import replace

import numpy as np
import pytest

from parity.catalogue.load import chip
from parity.catalogue.machine import machine
from parity.timing.efficiency import BEST_SHARE, book, efficiency

#: One chip for every measured share of a peak: of a family, or of a chip apart from its family.
MEASURED = (
    "l40s", "a100", "h100", "b200", "mi210", "mi300x", "mi325x", "mi355x", "gaudi2", "gaudi3",
    "910b", "c500", "bi150", "v100", "h20", "rtxpro6000-bw-server",
)  # fmt: skip


def watts_and_share(name):
    one = machine(chip(name))
    half = "bf16" if "bf16" in one.peak_flop_per_s else "fp16"
    return one.tdp_w / (one.peak_flop_per_s[half] / 1e12), efficiency(one, half).gemm


@pytest.fixture(scope="module")
def logs():
    return np.log(np.array([watts_and_share(name) for name in MEASURED], dtype=float)).T


def test_the_prior_is_the_regression_over_the_measured_families(logs):
    slope, level = np.polyfit(*logs, 1)
    prior = book().prior
    assert prior.watts_exponent.value == pytest.approx(slope, abs=0.02)
    assert prior.gemm["16"].value == pytest.approx(np.exp(level), abs=0.02)


def test_watts_foretell_a_share_better_than_the_mean_does(logs):
    watts, share = logs
    others = [np.arange(len(share)) != i for i in range(len(share))]
    by_watts = [np.polyval(np.polyfit(watts[o], share[o], 1), watts[~o])[0] for o in others]
    by_mean = [share[o].mean() for o in others]
    assert np.std(by_watts - share) < np.std(by_mean - share)


def test_four_fifths_of_the_measured_shares_lie_in_the_range_of_the_prior(logs):
    watts, share = np.exp(logs)
    one = book().prior.gemm["16"]
    over = share / watts ** book().prior.watts_exponent.value
    assert 0.7 <= np.mean((one.low <= over) & (over <= one.high)) <= 0.9


def test_no_chip_is_assumed_to_beat_all_that_were_measured():
    assert efficiency(machine(chip("epyc-9654")), "bf16").gemm == BEST_SHARE
    assert book().families["gaudi2"].gemm["bf16"].value == BEST_SHARE


def test_more_watts_for_the_same_peak_never_lower_the_assumed_share():
    ppu = machine(chip("ppu"))
    shares = [
        float(efficiency(replace(ppu, tdp_w=watts), "bf16").gemm)
        for watts in (50, 100, 200, 400, 800)
    ]
    assert shares == sorted(shares)
