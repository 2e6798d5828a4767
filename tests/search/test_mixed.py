"""Fleets of several kinds of chip: shares, stages, links between vendors, published results."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parity.catalogue.load import chip
from parity.catalogue.machine import Machine, machine
from parity.catalogue.spec import merged, override, parse_fleet
from parity.errors import Infeasible, MissingFact, UsageError
from parity.evaluate.goodput import Stated
from parity.evaluate.mixed import (
    STAGED_SHARE,
    gradients_between,
    port_bandwidth,
)
from parity.evaluate.training import training_step
from parity.layout.layout import concatenate, single
from parity.search.mixed import (
    Fleet,
    MixedPlan,
    best_mixed,
    common_dtype,
    fleet_of,
    mixed_findings,
    steps_alone,
)
from parity.search.mixed_replicas import Replicas, shares
from parity.search.mixed_run import fleet_reliability, mixed_run, stretch_of
from parity.search.mixed_stages import best_split, stage_layouts
from parity.search.mixed_step import Part, Way, mixed_step, step_samples, what_binds
from parity.timing.draw import Sampler
from parity.timing.software import software
from parity.workload.count import parameters
from parity.workload.find import model
from parity.workload.training import TrainingJob
from tests.machines import two_level

TINY, SMALL, LARGE, GPT3 = "llama-3.2-1b", "llama-3.1-8b", "llama-3.1-70b", "gpt3-175b"


def job(batch: int = 512, seq_len: int = 8192, dtype: str = "bf16") -> TrainingJob:
    return TrainingJob(
        tokens=1e12, seq_len=seq_len, global_batch_tokens=batch * seq_len, dtype=dtype
    )


def fleet(text: str) -> Fleet:
    return fleet_of(parse_fleet(text), False)[0]


def best(name: str, on: str, batch: int = 512, seq_len: int = 8192) -> MixedPlan:
    return best_mixed(model(name), job(batch, seq_len), fleet(on), software())


# --- published results -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "on", "batch"),
    [
        (SMALL, "8xh100,8xmi300x", 128),
        ("qwen2.5-7b", "8xh100,8xmi300x", 128),
        (LARGE, "128xmi300x,640xa800-sxm-80", 2048),
        (LARGE, "64xh100,128xa100-sxm-80", 1024),
    ],
)
def test_a_fleet_reaches_what_published_ones_did_of_the_sum_of_its_parts(name, on, batch) -> None:
    """One node of NVIDIA and one of AMD: 98 % and 94 % of two of NVIDIA, 1-2 % over two of AMD
    [arXiv 2602.18007]. 128 AMD and 640 others: at most 97.5 % of the sum [HETHUB,
    arXiv 2405.16256]. NVIDIA of several generations: 3.5 % below one kind of as many FLOP/s on
    average [HexiScale, arXiv 2409.01143]. Never more than 16.4 % above [H2, arXiv 2505.17548].
    """
    of_sum = best(name, on, batch).of_sum
    assert of_sum is not None
    assert 0.9 < of_sum < 1.164


# --- one kind in two halves is one kind --------------------------------------------------------


def halves(target: Machine, layout, layers: int, batch: int, total: int) -> Way:
    front = Part(target, int(layout.chips[0]), layout, layers, batch, batch)
    last = Part(target, int(layout.chips[0]), layout, total - layers, batch, batch)
    return Way("stages", (front, last), 0.0)


@pytest.mark.parametrize(("tp", "dp", "cp"), [(8, 2, 1), (4, 4, 1), (4, 2, 2)])
@pytest.mark.parametrize("schedule", ["1f1b", "zero-bubble"])
@pytest.mark.parametrize("recompute", ["none", "full"])
def test_a_pipeline_over_two_halves_of_one_kind_takes_as_long_as_over_the_whole(
    tp, dp, cp, recompute, schedule
) -> None:
    arch, target = model(LARGE), two_level(memory=1e15)
    half = single(tp=tp, pp=4, dp=dp, cp=cp, recompute=recompute, schedule=schedule)
    whole = half.replace(pp=2 * half.pp)
    expected = training_step(arch, job(), whole, target, software())
    step = mixed_step(arch, job(), halves(target, half, 40, 512, 80), software())
    assert step.time_s[0] == pytest.approx(expected.time_s[0], rel=1e-6)
    fuller = max(held[0] for held in step.bytes)
    assert fuller == pytest.approx(expected.memory.total_bytes[0], rel=1e-3)
    mean, of_slowest = np.mean([share[0] for share in step.busy]), expected.busy_fraction[0]
    assert 0.9 * of_slowest < mean < of_slowest


def test_replicas_of_two_halves_of_one_kind_take_as_long_as_of_the_whole() -> None:
    arch, target = model(SMALL), machine(chip("h100"))
    plan = best_mixed(arch, job(), ((target, 32), (replace(target), 32)), software())
    (whole,) = best_mixed(arch, job(), ((target, 64),), software()).way.parts
    one = training_step(arch, job(), whole.layout, target, software()).time_s[0]
    replicas = min(w.time_s for w in (plan.way, *plan.others) if w.manner == "replicas")
    assert replicas == pytest.approx(float(one), rel=0.02)


def test_batches_of_one_chip_are_one_kind() -> None:
    assert [b.count for b in merged(parse_fleet("8xh100,4xh20,24xh100-sxm"))] == [32, 4]
    assert len(merged(parse_fleet("8xh100,8xh100@memory.capacity=94GB"))) == 2
    assert len(merged(parse_fleet("8xh100,h100"))) == 2


# --- what each kind takes ----------------------------------------------------------------------


@st.composite
def kinds(draw) -> Replicas:
    rows = draw(st.integers(1, 3))
    each = st.lists(st.floats(0.1, 5), min_size=rows, max_size=rows)
    layout = concatenate([single(dp=i + 1) for i in range(rows)])
    taken = draw(st.lists(st.integers(1, 6), min_size=rows, max_size=rows))
    least = np.ones(rows, dtype=np.int64)
    return Replicas(layout, np.array(draw(each)), np.array(draw(each)), np.array(taken), least)


@settings(max_examples=60, deadline=None)
@given(fleet=st.lists(kinds(), min_size=2, max_size=2), batch=st.integers(2, 24))
def test_shares_are_the_best_there_are(fleet, batch) -> None:
    def time(kind: Replicas, row: int, sequences: int) -> float:
        return float(kind.fixed_s[row] + -(-sequences // kind.sequences[row]) * kind.round_s[row])

    rows = [range(len(kind.layout)) for kind in fleet]
    together = min(
        max(time(fleet[0], i, n), time(fleet[1], j, batch - n))
        for i, j in product(*rows)
        for n in range(1, batch)
    )
    alone = min(time(kind, row, batch) for kind in fleet for row in range(len(kind.layout)))
    found = shares(fleet, batch)
    if found is None:
        assert alone <= together * (1 + 1e-6)
    else:
        assert max(share.time_s for share in found) <= together * (1 + 1e-6)
        assert sum(share.sequences for share in found) >= batch


def test_the_best_split_of_a_pipeline_is_found() -> None:
    """Against every pair of layouts and every number of layers in front."""
    arch, work = model(TINY), job(16, 2048)
    pair = tuple((machine(chip(name)), 2) for name in ("h100", "a100"))
    for order in (pair, pair[::-1]):
        (front, _), (last, _) = order
        best_s = np.inf
        spaces = [stage_layouts(arch, work, one, software(), 2) for one, _ in order]
        for i, j in product(range(len(spaces[0])), range(len(spaces[1]))):
            a, b = spaces[0].take(np.array([i])), spaces[1].take(np.array([j]))
            if a.recompute[0] or b.recompute[0] or max(a.microbatch[0], b.microbatch[0]) > 2:
                continue
            if a.schedule[0] != b.schedule[0]:
                continue
            if a.dp[0] * a.microbatch[0] != b.dp[0] * b.microbatch[0]:
                continue
            for layers in range(1, arch.num_hidden_layers):
                parts = (
                    Part(front, 2, a, layers, 16, 16),
                    Part(last, 2, b, arch.num_hidden_layers - layers, 16, 16),
                )
                if a.pp[0] <= layers and b.pp[0] <= arch.num_hidden_layers - layers:
                    step = mixed_step(arch, work, Way("stages", parts, 0.0), software())
                    best_s = min(best_s, float(step.time_s[0]))
        found = best_split(arch, work, (front, last), (2, 2), software())
        assert found is not None
        assert found.time_s <= best_s * (1 + 1e-6)


@pytest.mark.parametrize(
    ("name", "on"),
    [
        (GPT3, "512xa100-sxm-80,256xh20"),
        (LARGE, "64xh100,128xv100"),
        ("deepseek-v3", "256xh800,256x910b"),
        ("llama-3.1-405b", "64xh100,64xh20"),
        (LARGE, "64xh100,64xh20,64xmi300x"),
    ],
)
def test_every_way_fits_and_gives_out_all_of_the_model_and_the_batch(name, on) -> None:
    arch, batch = model(name), 512
    dtype, _ = common_dtype(tuple(one.chip for one, _ in fleet(on)), "auto")
    work = job(batch, 4096, dtype)
    plan = best_mixed(arch, work, fleet(on), software())
    ways = [plan.way, *plan.others]
    assert {way.manner for way in ways} >= {"stages"}
    assert [way.time_s for way in ways] == sorted(way.time_s for way in ways)
    for way in ways:
        step = mixed_step(arch, work, way, software())
        assert float(step.time_s[0]) == pytest.approx(way.time_s, rel=1e-6)
        for part, held in zip(way.parts, step.bytes, strict=True):
            assert float(held[0]) <= part.machine.memory_bytes
            assert part.chips == int(part.layout.chips[0])
            assert 0 < part.sequences <= part.rounds
        if way.manner == "stages":
            assert sum(part.layers for part in way.parts) == arch.num_hidden_layers
            assert len({int((p.layout.dp * p.layout.microbatch)[0]) for p in way.parts}) == 1
        else:
            assert sum(part.sequences for part in way.parts) == batch


def test_the_faster_kind_takes_more_and_both_take_about_as_long() -> None:
    plan = best(SMALL, "32xh100,32xa100")
    replicas = next(w for w in (plan.way, *plan.others) if w.manner == "replicas")
    fast, slow = replicas.parts
    assert 1.7 < fast.sequences / slow.sequences < 3.2
    own = [float(t[0]) for t in mixed_step(model(SMALL), job(), replicas, software()).own_s]
    assert max(own) / min(own) < 1.15


def test_the_order_in_which_kinds_are_named_changes_nothing() -> None:
    there, back = best(LARGE, "128xa100,64xh20"), best(LARGE, "64xh20,128xa100")
    assert there.time_s == back.time_s
    assert {p.machine.chip.id: p.sequences for p in there.way.parts} == {
        p.machine.chip.id: p.sequences for p in back.way.parts
    }


def test_a_model_that_fits_on_neither_kind_may_fit_on_both() -> None:
    plan = best("llama-3.1-405b", "64xh100,64xh20")
    assert all(isinstance(found, Infeasible) for found in plan.alone)
    assert plan.way.manner == "stages"
    assert plan.gain is None
    assert plan.of_sum is None


def test_a_fleet_too_small_says_what_each_kind_lacks() -> None:
    with pytest.raises(Infeasible, match="apart or together") as refused:
        best("llama-3.1-405b", "8xh100,8xh20")
    assert [finding.code for finding in refused.value.findings] == ["P102", "P102"]


def test_a_kind_that_would_hold_the_others_up_stays_idle() -> None:
    plan = best(LARGE, "512xh100,1xa100")
    (idle,) = plan.idle
    assert idle.machine.chip.id == "a100-sxm-80"
    assert plan.way.manner == "alone"
    assert plan.gain == 1.0
    found = mixed_findings(plan)
    assert [finding.code for finding in found] == ["P311"]
    assert "1 a100-sxm-80 stay idle" in found[0].message


@settings(max_examples=10, deadline=None)
@given(factor=st.floats(1.0, 3.0), path=st.sampled_from(["memory.bandwidth", "bf16"]))
def test_a_better_kind_never_makes_a_step_longer(factor, path) -> None:
    plain = chip("h20")
    value = {"memory.bandwidth": 4.0e12, "bf16": 148e12}[path] * factor
    unit = "B/s" if path == "memory.bandwidth" else "FLOP/s"
    better = override(plain, path, f"{value:.0f}{unit}")
    a100, arch = machine(chip("a100")), model(SMALL)
    before, after = (
        best_mixed(arch, job(128), ((a100, 16), (machine(one), 16)), software()).time_s
        for one in (override(plain, path, f"{value / factor:.0f}{unit}"), better)
    )
    assert after <= before * (1 + 1e-9)


# --- links between kinds -----------------------------------------------------------------------


def test_between_vendors_the_narrower_of_port_and_host_link_is_shared() -> None:
    a100, mi300x = machine(chip("a100")), machine(chip("mi300x"))
    assert port_bandwidth(a100, frozenset({"NVIDIA"})) == pytest.approx(25e9 * 0.78)
    both = frozenset({"NVIDIA", "AMD"})
    assert port_bandwidth(a100, both) == pytest.approx(25e9 * 0.78 * STAGED_SHARE[1])
    assert a100.host_bytes_per_s == pytest.approx(31.5e9 * 0.83)  # measured: 26.1 GB/s
    narrow = min(50e9 * mi300x.levels[-1].achieved_fraction, mi300x.host_bytes_per_s)
    assert port_bandwidth(mi300x, both) == pytest.approx(narrow * STAGED_SHARE[1])


def test_gradients_between_kinds_cross_the_ports_of_the_kind_with_fewer() -> None:
    arch, ends = model(LARGE), two_level()
    alone = gradients_between(arch, [256, 64], [20e9, 20e9], ends, software())
    moved = parameters(arch) * software().gradient_bytes  # of two kinds each sends all, once
    assert float(alone) == pytest.approx(moved / (64 * 20e9), rel=0.02)


def test_a_chip_without_a_network_port_is_named() -> None:
    lonely = replace(two_level(), levels=two_level().levels[:1])
    with pytest.raises(MissingFact, match=r"scale_out\.bandwidth"):
        port_bandwidth(lonely, frozenset({"Test"}))


def test_a_fleet_of_two_vendors_says_that_messages_pass_through_host_memory() -> None:
    codes = [finding.code for finding in mixed_findings(best(SMALL, "8xh100,8xmi300x", 128))]
    assert codes == ["P312", "P313"]
    assert [f.code for f in mixed_findings(best(SMALL, "8xh100,8xa100", 128))] == ["P313"]


# --- range, reasons, whole run -----------------------------------------------------------------


def test_the_range_holds_the_value_and_what_binds_is_arithmetic() -> None:
    plan = best(LARGE, "128xa100,64xh20")
    assert plan.low_s < plan.time_s < plan.high_s
    assert plan.bound.word == "compute"
    staged = best(SMALL, "8xh100,8xmi300x", 16)
    gains = what_binds(model(SMALL), job(16), staged.way, software()).gains
    assert gains["host staging"] > 0


def test_samples_of_a_fleet_spread_less_than_those_of_its_worst_known_kind() -> None:
    arch, plan = model(LARGE), best(LARGE, "128xa100,64xh20")
    replicas = next(w for w in (plan.way, *plan.others) if w.manner == "replicas")
    samples = step_samples(arch, job(), replicas, software(), Sampler())
    assert samples.shape == (256,)
    own = mixed_step(arch, job(), replicas, software(), Sampler()).own_s
    widths = [np.std(np.ravel(t)) / np.mean(t) for t in own]
    assert np.std(samples) / np.mean(samples) <= max(widths) * 1.05


def test_failures_of_all_kinds_add_up() -> None:
    plan = best(SMALL, "32xh100,32xa100")
    figures = fleet_reliability(plan.way, Stated(mtbf_hours=1000.0))
    assert figures.mtbf_hours == pytest.approx(1000.0)
    run = mixed_run(model(SMALL), plan, software(), Stated())
    single_kinds = [fleet_reliability(Way("alone", (p,), 0.0), Stated()) for p in plan.way.parts]
    ends = sorted(float(one.mtbf_hours) / 64 for one in single_kinds)
    assert ends[0] <= float(run.goodput.mtbf_hours) <= ends[1]
    assert run.days_range[0] <= run.days <= run.days_range[1]
    steps = plan.job.steps * plan.time_s / 86400
    assert run.days == pytest.approx(steps / float(np.ravel(run.goodput.fraction)[0]))


def test_chips_that_fail_more_than_they_add_stay_idle() -> None:
    arch, work = model("llama-3.1-405b"), job(2048)
    stretch = stretch_of(arch, work, software(), Stated(mtbf_hours=20_000))
    steps, run = (
        best_mixed(arch, work, fleet("16384xh100,16384xa100"), software(), one)
        for one in (steps_alone, stretch)
    )
    assert steps.way.manner == "stages"
    assert run.way.manner == "alone"
    (idle,) = run.idle
    assert idle.joined is not None
    assert idle.joined.time_s < run.way.time_s
    assert run.days(idle.joined) > run.days(run.way)


# --- what cannot be asked ----------------------------------------------------------------------


def test_one_job_has_one_dtype() -> None:
    v100, a100, h20 = chip("v100"), chip("a100"), chip("h20")
    assert common_dtype((a100, h20), "auto")[0] == "bf16"
    dtype, (finding,) = common_dtype((a100, v100), "auto")
    assert dtype == "fp16"
    assert "v100-sxm2-32 has no bf16" in finding.message
    with pytest.raises(Infeasible, match="fp8"):
        common_dtype((h20, a100), "fp8")


@pytest.mark.parametrize(
    ("on", "deadline", "words"),
    [
        ("8xh100,h20", False, "no count"),
        ("h100,h20", True, "one kind may go without"),
        ("8xh100,8xh20,8xa100,8xv100,8xmi300x", False, "at most 4"),
    ],
)
def test_what_a_fleet_cannot_be_asked_is_said(on, deadline, words) -> None:
    with pytest.raises(UsageError, match=words):
        fleet_of(parse_fleet(on), deadline)
