"""Rows made ready: model, machine, conventions, layout."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from parity.catalogue import load
from parity.evidence import interconnect, models, read
from parity.evidence.layouts import NoLayout, place, zero_stage
from parity.evidence.metrics import evaluation_steps, flop_per_token
from parity.evidence.resolve import Case, Refused, resolve
from parity.evidence.sources import Evaluation, evaluation_of, sets, tokens_of, with_conventions
from parity.timing.software import generations
from parity.workload.count import parameters

LABELS = Path(__file__).parent / "labels.csv"


def labels(column: str) -> list[str]:
    """Every spelling of a column that occurs in published tables."""
    with LABELS.open(encoding="utf-8", newline="") as file:
        return [row["label"] for row in csv.DictReader(file) if row["column"] == column]


@pytest.mark.parametrize("label", labels("chip"))
def test_every_chip_label_is_known(label):
    assert load.chip(label)


@pytest.mark.parametrize("label", labels("model"))
def test_every_model_label_resolves_or_says_why_not(label, row):
    entry = models.known().get(label.lower())
    if entry is not None and entry.reason:
        with pytest.raises(models.Unresolved, match=entry.reason[:20]):
            models.architecture(row(model=label))
        return
    arch = models.architecture(row(model=label))
    assert parameters(arch) > 0
    assert not any(finding.code == "P301" for finding in arch.findings)


@pytest.mark.parametrize(
    ("label", "billions"),
    [
        ("Falcon-180B", 180),
        ("LLaMA-7B", 6.7),
        ("Mistral-7B-Instruct-v0.2", 7.24),
        ("Nemotron-3-Super-120B-A12B", 120),
    ],
)
def test_sizes_of_models_that_only_tables_name(label, billions, row):
    arch = models.architecture(row(model=label))
    assert parameters(arch) == pytest.approx(billions * 1e9, rel=0.03)


@pytest.mark.parametrize("label", labels("precision"))
def test_every_precision_is_understood(label, row):
    case = resolve(row(precision=label, chip="GB200", set="mine"))
    assert isinstance(case, Case)


@pytest.mark.parametrize("words", labels("zero_or_fsdp"))
def test_every_zero_stage_is_understood(words):
    expected = 3 if "FSDP" in words or "ZeRO-3" in words else 2 if "ZeRO-2" in words else 1
    if "shard optimizer+grads" in words or "SHARD_GRAD_OP" in words:
        expected = 2
    assert zero_stage(words, 8) == (0 if words == "none" else expected)


def test_rows_give_the_parameters_their_source_states():
    for row in read.bundled():
        if not (row.params_b and row.layers and row.hidden and row.heads):
            continue
        count = parameters(models.architecture(row)) / 1e9
        learned = max(row.seq_len - 2048, 0) * row.hidden / 1e9  # positions of long sequences
        tables = row.vocab * row.hidden / 1e9  # tied or not
        near = pytest.approx(row.params_b, rel=0.03)
        assert near in (count, count + learned, count + tables, count - tables), row.id


def test_a_row_s_own_sizes_come_first(row):
    whole = models.architecture(row())
    cut = models.architecture(row(layers=4))
    assert (whole.num_hidden_layers, cut.num_hidden_layers) == (32, 4)
    assert models.architecture(row(model="llama3-8b-7layers")).num_hidden_layers == 7


def test_a_model_nobody_knows_is_read_from_its_sizes(row):
    arch = models.architecture(
        row(model="ours", layers=2, hidden=512, heads=8, kv_heads=2, ffn=1024, vocab=1000)
    )
    assert (arch.model_type, arch.num_key_value_heads) == ("llama", 2)
    mixture = models.architecture(
        row(model="ours", layers=2, hidden=512, heads=8, expert_ffn=256, moe_experts=4, moe_topk=2)
    )
    assert mixture.num_experts == 4
    plain = models.architecture(row(model="ours", layers=2, hidden=512, heads=8))
    assert (plain.model_type, plain.vocab_size) == ("gpt2", models.PADDED_GPT2_VOCABULARY)


def test_a_label_is_never_a_path_or_a_download(row, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    for label in (str(tmp_path), "somebody/some-model", "../../etc"):
        assert isinstance(resolve(row(model=label)), Refused)


def test_every_set_names_software_that_is_known():
    named = {name for known in sets() for name in known.software.values()}
    assert named <= set(generations())


@pytest.mark.parametrize(
    ("label", "node", "expected"),
    [
        ("8-GPU NVLink/NVSwitch nodes; 8x HDR InfiniBand 200 Gb/s per node", 8, 25e9),
        ("NVLink in node; 800 Gb/s per node between nodes (config 800)", 8, 12.5e9),
        ("NVLink3; 4x Omni-Path 100 Gb/s per node", 8, 6.25e9),
        ("8x H100 NVLink; 400 Gb/s RDMA per GPU", 8, 50e9),
        ("4x ConnectX-7 IB NDR 400Gb/s", 4, 50e9),
        ("2 x HDR 200 Gb/s per node", 8, 6.25e9),
        ("100 GB/s per chip", 8, 100e9),
        ("NVLink and something", 8, 0.0),
        ("", 8, 0.0),
    ],
)
def test_the_network_of_a_label(label, node, expected):
    assert interconnect.network_bytes_per_s(label, node) == expected


def test_a_stated_network_replaces_the_usual_one(row):
    case = resolve(row(chip_count=64, interconnect="100 Gb/s per node"))
    assert isinstance(case, Case)
    levels = case.target.machine().levels
    assert levels[0].bandwidth_bytes_per_s == load.chip("h100-sxm").scale_up.bandwidth.value
    assert levels[-1].bandwidth_bytes_per_s == 100e9 / 8 / 8


def test_a_smaller_node_and_a_torus_cut_to_its_slices(row):
    quad = resolve(row(chips_per_node=4, chip_count=4))
    assert isinstance(quad, Case)
    assert quad.target.machine().levels[0].size == 4
    rack = resolve(row(chip="GB200", chips_per_node=4, chip_count=64))
    assert isinstance(rack, Case)
    assert rack.target.machine().levels[0].size == 72
    label = "2D-torus ICI; 4 slice(s) over DCN"
    slices = resolve(row(chip="TPU-v5e", chip_count=512, interconnect=label, chips_per_node=4))
    assert isinstance(slices, Case)
    assert slices.target.machine().levels[0].size == 128


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"chip": "Quantum-9"}, "No chip called 'Quantum-9'"),
        ({"model": "nobody"}, "model nobody is not known"),
        ({"chip_count": 0, "seq_len": 0}, "the number of chips, the sequence length are not"),
        ({"global_batch_seqs": 0}, "the global batch is not stated"),
        ({"precision": "fp3"}, "precision 'fp3' is not known"),
        ({"precision": "fp8", "chip": "A100-SXM-80GB"}, "no published peak for fp8"),
        ({"metric": "train_time", "unit": "min"}, "tokens of the whole run"),
    ],
)
def test_a_row_that_cannot_be_predicted_says_why(changes, reason, row):
    refused = resolve(row(**changes))
    assert isinstance(refused, Refused)
    assert reason in refused.reason


@pytest.mark.parametrize("changes", [{"task": "lora"}, {"notes": "LoRA fine-tune; 3 runs"}])
def test_a_row_of_adapters_trains_few_parameters(changes, row):
    case = resolve(row(**changes))
    assert isinstance(case, Case)
    assert case.row.task == "lora"
    assert case.arch != models.architecture(row())


def test_conventions_are_read_from_notes_and_source(row, by_id):
    hardware = with_conventions(row(metric="mfu", unit="percent", notes="hardware TFLOP/s"))
    assert hardware.flop_convention == "hardware"
    assert with_conventions(row(metric="mfu", unit="percent")).flop_convention == "model"
    assert with_conventions(row(chip="Trainium1", tp=32, dp=8, chip_count=128)).ranks_per_chip == 2
    assert with_conventions(by_id("sc21-004")).software == "2022"


def test_flop_conventions(row):
    arch = models.architecture(row())
    seq = 8192
    causal = flop_per_token(arch, seq, "model-causal", "none")
    whole = flop_per_token(arch, seq, "model", "none")
    full = flop_per_token(arch, seq, "hardware", "full")
    attention = 32 * 12 * 4096 * seq  # 12 L s h, the whole square
    assert whole - causal == pytest.approx(attention / 2, rel=1e-3)
    head = 6 * 4096 * 128256
    assert full - whole == pytest.approx((whole - head) / 3, rel=1e-3)
    assert flop_per_token(arch, seq, "hardware", "selective") - whole == pytest.approx(
        attention / 3, rel=1e-3
    )


def test_sc21_counts_as_its_formula_does(by_id):
    row = by_id("sc21-007")
    arch = models.architecture(row)
    layers, h, s, v = 80, 12288, 2048, 51200
    formula = 96 * layers * h**2 * (1 + s / (6 * h) + v / (16 * layers * h))
    assert flop_per_token(arch, s, "hardware", "full") == pytest.approx(formula, rel=1e-3)


def test_a_benchmark_s_tokens_are_interpolated(row):
    timed = row(set="mlperf-4", global_batch_seqs=2560, task="pretrain")
    between = (1182793728 + 1216348160) / 2
    assert tokens_of(timed, "gpt3-175b") == pytest.approx(between)
    assert tokens_of(timed, "nobody") == 0
    assert tokens_of(row(tokens=7.0), "gpt3-175b") == 7.0


def test_evaluations_of_a_timed_run(row):
    """GPT-3 on 64 DGX H100, MLPerf 3.0: 24 evaluations in 288 steps, three batches each."""
    timed = row(set="mlperf-3", global_batch_seqs=2048, metric="train_time", task="pretrain")
    known = evaluation_of(timed, "gpt3-175b")
    assert known is not None
    sequences = 1207959552 / 2048
    assert evaluation_steps(timed, known, sequences, "none") == pytest.approx(24 * 3 / 3)
    assert evaluation_steps(timed, known, sequences, "full") == pytest.approx(24 * 3 / 4)


def test_evaluations_of_fine_tuning_start_late_and_cost_more(row):
    """LoRA with a global batch of 64 skips ten; frozen weights halve the backward pass."""
    timed = row(set="mlperf-5", global_batch_seqs=64, metric="train_time", task="lora")
    known = evaluation_of(timed, "llama-2-70b")
    assert known == Evaluation(sequences=173, every=384, skip=2, skip_per_sequence=0.125)
    assert evaluation_steps(timed, known, 384 * 10, "none") == 0
    assert evaluation_steps(timed, known, 384 * 11, "none") == pytest.approx(3 / 2)


def test_only_timed_benchmarks_include_evaluations(row, by_id):
    assert evaluation_of(by_id("mlperf-066"), "llama-3.1-405b") is None  # a step
    assert evaluation_of(row(metric="train_time"), "gpt3-175b") is None
    later, earlier = by_id("mlperf-136"), by_id("mlperf-065")
    assert evaluation_of(later, "llama-3.1-405b").every == 18432
    assert evaluation_of(earlier, "llama-3.1-405b").every == 46080


@pytest.mark.parametrize("model", ["llama3-8b", "llama3.1-405b"])
def test_the_time_to_a_target_means_the_step_that_was_logged(model):
    """Submissions that log their steps give both; evaluations and all, the two agree."""
    rows = [row for row in read.bundled() if row.set == "mlperf-5" and row.model == model]
    steps = {row.where: row.value for row in rows if row.metric == "iteration_time"}
    timed = [resolve(row) for row in rows if row.metric == "train_time" and row.where in steps]
    ratios = sorted(case.measured_s / steps[case.row.where] for case in timed)
    assert len(ratios) >= 10
    assert ratios[len(ratios) // 2] == pytest.approx(1.0, abs=0.02)
    assert all(ratio == pytest.approx(1.0, abs=0.15) for ratio in ratios)


def placed(one):
    case = resolve(one)
    assert isinstance(case, Case)
    return place(case, case.target.machine())


def test_a_stated_layout_is_kept(row):
    found = placed(row(tp=2, pp=2, chip_count=16, zero_or_fsdp="none", seq_parallel="no"))
    layout = found.layout
    assert found.origin == "stated"
    assert (layout.tp[0], layout.pp[0], layout.dp[0], layout.zero[0]) == (2, 2, 4, 0)
    assert layout.sequence_parallel[0] == 0


def test_what_a_layout_leaves_open_is_filled_in(row):
    found = placed(row(microbatch=0, recompute=""))
    assert found.origin == "completed"
    assert (found.layout.tp[0], found.layout.dp[0]) == (1, 8)
    several = placed(row(pp=4, interleave=-1))
    assert (several.origin, several.layout.interleave[0] > 1) == ("completed", True)


def test_a_row_without_layout_is_searched(row):
    bare = {"tp": 0, "pp": 0, "microbatch": 0, "recompute": ""}
    assert placed(row(**bare)).origin == "searched"
    assert placed(row(**bare, zero_or_fsdp="FSDP")).layout.zero[0] == 3


def test_cores_are_counted_as_parts_of_chips(row):
    found = placed(row(chip="Trainium1", tp=32, dp=8, chip_count=128, chips_per_node=16))
    assert (found.layout.tp[0], found.layout.dp[0]) == (16, 8)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"tp": 3}, "does not divide its 8 chips"),
        ({"tp": 2, "dp": 5}, "dp 5 x 2 chips of a replica are not its 8 chips"),
        ({"microbatch": 999}, "no whole number of microbatches of 999"),
        ({"tp": 1, "microbatch": 5}, "no whole number of microbatches of 5"),
        ({"pp": 64, "chip_count": 64}, "more pipeline and virtual stages than its 32 layers"),
        ({"pp": 2, "interleave": 1000}, "more pipeline and virtual stages than its 32 layers"),
        ({"tp": 64, "chip_count": 64}, "does not divide the attention heads"),
        ({"tp": 1, "ep": 8}, "does not divide the experts"),
        ({"tp": 1, "cp": 8, "seq_len": 512}, "leaves less than 512 tokens"),
    ],
)
def test_a_layout_that_could_not_have_run_says_why(changes, reason, row):
    case = resolve(row(**changes))
    assert isinstance(case, Case)
    with pytest.raises(NoLayout, match=reason):
        place(case, case.target.machine())


def test_a_layout_counted_in_parts_of_a_chip_is_no_mismatch(row):
    case = resolve(row(chip="Trainium1", tp=32, dp=8, chip_count=128, global_batch_seqs=512))
    assert isinstance(case, Case)
    assert place(case, case.target.machine()).layout.dp[0] == 8


def test_the_layouts_of_the_bundled_rows_could_have_run():
    refused = set()
    for given in read.bundled():
        case = resolve(given)
        if isinstance(case, Case) and case.row.tp and case.row.microbatch:
            try:
                place(case, case.target.machine())
            except NoLayout:
                refused.add(given.id)
    assert not refused
