"""Words for the division of a serving replica: it has no microbatches and no optimizer."""

from __future__ import annotations

from parity.layout.layout import Layout

#: Axes of `Layout` that divide a replica.
AXES = ("tp", "pp", "dp", "cp", "ep")


def degrees(layout: Layout, i: int = 0) -> dict[str, int]:
    """The degrees of layout `i`, `dp` counting ranks that share experts."""
    return {name: int(getattr(layout, name)[i]) for name in AXES}


def describe_replica(layout: Layout, i: int = 0) -> str:
    """`TP8 PP2`, `TP1 DP32 EP32`: only what differs from one."""
    own = degrees(layout, i)
    parts = [f"{name.upper()}{n}" for name, n in own.items() if n > 1 and name != "tp"]
    return " ".join([f"TP{own['tp']}", *parts])
