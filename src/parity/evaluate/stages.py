"""Pipeline stages: which layers and which ends of the model a chip holds."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from parity.catalogue.machine import Machine, Number
from parity.evaluate.kernels import Rates
from parity.evaluate.layer import Layer, mean_layer, operators_cost
from parity.evaluate.schedule import copies
from parity.layout.layout import Layout, columns
from parity.timing.software import Software
from parity.workload.count import trained_shares
from parity.workload.operator import Architecture
from parity.workload.training import TrainingJob

#: Axes that change what one chip does of a layer; the others only change which layers it has.
DIVIDES_A_LAYER = ("tp", "cp", "ep", "etp", "microbatch", "sequence_parallel", "cp_method")


@dataclass(frozen=True)
class Pieces:
    """Costs of the mean layer and of both ends, and how layers fall to stages, per layout."""

    layer: Layer
    embedding: Layer
    head: Layer
    first: Number  # layers of the first stage
    fullest: Number  # of the fullest stage
    last: Number  # of the last stage
    alone: Number  # whether one stage holds all
    tokens: Number  # of a microbatch on one chip of a tensor-parallel group
    microbatches: Number
    copies: Number  # stages whose weights a chip holds
    replicas: Number  # chips that hold the same dense weights
    expert_replicas: Number  # chips that hold the same expert weights
    trained: tuple[float, float]  # share of the dense and of the routed parameters

    def trained_parameters(self) -> tuple[Number, Number]:
        """As `parameters`, those that have gradients."""
        dense, routed = self.parameters()
        return dense * self.trained[0], routed * self.trained[1]

    def parameters(self) -> tuple[Number, Number]:
        """Dense and routed parameters on the chip that holds most."""
        embedding, head = self.embedding.parameters, self.head.parameters
        both = self.alone | (self.copies > 1)
        ends = np.where(both, head + embedding, self.copies * np.maximum(head, embedding))
        held = self.copies * self.fullest
        return held * self.layer.parameters + ends, held * self.layer.routed_parameters

    def take(self, index: Number) -> Pieces:
        """The same of the layouts at `index`."""
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "trained"}
        taken = {k: v.take(index) if isinstance(v, Layer) else v[index] for k, v in own.items()}
        return Pieces(**taken, trained=self.trained)


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
    first, fullest, last = layers_of_stages(arch.num_hidden_layers, layout)
    twice = copies(layout)
    routed = layout.tp * layout.cp * layout.dp / (layout.ep * layout.etp)
    return Pieces(
        layer=layer.take(inverse),
        embedding=embedding.take(inverse),
        head=head.take(inverse),
        first=first,
        fullest=fullest,
        last=last,
        alone=layout.pp == 1,
        tokens=layout.microbatch * job.seq_len / layout.cp,
        microbatches=np.ceil(job.global_batch_sequences / (layout.dp * layout.microbatch)),
        copies=twice,
        replicas=twice * layout.dp * layout.cp,
        expert_replicas=twice * np.maximum(routed, 1.0),
        trained=trained_shares(arch),
    )


def distinct_divisions(layout: Layout) -> tuple[Layout, Number]:
    """The layouts that divide a layer differently, and which of them each layout is."""
    key = np.zeros(len(layout), dtype=np.int64)
    for name in DIVIDES_A_LAYER:
        column = getattr(layout, name)
        key = key * (int(column.max()) + 1) + column
    _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
    return columns(**{name: getattr(layout, name)[first] for name in DIVIDES_A_LAYER}), inverse


def layers_of_stages(layers: int, layout: Layout) -> tuple[Number, Number, Number]:
    """Layers of the first stage, of the fullest and of the last one.

    Where layers do not come out even, the last stage has one less, for the head, then the first
    one, for the embedding [NVIDIA/Megatron-LM, --account-for-loss-in-pipeline-split and
    --account-for-embedding-in-pipeline-split; Llama 3 report, arXiv 2407.21783, §3.3.2].
    """
    chunks = layout.pp * layout.interleave
    whole = -(-layers // chunks)
    missing = whole * chunks - layers
    most = (whole * layout.interleave).astype(float)
    return most - (missing >= 2), most, most - (missing >= 1)
