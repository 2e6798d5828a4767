"""A design as a chip of the catalogue, and as the file that adds it there."""

from __future__ import annotations

from typing import Any, Literal, TypeVar

import numpy as np
from msgspec import structs

from parity.catalogue.machine import Number
from parity.catalogue.schema import (
    DTYPES,
    Chip,
    Compute,
    Dense,
    Dtypes,
    Memory,
    Physical,
    ScaleUp,
    Support,
    fields_of,
)
from parity.record import Fact, Record
from parity.supply.custom import USUAL_RATES, Design, Figures

R = TypeVar("R", bound=Record)
#: Who says the figures of a design, and how.
SOURCE, NOTE = "parity-reasoning", "worked out by `parity chips design`"
P10, P90 = 0.1, 0.9
#: Least of a figure over its value, where a sample of a design that a budget holds back gives none.
LEAST = 0.01


def as_chip(design: Design, at: Figures, over: Figures) -> Chip:
    """The chip that a design is: `at` its stated figures, with the range of `over`, samples of
    them. What no block decides (software, wiring, host) is of the chip it is like.
    """
    like = design.like
    dense = {
        dtype: derived(
            at.peak_flop_per_s * rate_of(like, dtype),
            over.peak_flop_per_s * rate_of(like, dtype),
            "FLOP/s",
        )
        for dtype in design.dtypes
    }
    memory = design.memory
    vector = np.median(at.vector_flop_per_s) > 0
    return structs.replace(
        like,
        id=design.name,
        name=design.name,
        vendor="own design",
        year=None,
        status="design",
        aliases=(),
        labels=(),
        like=like.id,
        prices=(),
        export_note="",
        notes=_notes(design),
        compute=Compute(
            dense=Dense(**dense),
            vector_fp32=derived(at.vector_flop_per_s, over.vector_flop_per_s, "FLOP/s")
            if vector
            else None,
            units=counted(max(round(float(at.plan.cores * design.sold)), 1)),
        ),
        dtypes=_dtypes(design),
        memory=Memory(
            kind=memory.hbm.kinds[0] if memory else "SRAM",
            capacity=derived(at.memory_bytes, over.memory_bytes, "byte") if memory else None,
            bandwidth=derived(at.memory_bytes_per_s, over.memory_bytes_per_s, "byte/s")
            if memory
            else None,
            sram=derived(at.sram_bytes, over.sram_bytes, "byte"),
        ),
        scale_up=_scale_up(design, at, over),
        physical=Physical(
            process=(design.silicon.node.processes or (design.silicon.node.name,))[0],
            foundry=design.silicon.node.foundry,
            die_area=exactly(design.whole_mm2, "mm2"),
            dies_per_package=counted(design.silicon.dies),
            tdp=derived(at.tdp_w, over.tdp_w, "W"),
        ),
    )


def _notes(design: Design) -> str:
    said = f"A design like {design.like.id}."
    return f"{said} It cannot run {', '.join(design.without)}." if design.without else said


def _dtypes(design: Design) -> Dtypes:
    """What the chip it is like takes, with what the design adds and leaves out."""
    like, found = design.like, {}
    for dtype in DTYPES:
        said, rate = getattr(like.dtypes, dtype), getattr(like.compute.dense, dtype)
        if dtype in design.dtypes:
            found[dtype] = said if said and rate else Support("native", "derived", SOURCE, NOTE)
        else:
            found[dtype] = Support("none", "derived", SOURCE, NOTE) if rate else said
    return Dtypes(**found)


def _scale_up(design: Design, at: Figures, over: Figures) -> ScaleUp:
    """The links of the chip it is like; what the design says of them goes before its cluster's."""
    like, ports = design.like.scale_up, design.silicon.ports
    bandwidth, domain = like.bandwidth, like.domain
    if (ports.link.id, ports.links) != design.wired:
        bandwidth = _said(derived(at.link_bytes_per_s, over.link_bytes_per_s, "byte/s"))
    if domain is None or domain.value != design.domain:
        domain = _said(counted(design.domain))
    return ScaleUp(
        kind=like.kind if ports.link.id == design.wired[0] else ports.link.name,
        link=like.link,
        bandwidth=bandwidth if ports.links else None,
        domain=domain,
    )


