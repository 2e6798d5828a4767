"""Which dtypes a model is served in on a chip, when nothing or little is said."""

from __future__ import annotations

from parity.catalogue.schema import DTYPES, Chip
from parity.record import Finding
from parity.search.findings import choose_dtype, computes_in, note
from parity.workload.dtype import DTYPE_BYTES
from parity.workload.operator import Architecture
from parity.workload.precision import HALVES, MULTIPLIED, Precision


def choose_precision(
    arch: Architecture, chip: Chip, dtype: str = "auto", kv: str = "auto"
) -> tuple[Precision, tuple[Finding, ...]]:
    """The precision to serve `arch` in on `chip`, and findings where it was chosen here.

    `auto` serves a checkpoint in the dtype it is stored in. Narrow weights that the chip does not
    multiply are widened as they are read (P101, a note). Raises `Infeasible` where the chip has no
    16-bit products, `MissingFact` where no peak is published.
    """
    half, _ = choose_dtype(chip, "auto")
    weights = arch.weight_dtype if dtype == "auto" else dtype
    weights = half if weights in HALVES or DTYPE_BYTES[weights] >= 2 else weights
    cache = arch.kv_dtype if kv == "auto" else kv
    cache = half if cache in HALVES else cache
    found: list[Finding] = []
    if dtype == "auto":
        found.append(note("P304", f"Served in {weights}, as the checkpoint is stored."))
    if weights not in HALVES and not computes_in(chip, MULTIPLIED.get(weights, weights)):
        native = ", ".join(d for d in DTYPES if computes_in(chip, d))
        found.append(
            note(
                "P101",
                f"{chip.name} does not multiply {weights} (it takes {native}): weights are kept in "
                f"{weights} and widened to {half} as they are read.",
                "warning",
                f"--dtype {half}",
            )
        )
    return Precision(weights=weights, kv=cache, half=half), tuple(found)
