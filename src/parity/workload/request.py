"""The requests of a steady load, by their means."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from parity.errors import BadQuantity
from parity.record import Record

#: A number, or an array of them, one for each request of many.
Number: TypeAlias = Any


class Request(Record, frozen=True, kw_only=True):
    """What one request is made of, on average, in tokens: numbers, or arrays over many.

    cached_tokens: of the input, found in the prefix cache. drafted: tokens that are drafted for
    each step, accepted: tokens that a step yields then, its own included. spread: of the lengths
    of answers, their variance over the square of their mean. Raises `BadQuantity`.
    """

    input_tokens: Number
    output_tokens: Number
    cached_tokens: Number = 0.0
    drafted: int = 0
    accepted: Number = 1.0
    spread: Number = 0.0

    def __post_init__(self) -> None:
        """Checks every field."""
        _between("input_tokens", self.input_tokens, 1, 1e9)
        _between("output_tokens", self.output_tokens, 1, 1e9)
        _between("cached_tokens", self.cached_tokens, 0, self.input_tokens)
        _between("drafted", self.drafted, 0, 64)
        _between("accepted", self.accepted, 1, self.drafted + 1)
        _between("spread", self.spread, 0, 100)

    @property
    def new_tokens(self) -> Number:
        """Of the input, those that must be computed; the last one always is."""
        return np.maximum(self.input_tokens - self.cached_tokens, 1.0)

    @property
    def decode_steps(self) -> Number:
        """Steps after the one that ends the prompt, which yields the first token."""
        return np.maximum(self.output_tokens - 1.0, 0.0) / self.accepted

    @property
    def mean_context(self) -> Number:
        """Tokens cached for a request while it decodes, on average.

        Long answers are under way for longer: at any time one in progress has a mean length of
        (1 + spread) times the mean [renewal theory; Feller 1971, vol. II, XI.4].
        """
        return self.input_tokens + self.output_tokens * (1 + self.spread) / 2

    @property
    def reserved_context(self) -> Number:
        """Tokens that an engine keeps room for which reserves whole answers."""
        return self.input_tokens + self.output_tokens * (1 + self.spread)


def _between(name: str, value: Number, least: Number, most: Number) -> None:
    if np.all((least <= value) & (value <= most)):
        return
    worst, low, high = (float(np.ravel(x)[0]) for x in (value, least, most))
    raise BadQuantity(f"{name} is {worst:,g}; {low:g} to {high:g} was expected.")
