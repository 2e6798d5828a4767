"""The layout of a case: its own, its own with what it leaves open filled in, or a searched one."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from parity.catalogue.machine import Machine
from parity.evaluate.training import training_step
from parity.evidence.resolve import Case
from parity.evidence.schema import SOME, Row
from parity.evidence.sources import by_id, leaves_out, offload_of
from parity.layout.layout import OFFLOADS, RECOMPUTE, SCHEDULES, Column, Layout, columns
from parity.layout.legal import ENDS, REASONS, illegal
from parity.search.candidates import evaluate
from parity.search.grid import MOST_VIRTUAL_STAGES, Space, flat, layouts, powers_of_two
from parity.timing.software import software

#: Sequences of a microbatch that are tried where a row names none.
MOST_SEQUENCES = 16
#: A rule that real runs break: DeepSeek-V3's layers are no whole chunks.
UNEVEN = REASONS.index(
    "virtual stages need whole chunks of layers and more than one pipeline stage"
)


@dataclass(frozen=True)
class Placed:
    """A case and the one layout it is predicted at."""

    case: Case
    layout: Layout
    origin: str  # stated, completed or searched


class NoLayout(Exception):
    """No layout can be given; the message says why."""


def zero_stage(words: str, replicas: int) -> int:
    """The ZeRO stage that a row's words mean; the distributed optimizer where it has none."""
    low = words.lower()
    if not low:
        return 1 if replicas > 1 else 0
    if "none" in low:
        return 0
    if "zero-2" in low or "shard_grad_op" in low or "optimizer+grads" in low:
        return 2
    if "zero-3" in low or "fsdp" in low or "full_shard" in low:
        return 3
    return 1


def place(case: Case, target: Machine) -> Placed:
    """The layout of a case on `target`. Raises `NoLayout`."""
    row = case.row
    if not any((row.tp, row.pp, row.dp, row.microbatch)):
        return Placed(case, _searched(case, target), "searched")
    options, whole = _stated(case)
    _check(case, options)
    if whole:
        return Placed(case, options, "stated")
    return Placed(case, _fastest_that_fits(case, options, target), "completed")


def _stated(case: Case) -> tuple[Layout, bool]:
    """What a row says, with every value of what it leaves open; whether it leaves nothing open."""
    row = case.row
    tp, pp, cp, ep = (max(getattr(row, name), 1) for name in ("tp", "pp", "cp", "ep"))
    tp, pp = _in_chips(row, tp, pp)
    inner = tp * pp * cp
    if case.chips % inner:
        raise NoLayout(
            f"tp {tp} · pp {pp} · cp {cp} = {inner:,} does not divide its {case.chips:,} chips"
        )
    dp = case.chips // inner
    batch = case.job.global_batch_sequences
    if dp > batch:
        raise NoLayout(f"{dp:,} replicas share a global batch of {batch:,} sequences")
    sizes = [row.microbatch] if row.microbatch else powers_of_two(min(batch / dp, MOST_SEQUENCES))
    modes = [case.recompute] if case.recompute else list(RECOMPUTE)
    fixed = {
        "tp": tp, "pp": pp, "dp": dp, "cp": cp, "ep": ep,
        "zero": zero_stage(row.zero_or_fsdp, dp * cp),
        "sequence_parallel": int(row.seq_parallel != "no"),
        "schedule": SCHEDULES.index(by_id(row.set).schedule) if pp > 1 else 0,
        "offload": OFFLOADS.index(offload_of(row)),
    }  # fmt: skip
    options = list(product(sizes, modes, _interleaves(case, pp)))
    axes = {name: np.full(len(options), value) for name, value in fixed.items()}
    axes["microbatch"] = np.array([size for size, _, _ in options])
    axes["recompute"] = np.array([RECOMPUTE.index(mode) for _, mode, _ in options])
    axes["interleave"] = np.array([virtual for _, _, virtual in options])
    return columns(**axes), len(options) == 1


def _check(case: Case, options: Layout) -> None:
    """Raises `NoLayout` where no trainer could have run what a row says."""
    row, layers = case.row, case.arch.num_hidden_layers
    inner = max(row.tp, 1) * max(row.pp, 1) * max(row.cp, 1)
    ranks = case.chips * row.ranks_per_chip
    if row.dp and row.dp * inner != ranks:
        raise NoLayout(f"dp {row.dp:,} x {inner:,} chips of a replica are not its {ranks:,} chips")
    batch = case.job.global_batch_sequences
    at_once = row.microbatch * int(options.dp[0])
    if at_once and batch % at_once:
        raise NoLayout(
            f"a batch of {batch:,} sequences is no whole number of microbatches of "
            f"{row.microbatch:,} on {int(options.dp[0]):,} replicas"
        )
    if np.all(options.pp * options.interleave > layers + ENDS):
        raise NoLayout(f"more pipeline and virtual stages than its {layers:,} layers")
    code = illegal(case.arch, options, row.seq_len, batch, host_link=True)
    broken = np.broadcast_to(np.where(code == UNEVEN, 0, code), len(options))
    if broken.all():
        raise NoLayout(REASONS[int(broken[0])])


def _interleaves(case: Case, pp: int) -> list[int]:
    """The virtual stages a row says, or all it may mean."""
    row = case.row
    most = min(-(-case.arch.num_hidden_layers // pp), MOST_VIRTUAL_STAGES)
    if row.interleave == SOME and most > 1:
        return list(range(2, most + 1))
    if pp > 1 and leaves_out(row, "interleave"):
        return list(range(1, most + 1))
    return [max(row.interleave, 1)]


def _in_chips(row: Row, tp: int, pp: int) -> tuple[int, int]:
    """Degrees counted in parts of a chip, as degrees of chips: the parts share a tp group."""
    ranks = row.ranks_per_chip
    if ranks == 1 or tp % ranks == 0:
        return tp // ranks, pp
    return tp, max(1, pp // ranks)


def _fastest_that_fits(case: Case, options: Layout, target: Machine) -> Layout:
    """The fastest row that fits in memory, else the one that needs least."""
    step = training_step(case.arch, case.job, options, target, software(case.software))
    total = np.broadcast_to(step.memory.total_bytes, len(options))
    fits = total <= float(np.mean(target.memory_bytes))
    order = np.where(fits, step.time_s, np.inf) if fits.any() else total
    return _row(options, int(np.argmin(order)))


def _searched(case: Case, target: Machine) -> Layout:
    """The fastest layout of all that keep to what the row does say."""
    row, era = case.row, software(case.software)
    plain = Space(fixed={"schedule": 0})  # what runs that do not say otherwise use
    space = flat(layouts(case.arch, case.job, target, era, chips=case.chips, space=plain))
    allowed: Column = np.ones(len(space), dtype=bool)
    if row.zero_or_fsdp:
        allowed &= (space.zero == zero_stage(row.zero_or_fsdp, 2)) | (space.dp * space.cp == 1)
    if case.recompute:
        allowed &= space.recompute == RECOMPUTE.index(case.recompute)
    for name in ("cp", "ep", "interleave"):
        if getattr(row, name) > 0:
            allowed &= getattr(space, name) == getattr(row, name)
    space = space.take(allowed)
    if not len(space):
        raise NoLayout("no legal layout keeps to what the row states")
    found = evaluate(case.arch, case.job, [space], target, era)
    if not len(found.layout):  # it ran, so Parity's memory model is wrong about it
        return _fastest_that_fits(case, space, target)
    return _row(found.layout, int(np.argmin(found.time_s)))


def _row(layout: Layout, index: int) -> Layout:
    return layout.take(np.array([index]))
