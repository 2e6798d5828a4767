"""Attention over a compressed cache may have nothing to attend to; filterwarnings makes it loud."""

import numpy as np

from parity.catalogue.load import chip
from parity.catalogue.machine import machine
from parity.evaluate.kernels import forward_cost, rates
from parity.layout.shard import AttentionWork
from parity.timing.software import CURRENT, software


def test_attention_without_keys_takes_a_launch_and_no_division_by_nothing():
    nothing = np.zeros(2)
    work = AttentionWork(nothing, nothing, nothing, nothing, 128, 128)
    cost = forward_cost(work, rates(machine(chip("h100")), "bf16"), software(CURRENT))
    assert np.all(cost.compute_s == 0)
    assert np.all(cost.memory_s == 0)
    assert np.all(np.isfinite(cost.total_s))
