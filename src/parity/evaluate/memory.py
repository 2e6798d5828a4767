"""What a training step keeps in one chip's memory.

Mixed-precision Adam: weights in 16 bits, gradients, and 12 bytes of master weight and moments a
parameter [Rajbhandari et al. 2020, arXiv 1910.02054, §3]; activations by
[Korthikanti et al. 2022, arXiv 2205.05198]; in-flight microbatches by the schedule.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from parity.catalogue.machine import Number
from parity.evaluate.kernels import ACTIVATION_BYTES
from parity.evaluate.layer import Layer
from parity.evaluate.schedule import in_flight, in_flight_last
from parity.evaluate.stages import Pieces
from parity.layout.layout import Layout
from parity.layout.shard import sequence_share
from parity.timing.software import Software
from parity.workload.operator import Architecture

WEIGHT_BYTES = 2.0
OPTIMIZER_BYTES = 12.0
#: Logits are kept in 32 bits on the last stage [Megatron-LM theoretical_memory_usage.py].
LOGIT_BYTES = 4.0
#: Driver context, communication buffers, allocator slack. An estimate: 1-3 GB are usual.
WORKSPACE_BYTES = 2e9


@dataclass(frozen=True)
class Memory:
    """Bytes on the fullest chip, by use."""

    weights_bytes: Number
    gradients_bytes: Number
    optimizer_bytes: Number
    activations_bytes: Number
    logits_bytes: Number
    workspace_bytes: Number

    @property
    def total_bytes(self) -> Number:
        """All of it."""
        return sum(getattr(self, f.name) for f in fields(self))


def model_state(
    parameters: Number,
    shards: Number,
    layer_parameters: Number,
    zero: Number,
    gradient_bytes: float,
) -> tuple[Number, Number, Number]:
    """(weights, gradients, optimizer) bytes of `parameters` on a chip. [byte]

    shards: chips the ZeRO stages divide over. layer_parameters: of the layer that FSDP has
    gathered; one more is on its way, and its gradients are whole until they are scattered.
    """
    gathered = layer_parameters * (2 * WEIGHT_BYTES)
    whole_gradients = layer_parameters * gradient_bytes
    weights = np.where(
        zero >= 3, parameters * WEIGHT_BYTES / shards + gathered, parameters * WEIGHT_BYTES
    )
    gradients = np.where(
        zero >= 2,
        parameters * gradient_bytes / shards + whole_gradients,
        parameters * gradient_bytes,
    )
    optimizer = parameters * OPTIMIZER_BYTES / np.where(zero >= 1, shards, 1.0)
    return weights, gradients, optimizer


def activations(layer: Layer, layout: Layout, layers: Number, boundary_bytes: Number) -> Number:
    """Bytes kept for one microbatch by `layers` layers. [byte]

    Full recomputation keeps the input of each layer, and one layer's own while it is redone.
    """
    full = layers * boundary_bytes
    selective = layers * (layer.saved_bytes - layer.score_bytes)
    return np.select(
        [layout.recompute == 2, layout.recompute == 1],
        [full, selective],
        layers * layer.saved_bytes,
    )


def working_set(layer: Layer, layout: Layout) -> Number:
    """Bytes of what is computed again and used at once. [byte]"""
    return np.select(
        [layout.recompute == 2, layout.recompute == 1],
        [layer.saved_bytes, layer.score_bytes],
        np.zeros(len(layout)),
    )


def training_memory(
    arch: Architecture, parts: Pieces, layout: Layout, software: Software
) -> Memory:
    """The fuller of the first stage (most microbatches in flight) and the last (logits)."""
    alone = parts.alone
    logits = parts.tokens * arch.vocab_size / layout.tp * LOGIT_BYTES + parts.head.saved_bytes
    first_ends = parts.embedding.parameters + alone * parts.head.parameters
    kept = in_flight(layout, parts.microbatches)
    kept_last = in_flight_last(layout, parts.microbatches)
    first = _stage(arch, parts, layout, software, parts.fullest, first_ends, kept, alone * logits)
    last = _stage(
        arch, parts, layout, software, parts.last, parts.head.parameters, kept_last, logits
    )
    last_is_fuller = (last.total_bytes > first.total_bytes) & ~alone
    return Memory(
        *(
            np.where(last_is_fuller, getattr(last, f.name), getattr(first, f.name))
            for f in fields(Memory)
        )
    )


def _stage(
    arch: Architecture,
    parts: Pieces,
    layout: Layout,
    software: Software,
    layers: Number,
    end_parameters: Number,
    microbatches_kept: Number,
    logits_bytes: Number,
) -> Memory:
    layer, grad = parts.layer, software.gradient_bytes
    own = parts.copies * (layers * layer.parameters + end_parameters)
    dense = model_state(own, parts.replicas, layer.parameters, layout.zero, grad)
    own = parts.copies * layers * layer.routed_parameters
    routed = model_state(own, parts.expert_replicas, layer.routed_parameters, layout.zero, grad)
    input_bytes = parts.tokens * arch.hidden_size * ACTIVATION_BYTES * sequence_share(layout)
    kept = activations(layer, layout, layers, input_bytes) * microbatches_kept
    return Memory(
        weights_bytes=dense[0] + routed[0],
        gradients_bytes=dense[1] + routed[1],
        optimizer_bytes=dense[2] + routed[2],
        activations_bytes=kept + working_set(layer, layout),
        logits_bytes=logits_bytes,
        workspace_bytes=np.full(len(layout), WORKSPACE_BYTES),
    )
