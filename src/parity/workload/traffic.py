"""Requests to serve, as asked for."""

from __future__ import annotations

from parity.errors import BadQuantity
from parity.record import Record


class Traffic(Record, frozen=True, kw_only=True):
    """Requests of one size, and how many: a rate, or a number in flight, or neither (saturated).

    Raises `BadQuantity` where the figures contradict each other.
    """

    input_tokens: int
    output_tokens: int
    requests_per_s: float | None = None
    concurrency: int | None = None

    def __post_init__(self) -> None:
        """Checks every field."""
        for name in ("input_tokens", "output_tokens"):
            value = getattr(self, name)
            if not 1 <= value <= 10**9:
                raise BadQuantity(f"{name} is {value:,}; 1 to 1e9 was expected.")
        if self.requests_per_s is not None and self.concurrency is not None:
            raise BadQuantity(
                "Both a request rate and a concurrency are given; one of them follows from the "
                "other, so only one was expected."
            )
        for name in ("requests_per_s", "concurrency"):
            value = getattr(self, name)
            if value is not None and not 0 < value <= 1e9:
                raise BadQuantity(f"{name} is {value:,}; more than 0 and at most 1e9 was expected.")
