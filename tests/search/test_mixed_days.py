"""How many more of one kind finish in time beside those that are there."""

import parity
from parity.catalogue.spec import parse_fleet
from parity.evaluate.goodput import Stated
from parity.search.mixed import fleet_of
from parity.search.mixed_days import Deadline, fewest_beside
from parity.search.run import SECONDS_A_DAY
from parity.timing.software import software
from parity.workload.find import model
from parity.workload.training import TrainingJob

SMALL = "llama-3.1-8b"


def job(batch: int) -> TrainingJob:
    return TrainingJob(tokens=1e12, seq_len=8192, global_batch_tokens=batch * 8192)


def within(on: str, days: float, batch: int = 512) -> Deadline:
    held, more = fleet_of(parse_fleet(on), True)
    step_s = days * SECONDS_A_DAY / job(batch).steps
    return fewest_beside(model(SMALL), job(batch), held, more, software(), step_s, Stated())


def test_the_fewest_chips_beside_those_there_are_meet_a_deadline() -> None:
    alone = within("64xh100", 1e6).plan
    assert len(alone.way.parts) == 1
    days = alone.days(alone.way) / 1.5
    found = within("64xh100,a100", days)
    assert found.missed == ()
    assert found.plan.days(found.plan.way) <= days
    counts = {part.machine.chip.id: part.chips for part in found.plan.way.parts}
    assert counts["h100-sxm"] == 64
    assert counts["a100-sxm-80"] % 8 == 0
    assert 0.8 < counts["a100-sxm-80"] / (32 * 989.4 / 312) < 1.6
    fewer = f"64xh100,{counts['a100-sxm-80'] // 2}xa100"
    assert within(fewer, days).missed[0].code == "P104"


def test_as_many_are_added_as_a_match_of_owned_chips_says() -> None:
    alone = within("64xh100", 1e6).plan
    days = alone.days(alone.way) / 3
    plan = within("64xh100,a100", days).plan
    added = {part.machine.chip.id: part.chips for part in plan.way.parts}["a100-sxm-80"]
    words = {"tokens": 1e12, "gbs": 512 * 8192, "days": days}
    answer = parity.match(SMALL, owned="64xh100", want="a100", train=True, samples=64, **words)
    assert answer.to_dict()["answer"]["rows"][0]["count"] == added > 0


def test_a_deadline_that_is_met_already_adds_nothing() -> None:
    found = within("64xh100,a100", 1e6)
    assert [part.chips for part in found.plan.way.parts] == [64]


def test_a_deadline_out_of_reach_shows_the_fastest_there_is() -> None:
    found = within("64xh100,a100", 0.5, batch=64)
    assert found.missed[0].code == "P104"
    assert "out of reach" in found.missed[0].message
    assert found.plan.days(found.plan.way) > 0.5
