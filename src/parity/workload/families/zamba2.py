"""Zamba2: Mamba-2 layers, some of which are preceded by one of a few shared transformer layers.

A shared layer's matrices are stored once; where it is used again they count as tied, and only its
low-rank adapters are new. Read from transformers 5.23.0, models/zamba2 (Apache-2.0).
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from parity.workload.decoder import heads, hidden, layers, reading
from parity.workload.families import Reading, family
from parity.workload.families.mamba import state_dtype
from parity.workload.fields import Config, divided, flag, integer, words
from parity.workload.operator import Elementwise, Linear, Operator
from parity.workload.parts import Operators
from parity.workload.parts.attention import Grouped, Heads, grouped
from parity.workload.parts.common import norm
from parity.workload.parts.feedforward import gated
from parity.workload.parts.recurrent import Scan, mamba2

_WORDS = {
    "mamba": "mamba",
    "linear_attention": "mamba",
    "hybrid": "hybrid",
}


@family("zamba2")
def zamba2(config: Config) -> Reading:
    """Zamba2 1.2B to 7B."""
    width, count = hidden(config), layers(config)
    kinds = words(config, "layers_block_type", _WORDS, count)
    shared = integer(config, "num_mem_blocks", default=1, most=count)
    mixer = (norm("input_norm", width), *mamba2(width, _scan(config)))
    order = list(_order(kinds, shared))
    blocks = {
        kind: mixer if kind == "mamba" else _hybrid(config, mixer, stored="first" in kind)
        for kind in dict.fromkeys(order)
    }
    return reading(config, blocks, tuple(order), attention=_heads(config), tied_by_default=True)


def _order(kinds: tuple[str, ...], shared: int) -> Iterator[str]:
    seen = 0
    for kind in kinds:
        if kind == "mamba":
            yield kind
        else:
            yield "first shared attention+mamba" if seen < shared else "shared attention+mamba"
            seen += 1


def _scan(config: Config) -> Scan:
    width, count = hidden(config), integer(config, "n_mamba_heads")
    size = width * integer(config, "mamba_expand", default=2, most=64)
    divided("mamba_expand * hidden_size", size, "n_mamba_heads", count)
    return Scan(
        inner=size,
        state=integer(config, "mamba_d_state", default=64),
        kernel=integer(config, "mamba_d_conv", default=4, most=1024),
        heads=count,
        groups=integer(config, "mamba_ngroups", default=1),
        bias=flag(config, "add_bias_linear", default=False),
        state_dtype=state_dtype(config, "fp32"),
    )


def _heads(config: Config) -> Heads:
    """Heads as wide as twice the hidden size allows: the input is two hidden states."""
    twice = {**config, "hidden_size": 2 * hidden(config), "head_dim": None}
    return heads({**twice, "attention_head_dim": None})


def _hybrid(config: Config, mixer: Operators, *, stored: bool) -> Operators:
    width, shape = hidden(config), _heads(config)
    size = integer(config, "intermediate_size", default=4 * width)
    rank = integer(config, "adapter_rank", default=128)
    rotary = flag(config, "use_mem_rope", default=False)
    bias = flag(config, "add_bias_linear", default=False)
    attend = (norm("shared_norm", 2 * width), *grouped(2 * width, shape, Grouped(rotary=rotary)))
    project = msgspec.structs.replace(attend[-1], outputs=width)
    feed = (norm("shared_feedforward_norm", width), *gated(width, size, bias=bias))
    layer: Operators = (*attend[:-1], project, *feed)
    adapters = [("gate_up", width, 2 * size)]
    if flag(config, "use_shared_attention_adapter", default=False):
        adapters += [(name, 2 * width, 2 * width) for name in ("q", "k", "v")]
    extra = [
        op for name, inputs, outputs in adapters for op in _adapter(name, inputs, rank, outputs)
    ]
    return (
        *(layer if stored else (_again(op) for op in layer)),
        *extra,
        Linear(name="shared_out_proj", inputs=width, outputs=width),
        *mixer,
    )


def _adapter(name: str, inputs: int, rank: int, outputs: int) -> Operators:
    return (
        Linear(name=f"{name}_adapter_a", inputs=inputs, outputs=rank, saves_input=False),
        Linear(name=f"{name}_adapter_b", inputs=rank, outputs=outputs, split="column"),
    )


def _again(operator: Operator) -> Operator:
    """The same work with parameters that are stored elsewhere."""
    if isinstance(operator, Linear):
        return msgspec.structs.replace(operator, tied=True, bias=False)
    if isinstance(operator, Elementwise):
        return msgspec.structs.replace(operator, parameters=0)
    return operator
