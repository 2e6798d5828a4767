"""Power drawn by chips at work."""

from __future__ import annotations

import numpy as np

from parity.catalogue.machine import Number

#: Share of its rated power that a chip draws while it waits for others: clocks and memory stay up.
#: Chips at work sit near their rating and fall to 20-40 % of it in the pauses of a training step
#: [Patel et al. 2024, ASPLOS, arXiv 2308.12908, figure 4].
WAITING_SHARE = 0.3


def chip_power(tdp_w: Number, busy_fraction: Number) -> Number:
    """Mean draw of one chip that is busy part of the time. [W]

    The rating while busy, `WAITING_SHARE` of it otherwise; server, network and cooling left out.
    """
    return np.asarray(tdp_w) * (WAITING_SHARE + (1 - WAITING_SHARE) * np.asarray(busy_fraction))
