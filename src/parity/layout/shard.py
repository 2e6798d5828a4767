"""Operators and a layout to the work one chip does for one microbatch.

`tokens` is what one chip of a tensor-parallel group sees of a microbatch: sequences · length / cp.
All results broadcast over the columns of the layout.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeGuard

import numpy as np

from parity.catalogue.machine import Number
from parity.layout.layout import Layout
from parity.workload.activation import HALF_BYTES, saved_bytes
from parity.workload.dtype import DTYPE_BYTES
from parity.workload.flop import pairs
from parity.workload.operator import Attention, Elementwise, Linear, Lookup, Operator, Recurrence


@dataclass(frozen=True)
class Gemm:
    """`batch` matrix products of m × n × k."""

    m: Number
    n: Number
    k: Number
    batch: Number
    combined: bool = False  # it ends routed experts, whose rows are then added up to tokens

    @property
    def flop(self) -> Number:
        """Two per multiply-add."""
        return 2.0 * self.m * self.n * self.k * self.batch


@dataclass(frozen=True)
class AttentionWork:
    """Scores and weighted values of one chip's heads."""

    flop: Number  # of what the mask leaves
    keys: Number  # that a query sees, on average
    elements: Number  # queries, keys, values and outputs, once
    score_elements: Number  # of the whole score matrix, which an unfused kernel stores
    qk_dim: int
    v_dim: int
    cached_elements: Number = 0.0  # of `elements`, those that decoding requests read from caches

    @property
    def cached(self) -> bool:
        """Whether it is one query of each request that reads what is cached."""
        return bool(np.any(np.asarray(self.cached_elements) > 0))


@dataclass(frozen=True)
class Stream:
    """Work bound by moving elements."""

    flop: Number
    elements: Number


@dataclass(frozen=True)
class Scan:
    """A recurrence over the tokens of a sequence, in chunks."""

    flop: Number
    elements: Number


Work = Gemm | AttentionWork | Stream | Scan


def ways(op: Operator, layout: Layout) -> Number:
    """Over how many chips of a tensor-parallel group the operator's weights are divided. [1]"""
    match op:
        case Linear(split="none") | Elementwise(split="none") | Attention(split="none"):
            return np.ones(len(layout))
        case Linear(experts=e) if e > 1:
            return layout.ep * layout.etp.astype(float)
        case Linear(shards=s) if s:
            return np.minimum(layout.tp, s).astype(float)
        case Recurrence() | Attention() | Linear() | Lookup() | Elementwise():
            return layout.tp.astype(float)


def sequence_share(layout: Layout) -> Number:
    """Part of the tokens a chip holds where the sequence is divided between layers. [1]"""
    return np.where(layout.sequence_parallel > 0, 1.0 / layout.tp, 1.0)


def expert_tokens(op: Linear | Elementwise, layout: Layout, tokens: Number) -> Number:
    """Copies of tokens the experts of one chip work on, load balanced. [1]

    The chips of a group that divides an expert work on what all of them hold.
    """
    return tokens * layout.etp / layout.tp * op.active


def shard(op: Operator, layout: Layout, tokens: Number, seq_len: int = 1) -> Work:
    """The work of `op` on one chip for `tokens` of sequences of `seq_len`, forward."""
    match op:
        case Linear(experts=e) if e > 1:
            local = e / layout.ep
            divided = layout.etp.astype(float)
            return Gemm(
                m=expert_tokens(op, layout, tokens) / local,
                n=op.outputs / np.where(op.split == "column", divided, 1.0),
                k=op.inputs / op.groups / np.where(op.split == "row", divided, 1.0),
                batch=local,
                combined=op.split == "row",
            )
        case Linear():
            share = sequence_share(layout) if op.split == "none" else 1.0
            divided = ways(op, layout)
            by_output = op.split in ("column", "heads", "vocab")
            return Gemm(
                m=tokens * share,
                n=op.outputs / np.where(by_output, divided, 1.0) / op.groups,
                k=op.inputs / np.where(op.split == "row", divided, 1.0) / op.groups,
                batch=np.full(len(layout), float(op.groups)),
            )
        case Attention():
            heads = op.query_heads / head_ways(op, layout, op.query_heads)
            kv_heads = op.key_value_heads / head_ways(op, layout, op.key_value_heads)
            keys = pairs(op, seq_len, seq_len) / seq_len
            width = op.qk_head_dim + op.v_head_dim
            return AttentionWork(
                flop=2.0 * width * heads * tokens * keys,
                keys=keys,
                elements=tokens * width * (heads + kv_heads),
                score_elements=heads * tokens * seq_len,
                qk_dim=op.qk_head_dim,
                v_dim=op.v_head_dim,
            )
        case Recurrence():
            return Scan(
                flop=op.flop_per_token * tokens / layout.tp,
                elements=op.elements_per_token * tokens / layout.tp,
            )
        case Elementwise():
            moved = (op.read_elements + op.written_elements) * elementwise_tokens(
                op, layout, tokens
            )
            return Stream(flop=moved, elements=moved)
        case Lookup():
            return Stream(
                flop=0.0 * tokens, elements=2.0 * op.width * tokens * sequence_share(layout)
            )


