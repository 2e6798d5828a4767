"""What kernels reach of the peak, as data: per chip, chip family and dtype, with ranges."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import msgspec
import numpy as np

from parity.catalogue.machine import Draw, Machine, Number, central
from parity.record import Provenance, Record


class Coefficient(Record, frozen=True):
    """One fitted or assumed number, with its range and who says so."""

    value: float
    low: float
    high: float
    provenance: Provenance
    source: str


class Curves(Record, frozen=True):
    """What is known of one family or chip; what is absent falls back to the next."""

    gemm: dict[str, Coefficient] = msgspec.field(default_factory=dict)
    attention_forward: Coefficient | None = None
    attention_backward: Coefficient | None = None
    sustained: dict[str, Coefficient] = msgspec.field(default_factory=dict)  # by bits of an operand
    scan: Coefficient | None = None
    flash: dict[str, Coefficient] = msgspec.field(default_factory=dict)  # by FlashAttention version
    memory: Coefficient | None = None
    launch_s: Coefficient | None = None
    watts_per_tflop: float | None = None  # rating over 16-bit peak of the chip `sustained` is for
    like: str = ""


class Prior(Record, frozen=True):
    """What is assumed of a chip that nobody measured."""

    gemm: Coefficient
    attention_forward: Coefficient
    attention_backward: Coefficient
    sustained: dict[str, Coefficient]
    scan: Coefficient
    memory: Coefficient
    launch_s: Coefficient
    power_exponent: Coefficient  # of `sustained`, over rated watts for one FLOP/s


class Book(Record, frozen=True):
    """The whole file."""

    sources: dict[str, str]
    prior: Prior
    families: dict[str, Curves]
    chips: dict[str, Curves]


@dataclass(frozen=True)
class Efficiency:
    """Achieved rates of one machine at one dtype, and where the GEMM figure comes from."""

    gemm: Number
    attention_forward: Number
    attention_backward: Number
    sustained: Number  # of these rates, when kernels follow one another for hours
    scan: Number  # of the 16-bit peak, by chunked recurrences
    memory: Number
    launch_s: Number
    basis: str


@cache
def book() -> Book:
    """The efficiency file, read once."""
    text = files("parity.timing").joinpath("data/efficiency.toml").read_text("utf-8")
    return msgspec.convert(tomllib.loads(text), Book)


def width(dtype: str) -> str:
    """Bits of an operand of `dtype` ("bf16", "mxfp8"), as `sustained` is keyed; at most 16."""
    return str(min(16, int("".join(filter(str.isdigit, dtype)))))


def efficiency(machine: Machine, dtype: str, draw: Draw = central) -> Efficiency:
    """Achieved shares of `machine` at `dtype`: its own, else its family's, else the prior."""
    data = book()
    chip, family = machine.chip.id, machine.chip.family
    own = data.chips.get(chip, Curves())
    steps = [
        (chip, own),
        (own.like, data.chips.get(own.like, Curves())),
        (family, data.families.get(family, Curves())),
    ]

    keys = {"gemm": dtype, "sustained": width(dtype)}

    def pick(name: str) -> tuple[str, Coefficient]:
        for owner, curves in (*steps, (family, data.prior)):
            found = getattr(curves, name)
            if isinstance(found, dict):
                found = found.get(keys[name])
            if found is not None:
                return owner, found
        raise AssertionError(f"the prior lacks {name}")

    def number(name: str) -> Number:
        owner, c = pick(name)
        key = f"{owner}.{name}.{keys[name]}" if name in keys else f"{owner}.{name}"
        return draw(key, c.value, c.low, c.high)

    owner, gemm = pick("gemm")
    return Efficiency(
        gemm=number("gemm"),
        attention_forward=number("attention_forward"),
        attention_backward=number("attention_backward"),
        sustained=_within_power(machine, number("sustained"), pick("sustained")[0], draw),
        scan=number("scan"),
        memory=number("memory"),
        launch_s=number("launch_s"),
        basis=f"{owner} {dtype}: {gemm.provenance}, {data.sources[gemm.source]}",
    )


def flash_share(machine: Machine, version: int, draw: Draw = central) -> Number:
    """Share of the best fused attention that FlashAttention `version` reaches on `machine`. [1]"""
    family = machine.chip.family
    c = book().families.get(family, Curves()).flash.get(str(version))
    return draw(f"{family}.flash.{version}", c.value, c.low, c.high) if c else 1.0


def _within_power(machine: Machine, sustained: Number, owner: str, draw: Draw) -> Number:
    """A family's `sustained`, for the watts that this chip of the family has for each FLOP/s. [1]

    Long products run at the clock that the power rating allows, and power grows faster than the
    clock, so that a chip of the same cores with more watts holds more of its peak.
    """
    reference = book().families.get(owner, Curves()).watts_per_tflop
    if reference is None or machine.tdp_w is None:
        return sustained
    half = "bf16" if "bf16" in machine.peak_flop_per_s else "fp16"
    watts = machine.tdp_w / (machine.peak_flop_per_s[half] / 1e12)
    c = book().prior.power_exponent
    exponent = draw("power_exponent", c.value, c.low, c.high)
    return np.minimum(sustained * (watts / reference) ** exponent, 1.0)
