"""What a training step keeps in one chip's memory, on each pipeline stage.

Model state by ZeRO stage [Rajbhandari et al. 2020, arXiv 1910.02054, §3 and §5]; activations by
[Korthikanti et al. 2022, arXiv 2205.05198]; in-flight microbatches by the schedule; what else a
code base keeps by its `Footprint`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from parity.catalogue.machine import Number
from parity.evaluate.kept import (
    Kept,
    expert_replicas,
    kept_by_block,
    layers_of_stage,
    stage_index,
)
from parity.evaluate.schedule import copies, in_flight
from parity.layout.layout import Layout
from parity.layout.shard import parameters_per_chip, sequence_share
from parity.timing.footprint import Footprint, footprint
from parity.timing.software import Software
from parity.workload.activation import HALF_BYTES
from parity.workload.dtype import DTYPE_BYTES
from parity.workload.operator import Architecture, Linear
from parity.workload.training import TrainingJob

#: Of a parameter in mixed precision: the weight that computes; master weight and two moments
#: [Rajbhandari et al. 2020, arXiv 1910.02054, §3]. What travels and what is stored.
WEIGHT_BYTES = 2.0
OPTIMIZER_BYTES = 12.0
#: What a published peak counts: `torch.cuda.max_memory_allocated`, `max_memory_reserved`, or the
#: device's own figure (`nvidia-smi`).
Counter = Literal["allocated", "reserved", "device"]
#: The stages one of which is the fullest: most microbatches in flight; as many less one, without
#: the embedding or with other kinds of layers; the logits.
FULLEST = (0, 1, -1)


@dataclass(frozen=True)
class Memory:
    """Bytes on one chip, by use."""

    weights_bytes: Number
    gradients_bytes: Number
    optimizer_bytes: Number
    activations_bytes: Number
    logits_bytes: Number
    workspace_bytes: Number  # buffers that pass on, gradients nobody reads
    context_bytes: Number  # driver and libraries, outside the allocator

    @property
    def total_bytes(self) -> Number:
        """All that must fit."""
        return sum(getattr(self, f.name) for f in fields(self))

    @property
    def allocated_bytes(self) -> Number:
        """What the framework's allocator hands out."""
        return self.total_bytes - self.context_bytes

    def take(self, index: Number) -> Memory:
        """The same of the layouts at `index`."""
        own = (getattr(self, f.name) for f in fields(self))
        return Memory(*(np.asarray(v)[..., index] if np.ndim(v) else v for v in own))


@dataclass(frozen=True)
class Holding:
    """Parameters of one kind on a chip, and how they are divided."""

    parameters: Number
    trained: Number  # of them, the rest being frozen
    of_layer: Number  # of the largest layer among them
    of_ends: Number
    replicas: Number  # chips that hold the same


@dataclass(frozen=True)
class OnChip:
    """What of the model is on a chip: layers of each block, ends, microbatches in flight."""

    held: list[Number]
    kept: list[Number]  # as many as have activations of one microbatch
    first: Number  # whether the embedding is there
    last: Number  # whether the head is
    flying: Number


def counted_bytes(memory: Memory, software: Software, counter: Counter) -> Number:
    """The bytes that a counter shows: handed out by the allocator at most, held by it, blocks that
    it cannot use among them, or taken on the device. [byte]
    """
    kind = footprint(software.footprint)
    held = memory.allocated_bytes / (1.0 - kind.fragmentation)
    of = {
        "allocated": memory.allocated_bytes, "reserved": held,
        "device": held + memory.context_bytes,
    }  # fmt: skip
    return of[counter]


def training_memory(
    arch: Architecture, job: TrainingJob, layout: Layout, software: Software
) -> Memory:
    """Memory of the fullest stage of each layout, among `FULLEST`."""
    each = stage_memory(arch, job, layout, software, FULLEST)
    total = each.total_bytes
    fullest = np.argmax(total, axis=-2, keepdims=True)
    found = (
        np.take_along_axis(np.broadcast_to(getattr(each, f.name), total.shape), fullest, -2)
        for f in fields(Memory)
    )
    return Memory(*(of if total.ndim > 2 else of[0] for of in found))


