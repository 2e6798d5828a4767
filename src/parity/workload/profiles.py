"""Kinds of requests by name: their lengths, what they share, and how long people wait."""

from __future__ import annotations

import math
import tomllib
from functools import cache
from importlib.resources import files

import msgspec

from parity.errors import UnknownName
from parity.record import Record


class Profile(Record, frozen=True, kw_only=True):
    """Mean requests of one kind.

    input_cv, output_cv: standard deviation of the lengths over their mean; 0 where all are alike.
    prefix: share of a prompt that is found in the prefix cache. ttft_s, tpot_s: what is asked of
    latency where nothing else is; infinite where nobody waits.
    """

    title: str
    input_tokens: int
    output_tokens: int
    input_cv: float = 0.0
    output_cv: float = 0.0
    prefix: float
    ttft_s: float = math.inf
    tpot_s: float = math.inf
    source: str


@cache
def _all() -> dict[str, Profile]:
    text = files("parity.workload").joinpath("data", "profiles.toml").read_text("utf-8")
    return msgspec.convert(tomllib.loads(text), dict[str, Profile])


def profiles() -> tuple[str, ...]:
    """Names of the profiles held."""
    return tuple(_all())


def profile(name: str) -> Profile:
    """The profile called `name`. Raises `UnknownName`."""
    known = _all()
    if name.strip().lower() not in known:
        raise UnknownName("profile", name, known, f"Profiles: {', '.join(known)}.")
    return known[name.strip().lower()]
