"""How large a model is: parameters, bytes of weights, cache per token, state per sequence.

`tokens` and `context` may be numbers or arrays; results broadcast. Bytes are whole-model figures:
how they divide over chips is the layout's business.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from parity.workload.dtype import element_bytes
from parity.workload.operator import Architecture, Attention, Linear, Operator, Recurrence

Number: TypeAlias = float | npt.NDArray[np.float64]


def operators(architecture: Architecture) -> Iterator[tuple[int, Operator]]:
    """Every operator with the number of times it occurs, embedding and head included."""
    yield from ((1, operator) for operator in architecture.embedding)
    for block in architecture.blocks:
        yield from ((block.count, operator) for operator in block.operators)
    yield from ((1, operator) for operator in architecture.head)


def parameters(architecture: Architecture) -> int:
    """All parameters, tied ones once, multi-token-prediction layers left out."""
    return sum(times * operator.parameters for times, operator in operators(architecture))


def trained_shares(architecture: Architecture) -> tuple[float, float]:
    """Trained over all parameters: of what every token uses, and of routed experts. [1]"""
    dense, routed = [0, 0], [0, 0]
    for times, operator in operators(architecture):
        kind = routed if isinstance(operator, Linear) and operator.experts > 1 else dense
        kind[0] += times * operator.parameters * (not operator.frozen)
        kind[1] += times * operator.parameters
    return dense[0] / max(dense[1], 1), routed[0] / max(routed[1], 1)


def active_parameters(architecture: Architecture) -> int:
    """Parameters one token uses: all but the experts it is not routed to.

    The embedding table and the projection to the vocabulary count in full, as in most model
    cards; some cards leave one or both out.
    """
    return sum(times * operator.active_parameters for times, operator in operators(architecture))


def weight_bytes(architecture: Architecture, dtype: str = "") -> float:
    """Bytes of all weights, as the checkpoint stores them or all in `dtype`.

    A quantised checkpoint keeps embeddings, head and norms in 16 bits, and the matrices its
    configuration names. Raises `UnknownName` for an unknown dtype.
    """
    outside = (*architecture.embedding, *architecture.head)
    total = float(sum(op.parameters * _stored(architecture, op, dtype, True) for op in outside))
    for block in architecture.blocks:
        for op in block.operators:
            total += block.count * op.parameters * _stored(architecture, op, dtype, False)
    return total


def kv_bytes_per_token(
    architecture: Architecture, kv_dtype: str = "", context: Number | None = None
) -> Number:
    """Bytes of keys and values (or latents) one token adds, all layers together.

    Without `context` every layer keeps every token. With it, windows and compression count, and
    the result is the average over the tokens of one sequence of that length. Caches whose dtype
    the model fixes (the index of sparse attention) are left out: `cache_bytes` has them.
    Raises `UnknownName` for an unknown dtype.
    """
    size = element_bytes(kv_dtype or architecture.kv_dtype)
    total: Number = 0.0
    for times, op in _attentions(architecture):
        if not op.cache_dtype:
            per_token = 1 / op.compression if context is None else entries(op, context) / context
            total = total + times * op.cache_elements * size * per_token
    return total


def cache_bytes(architecture: Architecture, tokens: Number, kv_dtype: str = "") -> Number:
    """Bytes kept for one sequence of `tokens`, states of fixed size left out.

    Raises `UnknownName` for an unknown dtype.
    """
    default = kv_dtype or architecture.kv_dtype
    total: Number = 0.0
    for times, op in _attentions(architecture):
        size = element_bytes(op.cache_dtype or default)
        total = total + times * op.cache_elements * size * entries(op, tokens)
    return total


def state_bytes(architecture: Architecture, kv_dtype: str = "") -> float:
    """Bytes of recurrent and convolution states of one sequence, whatever its length.

    Raises `UnknownName` for an unknown dtype.
    """
    convolution = element_bytes(kv_dtype or architecture.kv_dtype)
    return sum(
        times
        * (
            op.state_elements * element_bytes(op.state_dtype)
            + op.convolution_state_elements * convolution
        )
        for times, op in operators(architecture)
        if isinstance(op, Recurrence)
    )


def entries(operator: Attention, tokens: Number) -> Number:
    """Entries the cache of `operator` holds after `tokens` of one sequence."""
    held = np.minimum(tokens, operator.window) if operator.window else np.asarray(tokens, float)
    return np.floor(held / operator.compression)[()]


def _attentions(architecture: Architecture) -> Iterator[tuple[int, Attention]]:
    for times, operator in operators(architecture):
        if isinstance(operator, Attention):
            yield times, operator


def _stored(architecture: Architecture, operator: Operator, dtype: str, outside: bool) -> float:
    """Bytes per parameter of `operator`."""
    if dtype:
        return element_bytes(dtype)
    own = architecture.weight_dtype
    if isinstance(operator, Linear) and not outside:
        return element_bytes(operator.dtype or own)
    return max(2.0, element_bytes(own))
