"""The space of layouts: pinned axes, the whole of it, its front, and what published runs chose."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parity.catalogue.load import chip
from parity.catalogue.machine import machine
from parity.errors import Infeasible, UsageError
from parity.layout.layout import SCHEDULES, Layout, describe
from parity.layout.legal import illegal
from parity.search.candidates import Candidates, comparable, evaluate
from parity.search.grid import Space, flat, layouts
from parity.search.pareto import front, trades
from parity.search.pinned import pinned
from parity.search.train import best_plans
from parity.timing.software import software
from parity.workload.find import model
from parity.workload.operator import Architecture
from parity.workload.training import TrainingJob
from tests.evaluate.published import gpt
from tests.machines import two_level

SMALL, LARGE, EXPERTS = "llama-3.1-8b", "llama-3.1-70b", "mixtral-8x7b"


def job(batch: int = 256, seq_len: int = 4096, dtype: str = "bf16") -> TrainingJob:
    return TrainingJob(
        tokens=1e12, seq_len=seq_len, global_batch_tokens=batch * seq_len, dtype=dtype
    )


def searched(
    name: str, chips: int, space: Space | None = None, batch: int = 256, **hardware: float
) -> Candidates:
    target = two_level(**hardware)
    args = (model(name), job(batch))
    blocks = layouts(*args, target, software(), chips=chips, space=space or Space())
    return evaluate(*args, blocks, target, software())


@pytest.mark.parametrize("name", [SMALL, EXPERTS])
def test_the_whole_space_holds_the_usual_one_and_a_layout_as_fast(name) -> None:
    every = Space(exhaustive=True)
    whole, usual = (
        flat(layouts(model(name), job(), two_level(), software(), chips=64, space=space))
        for space in (every, Space())
    )

    def rows(layout: Layout) -> set[tuple[int, ...]]:
        return set(zip(*(column.tolist() for column in vars(layout).values()), strict=True))

    assert rows(usual) < rows(whole)
    assert len(rows(whole)) == len(whole)  # none twice
    assert not illegal(model(name), whole, 4096, 256).any()
    assert searched(name, 64, every).time_s.min() <= searched(name, 64).time_s.min()


def test_blocks_give_what_their_layouts_give_one_by_one() -> None:
    args = (model(EXPERTS), job())
    target = two_level(memory=1e15)
    blocks = layouts(*args, target, software(), chips=16, space=Space(exhaustive=True))
    together = evaluate(*args, blocks, target, software())
    apart = evaluate(*args, [together.layout], target, software())
    assert together.tried == len(together.time_s) > 1000
    assert np.allclose(together.time_s, apart.time_s, rtol=1e-12)
    assert np.allclose(together.memory_bytes, apart.memory_bytes, rtol=1e-12)


PINS = st.fixed_dictionaries(
    {},
    optional={
        "tp": st.sampled_from([1, 2, 4, 8]),
        "pp": st.sampled_from([1, 2, 4]),
        "zero": st.integers(0, 3),
        "schedule": st.integers(0, 2),
        "microbatch": st.sampled_from([1, 2]),
        "sequence_parallel": st.integers(0, 1),
        "recompute": st.integers(0, 2),
    },
)


@settings(max_examples=30)
@given(pins=PINS)
def test_pinned_axes_have_their_values_and_never_make_a_step_faster(pins) -> None:
    found = searched(SMALL, 32, Space(fixed=pins))
    for axis, value in pins.items():
        assert (getattr(found.layout, axis) == value).all()
    if len(found.layout):
        best = searched(SMALL, 32, Space(exhaustive=True)).time_s.min()
        assert found.time_s.min() >= best * (1 - 1e-12)


@settings(max_examples=20)
@given(
    figure=st.sampled_from(["near", "far", "peak", "bandwidth", "memory"]),
    factor=st.floats(1.0, 8.0),
    name=st.sampled_from([SMALL, EXPERTS]),
)
def test_more_of_any_figure_is_never_slower_at_the_best_layout(figure, factor, name) -> None:
    base = {"near": 200e9, "far": 25e9, "peak": 300e12, "bandwidth": 2e12, "memory": 80e9}
    plain = searched(name, 64, **base).time_s.min()
    better = searched(name, 64, **{**base, figure: base[figure] * factor}).time_s.min()
    assert better <= plain * (1 + 1e-12)


def test_words_of_fix() -> None:
    assert pinned(["tp=8,pp=4", "schedule=dualpipe", "vp=2", "sp=no"]) == {
        "tp": 8, "pp": 4, "schedule": SCHEDULES.index("dualpipe"), "interleave": 2,
        "sequence_parallel": 0,
    }  # fmt: skip
    assert pinned([]) == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tpp=8", "`tp`"),
        ("tp", "no value"),
        ("tp=", "no value"),
        ("tp=eight", "whole number"),
        ("tp=0", "whole number"),
        ("tp=²", "whole number"),
        ("tp=99999999999999999999", "whole number"),
        ("zero=4", "0 to 3"),
        ("schedule=zerobubble", "`zero-bubble`"),
        ("sp=perhaps", "yes or no"),
        ("pp=4,pp=2", "two values"),
    ],
)
def test_what_fix_cannot_read_is_refused_with_what_was_expected(text, words) -> None:
    with pytest.raises(UsageError) as refused:
        pinned([text])
    assert words in str(refused.value)


def test_a_pinned_axis_that_is_illegal_says_which_rule_stands_in_the_way() -> None:
    with pytest.raises(Infeasible) as refused:
        best_plans(
            model(LARGE), job(), machine(chip("h100")), software(), 60,
            space=Space(fixed={"tp": 3, "pp": 1}),
        )  # fmt: skip
    (finding,) = refused.value.findings
    assert finding.code == "P103"
    assert "attention heads" in finding.message


def test_where_nothing_fits_the_offloading_that_would_is_named() -> None:
    with pytest.raises(Infeasible) as refused:
        best_plans(model(LARGE), job(), machine(chip("h100")), software(), 8)
    (finding,) = refused.value.findings
    word = finding.fix.split("--fix ")[1].rstrip("`")
    space = Space(fixed=pinned([word]))
    (plan,) = best_plans(model(LARGE), job(), machine(chip("h100")), software(), 8, 1, space)
    assert "offloaded" in describe(plan.layout)


@given(rows=st.lists(st.tuples(*(st.integers(1, 6) for _ in range(3))), min_size=1, max_size=40))
def test_nothing_beats_the_front_and_the_front_beats_the_rest(rows) -> None:
    figures = np.array(rows, dtype=float)
    kept = figures[front(figures)]

    def beats(a, b) -> bool:
        return bool((a <= b).all() and (a < b).any())

    assert not any(beats(other, one) for one in kept for other in figures)
    assert all(any((one <= other).all() for one in kept) for other in figures)


def test_the_front_starts_at_the_fastest_layout_and_ends_at_fewer_chips() -> None:
    args = (model(SMALL), job(), two_level(), software())
    found = trades(*args, 64)
    fastest = searched(SMALL, 64).time_s.min()
    assert found[0].time_s == pytest.approx(fastest, rel=0.02)
    assert [t.time_s for t in found] == sorted(t.time_s for t in found)
    assert min(t.chips for t in found) < 64
    assert found == trades(*args, 64) or describe(found[0].layout) == describe(
        trades(*args, 64)[0].layout
    )


#: Narayanan et al. 2021 (SC21), Table 1: layers, hidden, heads, chips, batch, tp, pp. Their others
#: are 7 to 20 % from the best found: small models on more tp than memory asks for.
SC21 = [
    (24, 2304, 24, 32, 512, 1, 1),
    (60, 10240, 80, 1024, 1792, 8, 4),
    (96, 16384, 128, 1920, 2160, 8, 16),
    (105, 20480, 128, 2520, 2520, 8, 35),
    (128, 25600, 160, 3072, 3072, 8, 64),
]
#: What that software had: neither ZeRO nor a divided sequence, everything computed again.
OF_2021 = {
    "zero": 0, "sequence_parallel": 0, "cp": 1, "schedule": 0, "recompute": 2,
}  # fmt: skip


def published(
    arch: Architecture, run: TrainingJob, where: tuple[str, str, str], chips: int,
    had: dict[str, int], chosen: dict[str, int],
) -> float:  # fmt: skip
    """How much longer the best step with the `chosen` axes is than the best with what they had."""
    target, era = machine(chip(where[0]), where[1]), software(where[2])

    def best(fixed: dict[str, int]) -> float:
        blocks = layouts(arch, run, target, era, chips=chips, space=Space(fixed=fixed))
        return float(comparable(evaluate(arch, run, blocks, target, era).time_s).min())

    return best({**had, **chosen}) / best(had) - 1


@pytest.mark.parametrize("row", SC21, ids=[f"{r[0]}x{r[1]}" for r in SC21])
def test_layouts_of_megatron_are_within_5_percent_of_the_best(row) -> None:
    layers, hidden, heads, chips, batch, tp, pp = row
    run = job(batch, 2048, "fp16")
    where = ("a100-sxm-80", "dgx-a100", "2022")
    arch = gpt(layers, hidden, heads)
    assert published(arch, run, where, chips, OF_2021, {"tp": tp, "pp": pp}) <= 0.05


def test_the_layout_of_llama_3_405b_is_within_5_percent_of_the_best_without_cp() -> None:
    """arXiv 2407.21783, Table 4: TP8 CP1 PP16 DP128. They ran it without recomputation, which the
    memory model does not see fit; with cp = 2 the search finds a third less time.
    """
    run, where = job(2048, 8192), ("h100", "", "2024")
    over = published(model("llama-3.1-405b"), run, where, 16384, {"cp": 1}, {"tp": 8, "pp": 16})
    assert over <= 0.05


def test_the_layout_of_torchtitan_for_8b_is_within_5_percent_of_the_best() -> None:
    """pytorch/torchtitan, benchmarks: Llama 3.1 8B on 128 H100, FSDP alone."""
    run, where = job(256, 8192), ("h100", "", "fsdp-2024")
    over = published(model(SMALL), run, where, 128, {}, {"tp": 1, "pp": 1, "cp": 1, "zero": 3})
    assert over <= 0.05
