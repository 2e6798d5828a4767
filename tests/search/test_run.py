"""Days of a run, with what interrupts it."""

import pytest

from parity.catalogue.load import chip
from parity.catalogue.machine import machine
from parity.errors import Infeasible
from parity.evaluate.goodput import Stated
from parity.search.findings import CODES
from parity.search.run import SECONDS_A_DAY, Run, fewest_chips_within, run_findings, run_of
from parity.search.train import TrainingPlan, Wall, best_plans, fewest_chips
from parity.timing.software import software
from parity.workload.find import model
from parity.workload.training import TrainingJob

NAME, PUBLISHED = "llama-3.1-70b", Stated()
NEVER = Stated(mtbf_hours=1e9, checkpoint_s=1e-3, restart_s=1e-3)


def job(batch: int = 2048) -> TrainingJob:
    return TrainingJob(tokens=15e12, seq_len=8192, global_batch_tokens=batch * 8192)


def step_s(days: float) -> float:
    return days * SECONDS_A_DAY / job().steps


def run(chip_name: str, chips: int, stated: Stated = PUBLISHED) -> Run:
    arch, target = model(NAME), machine(chip(chip_name))
    plan = best_plans(arch, job(), target, software(), chips, 1)[0]
    return run_of(arch, plan, software(), stated)


def test_days_are_steps_over_goodput() -> None:
    found = run("h100", 1024)
    alone = found.plan.job.steps * found.plan.time_s / SECONDS_A_DAY
    assert found.days == pytest.approx(alone / float(found.goodput.fraction))
    assert found.days > alone
    assert found.days_range[0] < found.days < found.days_range[1]
    assert found.goodput_range[0] < float(found.goodput.fraction) < found.goodput_range[1]
    assert found.failures == pytest.approx(found.days * 24 / float(found.goodput.mtbf_hours))


def test_uncertain_failures_widen_the_range_of_the_days() -> None:
    published, never = run("h100", 8192), run("h100", 8192, NEVER)

    def width(one: Run) -> float:
        return (one.days_range[1] - one.days_range[0]) / one.days

    assert width(published) > width(never)


def test_the_step_knows_nothing_of_failures() -> None:
    published, never = run("h100", 1024), run("h100", 1024, NEVER)
    assert published.plan.time_s == never.plan.time_s
    assert published.step_range == never.step_range


@pytest.mark.parametrize("stated", [PUBLISHED, Stated(mtbf_hours=5_000, restart_s=1800)])
def test_the_fewest_chips_for_a_deadline_meet_it_with_their_failures(stated) -> None:
    arch, target = model(NAME), machine(chip("h100"))
    found = fewest_chips_within(arch, job(), target, software(), step_s(60), stated)
    assert isinstance(found, TrainingPlan)
    assert run_of(arch, found, software(), stated).days <= 60 * (1 + 1e-6)
    fewer = found.chips // 8 * 7
    slower = best_plans(arch, job(), target, software(), fewer, 1)[0]
    assert run_of(arch, slower, software(), stated).days > 60


def test_failures_cost_chips() -> None:
    arch, target = model(NAME), machine(chip("h100"))
    alone = fewest_chips(arch, job(), target, software(), step_s(60))
    found = fewest_chips_within(arch, job(), target, software(), step_s(60), PUBLISHED)
    worse = fewest_chips_within(
        arch, job(), target, software(), step_s(60), Stated(mtbf_hours=5_000)
    )
    plans = (alone, found, worse)
    assert all(isinstance(one, TrainingPlan) for one in plans)
    counts = [one.chips for one in plans if isinstance(one, TrainingPlan)]
    assert counts == sorted(counts)
    assert counts[0] < counts[2]


def test_a_deadline_that_failures_put_out_of_reach_is_a_wall() -> None:
    arch, target = model(NAME), machine(chip("h100"))
    assert isinstance(
        fewest_chips_within(arch, job(), target, software(), step_s(25), NEVER), TrainingPlan
    )
    hopeless = Stated(mtbf_hours=500, restart_s=3600)
    found = fewest_chips_within(arch, job(), target, software(), step_s(25), hopeless)
    assert isinstance(found, Wall)
    assert found.reason.startswith("more chips fail too often")
    assert "too slow" in found.reason


def test_the_fastest_count_of_a_wall_does_not_depend_on_the_deadline() -> None:
    """Failures make it fewer chips than a short deadline asks for at the peak."""
    arch, target = model(NAME), machine(chip("h100"))
    walls = [
        fewest_chips_within(arch, job(), target, software(), step_s(days), PUBLISHED)
        for days in (0.5, 5)
    ]
    fastest = [wall.fastest for wall in walls if isinstance(wall, Wall)]
    assert len(fastest) == 2
    assert fastest[0] is not None
    assert fastest[1] is not None
    assert fastest[0].chips == fastest[1].chips


def test_chips_that_only_fail_are_infeasible_and_say_why() -> None:
    with pytest.raises(Infeasible) as refused:
        run("h100", 1024, Stated(mtbf_hours=1))
    (finding,) = refused.value.findings
    assert finding.code == "P107"
    assert "fail every" in finding.message
    assert finding.code in CODES


def test_chips_whose_failures_nobody_counted_are_named() -> None:
    (finding,) = run_findings(chip("910b"), PUBLISHED)
    assert finding.code == "P204"
    assert "ascend910b" in finding.message
    assert run_findings(chip("h100"), PUBLISHED) == ()
    assert run_findings(chip("910b"), Stated(mtbf_hours=20_000)) == ()
