"""How a training job is divided over chips: one layout, or columns of many."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Column: TypeAlias = NDArray[np.int64]

RECOMPUTE = ("none", "selective", "full")


@dataclass(frozen=True)
class Layout:
    """Degrees of parallelism, as arrays of one shape: an entry is a layout.

    tp, pp, dp, cp, ep: tensor, pipeline, data, context and expert parallelism. Experts are spread
    over `ep` of the tp·cp·dp chips of a stage; with ep = 1 they are divided by tp like the rest.
    interleave: virtual stages per chip. microbatch: sequences. zero: ZeRO stage, 3 is FSDP.
    recompute: index into `RECOMPUTE`. sequence_parallel: 1 where norms and residuals are divided
    by tp along the sequence.

    Chips are numbered tp first, then cp, dp, pp, as Megatron does
    [Narayanan et al. 2021, arXiv 2104.04473, §3].
    """

    tp: Column
    pp: Column
    dp: Column
    cp: Column
    ep: Column
    interleave: Column
    microbatch: Column
    zero: Column
    recompute: Column
    sequence_parallel: Column

    @property
    def chips(self) -> Column:
        """Chips each layout takes."""
        return self.tp * self.pp * self.dp * self.cp

    @property
    def expert_tp(self) -> Column:
        """Ways a single expert is divided: tp, unless experts are spread."""
        return np.where(self.ep > 1, 1, self.tp)

    def take(self, index: NDArray[np.int64] | NDArray[np.bool_]) -> Layout:
        """The layouts at `index`."""
        return Layout(**{f.name: getattr(self, f.name)[index] for f in fields(self)})

    def replace(self, **columns: Column) -> Layout:
        """The same layouts with some columns changed."""
        return Layout(**{f.name: columns.get(f.name, getattr(self, f.name)) for f in fields(self)})

    def __len__(self) -> int:
        return len(self.tp)


def single(
    tp: int = 1,
    pp: int = 1,
    dp: int = 1,
    cp: int = 1,
    ep: int = 1,
    interleave: int = 1,
    microbatch: int = 1,
    zero: int = 1,
    recompute: str = "none",
    sequence_parallel: bool = True,
) -> Layout:
    """One layout, as columns of length one."""
    values = (tp, pp, dp, cp, ep, interleave, microbatch, zero, RECOMPUTE.index(recompute))
    return Layout(*(np.array([v], dtype=np.int64) for v in (*values, int(sequence_parallel))))


def concatenate(parts: list[Layout]) -> Layout:
    """All layouts of `parts`, one after another."""
    return Layout(
        **{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Layout)}
    )


def describe(layout: Layout, i: int = 0) -> str:
    """`TP8 PP4 DP32 VP2 mbs1 ZeRO-1, selective recompute`: only what differs from 1."""
    names = ("tp", "pp", "dp", "cp", "ep")
    parts = [f"{n.upper()}{getattr(layout, n)[i]}" for n in names if getattr(layout, n)[i] > 1]
    if layout.interleave[i] > 1:
        parts.append(f"VP{layout.interleave[i]}")
    parts.append(f"mbs{layout.microbatch[i]}")
    if layout.zero[i] and layout.dp[i] * layout.cp[i] > 1:
        parts.append("FSDP" if layout.zero[i] == 3 else f"ZeRO-{layout.zero[i]}")
    again = RECOMPUTE[layout.recompute[i]].replace("none", "no")
    return " ".join(parts) + f", {again} recompute"


def to_dict(layout: Layout, i: int = 0) -> dict[str, int | str | bool]:
    """Layout `i` as plain values."""
    out: dict[str, int | str | bool] = {
        f.name: int(getattr(layout, f.name)[i]) for f in fields(layout)
    }
    out["recompute"] = RECOMPUTE[layout.recompute[i]]
    out["sequence_parallel"] = bool(layout.sequence_parallel[i])
    return out
