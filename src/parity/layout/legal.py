"""Which layouts a trainer accepts, and the sentence why not.

Rules common to Megatron-LM, torchtitan, DeepSpeed and MaxText: heads are divided whole, a stage
has at least one layer, experts and the batch come out even. Schedules: [Qi et al. 2023, arXiv
2401.10241], [deepseek-ai/DualPipe, dualpipe.py: even stages and microbatches, at least two a
stage]. Exchanged heads: [DeepSpeed-Ulysses, arXiv 2309.14509].
"""

from __future__ import annotations

import numpy as np

from parity.layout.layout import CP_METHODS, SCHEDULES, Column, Layout
from parity.workload.operator import Architecture

#: Why a layout is refused, most basic first; the index is the reason code, 0 is "legal".
REASONS = (
    "legal",
    "tensor parallelism does not divide the attention heads",
    "more pipeline stages than layers",
    "virtual stages need whole chunks of layers and more than one pipeline stage",
    "expert parallelism does not divide the experts, or exceeds the chips of a stage",
    "expert tensor parallelism does not divide tensor parallelism",
    "more replicas and microbatches than sequences in the global batch",
    "interleaving needs a multiple of the pipeline stages in microbatches",
    "a zero-bubble schedule needs two pipeline stages, no virtual ones, and a microbatch for each",
    "DualPipe needs an even number of stages and of microbatches, two for each, and no virtual "
    "stages",
    "context parallelism leaves less than 512 tokens to a chip",
    "exchanging heads (ulysses) needs heads and key-value heads for each chip of tp and cp",
    "offloading needs a link to the host whose bandwidth is known",
)
#: Fewer tokens than this on a chip of a context-parallel group, and ring attention has no work.
LEAST_CP_TOKENS = 512
#: Layers that may be missing from whole chunks: the embedding and the head stand in for one each
#: [NVIDIA/Megatron-LM, --account-for-embedding-in-pipeline-split, --account-for-loss-...].
ENDS = 2


def missing_layers(layers: int, chunks: Column | int) -> Column:
    """Layers short of filling each of `chunks` evenly. [1]"""
    return np.asarray(-layers % chunks)


def illegal(
    arch: Architecture,
    layout: Layout,
    seq_len: int,
    global_batch: int,
    host_link: bool = False,
) -> Column:
    """The reason code of each layout, an index into `REASONS`."""
    heads = max(arch.num_attention_heads, 1)
    keys = max(arch.num_key_value_heads, 1)
    experts, layers = max(arch.num_experts, 1), arch.num_hidden_layers
    p, virtual = layout.pp, layout.interleave > 1
    microbatches = -(-global_batch // (layout.dp * layout.microbatch))
    spread = layout.ep * np.where(experts > 1, layout.etp, 1)
    zero_bubble = layout.schedule == SCHEDULES.index("zero-bubble")
    dual = layout.schedule == SCHEDULES.index("dualpipe")
    exchanged = (layout.cp > 1) & (layout.cp_method == CP_METHODS.index("ulysses"))
    group = layout.tp * layout.cp
    broken = [
        heads % layout.tp != 0,
        p > layers,
        virtual & ((p == 1) | (missing_layers(layers, p * layout.interleave) > ENDS)),
        (experts % layout.ep != 0) | (layout.tp * layout.cp * layout.dp % spread != 0),
        layout.tp % layout.etp != 0,
        layout.dp * layout.microbatch > global_batch,
        virtual & (microbatches % p != 0),
        zero_bubble & ((p == 1) | virtual | (microbatches < p)),
        dual & ((p % 2 != 0) | virtual | (microbatches % 2 != 0) | (microbatches < 2 * p)),
        (layout.cp > 1) & (seq_len / layout.cp < LEAST_CP_TOKENS),
        exchanged & ((heads % group != 0) | (keys % group != 0)),
        (layout.offload > 0) & (not host_link),
    ]
    return np.select(broken, list(range(1, len(REASONS))), 0)
