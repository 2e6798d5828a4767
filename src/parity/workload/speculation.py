"""How many tokens a step yields where some are drafted: measured curves, by model."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files

import msgspec
import numpy as np

from parity.record import Record


class Acceptance(Record, frozen=True):
    """Mean tokens of a step by drafted tokens, for some models."""

    models: tuple[str, ...]
    drafted: tuple[int, ...]
    accepted: tuple[float, ...]
    source: str


@cache
def curves() -> tuple[Acceptance, ...]:
    """All curves held. The file's own words for its sources replace their keys."""
    text = files("parity.workload").joinpath("data", "acceptance.toml").read_text("utf-8")
    data = tomllib.loads(text)
    sources = data.pop("sources")
    parts = ({**curve, "source": sources[curve["source"]]} for curve in data.values())
    return tuple(msgspec.convert(curve, Acceptance, strict=False) for curve in parts)


def accepted_tokens(model: str, drafted: int) -> tuple[float, float, float, str]:
    """(tokens of a step, low, high, source) when `drafted` tokens are proposed. [1]

    A curve of the model's own has no range here; for a model without one the median of the curves
    stands in, with all of them as its range. Where a curve starts above or ends below what is
    drafted, each further token is accepted as the geometric law of its last point has it
    [Leviathan et al. 2023, arXiv 2211.17192, eq. 1].
    """
    if drafted == 0:
        return 1.0, 1.0, 1.0, "no drafts"
    own = [curve for curve in curves() if model in curve.models]
    if own:
        value = _along(own[0], drafted)
        return value, value, value, own[0].source
    every = [_along(curve, drafted) for curve in curves()]
    words = "median of the models measured"
    return float(np.median(every)), min(every), max(every), words


def _along(curve: Acceptance, drafted: int) -> float:
    if curve.drafted[0] <= drafted <= curve.drafted[-1]:
        return float(np.interp(drafted, curve.drafted, curve.accepted))
    end = 0 if drafted < curve.drafted[0] else -1
    each = _rate(curve.accepted[end], curve.drafted[end])
    return sum(each**i for i in range(drafted + 1))


def _rate(accepted: float, drafted: int) -> float:
    """The share a with which (1 - a^(g+1)) / (1 - a) is `accepted`, by bisection. [1]"""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if sum(middle**i for i in range(drafted + 1)) < accepted:
            low = middle
        else:
            high = middle
    return (low + high) / 2
