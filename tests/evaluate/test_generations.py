"""What generations of software, power ratings and frozen weights change, each by itself."""

from dataclasses import replace

import numpy as np
import pytest
from msgspec import structs

from parity.catalogue.load import chip
from parity.catalogue.machine import machine
from parity.evaluate.kernels import rates
from parity.evaluate.layer import last_kept, mean_layer
from parity.evaluate.training import Step, training_step
from parity.layout.layout import single
from parity.timing.efficiency import book, efficiency
from parity.timing.software import generations, software
from parity.workload.adapters import low_rank
from parity.workload.find import model
from parity.workload.training import TrainingJob

H100 = machine(chip("h100-sxm"))
LLAMA, MIXTURE, HYBRID = "llama-3.1-8b", "qwen3-30b-a3b", "nemotron-3-nano-30b-a3b"


def job(dtype: str = "bf16", batch: int = 64, seq_len: int = 4096) -> TrainingJob:
    return TrainingJob(
        tokens=1e12, seq_len=seq_len, global_batch_tokens=batch * seq_len, dtype=dtype
    )


def step(name: str, generation: str, dtype: str = "bf16", arch=None, **degrees) -> Step:
    layout = single(**{"dp": 8, "zero": 1, "microbatch": 1, **degrees})
    return training_step(arch or model(name), job(dtype), layout, H100, software(generation))


def test_more_watts_for_the_same_cores_hold_more_of_the_peak() -> None:
    """GB300 is GB200 with 1,400 instead of 1,200 W."""
    held = {c: efficiency(machine(chip(c)), "fp8").sustained for c in ("gb200", "gb300")}
    assert held["gb200"] < held["gb300"] <= 1.0
    ratio = (1400 / 1200) ** book().prior.power_exponent.value
    assert held["gb300"] / held["gb200"] == pytest.approx(min(ratio, 1 / held["gb200"]), rel=1e-3)


def test_a_chip_with_a_figure_of_its_own_is_not_scaled() -> None:
    own = book().chips["h20-96"].sustained["16"].value
    assert efficiency(machine(chip("h20-96")), "bf16").sustained == own


def test_older_attention_is_slower_where_the_chip_needs_newer_kernels() -> None:
    """FlashAttention-2 is the best there is on A100, but not on H100 [arXiv 2407.08608]."""
    for name, slower in (("a100-sxm-80", False), ("h100-sxm", True)):
        target = machine(chip(name))
        second, best = (
            rates(target, "bf16", software=software(g)).attention_forward_flop_per_s
            for g in ("fsdp-2024", "2024")
        )
        assert (second < best) == slower


def test_attention_is_faster_where_products_are_narrow_if_the_generation_does_that() -> None:
    def attention(generation: str, dtype: str) -> float:
        era = structs.replace(software(generation), kernel_share=1.0)
        return float(rates(H100, dtype, software=era).attention_forward_flop_per_s)

    gain = software("current").narrow_attention
    assert gain > 1
    assert attention("current", "fp8") == pytest.approx(gain * attention("current", "bf16"))
    assert attention("2025", "fp8") == pytest.approx(attention("2025", "bf16"))


def test_recomputation_that_stops_early_skips_the_last_product() -> None:
    operators = model(LLAMA).blocks[0].operators
    early, whole = software("fsdp-2024"), software("2024")
    assert operators[last_kept(operators, early)].name == "down_proj"
    assert last_kept(operators, whole) == len(operators)
    layout = single(dp=8, microbatch=2, recompute="full", zero=3)
    layer = mean_layer(model(LLAMA), layout, 4096, H100, rates(H100, "bf16"), early)
    saved = 1 - float(layer.recomputed.total_s[0] / layer.forward.total_s[0])
    assert 0.15 < saved < 0.35  # down_proj is a quarter of the products of a layer


def test_a_host_that_waits_for_counts_costs_each_layer_of_experts_three_waits() -> None:
    waiting = software("2025")
    assert waiting.routing_s > 0
    patient = structs.replace(waiting, routing_s=0.0)
    layout = single(dp=8, microbatch=1, zero=1)

    def launch(name: str, era) -> float:
        result = training_step(model(name), job(), layout, H100, era)
        return float(result.breakdown.launch_s[0])

    layers, microbatches = model(MIXTURE).num_hidden_layers, 8
    extra = launch(MIXTURE, waiting) - launch(MIXTURE, patient)
    assert extra == pytest.approx(3 * waiting.routing_s * layers * microbatches, rel=1e-6)
    assert launch(LLAMA, waiting) == launch(LLAMA, patient)


def test_scans_run_at_their_own_rate() -> None:
    slow = rates(H100, "bf16")
    fast = replace(slow, scan_flop_per_s=10 * slow.scan_flop_per_s)
    layout, era = single(dp=8, microbatch=1, zero=1), software("2025")

    def layer(name: str, rate) -> float:
        cost = mean_layer(model(name), layout, 4096, H100, rate, era)
        return float(np.ravel(cost.forward.total_s)[0])

    assert layer(HYBRID, fast) < layer(HYBRID, slow)
    assert layer(LLAMA, fast) == layer(LLAMA, slow)


def test_adapters_cost_less_time_and_memory_than_all_weights() -> None:
    arch = model(LLAMA)
    full, tuned = step(LLAMA, "2025"), step(LLAMA, "2025", arch=low_rank(arch, 16))
    assert 0.6 < float(tuned.time_s[0] / full.time_s[0]) < 0.85
    assert tuned.breakdown.dp_s[0] < 0.1 * full.breakdown.dp_s[0] + 1e-3
    assert tuned.memory.gradients_bytes[0] < 0.05 * full.memory.gradients_bytes[0]
    assert tuned.memory.optimizer_bytes[0] < 0.05 * full.memory.optimizer_bytes[0]


@pytest.mark.parametrize("name", generations())
def test_every_generation_states_who_states_its_figures(name) -> None:
    one = software(name)
    for figure, owner in one.owners.items():
        if figure not in ("title", "source"):
            assert getattr(one, figure) == getattr(software(owner), figure)


def test_older_software_is_not_faster() -> None:
    """A dense model, everything else equal."""
    times = [float(step(LLAMA, g).time_s[0]) for g in ("current", "2025", "2023")]
    assert times == sorted(times)
