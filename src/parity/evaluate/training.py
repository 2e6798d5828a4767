"""The time of one training step, for one layout or columns of them.

    t_step = m · t_stage + (p - 1)/v · t_mean + exposed gradients + optimizer

with m microbatches, p stages, v virtual stages a chip [Narayanan et al. 2021, arXiv 2104.04473,
§2.2]; t_stage is the slowest stage: its layers forward, backward and recomputed, tensor-, context-
and expert-parallel communication, and what it hands to its neighbours; t_mean the average one.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from parity.catalogue.machine import Draw, Machine, Number, central
from parity.evaluate.gradients import each_microbatch, once_a_step
from parity.evaluate.kernels import ACTIVATION_BYTES, rates
from parity.evaluate.layer import Layer
from parity.evaluate.memory import Memory, training_memory
from parity.evaluate.stages import Pieces, pieces
from parity.layout.layout import Layout
from parity.timing.collective import all_gather, send
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
    busy_fraction: Number  # of the step that compute units or memory work


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
    software = drawn(software, draw)
    rate = rates(machine, job.dtype, draw, software)
    parts = pieces(arch, job, layout, machine, rate, software)
    stage, mean = stage_seconds(arch, parts, layout, software)
    hop = hop_seconds(arch, parts, layout, machine, software)
    sharded = each_microbatch(parts, layout, machine, software)
    dense, routed = parts.parameters()
    divided = layout.zero >= 1
    own = dense / np.where(divided, parts.replicas, 1.0)
    own = own + routed / np.where(divided, parts.expert_replicas, 1.0)
    m = parts.microbatches
    breakdown = Breakdown(
        **{kind: m * seconds for kind, seconds in stage.items()},
        pp_s=m * hop,
        bubble_s=(layout.pp - 1) / layout.interleave * (mean + hop + sharded),
        dp_s=m * sharded + once_a_step(parts, layout, machine, software),
        optimizer_s=own * OPTIMIZER_TRAFFIC_BYTES / rate.bytes_per_s,
    )
    busy = breakdown.compute_s + breakdown.memory_s + breakdown.recompute_s + breakdown.optimizer_s
    total = breakdown.total_s
    memory = training_memory(arch, parts, layout, software)
    return Step(total, breakdown, memory, m, busy / total)


def stage_seconds(
    arch: Architecture, parts: Pieces, layout: Layout, software: Software
) -> tuple[dict[str, Number], Number]:
    """Seconds of a microbatch on the slowest stage by kind, and of all kinds on the mean stage."""
    plain = layout.replace(recompute=np.zeros_like(layout.recompute))
    body = layer_seconds(parts.layer, layout, software)
    embedding = layer_seconds(parts.embedding, plain, software)
    head = layer_seconds(parts.head, plain, software)
    first = {k: parts.fullest * body[k] + embedding[k] + parts.alone * head[k] for k in body}
    last = {k: parts.last * body[k] + head[k] for k in body}
    last_is_slower = (sum(last.values()) > sum(first.values())) & ~parts.alone
    slowest = {k: np.where(last_is_slower, last[k], first[k]) for k in body}
    ends = sum(embedding.values()) + sum(head.values())
    mean = (sum(body.values()) * arch.num_hidden_layers + ends) / layout.pp
    return slowest, mean


def layer_seconds(layer: Layer, layout: Layout, software: Software) -> dict[str, Number]:
    """Seconds of one microbatch in one layer, forward, backward and again, by kind."""
    forward, backward = layer.forward, layer.backward
    full, selective = layout.recompute == 2, (layout.recompute == 1) & (layer.score_bytes > 0)
    again = np.where(
        full, layer.recomputed.total_s, np.where(selective, layer.attention_forward.total_s, 0.0)
    )
    passes = np.where(full, 3.0, 2.0)
    # Keys and values travel once forward and twice backward, behind attention's own work.
    behind = software.cp_overlap * (
        layer.attention_forward.total_s + layer.attention_backward.total_s
    )
    issue = layer.operators * software.issue_s
    starved = np.maximum(issue - forward.total_s, 0.0)
    starved_back = np.maximum(2.0 * issue - backward.total_s, 0.0)
    return {
        "compute_s": forward.compute_s + backward.compute_s,
        "memory_s": forward.memory_s + backward.memory_s,
        "launch_s": forward.launch_s + backward.launch_s + starved + starved_back,
        "recompute_s": again + full * starved,
        "tp_s": passes * layer.tp_s * shown_share(software.tp_overlap, software),
        "ep_s": passes * layer.ep_s * shown_share(software.ep_overlap, software),
        "cp_s": np.maximum(3 * layer.cp_s - behind, 0.0),
    }


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
    sequence parallelism the shares are gathered again on arrival.
    """
    whole = parts.tokens * arch.hidden_size * ACTIVATION_BYTES
    gathered = all_gather(whole, layout.tp, 1, machine) * (layout.sequence_parallel == 0)
    sent = send(whole / layout.tp, layout.tp * layout.cp * layout.dp, machine)
    both_ways = 2 * layout.interleave * (sent + gathered) * (1 - software.pp_overlap)
    return np.where(parts.alone, 0.0, both_ways)
