"""The beginning of a step: which sequences take part, and how long it will take."""

from __future__ import annotations

import numpy as np

from parity.simulate.kernel.compiled import njit
from parity.simulate.kernel.heap import find, push, remove
from parity.simulate.kernel.memory import (
    cached_blocks,
    ceil_div,
    hold_prefix,
    release,
    take,
    whole_tokens,
)
from parity.simulate.kernel.price import step_time
from parity.simulate.kernel.state import (
    CHUNKED,
    DECODING,
    FILLING,
    QUEUED,
    SEPARATE,
    Row,
    Simulation,
)
from parity.workload.traffic import Ints


@njit
def start_step(sim: Simulation, number: int) -> bool:
    """Begin a step on the idle lane `number`; False where there is nothing it could do."""
    lane = sim.lanes[number]
    replica = sim.replicas[lane.replica]
    engine = sim.engines[replica.pool]
    budget = engine.budget * engine.ranks
    gain = _gain(lane, engine)
    lane.gain = 0
    prompt, pairs, largest = 0, 0.0, 0
    if engine.scheduler == SEPARATE:
        prompt, pairs, largest = _take_prompts(sim, number, 0, budget, True)
    decodes = prompt == 0
    if decodes:
        preempted = False
        if lane.decoding > 0 and not engine.reserve:
            preempted = _grow(sim, lane, replica, engine, gain)
        if engine.scheduler != SEPARATE and (lane.filled > 0 or replica.waiting > 0):
            room = budget - lane.decoding * engine.budget_each
            admit = not preempted or lane.seated == 0
            prompt, pairs, largest = _take_prompts(sim, number, gain, room, admit)
    decoding = lane.decoding if decodes else 0
    if decoding == 0 and prompt == 0:
        return False
    if decoding > 0:
        lane.gain = gain
        lane.decode_steps += 1
    context = lane.context / lane.decoding if decoding > 0 else 0.0
    seconds, beyond = step_time(
        sim.tables,
        engine,
        float(ceil_div(decoding, engine.ranks)),
        context,
        max(prompt / engine.ranks, float(largest)),
        pairs / prompt if prompt > 0 else 0.0,
    )
    world = sim.world[0]
    push(sim.slots, 0, world.events, world.now_s + seconds, number)
    world.events += 1
    world.steps += 1
    world.beyond += beyond
    lane.busy = 1
    lane.busy_s += seconds
    lane.steps += 1
    lane.sequence_steps += decoding
    lane.prompt_tokens += prompt
    return True


@njit
def _gain(lane: Row, engine: Row) -> int:
    """Tokens that each decoding sequence gains in the next step."""
    if engine.gain == 1.0:
        return 1
    steps = lane.decode_steps
    return int(np.floor((steps + 1) * engine.gain)) - int(np.floor(steps * engine.gain))


@njit
def _grow(sim: Simulation, lane: Row, replica: Row, engine: Row, gain: int) -> bool:
    """Room for the tokens of a decode step; whether sequences had to be preempted for it."""
    preempted = False
    while lane.decoding > 0:
        need = 0
        for token in range(gain):
            need += sim.memory[lane.residue + (-lane.clock - token) % engine.block]
        if take(sim, replica, engine, need):
            break
        _preempt(sim, lane, replica, engine)
        preempted = True
    return preempted


@njit
def _preempt(sim: Simulation, lane: Row, replica: Row, engine: Row) -> None:
    """Back to the queue, to be computed again: of least priority, the one admitted last."""
    requests, memory = sim.requests, sim.memory
    number = memory[lane.running]
    for seat in range(1, lane.seated):
        other, victim = requests[memory[lane.running + seat]], requests[number]
        if other.level > victim.level or (
            other.level == victim.level and other.order > victim.order
        ):
            number = memory[lane.running + seat]
    victim = requests[number]
    release(sim, replica, engine, victim)
    if victim.state == DECODING:
        victim.produced = victim.output - (victim.finish_clock - lane.clock)
        at = find(sim.slots, lane.ending, lane.decoding, number)
        stop_decoding(sim, lane, engine, victim, at)
    else:
        keep = lane.filling
        for at in range(lane.filling, lane.filling + lane.filled):
            if memory[at] != number:
                memory[keep] = memory[at]
                keep += 1
        lane.filled -= 1
    leave_lane(sim, lane, victim)
    victim.preemptions += 1
    victim.computed = 0
    enqueue(sim, replica, number, True)


@njit
def stop_decoding(sim: Simulation, lane: Row, engine: Row, request: Row, at: int) -> None:
    """Take `request`, at place `at` of the lane's endings, out of what it decodes."""
    last = request.input + request.output - 1
    lane.context -= last - (request.finish_clock - lane.clock)
    sim.memory[lane.residue + (last - request.finish_clock) % engine.block] -= 1
    remove(sim.slots, lane.ending, lane.decoding, at)
    lane.decoding -= 1


@njit
def start_decoding(sim: Simulation, lane: Row, engine: Row, number: int) -> None:
    """Request `number`, its prompt in the cache, gains tokens from the next decode step on.

    By (context − clock) mod block the lane knows how many sequences need a block in each step.
    """
    request = sim.requests[number]
    left = request.output - request.produced
    request.state = DECODING
    request.finish_clock = lane.clock + left
    push(sim.slots, lane.ending, lane.decoding, float(request.finish_clock), number)
    lane.decoding += 1
    last = request.input + request.output - 1
    lane.context += last - left
    sim.memory[lane.residue + (last - request.finish_clock) % engine.block] += 1


