"""Which dtypes a model is served in on a chip, when nothing or little is said."""

from __future__ import annotations

from parity.catalogue.schema import Chip
from parity.record import Finding
from parity.search.findings import choose_dtype
from parity.search.gate import Gate, serving_gate
from parity.timing.engine import CURRENT_ENGINE
from parity.workload.operator import Architecture
from parity.workload.precision import HALVES, Precision


def choose_precision(
    arch: Architecture,
    chip: Chip,
    dtype: str = "auto",
    kv: str = "auto",
    generation: str = CURRENT_ENGINE,
) -> tuple[Precision, tuple[Finding, ...]]:
    """The precision to serve `arch` in on `chip`, and what the gate finds.

    `auto` serves a checkpoint as engines do: in the dtype it is stored in, with weights widened as
    they are read where the chip does not multiply it, or in another dtype where they do that.
    Raises `Infeasible` with P1xx, `MissingFact` where no peak is published.
    """
    passed = serving_gate(arch, chip, generation, dtype)
    return precision_of(arch, chip, passed, kv), passed.findings


def precision_of(arch: Architecture, chip: Chip, passed: Gate, kv: str = "auto") -> Precision:
    """The precision of what passed the gate. Raises `Infeasible`, `MissingFact`."""
    half, _ = choose_dtype(chip, "auto")
    choice, cache = passed.choice, arch.kv_dtype if kv == "auto" else kv
    return Precision(
        weights=choice.dtype,
        kv=half if cache in HALVES else cache,
        half=choice.dtype if choice.dtype in HALVES else half,
        weight_only=choice.how == "weight-only",
    )
