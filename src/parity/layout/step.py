"""Operators and a layout to the work one chip does in one step of a serving engine.

A step carries one query of each request that decodes (several where tokens are drafted) and the
tokens of some prompts: products take them together, attention apart. All results broadcast over
the columns of the layout.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from parity.catalogue.machine import Number
from parity.layout.layout import Layout
from parity.layout.shard import (
    AttentionWork,
    Gemm,
    Stream,
    Work,
    expert_tokens,
    head_ways,
    shard,
    state_bytes,
)
from parity.workload.flop import pairs
from parity.workload.operator import Attention, Elementwise, Linear, Operator, Recurrence


@dataclass(frozen=True)
class Load:
    """What a step works on: one pipeline stage of one attention-data-parallel rank."""

    sequences: Number  # requests that decode
    context: Number  # tokens that each of them has cached, on average
    prompt_tokens: Number = 0.0  # of prompts
    prompt_length: Number = 1.0  # of the prompts these belong to, what was cached included
    prompt_cached: Number = 0.0  # of each prompt, found in the prefix cache
    queries: Number = 1.0  # tokens a decoding request is asked for, drafts included

    @property
    def decode_tokens(self) -> Number:
        """Tokens of decoding requests that pass through the layers."""
        return self.sequences * self.queries

    def tokens(self, layout: Layout) -> Number:
        """All tokens that pass through the layers of one chip; prompts are divided by cp.

        Never quite none: a step of nothing has the time of its launches.
        """
        return np.maximum(self.decode_tokens + self.prompt_tokens / layout.cp, 1e-9)

    @property
    def prompts(self) -> Number:
        """Prompts that end in this step, on average."""
        return self.prompt_tokens / np.maximum(self.prompt_length - self.prompt_cached, 1.0)

    def share(self, part: float) -> Load:
        """The same with only `part` of the requests and prompt tokens."""
        return Load(
            self.sequences * part, self.context, self.prompt_tokens * part,
            self.prompt_length, self.prompt_cached, self.queries,
        )  # fmt: skip


def ranks(layout: Layout) -> Number:
    """Groups of chips with requests of their own among those that share the experts. [1]"""
    return layout.ep * layout.etp / layout.tp


def step_works(
    op: Operator, layout: Layout, load: Load, kv_bytes: float, hottest: Number = 1.0
) -> list[tuple[Work, Number]]:
    """The work of `op` on one chip in one step, in parts, each with whether it takes place.

    kv_bytes: of one cached element. hottest: load of the busiest expert-parallel chip over the
    mean, which all others wait for.
    """
    decoding, prompting = load.sequences > 0, load.prompt_tokens > 0
    tokens = load.tokens(layout)
    match op:
        case Linear(experts=e) if e > 1:
            return [(_experts(op, layout, tokens, hottest), True)]
        case Attention():
            found: list[tuple[Work, Number]] = []
            if np.any(decoding):
                found.append((_cached_attention(op, layout, load, kv_bytes), decoding))
            if np.any(prompting):
                found.append((_prompt_attention(op, layout, load), prompting))
            return found
        case Recurrence():
            kept = state_bytes(op, kv_bytes)  # read and written
            asked = load.decode_tokens
            moved = (load.sequences * kept + asked * op.elements_per_token) / layout.tp
            one = Stream(flop=op.flop_per_token * asked / layout.tp, elements=moved)
            prompt = shard(op, layout, load.prompt_tokens / layout.cp)
            return [(one, decoding), (prompt, prompting)]
        case Elementwise(active=a) if a > 1:
            return [(shard(op, layout, tokens * hottest), True)]
        case _:
            return [(shard(op, layout, tokens), True)]


def _experts(op: Linear, layout: Layout, tokens: Number, hottest: Number) -> Gemm:
    """Products of the experts that the tokens of all ranks hit.

    Of E experts, T tokens with k choices each hit E·(1 - (1 - k/E)^T) on average, and only those
    are read.
    """
    everywhere = tokens * ranks(layout)
    hit = op.experts * (1.0 - (1.0 - op.active / op.experts) ** everywhere) / layout.ep
    hit = np.maximum(hit, np.minimum(1.0, everywhere * op.active / layout.ep))
    whole = shard(op, layout, tokens)
    assert isinstance(whole, Gemm)
    rows = expert_tokens(op, layout, tokens) * hottest / np.maximum(hit, 1e-9)
    return Gemm(m=rows, n=whole.n, k=whole.k, batch=hit, combined=whole.combined)


def _cached_attention(op: Attention, layout: Layout, load: Load, kv_bytes: float) -> AttentionWork:
    """Queries of decoding requests against what each has cached, read once for all its queries."""
    heads = op.query_heads / head_ways(op, layout, op.query_heads)
    keys = pairs(op, 1, np.maximum(load.context, 1.0))
    width = (op.decode_qk_dim or op.qk_head_dim) + (op.decode_v_dim or op.v_head_dim)
    cached = op.cache_elements / head_ways(op, layout, op.cache_shards)
    read = load.sequences * keys * cached * kv_bytes / 2.0
    return AttentionWork(
        flop=2.0 * width * heads * load.decode_tokens * keys,
        keys=keys,
        elements=read + load.decode_tokens * heads * width,
        score_elements=load.decode_tokens * heads * keys,
        qk_dim=op.decode_qk_dim or op.qk_head_dim,
        v_dim=op.decode_v_dim or op.v_head_dim,
        cached_elements=read,
    )


def _prompt_attention(op: Attention, layout: Layout, load: Load) -> AttentionWork:
    """Queries of prompts against the keys before them: the mean over a prompt, however chunked."""
    heads = op.query_heads / head_ways(op, layout, op.query_heads)
    kv_heads = op.key_value_heads / head_ways(op, layout, op.key_value_heads)
    new = np.maximum(load.prompt_length - load.prompt_cached, 1.0)
    keys = pairs(op, new, np.maximum(load.prompt_length, 1.0)) / new
    width = op.qk_head_dim + op.v_head_dim
    tokens = load.prompt_tokens / layout.cp
    return AttentionWork(
        flop=2.0 * width * heads * tokens * keys,
        keys=keys,
        elements=tokens * width * (heads + kv_heads),
        score_elements=heads * tokens * np.minimum(new, 2.0 * keys),
        qk_dim=op.qk_head_dim,
        v_dim=op.v_head_dim,
    )


def one_product(first: Gemm, second: Gemm) -> Gemm:
    """Two products of the same input as the one that engines make of them (queries, keys, values).

    [vLLM, QKVParallelLinear and MergedColumnParallelLinear].
    """
    return Gemm(first.m, first.n + second.n, first.k, first.batch, first.combined)


def shares_input(op: Operator, before: Operator | None) -> bool:
    """Whether `op` is a product of the very input of the product before it."""
    if not (isinstance(op, Linear) and isinstance(before, Linear)):
        return False
    alike = ("inputs", "experts", "groups", "split", "dtype")
    same = all(getattr(op, name) == getattr(before, name) for name in alike)
    return same and op.split == "column" and not op.saves_input
