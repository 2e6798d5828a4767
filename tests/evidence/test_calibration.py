"""Ranges hold as many measurements as they promise: 80 %, in total and by class."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import numpy as np
import pytest

from parity.catalogue.load import chip
from parity.catalogue.machine import central
from parity.evaluate.step import FAMILY_MISS
from parity.evidence import read
from parity.evidence.pairs import ALIKE, pairs_of_predictions
from parity.evidence.resolve import Case, resolve
from parity.evidence.schema import Prediction
from parity.evidence.serving_predict import Ran, gated, metric_of, outcomes_of, run_all
from parity.evidence.serving_resolve import ServingCase
from parity.evidence.serving_setup import Models, engine_of
from parity.timing.draw import Sampler

#: P10 to P90 holds 80 %; a class is one with so many rows.
LEAST, MOST, MANY = 0.75, 0.85, 40
#: A class may be off by more: its rows come from few sources.
LEAST_OF_A_CLASS, MOST_OF_A_CLASS = 0.65, 0.95


def inside(rows: Iterable[Prediction]) -> float:
    """Share of measurements in their range."""
    return float(np.mean([row.low <= row.measured <= row.high for row in rows]))


@pytest.fixture(scope="module")
def predicted(found, served) -> list[Prediction]:
    return [row for row in (*found.rows, *served.rows) if row.status == "predicted"]


@pytest.fixture(scope="module")
def generations() -> dict[str, str]:
    """The generation of software or of the engine that ran each row."""
    ran = {}
    for row in read.bundled():
        case = resolve(row)
        if isinstance(case, Case):
            ran[row.id] = case.software
    plain = Models.under(central)
    for row in read.bundled_serving():
        case = gated(row, plain)
        if isinstance(case, ServingCase):
            ran[row.id] = engine_of(case, plain.machine(case.target)).name
    return ran


def test_ranges_hold_four_of_five_measurements(predicted) -> None:
    assert len(predicted) > 2000
    assert LEAST <= inside(predicted) <= MOST


@pytest.mark.parametrize("task", ["training", "serving"])
def test_so_they_do_in_training_and_in_serving(predicted, task: str) -> None:
    assert LEAST <= inside(row for row in predicted if row.task == task) <= MOST


def test_no_generation_of_software_is_far_from_it(predicted, generations) -> None:
    """Rates that the load sets are left out: they are predicted more closely than runs repeat."""
    groups = defaultdict(list)
    for row in predicted:
        if row.high > (1 + 2 * ALIKE) * row.low:
            groups[row.task, generations[row.id]].append(row)
    held = {name: inside(rows) for name, rows in groups.items() if len(rows) >= MANY}
    assert len(held) >= 10
    off = {n: x for n, x in held.items() if not LEAST_OF_A_CLASS <= x <= MOST_OF_A_CLASS}
    assert off == {}


@pytest.fixture(scope="module")
def ratios(served) -> list[tuple[bool, float, float, float]]:
    """Pairs of chips in serving: one family, measured over predicted time of each, and whether
    the range of their ratio holds what was measured.
    """
    plain, sampler = Models.under(central), Models.under(Sampler())
    cases = [gated(row, plain) for row in read.bundled_serving()]
    runs = run_all([case for case in cases if isinstance(case, ServingCase)], plain)
    runs = [one for one in runs if isinstance(one, Ran)]
    drawn = {
        one.case.row.id: np.ravel(metric_of(one, outcome))
        for one, outcome in zip(runs, outcomes_of(runs, sampler), strict=True)
    }
    out = []
    for a, b in pairs_of_predictions(read.bundled_serving(), served.rows):
        low, high = np.quantile(drawn[a.id] / drawn[b.id], [0.1, 0.9])
        kin = chip(a.chip).family == chip(b.chip).family
        misses = (-np.log1p(a.error), -np.log1p(b.error))
        out.append((kin, *misses, low <= a.measured / b.measured <= high))
    return out


def test_ranges_of_ratios_hold_about_as_many(ratios) -> None:
    """A little more than four of five: what two families share is not taken off."""
    assert len(ratios) > 400
    assert 0.75 <= np.mean([held for *_, held in ratios]) <= 0.92


def test_chips_of_a_family_share_most_of_what_is_missed(ratios) -> None:
    own = np.array([(a, b) for kin, a, b, _ in ratios if kin])
    assert len(own) > 200
    shared = 1 - np.var(own[:, 0] - own[:, 1]) / (2 * np.var(own))
    assert shared == pytest.approx(FAMILY_MISS, abs=0.1)
