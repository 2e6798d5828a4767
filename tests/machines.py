"""Machines made by hand, so that a test states every number it rests on."""

from parity.catalogue.machine import UNBOUNDED, Level, Machine
from parity.catalogue.schema import Chip


def two_level(
    *,
    node: int = 8,
    near: float = 300e9,
    far: float = 25e9,
    topology: str = "switch",
    peak: float = 300e12,
    memory: float = 80e9,
    bandwidth: float = 2e12,
    units: int = 108,
) -> Machine:
    """Nodes of `node` chips in a flat fabric; links reach all of their bandwidth."""
    chip = Chip(id="test-chip", name="Test", vendor="Test", status="design", family="test")
    return Machine(
        chip=chip,
        cluster_id="test",
        peak_flop_per_s={"bf16": peak},
        memory_bytes=memory,
        memory_bandwidth_bytes_per_s=bandwidth,
        tdp_w=400.0,
        units=units,
        node=node,
        levels=(
            Level("scale-up", node, topology, near, 1.0),
            Level("scale-out", UNBOUNDED, "switch", far, 1.0),
        ),
    )