@njit
def leave_lane(sim: Simulation, lane: Row, request: Row) -> None:
    """Free the seat of `request`."""
    lane.seated -= 1
    last = sim.memory[lane.running + lane.seated]
    sim.memory[lane.running + request.seat] = last
    sim.requests[last].seat = request.seat
    sim.replicas[lane.replica].running -= 1
    sim.world[0].running -= 1


@njit
def enqueue(sim: Simulation, replica: Row, number: int, front: bool) -> None:
    """Put request `number` at the end of the queue of its priority, or at the front."""
    request, memory = sim.requests[number], sim.memory
    head, tail = replica.heads + request.level, replica.tails + request.level
    request.state = QUEUED
    request.behind = -1
    if memory[head] < 0:
        memory[head] = memory[tail] = number
    elif front:
        request.behind = memory[head]
        memory[head] = number
    else:
        sim.requests[memory[tail]].behind = number
        memory[tail] = number
    replica.waiting += 1
    sim.world[0].waiting += 1


@njit
def _take_prompts(
    sim: Simulation, number: int, gain: int, budget: int, admit: bool
) -> tuple[int, float, int]:
    """Prompt tokens for this step: of prompts begun, then of the queue.

    Returns tokens, the keys they see added up, and the most tokens of one prompt.
    """
    lane = sim.lanes[number]
    replica = sim.replicas[lane.replica]
    engine = sim.engines[replica.pool]
    chunked = engine.scheduler == CHUNKED
    prompt, pairs, largest = 0, 0.0, 0
    for at in range(lane.filling, lane.filling + lane.filled):
        request = sim.requests[sim.memory[at]]
        chunk = max(0, min(request.target - request.computed, budget - prompt, engine.budget))
        request.chunk = chunk
        prompt += chunk
        pairs += chunk * (request.computed + (chunk + 1) / 2)
        largest = max(largest, chunk)
    seats = min(engine.sequences, ceil_div(replica.running + replica.waiting, engine.lanes))
    while admit and lane.seated < seats and replica.waiting > 0 and prompt < budget:
        i = _front(sim.memory, replica)
        room = budget - prompt if chunked or prompt > 0 else 2**60
        if not _admit(sim, number, i, gain, room):
            break
        request = sim.requests[i]
        prompt += request.chunk
        pairs += request.chunk * (request.computed + (request.chunk + 1) / 2)
        largest = max(largest, request.chunk)
        if request.state == DECODING:
            budget -= engine.budget_each
    return prompt, pairs, largest


@njit
def _front(memory: Ints, replica: Row) -> int:
    """The request that is next."""
    head = replica.heads
    while memory[head] < 0:
        head += 1
    return int(memory[head])


@njit
def _admit(sim: Simulation, number: int, i: int, gain: int, room: int) -> bool:
    """Let request `i`, the next of the queue, begin to run on a lane; False where it does not fit.

    Its prompt gets all its blocks at once, as in SGLang and TensorRT-LLM. What the prefix cache
    holds is not computed again, save one block where it is the whole prompt. room: prompt tokens
    that the step takes.
    """
    lane, request, world = sim.lanes[number], sim.requests[i], sim.world[0]
    replica = sim.replicas[lane.replica]
    engine = sim.engines[replica.pool]
    chunked = engine.scheduler == CHUNKED
    arrived = world.split and replica.pool == 1 and request.computed > 0  # it came by transfer
    found, computed = 0, request.computed
    if not arrived:
        request.target = request.input + request.produced
        if engine.cache and request.full > 0:
            found = cached_blocks(sim.memory, world.ids, request, replica)
            whole = (request.target - 1) // engine.block * engine.block
            computed = min(found * world.id_tokens, whole)
        if not chunked and request.target - computed > room:
            return False
    tokens = request.target + (gain if arrived else 0)
    if engine.reserve:
        tokens = whole_tokens(world, replica.pool, request)
    private = ceil_div(tokens, engine.block) - found * engine.blocks_per_id
    if not hold_prefix(sim, replica, engine, request, found, private):
        return False
    _seat(sim, lane, replica, i)
    request.lane, request.computed, request.chunk = number, computed, 0
    if arrived:
        start_decoding(sim, lane, engine, i)
        return True
    if request.preemptions == 0:
        request.cached = computed
    left = request.target - computed
    request.chunk = min(left, room, engine.budget) if chunked else left
    request.state = FILLING
    sim.memory[lane.filling + lane.filled] = i
    lane.filled += 1
    return True


@njit
def _seat(sim: Simulation, lane: Row, replica: Row, number: int) -> None:
    """Move request `number` from the front of its queue to the lane."""
    request, world = sim.requests[number], sim.world[0]
    sim.memory[replica.heads + request.level] = request.behind
    replica.waiting -= 1
    replica.running += 1
    world.waiting -= 1
    world.running += 1
    request.seat = lane.seated
    sim.memory[lane.running + lane.seated] = number
    lane.seated += 1
    request.order = world.admitted
    world.admitted += 1
    if np.isnan(request.admitted_s):
        request.admitted_s = world.now_s
