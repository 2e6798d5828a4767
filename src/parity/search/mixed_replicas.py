"""Replicas of several kinds of chip: how many sequences of a global batch each kind takes.

The time of a step is linear in the microbatches of a replica. Within a time T a kind can take so
many sequences under each of its layouts; the shortest T in which all kinds together take the global
batch gives the layouts and the shares at once, over every layout of every kind.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from msgspec import structs

from parity.catalogue.machine import Machine, Number
from parity.evaluate.schedule import runs
from parity.layout.layout import Layout
from parity.search.candidates import comparable, evaluate
from parity.search.grid import LARGEST_MICROBATCH, flat, layouts
from parity.search.train import ROUNDING
from parity.timing.software import Software
from parity.workload.operator import Architecture
from parity.workload.training import TrainingJob

#: Halvings of the interval that holds the shortest time: to the last digit of a float.
HALVINGS = 60


@dataclass(frozen=True)
class Replicas:
    """All layouts of one kind that fit, each with the time of a step as a line in its length."""

    layout: Layout
    fixed_s: Number  # of a step, whatever the batch
    round_s: Number  # for each round of microbatches
    sequences: Number  # that all replicas take in a round
    least: Number  # rounds of a step


@dataclass(frozen=True)
class Share:
    """What one kind takes: a layout, and sequences in whole rounds."""

    layout: Layout  # a single row
    sequences: int
    time_s: float


def with_sequences(job: TrainingJob, sequences: int) -> TrainingJob:
    """The job with a global batch of so many sequences."""
    return structs.replace(job, global_batch_tokens=sequences * job.seq_len)


def replicas_of(
    arch: Architecture, job: TrainingJob, target: Machine, software: Software, chips: int
) -> Replicas | None:
    """Every layout of exactly `chips` chips that fits and takes part in the batch; None if none.

    Two batches that any layout divides evenly give the line. A round is a microbatch of each
    replica, as many as the pipeline has stages where it is interleaved, or one from each end.
    """
    even = 2 * LARGEST_MICROBATCH * chips
    space = flat(layouts(arch, with_sequences(job, even), target, software, chips=chips))
    space = space.take(space.dp * space.microbatch <= job.global_batch_sequences)
    if not len(space):
        return None
    once = evaluate(arch, with_sequences(job, even), [space], target, software)
    if not len(once.layout):
        return None
    kept = once.layout
    twice = evaluate(arch, with_sequences(job, 2 * even), [kept], target, software)
    together = kept.dp * kept.microbatch
    each = (twice.time_s - once.time_s) * together / even
    dual, eager = runs(kept, "dualpipe"), runs(kept, "1f1b")
    rounds = np.select([kept.interleave > 1, dual], [kept.pp, 2], 1)
    fixed = once.time_s - each * even / together
    least = np.where(eager, 1, kept.pp)  # two for each stage under DualPipe, of two a round
    return Replicas(kept, fixed, each * rounds, together * rounds, least)


def shares(kinds: list[Replicas], batch: int) -> list[Share] | None:
    """The layouts and shares with which all `kinds` take `batch` sequences soonest.

    None where a step is no shorter with all of them than without one.
    """
    low, high = 0.0, min(float(np.min(_time(kind, batch))) for kind in kinds)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if sum(int(_capacity(kind, middle).max()) for kind in kinds) >= batch:
            high = middle
        else:
            low = middle
    taken = [int(_capacity(kind, high).max()) for kind in kinds]
    chosen = []
    for i, kind in enumerate(kinds):
        need = batch - (sum(taken) - taken[i])
        if need <= 0:
            return None
        row = int(np.argmin(comparable(_time(kind, need))))
        share = Share(
            kind.layout.take(np.array([row])),
            int(kind.sequences[row] * max(-(-need // kind.sequences[row]), kind.least[row])),
            float(_time(kind, need)[row]),
        )
        taken[i] = share.sequences
        chosen.append(share)
    return chosen


def most_within(kind: Replicas, time_s: float) -> Share | None:
    """The layout that takes the most sequences in a step of `time_s`; None where none takes any."""
    taken = _capacity(kind, time_s)
    row = int(np.argmax(taken))
    if taken[row] <= 0:
        return None
    own = kind.layout.take(np.array([row]))
    return Share(own, int(taken[row]), float(_time(kind, int(taken[row]))[row]))


def _time(kind: Replicas, sequences: int) -> Number:
    """Seconds of a step in which each layout takes at least `sequences`."""
    rounds = np.maximum(np.ceil(sequences / kind.sequences), kind.least)
    return kind.fixed_s + rounds * kind.round_s


def _capacity(kind: Replicas, time_s: float) -> Number:
    """Sequences that each layout takes within `time_s`, in whole rounds."""
    rounds = np.floor((time_s * (1 + ROUNDING) - kind.fixed_s) / kind.round_s)
    return np.where(rounds >= kind.least, rounds, 0.0) * kind.sequences
