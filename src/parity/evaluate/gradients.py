"""Data parallelism: what shows of summing gradients and gathering weights.

Volumes by ZeRO stage from [Rajbhandari et al. 2020, arXiv 1910.02054, §7]. Communication hides
behind the computation of the same pass, up to the share the software generation reaches.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from parity.catalogue.machine import Machine, Number
from parity.evaluate.memory import WEIGHT_BYTES
from parity.evaluate.stages import Pieces
from parity.layout.layout import Layout
from parity.timing.collective import all_gather, all_reduce, reduce_scatter
from parity.timing.software import Software

Collective = Callable[[Number, Number, Number, Machine], Number]


def over_replicas(
    collective: Collective,
    held: tuple[Number, Number],
    element_bytes: float,
    parts: Pieces,
    layout: Layout,
    machine: Machine,
) -> Number:
    """A collective over the copies of the dense, then of the routed parameters held. [s]"""
    dense, routed = held
    shared = collective(dense * element_bytes, parts.replicas, layout.tp, machine)
    if not np.any(routed):  # a model without experts
        return shared
    stride = layout.ep * layout.etp
    experts = collective(routed * element_bytes, parts.expert_replicas, stride, machine)
    return shared + experts


def once_a_step(parts: Pieces, layout: Layout, machine: Machine, software: Software) -> Number:
    """ZeRO 0: gradients all-reduced. ZeRO 1 and 2: scattered, and the new weights gathered; but
    without a pipeline ZeRO 2 scatters at each microbatch. [s]

    Gradients hide behind the last microbatch's backward pass, weights behind the first forward.
    """
    held = parts.trained_parameters()
    forward, backward = windows(parts, software)
    taken = software.far_engine_share
    grad = software.gradient_bytes
    whole = over_replicas(all_reduce, held, grad, parts, layout, machine)
    scatter = over_replicas(reduce_scatter, held, grad, parts, layout, machine)
    gather = over_replicas(all_gather, held, WEIGHT_BYTES, parts, layout, machine)
    gathered = shown(gather, forward, taken)
    divided = np.where(scatters_often(layout), 0.0, shown(scatter, backward, taken)) + gathered
    replicated = shown(whole, backward, taken)
    return np.select([layout.zero == 0, layout.zero < 3], [replicated, divided], 0.0)


def each_microbatch(parts: Pieces, layout: Layout, machine: Machine, software: Software) -> Number:
    """ZeRO 3: weights gathered for each pass, gradients scattered after the backward one; the
    latter with ZeRO 2 too where it does so. [s]
    """
    held = parts.parameters()
    forward, backward = windows(parts, software)
    taken = software.near_engine_share
    gather = over_replicas(all_gather, held, WEIGHT_BYTES, parts, layout, machine)
    own, grad = parts.trained_parameters(), software.gradient_bytes
    scatter = over_replicas(reduce_scatter, own, grad, parts, layout, machine)
    both = shown(gather, forward, taken) + shown(gather + scatter, backward, taken)
    alone = shown(scatter, backward, taken)
    return np.select([layout.zero >= 3, scatters_often(layout)], [both, alone], 0.0)


def scatters_often(layout: Layout) -> Number:
    """Whether ZeRO 2 lets go of a gradient as soon as it is there [Rajbhandari et al. 2020, §5.2].

    Runs with pipelines that call themselves ZeRO 2 take as long as with one scatter a step:
    MegaScale and Llama 3, in the evidence.
    """
    return (layout.zero == 2) & (layout.pp == 1)


def windows(parts: Pieces, software: Software) -> tuple[Number, Number]:
    """Seconds of one forward and one backward pass that communication can hide behind."""
    hidden = software.dp_overlap * parts.fullest
    return hidden * parts.layer.forward.total_s, hidden * parts.layer.backward.total_s


def shown(time_s: Number, window_s: Number, taken: float) -> Number:
    """What does not fit in the window, and what the hidden part takes from compute. [s]"""
    return np.maximum(time_s - window_s, 0.0) + taken * np.minimum(time_s, window_s)
