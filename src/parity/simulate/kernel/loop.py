"""The calendar: what happens at a moment, and which moment is next."""

from __future__ import annotations

import numpy as np

from parity.simulate.kernel.compiled import njit
from parity.simulate.kernel.heap import push, remove
from parity.simulate.kernel.memory import cached_blocks, publish, release, whole_tokens
from parity.simulate.kernel.schedule import (
    enqueue,
    leave_lane,
    start_decoding,
    start_step,
    stop_decoding,
)
from parity.simulate.kernel.state import (
    FINISHED,
    LEAST_LOADED,
    MOVING,
    REFUSED,
    ROUND_ROBIN,
    SAMPLES,
    SHOWN_BLOCKS,
    SHOWN_DECODE_BLOCKS,
    SHOWN_IN,
    SHOWN_OUT,
    SHOWN_RUNNING,
    SHOWN_WAITING,
    Row,
    Rows,
    Simulation,
)
from parity.workload.traffic import Floats

#: Why `advance` came back.
ALL_DONE, STEPS_LEFT, OUT_OF_TIME = range(3)
#: SGLang's gateway: least share of a prompt that must be found for its place to decide, and the
#: difference and ratio of loads from which the least loaded replica is taken (defaults of
#: `--cache-threshold`, `--balance-abs-threshold`, `--balance-rel-threshold`).
FOUND_SHARE, UNEVEN_BY, UNEVEN_RATIO = 0.3, 64, 1.5


@njit
def advance(sim: Simulation, steps: int) -> int:
    """Let time pass until so many steps have begun, or nothing is left to happen."""
    world = sim.world[0]
    last = world.steps + steps
    while world.steps < last:
        now = np.inf
        if world.events > 0:
            now = sim.slots[0].key
        if _may_send(world):
            now = min(now, max(world.now_s, sim.requests[world.next].arrival_s))
        if now == np.inf:
            return ALL_DONE
        if now > world.end_s:
            _pass_time(world, sim.engines, sim.timeline, world.end_s)
            return OUT_OF_TIME
        _pass_time(world, sim.engines, sim.timeline, now)
        while world.events > 0 and sim.slots[0].key <= now:
            item = sim.slots[0].owner
            remove(sim.slots, 0, world.events, 0)
            world.events -= 1
            if item < world.lanes:
                _end_step(sim, item)
            else:
                _come_back(sim, item - world.lanes)
        while _may_send(world) and sim.requests[world.next].arrival_s <= now:
            _send(sim, world)
        for at in range(world.wakes, world.wakes + world.woken):
            _start_steps(sim, sim.memory[at])
        world.woken = 0
    return STEPS_LEFT


@njit
def _may_send(world: Row) -> bool:
    """Whether a request is left and its client may send it."""
    return bool(world.next < world.requests and world.in_flight < world.concurrency)


@njit
def _start_steps(sim: Simulation, number: int) -> None:
    """Give every idle lane of a replica its next step."""
    replica = sim.replicas[number]
    replica.awake = 0
    first = replica.first_lane
    for lane in range(first, first + sim.engines[replica.pool].lanes):
        if sim.lanes[lane].busy == 0:
            start_step(sim, lane)


@njit
def _wake(sim: Simulation, world: Row, number: int) -> None:
    """Something happened at replica `number`: its idle lanes look what they can do."""
    replica = sim.replicas[number]
    if replica.awake == 0:
        replica.awake = 1
        sim.memory[world.wakes + world.woken] = number
        world.woken += 1


@njit
def _send(sim: Simulation, world: Row) -> None:
    """The next request leaves its client; one that no cache could ever hold is refused."""
    number = world.next
    request = sim.requests[number]
    world.next += 1
    request.sent_s = world.now_s
    for pool in range(1 + world.split):
        engine = sim.engines[pool]
        spare = int(np.ceil(engine.gain)) - 1
        if whole_tokens(world, pool, request) + spare > engine.blocks * engine.block:
            request.state = REFUSED
            return
    world.in_flight += 1
    request.replica = _dispatch(sim, world, 0, number)


@njit
def _dispatch(sim: Simulation, world: Row, pool: int, number: int) -> int:
    """Send a request to a replica of `pool`, whose number is returned."""
    replica = _route(sim, world, pool, number)
    sim.replicas[replica].load += 1
    enqueue(sim, sim.replicas[replica], number, False)
    _wake(sim, world, replica)
    return replica


@njit
def _route(sim: Simulation, world: Row, pool: int, number: int) -> int:
    engine, request, replicas = sim.engines[pool], sim.requests[number], sim.replicas
    first = engine.first_replica
    if engine.routing == ROUND_ROBIN:
        turn = engine.turn
        engine.turn = (turn + 1) % engine.replicas
        return int(first + turn)
    least, most = first, first
    for replica in range(first + 1, first + engine.replicas):
        if replicas[replica].load < replicas[least].load:
            least = replica
        if replicas[replica].load > replicas[most].load:
            most = replica
    low, high = replicas[least].load, replicas[most].load
    uneven = high - low > UNEVEN_BY and high > UNEVEN_RATIO * low
    if engine.routing == LEAST_LOADED or uneven or engine.cache == 0:
        return int(least)
    best, longest = least, cached_blocks(sim.memory, world.ids, request, replicas[least])
    for replica in range(first, first + engine.replicas):
        found = cached_blocks(sim.memory, world.ids, request, replicas[replica])
        if found > longest or (found == longest and replicas[replica].load < replicas[best].load):
            best, longest = replica, found
    return int(best) if longest * world.id_tokens >= FOUND_SHARE * request.input else int(least)


