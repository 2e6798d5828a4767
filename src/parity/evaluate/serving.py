"""Serving at a steady state: prefill and decode steps of one replica, and what they add up to.

Prefill processes a prompt at once; a decode step makes one token for each of B requests and reads
all weights and all of their cache. Under continuous batching with chunked prefill the steps of
both mix, so over its O output tokens a request shares the machine with B prefills:

    TPOT = t_decode(B) + B · t_prefill / O        requests/s = B / (O · TPOT)

[Agrawal et al. 2024, Sarathi-Serve, arXiv 2403.02310; Little's law]. All results broadcast over
columns of replica layouts and batches.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from parity.catalogue.machine import Machine, Number
from parity.evaluate.kernels import ACTIVATION_BYTES, Rates, add, forward_cost, permute_cost, times
from parity.layout.layout import Layout
from parity.layout.shard import (
    Work,
    head_ways,
    parameters_per_chip,
    shard,
    shard_decode,
    state_bytes,
)
from parity.timing.collective import all_reduce, send
from parity.timing.roofline import Cost
from parity.timing.software import Software
from parity.workload.count import entries
from parity.workload.dtype import DTYPE_BYTES
from parity.workload.operator import Architecture, Attention, Linear, Operator, Recurrence

#: Share of the memory that engines give to weights and cache (vLLM: gpu_memory_utilization 0.9).
MEMORY_SHARE = 0.9
#: Time of a step that no chip works: scheduling, sampling, detokenising. An estimate for current
#: engines with asynchronous scheduling; 2023 engines took several times as long.
ENGINE_STEP_S = 1e-3


@dataclass(frozen=True)
class Phase:
    """One pass of a replica over its layers."""

    cost: Cost
    communication_s: Number

    @property
    def total_s(self) -> Number:
        """All of it."""
        return self.cost.total_s + self.communication_s


@dataclass(frozen=True)
class Steady:
    """A replica at batch B, per column."""

    prefill: Phase  # of one prompt
    decode: Phase  # of one step
    tpot_s: Number
    requests_per_s: Number  # of one replica
    weight_bytes: Number  # per chip
    cache_bytes: Number  # per chip, at the mean context
    fits: Number

    @property
    def ttft_s(self) -> Number:
        """Time of the prompt alone, without queueing. [s]"""
        return self.prefill.total_s


def steady_state(
    arch: Architecture,
    layout: Layout,
    batch: Number,
    input_tokens: int,
    output_tokens: int,
    machine: Machine,
    rate: Rates,
    software: Software,
    kv_dtype: str = "bf16",
) -> Steady:
    """A replica of tp · pp chips that always holds `batch` requests per pipeline stage.

    batch: requests of one decode step, shape of the layout's columns; pp of them are under way.
    The prompt of a finished request's successor is processed between decode steps.
    """
    kv_bytes = DTYPE_BYTES[kv_dtype]
    prompt = np.full(len(layout), float(input_tokens))
    context = input_tokens + output_tokens / 2
    prefill = _pass(
        arch, layout, machine, rate, software, prompt, np.ones(len(layout)),
        lambda op, tokens: shard(op, layout, tokens, input_tokens),
    )  # fmt: skip
    decode = _pass(
        arch, layout, machine, rate, software, batch, batch,
        lambda op, tokens: shard_decode(op, layout, tokens, context, kv_bytes),
    )  # fmt: skip
    tpot = decode.total_s + ENGINE_STEP_S + batch * prefill.total_s / output_tokens
    weights = weights_per_chip(arch, layout, rate.dtype)
    cache = cache_per_chip(arch, layout, batch * layout.pp, context, kv_bytes)
    return Steady(
        prefill=prefill,
        decode=decode,
        tpot_s=tpot,
        requests_per_s=layout.pp * batch / (output_tokens * tpot),
        weight_bytes=weights,
        cache_bytes=cache,
        fits=weights + cache <= machine.memory_bytes * MEMORY_SHARE,
    )


def _pass(
    arch: Architecture,
    layout: Layout,
    machine: Machine,
    rate: Rates,
    software: Software,
    tokens: Number,
    head_tokens: Number,
    work_of: Callable[[Operator, Number], Work],
) -> Phase:
    """One pass of `tokens` through all layers, and of `head_tokens` through the head."""
    costs, communication = [], np.zeros(len(layout))
    for block in arch.blocks:
        works = [work_of(op, tokens) for op in block.operators]
        computed = (forward_cost(work, rate, software) for work in works)
        layer = add(*computed, *(permute_cost(work, rate) for work in works))
        costs.append(times(block.count, layer))
        reduced = row_sums(block.operators) * all_reduce(
            tokens * arch.hidden_size * ACTIVATION_BYTES, layout.tp, 1, machine
        )
        communication = communication + block.count * reduced
    ends = [forward_cost(work_of(op, tokens), rate, software) for op in arch.embedding]
    ends += [forward_cost(work_of(op, head_tokens), rate, software) for op in arch.head]
    handed = send(tokens * arch.hidden_size * ACTIVATION_BYTES / layout.tp, layout.tp, machine)
    return Phase(add(*costs, *ends), communication + (layout.pp - 1) * handed)


def row_sums(operators: tuple[Operator, ...]) -> int:
    """All-reduces of a layer: one for each sum that row-divided products leave behind.

    Products whose sums are added to the same residual at once (routed and shared experts) are
    reduced together.
    """
    entries = [op for op in operators if isinstance(op, Linear) and op.split == "column"]
    mixers = any(isinstance(op, (Attention, Recurrence)) for op in operators)
    networks = any(
        op.saves_input and not op.name.startswith(("q_", "kv_", "qkv")) for op in entries
    )
    return int(mixers) + int(networks)


def weights_per_chip(arch: Architecture, layout: Layout, dtype: str) -> Number:
    """Bytes of weights on one chip; embedding and head stay at 16 bits. [byte]"""
    body = sum(
        block.count * parameters_per_chip(op, layout)
        for block in arch.blocks
        for op in block.operators
    )
    ends = sum(parameters_per_chip(op, layout) for op in (*arch.embedding, *arch.head))
    return (body * DTYPE_BYTES[dtype] + ends * ACTIVATION_BYTES) / layout.pp


def cache_per_chip(
    arch: Architecture, layout: Layout, requests: Number, context: float, kv_bytes: float
) -> Number:
    """Bytes of cache and state of `requests` at `context` tokens on one chip. [byte]

    Heads are divided up to their number and copied beyond; a latent cache is copied.
    """
    total: Number = np.zeros(len(layout))
    for block in arch.blocks:
        for op in block.operators:
            if isinstance(op, Attention):
                element = DTYPE_BYTES[op.cache_dtype] if op.cache_dtype else kv_bytes
                kept = entries(op, context) * op.cache_elements * element
                total = total + block.count * kept / head_ways(op, layout, op.cache_shards)
            if isinstance(op, Recurrence):
                total = total + block.count * state_bytes(op, kv_bytes) / layout.tp
    return total * requests / layout.pp
