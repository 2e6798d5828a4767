"""One training step on several kinds of chip.

A kind holds whole replicas, or some of the stages of every pipeline. Stages of several kinds take

    t_step = m · (t_stage + hop) + bubble( t_mean + hop ) + exposed gradients + optimizer

as those of one kind do (`training`, `schedule`), with the slowest stage, the slowest hop and the
longest end of a step of all kinds, and the mean over all stages: the pipeline over uneven stages of
[Fan et al. 2021, DAPPLE, arXiv 2007.01045, §4].
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from parity.catalogue.machine import UNBOUNDED, Draw, Level, Machine, Number, central
from parity.errors import MissingFact
from parity.evaluate.gradients import once_a_step
from parity.evaluate.kept import layers_between
from parity.evaluate.kernels import ACTIVATION_BYTES, rates
from parity.evaluate.layer import Layer
from parity.evaluate.memory import OnChip, chip_memory
from parity.evaluate.schedule import bubble_seconds, runs
from parity.evaluate.stages import Pieces, pieces
from parity.evaluate.training import hop_seconds, layer_seconds, update_seconds
from parity.layout.layout import Column, Layout
from parity.timing.collective import all_reduce, send
from parity.timing.misses import missed
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
#: More microbatches than this are in flight in no pipeline that is searched.
MOST_IN_FLIGHT = 256


@dataclass(frozen=True)
class Held:
    """What one kind of chip does and keeps of a pipeline, for one microbatch unless said."""

    slowest_s: Number  # of its stages
    layer_s: Number  # one layer, forward and backward
    layer_back_s: Number  # of that, backward and again
    layer_weight_s: Number  # of that, gradients of weights
    end_s: Number  # the end of the model that it holds, and of that
    end_back_s: Number
    end_weight_s: Number
    layer_work_s: Number  # compute units or memory at work, in one layer
    end_work_s: Number
    hop_s: Number  # from one of its stages to the next
    closing_s: Number  # gradients and optimizer, once a step
    one_bytes: Number  # on its fullest chip with one microbatch in flight, or with all that are
    more_bytes: Number  # for each further one in flight

    def slowed(self, by: Number) -> Held:
        """The same with all its times multiplied."""
        times = {name: by * x for name, x in vars(self).items() if name.endswith("_s")}
        return replace(self, **times)


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
    host = np.inf if machine.host_bytes_per_s is None else machine.host_bytes_per_s
    low, value, high = STAGED_SHARE
    return np.minimum(direct, host) * draw("host staging", value, low, high)


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
    software, layers = drawn(software, draw), np.broadcast_to(layers, layout.pp.shape)
    rate = rates(machine, job.dtype, draw, software)
    parts = _own(pieces(arch, job, layout, machine, rate, software), layout, layers, first=first)
    tip = parts.embedding if first else parts.head
    body = layer_seconds(parts.layer, layout, software)
    plain = layout.replace(recompute=np.zeros_like(layout.recompute))
    end = layer_seconds(tip, plain, software)
    a_layer: Number = sum(body.values())
    an_end: Number = sum(end.values())
    outer = (parts.first if first else parts.last) * a_layer + an_end
    at_work = ("compute_s", "memory_s", "recompute_s")
    hop = hop_seconds(arch, replace(parts, alone=layout.pp == 1), layout, machine, software)
    one, more = _memory(arch, job, layout, layers, software, first=first)
    found = Held(
        slowest_s=np.maximum(parts.fullest * a_layer, outer),
        layer_s=a_layer,
        layer_back_s=parts.layer.backward.total_s + body["recompute_s"],
        layer_weight_s=parts.layer.weight_s,
        end_s=an_end,
        end_back_s=tip.backward.total_s,
        end_weight_s=tip.weight_s,
        layer_work_s=sum(body[kind] for kind in at_work),
        end_work_s=sum(end[kind] for kind in at_work),
        hop_s=hop,
        closing_s=once_a_step(parts, layout, machine, software)
        + update_seconds(parts, layout, machine, rate),
        one_bytes=one,
        more_bytes=more,
    )
    return found.slowed(missed("training", software.name, machine.chip, draw))


def _own(whole: Pieces, layout: Layout, layers: Number, *, first: bool) -> Pieces:
    """The pieces with this kind's layers, and without the end of the model that it does not hold.

    Where layers do not come out even, the stage with the end has one less, as in `stages`.
    """
    fullest = np.ceil(layers / layout.pp)
    at_end = fullest - (fullest * layout.pp > layers)
    return replace(
        whole,
        embedding=whole.embedding if first else _empty(whole.embedding),
        head=_empty(whole.head) if first else whole.head,
        first=at_end if first else fullest,
        fullest=fullest,
        last=np.zeros_like(fullest) if first else at_end,
        alone=np.zeros_like(layout.pp, dtype=bool) if first else layout.pp == 1,
    )


def _empty(end: Layer) -> Layer:
    """An end of the model that is held elsewhere."""
    return replace(end, parameters=np.zeros_like(end.parameters))


def _memory(
    arch: Architecture, job: TrainingJob, layout: Layout, layers: Column, software: Software,
    *, first: bool,
) -> tuple[Number, Number]:  # fmt: skip
    """(bytes with one microbatch in flight, for each further one) of the fullest stage.

    In front that is the first or the second stage, of the last kind its first or its last. The last
    kind under 1F1B keeps as many as it has stages itself: (all, 0). Elsewhere the count depends on
    all stages; the line between one and the most there can be is an upper bound.
    """
    total, fullest, single = arch.num_hidden_layers, -(-layers // layout.pp), layout.pp == 1
    start, yes, no = total - layers, layout.pp > 0, layout.pp < 0
    deep = layout.replace(pp=np.maximum(layout.pp, 2))

    def stage(begin: Column, end: Column, tip: Number, flying: Number) -> Number:
        counts = layers_between(arch, begin, np.minimum(end, total))
        embedding, head = (tip, no) if first else (no, tip)
        return chip_memory(
            arch, job, deep, software, OnChip(counts, counts, embedding, head, flying)
        ).total_bytes

    def of_both(flying: Number, at_end: Number) -> Number:
        if first:
            inner = stage(fullest, np.where(single, fullest, 2 * fullest), no, flying)
            return np.maximum(stage(0 * fullest, fullest, yes, at_end), inner)
        outer = stage(total - layers // layout.pp, total + 0 * start, yes, at_end)
        return np.maximum(stage(start, start + fullest, single, flying), outer)

    one = of_both(1.0, 1.0)
    more = (of_both(MOST_IN_FLIGHT, MOST_IN_FLIGHT) - one) / (MOST_IN_FLIGHT - 1)
    if first:
        return one, more
    m = np.ceil(job.global_batch_sequences / (layout.dp * layout.microbatch))
    eager = runs(layout, "1f1b")
    own = of_both(np.minimum(m, layout.pp), 1.0)
    return np.where(eager, own, one), np.where(eager, 0.0, more)


def bytes_held(part: Held, microbatches: Number, stages: Number) -> Number:
    """Memory of the fullest chip of a kind in a pipeline of `stages` in all. [byte]"""
    return part.one_bytes + (np.minimum(microbatches, stages) - 1) * part.more_bytes


def pipeline_seconds(
    front: Held, last: Held, front_layers: Number, last_layers: Number, microbatches: Number,
    handing_s: Number, layout: Layout,
) -> Number:  # fmt: skip
    """The step of a pipeline over two kinds (the equation of this file). [s]

    layout: of the front, with the stages of both.
    """
    slowest = np.maximum(front.slowest_s, last.slowest_s)
    hop = np.maximum(handing_s, np.maximum(front.hop_s, last.hop_s))
    closing = np.maximum(front.closing_s, last.closing_s)

    def mean(layer: str, end: str) -> Number:
        ends = getattr(front, end) + getattr(last, end)
        body = front_layers * getattr(front, layer) + last_layers * getattr(last, layer)
        return (body + ends) / layout.pp

    whole, back = mean("layer_s", "end_s"), mean("layer_back_s", "end_back_s")
    weight = mean("layer_weight_s", "end_weight_s")
    return (
        microbatches * (slowest + hop) + bubble_seconds(layout, whole + hop, back, weight) + closing
    )
