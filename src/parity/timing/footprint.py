"""What training software keeps in memory besides the bare formula, as data."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Literal

import msgspec

from parity.errors import UnknownName
from parity.record import Record

#: Parts of a layer that selective recomputation makes again, by the names Megatron-Core gives them
#: (`--recompute-modules`); or all but the outputs of every product (MaxText) or of every other one
#: (torchtitan).
Module = Literal[
    "core_attn", "mla_up_proj", "moe_act", "layernorm", "mlp", "moe",
    "every-product", "every-other-product",
]  # fmt: skip


class Footprint(Record, frozen=True):
    """Bytes that one code base keeps. `parameter` means one of those a chip holds.

    FSDP is ZeRO 3: shares at rest, layers gathered while they work.
    """

    title: str
    weight_bytes: float  # per parameter as it is computed with
    narrow_weight_bytes: float  # the same where products are in 8 bits or less
    narrow_frozen_bytes: float  # the same of a weight that is not trained
    share_bytes: float  # per parameter of an FSDP share at rest
    gradient_bytes: float  # per parameter, kept from one microbatch to the next
    summed_bytes: float  # more of them, where bf16 gradients are summed in 32 bits beside
    gradient_share_bytes: float  # and of what ZeRO gives a chip to update, in 32 bits once more
    optimizer_bytes: float  # per parameter: master weight, two moments
    share_optimizer_bytes: float  # the same with FSDP, whose share may be the master weight
    gathered_layers: float  # layers that FSDP has whole at once
    gathered_gradient_bytes: float  # per parameter of the layer whose gradients are not scattered
    gathered_ends: bool  # embedding and head stay whole from forward to backward pass
    pipeline_keeps_whole: bool  # FSDP keeps a pipeline stage whole until its last microbatch
    returned_gradient_bytes: float  # per parameter of each shape: gradients nobody reads
    narrow_inputs: bool  # products in 8 bits keep their inputs in 8 bits
    gathered_inputs: float  # activations of full width at work under sequence parallelism
    divided_inputs: bool  # of recomputed layers, over the tensor group in any case
    boundaries: float  # outputs of a stage kept, besides inputs, of each microbatch in flight
    logit_bytes: float  # per logit of a microbatch
    selective: tuple[Module, ...]  # what selective recomputation makes again
    buckets_bytes: float  # communication buffers that do not grow with the model
    context_bytes: float  # of the driver, libraries and their kernels: outside the allocator
    fragmentation: float  # of what the allocator holds, lost between blocks
    fragmentation_low: float
    fragmentation_high: float
    source: str


@cache
def _all() -> dict[str, Footprint]:
    text = files("parity.timing").joinpath("data/footprint.toml").read_text("utf-8")
    whole: dict[str, dict[str, object]] = {}
    for name, one in tomllib.loads(text).items():
        whole[name] = {**whole.get(one.pop("like", ""), {}), **one}
    return {name: msgspec.convert(one, Footprint) for name, one in whole.items()}


def footprints() -> tuple[str, ...]:
    """Names of the code bases held."""
    return tuple(_all())


def footprint(name: str) -> Footprint:
    """The code base called `name`. Raises `UnknownName`."""
    known = _all()
    if name not in known:
        raise UnknownName("footprint", name, known, f"Known: {', '.join(known)}.")
    return known[name]
