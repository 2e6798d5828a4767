"""What a serving engine keeps in a chip's memory: weights, cache, and what it works with."""

from __future__ import annotations

import numpy as np

from parity.catalogue.machine import Number
from parity.evaluate.kernels import ACTIVATION_BYTES
from parity.evaluate.step import Served
from parity.layout.layout import Layout
from parity.layout.shard import head_ways, parameters_per_chip, state_bytes
from parity.workload.count import entries
from parity.workload.dtype import DTYPE_BYTES
from parity.workload.operator import Attention, Linear, Recurrence
from parity.workload.precision import stored


def weights_per_chip(model: Served, layout: Layout) -> Number:
    """Bytes of weights on the fullest chip: of its stage, and embedding or head. [byte]"""
    arch = model.arch
    total: Number = np.zeros(len(layout))
    for block in arch.blocks:
        for op in block.operators:
            kind = stored(op, arch, model.precision, outside=False)
            held = parameters_per_chip(op, layout) * DTYPE_BYTES[kind]
            total = total + block.count * held / layout.pp
    half = DTYPE_BYTES[model.precision.half]
    ends = [
        sum(parameters_per_chip(op, layout) for op in operators) * half
        for operators in (arch.embedding, arch.head)
    ]
    return total + np.where(layout.pp > 1, np.maximum(*ends), ends[0] + ends[1])


def cache_per_request(model: Served, layout: Layout, context: Number) -> Number:
    """Bytes that one request of `context` tokens keeps on each chip of its rank. [byte]

    Heads are divided up to their number and copied beyond; a latent cache is copied.
    """
    total: Number = np.zeros(len(layout))
    for block in model.arch.blocks:
        for op in block.operators:
            if isinstance(op, Attention):
                element = DTYPE_BYTES[op.cache_dtype] if op.cache_dtype else model.kv_bytes
                kept = entries(op, context) * op.cache_elements * element
                total = total + block.count * kept / head_ways(op, layout, op.cache_shards)
            if isinstance(op, Recurrence):
                total = total + block.count * state_bytes(op, model.kv_bytes) / layout.tp
    return total / layout.pp


def workspace_per_chip(model: Served, layout: Layout, token_budget: Number) -> Number:
    """Bytes for the activations of the largest step, graphs and buffers. [byte]

    The widest moment of a layer holds the residual, the input and output of its widest product
    and, before the head, scores of every request over the vocabulary in 32 bits.
    """
    arch = model.arch
    widest = max(
        (op.inputs + op.outputs) * op.active
        for b in arch.blocks
        for op in b.operators
        if isinstance(op, Linear)
    )
    tokens = np.asarray(token_budget) / layout.cp
    live = tokens * (2 * arch.hidden_size + widest / layout.tp) * ACTIVATION_BYTES
    scores = np.minimum(tokens, model.engine.max_sequences) * arch.vocab_size / layout.tp * 4.0
    return model.engine.workspace_bytes + live + scores


def room_for_cache(
    model: Served, layout: Layout, token_budget: Number, weights: Number | None = None
) -> Number:
    """Bytes of a chip that remain for the cache; below zero where the model does not fit. [byte]

    weights: on the chip, where they are known.
    """
    usable = model.machine.driver_bytes * model.engine.memory_share
    held = weights_per_chip(model, layout) if weights is None else weights
    taken = held + workspace_per_chip(model, layout, token_budget)
    return (usable - taken) * model.engine.cache_share