def stage_memory(
    arch: Architecture, job: TrainingJob, layout: Layout, software: Software, stages: Sequence[int]
) -> Memory:
    """Memory of the chips of pipeline stages, shape (..., stages, divisions of a layer).

    stages: from 0 on, or -1 for the last, as in a list.
    """
    stage = stage_index(layout.pp, stages)
    both = copies(layout) > 1
    counts, first, last = stage_parts(arch, layout, stages)
    twin = stage_parts(arch, layout, [-1 - s for s in stages])
    held = [n + both * other for n, other in zip(counts, twin[0], strict=True)]
    kept = [n / copies(layout) for n in held]
    ends = first | (both & twin[1]), last | (both & twin[2])
    microbatches = np.ceil(job.global_batch_sequences / (layout.dp * layout.microbatch))
    flying = in_flight(layout, microbatches, stage)
    return chip_memory(arch, job, layout, software, OnChip(held, kept, *ends, flying))


def chip_memory(
    arch: Architecture, job: TrainingJob, layout: Layout, software: Software, chip: OnChip
) -> Memory:
    """Memory of a chip that has this of the model."""
    kind = footprint(software.footprint)
    blocks, embedding, head = kept_by_block(arch, job, layout, software)
    held, kept, first, last, flying = chip.held, chip.kept, chip.first, chip.last, chip.flying
    tokens = layout.microbatch * job.seq_len / layout.cp
    states = _states(arch, job, layout, kind, (blocks, embedding, head), (held, first, last))
    boundary = tokens * arch.hidden_size * HALF_BYTES * sequence_share(layout)
    inputs = tokens * arch.hidden_size * HALF_BYTES / layout.tp
    inputs = inputs if kind.divided_inputs else boundary
    logits = tokens * arch.vocab_size / layout.tp * kind.logit_bytes
    gathered = kind.gathered_inputs * (layout.tp > 1) * (layout.sequence_parallel > 0)
    shapes = _largest([b.shapes for b in blocks], held) + last * head.shapes
    return Memory(
        weights_bytes=states[0],
        gradients_bytes=states[1],
        optimizer_bytes=states[2],
        activations_bytes=activations(blocks, kept, layout, inputs) * flying
        + kind.boundaries * boundary * flying * (layout.pp > 1)
        + working_set(blocks, held, layout),
        logits_bytes=last * (logits + head.whole_bytes),
        workspace_bytes=kind.returned_gradient_bytes * shapes
        + gathered * tokens * arch.hidden_size * HALF_BYTES
        + kind.buckets_bytes,
        context_bytes=np.full(np.shape(flying), kind.context_bytes),
    )


def stage_parts(
    arch: Architecture, layout: Layout, stages: Sequence[int]
) -> tuple[list[Number], NDArray[np.bool_], NDArray[np.bool_]]:
    """Layers of each block on pipeline stages, and whether they have embedding and head."""
    index = stage_index(layout.pp, stages)
    return layers_of_stage(arch, layout, stages), index == 0, index == layout.pp - 1


def _states(
    arch: Architecture,
    job: TrainingJob,
    layout: Layout,
    kind: Footprint,
    kept: tuple[list[Kept], Kept, Kept],
    there: tuple[list[Number], Number, Number],
) -> tuple[Number, Number, Number]:
    """(weights, gradients, optimizer) of the dense part and of routed experts together."""
    (blocks, embedding, head), (counts, first, last) = kept, there
    narrow = DTYPE_BYTES[job.dtype] < HALF_BYTES
    tied = np.where(first, 0.0, tied_parameters(arch, layout))
    trains_tied = np.where(head.trained + embedding.trained > 0, tied, 0.0)
    ends = first * embedding.parameters + last * (head.parameters + tied)
    dense = Holding(
        parameters=_sum([b.parameters for b in blocks], counts) + ends,
        trained=_sum([b.trained for b in blocks], counts)
        + first * embedding.trained
        + last * (head.trained + trains_tied),
        of_layer=_largest([b.parameters for b in blocks], counts),
        of_ends=ends,
        replicas=copies(layout) * layout.dp * layout.cp,
    )
    states = model_state(dense, layout, kind, job.dtype, narrow)
    if arch.num_experts < 2:
        return states
    experts = Holding(
        parameters=_sum([b.routed_parameters for b in blocks], counts),
        trained=_sum([b.trained_routed for b in blocks], counts),
        of_layer=_largest([b.routed_parameters for b in blocks], counts),
        of_ends=0.0,
        replicas=copies(layout) * expert_replicas(arch, layout),
    )
    routed = model_state(experts, layout, kind, job.dtype, narrow)
    return states[0] + routed[0], states[1] + routed[1], states[2] + routed[2]


