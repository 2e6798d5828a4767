"""Whether a measured speed is normal, and what may be wrong where it is low."""

from __future__ import annotations

import pytest

from parity.errors import UsageError
from parity.search.why_figures import over_the_host
from parity.search.why_measured import measured_serving, measured_training, training_speed
from parity.search.why_suspects import check_of
from parity.search.why_training import seconds
from parity.timing.software import software
from tests.search.whys import serving, training


@pytest.fixture(scope="module")
def trained_on_h100():
    return training("llama-3.1-70b", "256xh100")


@pytest.fixture(scope="module")
def served_on_h100():
    return serving("llama-3.1-8b", "8xh100")


def test_the_prediction_itself_is_normal_and_in_the_middle(trained_on_h100, served_on_h100):
    own = measured_training(f"{trained_on_h100.plan.time_s}s", trained_on_h100)
    assert own.normal
    assert 30 < own.percentile < 70
    tokens = served_on_h100.plan.most_requests_per_s * 500
    found = measured_serving(f"{tokens}tok/s", served_on_h100)
    assert found.normal
    assert found.predicted == pytest.approx(tokens)


def test_units_of_a_measurement_agree(trained_on_h100):
    case, share = trained_on_h100, trained_on_h100.plan.mfu(trained_on_h100.arch)
    speed = case.plan.tokens_per_s
    texts = [
        f"{case.plan.time_s}s", f"{speed}tok/s", f"{speed / case.plan.chips}tok/s/chip",
        f"{100 * share}%", f"{share * 989.4}TFLOP/s",
    ]  # fmt: skip
    for text in texts:
        assert training_speed(text, case) == pytest.approx(speed, rel=1e-3), text


def test_a_known_fault_is_found_again(trained_on_h100, served_on_h100):
    """What a fault predicts, given as the measurement, is explained by that fault or a likelier."""
    for case, look in (
        (trained_on_h100, measured_training),
        (served_on_h100, measured_serving),
    ):
        faults = look("1tok/s", case).faults
        assert len(faults) >= 4
        for fault in faults:
            found = look(f"{fault.speed}tok/s", case).faults
            assert any(one.explains for one in found)
            assert [one.score for one in found] == sorted(one.score for one in found)
            same = [one for one in found if one.names == fault.names]
            assert not same or same[0].explains


def test_two_things_wrong_at_once_are_found(trained_on_h100):
    """Slower than any single thing, as fast as two: the two come first, with a check for each."""
    case = trained_on_h100
    alone = min(one.speed for one in measured_training("30%", case).faults if len(one.names) == 1)
    found = measured_training("20%", case)
    assert found.speed < 0.8 * alone
    assert len(found.faults[0].names) == len(found.faults[0].checks) == 2
    assert found.faults[0].explains


def test_one_thing_is_likelier_than_two_that_come_as_near(trained_on_h100):
    first, *others = measured_training("30%", trained_on_h100).faults
    pairs = [one for one in others if len(one.names) == 2]
    assert len(first.names) == 1
    assert pairs
    assert all(one.score > first.score for one in pairs)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (lambda case: seconds(case, over_the_host(case.machine)), "over PCIe"),
        (lambda case: seconds(case, software=software("2022")), "2022"),
    ],
)
def test_a_fault_of_the_machine_is_among_the_first(trained_on_h100, fault, words):
    step_s = fault(trained_on_h100)
    faults = measured_training(f"{step_s}s", trained_on_h100).faults
    assert any(words in one.name for one in faults[:3])


def test_how_to_see_a_fault_depends_on_the_vendor():
    assert "nvidia-smi topo" in check_of("links", "NVIDIA")
    assert "rocm-smi" in check_of("links", "amd")
    assert check_of("batch", "amd") == check_of("batch", "nvidia")


def test_faults_are_slower_than_the_plan(served_on_h100):
    found = measured_serving("100tok/s", served_on_h100)
    assert not found.normal
    assert found.percentile < 1
    assert all(fault.speed < found.predicted for fault in found.faults)
    assert all(len(fault.names) == len(fault.checks) for fault in found.faults)


@pytest.mark.parametrize("text", ["0tok/s", "-3s", "nan%", "5 bananas", "", "1e999tok/s", "s"])
def test_what_is_no_measurement_is_refused(trained_on_h100, text):
    with pytest.raises(UsageError):
        training_speed(text, trained_on_h100)


def test_a_service_has_no_mfu(served_on_h100):
    with pytest.raises(UsageError, match="tokens/s"):
        measured_serving("45%", served_on_h100)
