"""What one layer of each kind keeps on one chip: parameters, and activations of a microbatch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from parity.catalogue.machine import Number
from parity.evaluate.stages import distinct_divisions
from parity.layout.layout import Column, Layout
from parity.layout.shard import (
    is_routed,
    output_share,
    parameters_per_chip,
    saved_bytes_per_chip,
    sequence_share,
    shard,
    ways,
)
from parity.timing.footprint import Footprint, footprint
from parity.timing.software import Software
from parity.workload.activation import HALF_BYTES, is_made_again, product_outputs
from parity.workload.dtype import DTYPE_BYTES
from parity.workload.operator import Architecture, Attention, Linear, Operator
from parity.workload.training import TrainingJob

#: Ways to recompute selectively that keep outputs of products: of how many, one. Where all of them
#: are kept, the compiler fuses what is between, and nothing else exists at any time.
EVERY = {"every-product": 1, "every-other-product": 2}
#: Maximum and sum of a row of scores, kept by fused attention [Dao et al. 2022, arXiv 2205.14135].
STATISTIC_BYTES = 4.0


@dataclass(frozen=True)
class Kept:
    """Of one layer, or of an end of the model, per chip. Activations are of one microbatch."""

    whole_bytes: Number  # without recomputation
    selective_bytes: Number  # with selective recomputation
    at_work_bytes: Number  # while it is made again
    parameters: Number  # of the dense part
    routed_parameters: Number  # of routed experts
    trained: Number  # of the dense part, the rest being frozen
    trained_routed: Number
    shapes: Number  # trained parameters with one expert of each matrix

    def take(self, index: Number) -> Kept:
        """The same for other layouts: entry `index[i]` for layout i."""
        return Kept(*(np.asarray(getattr(self, f.name))[..., index] for f in fields(self)))


def kept_by_block(
    arch: Architecture, job: TrainingJob, layout: Layout, software: Software
) -> tuple[list[Kept], Kept, Kept]:
    """Of a layer of each block, of the embedding and of the head.

    Each distinct division of a layer is worked out once and spread over the layouts.
    """
    some, inverse = distinct_divisions(layout)

    def kept(operators: tuple[Operator, ...]) -> Kept:
        return _kept(operators, arch.hidden_size, job, some, software).take(inverse)

    blocks = [kept(block.operators) for block in arch.blocks]
    return blocks, kept(arch.embedding), kept(arch.head)


def input_bytes(job: TrainingJob, kind: Footprint) -> float:
    """Bytes of an element of a product's input as it is kept."""
    narrow = DTYPE_BYTES[job.dtype] < HALF_BYTES
    # 4-bit products keep both orientations, together as much as one of 8 bits.
    return max(DTYPE_BYTES[job.dtype], 1.0) if narrow and kind.narrow_inputs else HALF_BYTES


def _kept(
    operators: tuple[Operator, ...], hidden: int, job: TrainingJob, layout: Layout, era: Software
) -> Kept:
    kind = footprint(era.footprint)
    tokens = layout.microbatch * job.seq_len / layout.cp
    zero = np.zeros(len(layout))
    width = input_bytes(job, kind)
    each = [
        zero + saved_bytes_per_chip(op, layout, tokens, width) * keeps
        for op, keeps in zip(operators, keeps_input(operators), strict=True)
    ]
    again = [is_made_again(op, kind.selective) for op in operators]
    scores, statistics = _scores(operators, layout, job.seq_len, tokens, era)
    every = next((EVERY[m] for m in kind.selective if m in EVERY), 0)
    if every:
        selective = tokens * hidden * HALF_BYTES * sequence_share(layout) + statistics
        for op, elements in product_outputs(operators, every).items():
            selective = selective + elements * HALF_BYTES * tokens * output_share(op, layout)
    else:
        selective = sum((e for e, drop in zip(each, again, strict=True) if not drop), statistics)
        selective = selective + (zero if "core_attn" in kind.selective else scores)
    dense = [(op, parameters_per_chip(op, layout)) for op in operators if not is_routed(op)]
    routed = [(op, parameters_per_chip(op, layout)) for op in operators if is_routed(op)]
    one = [n / (op.experts / layout.ep) for op, n in routed if not op.frozen]
    trained = [n for op, n in dense if not op.frozen]
    whole = sum(each, scores + statistics)
    return Kept(
        whole_bytes=whole,
        selective_bytes=selective,
        at_work_bytes=selective if every == 1 else whole,
        parameters=sum((n for _, n in dense), zero),
        routed_parameters=sum((n for _, n in routed), zero),
        trained=sum(trained, zero),
        trained_routed=sum((n for op, n in routed if not op.frozen), zero),
        shapes=sum([*trained, *one], zero),
    )


