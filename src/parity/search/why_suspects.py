"""What may be wrong with a machine or its software, and how to see whether it is.

A suspect changes how a plan runs; one with a free figure, a batch or a power limit, has a level for
each value that is tried. Two suspects of one kind exclude each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import numpy as np
from msgspec import structs

from parity.catalogue.machine import Machine
from parity.layout.layout import Layout
from parity.search.findings import computes_in
from parity.search.why_figures import one_port, over_the_host, spread_over_nodes
from parity.timing.engine import Engine, engine
from parity.timing.software import DIFFERENCES, Software, software
from parity.units import render
from parity.workload.precision import HALVES, Precision
from parity.workload.training import TrainingJob

#: Generations whose whole-step figures stand for older or plainer software.
OLDER_SOFTWARE = ("2025-plain", "2024", "fsdp-2024", "2023", "2022")
OLDER_ENGINES = ("vllm-v1", "vllm-v0", "trtllm-2023", "static")
#: Power limits that are tried, as shares of the rating.
POWER_LIMITS = (0.9, 0.8, 0.7, 0.6, 0.5)


@dataclass(frozen=True)
class Training:
    """How a training plan runs."""

    target: Machine
    software: Software
    job: TrainingJob
    layout: Layout


@dataclass(frozen=True)
class Serving:
    """How a replica of a service runs."""

    target: Machine
    engine: Engine
    precision: Precision


Setup = TypeVar("Setup", Training, Serving)


@dataclass(frozen=True)
class Suspect(Generic[Setup]):
    """One thing that may be wrong: levels are (what it is called, what it does to a setup)."""

    kind: str
    check: str  # a key of `CHECKS`
    levels: tuple[tuple[str, Callable[[Setup], Setup | None]], ...]


def suspect(
    kind: str, check: str, name: str, change: Callable[[Setup], Setup | None]
) -> Suspect[Setup]:
    """A suspect without a free figure."""
    return Suspect(kind, check, ((name, change),))


def _on_machine(
    change: Callable[[Machine], Machine | None],
) -> Callable[[Setup], Setup | None]:
    def changed(setup: Setup) -> Setup | None:
        other = change(setup.target)
        return None if other is None else replace(setup, target=other)

    return changed


def hardware(plan: Setup, tp: int) -> Iterator[Suspect[Setup]]:
    """What may be wrong with links, network and power; tp: chips of a tensor-parallel group."""
    target = plan.target
    host = "chips reach each other over PCIe, not their link"
    yield suspect("links", "links", host, _on_machine(over_the_host))
    yield suspect("ports", "ports", "one network port for a node", _on_machine(one_port))
    if tp > 1:
        chips = "one chip" if tp == 2 else f"{tp // 2} chips"
        apart = f"tensor parallelism over two nodes, {chips} on each"
        yield suspect(
            "links", "nodes", apart, _on_machine(lambda one: spread_over_nodes(one, tp // 2))
        )
    if target.tdp_w is not None:
        rated = float(np.mean(target.tdp_w))
        yield Suspect(
            "power",
            "power",
            tuple(
                (
                    f"clocks held down as by a limit of {render(share * rated, 'W')}, not "
                    f"{render(rated, 'W')}",
                    _on_machine(_limited(share)),
                )
                for share in POWER_LIMITS
            ),
        )


def _limited(share: float) -> Callable[[Machine], Machine | None]:
    def limited(target: Machine) -> Machine | None:
        return None if target.tdp_w is None else replace(target, tdp_w=share * target.tdp_w)

    return limited


def _short(title: str) -> str:
    return title.partition(":")[0]


def training_suspects(plan: Training, *, fits: bool) -> Iterator[Suspect[Training]]:
    """What may be wrong in training; fits: the plan keeps its activations."""
    own, target = plan.software, plan.target
    yield from hardware(plan, int(plan.layout.tp[0]))

    def on_software(**changed: object) -> Callable[[Training], Training]:
        return lambda setup: replace(setup, software=structs.replace(setup.software, **changed))

    for generation in OLDER_SOFTWARE:
        if generation != own.name:
            older = software(generation)
            yield suspect(
                "software",
                "version",
                f"software of another time: {_short(older.title)}",
                lambda setup, older=older: replace(setup, software=older),  # type: ignore[misc]
            )
    if own.fused_attention:
        plain = software("2022")
        names = ("score_bytes_forward", "score_bytes_backward", "score_bytes_saved")
        scores = {name: getattr(plain, name) for name in names}
        unfused = on_software(fused_attention=False, **scores)
        yield suspect("attention", "attention", "attention that is not fused", unfused)
    shown = on_software(**dict.fromkeys(DIFFERENCES, 0.0))
    yield suspect("overlap", "overlap", "no communication hidden behind compute", shown)
    slow = on_software(issue_s=2 * own.issue_s, routing_s=2 * own.routing_s)
    yield suspect("host", "host", "a host that starts operators at half the pace", slow)
    if fits:
        again = np.full(1, 2)
        yield suspect(
            "recompute", "recompute", "full recomputation, though it fits without",
            lambda setup: replace(setup, layout=setup.layout.replace(recompute=again)),
        )  # fmt: skip
    if plan.job.dtype not in HALVES:
        half = "bf16" if computes_in(target.chip, "bf16") else "fp16"
        yield suspect(
            "dtype", "dtype", f"products in {half}, not {plan.job.dtype}",
            lambda setup: replace(setup, job=structs.replace(setup.job, dtype=half)),
        )  # fmt: skip


def serving_suspects(plan: Serving, tp: int, *, apart: bool) -> Iterator[Suspect[Serving]]:
    """What may be wrong with a service; apart: prompts have chips of their own."""
    own, precision = plan.engine, plan.precision
    yield from hardware(plan, tp)
    old = engine("vllm-v0")

    def on_engine(**changed: object) -> Callable[[Serving], Serving]:
        return lambda setup: replace(setup, engine=structs.replace(setup.engine, **changed))

    def in_dtype(**changed: object) -> Callable[[Serving], Serving]:
        return lambda setup: replace(setup, precision=structs.replace(setup.precision, **changed))

    eager = on_engine(
        graphs=False, overlapped=False, launch_share=1.0,
        launches_s=max(own.launches_s, old.launches_s),
    )  # fmt: skip
    yield suspect("launch", "eager", "kernels started one by one: no graphs (eager)", eager)
    if own.overlapped:
        host = on_engine(
            overlapped=False, step_s=max(own.step_s, old.step_s),
            sequence_s=max(own.sequence_s, old.sequence_s),
        )  # fmt: skip
        yield suspect("host", "host", "the chip waits for the host between steps", host)
    if own.chunked and own.mixed and not apart:
        whole = on_engine(chunked=False, mixed=False)
        yield suspect("chunks", "chunks", "prompts not chunked: they hold up decoding", whole)
    for generation in OLDER_ENGINES:
        older = engine(generation)
        if generation != own.name and not own.vendors:
            yield suspect(
                "launch",
                "version",
                f"another engine: {_short(older.title)}",
                lambda setup, older=older: replace(setup, engine=older),  # type: ignore[misc]
            )
    if precision.weights not in HALVES:
        wide = in_dtype(weights=precision.half, weight_only=False)
        name = f"weights in {precision.half}, not {precision.weights}"
        yield suspect("dtype", "dtype", name, wide)
        if not precision.weight_only:
            widened = in_dtype(weight_only=True)
            yield suspect("dtype", "dtype", "weights widened before each product", widened)
    if precision.kv not in HALVES:
        cached = in_dtype(kv=precision.half)
        yield suspect("kv", "kv", f"KV cache in {precision.half}", cached)


#: How to see whether it is so, by vendor where that matters. Sources: docs/how-to/why-so-slow.md.
CHECKS: dict[str, dict[str, str]] = {
    "links": {
        "nvidia": "nvidia-smi topo -m shows NV#, not PHB or SYS; all_reduce_perf (nccl-tests)",
        "amd": "rocm-smi --showtopo shows XGMI, not PCIE; all_reduce_perf (rccl-tests)",
        "huawei": "ascend-dmi --topo shows HCCS, not PHB or SYS; all_reduce_test (hccl_test)",
        "": "the vendor's list of links; an all-reduce between two chips",
    },
    "ports": {"": "NCCL_DEBUG=INFO names every port, as NET/IB, not Socket; ib_write_bw on each"},
    "nodes": {"": "the host of each rank, as NCCL_DEBUG=INFO prints it"},
    "power": {
        "nvidia": "nvidia-smi -q -d POWER,CLOCK,PERFORMANCE under load: limits, and what is Active",
        "amd": "rocm-smi --showmaxpower --showclocks under load",
        "huawei": "npu-smi info under load",
        "": "power limit and clocks under load",
    },
    "eager": {"": "no --enforce-eager (vLLM) or --disable-cuda-graph (SGLang)"},
    "host": {"": "a profile shows the chip idle between steps; processor load and clocks"},
    "chunks": {"": "--enable-chunked-prefill (vLLM), --chunked-prefill-size (SGLang)"},
    "version": {"": "the version that the log prints"},
    "batch": {"": "requests running and waiting in the log; vllm:num_requests_running"},
    "dtype": {"": "--dtype and --quantization, and the dtype that the log prints"},
    "kv": {"": "--kv-cache-dtype, and the dtype that the log prints"},
    "attention": {"": "the attention backend that the log names"},
    "overlap": {"": "a profile shows collectives beside compute, on streams of their own"},
    "recompute": {"": "the option for recomputation or activation checkpointing"},
}  # fmt: skip


def check_of(key: str, vendor: str) -> str:
    """How to see whether a suspect is so on chips of a vendor."""
    ways = CHECKS[key]
    return ways.get(vendor.lower(), ways[""])
