"""Where simulated requests wait: phases add up, and a fuller service makes them wait longer."""

from __future__ import annotations

import numpy as np
import pytest

from parity.search.confirm import Trial, confirm
from parity.search.percentiles import at_percentile
from parity.search.serving_plan import serve
from parity.search.why_waits import at_its_means, queue_share, waits_of
from parity.words.serving import Said, serving_chips, serving_question, work
from parity.workload.find import model as find_model


def asked(**said):
    words = dict.fromkeys(Said.__dataclass_fields__) | {"drafted": 0, "isl": "2k", "osl": 100}
    arch, batch = find_model("llama-3.1-8b"), serving_chips("1xh100", "--on")
    request = work(arch.name, Said(**(words | said)), counted=True, on="1xh100")
    return serving_question(
        arch, batch, request, None, "auto", "auto", "", "aggregated", None, 1
    )[0]  # fmt: skip


@pytest.fixture(scope="module")
def full():
    plan = serve(asked(ttft="10s", tpot="none")).best
    return plan, confirm(plan, Trial(), 0.9 * plan.most)


def test_phases_add_up_to_the_whole_answer(full):
    _, seen = full
    waits = waits_of(seen, 99, drawn=False)
    whole = np.mean(seen.result.e2e_s[seen.result.finished])
    assert sum(seconds for _, seconds in waits.mean) == pytest.approx(whole, rel=1e-9)
    first = sum(seconds for phase, seconds in waits.mean if phase != "decode")
    assert first == pytest.approx(np.mean(seen.result.ttft_s[seen.result.finished]), rel=1e-9)
    for phases in (waits.mean, waits.slowest):
        assert all(seconds >= 0 for _, seconds in phases)
        assert 0 <= queue_share(phases) <= 1


def test_the_slowest_wait_longer_than_the_mean(full):
    waits = waits_of(full[1], 95)
    assert dict(waits.slowest)["queue"] > dict(waits.mean)["queue"]


def test_a_fuller_service_makes_requests_wait_for_more_of_their_first_token(full):
    plan, seen = full
    idle = confirm(plan, Trial(), 0.2 * plan.most)
    light, heavy = (queue_share(waits_of(one, 99).mean) for one in (idle, seen))
    assert heavy > light


def test_means_that_keep_a_percentile_are_below_what_is_asked():
    found = at_percentile(asked(ttft="1s", tpot="50ms"), Trial(95))
    job = at_its_means(found.best)
    assert job.ttft_s < found.best.job.ttft_s == 1.0
    assert 0 < job.tpot_s <= found.best.job.tpot_s


def test_where_nothing_is_asked_nothing_is_held():
    plan = serve(asked(ttft="none", tpot="none")).best
    assert at_its_means(plan) is plan.job
