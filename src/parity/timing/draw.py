"""Samples of uncertain numbers: one column of a Latin hypercube for each key.

The same key always gives the same samples, so a chip compared with itself differs by nothing,
and two chips of one family share what is unknown about the family.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from parity.catalogue.machine import Number


@dataclass(frozen=True)
class Sampler:
    """Draws `samples` values from each range, as a column that broadcasts against layouts.

    The stated value is the median; each half of the range is drawn evenly
    [McKay, Beckman, Conover 1979, Latin hypercube sampling].
    """

    samples: int = 256
    seed: int = 20261124

    def __call__(self, key: str, value: float, low: float, high: float) -> Number:
        """Samples of shape (samples, 1), or the value itself where there is no range."""
        if low == high:
            return value
        rng = np.random.default_rng([self.seed, zlib.crc32(key.encode())])
        u = (rng.permutation(self.samples) + rng.random(self.samples)) / self.samples
        below = low + 2 * u * (value - low)
        above = value + (2 * u - 1) * (high - value)
        return np.where(u < 0.5, below, above)[:, None]
