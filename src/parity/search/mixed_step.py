"""One way to use a fleet, evaluated: its step, the range of it, and what binds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from parity.catalogue.machine import Draw, Machine, Number, central, machine
from parity.evaluate.mixed import (
    bytes_held,
    gradients_between,
    held,
    pipeline_seconds,
    port_bandwidth,
)
from parity.evaluate.training import training_step
from parity.layout.layout import Layout
from parity.search.mixed_replicas import with_sequences
from parity.search.mixed_stages import handing_seconds
from parity.search.train import NUDGED, Bound
from parity.timing.software import Software, drawn
from parity.workload.operator import Architecture
from parity.workload.training import TrainingJob

Manner = Literal["replicas", "stages", "alone"]


@dataclass(frozen=True)
class Part:
    """What one kind of chip does in a plan."""

    machine: Machine
    chips: int
    layout: Layout  # a single row: of its replicas, or of its stages alone
    layers: int  # of the model that its stages hold
    rounds: int  # sequences it has room for in a step, whole microbatches
    sequences: int  # of the global batch that it takes


@dataclass(frozen=True)
class Way:
    """One way to use a fleet; stages in the order of the pipeline."""

    manner: Manner
    parts: tuple[Part, ...]
    time_s: float
    stretch: float = 1.0  # how much longer than its steps a run takes

    @property
    def run_s(self) -> float:
        """A step with its share of what interrupts the run."""
        return self.time_s * self.stretch


@dataclass(frozen=True)
class MixedStep:
    """A step of a way: its time, and of each part the time, memory and busy share of the step."""

    time_s: Number
    own_s: tuple[Number, ...]
    bytes: tuple[Number, ...]
    busy: tuple[Number, ...]


def mixed_step(
    arch: Architecture, job: TrainingJob, way: Way, software: Software, draw: Draw = central
) -> MixedStep:
    """One step of a way. Figures of shape (samples, 1) give times of shape (samples, 1)."""
    targets = [
        part.machine
        if draw is central
        else machine(part.machine.chip, part.machine.cluster_id, draw)
        for part in way.parts
    ]
    step = _stages_step if way.manner == "stages" else _replicas_step
    return step(arch, job, way, targets, software, draw)


def _ports(targets: list[Machine], draw: Draw) -> list[Number]:
    vendors = frozenset(one.chip.vendor for one in targets)
    return [port_bandwidth(one, vendors, draw) for one in targets]


def _replicas_step(
    arch: Architecture, job: TrainingJob, way: Way, targets: list[Machine], software: Software,
    draw: Draw,
) -> MixedStep:  # fmt: skip
    steps = [
        training_step(arch, with_sequences(job, part.rounds), part.layout, one, software, draw)
        for part, one in zip(way.parts, targets, strict=True)
    ]
    slowest = np.maximum.reduce(np.broadcast_arrays(*(step.time_s for step in steps)))
    if len(targets) > 1:
        chips = [part.chips for part in way.parts]
        ports = _ports(targets, draw)
        joint = gradients_between(arch, chips, ports, targets[0], drawn(software, draw))
        slowest = slowest + joint
    return MixedStep(
        time_s=slowest,
        own_s=tuple(step.time_s for step in steps),
        bytes=tuple(step.memory.total_bytes for step in steps),
        busy=tuple(step.busy_fraction * step.time_s / slowest for step in steps),
    )


def _stages_step(
    arch: Architecture, job: TrainingJob, way: Way, targets: list[Machine], software: Software,
    draw: Draw,
) -> MixedStep:  # fmt: skip
    front, last = way.parts
    one, two = (
        held(arch, job, part.layout, part.layers, target, software, first=part is front, draw=draw)
        for part, target in zip(way.parts, targets, strict=True)
    )
    stages = front.layout.pp + last.layout.pp
    m = -(-job.global_batch_sequences // (front.layout.dp * front.layout.microbatch))
    sides, ports = (front.layout, last.layout), _ports(targets, draw)
    handing = handing_seconds(arch, job, sides, ports, targets[0], drawn(software, draw))
    whole = front.layout.replace(pp=stages)
    time = pipeline_seconds(one, two, front.layers, last.layers, m, handing, whole)
    hop = np.maximum(handing, np.maximum(one.hop_s, two.hop_s))
    work = [
        m * (part.layers * own.layer_work_s + own.end_work_s) / part.layout.pp
        for part, own in ((front, one), (last, two))
    ]
    return MixedStep(
        time_s=time,
        own_s=(m * (one.slowest_s + hop), m * (two.slowest_s + hop)),
        bytes=(bytes_held(one, m, stages), bytes_held(two, m, stages)),
        busy=(work[0] / time, work[1] / time),
    )


def step_samples(
    arch: Architecture, job: TrainingJob, way: Way, software: Software, draw: Draw
) -> Number:
    """Steps over all ranges, shares moved to the speeds of each sample, shape (samples,). [s]

    Shares and layers are set by what is measured on the fleet, not by what is predicted, so the
    parts stay balanced whatever the speeds are.
    """
    times = balanced(way, mixed_step(arch, job, way, software, draw))
    central_s = balanced(way, mixed_step(arch, job, way, software))
    return np.ravel(way.time_s * times / central_s)


def balanced(way: Way, step: MixedStep) -> Number:
    """A step whose parts all take as long: work over the sum of their speeds, and what is left of
    the step when the slowest part is done. [s]
    """
    weights = [p.layers if way.manner == "stages" else p.sequences for p in way.parts]
    speeds = [w / own for w, own in zip(weights, step.own_s, strict=True)]
    slowest = np.maximum.reduce(np.broadcast_arrays(*step.own_s))
    return sum(weights) / sum(speeds) + step.time_s - slowest


def what_binds(arch: Architecture, job: TrainingJob, way: Way, software: Software) -> Bound:
    """How much faster a step gets with 10 % more of a figure on every kind, the plan unchanged."""
    figures = {**NUDGED, "host staging": "host staging"}

    def draw(key: str, value: float, low: float, high: float) -> Number:  # noqa: ARG001
        rows = np.full((len(figures) + 1, 1), value)
        for i, part in enumerate(figures.values()):
            if part in key:
                rows[i + 1] = 1.1 * value
        return rows

    time = mixed_step(arch, job, way, software, draw).time_s
    time = np.broadcast_to(time, (len(figures) + 1, 1))[:, 0]
    return Bound({name: float(time[0] / time[i + 1] - 1) for i, name in enumerate(figures)})
