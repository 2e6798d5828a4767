"""Embeddings, norms, and what surrounds the layers."""

from __future__ import annotations

from parity.workload.operator import Elementwise, Linear, Lookup
from parity.workload.parts import Operators


def norm(
    name: str, width: int, *, bias: bool = False, residual: bool = True, dropout: bool = False
) -> Elementwise:
    """RMS norm, or layer norm if `bias`; with `residual` the addition before it is fused in.

    The addition reads a second tensor and writes the sum beside the normalised one. The input is
    kept for the backward pass, and a mask of one byte where dropout comes before the addition.
    """
    return Elementwise(
        name=name,
        read_elements=width * (1 + residual),
        written_elements=width * (1 + residual),
        saved_elements=width,
        saved_mask_elements=width * dropout,
        parameters=width * (1 + bias),
    )


def embedding(vocab: int, hidden: int) -> Operators:
    """The table of input embeddings."""
    return (Lookup(name="embedding", rows=vocab, width=hidden),)


def positions(rows: int, hidden: int) -> Operators:
    """A table of learned positions, whole on every chip."""
    return (Lookup(name="position_embedding", rows=rows, width=hidden, split="none"),)


def head(
    hidden: int, vocab: int, *, tied: bool, bias: bool = False, norm_bias: bool = False
) -> Operators:
    """The final norm and the projection to the vocabulary."""
    return (
        Elementwise(
            name="final_norm",
            read_elements=2 * hidden,
            written_elements=hidden,
            saved_elements=hidden,
            parameters=hidden * (1 + norm_bias),
        ),
        vocabulary(hidden, vocab, tied=tied, bias=bias),
    )


def vocabulary(hidden: int, vocab: int, *, tied: bool, bias: bool = False) -> Linear:
    """The projection to the vocabulary; its matrix is the embedding's if `tied`."""
    return Linear(name="lm_head", inputs=hidden, outputs=vocab, bias=bias, split="vocab", tied=tied)
