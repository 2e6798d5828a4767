"""The KV cache of a replica: blocks that requests hold, and blocks kept for others to find.

A prompt block is shared by its id: whoever computes it first leaves it, `refs` counts who holds it
(−1: it is not there), and one that nobody holds stays idle in a ring by last use until room is
needed. At all times used + idle ≤ blocks of the engine.
"""

from __future__ import annotations

from parity.simulate.kernel.compiled import njit
from parity.simulate.kernel.state import DECODING, Row, Simulation
from parity.workload.traffic import Ints


@njit
def ceil_div(value: int, by: int) -> int:
    """The quotient, rounded up."""
    return -(-value // by)


@njit
def cached_blocks(memory: Ints, ids: int, request: Row, replica: Row) -> int:
    """Prefix blocks that `request` fills, from its first on, that `replica` holds.

    ids: where the prefix blocks of all requests begin in `memory`.
    """
    first = ids + request.first_id
    found = 0
    while found < request.full and memory[replica.refs + memory[first + found]] >= 0:
        found += 1
    return found


@njit
def take(sim: Simulation, replica: Row, engine: Row, blocks: int) -> bool:
    """Give out so many blocks, of which the cache leaves its oldest; or none, and False."""
    if replica.used + blocks > engine.blocks:
        return False
    replica.used += blocks
    engine.used += blocks
    replica.most_used = max(replica.most_used, replica.used)
    while replica.used + replica.idle > engine.blocks:
        _evict(sim.memory, replica, engine, sim.world[0].different)
    return True


@njit
def hold_prefix(
    sim: Simulation, replica: Row, engine: Row, request: Row, found: int, private: int
) -> bool:
    """Hold `found` cached blocks for `request` and `private` new ones; or none, and False."""
    memory, world = sim.memory, sim.world[0]
    first = world.ids + request.first_id
    revived = 0
    for at in range(first, first + found):
        if memory[replica.refs + memory[at]] == 0:
            revived += engine.blocks_per_id
    if replica.used + revived + private > engine.blocks:
        return False
    for at in range(first, first + found):
        block = memory[at]
        if memory[replica.refs + block] == 0:
            _unlink(memory, replica, block)
        memory[replica.refs + block] += 1
        memory[world.held + at - world.ids] = 1
    replica.idle -= revived
    return take(sim, replica, engine, revived + private)


@njit
def publish(sim: Simulation, replica: Row, request: Row, before: int) -> None:
    """Leave for others the prompt blocks that `request` completed since `before` tokens.

    A block that somebody else left meanwhile stays private to the request.
    """
    memory, world = sim.memory, sim.world[0]
    last = min(request.computed // world.id_tokens, request.full)
    for number in range(before // world.id_tokens, last):
        block = memory[world.ids + request.first_id + number]
        if memory[replica.refs + block] < 0:
            memory[replica.refs + block] = 1
            memory[world.held + request.first_id + number] = 1


@njit
def whole_tokens(world: Row, pool: int, request: Row) -> int:
    """Tokens of `request` in the KV cache of `pool` at its end."""
    if world.split and pool == 0:
        return int(request.input)
    return int(request.input + request.output - 1)


@njit
def release(sim: Simulation, replica: Row, engine: Row, request: Row) -> None:
    """Give back all blocks of `request`; the cache keeps those that can be found."""
    memory, world = sim.memory, sim.world[0]
    tokens = request.target
    if engine.reserve:
        tokens = whole_tokens(world, replica.pool, request)
    elif request.state == DECODING:
        left = request.finish_clock - sim.lanes[request.lane].clock
        tokens = request.input + request.output - 1 - left
    freed = ceil_div(tokens, engine.block)
    if engine.cache:
        # From the last block on: the end of a prompt is found less often than its beginning.
        for at in range(request.first_id + request.full - 1, request.first_id - 1, -1):
            if memory[world.held + at]:
                memory[world.held + at] = 0
                block = memory[world.ids + at]
                memory[replica.refs + block] -= 1
                if memory[replica.refs + block] == 0:
                    replica.idle += engine.blocks_per_id
                    _link_newest(memory, replica, block, world.different)
                else:
                    freed -= engine.blocks_per_id
    replica.used -= freed
    engine.used -= freed


@njit
def _evict(memory: Ints, replica: Row, engine: Row, end: int) -> None:
    """Drop the cached block that was not used for longest."""
    oldest = memory[replica.newer + end]
    _unlink(memory, replica, oldest)
    memory[replica.refs + oldest] = -1
    replica.idle -= engine.blocks_per_id


@njit
def _unlink(memory: Ints, replica: Row, block: int) -> None:
    older, newer = memory[replica.older + block], memory[replica.newer + block]
    memory[replica.newer + older] = newer
    memory[replica.older + newer] = older


@njit
def _link_newest(memory: Ints, replica: Row, block: int, end: int) -> None:
    """Into the ring before its end: `newer[end]` is the oldest, `older[end]` the newest."""
    newest = memory[replica.older + end]
    memory[replica.newer + newest] = block
    memory[replica.older + block] = newest
    memory[replica.newer + block] = end
    memory[replica.older + end] = block
