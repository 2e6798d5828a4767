"""Memory against published peaks and formulas, and against laws that hold for any run."""

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from parity.evaluate.kept import kept_by_block, layers_of_stage
from parity.evaluate.memory import (
    Holding,
    Memory,
    counted_bytes,
    model_state,
    stage_memory,
    training_memory,
)
from parity.layout.layout import Layout, concatenate, single
from parity.timing.footprint import footprint, footprints
from parity.timing.software import generations, software
from parity.workload.adapters import low_rank
from parity.workload.find import model
from parity.workload.training import TrainingJob
from tests.evaluate.published import KORTHIKANTI, gpt
from tests.evaluate.published_memory import BIGSCIENCE, SIMUMAX, TORCHTITAN

GIB = 2.0**30


def job(batch: int, seq_len: int = 2048, dtype: str = "bf16") -> TrainingJob:
    return TrainingJob(
        tokens=1e12, seq_len=seq_len, global_batch_tokens=batch * seq_len, dtype=dtype
    )


def gib(arch, run: TrainingJob, layout: Layout, name: str, counter: str) -> float:
    era = software(name)
    memory = training_memory(arch, run, layout, era)
    return float(counted_bytes(memory, era, counter)[0]) / GIB


@pytest.mark.parametrize("run", TORCHTITAN, ids=[f"{r[0]}-{r[1]}-{r[-1]}" for r in TORCHTITAN])
def test_torchtitan_peaks_within_5_percent(run) -> None:
    name, era, seq_len, batch, degrees, dtype, recompute, peak = run
    layout = single(zero=3, recompute=recompute, **degrees)
    found = gib(model(name), job(batch, seq_len, dtype), layout, era, "reserved")
    assert found == pytest.approx(peak, rel=0.05)


@pytest.mark.parametrize("run", SIMUMAX, ids=[f"{r[0]}-{r[-1]}" for r in SIMUMAX])
def test_megatron_core_peaks_within_5_percent(run) -> None:
    name, layers, seq_len, batch, degrees, peak = run
    arch = cut(model(name), layers)
    found = gib(arch, job(batch, seq_len), single(**degrees), "2025", "allocated")
    assert found == pytest.approx(peak, rel=0.05)


def test_megatron_deepspeed_peaks() -> None:
    """Whole GB of `nvidia-smi`: three of four within 5 %, all within 8 %.

    Not the run with ZeRO 0, 23 % too low: its source says it was another branch of the code. Those
    with microbatches of 8 are too high: near 80 GB the allocator gives back what it cached.
    """
    errors = []
    for layers, hidden, heads, tp, pp, dp, microbatch, dtype, zero, peak in BIGSCIENCE:
        batch = 2048 if 2048 % dp == 0 else 2016
        layout = single(
            tp=tp, pp=pp, dp=dp, microbatch=microbatch, zero=zero, recompute="full",
            sequence_parallel=False,
        )  # fmt: skip
        arch = gpt(layers, hidden, heads, vocab=250_880)
        found = gib(arch, job(batch, dtype=dtype), layout, "deepspeed-2022", "device")
        if zero:
            errors.append(found / peak - 1.0)
    size = np.abs(errors)
    assert np.median(size) < 0.03
    assert np.mean(size <= 0.05) > 0.75
    assert size.max() < 0.08


def cut(arch, layers: int):
    """The first `layers` layers; of a mixture one dense layer, as SimuMax cuts it."""
    order = arch.order[:layers]
    if len(set(arch.order)) > 1:
        order = (arch.order[0], *(arch.order[-1],) * (layers - 1))
    counts = [sum(b == i for b in order) for i in range(len(arch.blocks))]
    blocks = tuple(structs.replace(b, count=n) for b, n in zip(arch.blocks, counts, strict=True))
    return structs.replace(arch, num_hidden_layers=layers, blocks=blocks, order=order)


def test_zero_stages_as_in_the_figure_of_the_paper() -> None:
    """Rajbhandari et al. 2020, Figure 1: 7.5 B parameters on 64 chips, 16-bit gradients."""
    n, d = 7.5e9, 64
    held = Holding(n, n, 0.0, 0.0, float(d))
    found = [
        sum(
            float(x[0])
            for x in model_state(
                held, single(dp=d, zero=zero), footprint("megatron-bridge"), "bf16", False
            )
        )
        / 1e9
        for zero in range(4)
    ]
    assert found == pytest.approx([120, 31.4, 16.6, 1.9], rel=0.02)


