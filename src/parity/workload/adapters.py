"""Fine-tuning with low-rank adapters: frozen weights, and two thin trained products beside them.

    y = W·x + B·A·x,   A: rank × inputs, B: outputs × rank   [Hu et al. 2021, arXiv 2106.09685]

An architecture with adapters is an architecture: everything that follows from operators (FLOPs,
time, memory, gradients to exchange) follows for it too.
"""

from __future__ import annotations

from typing import Literal

from msgspec.structs import replace

from parity.errors import UsageError
from parity.workload.operator import Architecture, Attention, Linear, Operator, Recurrence

#: Beside which products adapters are put: those around attention, or all but routers and experts.
Targets = Literal["attention", "all"]
_ADAPTED = " with adapters of rank "
#: No published adapter is wider.
LARGEST_RANK = 1024


def low_rank(arch: Architecture, rank: int, targets: Targets = "all") -> Architecture:
    """`arch` with every weight frozen and adapters of `rank` in its layers.

    Raises `UsageError` for a rank that is not between 1 and `LARGEST_RANK`.
    """
    if not 1 <= rank <= LARGEST_RANK:
        raise UsageError(f"The rank of adapters is between 1 and {LARGEST_RANK:,}, not {rank:,}.")
    blocks = tuple(
        replace(block, operators=_adapted(block.operators, rank, targets)) for block in arch.blocks
    )
    return replace(
        arch,
        name=f"{arch.name}{_ADAPTED}{rank}",
        embedding=tuple(map(_frozen, arch.embedding)),
        blocks=blocks,
        head=tuple(map(_frozen, arch.head)),
    )


def rank_of(arch: Architecture) -> tuple[str, int]:
    """The name of the model, and the rank of its adapters; 0 where all weights are trained."""
    name, _, rank = arch.name.partition(_ADAPTED)
    return name, int(rank or 0)


def _adapted(operators: tuple[Operator, ...], rank: int, targets: Targets) -> tuple[Operator, ...]:
    last = len(operators) if targets == "all" else _end_of_attention(operators)
    out: list[Operator] = []
    for i, op in enumerate(operators):
        out.append(_frozen(op))
        if i < last and isinstance(op, Linear) and op.experts == 1 and op.split != "none":
            out += _adapter(op, rank)
    return tuple(out)


def _end_of_attention(operators: tuple[Operator, ...]) -> int:
    """One past the product that follows attention or a recurrence; 0 where there is neither."""
    mixed = False
    for i, op in enumerate(operators):
        if mixed and isinstance(op, Linear):
            return i + 1
        mixed = mixed or isinstance(op, Attention | Recurrence)
    return 0


def _adapter(op: Linear, rank: int) -> list[Operator]:
    """The two products beside `op`, divided over chips as it is; what it keeps serves both."""
    inner = {"saves_input": False, "bias": False, "frozen": False, "dtype": ""}
    down = replace(op, name=f"{op.name}_lora_a", outputs=rank, **inner)
    up = replace(op, name=f"{op.name}_lora_b", inputs=rank, **inner)
    if op.split == "row":
        return [down, replace(up, split="none")]
    return [replace(down, split="none"), up]


def _frozen(op: Operator) -> Operator:
    return replace(op, frozen=True)
