"""Which layouts a trainer accepts, and the sentence why not.

Rules common to Megatron-LM, torchtitan, DeepSpeed and MaxText: heads are divided whole, a stage
has at least one layer, experts and the batch come out even.
"""

from __future__ import annotations

import numpy as np

from parity.layout.layout import Column, Layout
from parity.workload.operator import Architecture

#: Why a layout is refused, most basic first; the index is the reason code, 0 is "legal".
REASONS = (
    "legal",
    "tensor parallelism does not divide the attention heads",
    "more pipeline stages than layers",
    "virtual stages need whole chunks of layers and more than one pipeline stage",
    "expert parallelism does not divide the experts, or exceeds the chips of a stage",
    "more replicas and microbatches than sequences in the global batch",
    "interleaving needs a multiple of the pipeline stages in microbatches",
    "context parallelism leaves less than 512 tokens to a chip",
)
#: Fewer tokens than this on a chip of a context-parallel group, and ring attention has no work.
LEAST_CP_TOKENS = 512


def illegal(arch: Architecture, layout: Layout, seq_len: int, global_batch: int) -> Column:
    """The reason code of each layout, an index into `REASONS`."""
    heads = max(arch.num_attention_heads, 1)
    layers = arch.num_hidden_layers
    experts = max(arch.num_experts, 1)
    chunks = layout.pp * layout.interleave
    microbatches = np.ceil(global_batch / (layout.dp * layout.microbatch))
    virtual = layout.interleave > 1
    broken = [
        heads % layout.tp != 0,
        layout.pp > layers,
        virtual & ((layout.pp == 1) | (layers % chunks != 0)),
        (experts % layout.ep != 0) | (layout.tp * layout.cp * layout.dp % layout.ep != 0),
        layout.dp * layout.microbatch > global_batch,
        virtual & (microbatches % layout.pp != 0),
        (layout.cp > 1) & (seq_len / layout.cp < LEAST_CP_TOKENS),
    ]
    return np.select(broken, list(range(1, len(REASONS))), 0)
