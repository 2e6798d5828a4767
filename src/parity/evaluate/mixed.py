"""One training step on several kinds of chip.

A kind holds whole replicas, or some of the stages of every pipeline. Stages of several kinds take

    t_step = m · (t_stage + hop) + (p - 1) · (t_mean + hop) + exposed gradients + optimizer

as those of one kind do (`training`), with the slowest stage, the slowest hop and the longest end of
a step of all kinds, and the mean over all stages: 1F1B over uneven stages
[Fan et al. 2021, DAPPLE, arXiv 2007.01045, §4].
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from parity.catalogue.load import link
from parity.catalogue.machine import UNBOUNDED, UNKNOWN_LINK, Draw, Level, Machine, Number, central
from parity.errors import MissingFact
from parity.evaluate.gradients import once_a_step
from parity.evaluate.kernels import ACTIVATION_BYTES, rates
from parity.evaluate.layer import Layer
from parity.evaluate.memory import training_memory
from parity.evaluate.stages import Pieces, pieces
from parity.evaluate.training import hop_seconds, layer_seconds, optimizer_seconds
from parity.layout.layout import Layout
from parity.timing.collective import all_reduce, send
from parity.timing.software import Software, drawn
from parity.workload.count import parameters
from parity.workload.operator import Architecture
from parity.workload.training import TrainingJob

#: Share of the narrower of host link and network port that a message between vendors reaches, as no
#: collective library of one vendor reads the other's memory: it is copied to host memory, sent, and
#: copied again. All of it where the copies are pipelined on lanes of their own; half where card and
#: port share a slot, which each byte then passes twice. Low, value, high: a reasoned estimate.
#: Libraries that do without the copies exist [HetCCL, arXiv 2601.22585; H2, arXiv 2505.17548].
STAGED_SHARE = (0.5, 0.75, 1.0)


@dataclass(frozen=True)
class Held:
    """What one kind of chip does and keeps of a pipeline, for one microbatch unless said."""

    slowest_s: Number  # of its stages
    all_s: Number  # its stages together
    layer_s: Number  # one layer
    work_s: Number  # of that, compute units or memory at work
    hop_s: Number  # from one of its stages to the next
    end_s: Number  # gradients and optimizer, once a step
    one_bytes: Number  # on its fullest chip with one microbatch in flight, or with all of the last
    more_bytes: Number  # for each further one in flight on its first stage


def port_bandwidth(machine: Machine, vendors: frozenset[str], draw: Draw = central) -> Number:
    """What a chip gets of its network port for chips of other kinds. [byte/s]

    vendors: of all kinds that take part; with more than one, messages pass through host memory.
    Raises `MissingFact` where the chip has no network port.
    """
    outer = machine.levels[-1] if machine.levels else None
    if outer is None or outer.size < UNBOUNDED:
        raise MissingFact(machine.chip.id, "scale_out.bandwidth", "25GB/s")
    direct = outer.bandwidth_bytes_per_s * outer.achieved_fraction
    if len(vendors) == 1:
        return direct
    low, value, high = STAGED_SHARE
    return np.minimum(direct, host_bandwidth(machine, draw)) * draw(
        "host staging", value, low, high
    )


def host_bandwidth(machine: Machine, draw: Draw = central) -> Number:
    """What a chip gets of its link to the host; without bound where none is stated. [byte/s]"""
    name = machine.chip.host_link
    known = link(name) if name else None
    if known is None or known.bandwidth is None:
        return np.inf
    share = known.achieved_fraction
    low, value, high = (share.low, share.value, share.high) if share else UNKNOWN_LINK
    whole = known.bandwidth
    wire = draw(f"{name}.bandwidth", whole.value, whole.low, whole.high)
    return wire * draw(f"{name}.achieved_fraction", value, low, high)


def between(machine: Machine, bandwidth: Number) -> Machine:
    """`machine` as one end of a link between kinds that carries `bandwidth` in all."""
    return replace(machine, levels=(Level("between kinds", UNBOUNDED, "switch", bandwidth, 1.0),))


def gradients_between(
    arch: Architecture, chips: list[int], ports: list[Number], ends: Machine, software: Software
) -> Number:
    """All gradients summed over the kinds, once each kind has scattered its own over its chips. [s]

    Every chip exchanges its share, so a kind has the ports of all its chips, and the kind with the
    least sets the pace: the hierarchical all-reduce of libraries that join vendors [HetCCL,
    arXiv 2601.22585]. None of it hides.
    """
    widths = [count * port for count, port in zip(chips, ports, strict=True)]
    narrowest = np.minimum.reduce(np.broadcast_arrays(*widths))
    message = parameters(arch) * software.gradient_bytes
    return all_reduce(message, len(chips), 1, between(ends, narrowest))


def boundary_seconds(
    arch: Architecture, sequences: Number, seq_len: int, width: Number, ends: Machine,
    software: Software,
) -> Number:  # fmt: skip
    """What shows of handing one microbatch of all replicas to another kind, there and back. [s]

    sequences: of all replicas together. width: bytes/s of all chips of a stage, the narrower side.
    """
    message = sequences * seq_len * arch.hidden_size * ACTIVATION_BYTES
    return 2 * send(message, 0, between(ends, width)) * (1 - software.pp_overlap)


def held(
    arch: Architecture,
    job: TrainingJob,
    layout: Layout,
    layers: Number,
    machine: Machine,
    software: Software,
    *,
    first: bool,
    draw: Draw = central,
) -> Held:
    """Time and memory of `layers` of the model on one kind, under each layout of the columns.

    layout: of this kind alone, `pp` its own stages, not interleaved. first: whether it holds the
    embedding and the stages in front, else the head and the last ones.
    Broadcasts: machine figures of shape (samples, 1) give times of shape (samples, layouts).
    """
    software = drawn(software, draw)
    rate = rates(machine, job.dtype, draw, software.kernel_share)
    whole = pieces(arch, job, layout, machine, rate, software)
    parts = _own(whole, layout, layers, first=first)
    body = layer_seconds(parts.layer, layout, software)
    plain = layout.replace(recompute=np.zeros_like(layout.recompute))
    end = layer_seconds(parts.embedding if first else parts.head, plain, software)
    a_layer: Number = sum(body.values())
    an_end: Number = sum(end.values())
    single = layout.pp == 1
    if first:
        slowest = parts.fullest * a_layer + an_end
    else:
        of_last = np.where(single, parts.fullest, parts.last) * a_layer + an_end
        slowest = np.maximum(parts.fullest * a_layer, of_last)
    at_work = ("compute_s", "memory_s", "recompute_s")
    work = layers * sum(body[k] for k in at_work) + sum(end[k] for k in at_work)
    hop = hop_seconds(arch, replace(parts, alone=single), layout, machine, software)
    closing = once_a_step(parts, layout, machine, software)
    one, more = _memory(arch, parts, layout, software, first=first)
    return Held(
        slowest_s=slowest,
        all_s=layers * a_layer + an_end,
        layer_s=a_layer,
        work_s=work,
        hop_s=hop,
        end_s=closing + optimizer_seconds(parts, layout, rate),
        one_bytes=one,
        more_bytes=more,
    )


def _own(whole: Pieces, layout: Layout, layers: Number, *, first: bool) -> Pieces:
    """The pieces with this kind's layers, and without the end of the model that it does not hold.

    A remainder of layers goes to the first stages, as in `stages`.
    """
    fullest, last = np.ceil(layers / layout.pp), np.floor(layers / layout.pp)
    return replace(
        whole,
        embedding=whole.embedding if first else _empty(whole.embedding),
        head=_empty(whole.head) if first else whole.head,
        fullest=fullest,
        last=np.zeros_like(last) if first else last,
        alone=np.zeros_like(layout.pp, dtype=bool) if first else layout.pp == 1,
    )


def _empty(end: Layer) -> Layer:
    """An end of the model that is held elsewhere."""
    nothing = np.zeros_like(end.parameters)
    return replace(end, parameters=nothing, saved_bytes=nothing)


def _memory(
    arch: Architecture, parts: Pieces, layout: Layout, software: Software, *, first: bool
) -> tuple[Number, Number]:
    """(bytes with one microbatch in flight, for each further one) of the kind in front; of the
    last kind, whose stages in flight are its own, (all, 0).
    """
    if not first:
        total = training_memory(arch, parts, layout, software).total_bytes
        return total, np.zeros_like(total)
    deep = layout.replace(pp=np.maximum(layout.pp, 2))
    one, two = (
        training_memory(
            arch, replace(parts, microbatches=np.full(len(layout), count)), deep, software
        ).total_bytes
        for count in (1.0, 2.0)
    )
    return one, two - one


def front_bytes(front: Held, microbatches: Number, stages: Number) -> Number:
    """Memory of the kind in front, which keeps one microbatch for each of all `stages` under
    1F1B, as far as there are so many. [byte]
    """
    return front.one_bytes + (np.minimum(microbatches, stages) - 1) * front.more_bytes


def pipeline_seconds(
    microbatches: Number, slowest_s: Number, all_s: Number, hop_s: Number, stages: Number,
    end_s: Number,
) -> Number:  # fmt: skip
    """The step of a pipeline over all kinds (the equation of this file). [s]"""
    steady = microbatches * (slowest_s + hop_s)
    return steady + (stages - 1) * (all_s / stages + hop_s) + end_s
