"""What rests in the memory of the host, and what it costs to move it.

Optimizer states are read and written once a step over the host link, layer by layer, while the
chip updates the weights [ZeRO-Infinity, Rajbhandari et al. 2021, arXiv 2104.07857, §5]. What a
microbatch keeps goes out behind its forward pass and comes back behind its backward pass
[ZeRO-Offload, Ren et al. 2021, arXiv 2101.06840, for the division of work].
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from parity.catalogue.machine import Machine, Number
from parity.evaluate.kept import layers_of_stage
from parity.evaluate.memory import OPTIMIZER_BYTES, Memory, stage_memory
from parity.evaluate.schedule import in_flight
from parity.evaluate.stages import Pieces
from parity.layout.layout import OFFLOADS, Layout
from parity.timing.software import Software
from parity.workload.operator import Architecture
from parity.workload.training import TrainingJob

#: Layers that stay on the chip of what is offloaded: one at work, one on its way.
LAYERS_AT_HAND = 2.0


def offloads(layout: Layout, what: str) -> NDArray[np.bool_]:
    """Which layouts keep `what` (optimizer, activations) in the host's memory."""
    return np.isin(layout.offload, [OFFLOADS.index(what), OFFLOADS.index("both")])


def on_the_chip(memory: Memory, layout: Layout, layers: Number, microbatches: Number) -> Memory:
    """What is left on a chip that has `layers` layers."""
    at_hand = np.minimum(LAYERS_AT_HAND / layers, 1.0)
    kept = in_flight(layout, microbatches)
    states = np.where(offloads(layout, "optimizer"), at_hand, 1.0)
    saved = np.where(offloads(layout, "activations"), at_hand / kept, 1.0)
    return replace(
        memory,
        optimizer_bytes=memory.optimizer_bytes * states,
        activations_bytes=memory.activations_bytes * saved,
    )


def bytes_of_stages(
    arch: Architecture, job: TrainingJob, layout: Layout, software: Software
) -> tuple[float, ...]:
    """Memory of a chip of each pipeline stage of one layout, first to last. [byte]"""
    every = range(int(layout.pp[0]))
    whole = stage_memory(arch, job, layout, software, every)
    layers = np.maximum(sum(layers_of_stage(arch, layout, every)), 1.0)
    microbatches = np.ceil(job.global_batch_sequences / (layout.dp * layout.microbatch))
    left = on_the_chip(whole, layout, layers, microbatches).total_bytes
    return tuple(float(x) for x in np.broadcast_to(left, layers.shape)[:, 0])


def optimizer_seconds(
    layout: Layout, parameters: Number, on_chip_s: Number, machine: Machine
) -> Number:
    """The update of `parameters`: on the chip, or as long as their states take to come and go."""
    if machine.host_bytes_per_s is None:
        return on_chip_s
    moved = parameters * OPTIMIZER_BYTES / machine.host_bytes_per_s
    return np.where(offloads(layout, "optimizer"), np.maximum(on_chip_s, moved), on_chip_s)


def activation_seconds(layout: Layout, memory: Memory, parts: Pieces, machine: Machine) -> Number:
    """What shows of moving what a microbatch keeps, out and back. [s]"""
    if machine.host_bytes_per_s is None:
        return np.zeros(len(layout))
    kept = memory.activations_bytes / in_flight(layout, parts.microbatches)
    moved = kept / machine.host_bytes_per_s
    forward = parts.fullest * parts.layer.forward.total_s
    backward = parts.fullest * parts.layer.backward.total_s
    shown = np.maximum(moved - forward, 0.0) + np.maximum(moved - backward, 0.0)
    return np.where(offloads(layout, "activations"), shown, 0.0)
