"""Plans: the best layout, the fewest chips, the walls."""

import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parity.catalogue.load import chip
from parity.catalogue.machine import machine
from parity.errors import Infeasible
from parity.layout.layout import single
from parity.layout.legal import REASONS, illegal
from parity.search.candidates import evaluate
from parity.search.findings import CODES, choose_dtype
from parity.search.grid import flat, layouts
from parity.search.train import (
    TrainingPlan,
    Wall,
    best_plans,
    fewest_chips,
    in_nodes,
    what_binds,
)
from parity.timing.software import software
from parity.units import render
from parity.workload.find import model
from parity.workload.training import TrainingJob

SMALL, LARGE = "llama-3.1-8b", "llama-3.1-70b"


def job(batch: int = 512, seq_len: int = 8192, dtype: str = "bf16") -> TrainingJob:
    return TrainingJob(
        tokens=1e12, seq_len=seq_len, global_batch_tokens=batch * seq_len, dtype=dtype
    )


def best(name: str, chip_name: str, chips: int, batch: int = 512) -> TrainingPlan:
    return best_plans(model(name), job(batch), machine(chip(chip_name)), software(), chips, 1)[0]


def test_the_best_layout_is_the_fastest_of_those_that_fit() -> None:
    arch, h100 = model(LARGE), machine(chip("h100"))
    space = layouts(arch, job(), h100, software(), chips=256)
    found = evaluate(arch, job(), space, h100, software())
    plan = best_plans(arch, job(), h100, software(), 256, 1)[0]
    assert plan.time_s == pytest.approx(float(found.time_s.min()))
    assert float(plan.step.memory.total_bytes[0]) <= 80e9
    assert plan.chips == 256


def test_every_layout_of_the_space_is_legal_and_takes_all_chips() -> None:
    arch = model("deepseek-v3")
    blocks = layouts(arch, job(1024, 4096), machine(chip("h800")), software(), chips=1024)
    space = flat(blocks)
    assert len(space) > 100
    assert set(space.chips) == {1024}
    assert not illegal(arch, space, 4096, 1024).any()
    assert len({tuple(row) for row in np.stack([space.tp, space.pp, space.ep], axis=1)}) > 20


@pytest.mark.parametrize(
    ("layout", "reason"),
    [
        (single(tp=7, dp=8), "attention heads"),
        (single(pp=81), "more pipeline stages than layers"),
        (single(interleave=2), "virtual stages"),
        (single(pp=4, interleave=3), "virtual stages"),
        (single(dp=1024), "sequences in the global batch"),
        (single(pp=8, dp=128, interleave=2), "multiple of the pipeline stages"),
        (single(cp=32), "context parallelism"),
        (single(ep=2), "expert parallelism"),
    ],
)
def test_each_rule_refuses_what_it_says(layout, reason) -> None:
    code = int(illegal(model(LARGE), layout, 8192, 512)[0])
    assert reason in REASONS[code]


def test_a_model_that_does_not_fit_says_how_much_is_missing_and_what_would_do() -> None:
    with pytest.raises(Infeasible) as refused:
        best(LARGE, "a100-sxm-40", 8)
    (finding,) = refused.value.findings
    assert finding.code == "P102"
    assert "40 GB are there" in finding.message
    enough = int(finding.fix.split("x")[0].replace(",", ""))
    assert best(LARGE, "a100-sxm-40", enough).chips == enough


def test_the_fewest_chips_meet_the_target_and_half_of_them_do_not() -> None:
    arch, h20 = model(LARGE), machine(chip("h20"))
    target = best(LARGE, "h100", 256).time_s
    found = fewest_chips(arch, job(), h20, software(), target)
    assert isinstance(found, TrainingPlan)
    assert found.time_s <= target
    assert found.chips % 8 == 0
    half = [d for d in (found.chips // 2, found.chips // 2 // 8 * 8) if d]
    for count in half:
        with contextlib.suppress(Infeasible):  # no layout of that count at all
            assert best(LARGE, "h20", count).time_s > target


def test_a_chip_matches_itself_with_its_own_count() -> None:
    own = best(LARGE, "h100", 256)
    found = fewest_chips(model(LARGE), job(), own.machine, software(), own.time_s)
    assert isinstance(found, TrainingPlan)
    assert found.chips == 256


def test_an_exhausted_batch_is_a_wall_with_its_reason() -> None:
    found = fewest_chips(
        model(SMALL), job(16, dtype="fp16"), machine(chip("v100")), software(), 0.05
    )
    assert isinstance(found, Wall)
    assert "global batch of 16 sequences is used up" in found.reason
    assert found.fastest is not None
    assert found.fastest.time_s > 0.05


def test_compute_binds_a_large_model_on_h20_and_the_link_a_small_one_spread_wide() -> None:
    arch, h20 = model(LARGE), machine(chip("h20"))
    plan = best(LARGE, "h20", 256)
    gains = what_binds(arch, job(), h20, software(), plan.layout).gains
    assert max(gains, key=gains.get) == "compute"
    wide = single(tp=8, dp=4)
    mesh = machine(chip("910b"))
    linked = what_binds(model(SMALL), job(32), mesh, software(), wide).gains
    assert linked["scale-up link"] > 0.01


@settings(max_examples=15)
@given(
    factor=st.floats(1.0, 3.0),
    path=st.sampled_from(["memory.bandwidth", "scale_up.bandwidth", "compute.dense.bf16"]),
)
def test_a_better_chip_never_needs_more_chips(factor, path) -> None:
    from parity.catalogue.spec import override

    plain = chip("a800")
    owner: object = plain
    for part in path.split("."):
        owner = getattr(owner, part)
    better = override(plain, path, render(owner.value * factor, owner.unit, 6))
    arch, target = model(SMALL), best(SMALL, "h100", 64).time_s
    counts = []
    for one in (plain, better):
        found = fewest_chips(arch, job(), machine(one), software(), target)
        assert isinstance(found, TrainingPlan)
        counts.append(found.chips)
    assert counts[1] <= counts[0]


def test_auto_takes_bf16_where_it_is_native_and_fp16_where_it_is_not() -> None:
    assert choose_dtype(chip("h20"), "auto")[0] == "bf16"
    dtype, (finding,) = choose_dtype(chip("v100"), "auto")
    assert dtype == "fp16"
    assert "no bf16" in finding.message


@pytest.mark.parametrize(("name", "dtype"), [("v100", "bf16"), ("a100", "fp8"), ("910b", "fp8")])
def test_a_dtype_the_chip_does_not_take_is_refused_with_what_it_takes(name, dtype) -> None:
    with pytest.raises(Infeasible) as refused:
        choose_dtype(chip(name), dtype)
    (finding,) = refused.value.findings
    assert finding.code == "P101"
    assert finding.fix.startswith("--dtype")


def test_whole_nodes_once_a_node_is_full() -> None:
    assert in_nodes(np.array([1, 8, 9, 17]), 8).tolist() == [1, 8, 16, 24]


def test_every_code_has_a_title_and_a_meaning() -> None:
    assert all(code[0] == "P" and title and meaning for code, (title, meaning) in CODES.items())
