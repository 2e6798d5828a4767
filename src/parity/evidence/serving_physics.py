"""The gate for serving: what no system of these chips could do, or what is something else.

The bounds are generous: every chip at its peak, every byte at full bandwidth, weights read once
for all requests under way, nothing waited for.
"""

from __future__ import annotations

import numpy as np

from parity.catalogue.machine import Machine
from parity.evidence.physics import ROUNDING, SLOWEST
from parity.evidence.serving_resolve import HALVES, ServingCase
from parity.workload.count import active_parameters, cache_bytes, weight_bytes
from parity.workload.dtype import DTYPE_BYTES
from parity.workload.flop import flop_per_token

#: A gigabyte of memory as it is built over one as it is written.
BINARY = 1.024**3
#: A narrow dtype as the catalogue names its products.
_PRODUCTS = {"nvfp4": "fp4", "mxfp4": "fp4", "mxfp8": "fp8"}


def serving_objection(case: ServingCase, numbers: Machine) -> str:
    """Why the measurement cannot be, or ""."""
    if case.row.objection:
        return case.row.objection
    if weight_bytes(case.arch, case.precision.weights) > case.chips * _memory(numbers):
        return (
            f"its weights in {case.precision.weights} do not fit in the memory of {case.chips} "
            f"{case.target.chip}"
        )
    best, name = bound(case, numbers)
    value = case.row.value * (1e-3 if case.row.unit == "ms" else 1.0)
    share = best / value if case.measure.time else value * case.units / best
    if share > ROUNDING:
        return f"faster than physics: {share:.0%} of what {name} allows"
    waits = case.measure.time in ("ttft", "e2e_latency") and case.row.arrival != "batch"
    alone = not case.measure.time or case.degrees[0] * case.degrees[1] == case.chips
    if share < SLOWEST and alone and not waits:
        return f"below {SLOWEST:.0%} of what {name} allows ({share:.2%})"
    return ""


def bound(case: ServingCase, numbers: Machine) -> tuple[float, str]:
    """The best the metric could be, and what sets it: seconds, or tokens/s of the system."""
    time = case.measure.time
    if case.measure.per == "per_user":
        best, name = token_time_s(case, numbers)
        return 1.0 / best, name
    if not time:
        return throughput(case, numbers)
    first, of_first = prompt_time_s(case, numbers)
    each, of_each = token_time_s(case, numbers)
    if time == "ttft":
        return first, of_first
    if time == "e2e_latency":
        return first + max(case.row.osl - 1.0, 0.0) * each, of_each
    return each, of_each


def peak_flop_per_s(case: ServingCase, numbers: Machine) -> float:
    """Of one chip, in the dtype that products can run in at best."""
    weights = case.precision.weights
    own = _PRODUCTS.get(weights, weights)
    names = [n for n in (own, *HALVES) if n in numbers.peak_flop_per_s]
    narrow = not case.precision.weight_only and own in numbers.peak_flop_per_s
    name = own if narrow else next(n for n in names if n in HALVES)
    return float(np.mean(numbers.peak_flop_per_s[name]))


def read_bytes(case: ServingCase) -> float:
    """Bytes of weights that any step reads: those of one token."""
    return active_parameters(case.arch) * DTYPE_BYTES[case.precision.weights]


def prompt_time_s(case: ServingCase, numbers: Machine) -> tuple[float, str]:
    """The least time of a prompt, or a batch of them at once, on all chips, and what sets it."""
    row = case.row
    together = row.concurrency if row.arrival == "batch" else 1
    new = row.isl * (1 - row.cached_share) * together
    flop = float(flop_per_token(case.arch, max(row.isl, 1.0), "prefill")) * new
    compute = flop / (case.chips * peak_flop_per_s(case, numbers))
    return _larger(compute, read_bytes(case) / _bandwidth(case, numbers))


def token_time_s(case: ServingCase, numbers: Machine) -> tuple[float, str]:
    """The least time of one token of one request on all chips, and what sets it."""
    context = case.row.context or case.row.isl + case.row.osl / 2
    flop = float(flop_per_token(case.arch, max(context, 1.0), "decode"))
    compute = flop / (case.chips * peak_flop_per_s(case, numbers))
    read = read_bytes(case) + float(cache_bytes(case.arch, context, case.precision.kv))
    memory = read / _bandwidth(case, numbers) / (case.row.drafted + 1)
    return _larger(compute, memory)


def throughput(case: ServingCase, numbers: Machine) -> tuple[float, str]:
    """The most tokens/s of the system, of those that the metric counts, and what sets it."""
    row = case.row
    peak, bandwidth = peak_flop_per_s(case, numbers) * case.chips, _bandwidth(case, numbers)
    context = row.context or row.isl + row.osl / 2
    decode = float(flop_per_token(case.arch, max(context, 1.0), "decode"))
    computed = (1 - row.cached_share) * row.isl
    prompt = float(flop_per_token(case.arch, max(row.isl, 1.0), "prefill")) * computed
    if case.phase == "prefill":
        tokens = row.isl + (row.osl if case.measure.counts == "total" else 0.0)
        most = tokens * peak / prompt, "compute"
        return (most[0] / row.isl, most[1]) if case.measure.counts == "output" else most
    cache = float(cache_bytes(case.arch, context, case.precision.kv))
    under_way = row.concurrency * (row.drafted + 1)
    each = cache + (read_bytes(case) / under_way if under_way else 0.0)
    answers = 1.0 if case.phase == "decode" else row.osl
    prompts = 0.0 if case.phase == "decode" else prompt
    rates = {
        "compute": answers * peak / (answers * decode + prompts),
        "memory bandwidth": bandwidth / each if each else np.inf,
    }
    name = min(rates, key=rates.__getitem__)
    counted = {"output": 1.0, "input": row.isl / max(row.osl, 1.0)}
    counted["total"] = counted["output"] + counted["input"]
    return rates[name] * counted[case.measure.counts], name


def _memory(numbers: Machine) -> float:
    """Bytes of a chip's memory, which is built in powers of two."""
    return BINARY * float(np.mean(numbers.memory_bytes))


def _bandwidth(case: ServingCase, numbers: Machine) -> float:
    return case.chips * float(np.mean(numbers.memory_bandwidth_bytes_per_s))


def _larger(compute_s: float, memory_s: float) -> tuple[float, str]:
    return (compute_s, "compute") if compute_s >= memory_s else (memory_s, "memory bandwidth")
