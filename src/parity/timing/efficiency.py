"""What kernels reach of the peak, as data: per chip, chip family and dtype, with ranges.

Four files: `efficiency.toml` is kept by hand; `kernels.toml` is written by `tools/fit_kernels.py`,
fitted to measured tables of kernels; `steps.toml` by `tools/fit_steps.py`, fitted to training
steps; `serving.toml` by the same, fitted to serving. The later goes before the earlier.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec
import numpy as np

from parity.catalogue.machine import Draw, Machine, Number, central
from parity.record import Provenance, Record
from parity.timing.roofline import AttentionShape, Tiling

#: No family is measured to reach more of its peak: `families.gaudi2` of `efficiency.toml`.
BEST_SHARE = 0.95


class Coefficient(Record, frozen=True):
    """One fitted or assumed number, with its range and who says so."""

    value: float
    low: float
    high: float
    provenance: Provenance
    source: str


ByKey = dict[str, Coefficient]


class Curves(Record, frozen=True):
    """What is known of one family or chip; what is absent falls back to the next."""

    gemm: ByKey = msgspec.field(default_factory=dict)  # by dtype
    tiling: dict[str, Tiling] = msgspec.field(default_factory=dict)  # this and below: by width
    gemm_memory: ByKey = msgspec.field(default_factory=dict)
    gemm_launch_s: ByKey = msgspec.field(default_factory=dict)
    routed_launch_s: ByKey = msgspec.field(default_factory=dict)
    routed_passes: ByKey = msgspec.field(default_factory=dict)
    sustained: ByKey = msgspec.field(default_factory=dict)
    served: ByKey = msgspec.field(default_factory=dict)
    attention_forward: Coefficient | None = None
    attention_backward: Coefficient | None = None
    attention_launch_s: Coefficient | None = None
    cache_memory: Coefficient | None = None
    cache_launch_s: Coefficient | None = None
    attention_shape: AttentionShape | None = None
    attention_sustained: Coefficient | None = None
    scan: Coefficient | None = None
    widened: ByKey = msgspec.field(default_factory=dict)  # by what weights are stored in
    flash: ByKey = msgspec.field(default_factory=dict)  # by FlashAttention version
    memory: Coefficient | None = None
    launch_s: Coefficient | None = None
    watts_per_tflop: float | None = None  # rating over 16-bit peak of the chip `sustained` is for
    like: str = ""


class Prior(Curves, frozen=True, kw_only=True):
    """What is assumed of a chip that nobody measured: something of everything."""

    power_exponent: Coefficient  # of `sustained`, over rated watts for one FLOP/s
    watts_exponent: Coefficient  # of `gemm`, over rated watts for one TFLOP/s, across families


class Book(Record, frozen=True):
    """Both files."""

    sources: dict[str, str]
    prior: Prior
    families: dict[str, Curves]
    chips: dict[str, Curves]


@dataclass(frozen=True)
class Efficiency:
    """Achieved rates of one machine at one dtype, and where the GEMM figure comes from."""

    gemm: Number
    tiling: Tiling
    gemm_memory: Number  # of the bandwidth, when a product is bound by it
    gemm_launch_s: Number
    routed_launch_s: Number  # of sorting tokens by expert and adding them up, besides products
    routed_passes: Number  # over the routed tokens, that it takes
    attention_forward: Number
    attention_backward: Number
    attention_launch_s: Number
    cache_memory: Number  # of the bandwidth, when one query reads a long cache
    cache_launch_s: Number
    attention_shape: AttentionShape
    sustained: Number  # of these rates, when kernels follow one another for hours
    attention_sustained: Number  # of the rate of attention
    served: Number  # of these rates, in the short and varied steps of serving
    scan: Number  # of the 16-bit peak, by chunked recurrences
    widened: Number  # of the rate of products, where weights are widened as they are read
    memory: Number
    launch_s: Number
    basis: str


@cache
def book() -> Book:
    """The efficiency files, read once."""
    data = files("parity.timing").joinpath("data")
    merged: dict[str, Any] = {}
    for name in ("efficiency.toml", "kernels.toml", "steps.toml", "serving.toml"):
        _merge(merged, tomllib.loads(data.joinpath(name).read_text("utf-8")))
    merged.pop("software")  # `timing/software.py` reads that
    merged.pop("engines")  # and `timing/engine.py` that
    return msgspec.convert(merged, Book)


def _merge(into: dict[str, Any], other: dict[str, Any]) -> None:
    for key, value in other.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value


def width(dtype: str) -> str:
    """Bits of an operand of `dtype` ("bf16", "int4-g128"), as curves are keyed; at most 16."""
    return str(min(16, int("".join(filter(str.isdigit, dtype.split("-")[0])))))


def efficiency(machine: Machine, dtype: str, draw: Draw = central, stored: str = "") -> Efficiency:
    """Achieved shares of `machine` at `dtype`: its own, else its family's, else the prior.

    stored: the dtype of weights, where it is another.
    """
    data = book()
    name_of = machine.chip.id
    if name_of not in data.chips and machine.chip.like:
        name_of = machine.chip.like

    def pick(name: str, by: str = dtype) -> tuple[str, Any]:
        return _figure(name_of, machine.chip.family, name, by)

    def number(name: str, by: str = dtype) -> Number:
        key, c = pick(name, by)
        return draw(key, c.value, c.low, c.high)

    key, gemm = pick("gemm")
    assumed = data.prior.gemm.values()
    return Efficiency(
        gemm=_by_watts(machine, number("gemm"), draw) if gemm in assumed else number("gemm"),
        tiling=pick("tiling")[1],
        gemm_memory=number("gemm_memory"),
        gemm_launch_s=number("gemm_launch_s"),
        routed_launch_s=number("routed_launch_s"),
        routed_passes=number("routed_passes"),
        attention_forward=number("attention_forward"),
        attention_backward=number("attention_backward"),
        attention_launch_s=number("attention_launch_s"),
        cache_memory=number("cache_memory"),
        cache_launch_s=number("cache_launch_s"),
        attention_shape=pick("attention_shape")[1],
        sustained=_within_power(machine, number("sustained"), pick("sustained")[0], draw),
        attention_sustained=number("attention_sustained"),
        served=_within_power(machine, number("served"), pick("served")[0], draw),
        scan=number("scan"),
        widened=number("widened", stored) if stored else 1.0,
        memory=number("memory"),
        launch_s=number("launch_s"),
        basis=f"{key.split('.gemm')[0]} {dtype}: {gemm.provenance}, {data.sources[gemm.source]}",
    )


@cache
def _figure(chip: str, family: str, name: str, by: str) -> tuple[str, Any]:
    """The owner of a figure with its key, and the figure: the chip's own, else its family's, else
    that of the prior. by: a dtype.
    """
    data = book()
    own = data.chips.get(chip, Curves())
    steps = (
        (chip, own),
        (own.like, data.chips.get(own.like, Curves())),
        (family, data.families.get(family, Curves())),
        (family, data.prior),
    )
    for owner, curves in steps:
        found = getattr(curves, name)
        if not isinstance(found, dict):
            if found is not None:
                return f"{owner}.{name}", found
            continue
        for key in (by, width(by)):
            if key in found:
                return f"{owner}.{name}.{key}", found[key]
    raise AssertionError(f"the prior lacks {name}")


def flash_share(machine: Machine, version: int, draw: Draw = central) -> Number:
    """Share of the best fused attention that FlashAttention `version` reaches on `machine`. [1]"""
    family = machine.chip.family
    c = book().families.get(family, Curves()).flash.get(str(version))
    return draw(f"{family}.flash.{version}", c.value, c.low, c.high) if c else 1.0


def _by_watts(machine: Machine, share: Number, draw: Draw) -> Number:
    """What products reach of the peak of a chip that nobody measured, from what others do. [1]

    share: of a chip with 1 W for each TFLOP/s. The more watts, the higher the clock that is held,
    and the less bandwidth inside the chip the cores ask for: a regression over the families.
    """
    if machine.tdp_w is None:
        return share
    c = book().prior.watts_exponent
    exponent = draw("watts_exponent", c.value, c.low, c.high)
    return np.minimum(share * _watts_per_tflop(machine) ** exponent, BEST_SHARE)


def _watts_per_tflop(machine: Machine) -> Number:
    """Rated watts for each TFLOP/s of the 16-bit peak."""
    half = "bf16" if "bf16" in machine.peak_flop_per_s else "fp16"
    return machine.tdp_w / (machine.peak_flop_per_s[half] / 1e12)


def _within_power(machine: Machine, share: Number, key: str, draw: Draw) -> Number:
    """A family's `sustained` or `served`, for the watts that this chip has for each FLOP/s. [1]

    Long products run at the clock that the power rating allows, and power grows faster than the
    clock, so that a chip of the same cores with more watts holds more of its peak.
    """
    reference = book().families.get(key.split(".")[0], Curves()).watts_per_tflop
    if reference is None or machine.tdp_w is None:
        return share
    watts = _watts_per_tflop(machine)
    c = book().prior.power_exponent
    exponent = draw("power_exponent", c.value, c.low, c.high)
    return np.minimum(share * (watts / reference) ** exponent, np.maximum(share, 1.0))