def model_state(
    held: Holding, layout: Layout, kind: Footprint, dtype: str, narrow: bool
) -> tuple[Number, Number, Number]:
    """(weights, gradients, optimizer) bytes of a chip. [byte]

    With ZeRO 3 layers are gathered one ahead; with a pipeline some code bases keep the whole stage,
    and its gradients, until the last microbatch.
    """
    n, trained, shards = held.parameters, held.trained, held.replicas
    weight = kind.narrow_weight_bytes if narrow else kind.weight_bytes
    frozen = kind.narrow_frozen_bytes if narrow else kind.weight_bytes
    summed = 0.0 if dtype == "fp16" else kind.summed_bytes
    gradient = kind.gradient_bytes + summed
    whole_stage = kind.pipeline_keeps_whole & (layout.pp > 1)
    gathered = held.of_layer * kind.gathered_layers + held.of_ends * kind.gathered_ends
    gathered = np.where(whole_stage, n, gathered)
    unscattered = held.of_layer * kind.gathered_gradient_bytes * (np.asarray(trained) > 0)
    whole_gradients = np.where(whole_stage & (layout.zero >= 3), trained * gradient, 0.0)
    weights = np.where(
        layout.zero >= 3,
        n * kind.share_bytes / shards + gathered * weight,
        trained * weight + (n - trained) * frozen,
    )
    gradients = np.where(
        layout.zero >= 2,
        trained * gradient / shards + unscattered + whole_gradients,
        trained * gradient,
    )
    own = trained / np.where(layout.zero >= 1, shards, 1.0)
    gradients = gradients + np.where(layout.zero >= 1, own * kind.gradient_share_bytes, 0.0)
    optimizer = np.where(layout.zero >= 3, kind.share_optimizer_bytes, kind.optimizer_bytes)
    return weights, gradients, own * optimizer


def activations(
    blocks: list[Kept], counts: list[Number], layout: Layout, input_bytes: Number
) -> Number:
    """Bytes kept for one microbatch by the layers of a stage. [byte]

    Full recomputation keeps the input of each layer.
    """
    return np.select(
        [layout.recompute == 2, layout.recompute == 1],
        [sum(counts) * input_bytes, _sum([b.selective_bytes for b in blocks], counts)],
        _sum([b.whole_bytes for b in blocks], counts),
    )


def working_set(blocks: list[Kept], counts: list[Number], layout: Layout) -> Number:
    """Bytes of what is computed again and used at once: one layer's. [byte]"""
    again = [np.maximum(b.at_work_bytes - b.selective_bytes, 0.0) for b in blocks]
    return np.select(
        [layout.recompute == 2, layout.recompute == 1],
        [_largest([b.at_work_bytes for b in blocks], counts), _largest(again, counts)],
        0.0,
    )


def _sum(of_blocks: list[Number], counts: list[Number]) -> Number:
    return sum(n * x for n, x in zip(counts, of_blocks, strict=True))


def _largest(of_blocks: list[Number], counts: list[Number]) -> Number:
    """The largest among the layers that a stage has."""
    present = [np.where(n > 0, x, 0.0) for n, x in zip(counts, of_blocks, strict=True)]
    return np.max(np.stack(np.broadcast_arrays(*present)), axis=0)


def tied_parameters(arch: Architecture, layout: Layout) -> Number:
    """Of matrices of the head that are the embedding's: the last stage has a copy."""
    tied = [op for op in arch.head if isinstance(op, Linear) and op.tied]
    zero = np.zeros(len(layout))
    own = (structs.replace(op, tied=False) for op in tied)
    return sum((parameters_per_chip(op, layout) for op in own), zero)
