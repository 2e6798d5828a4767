"""The arrays of a simulation, and how they are laid out before the clock starts."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from parity.errors import BadQuantity
from parity.simulate.records import Engine, Limits, Pool, StepTable, Transfer
from parity.workload.traffic import Floats, Ints, Traffic

#: A record by reference, and an array of them.
Row = np.record
Rows = np.recarray[Any, Any]

CHUNKED, SEPARATE, MIXED = range(3)
SCHEDULERS = ("chunked", "separate", "mixed")
ROUND_ROBIN, LEAST_LOADED, PREFIX = range(3)
ROUTINGS = ("round_robin", "least_loaded", "prefix")
#: What a request is doing.
HELD_BACK, QUEUED, FILLING, DECODING, MOVING, FINISHED, REFUSED = range(7)
#: Columns of the timeline: time integrals of the first four, sums of the last two.
SHOWN_RUNNING, SHOWN_WAITING, SHOWN_BLOCKS, SHOWN_DECODE_BLOCKS, SHOWN_OUT, SHOWN_IN = range(6)
SAMPLES = 2048
#: Whole numbers in `Simulation.memory` at most, of 8 bytes each.
MOST_MEMORY = 250_000_000


def _row(ints: str, floats: str = "") -> np.dtype[Any]:
    fields = [(name, "i8") for name in ints.split()] + [(name, "f8") for name in floats.split()]
    return np.dtype(fields)


#: A request: what came in, what came of it, where it stands. While it decodes, `produced` (tokens
#: of the answer) and `computed` (tokens in the KV cache) are as of its beginning; it ends when the
#: token clock of its lane reaches `finish_clock`. `first_id` and `ids`: its prefix blocks, of which
#: its prompt fills `full`. `order`: number of its admission; `behind`: the next in the queue.
REQUEST = _row(
    "input output level first_id ids full state produced computed target chunk finish_clock "
    "order lane seat behind replica decode_replica preemptions cached",
    "arrival_s think_s sent_s admitted_s first_s finish_s",
)
#: A batch under way. `clock` counts the tokens that each decoding sequence gained so far, `gain`
#: those of the step under way; `context` adds up those of decoding sequences. `running`, `filling`
#: and `residue` are offsets in memory, `ending` in slots.
LANE = _row(
    "replica busy clock decode_steps gain seated decoding context filled steps sequence_steps "
    "prompt_tokens running filling residue ending",
    "busy_s",
)
#: A queue and a KV cache: blocks that requests hold, and idle ones that only the prefix cache does.
#: `heads`, `tails` (by level of priority), `refs`, `older`, `newer` (by prefix block) are offsets.
REPLICA = _row(
    "pool first_lane used idle most_used waiting running load awake heads tails refs older newer"
)
#: Settings of a pool, blocks used in all of it, and offsets and lengths of its tables.
ENGINE = _row(
    "scheduler budget sequences blocks block reserve cache lanes ranks budget_each routing "
    "first_replica replicas turn used blocks_per_id decoding decodings prompt prompts context "
    "contexts keys keyss base_s decode_attention_s prompt_attention_s",
    "gain",
)
#: The rest. `woken` replicas are listed at offset `wakes`; `ids` and `held` are offsets: the prefix
#: blocks of all requests, and whether the request holds a reference to each.
WORLD = _row(
    "requests lanes next in_flight events steps waiting running admitted beyond woken done "
    "concurrency split id_tokens different wakes ids held",
    "start_s now_s end_s width_s transfer_s transfer_s_per_token",
)
SLOT = np.dtype([("key", "f8"), ("owner", "i8")])


class Simulation(NamedTuple):
    """All of it: rows of what the dtypes above say, and the arrays their offsets point into."""

    world: Rows  # one
    engines: Rows  # two rows: of the pool, and of the decode pool
    requests: Rows
    lanes: Rows
    replicas: Rows
    slots: Rows  # heaps: events first, then the endings of each lane
    memory: Ints
    tables: Floats
    timeline: Floats  # (samples, columns)


class _Arena:
    """Hands out stretches of an array that is yet to be made."""

    def __init__(self) -> None:
        self.size = 0

    def stretch(self, length: int, count: int = 1) -> NDArray[np.int64]:
        """The offsets of `count` stretches of `length`."""
        start, self.size = self.size, self.size + length * count
        if self.size > MOST_MEMORY:
            raise BadQuantity(
                "This is more than a simulation holds: fewer replicas or sequences, a part of the "
                "trace, or no prefix cache fit."
            )
        return start + length * np.arange(count)


def begin(
    traffic: Traffic, pool: Pool, decode: Pool | None, transfer: Transfer, limits: Limits
) -> Simulation:
    """The state before anything has happened. Raises `BadQuantity` where it would be too large."""
    pools = (pool, decode or pool)
    memory, slots, tables = _Arena(), _Arena(), _Arena()
    ids = np.zeros(0, np.int64)
    if traffic.prefix is not None and pool.engine.prefix_cache:
        ids = np.unique(traffic.prefix.ids, return_inverse=True)[1].astype(np.int64)
    id_tokens = traffic.prefix.block_tokens if traffic.prefix is not None and len(ids) else 1
    requests = _requests(traffic, id_tokens if len(ids) else 0)
    world = np.zeros(1, WORLD).view(np.recarray)
    different = int(ids.max(initial=-1)) + 1
    world.id_tokens, world.different = id_tokens, different
    world.ids, world.held = memory.stretch(len(ids), 2)
    levels = int(requests.level.max()) + 1
    replicas = _replicas(pool, decode, levels, different, memory)
    slots.stretch(len(traffic) + int(np.sum([pools[p].engine.lanes for p in replicas.pool])))
    lanes = _lanes(replicas, pools, memory, slots)
    engines = _engines(pools, decode is not None, id_tokens, tables)
    world.requests, world.lanes = len(traffic), len(lanes)
    world.wakes = memory.stretch(len(replicas))[0]
    world.concurrency = traffic.max_concurrency or len(traffic)
    world.split = decode is not None
    start_s = float(traffic.arrival_s[0])
    world.start_s = world.now_s = start_s
    world.end_s, world.width_s = start_s + limits.time_s, 1e-3
    world.transfer_s, world.transfer_s_per_token = transfer.start_s, transfer.s_per_token
    sim = Simulation(
        world, engines, requests, lanes, replicas,
        slots=np.zeros(slots.size, SLOT).view(np.recarray),
        memory=np.zeros(memory.size, np.int64),
        tables=np.concatenate([_flat(p.table) for p in pools]),
        timeline=np.zeros((SAMPLES, 6)),
    )  # fmt: skip
    _fill_memory(sim, ids, levels)
    return sim


def _fill_memory(sim: Simulation, ids: Ints, levels: int) -> None:
    """The prefix blocks; empty queues; nothing cached: the ring's end points at itself."""
    start, different = int(sim.world.ids[0]), int(sim.world.different[0])
    sim.memory[start : start + len(ids)] = ids
    for replica in sim.replicas:
        sim.memory[replica.heads : replica.heads + levels] = -1
        sim.memory[replica.refs : replica.refs + different] = -1
        sim.memory[replica.older + different] = different
        sim.memory[replica.newer + different] = different


