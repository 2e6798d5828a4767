"""Pipeline stages: which layers and which ends of the model a chip holds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from parity.catalogue.machine import Machine, Number
from parity.evaluate.kernels import Rates
from parity.evaluate.layer import Layer, mean_layer, operators_cost
from parity.layout.layout import Layout
from parity.timing.software import Software
from parity.workload.operator import Architecture
from parity.workload.training import TrainingJob


@dataclass(frozen=True)
class Pieces:
    """Costs of the mean layer and of both ends, and how layers fall to stages, per layout."""

    layer: Layer
    embedding: Layer
    head: Layer
    fullest: Number  # layers of the fullest stage
    last: Number  # layers of the last stage
    alone: Number  # whether one stage holds all
    tokens: Number  # of a microbatch on one chip of a tensor-parallel group
    microbatches: Number
    replicas: Number  # chips that hold the same dense weights
    expert_replicas: Number  # chips that hold the same expert weights

    def parameters(self) -> tuple[Number, Number]:
        """Dense and routed parameters on the chip that holds most."""
        ends = np.where(
            self.alone,
            self.head.parameters + self.embedding.parameters,
            np.maximum(self.head.parameters, self.embedding.parameters),
        )
        dense = self.fullest * self.layer.parameters + ends
        return dense, self.fullest * self.layer.routed_parameters


def pieces(
    arch: Architecture,
    job: TrainingJob,
    layout: Layout,
    machine: Machine,
    rate: Rates,
    software: Software,
) -> Pieces:
    """Work out each distinct division of a layer once, and spread the result over the layouts."""
    some, inverse = distinct_divisions(layout)
    args = (some, job.seq_len, machine, rate, software)
    layer = mean_layer(arch, *args)
    embedding, head = operators_cost(arch.embedding, *args), operators_cost(arch.head, *args)
    fullest, last = layers_of_stages(arch.num_hidden_layers, layout)
    routed = layout.tp * layout.cp * layout.dp / (layout.ep * layout.expert_tp)
    return Pieces(
        layer=layer.take(inverse),
        embedding=embedding.take(inverse),
        head=head.take(inverse),
        fullest=fullest,
        last=last,
        alone=layout.pp == 1,
        tokens=layout.microbatch * job.seq_len / layout.cp,
        microbatches=np.ceil(job.global_batch_sequences / (layout.dp * layout.microbatch)),
        replicas=(layout.dp * layout.cp).astype(float),
        expert_replicas=np.maximum(routed, 1.0),
    )


def distinct_divisions(layout: Layout) -> tuple[Layout, Number]:
    """The layouts that divide a layer differently, and which of them each layout is."""
    key = np.zeros(len(layout), dtype=np.int64)
    for column in (layout.tp, layout.cp, layout.ep, layout.microbatch, layout.sequence_parallel):
        key = key * (int(column.max()) + 1) + column
    _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
    return layout.take(first), inverse


def layers_of_stages(layers: int, layout: Layout) -> tuple[Number, Number]:
    """Layers of the fullest stage and of the last; a remainder goes to the first stages."""
    chunks = layout.pp * layout.interleave
    fullest = np.ceil(layers / chunks) * layout.interleave
    last = np.floor(layers / chunks) * layout.interleave
    return fullest, last
