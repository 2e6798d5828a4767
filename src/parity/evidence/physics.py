"""The gate: a measurement that breaks physics, or misses it by far, is not evidence."""

from __future__ import annotations

import re

import numpy as np

from parity.catalogue import load
from parity.catalogue.machine import Machine, machine
from parity.errors import ParityError
from parity.evidence.resolve import Case
from parity.evidence.schema import KernelRow
from parity.workload.flop import flop_per_token

#: Slower than this share of the peak, and something else than training was timed.
SLOWEST = 0.01
#: A figure rounded by its source may stand this much above the peak.
ROUNDING = 1.01


def roofline_s(case: Case, numbers: Machine) -> float:
    """Seconds of a step in which the model's FLOPs alone, at every chip's peak, would be done."""
    work = flop_per_token(case.arch, case.job.seq_len, "training") * case.job.global_batch_tokens
    peak = float(np.mean(numbers.peak_flop_per_s[case.job.dtype]))
    return float(work) / (case.chips * peak)


def objection(case: Case, numbers: Machine) -> str:
    """Why the measurement cannot be, or ""."""
    share = roofline_s(case, numbers) / case.measured_s
    if share > ROUNDING:
        return (
            f"faster than physics: {share:.0%} of the {case.job.dtype} peak of its chips, model "
            "FLOPs alone"
        )
    if share < SLOWEST:
        return f"below {SLOWEST:.0%} of the {case.job.dtype} peak of its chips ({share:.2%})"
    return ""


def kernel_objection(row: KernelRow) -> str:
    """Why a kernel measurement cannot be, or "" where it can or nothing is known of its bound."""
    try:
        numbers = machine(load.chip(row.chip))
    except ParityError:
        return ""
    rate, bound, what = _rate(row, numbers)
    if not rate or not bound or rate <= ROUNDING * bound:
        return ""
    return f"faster than physics: {rate / bound:.0%} of {what}"


def sizes(shape: str) -> dict[str, int]:
    """`m=1 n=4096` as numbers."""
    return {name: int(size) for name, size in re.findall(r"(\w+)=(\d+)", shape)}


def _rate(row: KernelRow, numbers: Machine) -> tuple[float, float, str]:
    """(achieved, what the chip could, the words for it) of a kernel."""
    of = sizes(row.shape)
    peak = float(np.mean(numbers.peak_flop_per_s.get(_dtype(row.dtype), 0.0)))
    bandwidth = float(np.mean(numbers.memory_bandwidth_bytes_per_s))
    if row.unit == "TFLOP/s":
        return row.value * 1e12, peak, f"the {_dtype(row.dtype)} peak"
    if row.unit != "us":
        return 0.0, 0.0, ""
    seconds = row.value * 1e-6
    if row.kind == "gemm" and {"m", "n", "k"} <= of.keys():
        return 2.0 * of["m"] * of["n"] * of["k"] / seconds, peak, f"the {_dtype(row.dtype)} peak"
    if row.kind == "attention_prefill" and {"b", "s", "heads", "d"} <= of.keys():
        work = 2.0 * of["b"] * of["heads"] * of["d"] * of["s"] ** 2
        return work / seconds, peak, f"the {_dtype(row.dtype)} peak"
    if row.kind == "attention_decode" and {"b", "kv_len", "kv_heads", "d"} <= of.keys():
        element = 1.0 if "KV fp8" in row.dtype else 2.0
        moved = 2.0 * of["b"] * of["kv_len"] * of["kv_heads"] * of["d"] * element
        return moved / seconds, bandwidth, "the memory bandwidth"
    return 0.0, 0.0, ""


def _dtype(words: str) -> str:
    low = words.lower()
    names = (("fp4", "fp4"), ("fp8", "fp8"), ("int8", "int8"), ("bf", "bf16"), ("fp16", "fp16"))
    first = low.split(",")[0]
    return next((name for text, name in names if text in first), "bf16")