def _requests(traffic: Traffic, id_tokens: int) -> Rows:
    rows = np.zeros(len(traffic), REQUEST).view(np.recarray)
    rows.arrival_s, rows.input, rows.output = (
        traffic.arrival_s, traffic.input_tokens, traffic.output_tokens
    )  # fmt: skip
    if traffic.think_s is not None:
        rows.think_s = traffic.think_s
    if traffic.priority is not None:
        rows.level = np.unique(traffic.priority, return_inverse=True)[1]
    if traffic.prefix is not None and id_tokens:
        rows.first_id, rows.ids = traffic.prefix.offsets[:-1], np.diff(traffic.prefix.offsets)
        rows.full = np.minimum(rows.ids, rows.input // id_tokens)
    for name in ("sent_s", "admitted_s", "first_s", "finish_s"):
        rows[name] = np.nan
    rows.replica = rows.decode_replica = -1
    return rows


def _replicas(pool: Pool, decode: Pool | None, levels: int, different: int, memory: _Arena) -> Rows:
    counts = [pool.replicas, decode.replicas if decode else 0]
    lanes = [pool.engine.lanes, decode.engine.lanes if decode else 1]
    rows = np.zeros(sum(counts), REPLICA).view(np.recarray)
    rows.pool = np.repeat([0, 1], counts)
    rows.first_lane = np.concatenate([[0], np.cumsum(np.repeat(lanes, counts))[:-1]])
    for name in ("heads", "tails"):
        rows[name] = memory.stretch(levels, len(rows))
    rows.refs = memory.stretch(different, len(rows))
    for name in ("older", "newer"):
        rows[name] = memory.stretch(different + 1, len(rows))
    return rows


def _lanes(replicas: Rows, pools: tuple[Pool, Pool], memory: _Arena, slots: _Arena) -> Rows:
    per = np.array([p.engine.lanes for p in pools])[replicas.pool]
    rows = np.zeros(int(per.sum()), LANE).view(np.recarray)
    rows.replica = np.repeat(np.arange(len(per)), per)
    seats = max(_sequences(p.engine) for p in pools)
    rows.running = memory.stretch(seats, len(rows))
    rows.filling = memory.stretch(seats, len(rows))
    rows.residue = memory.stretch(max(p.engine.block_tokens for p in pools), len(rows))
    rows.ending = slots.stretch(seats, len(rows))
    return rows


def _sequences(engine: Engine) -> int:
    """Of one lane, over all ranks."""
    return -(-engine.max_sequences * engine.ranks // engine.lanes)


def _engines(pools: tuple[Pool, Pool], split: bool, id_tokens: int, tables: _Arena) -> Rows:
    rows = np.zeros(2, ENGINE).view(np.recarray)
    for row, pool in zip(rows, pools, strict=True):
        engine, table = pool.engine, pool.table
        row.scheduler = SCHEDULERS.index(engine.scheduler)
        row.routing = ROUTINGS.index(pool.routing)
        row.sequences = _sequences(engine)
        row.blocks = engine.kv_blocks * engine.ranks
        row.block, row.budget = engine.block_tokens, engine.token_budget
        row.budget_each, row.gain = engine.budget_per_sequence, engine.tokens_per_step
        row.reserve = engine.admission == "reserve"
        row.lanes, row.ranks, row.replicas = engine.lanes, engine.ranks, pool.replicas
        row.decodings, row.prompts = len(table.decoding), len(table.prompt)
        row.contexts, row.keyss = len(table.context), len(table.keys)
        for name, length in (
            ("decoding", row.decodings), ("prompt", row.prompts), ("context", row.contexts),
            ("keys", row.keyss), ("base_s", row.decodings * row.prompts),
            ("decode_attention_s", row.decodings * row.contexts),
            ("prompt_attention_s", row.prompts * row.keyss),
        ):  # fmt: skip
            row[name] = tables.stretch(int(length))[0]
    rows[1].first_replica = pools[0].replicas if split else 0
    rows[0].cache = pools[0].engine.prefix_cache
    if pools[0].engine.prefix_cache and id_tokens > 1:
        rows[0].blocks_per_id, rest = divmod(id_tokens, pools[0].engine.block_tokens)
        if rest:
            raise BadQuantity(
                f"Prefix blocks of {id_tokens} tokens in a KV cache of blocks of "
                f"{pools[0].engine.block_tokens}; a whole number of them was expected."
            )
    return rows


def _flat(table: StepTable) -> Floats:
    parts = (
        table.decoding, table.prompt, table.context, table.keys,
        table.base_s, table.decode_attention_s, table.prompt_attention_s,
    )  # fmt: skip
    return np.concatenate([np.ravel(part).astype(np.float64) for part in parts])
