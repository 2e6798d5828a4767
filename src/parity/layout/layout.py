"""How a training job is divided over chips: one layout, or columns of many."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Column: TypeAlias = NDArray[np.int64]

RECOMPUTE = ("none", "selective", "full")
#: One forward, one backward, interleaved where there are virtual stages [Narayanan et al. 2021,
#: arXiv 2104.04473]; ZB-H1 [Qi et al. 2023, arXiv 2401.10241]; DualPipe [DeepSeek-V3, 2412.19437].
SCHEDULES = ("1f1b", "zero-bubble", "dualpipe")
#: Keys and values passed around a ring [Liu et al. 2023, arXiv 2310.01889], or heads exchanged for
#: tokens, all to all [DeepSpeed-Ulysses, arXiv 2309.14509].
CP_METHODS = ("ring", "ulysses")
#: What rests in the memory of the host [ZeRO-Offload, arXiv 2101.06840; ZeRO-Infinity, 2104.07857].
OFFLOADS = ("none", "optimizer", "activations", "both")
#: Axes whose values are words.
WORDS = {
    "recompute": RECOMPUTE, "schedule": SCHEDULES, "cp_method": CP_METHODS, "offload": OFFLOADS,
}  # fmt: skip
#: What an axis is where nothing is said of it; `etp` is tp, or 1 where experts are spread.
DEFAULTS = {"zero": 1, "sequence_parallel": 1, **dict.fromkeys(WORDS, 0)}


@dataclass(frozen=True)
class Layout:
    """Degrees of parallelism, as arrays that broadcast to one shape: an entry is a layout.

    Axes that change how a layer is divided lie along the last dimension. Others may lie along
    dimensions before it, as samples do: then every one of them goes with every division.

    tp, pp, dp, cp, ep: tensor, pipeline, data, context and expert parallelism. Experts are spread
    over `ep` groups of `etp` of the tp·cp·dp chips of a stage; a group divides each of its experts.
    interleave: virtual stages per chip. microbatch: sequences. zero: ZeRO stage, 3 is FSDP.
    recompute, schedule, cp_method, offload: indices into `WORDS`. sequence_parallel: 1 where norms
    and residuals are divided by tp along the sequence.

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
    etp: Column
    schedule: Column
    cp_method: Column
    offload: Column

    @property
    def chips(self) -> Column:
        """Chips each layout takes."""
        return self.tp * self.pp * self.dp * self.cp

    @property
    def shape(self) -> tuple[int, ...]:
        """What the columns broadcast to."""
        return np.broadcast_shapes(*(getattr(self, f.name).shape for f in fields(self)))

    @property
    def count(self) -> int:
        """How many layouts there are."""
        return math.prod(self.shape)

    def take(self, index: NDArray[np.int64] | NDArray[np.bool_]) -> Layout:
        """The layouts at `index` of the last dimension."""
        own = (getattr(self, name) for name in _AXES)
        return Layout(*[column if column.ndim > 1 else column[index] for column in own])

    def rows(self, mask: NDArray[np.bool_] | None = None) -> Layout:
        """The layouts where `mask`, of `shape`, holds, one after another along one dimension."""
        chosen = np.ones(self.shape, dtype=bool) if mask is None else mask
        own = {f.name: getattr(self, f.name) for f in fields(self)}
        return Layout(**{k: np.broadcast_to(v, self.shape)[chosen] for k, v in own.items()})

    def replace(self, **columns: Column) -> Layout:
        """The same layouts with some columns changed."""
        return Layout(**{f.name: columns.get(f.name, getattr(self, f.name)) for f in fields(self)})

    def __len__(self) -> int:
        """Divisions of a layer: entries of the last dimension."""
        return len(self.tp)


_AXES = tuple(f.name for f in fields(Layout))


def columns(**given: Column) -> Layout:
    """Layouts by the axes given, all of one shape; the rest as `DEFAULTS` say, else 1."""
    some = next(iter(given.values()))
    every = {
        f.name: given.get(f.name, np.full_like(some, DEFAULTS.get(f.name, 1)))
        for f in fields(Layout)
    }
    if "etp" not in given:
        every["etp"] = np.where(every["ep"] > 1, 1, every["tp"])
    return Layout(**every)


def single(**given: int | str | bool) -> Layout:
    """One layout, as columns of length one; words for the axes of `WORDS`."""
    numbers = {k: WORDS[k].index(str(v)) if k in WORDS else int(v) for k, v in given.items()}
    if not numbers:
        numbers = {"tp": 1}
    return columns(**{k: np.array([v], dtype=np.int64) for k, v in numbers.items()})


def concatenate(parts: list[Layout]) -> Layout:
    """All layouts of `parts`, one after another."""
    return Layout(
        **{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Layout)}
    )


def describe(layout: Layout, i: int = 0) -> str:
    """`TP8 PP4 DP32 VP2 mbs1 ZeRO-1, no recompute`: only what differs from the usual."""
    row = to_dict(layout, i)
    parts = [f"{n.upper()}{row[n]}" for n in ("tp", "pp", "dp", "cp", "ep") if row[n] != 1]
    if row["etp"] != (1 if layout.ep[i] > 1 else row["tp"]):
        parts.append(f"ETP{row['etp']}")
    if layout.interleave[i] > 1:
        parts.append(f"VP{row['interleave']}")
    parts.append(f"mbs{row['microbatch']}")
    if layout.zero[i] and layout.dp[i] * layout.cp[i] > 1:
        parts.append("FSDP" if layout.zero[i] == 3 else f"ZeRO-{row['zero']}")
    rest = [f"{row['recompute']} recompute".replace("none", "no")]
    rest += [str(row[name]) for name in ("schedule", "cp_method") if getattr(layout, name)[i]]
    if layout.offload[i]:
        what = "optimizer and activations" if row["offload"] == "both" else row["offload"]
        rest.append(f"{what} offloaded")
    return " ".join(parts) + ", " + ", ".join(rest)


def to_dict(layout: Layout, i: int = 0) -> dict[str, int | str | bool]:
    """Layout `i` as plain values."""
    out: dict[str, int | str | bool] = {
        f.name: int(getattr(layout, f.name)[i]) for f in fields(layout)
    }
    out |= {name: words[int(out[name])] for name, words in WORDS.items()}
    out["sequence_parallel"] = bool(layout.sequence_parallel[i])
    return out
