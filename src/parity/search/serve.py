"""Replicas for serving: the best division and batch of one replica, at saturation or at a TPOT."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from parity.catalogue.machine import Draw, Machine, Number, central, machine
from parity.errors import Infeasible
from parity.evaluate.kernels import rates
from parity.evaluate.serving import MEMORY_SHARE, Steady, steady_state
from parity.layout.layout import Layout, columns
from parity.record import Finding
from parity.search.candidates import comparable
from parity.search.findings import note
from parity.search.grid import cross, divisors, keep
from parity.timing.software import Software, drawn
from parity.units import render
from parity.workload.operator import Architecture

#: Requests of a pipeline stage that are tried: every number to 32, then 6 % apart to 1,024, the
#: most that engines hold by default (vLLM max_num_seqs).
BATCHES = sorted({*range(1, 33), *(round(32 * 2 ** (i / 12)) for i in range(61))})
#: Chips of one replica; more divide only experts, which the simple match leaves whole.
WIDEST_REPLICA = 64


@dataclass(frozen=True)
class ServingJob:
    """Requests of one length, and how fast their tokens must come."""

    input_tokens: int
    output_tokens: int
    dtype: str
    kv_dtype: str = "bf16"
    tpot_s: float = np.inf


@dataclass(frozen=True)
class Replica:
    """The replica with the most requests per second and chip."""

    machine: Machine
    layout: Layout  # a single row
    batch: int
    chips: int
    steady: Steady  # a single row

    @property
    def requests_per_s(self) -> float:
        """Of one replica."""
        return float(self.steady.requests_per_s[0])

    @property
    def requests_per_s_per_chip(self) -> float:
        """Of one chip."""
        return self.requests_per_s / self.chips


def replica_space(arch: Architecture, target: Machine) -> tuple[Layout, Number]:
    """Columns of replica divisions and batches: tp within a domain, pp across nodes."""
    heads = max(arch.num_attention_heads, 1)
    axes = cross({}, "tp", divisors(heads, min(WIDEST_REPLICA, target.closest)))
    axes = cross(axes, "pp", [p for p in (1, 2, 4, 8, 16) if p <= arch.num_hidden_layers])
    axes = keep(axes, axes["tp"] * axes["pp"] <= WIDEST_REPLICA)
    axes = cross(axes, "batch", BATCHES)
    batch = axes.pop("batch").astype(float)
    zero = np.zeros_like(axes["tp"])
    layout = columns(**axes, zero=zero, sequence_parallel=zero)
    return layout, batch


def best_replica(
    arch: Architecture,
    job: ServingJob,
    target: Machine,
    software: Software,
    most_chips: int = WIDEST_REPLICA,
) -> Replica:
    """The replica of at most `most_chips` chips with the highest requests/s per chip within TPOT.

    Raises `Infeasible` with P105 where the model does not fit, P106 where no batch meets the TPOT.
    """
    layout, batch = replica_space(arch, target)
    small = layout.chips <= most_chips
    layout, batch = layout.take(small), batch[small]
    steady = _steady(arch, job, layout, batch, target, software)
    fits = np.broadcast_to(steady.fits, batch.shape)
    inside = fits & (layout.chips <= target.closest)
    fits = inside if inside.any() else fits  # a replica leaves its node only where it must
    if not fits.any():
        raise Infeasible(*_does_not_fit(arch, target, steady, most_chips))
    meets = fits & (steady.tpot_s <= job.tpot_s)
    if not meets.any():
        raise Infeasible(*_too_slow(arch, job, target, float(steady.tpot_s[fits].min())))
    rate = np.where(meets, steady.requests_per_s / layout.chips, -1.0)
    i = int(np.argmax(comparable(rate)))
    row, b = layout.take(np.array([i])), np.array([batch[i]])
    return Replica(
        target, row, int(batch[i] * row.pp[0]), int(row.chips[0]),
        _steady(arch, job, row, b, target, software),
    )  # fmt: skip


def _steady(
    arch: Architecture, job: ServingJob, layout: Layout, batch: Number, target: Machine,
    software: Software, draw: Draw = central,
) -> Steady:  # fmt: skip
    software = drawn(software, draw)
    rate = rates(target, job.dtype, draw, software)
    return steady_state(
        arch,
        layout,
        batch,
        job.input_tokens,
        job.output_tokens,
        target,
        rate,
        software,
        job.kv_dtype,
    )


def sampled_rates(
    arch: Architecture, job: ServingJob, found: Replica, software: Software, draw: Draw
) -> Number:
    """Requests/s per chip of one replica over the ranges of all figures, shape (samples,)."""
    uncertain = machine(found.machine.chip, found.machine.cluster_id, draw)
    batch = np.array([found.batch / found.layout.pp[0]])
    steady = _steady(arch, job, found.layout, batch, uncertain, software, draw)
    return np.asarray(steady.requests_per_s)[..., 0] / found.chips


def _does_not_fit(
    arch: Architecture, target: Machine, steady: Steady, most_chips: int
) -> tuple[str, tuple[Finding, ...]]:
    least = render(float(np.min(steady.weight_bytes)), "byte")
    room = render(float(np.mean(target.memory_bytes)) * MEMORY_SHARE, "byte")
    finding = note(
        "P105",
        f"{arch.name} does not fit on {most_chips} {target.chip.id}: at its widest it needs "
        f"{least} of weights a chip, engines may use {room}.",
        "error",
        "more chips, a narrower dtype, or a chip with more memory",
    )
    return f"{most_chips} {target.chip.id} cannot hold {arch.name}.", (finding,)


def _too_slow(
    arch: Architecture, job: ServingJob, target: Machine, fastest_s: float
) -> tuple[str, tuple[Finding, ...]]:
    finding = note(
        "P106",
        f"{arch.name} on {target.chip.id} makes a token every {render(fastest_s, 's')} at best; "
        f"{render(job.tpot_s, 's')} was asked for.",
        "error",
        f"--tpot {render(1.2 * fastest_s, 's', 2).replace(' ', '')}",
    )
    return f"{target.chip.id} cannot serve {arch.name} that fast.", (finding,)
