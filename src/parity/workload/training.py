"""A training run, as asked for."""

from __future__ import annotations

import math

from parity.errors import BadQuantity
from parity.record import Record
from parity.workload.dtype import dtype

#: Dtypes matrix products can be trained in.
TRAINED = ("bf16", "fp16", "fp8", "fp4", "int8", "tf32", "fp32")


class TrainingJob(Record, frozen=True, kw_only=True):
    """Tokens to train on, and in what steps.

    Raises `BadQuantity` where the figures contradict each other.
    """

    tokens: float
    seq_len: int
    global_batch_tokens: int
    dtype: str = "bf16"

    def __post_init__(self) -> None:
        """Checks every field."""
        _between("tokens", self.tokens, 1, 1e18)
        _between("seq_len", self.seq_len, 1, 1e9)
        _between("global_batch_tokens", self.global_batch_tokens, 1, 1e12)
        if self.global_batch_tokens % self.seq_len:
            raise BadQuantity(
                f"A global batch of {self.global_batch_tokens:,} tokens is no whole number of "
                f"sequences of {self.seq_len:,}; a multiple of it was expected, as in "
                f"{self.seq_len * max(1, round(self.global_batch_tokens / self.seq_len)):,}."
            )
        if dtype(self.dtype) not in TRAINED:
            raise BadQuantity(
                f"dtype is {self.dtype!r}; one to train in was expected: {', '.join(TRAINED)}."
            )

    @property
    def global_batch_sequences(self) -> int:
        """Sequences in one optimizer step."""
        return self.global_batch_tokens // self.seq_len

    @property
    def steps(self) -> int:
        """Optimizer steps of the whole run, the last one rounded up."""
        return math.ceil(self.tokens / self.global_batch_tokens)


def _between(name: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        raise BadQuantity(f"{name} is {value:,}; {least:g} to {most:g} was expected.")