def _said(fact: Fact) -> Fact:
    """A figure that stands before what a cluster says."""
    return structs.replace(fact, provenance="user")


def at_end(chip: Chip, end: Literal["low", "high"]) -> Chip:
    """The chip with peaks, capacity and bandwidths at one end of their range, its rating as is."""
    dense, memory = _moved(chip.compute.dense, end), _moved(chip.memory, end)
    up = structs.replace(chip.scale_up, bandwidth=_moved(chip.scale_up, end).bandwidth)
    compute = structs.replace(
        chip.compute, dense=dense, vector_fp32=_moved(chip.compute, end).vector_fp32
    )
    rated = structs.replace(chip.physical, tdp=_moved(chip.physical, "value").tdp)
    return structs.replace(chip, compute=compute, memory=memory, scale_up=up, physical=rated)


def _moved(record: R, end: str) -> R:
    stops = {
        name: structs.replace(fact, value=stop, low=stop, high=stop)
        for name in record.__struct_fields__
        if isinstance(fact := getattr(record, name), Fact)
        for stop in (getattr(fact, end),)
    }
    return structs.replace(record, **stops)


def rate_of(like: Chip, dtype: str) -> float:
    """Peak of a dtype over bf16: of the chip a design is like, or the usual one. [1]"""
    dense = like.compute.dense
    base, own = dense.bf16 or dense.fp16, getattr(dense, dtype)
    return own.value / base.value if own and base else USUAL_RATES[dtype]


def derived(at: Number, over: Number, unit: str) -> Fact:
    """A figure of a design with its P10 and P90."""
    value = rounded(float(np.median(at)))
    low, high = (rounded(float(end)) for end in np.quantile(np.ravel(over), [P10, P90]))
    low = max(low, LEAST * value)
    return Fact(value, min(low, value), max(high, value), unit, "derived", SOURCE, NOTE)


def exactly(value: float, unit: str) -> Fact:
    """A figure that the design itself sets."""
    value = rounded(value)
    return Fact(value, value, value, unit, "derived", SOURCE, NOTE)


def rounded(value: float) -> float:
    """To as many digits as a file keeps."""
    return float(f"{value:.12g}")


def counted(value: int) -> Fact:
    """A count that the design itself sets."""
    return exactly(float(value), "1")


def to_toml(chip: Chip) -> str:
    """A chip as a file of a user's catalogue (`PARITY_CATALOGUE`), of which it is the name."""
    return "\n".join(["# Written by `parity chips design`.", *_table(chip, "")]) + "\n"


def _table(record: Record, path: str) -> list[str]:
    """Plain fields and figures first, then the tables below."""
    lines, below = [], []
    for name, field in fields_of(type(record)).items():
        value: Any = getattr(record, name)
        if name == "id" or value is None or value in ("", ()):
            continue
        if field.kind == "figure":
            lines.append(f"{name} = {_figure(value)}")
        elif field.kind in ("support", "market"):
            said = ((key, getattr(value, key)) for key in value.__struct_fields__)
            inside = ", ".join(f"{key} = {_text(one)}" for key, one in said if one)
            lines.append(f"{name} = {{ {inside} }}")
        elif field.kind == "plain":
            lines.append(f"{name} = {_text(value)}")
        elif field.record is not None:
            inner = f"{path}.{name}" if path else name
            rows = _table(value, inner)
            below += ["", f"[{inner}]", *rows] if rows else []
    return lines + below


def _figure(fact: Fact) -> str:
    def written(value: float) -> str:
        if fact.unit in ("1", "year", "fraction"):
            return f"{value:.12g}"
        return f'"{value:.12g} {fact.unit}"'

    ends = f"low = {written(fact.low)}, high = {written(fact.high)}, "
    said = f"value = {written(fact.value)}, {ends}"
    note = f", note = {_text(fact.note)}" if fact.note else ""
    return f'{{ {said}provenance = "{fact.provenance}", source = {_text(fact.source)}{note} }}'


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(_text(one) for one in value) + "]"
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else " " for c in escaped) + '"'