@pytest.mark.parametrize("run", KORTHIKANTI, ids=[r[0] for r in KORTHIKANTI])
def test_megatron_s_own_formula(run) -> None:
    """Megatron-LM theoretical_memory_usage.py, `compute_activation_memory` on the first stage."""
    _, layers, hidden, heads, chips, batch, microbatch, tp, pp, virtual, *_ = run
    layout = single(
        tp=tp, pp=pp, dp=chips // (tp * pp), interleave=virtual, microbatch=microbatch,
        recompute="selective",
    )  # fmt: skip
    arch, tokens = gpt(layers, hidden, heads), 2048 * microbatch
    memory = stage_memory(arch, job(batch), layout, software("2022"), [0])
    penalty = 1 + (pp - 1) / (pp * virtual) if virtual > 1 else 1.0
    formula = tokens * hidden * (18 + 4 * 4) * layers * penalty / tp
    blocks, _, _ = kept_by_block(arch, job(batch), layout, software("2022"))
    scores = float(blocks[0].whole_bytes[0] - blocks[0].selective_bytes[0])
    kept = float(np.ravel(memory.activations_bytes)[0]) - scores
    assert kept == pytest.approx(formula, rel=0.01)


@pytest.mark.parametrize(("name", "layers", "hidden", "heads", "share"), [
    ("GPT-3", 96, 12288, 96, 80), ("MT-NLG", 105, 20480, 128, 64),
])  # fmt: skip
def test_scores_are_70_and_65_percent_of_what_is_kept(name, layers, hidden, heads, share) -> None:
    """Korthikanti et al. 2022, §5: 5as/h is 80 and 64 beside the 34 of the rest."""
    blocks, _, _ = kept_by_block(gpt(layers, hidden, heads), job(1), single(), software("2022"))
    whole, rest = float(blocks[0].whole_bytes[0]), float(blocks[0].selective_bytes[0])
    assert whole / rest == pytest.approx((34 + share) / 34)


def test_fused_attention_keeps_no_scores() -> None:
    blocks, _, _ = kept_by_block(model("llama-3.1-8b"), job(1, 8192), single(), software())
    longer, _, _ = kept_by_block(model("llama-3.1-8b"), job(1, 16384), single(), software())
    assert float(longer[0].whole_bytes[0]) == pytest.approx(2 * float(blocks[0].whole_bytes[0]))


def test_layers_fall_to_stages_as_published() -> None:
    """Llama 3 405B: one layer less on the first and the last of 16 stages (§3.3.2)."""
    arch, layout = model("llama-3.1-405b"), single(tp=8, pp=16)
    (counts,) = layers_of_stage(arch, layout, range(16))
    assert counts[:, 0].tolist() == [7, *[8] * 14, 7]
    mixed = layers_of_stage(model("deepseek-v3"), single(pp=4), range(4))
    assert sum(mixed)[:, 0].tolist() == [16, 15, 15, 15]
    assert mixed[0][:, 0].tolist() == [3, 0, 0, 0]


LAYOUTS = st.builds(
    lambda tp, pp, cp, dp, zero, recompute: single(
        tp=tp, pp=pp, cp=cp, dp=dp, zero=zero if pp == 1 else min(zero, 1), recompute=recompute
    ),
    tp=st.sampled_from([1, 2, 8]), pp=st.sampled_from([1, 2, 4]), cp=st.sampled_from([1, 2]),
    dp=st.sampled_from([1, 8]), zero=st.integers(0, 3),
    recompute=st.sampled_from(["none", "selective", "full"]),
)  # fmt: skip
NAMES = st.sampled_from(["llama-3.1-8b", "deepseek-v3", "qwen3-30b-a3b", "gpt3-175b"])


@given(LAYOUTS, NAMES, st.sampled_from(generations()), st.sampled_from(["bf16", "fp8"]))
def test_parts_sum_and_none_is_negative(layout, name, era, dtype) -> None:
    memory = training_memory(model(name), job(256, 4096, dtype), layout, software(era))
    parts = [float(getattr(memory, f.name)[0]) for f in fields(Memory)]
    assert min(parts) >= 0
    assert sum(parts) == pytest.approx(float(memory.total_bytes[0]))
    assert float(memory.allocated_bytes[0]) < float(memory.total_bytes[0])


