"""What a generation of a serving engine costs and allows, as data."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec
from msgspec import structs

from parity.catalogue import load
from parity.catalogue.machine import Draw, Number
from parity.catalogue.schema import Chip
from parity.errors import UnknownName
from parity.record import Record
from parity.timing.software import Software, software

#: The generation assumed when none is named.
CURRENT_ENGINE = "current"


class Engine(Record, frozen=True):
    """One generation of one engine."""

    name: str
    owners: dict[str, str]  # the generation that states each figure: this one, or one it is like
    title: str
    kernels: str  # generation of training software whose attention it has
    kernel_share: float  # of the best kernels' rates that its kernels reach
    bandwidth_share: float  # of the bandwidth that the best kernels reach
    traffic: float  # bytes moved by memory-bound operators, over one read and one write of each
    routed: float  # time of routed experts over that of the best kernels measured
    launch_share: float  # of the gaps of kernels measured alone: graphs and fusion close the rest
    casts: bool  # whether inputs of narrow products are narrowed by a kernel of their own
    step_s: float  # of the host, per step: scheduling, launching, sampling
    sequence_s: float  # of the host, per request of a step: sampling, detokenising, streaming
    overlapped: bool  # whether the host prepares a step while the chip works on the one before
    launches_s: float  # of the host, to start an operator of a step with prompts: it has no graph
    graph_sizes: tuple[int, ...]  # requests that a step without prompts is filled up to
    mixed: bool  # prompts and decoding requests share a step
    chunked: bool  # prompts are cut to the token budget
    memory_share: float  # of the chip's memory that the engine may take
    cache_share: float  # of what is free then, that the cache is given
    workspace_bytes: float  # per chip: graphs, communication buffers, fragmentation
    max_sequences: int  # that a scheduler holds, by default
    token_budget: int  # tokens of a step, by default
    reserves_output: bool  # a request's whole output is reserved before it starts
    static_batch: bool  # a batch is filled once, and its slowest request ends it
    whole_cache: bool  # decoding reads a cache as long as the longest request
    expert_skew: float  # spread of the load of experts over its mean
    two_batch_overlap: bool  # two halves of a step hide each other's exchange of tokens
    narrow_dispatch: bool  # tokens travel to experts in 8 bits
    source: str
    graphs: bool = True  # steps without prompts are replayed, not started kernel by kernel
    vendors: tuple[str, ...] = ()  # whose chips it is the usual engine of

    @property
    def software(self) -> Software:
        """The same as software whose kernels a forward pass uses."""
        base = software(self.kernels)
        own = {"kernel_share": self.kernel_share, "traffic": self.traffic}
        return structs.replace(base, **own, narrow_attention=1.0)


#: How far the figures of a generation may be off, as factors.
FACTORS = {
    "kernel_share": (0.85, 1.12), "bandwidth_share": (0.85, 1.12), "traffic": (0.6, 1.6),
    "step_s": (0.5, 2.0), "launch_share": (0.6, 1.5), "routed": (0.7, 1.5),
    "sequence_s": (0.5, 2.0), "launches_s": (0.5, 2.0), "expert_skew": (0.5, 1.6),
}  # fmt: skip


def drawn_engine(one: Engine, draw: Draw) -> Engine:
    """The generation with its uncertain figures as `draw` gives them: numbers, or samples."""
    figures: dict[str, Number] = {}
    for name, (low, high) in FACTORS.items():
        value = getattr(one, name)
        key = f"engine.{one.owners[name]}.{name}"
        figures[name] = draw(key, value, low * value, high * value)
    return structs.replace(one, **figures)


@cache
def _all() -> dict[str, Engine]:
    data = files("parity.timing").joinpath("data")
    fitted = tomllib.loads(data.joinpath("serving.toml").read_text("utf-8"))["engines"]
    whole: dict[str, dict[str, Any]] = {}
    for name, own in tomllib.loads(data.joinpath("engines.toml").read_text("utf-8")).items():
        stated = {**own, **fitted.get(name, {})}
        base = whole.get(stated.pop("like", ""), {"owners": {}})
        base = {key: value for key, value in base.items() if key != "vendors"}
        owners = {**base["owners"], **dict.fromkeys(stated, name)}
        whole[name] = {**base, **stated, "name": name, "owners": owners}
    return {name: msgspec.convert(one, Engine) for name, one in whole.items()}


def usual_engine(chip: Chip) -> Engine:
    """The generation assumed on `chip` when none is named: its vendor's, else the current one.

    Of a design, that of the vendor of the chip it is like.
    """
    vendor = load.chip(chip.like).vendor if chip.like else chip.vendor
    own = (one for one in _all().values() if vendor in one.vendors)
    return next(own, engine())


def engines() -> tuple[str, ...]:
    """Names of the generations held."""
    return tuple(_all())


def engine(name: str = CURRENT_ENGINE) -> Engine:
    """The generation called `name`. Raises `UnknownName`."""
    known = _all()
    if name not in known:
        raise UnknownName("engine generation", name, known, f"Known: {', '.join(known)}.")
    return known[name]
