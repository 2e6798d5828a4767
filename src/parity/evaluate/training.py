"""The time of one training step, for one layout or columns of them.

    t_step = m · t_stage + bubble(t_mean) + exposed gradients + optimizer

with m microbatches; t_stage is the slowest stage: its layers forward, backward and recomputed,
tensor-, context- and expert-parallel communication, and what it hands to its neighbours; t_mean the
average one, of which the schedule says how long chips wait.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from parity.catalogue.machine import Draw, Machine, Number, central
from parity.evaluate.gradients import each_microbatch, once_a_step
from parity.evaluate.kernels import ACTIVATION_BYTES, Rates, rates
from parity.evaluate.layer import Layer
from parity.evaluate.memory import Memory, training_memory
from parity.evaluate.offload import activation_seconds, on_the_chip, optimizer_seconds
from parity.evaluate.schedule import bubble_seconds, runs, shown_exchange
from parity.evaluate.stages import Pieces, pieces
from parity.layout.layout import CP_METHODS, Layout
from parity.timing.collective import all_gather, send
from parity.timing.misses import missed
from parity.timing.software import Software, drawn
from parity.workload.operator import Architecture
from parity.workload.training import TrainingJob

#: Bytes the optimizer moves for one parameter: gradient read, master weight and two moments read
#: and written, weight written.
OPTIMIZER_TRAFFIC_BYTES = 4 + 2 * 12 + 2


@dataclass(frozen=True)
class Breakdown:
    """Seconds of a step by what they are spent on; they sum to the step."""

    compute_s: Number
    memory_s: Number  # operators bound by memory bandwidth
    launch_s: Number
    recompute_s: Number
    tp_s: Number
    cp_s: Number
    ep_s: Number
    pp_s: Number  # handing activations to the next stage
    bubble_s: Number
    dp_s: Number
    optimizer_s: Number
    offload_s: Number  # what shows of moving activations to the host and back

    @property
    def total_s(self) -> Number:
        """The step."""
        return sum(getattr(self, f.name) for f in fields(self))


@dataclass(frozen=True)
class Step:
    """One training step of each layout."""

    time_s: Number
    breakdown: Breakdown
    memory: Memory
    microbatches: Number

    @property
    def busy_fraction(self) -> Number:
        """Part of the step in which compute units or memory work. [1]"""
        parts = self.breakdown
        worked = parts.compute_s + parts.memory_s + parts.recompute_s + parts.optimizer_s
        return worked / parts.total_s


def training_step(
    arch: Architecture,
    job: TrainingJob,
    layout: Layout,
    machine: Machine,
    software: Software,
    draw: Draw = central,
) -> Step:
    """Time and memory of one step of `arch` under each layout of the columns.

    Broadcasts: machine figures of shape (samples, 1) give times of shape (samples, layouts).
    """
    return timed(arch, layout, machine, prepared(arch, job, layout, machine, software, draw))


@dataclass(frozen=True)
class Prepared:
    """What layouts keep in memory, and what their time is worked out from."""

    rate: Rates
    software: Software
    parts: Pieces
    whole: Memory  # before any of it is offloaded
    memory: Memory
    elapsed: Number = 1.0  # time of a step over what the equations say, for ranges

    def take(self, index: Number) -> Prepared:
        """The same of the layouts at `index`."""
        whole, memory = self.whole.take(index), self.memory.take(index)
        parts = self.parts.take(index)
        return Prepared(self.rate, self.software, parts, whole, memory, self.elapsed)


def prepared(
    arch: Architecture,
    job: TrainingJob,
    layout: Layout,
    machine: Machine,
    software: Software,
    draw: Draw = central,
) -> Prepared:
    """The first half of a step, memory: a search goes on with the layouts that fit."""
    software = drawn(software, draw)
    rate = rates(machine, job.dtype, draw, software)
    elapsed = missed("training", software.name, machine.chip, draw)
    return replace(prepared_at(arch, job, layout, machine, software, rate), elapsed=elapsed)


def prepared_at(
    arch: Architecture,
    job: TrainingJob,
    layout: Layout,
    machine: Machine,
    software: Software,
    rate: Rates,
) -> Prepared:
    """The same at given rates: those of the machine, or what they would be without a loss."""
    parts = pieces(arch, job, layout, machine, rate, software)
    whole = training_memory(arch, job, layout, software)
    memory = on_the_chip(whole, layout, parts.fullest, parts.microbatches)
    return Prepared(rate, software, parts, whole, memory)


def timed(arch: Architecture, layout: Layout, machine: Machine, ready: Prepared) -> Step:
    """The second half of a step, time."""
    parts = ready.parts
    breakdown = step_parts(arch, parts, layout, machine, ready.rate, ready.software, ready.whole)
    time = breakdown.total_s * ready.elapsed
    return Step(time, breakdown, ready.memory, parts.microbatches)


def step_parts(
    arch: Architecture,
    parts: Pieces,
    layout: Layout,
    machine: Machine,
    rate: Rates,
    software: Software,
    memory: Memory,
) -> Breakdown:
    """Where the seconds of a step go. `memory`: what is kept, before any of it is offloaded."""
    stage, mean, backward, weight = stage_seconds(arch, parts, layout, software)
    hop = hop_seconds(arch, parts, layout, machine, software)
    sharded = each_microbatch(parts, layout, machine, software)
    m = parts.microbatches
    return Breakdown(
        **{kind: m * seconds for kind, seconds in stage.items()},
        pp_s=m * hop,
        bubble_s=bubble_seconds(layout, mean + hop + sharded, backward, weight),
        dp_s=m * sharded + once_a_step(parts, layout, machine, software),
        optimizer_s=update_seconds(parts, layout, machine, rate),
        offload_s=m * activation_seconds(layout, memory, parts, machine),
    )


def stage_seconds(
    arch: Architecture, parts: Pieces, layout: Layout, software: Software
) -> tuple[dict[str, Number], Number, Number, Number]:
    """Seconds of a microbatch on the slowest stage, by kind; and of the mean stage in all, of its
    backward pass, and of the gradients of its weights.
    """
    plain = layout.replace(recompute=np.zeros(len(layout), dtype=np.int64))
    body = layer_seconds(parts.layer, layout, software)
    embedding = layer_seconds(parts.embedding, plain, software)
    head = layer_seconds(parts.head, plain, software)
    whole, front, back = (sum(kinds.values()) for kinds in (body, embedding, head))
    layers, front_share, back_share = slowest_stage(parts, layout, whole, front, back)
    slowest = {
        k: layers * body[k] + front_share * embedding[k] + back_share * head[k] for k in body
    }

    def mean(layer: Number, embedding: Number, head: Number) -> Number:
        return (layer * arch.num_hidden_layers + embedding + head) / layout.pp

    backward = [one.backward.total_s for one in (parts.layer, parts.embedding, parts.head)]
    backward[0] = backward[0] + body["recompute_s"]
    weight = [one.weight_s for one in (parts.layer, parts.embedding, parts.head)]
    return slowest, mean(whole, front, back), mean(*backward), mean(*weight)


def slowest_stage(
    parts: Pieces, layout: Layout, whole: Number, front: Number, back: Number
) -> tuple[Number, Number, Number]:
    """Layers of the stage that all others wait for, and how much of either end it has. [1]

    whole, front, back: seconds of a layer, of the embedding, of the head. Under DualPipe a chip
    holds a stage from either end, so the first and the last share a chip.
    """
    first, last = parts.first * whole + front, parts.last * whole + back
    both = runs(layout, "dualpipe")
    half = np.where(both, 0.5, 1.0)
    ends = np.where(both, (first + last) / 2, np.maximum(first, last))
    at_first, at_last = both | (first >= last), both | (first < last)
    at_end = ends >= parts.fullest * whole
    layers = np.where(at_end, half * (at_first * parts.first + at_last * parts.last), parts.fullest)
    has_embedding = parts.alone | (at_end & at_first)
    has_head = parts.alone | (at_end & at_last)
    return layers, half * has_embedding, half * has_head


def update_seconds(parts: Pieces, layout: Layout, machine: Machine, rate: Rates) -> Number:
    """Updating the parameters of one chip, its share of them from ZeRO 1 on. [s]"""
    dense, routed = parts.trained_parameters()
    divided = layout.zero >= 1
    own = dense / np.where(divided, parts.replicas, 1.0)
    own = own + routed / np.where(divided, parts.expert_replicas, 1.0)
    update = own * OPTIMIZER_TRAFFIC_BYTES / rate.bytes_per_s
    return optimizer_seconds(layout, own, update, machine)


def layer_seconds(layer: Layer, layout: Layout, software: Software) -> dict[str, Number]:
    """Seconds of one microbatch in one layer, forward, backward and again, by kind."""
    forward, backward = layer.forward, layer.backward
    full, selective = layout.recompute == 2, (layout.recompute == 1) & (layer.score_bytes > 0)
    again = np.where(
        full, layer.recomputed.total_s, np.where(selective, layer.attention_forward.total_s, 0.0)
    )
    passes = np.where(full, 3.0, 2.0)
    issue = layer.operators * software.issue_s
    starved = np.maximum(issue - forward.total_s, 0.0)
    starved_back = np.maximum(2.0 * issue - backward.total_s, 0.0)
    both = forward.total_s + backward.total_s
    waits = (passes + 1.0) * layer.routings * software.routing_s
    return {
        "compute_s": forward.compute_s + backward.compute_s,
        "memory_s": forward.memory_s + backward.memory_s,
        "launch_s": forward.launch_s + backward.launch_s + starved + starved_back + waits,
        "recompute_s": again + full * starved,
        "tp_s": passes * layer.tp_s * shown_share(software.tp_overlap, software),
        "ep_s": shown_exchange(
            layout, passes * layer.ep_s, both, shown_share(software.ep_overlap, software),
            software.near_engine_share,
        ),
        "cp_s": context_seconds(layer, layout, passes, software),
    }  # fmt: skip


def context_seconds(layer: Layer, layout: Layout, passes: Number, software: Software) -> Number:
    """What shows of context parallelism in one microbatch. [s]

    Keys and values travel the ring once forward and twice backward, behind attention's own work;
    attention waits for an exchange of heads, once a pass.
    """
    behind = software.cp_overlap * (
        layer.attention_forward.total_s + layer.attention_backward.total_s
    )
    ring = np.maximum(3 * layer.cp_s - behind, 0.0)
    return np.where(layout.cp_method == CP_METHODS.index("ulysses"), passes * layer.cp_s, ring)


def shown_share(overlap: Number, software: Software) -> Number:
    """Part of a communication's time that a step shows when `overlap` of it is hidden: the rest,
    and what the hidden part takes from compute units while it runs. [1]
    """
    return 1.0 - overlap * (1.0 - software.near_engine_share)


def hop_seconds(
    arch: Architecture, parts: Pieces, layout: Layout, machine: Machine, software: Software
) -> Number:
    """What shows of handing a microbatch on, forward and backward, at every virtual stage. [s]

    Each chip of a tensor-parallel group sends its share [Narayanan et al. 2021, §4.1]; without
    sequence parallelism the shares are gathered again on arrival. Under DualPipe it hides behind
    the microbatch that comes the other way.
    """
    whole = parts.tokens * arch.hidden_size * ACTIVATION_BYTES
    gathered = all_gather(whole, layout.tp, 1, machine) * (layout.sequence_parallel == 0)
    sent = send(whole / layout.tp, layout.tp * layout.cp * layout.dp, machine)
    shown = np.where(runs(layout, "dualpipe"), software.far_engine_share, 1 - software.pp_overlap)
    return np.where(parts.alone, 0.0, 2 * layout.interleave * (sent + gathered) * shown)
