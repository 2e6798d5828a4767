"""Where more of a figure stops helping, and why."""

from __future__ import annotations

from dataclasses import replace

import pytest

from parity.errors import BadQuantity, UnknownName, UsageError
from parity.search.serving_plan import serve
from parity.search.why import why_serving_plan, why_training_plan
from parity.search.why_change import Change
from parity.search.why_figures import stated
from parity.search.why_sweep import axes
from parity.search.why_ways import most
from tests.search.whys import serving, training


@pytest.fixture(scope="module")
def trained_on_h100():
    return training("llama-3.1-70b", "256xh100")


@pytest.fixture(scope="module")
def served_on_h100():
    return serving("llama-3.1-8b", "8xh100")


def test_more_memory_stops_helping_where_the_sweep_says(trained_on_h100):
    why = why_training_plan(trained_on_h100, None, axes("memory.capacity=40..320GB"))
    line, sweep = why.sweep.lines[0], why.sweep
    known = [s for s in line.speeds if s is not None]
    assert known == sorted(known)
    end = line.enough()
    assert line.speeds[end] >= 0.99 * known[-1] / 1.0001
    assert 0 < end < len(sweep.axis.values) - 1
    assert line.binds == "compute"


def test_a_sweep_of_two_figures_takes_capacity_along_the_axis():
    case = serving("llama-3.1-8b", "8xh20", tpot="20ms")
    first, second = axes("memory.bandwidth=2..8TB/s,memory.capacity=24..96GB")
    assert first.key == "memory.capacity"
    sweep = why_serving_plan(case, (first, second)).sweep
    assert len(sweep.lines) == len(second.values)
    last = [line.speeds[-1] for line in sweep.lines]
    assert last == sorted(last)
    for line in sweep.lines:
        end = line.enough()
        assert (end is None) == (not line.binds)
        assert end is None or line.speeds[end] >= max(filter(None, line.speeds)) / 1.01


def test_a_point_of_a_sweep_is_the_plan_on_that_chip(served_on_h100):
    case = served_on_h100
    sweep = why_serving_plan(case, axes("memory.bandwidth=2..5TB/s")).sweep
    chip = stated(case.machine, "memory.bandwidth", 5e12)
    pool = replace(case.question.pool, machine=chip)
    plan = serve(replace(case.question, mode="aggregated", pool=pool)).best
    own = most(case, Change(), held=True).rate / case.plan.most_requests_per_s * 8
    assert sweep.lines[0].speeds[-1] * 8 == pytest.approx(plan.most_requests_per_s * own, rel=0.01)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("memory.capacity", UsageError),
        ("memory.capacity=96GB", UsageError),
        ("memory.capacity=96..", BadQuantity),
        ("memory.capacity=288..96GB", UsageError),
        ("memory.capacity=96..96GB", UsageError),
        ("memory.capcity=96..288GB", UnknownName),
        ("memory.capacity=1..2s", BadQuantity),
        ("memory.capacity=1..2GB,memory.capacity=3..4GB", UsageError),
        ("a=1..2,b=1..2,c=1..2", UsageError),
        ("memory.capacity=1..1e400GB", BadQuantity),
        ("", UsageError),
    ],
)
def test_a_sweep_that_cannot_be_is_refused(text, error):
    with pytest.raises(error):
        axes(text)
