"""Collectives against volumes worked out by hand, and against laws that hold for any network."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parity.catalogue.load import chip
from parity.catalogue.machine import machine
from parity.timing.collective import (
    all_gather,
    all_reduce,
    all_to_all,
    members,
    reduce_scatter,
    send,
    usable_bandwidth,
)
from tests.machines import two_level

GB = 1e9
SIZES = st.sampled_from([1, 2, 4, 8, 16, 64, 512, 4096])
STRIDES = st.sampled_from([1, 2, 4, 8, 16])
BYTES = st.floats(1.0, 1e11)


def partial_all_to_all(message, size, stride, machine):
    """Each byte to one peer."""
    return all_to_all(message, 1, size, stride, machine)


COLLECTIVES = pytest.mark.parametrize(
    "collective", [all_gather, reduce_scatter, all_reduce, partial_all_to_all]
)


def test_members_multiply_to_the_group() -> None:
    machine = two_level(node=8)
    for size, stride, inside in [
        (8, 1, 8),
        (8, 2, 4),
        (64, 1, 8),
        (64, 8, 1),
        (4, 4, 2),
        (2, 16, 1),
    ]:
        near, far = members(size, stride, machine.levels)
        assert float(near) == inside
        assert float(near * far) == size


def test_a_large_ring_inside_a_node_moves_two_sevenths_less_than_twice_the_message() -> None:
    # 2 (n - 1)/n of 10 GB at 300 GB/s, the copy of an eighth at twice that, and latencies that do
    # not count at this size.
    time = all_reduce(10 * GB, 8, 1, two_level(near=300e9))
    assert time == pytest.approx((2 * 7 / 8 + 1 / 8 / 2) * 10 * GB / 300e9, rel=0.01)


def test_across_nodes_each_chip_carries_its_share_through_its_own_port() -> None:
    # 64 chips, 8 a node: 7/8 of an eighth of the message crosses each 25 GB/s port, each way.
    time = all_reduce(10 * GB, 64, 1, two_level(near=300e9, far=25e9))
    crossing = 2 * 7 / 8 * (10 * GB / 8) / 25e9
    assert time == pytest.approx(crossing, rel=0.02)


def test_a_gather_is_half_an_all_reduce_at_size() -> None:
    machine = two_level()
    assert all_gather(GB, 8, 1, machine) == pytest.approx(
        all_reduce(GB, 8, 1, machine) / 2, rel=0.05
    )


def test_a_pair_in_a_full_mesh_has_one_wire() -> None:
    level = two_level(topology="mesh", near=448e9).levels[0]
    assert usable_bandwidth(level, 2) == pytest.approx(448e9 / 7)
    assert usable_bandwidth(level, 8) == pytest.approx(448e9)


def test_one_axis_of_a_torus_is_its_share_of_the_link() -> None:
    level = two_level(topology="torus3d", near=600e9, node=4096).levels[0]
    assert usable_bandwidth(level, 16) == pytest.approx(200e9)
    assert usable_bandwidth(level, 4096) == pytest.approx(600e9)


def test_a_small_all_reduce_is_latency() -> None:
    # In one step, as engines do it: 4.8 to 7.5 µs on A100 and B200; what stands apart takes steps.
    assert 4.8e-6 < all_reduce(1024.0, 8, 1, two_level()) < 7.5e-6
    assert all_reduce(1024.0, 8, 8, two_level()) > 10e-6


@pytest.mark.parametrize(
    ("chip_id", "size", "gigabytes_per_s"),
    # Of 512 MB, (n - 1)/n over the time: A100, H100 and B200 [aiconfigurator-core 0.12.0, nccl].
    [
        ("a100-sxm-80", 2, 146), ("a100-sxm-80", 8, 199), ("h100-sxm", 2, 251),
        ("h100-sxm", 8, 328), ("b200-sxm", 2, 429), ("b200-sxm", 8, 607),
    ],
)  # fmt: skip
def test_gathers_inside_a_node_are_within_an_eighth(chip_id, size, gigabytes_per_s) -> None:
    message = 2.0**29
    time = all_gather(message, size, 1, machine(chip(chip_id)))
    assert message * (size - 1) / size / time == pytest.approx(gigabytes_per_s * GB, rel=0.125)


def test_all_to_all_across_nodes_is_bound_by_what_leaves_the_node() -> None:
    # 16 chips in 2 nodes: 8/16 of each chip's gigabyte leaves through 25 GB/s.
    assert all_to_all(GB, 1, 16, 1, two_level()) == pytest.approx(0.5 * GB / 25e9, rel=0.01)


def test_many_copies_of_a_token_cross_to_a_node_once() -> None:
    # Of 2 nodes, 8 random peers lie in 2 (1 - 2^-8); half of that is elsewhere.
    once = all_to_all(GB, 8, 16, 1, two_level())
    assert once == pytest.approx((1 - 2**-8) * GB / 25e9, rel=0.02)


def test_group_limited_routing_crosses_to_fewer_nodes() -> None:
    # 64 chips in 8 nodes, half of the groups open: 8 peers in 4 nodes, 4 (1 - (3/4)^8) of them.
    limited = all_to_all(GB, 8, 64, 1, two_level(), reach=0.5)
    assert limited == pytest.approx(4 * (1 - 0.75**8) * 7 / 8 * GB / 25e9, rel=0.01)


def test_sending_to_a_neighbour_uses_the_inner_link_and_farther_the_fabric() -> None:
    machine = two_level()
    assert send(GB, 1, machine) == pytest.approx(GB / 300e9, rel=0.01)
    assert send(GB, 8, machine) == pytest.approx(GB / 25e9, rel=0.01)


@COLLECTIVES
@given(message=BYTES, stride=STRIDES)
def test_alone_nothing_is_sent(collective, message, stride) -> None:
    assert collective(message, 1, stride, two_level()) == 0.0


@COLLECTIVES
@given(message=BYTES, size=SIZES, stride=STRIDES, factor=st.floats(1.0, 10.0))
def test_more_bandwidth_is_never_slower(collective, message, size, stride, factor) -> None:
    slow = two_level(near=100e9, far=10e9)
    fast = two_level(near=100e9 * factor, far=10e9 * factor)
    assert collective(message, size, stride, fast) <= collective(message, size, stride, slow) * (
        1 + 1e-12
    )


@COLLECTIVES
@given(message=BYTES, size=SIZES, stride=STRIDES)
def test_never_faster_than_the_wire(collective, message, size, stride) -> None:
    machine = two_level()
    least = 0.0 if size == 1 else message / size / 300e9
    assert collective(message, size, stride, machine) >= least


@COLLECTIVES
def test_arrays_give_what_scalars_give(collective) -> None:
    machine = two_level()
    sizes, strides = np.array([1.0, 2, 8, 64]), np.array([1.0, 4, 1, 2])
    together = collective(1e8, sizes, strides, machine)
    alone = [float(collective(1e8, s, d, machine)) for s, d in zip(sizes, strides, strict=True)]
    assert together == pytest.approx(alone)


@pytest.mark.parametrize("collective", [all_gather, reduce_scatter, all_reduce])
def test_a_group_with_no_peer_inside_a_mesh_takes_as_long_as_on_a_switch(collective) -> None:
    """Its own share is copied, not sent over wires to peers that are not in the group."""
    mesh, switch = two_level(topology="mesh"), two_level()
    times = [float(collective(1e9, 16, 8, one)) for one in (mesh, switch)]
    assert times[0] == pytest.approx(times[1])
    assert times[0] < 1
