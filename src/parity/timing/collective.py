"""How long chips take to exchange data: α-β over the levels of the network.

A group of `size` chips that stand `stride` apart has `members` inside each level of the network.
Data pass the levels in a pipeline, so the slowest level sets the bandwidth term, while latencies
add up. Two protocols compete, as in every collective library: one copies small messages with
flags in the data (short hops, a quarter of the bandwidth), one moves large chunks; rings compete
with trees, and inside a domain with an all-reduce in one step. The best combination per size is
taken.

Numbers: inside a domain from collectives measured on A100, H100, B200 and GB200 [NVIDIA,
aiconfigurator-core 0.12.0 (Apache-2.0), nccl and custom_allreduce tables]; across the network from
NCCL's own tuning model [NVIDIA/nccl src/graph/tuning.cc, commit 01afd20]; volumes of rings and
trees from [Thakur, Rabenseifner, Gropp 2005, "Optimization of Collective Communication Operations
in MPICH"].
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import numpy as np

from parity.catalogue.machine import Level, Machine, Number

_TINY = 1e-30


@dataclass(frozen=True)
class Protocol:
    """How a library moves a message: fixed cost, cost of a hop, share of the bandwidth."""

    base_s: float
    near_hop_s: float  # inside a scale-up domain or a node
    far_hop_s: float  # across the fabric
    bandwidth_share: float


#: Inside a domain: fitted to 512 bytes to 512 MB among 2, 4 and 8 chips, with the achieved
#: fractions of the links as they stand: 13 % in the median, 8 % from 10 MB on. Across: tuning.cc,
#: ring, LL and Simple. Of the libraries of other vendors only totals are published.
PROTOCOLS = (
    Protocol(7.1e-6, 2.0e-6, 2.7e-6, 0.36),
    Protocol(9.5e-6, 10e-6, 9.6e-6, 1.0),
)
#: A tree keeps about 0.9 of a ring's bandwidth (tuning.cc).
TREE_BANDWIDTH_SHARE = 0.9


#: Time of copying a chip's own share beside the exchange, over that of sending it: the same tables.
#: Small groups, whose shares are large, reach half to three quarters of what large ones do.
OWN_COPY = 0.5
#: Cost of an all-reduce in one step, each chip reading all of every other's, as engines bring one
#: along: 4 to 7.5 µs on A100, B200 and GB200 [custom_allreduce tables].
ONE_STEP_S = 5.0e-6


def members(size: Number, stride: Number, levels: tuple[Level, ...]) -> list[Number]:
    """Group members at each level: their product is `size`.

    size: chips of the group. stride: distance of neighbours in chips (1: side by side).
    A member of level 0 is a chip; a member of level i is a whole group of level i - 1.
    """
    counts: list[Number] = []
    inside: Number = np.ones_like(np.asarray(size, dtype=float))
    for level in levels:
        within = np.clip(np.floor(level.size / np.asarray(stride, dtype=float)), 1.0, size)
        within = np.maximum(within, inside)
        counts.append(within / inside)
        inside = within
    counts[-1] = counts[-1] * size / inside
    return counts


def shape(level: Level) -> str:
    """The topology of a level as far as it makes a difference: `mesh`, a torus, or any other."""
    return level.topology if level.topology in ("mesh", "torus2d", "torus3d") else "switch"


def usable_bandwidth(level: Level, count: Number) -> Number:
    """What one chip gets of its link with `count` members of its group at this level. [byte/s]

    A switch gives all of it. A full mesh gives one wire to each peer, so a group of few members
    uses few wires. A torus of d axes gives one axis to a group that fits one axis, and all to a
    group that spans it [jax-ml/scaling-book, "Sharded matrices"].
    """
    full = _link(level)
    if level.topology == "mesh":
        return full * np.clip((np.asarray(count) - 1) / np.maximum(level.size - 1, 1), _TINY, 1.0)
    if level.topology in ("torus2d", "torus3d"):
        axes = 2 if level.topology == "torus2d" else 3
        axis = np.maximum(2.0, level.size ** (1 / axes))
        used = np.ceil(np.log(np.maximum(count, 2.0)) / np.log(axis) - 1e-9)
        return full * np.clip(used, 1, axes) / axes
    return full


def _link(level: Level) -> Number:
    """All of a chip's link at a level, however many peers it reaches with it. [byte/s]"""
    return level.bandwidth_bytes_per_s * level.achieved_fraction


def is_near(level: Level) -> bool:
    """Whether it is inside a domain or a node, not across the fabric."""
    return level.name in ("scale-up", "host")


def _hop(protocol: Protocol, level: Level) -> Number:
    return level.latency_share * (protocol.near_hop_s if is_near(level) else protocol.far_hop_s)


def _begin(protocol: Protocol, machine: Machine) -> Number:
    """The fixed cost of a collective: signals among the nearest chips."""
    return machine.levels[0].latency_share * protocol.base_s


