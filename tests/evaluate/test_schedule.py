"""Pipeline schedules, offloading, exchanged heads and divided experts: formulas of their papers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parity.catalogue.load import chip
from parity.catalogue.machine import machine
from parity.evaluate.layer import context_parallel_time
from parity.evaluate.schedule import bubble_seconds, copies, in_flight
from parity.evaluate.stages import layers_of_stages
from parity.evaluate.training import Step, training_step
from parity.layout.layout import Layout, columns, describe, single
from parity.timing.software import software
from parity.workload.find import model
from parity.workload.training import TrainingJob
from tests.machines import two_level


def step(layout: Layout, name: str = "llama-3.1-8b", batch: int = 64, seq_len: int = 4096) -> Step:
    job = TrainingJob(tokens=1e12, seq_len=seq_len, global_batch_tokens=batch * seq_len)
    return training_step(model(name), job, layout, two_level(), software())


def pipeline(schedule: str, p: int = 8, **more: int) -> Layout:
    return single(pp=p, dp=1, zero=0, schedule=schedule, **more)


@pytest.mark.parametrize(
    ("schedule", "virtual", "bubble"),
    [
        ("1f1b", 1, 7 * (1 + 2)),
        ("1f1b", 4, 7 / 4 * (1 + 2)),
        ("zero-bubble", 1, 7 * (1 + 1 - 1)),  # Qi et al. 2023, Table 2: (p-1)(T_F + T_B - T_W)
        ("dualpipe", 1, 3 * (1 + 2 + 2 - 3)),  # DeepSeek-V3, Table 2, F&B = F + B
    ],
)
def test_bubbles_are_those_of_the_papers(schedule, virtual, bubble) -> None:
    """With F = 1 and B = 2, of which the gradients of weights are 1."""
    layout = pipeline(schedule, interleave=virtual)
    assert float(bubble_seconds(layout, 3.0, 2.0, 1.0)[0]) == pytest.approx(bubble)


@pytest.mark.parametrize(
    ("schedule", "first", "last", "weights"),
    [("1f1b", 8, 1, 1), ("zero-bubble", 8, 8, 1), ("dualpipe", 9, 9, 2)],
)
def test_what_schedules_keep(schedule, first, last, weights) -> None:
    layout = pipeline(schedule)
    m = np.array([64])
    assert float(in_flight(layout, m)[0]) == first
    assert float(in_flight(layout, m, stage=7)[0]) == last
    assert float(copies(layout)[0]) == weights


def test_a_zero_bubble_step_waits_less_and_works_the_same() -> None:
    plain, zero = step(pipeline("1f1b")), step(pipeline("zero-bubble"))
    assert float(zero.breakdown.bubble_s[0]) < 0.55 * float(plain.breakdown.bubble_s[0])
    assert float(zero.breakdown.compute_s[0]) == float(plain.breakdown.compute_s[0])
    assert float(zero.memory.total_bytes[0]) >= float(plain.memory.total_bytes[0])


def test_dualpipe_hides_the_exchange_among_experts_and_holds_weights_twice() -> None:
    axes = {"pp": 4, "dp": 16, "ep": 16, "zero": 1}
    plain = step(single(**axes), "mixtral-8x7b", batch=512)
    dual = step(single(**axes, schedule="dualpipe"), "mixtral-8x7b", batch=512)
    assert float(dual.breakdown.ep_s[0]) < 0.5 * float(plain.breakdown.ep_s[0])
    assert float(dual.memory.weights_bytes[0]) > 1.9 * float(plain.memory.weights_bytes[0])
    assert float(dual.memory.optimizer_bytes[0]) == pytest.approx(
        float(plain.memory.optimizer_bytes[0]), rel=0.1
    )


@given(
    layers=st.integers(1, 130),
    pp=st.integers(1, 16),
    virtual=st.integers(1, 8),
)
def test_stages_hold_all_layers(layers, pp, virtual) -> None:
    if pp > layers or (virtual > 1 and (pp == 1 or -layers % (pp * virtual) > 2)):
        return
    first, fullest, last = (
        float(x[0]) for x in layers_of_stages(layers, single(pp=pp, interleave=virtual))
    )
    least = last + (first if pp > 1 else 0)
    assert last <= first <= fullest
    assert least <= layers <= least + max(pp - 2, 0) * fullest


def test_llama_3_405b_has_a_layer_less_at_either_end() -> None:
    """arXiv 2407.21783, §3.3.2: 126 layers on 16 stages, one less on the first and the last."""
    ends = layers_of_stages(126, single(pp=16))
    assert [float(x[0]) for x in ends] == [7, 8, 7]


def test_offloaded_optimizer_states_leave_the_chip_and_take_as_long_as_the_link() -> None:
    job = TrainingJob(tokens=1e12, seq_len=4096, global_batch_tokens=64 * 4096)
    h100 = machine(chip("h100"))
    args = (model("llama-3.1-8b"), job)
    here = training_step(*args, single(dp=8), h100, software())
    there = training_step(*args, single(dp=8, offload="optimizer"), h100, software())
    own = 8.03e9 / 8 * 12
    assert float(here.memory.optimizer_bytes[0]) == pytest.approx(own, rel=0.01)
    assert float(there.memory.optimizer_bytes[0]) == pytest.approx(own * 2 / 32, rel=0.01)
    assert h100.host_bytes_per_s is not None
    assert float(there.breakdown.optimizer_s[0]) == pytest.approx(
        own / float(h100.host_bytes_per_s), rel=0.01
    )


def test_offloaded_activations_leave_two_layers_of_one_microbatch() -> None:
    job = TrainingJob(tokens=1e12, seq_len=8192, global_batch_tokens=64 * 8192)
    args = (model("llama-3.1-8b"), job)
    both = columns(
        pp=np.array([4, 4]), dp=np.array([2, 2]), offload=np.array([0, 2]), zero=np.array([1, 1])
    )
    memory = training_step(*args, both, machine(chip("h100")), software()).memory
    here, there = memory.activations_bytes
    assert there == pytest.approx(here * 2 / (8 * 4))


def test_exchanging_heads_moves_4_over_2c_of_what_the_ring_gathers() -> None:
    """DeepSpeed-Ulysses, §3.2, without grouped queries: q, k, v, o of one against k, v of all."""
    slow = two_level(near=1e9)
    operators = model("llama-2-7b").blocks[0].operators
    tokens = np.array([65536.0 / 8])
    ring, heads = (
        float(context_parallel_time(operators, single(cp=8, cp_method=way), tokens, slow)[0])
        for way in ("ring", "ulysses")
    )
    assert ring / heads == pytest.approx(2 * 8 / 4, rel=0.01)


def test_dividing_an_expert_keeps_its_parameters_and_work() -> None:
    """Chips of a group hold 1/etp of etp times as many experts, and do as much."""
    spread = step(single(tp=4, dp=8, ep=8, etp=1), "mixtral-8x7b", batch=512)
    divided = step(single(tp=4, dp=8, ep=8, etp=4), "mixtral-8x7b", batch=512)
    assert float(divided.memory.weights_bytes[0]) < float(spread.memory.weights_bytes[0])
    assert float(divided.breakdown.compute_s[0]) == pytest.approx(
        float(spread.breakdown.compute_s[0]), rel=0.2
    )
    assert float(divided.breakdown.tp_s[0]) > float(spread.breakdown.tp_s[0])


def test_layouts_are_described_by_what_is_unusual() -> None:
    assert describe(single(tp=8, dp=4)) == "TP8 DP4 mbs1 ZeRO-1, no recompute"
    odd = single(tp=4, pp=4, dp=8, ep=8, etp=4, schedule="dualpipe", offload="both")
    assert describe(odd) == (
        "TP4 PP4 DP8 EP8 ETP4 mbs1 ZeRO-1, no recompute, dualpipe, "
        "optimizer and activations offloaded"
    )


def test_zero_2_scatters_gradients_at_each_microbatch_and_zero_1_once() -> None:
    """Rajbhandari et al. 2020, §5.2: a gradient is reduced as soon as it is there, and let go."""
    slow = two_level(near=1e9, far=1e9)
    times = {}
    for zero in (1, 2):
        for batch in (64, 512):
            run = TrainingJob(tokens=1e12, seq_len=1024, global_batch_tokens=batch * 1024)
            one = training_step(
                model("llama-3.1-8b"), run, single(dp=64, zero=zero), slow, software()
            )
            times[zero, batch] = float(np.ravel(one.breakdown.dp_s)[0])
    assert times[1, 512] == times[1, 64]
    assert times[2, 512] > 4 * times[2, 64]
