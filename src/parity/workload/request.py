"""The requests of a steady load, by their means."""

from __future__ import annotations

from parity.errors import BadQuantity
from parity.record import Record


class Request(Record, frozen=True, kw_only=True):
    """What one request is made of, on average, in tokens.

    cached_tokens: of the input, found in the prefix cache. drafted: tokens that are drafted for
    each step, accepted: tokens that a step yields then, its own included. spread: of the lengths
    of answers, their variance over the square of their mean. Raises `BadQuantity`.
    """

    input_tokens: float
    output_tokens: float
    cached_tokens: float = 0.0
    drafted: int = 0
    accepted: float = 1.0
    spread: float = 0.0

    def __post_init__(self) -> None:
        """Checks every field."""
        _between("input_tokens", self.input_tokens, 1, 1e9)
        _between("output_tokens", self.output_tokens, 1, 1e9)
        _between("cached_tokens", self.cached_tokens, 0, self.input_tokens)
        _between("drafted", self.drafted, 0, 64)
        _between("accepted", self.accepted, 1, self.drafted + 1)
        _between("spread", self.spread, 0, 100)

    @property
    def new_tokens(self) -> float:
        """Of the input, those that must be computed; the last one always is."""
        return max(self.input_tokens - self.cached_tokens, 1.0)

    @property
    def decode_steps(self) -> float:
        """Steps after the one that ends the prompt, which yields the first token."""
        return max(self.output_tokens - 1.0, 0.0) / self.accepted

    @property
    def mean_context(self) -> float:
        """Tokens cached for a request while it decodes, on average.

        Long answers are under way for longer: at any time one in progress has a mean length of
        (1 + spread) times the mean [renewal theory; Feller 1971, vol. II, XI.4].
        """
        return self.input_tokens + self.output_tokens * (1 + self.spread) / 2

    @property
    def reserved_context(self) -> float:
        """Tokens that an engine keeps room for which reserves whole answers."""
        return self.input_tokens + self.output_tokens * (1 + self.spread)


def _between(name: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        raise BadQuantity(f"{name} is {value:,g}; {least:g} to {most:g} was expected.")