def _gather_cost(
    message: Number, counts: list[Number], levels: tuple[Level, ...], protocol: Protocol
) -> tuple[Number, Number, Number]:
    """(bandwidth term, ring latency, tree latency) of an all-gather of `message` bytes in all."""
    slowest: Number = 0.0
    ring: Number = 0.0
    tree: Number = 0.0
    share: Number = 1.0  # of the message that one chip must receive at this level
    for level, count in zip(levels, counts, strict=True):
        moved = message * share * (count - 1) / count
        slowest = np.maximum(slowest, moved / usable_bandwidth(level, count))
        ring = ring + (count - 1) * _hop(protocol, level)
        tree = tree + np.log2(np.maximum(count, 1.0)) * _hop(protocol, level)
        share = share / count
    return slowest / protocol.bandwidth_share, ring, tree


def _best(message: Number, size: Number, stride: Number, machine: Machine, passes: float) -> Number:
    counts = members(size, stride, machine.levels)
    own = OWN_COPY * message / size / _link(machine.levels[0])
    options = []
    for protocol in PROTOCOLS:
        bandwidth, ring, tree = _gather_cost(message, counts, machine.levels, protocol)
        ring_time = passes * (bandwidth + ring)
        tree_time = passes * (bandwidth / TREE_BANDWIDTH_SHARE + tree)
        options.append(_begin(protocol, machine) + own + np.minimum(ring_time, tree_time))
    return np.where(np.asarray(size) > 1, reduce(np.minimum, options), 0.0)


def all_gather(message_bytes: Number, size: Number, stride: Number, machine: Machine) -> Number:
    """Time until every chip holds `message_bytes`, of which each began with its share. [s]"""
    return _best(message_bytes, size, stride, machine, 1.0)


def reduce_scatter(message_bytes: Number, size: Number, stride: Number, machine: Machine) -> Number:
    """Time until each chip holds its share of the sum of `message_bytes`. [s]"""
    return _best(message_bytes, size, stride, machine, 1.0)


def all_reduce(message_bytes: Number, size: Number, stride: Number, machine: Machine) -> Number:
    """Time until every chip holds the sum of all `message_bytes`: scatter, then gather. [s]"""
    steps = _best(message_bytes, size, stride, machine, 2.0)
    inside = members(size, stride, machine.levels)[0]
    wire = usable_bandwidth(machine.levels[0], inside)
    begun = machine.levels[0].latency_share * ONE_STEP_S
    at_once = begun + (np.asarray(size) - 1) * message_bytes / wire
    return np.where((inside == size) & (inside > 1), np.minimum(steps, at_once), steps)


def all_to_all(
    token_bytes: Number,
    copies: float,
    size: Number,
    stride: Number,
    machine: Machine,
    reach: float = 1.0,
) -> Number:
    """Time to send each token, `token_bytes` of all tokens of a chip, to `copies` random peers. [s]

    reach: share of the group among which a token's peers are chosen (group-limited routing).
    Of U units, k random peers lie in U·(1 - (1 - 1/U)^k) different ones. A token crosses to each
    unit once and is handed on inside it [deepseek-ai/DeepEP; DeepSeek-V3 report, arXiv 2412.19437,
    §3.2.2], so every level carries what reaches its units, but the share that is there already.
    Levels work at the same time.
    """
    counts = members(size, stride, machine.levels)
    fast, large = PROTOCOLS
    slowest: Number = 0.0
    latency: Number = 0.0
    inside: Number = 1.0
    for level, count in zip(machine.levels, counts, strict=True):
        moved = token_bytes * _reached(size / inside * reach, copies) * (count - 1) / count
        slowest = np.maximum(slowest, moved / usable_bandwidth(level, count))
        latency = latency + np.log2(np.maximum(count, 1.0)) * _hop(fast, level)
        inside = inside * count
    kept = token_bytes * _reached(size * reach, copies) / size
    own = OWN_COPY * kept / _link(machine.levels[0])
    return np.where(np.asarray(size) > 1, _begin(large, machine) + latency + own + slowest, 0.0)


def _reached(units: Number, copies: float) -> Number:
    """Of `units`, how many different ones `copies` random choices hit on average. [1]"""
    units = np.maximum(np.asarray(units, dtype=float), 1.0)
    return units * (1.0 - (1.0 - 1.0 / units) ** copies)


def send(message_bytes: Number, distance: Number, machine: Machine) -> Number:
    """Time to hand `message_bytes` to the chip `distance` places away. [s]"""
    out: Number = 0.0
    for level in reversed(machine.levels):
        inside = np.asarray(distance) < level.size
        wire = _link(level)
        if level.topology == "mesh":
            wire = wire / np.maximum(level.size - 1, 1)
        begun = level.latency_share * PROTOCOLS[1].base_s
        cost = begun + _hop(PROTOCOLS[0], level) + message_bytes / wire
        out = np.where(inside, cost, out)
    return out
