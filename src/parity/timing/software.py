"""What a generation of training software does and hides, as data."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files

import msgspec

from parity.errors import UnknownName
from parity.record import Record

#: The generation assumed when none is named.
CURRENT = "current"


class Software(Record, frozen=True):
    """One generation. Fractions say how much of a communication may hide behind compute."""

    title: str
    fused_attention: bool
    tp_overlap: float
    dp_overlap: float
    pp_overlap: float
    cp_overlap: float
    ep_overlap: float
    near_engine_share: float  # of compute that hidden communication takes, inside a domain
    far_engine_share: float  # and across the network
    issue_s: float  # of the host processor, to start one operator
    traffic: float  # bytes moved by memory-bound operators, over one read and one write of each
    gradient_bytes: float  # per gradient element as it is accumulated and reduced
    score_bytes_forward: float  # moved per element of the score matrix where attention is unfused
    score_bytes_backward: float
    score_bytes_saved: float  # kept per element of the score matrix where attention is unfused
    source: str


@cache
def _all() -> dict[str, Software]:
    text = files("parity.timing").joinpath("data/software.toml").read_text("utf-8")
    return msgspec.convert(tomllib.loads(text), dict[str, Software])


def generations() -> tuple[str, ...]:
    """Names of the generations held."""
    return tuple(_all())


def software(name: str = CURRENT) -> Software:
    """The generation called `name`. Raises `UnknownName`."""
    known = _all()
    if name not in known:
        raise UnknownName("software generation", name, known, f"Known: {', '.join(known)}.")
    return known[name]
