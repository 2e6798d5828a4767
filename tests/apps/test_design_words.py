"""What each word of a design changes, and what it leaves as it is."""

from __future__ import annotations

import pytest

from parity.catalogue.machine import central
from parity.search.design import judged
from parity.supply.custom import figures
from parity.words.design import KEYS, design_of

H100 = design_of(None, "h100")


def of(words):
    return design_of(None, f"h100@{words}")


def at(words):
    return figures(of(words), central)


BASE = figures(H100, central)


def test_a_chip_without_changes_is_that_chip():
    assert of("name=own").name == "own"
    assert of("name=own").split == H100.split
    assert at("name=own").peak_flop_per_s == BASE.peak_flop_per_s


def test_systolic_arrays_hold_more_in_as_much_area():
    special = at("matrix.kind=systolic,power.budget=1000W")
    assert special.plan.areas["matrix units"] == BASE.plan.areas["matrix units"]
    assert special.plan.macs == pytest.approx(BASE.plan.macs * 220e3 / 25344)
    assert at("matrix.kind=core").plan.macs == BASE.plan.macs


def test_scratchpads_hold_more_in_as_much_area():
    more = at("sram.kind=scratchpad,area.sram=111mm2").sram_bytes
    assert more / BASE.sram_bytes == pytest.approx(0.31 / 0.0911, rel=0.01)
    assert at("sram.kind=cache").sram_bytes == BASE.sram_bytes


def test_memory_by_generation_stacks_and_gigabytes():
    newer = at("memory.kind=hbm3e,memory.stacks=6")
    assert newer.memory_bytes == pytest.approx(6 * 24e9)
    assert newer.memory_bytes_per_s == pytest.approx(6 * 1.229e12)
    assert at("memory.gb=24").memory_bytes == pytest.approx(5 * 24e9)
    assert at("memory.kind=hbm4,memory.stacks=2").memory_bytes_per_s == pytest.approx(2 * 2.048e12)
    none = at("memory.kind=none")
    assert none.memory_bytes == none.memory_bytes_per_s == 0


def test_links_and_lanes():
    assert at("links.count=9").link_bytes_per_s == pytest.approx(225e9)
    assert at("links.kind=infinity-fabric,links.count=7").link_bytes_per_s == pytest.approx(448e9)
    assert at("links.count=0").link_bytes_per_s == 0
    fewer = of("host.lanes=8")
    assert fewer.whole_mm2 < H100.whole_mm2
    lanes = figures(fewer, central).plan.areas["host link"]
    assert lanes == pytest.approx(BASE.plan.areas["host link"] / 2)


def test_areas_as_they_are_or_as_parts_of_the_dies():
    assert of("area.matrix=50%").split[0] == pytest.approx(407)
    wide = of("area.cores=180mm2")
    assert wide.split[1] == 180
    assert wide.whole_mm2 > H100.whole_mm2 + 90  # with its network
    assert of("area.cores=80mm2,die.area=814mm2").whole_mm2 == 814


def test_dies_clock_sold_domain_and_dtypes():
    two = of("dies=2")
    assert two.silicon.dies == 2
    assert figures(two, central).plan.areas["die to die"] > 0
    assert at("clock=915MHz").peak_flop_per_s == pytest.approx(BASE.peak_flop_per_s / 2)
    assert at("sold=50%").peak_flop_per_s == pytest.approx(BASE.peak_flop_per_s / 2 * 144 / 132)
    chip = judged(of("domain=64,dtypes=bf16+fp4")).chip
    assert chip.scale_up.domain.value == 64
    assert chip.compute.dense.fp8 is None
    assert chip.dtypes.fp8.support == "none"
    assert chip.compute.dense.fp4.value == pytest.approx(4 * 989.4e12)
    assert chip.dtypes.fp4.support == "native"


def test_power():
    assert at("power.delivery=2").tdp_w < BASE.tdp_w
    assert of("power.cooling=immersion").cooling.id == "immersion"
    assert at("power.budget=500W").tdp_w == pytest.approx(500, rel=1e-4)


def test_another_node():
    smaller = of("node=tsmc-3e")
    assert smaller.silicon.node.id == "tsmc-3e"
    assert smaller.whole_mm2 < H100.whole_mm2


@pytest.mark.parametrize("key", [key for key in KEYS if key not in ("from", "like", "name")])
def test_no_word_takes_nonsense(key):
    from parity.errors import UsageError

    for value in ("?", "-3", "1e999", "nan"):
        with pytest.raises(UsageError):
            of(f"{key}={value}")