@njit
def _come_back(sim: Simulation, number: int) -> None:
    """A client has thought, or a KV cache has arrived at the decode pool."""
    world, request = sim.world[0], sim.requests[number]
    if request.state == FINISHED:
        world.in_flight -= 1
        return
    replica = sim.replicas[request.replica]
    release(sim, replica, sim.engines[0], request)
    replica.load -= 1
    _wake(sim, world, request.replica)
    request.decode_replica = _dispatch(sim, world, 1, number)


@njit
def _later(sim: Simulation, number: int, time_s: float) -> None:
    """Request `number` has an event at `time_s`."""
    world = sim.world[0]
    push(sim.slots, 0, world.events, time_s, world.lanes + number)
    world.events += 1


@njit
def _end_step(sim: Simulation, number: int) -> None:
    """Book what a step of lane `number` computed."""
    world, lane = sim.world[0], sim.lanes[number]
    gain = lane.gain
    made, prompt = lane.decoding * gain, 0
    lane.clock += gain
    lane.context += made
    lane.busy = 0
    while gain > 0 and lane.decoding > 0 and sim.slots[lane.ending].key <= lane.clock:
        made -= lane.clock - int(sim.slots[lane.ending].key)
        _finish(sim, lane, sim.slots[lane.ending].owner, True)
    if lane.filled > 0:
        keep, last = lane.filling, lane.filling + lane.filled
        for at in range(lane.filling, last):
            i = sim.memory[at]
            prompt += sim.requests[i].chunk
            if _fill(sim, lane, i):
                made += 1
            else:
                sim.memory[keep] = i
                keep += 1
        lane.filled = keep - lane.filling
    sample = _sample(world, world.now_s)
    sim.timeline[sample, SHOWN_OUT] += made
    sim.timeline[sample, SHOWN_IN] += prompt
    _wake(sim, world, lane.replica)


@njit
def _fill(sim: Simulation, lane: Row, number: int) -> bool:
    """Book a part of a prompt; True where it was the last, which makes a token."""
    world, request, replica = sim.world[0], sim.requests[number], sim.replicas[lane.replica]
    engine = sim.engines[replica.pool]
    before = request.computed
    request.computed += request.chunk
    request.chunk = 0
    if engine.cache:
        publish(sim, replica, request, before)
    if request.computed < request.target:
        return False
    request.produced += 1
    if request.produced == 1:
        request.first_s = world.now_s
    if request.produced == request.output:
        _finish(sim, lane, number, False)
    elif world.split and replica.pool == 0:
        leave_lane(sim, lane, request)
        request.state = MOVING
        wait = world.transfer_s + world.transfer_s_per_token * request.input
        _later(sim, number, world.now_s + wait)
    else:
        start_decoding(sim, lane, engine, number)
    return True


@njit
def _finish(sim: Simulation, lane: Row, number: int, decoding: bool) -> None:
    """The answer is complete; where it was `decoding`, it is the first of the lane's endings."""
    world, request, replica = sim.world[0], sim.requests[number], sim.replicas[lane.replica]
    engine = sim.engines[replica.pool]
    release(sim, replica, engine, request)
    if decoding:
        stop_decoding(sim, lane, engine, request, 0)
    leave_lane(sim, lane, request)
    request.state = FINISHED
    request.produced = request.output
    request.finish_s = world.now_s
    replica.load -= 1
    world.done += 1
    if request.think_s > 0:
        _later(sim, number, world.now_s + request.think_s)
    else:
        world.in_flight -= 1


@njit
def _pass_time(world: Row, engines: Rows, timeline: Floats, now: float) -> None:
    """Integrate over time what the timeline shows, up to `now`."""
    while now - world.start_s >= world.width_s * SAMPLES:
        _join_samples(world, timeline)
    while world.now_s < now:
        sample = _sample(world, world.now_s)
        until = min(now, world.start_s + (sample + 1) * world.width_s)
        if until <= world.now_s:  # rounding at the edge of a sample
            until = now
        passed = until - world.now_s
        timeline[sample, SHOWN_RUNNING] += passed * world.running
        timeline[sample, SHOWN_WAITING] += passed * world.waiting
        timeline[sample, SHOWN_BLOCKS] += passed * engines[0].used
        timeline[sample, SHOWN_DECODE_BLOCKS] += passed * engines[1].used
        world.now_s = until


@njit
def _sample(world: Row, now: float) -> int:
    return min(SAMPLES - 1, int((now - world.start_s) / world.width_s))


@njit
def _join_samples(world: Row, timeline: Floats) -> None:
    """Join each two samples, so that the timeline reaches twice as far."""
    for sample in range(SAMPLES // 2):
        for column in range(timeline.shape[1]):
            timeline[sample, column] = (
                timeline[2 * sample, column] + timeline[2 * sample + 1, column]
            )
    timeline[SAMPLES // 2 :] = 0
    world.width_s *= 2