def elementwise_tokens(op: Elementwise, layout: Layout, tokens: Number) -> Number:
    """Tokens times the part of the features that one chip works on. [1]"""
    if op.active > 1:
        return expert_tokens(op, layout, tokens) / layout.etp
    if op.split == "none":
        return tokens * sequence_share(layout)
    return tokens / layout.tp


def state_bytes(op: Recurrence, kv_bytes: float) -> float:
    """Bytes of the scan's and the convolution's state of one request, all heads. [byte]"""
    scan = op.state_elements * DTYPE_BYTES[op.state_dtype]
    return scan + op.convolution_state_elements * kv_bytes


def head_ways(op: Attention, layout: Layout, heads: int) -> Number:
    """Over how many chips `heads` heads are divided; beyond their number they are copied. [1]"""
    return (
        np.ones(len(layout)) if op.split == "none" else np.minimum(layout.tp, heads).astype(float)
    )


def saved_bytes_per_chip(
    op: Operator, layout: Layout, tokens: Number, input_bytes: float = HALF_BYTES
) -> Number:
    """Bytes one chip keeps for the backward pass of a microbatch. [byte]

    What a layer keeps is divided as its operators are, and what they take whole along the
    sequence [Korthikanti et al. 2022, arXiv 2205.05198, eq. 2 and 4].
    """
    return saved_bytes(op, input_bytes) * tokens * kept_share(op, layout)


def output_share(op: Operator, layout: Layout) -> Number:
    """Part of an operator's output for all tokens of a group that one chip holds. [1]

    Sums over the group are scattered along the sequence.
    """
    match op:
        case Linear(experts=e) if e > 1:
            return 1.0 / layout.tp
        case Linear(split="column" | "heads" | "vocab"):
            return 1.0 / ways(op, layout)
        case Attention():
            return 1.0 / head_ways(op, layout, op.query_heads)
        case _:
            return sequence_share(layout)


def kept_share(op: Operator, layout: Layout) -> Number:
    """Part of what `op` keeps of the tokens of a tensor-parallel group that one chip keeps. [1]"""
    match op:
        case Linear(experts=e) if e > 1:
            return np.where(op.split == "row", 1.0, layout.etp) / layout.tp
        case Elementwise(active=a) if a > 1:
            return 1.0 / layout.tp
        case Attention():
            queries = op.query_heads * op.qk_head_dim * op.saves_query
            cached = op.key_value_heads * (op.qk_head_dim + op.v_head_dim)
            own = queries / head_ways(op, layout, op.query_heads)
            own = own + cached / head_ways(op, layout, op.key_value_heads)
            return own / max(queries + cached, 1)
        case Linear(split="row") | Recurrence() | Elementwise(split="column" | "heads" | "vocab"):
            return 1.0 / layout.tp
        case _:
            return sequence_share(layout)


def parameters_per_chip(op: Operator, layout: Layout) -> Number:
    """Parameters of `op` one chip of a tensor- and expert-parallel group holds. [1]"""
    return op.parameters / ways(op, layout)


def is_routed(op: Operator) -> TypeGuard[Linear]:
    """Whether the operator belongs to routed experts, whose copies differ from the rest."""
    return isinstance(op, Linear) and op.experts > 1
