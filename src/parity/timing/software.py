"""What a generation of training software does and hides, as data."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec
from msgspec import structs

from parity.catalogue.machine import Draw, Number
from parity.errors import UnknownName
from parity.record import Record

#: The generation assumed when none is named.
CURRENT = "current"


class Software(Record, frozen=True):
    """One generation. Fractions say how much of a communication may hide behind compute."""

    name: str
    owners: dict[str, str]  # the generation that states each figure: this one, or one it is like
    title: str
    footprint: str  # of the code base, in memory
    kernel_share: float  # of the best kernels' rates that its kernels reach
    fused_attention: bool
    flash: int  # version of FlashAttention, or what equals it, that its fused attention is
    narrow_attention: float  # its rate in training, over 16 bits, where products are narrower
    wide_weight_gradients: bool  # products of weight gradients stay at 16 bits
    recompute_stops_early: bool  # full recomputation skips the last product of a layer
    tp_overlap: float
    dp_overlap: float
    pp_overlap: float
    cp_overlap: float
    ep_overlap: float
    near_engine_share: float  # of compute that hidden communication takes, inside a domain
    far_engine_share: float  # and across the network
    issue_s: float  # of the host processor, to start one operator
    routing_s: float  # of a pass, while the host waits for how many tokens each expert gets
    traffic: float  # bytes moved by memory-bound operators, over one read and one write of each
    routed: float  # time of routed experts in training over that of the same products, dense
    gradient_bytes: float  # per gradient element as it is accumulated and reduced
    score_bytes_forward: float  # moved per element of the score matrix where attention is unfused
    score_bytes_backward: float
    score_bytes_saved: float  # kept per element of the score matrix where attention is unfused
    source: str
    schedules: tuple[str, ...]  # of pipelines that it can run


#: How far the figures of a generation may be off: as a factor, low and high. What a framework costs
#: besides its kernels differs from one code base to the next by about this much.
FACTORS = {
    "kernel_share": (0.9, 1.1), "issue_s": (0.5, 1.8), "traffic": (0.6, 1.6),
    "routing_s": (0.4, 2.5), "routed": (0.55, 1.6),
}  # fmt: skip
#: And hidden fractions, as a difference.
DIFFERENCES = {
    "tp_overlap": 0.3, "dp_overlap": 0.3, "pp_overlap": 0.3, "cp_overlap": 0.3, "ep_overlap": 0.3,
}  # fmt: skip


def _key(one: Software, figure: str) -> str:
    """What a figure is drawn by: generations that share it share its uncertainty."""
    return f"software.{one.owners[figure]}.{figure}"


def drawn(one: Software, draw: Draw) -> Software:
    """The generation with its uncertain figures as `draw` gives them: numbers, or samples."""
    figures: dict[str, Number] = {}
    for name, (low, high) in FACTORS.items():
        value = getattr(one, name)
        figures[name] = draw(_key(one, name), value, low * value, high * value)
    for name, off in DIFFERENCES.items():
        value = getattr(one, name)
        low, high = max(value - off, 0.0), min(value + off, 1.0)
        figures[name] = draw(_key(one, name), value, low, high) if value else value
    return structs.replace(one, **figures)


@cache
def _all() -> dict[str, Software]:
    data = files("parity.timing").joinpath("data")
    fitted = tomllib.loads(data.joinpath("steps.toml").read_text("utf-8"))["software"]
    whole: dict[str, dict[str, Any]] = {}
    for name, own in tomllib.loads(data.joinpath("software.toml").read_text("utf-8")).items():
        stated = {**own, **fitted.get(name, {})}
        base = whole.get(stated.pop("like", ""), {"owners": {}})
        owners = {**base["owners"], **dict.fromkeys(stated, name)}
        whole[name] = {**base, **stated, "name": name, "owners": owners}
    return {name: msgspec.convert(one, Software) for name, one in whole.items()}


def generations() -> tuple[str, ...]:
    """Names of the generations held."""
    return tuple(_all())


def software(name: str = CURRENT) -> Software:
    """The generation called `name`. Raises `UnknownName`."""
    known = _all()
    if name not in known:
        raise UnknownName("software generation", name, known, f"Known: {', '.join(known)}.")
    return known[name]
