"""Areas and energies of blocks against dies that are known, and what must hold of any."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parity.catalogue.machine import central
from parity.supply import blocks, tables
from parity.supply.floorplan import (
    BLOCKS,
    Held,
    Interfaces,
    Silicon,
    area_of,
    fitted,
    floorplan,
    phy_mm2,
    sram_mm2_per_byte,
    sram_to_feed,
    stacks_at_edge,
)
from parity.supply.floorplan_check import checked
from parity.supply.power import (
    Power,
    at_clock,
    carries,
    mac_joule,
    moved_w,
    static_w,
    sustained_clock,
    voltage,
)
from parity.timing.draw import Sampler

MIB = 2**20
#: Published areas of blocks in die shots [LLMCompass, ae/figure6/real_hardware/die_area.csv].
GA100_L2_MM2, ALDEBARAN_L2_MM2, GA100_NVLINK_MM2 = 119.31, 25.2, 20.95

sizes = st.floats(1.0, 800.0)


def silicon(node="tsmc-4n", *, mac="mac", array="cache", sites=6, links=18, dies=1, fit=1.0):
    phys = blocks.phys()
    ports = Interfaces(phys["hbm"], sites, phys["nvlink4"], links, phys["pcie5"], 16)
    return Silicon(tables.node(node), dies, blocks.arrays()[array], ports, mac, fit)


def test_known_dies_are_predicted_from_what_they_hold():
    """H100, both Ascends, TPU v4i and the Groq LPU had no part in what a core takes."""
    found = {one.name: one for one in checked()}
    for name in ("V100", "A100", "B200, two dies", "XCD of MI300X"):
        assert found[name].fitted
        assert abs(found[name].area_off) < 0.06
    for name in ("H100", "Ascend 910, compute die", "Ascend 910B", "TPU v4i", "Groq LPU v1"):
        assert not found[name].fitted
        assert abs(found[name].area_off) < 0.21
    # Full-rate fp64 is in no block.
    assert found["MI250X, two dies (full-rate fp64)"].area_off == pytest.approx(-0.43, abs=0.05)


def test_ratings_are_predicted_from_peaks_and_bandwidths():
    found = {one.name: one for one in checked()}
    for name in (
        "V100", "A100", "H100", "MI250X, two dies (full-rate fp64)", "Ascend 910, compute die",
        "Ascend 910B",
    ):  # fmt: skip
        assert abs(found[name].watts_off) < 0.15
    assert abs(found["Groq LPU v1"].watts_off) < 0.4
    # Rated below what all their matrix units would draw at the full clock.
    assert found["B200, two dies"].watts_off > 0.5
    assert found["MI300X"].watts_off > 0.3


@pytest.mark.parametrize(
    ("node", "mib", "real"), [("tsmc-7", 48, GA100_L2_MM2), ("tsmc-6", 8, ALDEBARAN_L2_MM2)]
)
def test_the_caches_of_two_die_shots(node, mib, real):
    each = sram_mm2_per_byte(blocks.arrays()["cache"], tables.node(node), central)
    assert mib * MIB * each == pytest.approx(real, rel=0.3)


def test_the_links_of_a_die_shot_and_of_the_paper():
    nvlink = blocks.phys()["nvlink3"]
    assert nvlink.area_mm2 is not None
    assert 12 * nvlink.area_mm2.low == pytest.approx(GA100_NVLINK_MM2, rel=0.01)
    hbm = phy_mm2(blocks.phys()["hbm"], tables.node("tsmc-7"), central)
    assert hbm == pytest.approx(10.45 + 552.7 / 91.2)


@pytest.mark.parametrize(
    ("die", "stack", "dies", "taken", "places"),
    [
        (826, 110, 1, True, 6),  # A100
        (814, 121, 1, True, 6),  # H100, H20
        (800, 121, 2, True, 12),  # room for more than the eight of B200
        (665.6, 110, 2, True, 12),  # Ascend 910C has eight
        (456.25, 92, 1, True, 6),  # Ascend 910, two of them dummies
        (100, 121, 1, True, 2),
        (20, 121, 1, True, 0),
        (814, 121, 1, False, 10),
    ],
)
def test_stacks_find_places_along_the_edges(die, stack, dies, taken, places):
    assert stacks_at_edge(die, stack, 6.05, dies, ends_taken=taken) == places


def test_the_sram_that_a_balanced_chip_needs():
    # A block of 590 by 590 sums in fp32, for 295 FLOP a byte [Kung 1986].
    assert sram_to_feed(989.4e12, 3.35e12) == pytest.approx(4 * (2 * 295.3) ** 2, rel=1e-3)
    assert sram_to_feed(2e12, 1e12) == 4 * sram_to_feed(1e12, 1e12)


@given(sizes, sizes, sizes)
def test_blocks_sum_to_the_dies_and_more_area_holds_more(matrix, cores, sram):
    one = silicon()
    whole = 1000.0
    plan = floorplan(one, whole, (matrix, cores, sram), central)
    assert list(plan.areas) == list(BLOCKS)
    assert sum(plan.areas.values()) == pytest.approx(whole)
    more = floorplan(one, whole, (matrix + 1, cores + 1, sram + 1), central)
    assert more.macs > plan.macs
    assert more.cores > plan.cores
    assert more.sram_bytes > plan.sram_bytes
    assert more.areas["rest"] < plan.areas["rest"]


@given(st.floats(1e3, 1e6), st.floats(1, 300), st.floats(1e6, 3e8), st.floats(0.4, 2.5))
def test_areas_and_contents_are_each_others_inverse(macs, cores, sram, fit):
    one = silicon(fit=fit)
    areas = area_of(one, (macs, cores, sram), central)
    split = (areas["matrix units"], areas["cores"], areas["SRAM"])
    plan = floorplan(one, sum(areas.values()), split, central)
    assert plan.macs == pytest.approx(macs)
    assert plan.cores == pytest.approx(cores)
    assert plan.sram_bytes == pytest.approx(sram)
    assert plan.areas["rest"] == pytest.approx(areas["rest"])
    assert fitted(one, sum(areas.values()), (macs, cores, sram), central) == pytest.approx(fit)


def test_what_is_known_has_no_range_and_what_is_added_does():
    one, draw = silicon(), Sampler(64)
    held = Held(macs=3e5, cores=144, sram_bytes=5e7, matrix_mm2=420, cores_mm2=90, sram_mm2=110)
    same = floorplan(one, 814, (420.0, 90.0, 110.0), draw, held)
    assert np.ptp(same.macs) == np.ptp(same.cores) == np.ptp(same.sram_bytes) == 0
    more = floorplan(one, 814, (440.0, 90.0, 110.0), draw, held)
    assert more.macs.shape == (64, 1)
    assert np.ptp(more.macs) > 0
    assert (more.macs > 3e5).all()


@pytest.mark.parametrize("mac", ["mac", "systolic"])
def test_denser_nodes_need_less(mac):
    def macs(node):
        return floorplan(silicon(node, mac=mac), 814, (300.0, 100.0, 100.0), central).macs

    assert macs("tsmc-3e") > macs("tsmc-5") > macs("tsmc-7") > macs("tsmc-16")
    assert mac_joule(tables.node("tsmc-3e"), central) < mac_joule(tables.node("tsmc-7"), central)


def test_energy_at_7_nm_is_that_of_the_table_times_what_surrounds_it():
    joule = mac_joule(tables.node("tsmc-7"), central, delivery=1.0)
    assert joule == pytest.approx(0.32e-12)  # Jouppi et al. 2021, table 2: 0.21 + 0.11 pJ
    assert moved_w(blocks.phys()["hbm"], 1e12 / 8, central) == pytest.approx(3.9)


@given(st.floats(1, 1e3), st.floats(0, 300), st.floats(0, 300), st.floats(50, 3000))
def test_the_clock_under_a_budget_keeps_to_it(matrix, memory, links, budget):
    power = Power(matrix, memory, links, 100.0)
    clock = float(sustained_clock(power, budget, central))
    assert 0 <= clock <= 1
    drawn = float(at_clock(power, clock, central).total)
    if clock == 0:
        assert at_clock(power, 0.0, central).total > budget * (1 - 1e-6)
    else:
        assert drawn <= budget * (1 + 1e-5)
        assert clock == 1 or drawn == pytest.approx(budget, rel=1e-4)
    higher = float(sustained_clock(power, budget * 1.1, central))
    assert higher >= clock


def test_power_falls_faster_than_the_clock_but_not_faster_than_its_cube():
    power = Power(500.0, 0.0, 0.0, 0.0)
    for clock in (0.3, 0.5, 0.9):
        left = float(at_clock(power, clock, central).total) / 500.0
        assert clock**3 < left < clock
    assert voltage(1.0, central) == pytest.approx(1.0)


def test_static_power_is_about_a_fifth_of_known_ratings():
    for area, tdp in ((815, 300), (826, 400), (814, 700), (1600, 1000), (665.6, 400)):
        assert 0.1 < static_w(area, central) / tdp < 0.35


@given(st.floats(1, 5000), st.floats(50, 3000))
def test_cold_plates_carry_whatever_air_does(watts, area):
    air, plate = (blocks.coolings()[name] for name in ("air", "cold-plate"))
    assert not carries(air, watts, area, central) or carries(plate, watts, area, central)
