"""Why a fleet is as fast as it is: its kinds' seconds add up, and better chips never hurt."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec import structs

from parity.catalogue.spec import parse_fleet
from parity.evaluate.goodput import Stated
from parity.search.mixed import best_mixed, fleet_of
from parity.search.why_mixed import why_fleet
from parity.words.asked import training_run

FLEETS = [
    ("llama-3.2-1b", "64xa100,32xh20", "replicas"),
    ("llama-3.1-70b", "64xa100,32xh20", "stages"),
    ("llama-3.2-1b", "32xh100,8xv100", "alone"),
]


def explained(model: str, on: str):
    run = training_run(model, "1T", "8k", "4M", "current")
    fleet, _ = fleet_of(tuple(parse_fleet(on)), False)
    job = structs.replace(run.job, dtype="fp16" if "v100" in on else "bf16")
    plan = best_mixed(run.arch, job, fleet, run.era)
    return plan, why_fleet(run.arch, plan, run.era, Stated())


@pytest.fixture(scope="module", params=FLEETS, ids=lambda one: one[2])
def fleet(request):
    model, on, manner = request.param
    plan, why = explained(model, on)
    assert plan.way.manner == manner
    return plan, why


def test_the_seconds_of_every_kind_add_up_to_the_step(fleet):
    plan, why = fleet
    for kind in why.kinds:
        assert sum(s for _, s in kind.spent) == pytest.approx(plan.time_s, rel=1e-9)
        assert all(s >= -1e-9 * plan.time_s for _, s in kind.spent)
        if kind.parts is not None:
            assert np.ravel(kind.parts.total_s)[0] == pytest.approx(kind.own_s, rel=1e-9)


def test_the_kind_that_is_waited_for_waits_for_none(fleet):
    _, why = fleet
    assert why.kinds[why.slowest].waits_s == 0
    assert all(kind.waits_s >= 0 for kind in why.kinds)


def test_losses_of_a_kind_only_add_and_end_in_the_run(fleet):
    plan, why = fleet
    for kind in why.kinds:
        times = [rung.time_s for rung in kind.rungs]
        assert all(np.diff(times) >= -1e-9 * plan.time_s)
        if times:
            steps = {rung.loss: rung.time_s for rung in kind.rungs}
            assert steps["stragglers"] >= plan.time_s * (1 - 1e-9)
            assert steps["interruptions"] > steps["stragglers"]


def test_a_better_figure_of_any_kind_is_never_slower(fleet):
    _, why = fleet
    assert why.effects
    for one in why.effects:
        assert one.held >= -1e-6, one
        assert one.replanned >= -1e-6, one


def test_what_is_waited_for_helps_with_the_work_as_it_is_and_what_waits_does_not():
    _, why = explained("llama-3.2-1b", "64xa100,32xh20")
    slow = why.kinds[why.slowest].part.machine.chip.id
    held = {
        one.lever.split("@")[0]: one.held
        for one in why.effects
        if one.lever.endswith("compute.dense.bf16") and one.amount == "x2"
    }
    assert held.pop(slow) > 0.02
    assert all(gain == 0 for gain in held.values())