@given(LAYOUTS, NAMES, st.sampled_from(generations()), st.integers(1, 3))
def test_more_tokens_at_once_never_take_less(layout, name, era, power) -> None:
    arch, kind = model(name), software(era)

    def total(columns: Layout, batch: int = 256, seq_len: int = 2048) -> float:
        return float(training_memory(arch, job(batch, seq_len), columns, kind).total_bytes[0])

    base = total(layout)
    assert total(layout.replace(microbatch=layout.microbatch * 2**power)) >= base * (1 - 1e-12)
    assert total(layout, seq_len=2048 * 2**power) >= base
    assert total(layout, batch=256 * 2**power) >= base


@given(LAYOUTS, NAMES, st.sampled_from(generations()))
def test_recomputing_more_never_keeps_more(layout, name, era) -> None:
    modes = concatenate([layout.replace(recompute=np.array([mode])) for mode in range(3)])
    memory = training_memory(model(name), job(256, 4096), modes, software(era))
    none, selective, full = (float(x) for x in memory.activations_bytes)
    assert min(none - selective, none - full) >= -1e-12 * none


@given(LAYOUTS, NAMES, st.sampled_from(generations()))
def test_the_fullest_stage_is_the_fullest(layout, name, era) -> None:
    arch, kind = model(name), software(era)
    stages = range(int(layout.pp[0]))
    each = stage_memory(arch, job(256, 4096), layout, kind, stages).total_bytes
    whole = float(training_memory(arch, job(256, 4096), layout, kind).total_bytes[0])
    assert whole == pytest.approx(float(np.max(each)))
    assert np.shape(each) == (len(stages), 1)


def test_every_code_base_names_its_source() -> None:
    for name in footprints():
        kind = footprint(name)
        assert kind.source
        assert 0 <= kind.fragmentation_low <= kind.fragmentation <= kind.fragmentation_high < 1


def test_adapters_need_neither_gradients_nor_optimizer_of_frozen_weights() -> None:
    """Hu et al. 2021, arXiv 2106.09685, §4.2: only the adapters have optimizer states."""
    whole = model("llama-3.1-8b")
    thin = low_rank(whole, 16)
    run, layout = job(64, 4096), single()
    full, few = (training_memory(arch, run, layout, software()) for arch in (whole, thin))
    trained = sum(
        op.parameters for block in thin.blocks for op in block.operators if not op.frozen
    ) * whole.num_hidden_layers  # fmt: skip
    assert float(few.optimizer_bytes[0]) == pytest.approx(12 * trained)
    assert float(few.gradients_bytes[0]) == pytest.approx(4 * trained)
    assert float(few.weights_bytes[0]) > float(full.weights_bytes[0])
    assert float(few.activations_bytes[0]) <= float(full.activations_bytes[0])


def test_under_dualpipe_a_chip_has_a_stage_from_either_end() -> None:
    """DeepSeek-V3, Table 2: weights twice, p + 1 microbatches of half as many layers each."""
    axes = {"pp": 8, "dp": 16, "ep": 64}
    plain, dual = (
        stage_memory(model("deepseek-v3"), job(2048, 4096), single(**axes, schedule=s), software(),
                     range(8))
        for s in ("1f1b", "dualpipe")
    )  # fmt: skip
    weights = plain.weights_bytes[:, 0]
    assert dual.weights_bytes[:, 0] == pytest.approx(weights + weights[::-1])
    assert dual.total_bytes[:, 0] == pytest.approx(dual.total_bytes[::-1, 0])


def test_deepseek_v3_parameters_of_a_stage_and_of_a_chip() -> None:
    """Zhang, Su 2025, arXiv 2502.07846: a stage of four mixtures has 86 GB of 16-bit parameters, a
    chip 11.64 with two tensor- and eight expert-parallel ones.
    """
    for layout, stated in ((single(), 86.0), (single(tp=2, dp=16, ep=8), 11.64)):
        blocks, _, _ = kept_by_block(model("deepseek-v3"), job(32, 4096), layout, software())
        mixture = blocks[1]
        layer = float(mixture.parameters[0]) + float(mixture.routed_parameters[0])
        assert 4 * 2 * layer / GIB == pytest.approx(stated, rel=0.02)
