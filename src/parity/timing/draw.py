"""Samples of uncertain numbers: one column of a Latin hypercube for each key.

The same key always gives the same samples, so a chip compared with itself differs by nothing,
and two chips of one family share what is unknown about the family.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from parity.catalogue.machine import Number


@dataclass(frozen=True)
class Sampler:
    """Draws `samples` values from each range, as a column that broadcasts against layouts.

    The stated value is the median; each half of the range is drawn evenly
    [McKay, Beckman, Conover 1979, Latin hypercube sampling]. held: keys taken as known.
    """

    samples: int = 256
    seed: int = 20261124
    held: frozenset[str] = frozenset()

    def __call__(self, key: str, value: float, low: float, high: float) -> Number:
        """Samples of shape (samples, 1), or the value itself where there is no range."""
        if low == high or key in self.held:
            return value
        u = _evenly(key, self.samples, self.seed)
        below = low + 2 * u * (value - low)
        above = value + (2 * u - 1) * (high - value)
        return np.where(u < 0.5, below, above)[:, None]


@lru_cache(maxsize=512)
def _evenly(key: str, samples: int, seed: int) -> Number:
    """One number of each of `samples` equal parts of 0 to 1, in the order of `key`."""
    rng = np.random.default_rng([seed, zlib.crc32(key.encode())])
    return (rng.permutation(samples) + rng.random(samples)) / samples


@lru_cache(maxsize=512)
def _order(key: str, samples: int, seed: int) -> Number:
    """What sorts the samples of `key`."""
    return np.argsort(_evenly(key, samples, seed))


#: Enough for P10 and P90 of an answer; `--samples` asks for more.
USUAL_SAMPLES = Sampler()


@dataclass(frozen=True)
class Recorder:
    """Draws as `sampler` does, and keeps what it drew by key, each of shape (samples,)."""

    sampler: Sampler
    columns: dict[str, Number] = field(default_factory=dict)

    def __call__(self, key: str, value: float, low: float, high: float) -> Number:
        """What `sampler` gives."""
        drawn = self.sampler(key, value, low, high)
        if np.ndim(drawn):
            self.columns[key] = np.ravel(drawn)
        return drawn

    def order(self, key: str) -> Number:
        """What sorts the samples of `key`, lowest first, shape (samples,)."""
        return _order(key, self.sampler.samples, self.sampler.seed)