def keeps_input(operators: tuple[Operator, ...]) -> list[bool]:
    """Whether each operator keeps what it says: a product with a frozen weight needs its input only
    for an adapter beside it [Hu et al. 2021, arXiv 2106.09685].
    """
    names = {op.name for op in operators}
    return [
        not (isinstance(op, Linear) and op.frozen) or f"{op.name}_lora_a" in names
        for op in operators
    ]


def _scores(
    operators: tuple[Operator, ...], layout: Layout, seq_len: int, tokens: Number, era: Software
) -> tuple[Number, Number]:
    """(score matrices that unfused attention keeps, statistics that fused attention keeps)."""
    scores: Number = np.zeros(len(layout))
    statistics: Number = np.zeros(len(layout))
    for op in operators:
        if not isinstance(op, Attention) or op.split == "none":
            continue
        work = shard(op, layout, tokens, seq_len)
        scores = scores + work.score_elements * era.score_bytes_saved  # type: ignore[union-attr]
        if era.fused_attention:
            heads = op.query_heads * output_share(op, layout)
            statistics = statistics + STATISTIC_BYTES * heads * tokens
    return scores, statistics


def expert_replicas(arch: Architecture, layout: Layout) -> Number:
    """Chips that hold the same part of routed experts. [1]"""
    routed = (op for block in arch.blocks for op in block.operators if is_routed(op))
    over = [ways(op, layout) for op in routed]
    stage = layout.tp * layout.cp * layout.dp
    return np.maximum(stage / over[0], 1.0) if over else np.ones(len(layout))


def stage_index(pp: Column, stages: Sequence[int]) -> Column:
    """Pipeline stages, shape (stages, *shape of pp): from 0 on, or -1 for the last, as in a list;
    the nearest there is where a pipeline has fewer.
    """
    asked = np.asarray(stages).reshape(-1, *(1,) * pp.ndim)
    return np.clip(np.where(asked < 0, pp + asked, asked), 0, pp - 1)


def layers_of_stage(arch: Architecture, layout: Layout, stages: Sequence[int]) -> list[Number]:
    """Layers of each block on pipeline stages, shape (stages, layouts). [1]

    Layers are cut in p·v runs; stage s holds runs s, s + p, ... [Narayanan et al. 2021, arXiv
    2104.04473, §2.2]. Where they do not come out even, embedding and head count as a layer each if
    that does [Llama 3, arXiv 2407.21783, §3.3.2], else the first runs are longer.
    """
    before = _before(arch)
    pipelines = np.stack(np.broadcast_arrays(layout.pp, layout.interleave))
    key = pipelines[0] * (pipelines[1].max(initial=1) + 1) + pipelines[1]
    _, one, inverse = np.unique(key, return_index=True, return_inverse=True)
    pp, virtual = pipelines.reshape(2, -1)[:, one]
    index = stage_index(pp, stages)
    counts = np.zeros((len(arch.blocks), *index.shape))
    for turn in range(int(virtual.max(initial=1))):
        run = index + turn * pp
        start, end = (_first_layer(arch.num_hidden_layers, pp * virtual, r) for r in (run, run + 1))
        counts += np.where(turn < virtual, before[:, end] - before[:, start], 0.0)
    return list(counts[..., inverse.reshape(key.shape)])


def layers_between(arch: Architecture, start: Column, end: Column) -> list[Number]:
    """Layers of each block from layer `start` to the one before `end`. [1]"""
    before = _before(arch)
    return list(before[:, end] - before[:, start])


def _before(arch: Architecture) -> NDArray[np.float64]:
    """How many layers of each block there are before each layer, and in all."""
    before = np.zeros((len(arch.blocks), arch.num_hidden_layers + 1))
    for i, block in enumerate(arch.order):
        before[:, i + 1] = before[:, i]
        before[block, i + 1] += 1
    return before


def _first_layer(layers: int, runs: Column, run: Column) -> Column:
    """The layer that a run of layers begins with."""
    size, longer = layers // runs, layers % runs
    ends_count = (longer > 0) & ((layers + 2) % runs == 0)
    even = run * ((layers + 2) // runs) - 1
    start = np.where(ends_count, even, run * size + np.minimum(run, longer))
    return np.clip(start, 0, layers)
