"""One layer of a model on one chip, for one microbatch: time, communication, what is kept.

Everything here depends only on how a layer is divided (tp, cp, ep, microbatch, sequence
parallelism), so a search works it out once per distinct division, not once per layout.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np

from parity.catalogue.machine import Machine, Number
from parity.evaluate.kernels import (
    ACTIVATION_BYTES,
    Rates,
    add,
    forward_cost,
    input_cost,
    times,
    weight_cost,
)
from parity.layout.layout import CP_METHODS, Layout
from parity.layout.shard import (
    AttentionWork,
    Gemm,
    is_routed,
    parameters_per_chip,
    saved_bytes_per_chip,
    sequence_share,
    shard,
)
from parity.timing.collective import all_gather, all_to_all
from parity.timing.roofline import Cost
from parity.timing.software import Software
from parity.workload.operator import Architecture, Attention, Linear, Operator


@dataclass(frozen=True)
class Layer:
    """Sums over the operators of one layer, per chip and microbatch.

    Communication times are whole; how much of them shows is decided later.
    """

    forward: Cost
    backward: Cost
    recomputed: Cost  # what full recomputation does again
    weight_s: Number  # of the backward pass, the gradients of weights
    attention_forward: Cost  # the part selective recomputation does again
    attention_backward: Cost
    operators: Number  # how many there are, each started by the processor
    routings: Number  # how often tokens are sorted to experts
    tp_s: Number  # forward; the backward pass sends as much
    ep_s: Number
    cp_s: Number
    saved_bytes: Number  # kept for the backward pass
    score_bytes: Number  # of them the score matrices of unfused attention
    parameters: Number  # of the dense part, this chip
    routed_parameters: Number  # of routed experts, this chip

    def take(self, index: Number) -> Layer:
        """The same sums for other layouts: entry `index[i]` for layout i."""
        return _map(lambda x: np.asarray(x)[..., index] if np.ndim(x) else x, self)


def _map(f: Callable[[Number], Number], layer: Layer) -> Layer:
    def one(value: Number | Cost) -> Number | Cost:
        if isinstance(value, Cost):
            return Cost(*(f(getattr(value, c.name)) for c in fields(Cost)))
        return f(value)

    return Layer(*(one(getattr(layer, f.name)) for f in fields(Layer)))


def mean_layer(
    arch: Architecture,
    layout: Layout,
    seq_len: int,
    machine: Machine,
    rate: Rates,
    software: Software,
) -> Layer:
    """The average layer of `arch`: blocks weighted by how many layers they are."""
    total = sum(block.count for block in arch.blocks)
    parts = [
        (
            block.count / total,
            operators_cost(block.operators, layout, seq_len, machine, rate, software),
        )
        for block in arch.blocks
    ]
    return _weighted(parts)


def _weighted(parts: list[tuple[float, Layer]]) -> Layer:
    def mean(name: str) -> Number | Cost:
        values = [(w, getattr(layer, name)) for w, layer in parts]
        if isinstance(values[0][1], Cost):
            return Cost(*(sum(w * getattr(c, f.name) for w, c in values) for f in fields(Cost)))
        return sum(w * v for w, v in values)

    return Layer(*(mean(f.name) for f in fields(Layer)))


def operators_cost(
    operators: tuple[Operator, ...],
    layout: Layout,
    seq_len: int,
    machine: Machine,
    rate: Rates,
    software: Software,
) -> Layer:
    """Sums over `operators`, one after another, for one microbatch on one chip."""
    tokens = layout.microbatch * seq_len / layout.cp
    works = [(op, shard(op, layout, tokens, seq_len)) for op in operators]
    slower = [software.routed if is_routed(op) else 1.0 for op in operators]
    ahead = [forward_cost(work, rate, software) for _, work in works]
    back = [input_cost(work, rate, software) for _, work in works]
    weight = [
        times(slow, weight_cost(work, rate))
        for slow, (op, work) in zip(slower, works, strict=True)
        if isinstance(work, Gemm) and not op.frozen
    ]
    zero = np.zeros(len(layout))
    nothing = Cost(zero, zero, zero)
    attention = [work for _, work in works if isinstance(work, AttentionWork)]
    scores = sum((w.score_elements * software.score_bytes_saved for w in attention), zero)
    kept = sum((saved_bytes_per_chip(op, layout, tokens) for op in operators), zero)
    return Layer(
        forward=add(nothing, *map(times, slower, ahead)),
        backward=add(nothing, *map(times, slower, back), *weight),
        recomputed=add(nothing, *map(times, slower, ahead[: last_kept(operators, software)])),
        weight_s=add(nothing, *weight).total_s,
        attention_forward=add(nothing, *(forward_cost(w, rate, software) for w in attention)),
        attention_backward=add(nothing, *(input_cost(w, rate, software) for w in attention)),
        operators=started(operators, layout),
        routings=float(any(is_routed(op) for op in operators)),
        tp_s=tensor_parallel_time(operators, layout, tokens, machine),
        ep_s=expert_parallel_time(operators, layout, tokens, machine),
        cp_s=context_parallel_time(operators, layout, tokens, machine),
        saved_bytes=kept + scores,
        score_bytes=scores,
        parameters=sum(
            (parameters_per_chip(op, layout) for op in operators if not is_routed(op)), zero
        ),
        routed_parameters=sum(
            (parameters_per_chip(op, layout) for op in operators if is_routed(op)), zero
        ),
    )


def last_kept(operators: tuple[Operator, ...], software: Software) -> int:
    """How many of a layer's operators full recomputation does again. [1]

    All, or where it stops early, those before the last product: everything that the backward pass
    needs is there by then [PyTorch, torch.utils.checkpoint.set_checkpoint_early_stop]; compilers
    drop what follows as dead code.
    """
    products = [i for i, op in enumerate(operators) if isinstance(op, Linear)]
    return products[-1] if products and software.recompute_stops_early else len(operators)


def started(operators: tuple[Operator, ...], layout: Layout) -> Number:
    """What the host processor starts for one pass. [1]

    Operators, the exchanges around them (called even where a group is one chip), and a kernel for
    each expert a chip holds: libraries of grouped products start one product an expert, on a few
    streams [NVIDIA Transformer Engine, GroupedLinear].
    """
    exchanges = len(gathered_widths(operators)) + len(scattered_widths(operators))
    experts = sum(op.experts for op in operators if is_routed(op))
    return len(operators) + exchanges + experts / layout.ep


def gathered_widths(operators: tuple[Operator, ...]) -> list[int]:
    """Widths of the inputs that column-divided dense products take whole."""
    return [
        op.inputs
        for op in operators
        if isinstance(op, Linear) and op.split == "column" and op.saves_input and not is_routed(op)
    ]


def scattered_widths(operators: tuple[Operator, ...]) -> list[int]:
    """Widths of the sums that row-divided dense products leave."""
    return [
        op.outputs
        for op in operators
        if isinstance(op, Linear) and op.split == "row" and not is_routed(op)
    ]


def tensor_parallel_time(
    operators: tuple[Operator, ...], layout: Layout, tokens: Number, machine: Machine
) -> Number:
    """Gathers before divided products and scatters after them, forward. [s]

    Each input that a column-divided product takes whole is gathered once, and each sum that a
    row-divided one leaves is scattered: together one all-reduce [Korthikanti et al. 2022, §4.2].
    Sums of branches that share one input are added before they are scattered.
    """
    routed = any(is_routed(op) for op in operators)
    time: Number = np.zeros(len(layout))
    gathered, sums = gathered_widths(operators), scattered_widths(operators)
    for width in [*gathered, *sums[: len(gathered)]]:
        time = time + all_gather(tokens * width * ACTIVATION_BYTES, layout.tp, 1, machine)
    if routed:
        width = max(op.inputs for op in operators if is_routed(op) and op.split == "column")
        copies = np.where(layout.ep > 1, next(op.active for op in operators if is_routed(op)), 1)
        own = tokens * layout.etp / layout.tp * copies * width * ACTIVATION_BYTES
        divided = 2 * all_gather(own, layout.etp, 1, machine)
        time = time + divided
    return time


def expert_parallel_time(
    operators: tuple[Operator, ...], layout: Layout, tokens: Number, machine: Machine
) -> Number:
    """Dispatch and combine of tokens to experts on other chips, forward. [s]"""
    time: Number = np.zeros(len(layout))
    for op in operators:
        if is_routed(op):
            width = op.inputs if op.split == "column" else op.outputs if op.split == "row" else 0
            own = tokens * sequence_share(layout) * width * ACTIVATION_BYTES
            time = time + all_to_all(own, op.active, layout.ep, layout.etp, machine, op.reach)
    return time


def context_parallel_time(
    operators: tuple[Operator, ...], layout: Layout, tokens: Number, machine: Machine
) -> Number:
    """Keys and values passed around the ring [Liu et al. 2023, arXiv 2310.01889], or queries, keys
    and values exchanged for whole sequences of fewer heads, and outputs back [DeepSpeed-Ulysses,
    arXiv 2309.14509, §3.1]; forward. [s]
    """
    time: Number = np.zeros(len(layout))
    for op in operators:
        if isinstance(op, Attention):
            width = op.qk_head_dim + op.v_head_dim
            kept = op.key_value_heads / np.minimum(layout.tp, op.key_value_heads) * width
            asked = op.query_heads / np.minimum(layout.tp, op.query_heads) * width
            ring = tokens * layout.cp * kept * ACTIVATION_BYTES
            exchanged = tokens * (kept + asked) * ACTIVATION_BYTES
            time = time + np.where(
                layout.cp_method == CP_METHODS.index("ulysses"),
                all_to_all(exchanged, 1, layout.cp, layout.tp, machine),
                all_gather(ring, layout.cp, layout.tp, machine),
            )
    return time
