"""What a pipeline schedule costs: how long it waits, and how much it keeps."""

from __future__ import annotations

import numpy as np

from parity.catalogue.machine import Number
from parity.layout.layout import Layout


def in_flight(layout: Layout, microbatches: Number) -> Number:
    """Microbatches whose activations the first stage keeps at the fullest moment. [1]

    1F1B keeps one for each stage behind it; interleaving keeps (p - 1)/(p·v) of all more
    [Korthikanti et al. 2022, §4.2.3].
    """
    extra = np.where(
        layout.interleave > 1, 1 + (layout.pp - 1) / (layout.pp * layout.interleave), 1
    )
    return np.minimum(microbatches, layout.pp * extra)
