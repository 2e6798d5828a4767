"""What must be added to the chips that are owned: the answer, for training and for serving."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from parity.catalogue.machine import Number
from parity.catalogue.schema import Chip
from parity.errors import Infeasible, MissingFact
from parity.record import Finding
from parity.search.match import MISSING_FIGURE
from parity.search.train import MOST_CHIPS, in_nodes
from parity.search.uncertainty import Spread
from parity.search.walls import Obstacle


@dataclass(frozen=True)
class Duty:
    """What one group of chips of a kind does."""

    chip: Chip
    chips: int
    does: str  # "replicas", "stages", "prompts", "decoding"
    share: float  # of the sequences, layers or requests
    layout: str
    layout_fields: dict[str, int | str | bool]
    detail: dict[str, float]


@dataclass(frozen=True)
class Owned:
    """What the owned chips do alone. reach: over the target, with its range; 0 for nothing."""

    reach: float
    spread: Spread | None
    duties: tuple[Duty, ...]
    bound_by: str
    reason: str = ""  # why they do nothing


@dataclass(frozen=True)
class Added:
    """One wanted chip: how many beside the owned ones reach the target, or the wall.

    manner: how they work together: `replicas` of each kind, `pools` or `stages` over two kinds,
    `alone` where chips of other kinds are left out, `owned` where nothing is added.
    """

    chip: Chip
    count: int | None
    manner: str
    reach: float | None  # of all together, over the target
    bound_by: str
    duties: tuple[Duty, ...] = ()
    reason: str = ""  # the wall
    idle: tuple[tuple[Chip, int], ...] = ()  # owned chips that take no part
    wall: Obstacle | None = None  # in figures
    spread: Spread | None = None  # of the count, in whole nodes
    findings: tuple[Finding, ...] = ()
    label: str = ""  # what was asked for, where that is not the plain chip

    @property
    def name(self) -> str:
        """What the row is about, in words."""
        return self.label or self.chip.id


def refused(chip: Chip, error: Infeasible | MissingFact) -> Added:
    """The row of a chip that cannot do the work at all."""
    findings = error.findings if isinstance(error, Infeasible) else ()
    worst = next((f for f in findings if f.severity == "error"), None)
    bound, reason = (worst.code, worst.message) if worst else (MISSING_FIGURE, str(error))
    return Added(chip, None, "", None, bound, reason=reason, findings=findings)


def more_in_nodes(total: Number, owned: int, node: int) -> Number:
    """Chips to add to `owned` of a kind where `total` are needed, whole nodes in all. [1]"""
    whole = in_nodes(np.ceil(np.minimum(total, MOST_CHIPS) - 1e-9), node)
    return np.maximum(whole - owned, 0)
