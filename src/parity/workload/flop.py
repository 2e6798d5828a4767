"""How much arithmetic a model asks for: matrix products, attention and scans.

Two operations for each multiply-and-add. Norms, activations and lookups are bound by memory and
count nothing here. `tokens` and `context` may be numbers or arrays; results broadcast.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from parity.workload.count import Number, operators
from parity.workload.operator import Architecture, Attention, Linear, Operator, Recurrence

Phase = Literal["prefill", "decode", "training"]

#: Work of the backward pass over the forward's: a gradient for each of the two factors.
BACKWARD = 2.0


def forward_flop(
    operator: Operator, tokens: Number, context: Number | None = None, *, decode: bool = False
) -> Number:
    """FLOPs of `tokens` tokens of one sequence, the last of which sees `context` tokens.

    Without `context` the tokens are a whole sequence. With `decode`, latent attention multiplies
    in its latent space, as engines do when they read the cache.
    """
    if isinstance(operator, Linear):
        return 2.0 * operator.matrix_parameters * operator.active * tokens
    if isinstance(operator, Recurrence):
        return float(operator.flop_per_token) * tokens
    if isinstance(operator, Attention):
        width = operator.qk_head_dim + operator.v_head_dim
        if decode and operator.decode_qk_dim:
            width = operator.decode_qk_dim + operator.decode_v_dim
        last = tokens if context is None else context
        return 2.0 * operator.query_heads * width * pairs(operator, tokens, last)
    return 0.0 * tokens


def backward_flop(operator: Operator, tokens: Number, context: Number | None = None) -> Number:
    """FLOPs of the backward pass: twice the forward, recomputation left out.

    A product whose weights are frozen has one gradient to compute, not two.
    """
    gradients = 1.0 if isinstance(operator, Linear) and operator.frozen else BACKWARD
    return gradients * forward_flop(operator, tokens, context)


def flop_per_token(architecture: Architecture, context: Number, phase: Phase) -> Number:
    """FLOPs per token of the whole model, the projection to the vocabulary included.

    `prefill` averages over all tokens of a sequence of `context` tokens; `decode` is one more
    token that sees `context`; `training` is prefill and the backward pass, three times prefill
    where all weights are trained.
    """
    decode = phase == "decode"
    tokens: Number = 1.0 if decode else context
    total: Number = 0.0
    for times, operator in operators(architecture):
        total = total + times * forward_flop(operator, tokens, context, decode=decode)
        if phase == "training":
            total = total + times * backward_flop(operator, tokens, context)
    return total / tokens


def pairs(operator: Attention, tokens: Number, context: Number) -> Number:
    """Cache entries read by the last `tokens` of `context` tokens, added up, exactly."""
    if not operator.causal:
        return tokens * context
    return _seen(operator, context) - _seen(operator, context - tokens)


def _seen(operator: Attention, tokens: Number) -> Number:
    """Entries read by all of the first `tokens` tokens, added up.

    Token t sees floor(t / compression) entries, at most `window` or `selected` of them; in a
    chunked layer it sees those since its chunk began.
    """
    t: Number = np.asarray(tokens, float)[()]
    if operator.chunked:
        whole, rest = np.divmod(t, float(operator.window))
        return whole * _triangle(float(operator.window)) + _triangle(rest)
    ratio = operator.compression
    caps = [cap for cap in (operator.window, operator.selected) if cap]
    growing = np.minimum(t, min(caps) * ratio - 1) if caps else t
    full, rest = np.divmod(growing, ratio)
    below: Number = ratio * full * (full - 1) / 2 + full * (rest + 1)
    return below + (t - growing) * (min(caps) if caps else 0)


def _triangle(tokens: Number) -> Number:
    return tokens * (tokens + 1) / 2
