"""What stands in the way before speed is asked: dtypes, engines, kernels, context."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from parity.catalogue.schema import DTYPES, Chip
from parity.errors import Infeasible
from parity.record import Finding
from parity.search.findings import choose_dtype, computes_in, note
from parity.timing.support import Entry, Kernel, Way, engine_of, runs_on, source, support
from parity.workload.dtype import DTYPE_BYTES
from parity.workload.operator import Architecture, Attention
from parity.workload.precision import MULTIPLIED

#: Block-scaled formats and integers by what is multiplied.
_KINDS = {**MULTIPLIED, "int4-g128": "int4", "int4-g32": "int4"}


@dataclass(frozen=True)
class Choice:
    """One way to serve a model: what weights are kept in, and what multiplies them.

    how: `native`, `weight-only` (kept narrow, widened in the product), or `cast` (kept and
    multiplied in another dtype than the checkpoint's).
    """

    dtype: str
    how: Literal["native", "weight-only", "cast"]
    words: str = ""


@dataclass(frozen=True)
class Gate:
    """A model that may be served on a chip: in what, what else it could be, what to know."""

    choice: Choice
    others: tuple[Choice, ...]
    findings: tuple[Finding, ...]
    sources: tuple[str, ...] = ()  # titles and addresses of what was used of `support.toml`


def kind_of(dtype: str) -> str:
    """The dtype in which weights stored in `dtype` would be multiplied."""
    return _KINDS.get(dtype, dtype)


def serving_gate(
    arch: Architecture, chip: Chip, generation: str, dtype: str = "auto", context: float = 0.0
) -> Gate:
    """What `arch` is served in on `chip`, and everything that speed alone would not tell.

    generation: of the engine; one that names no engine stands for any that runs on the chip.
    context: tokens of the longest request. Raises `Infeasible` with every P1xx that forbids it,
    `MissingFact` where no peak is published.
    """
    engine = engine_of(generation)
    about = (
        *engine_findings(chip, engine),
        *kernel_findings(arch, chip, engine),
        *context_findings(arch, context),
    )
    others: tuple[Choice, ...] = ()
    try:
        choice, others, chosen = _chosen(arch, chip, engine, dtype)
        about = (*chosen, *about)
    except Infeasible as error:
        about = (*error.findings, *about)
    errors = tuple(finding for finding in about if finding.severity == "error")
    if errors:
        raise Infeasible(f"{arch.name} cannot be served on {chip.id} as asked.", about)
    return Gate(choice, others, about, _sources(arch, chip, engine, choice))


def choices(arch: Architecture, chip: Chip, engine: str = "") -> tuple[Choice, ...]:
    """Every way that engines serve the checkpoint of `arch` on `chip`, best first.

    The checkpoint's own dtype where products take it, else what engines do instead, and the
    16-bit dtype of the chip. Raises `Infeasible` where the chip has none, `MissingFact`.
    """
    half, _ = choose_dtype(chip, "auto")
    stored = arch.weight_dtype
    found: list[Choice] = []
    if DTYPE_BYTES[stored] < 2:
        way = _way(chip, engine, kind_of(stored))
        if way is None and computes_in(chip, kind_of(stored)):
            found.append(Choice(stored, "native"))
        elif way is not None and way.way == "weight-only":
            found.append(Choice(stored, "weight-only", way.words))
        elif way is not None and way.dtype:
            found.append(Choice(way.dtype, "cast", way.words))
    own = stored == half or DTYPE_BYTES[stored] > 2
    way = _way(chip, engine, stored) if stored in ("bf16", "fp16") else None
    found.append(Choice(half, "native" if own else "cast", way.words if way and not own else ""))
    return tuple({choice.dtype: choice for choice in reversed(found)}.values())[::-1]


def _chosen(
    arch: Architecture, chip: Chip, engine: str, dtype: str
) -> tuple[Choice, tuple[Choice, ...], tuple[Finding, ...]]:
    usual = choices(arch, chip, engine)
    if dtype == "auto":
        best, *others = usual
        return best, tuple(others), _explained(arch, chip, best, tuple(others))
    if DTYPE_BYTES[dtype] >= 2:
        own, _ = choose_dtype(chip, dtype)
        return Choice(own, "native" if own == arch.weight_dtype else "cast"), usual, ()
    way = _way(chip, engine, kind_of(dtype))
    if way is not None and way.way == "weight-only":
        chosen = Choice(dtype, "weight-only", way.words)
        return chosen, usual, _explained(arch, chip, chosen, usual)
    if way is None and computes_in(chip, kind_of(dtype)):
        return Choice(dtype, "native"), usual, ()
    raise Infeasible(f"{chip.id} is not served in {dtype}.", (_refused(chip, dtype, way, usual),))


def _way(chip: Chip, engine: str, kind: str) -> Way | None:
    """What is done with weights of `kind` on `chip`; the mildest where engines differ."""
    order = ("weight-only", "converted", "refused")
    found = [
        way
        for way in support().ways
        if way.stored == kind and way.about(chip) and (not engine or engine in way.engines)
    ]
    return min(found, key=lambda way: order.index(way.way), default=None)


def _explained(
    arch: Architecture, chip: Chip, choice: Choice, others: tuple[Choice, ...]
) -> tuple[Finding, ...]:
    stored = arch.weight_dtype
    fix = _options([other.dtype for other in others if other.dtype != choice.dtype])
    if choice.how == "native":
        if choice.dtype == stored and DTYPE_BYTES[stored] >= 2:
            return (note("P304", f"Served in {choice.dtype}, as the checkpoint is."),)
        return (note("P304", f"Served in {choice.dtype}, as the checkpoint is stored."),)
    words = choice.words or "what engines do instead is not known here"
    message = f"{chip.name} does not multiply {kind_of(stored)}: {words}."
    if choice.how == "cast":
        message = f"{message[:-1]}; taken as served in {choice.dtype}."
    elif choice.dtype != stored:
        message = f"{chip.name} and {choice.dtype}: {words}."
    return (note("P101", message, "warning", fix),)


def _sources(arch: Architecture, chip: Chip, engine: str, choice: Choice) -> tuple[str, ...]:
    way = _way(chip, engine, kind_of(arch.weight_dtype))
    entries: list[Entry] = [way] if way and choice.words else []
    kernels = [kernel for kernel in support().kernels if _wants(arch, chip, engine, kernel)]
    keys = [key for entry in (*entries, *kernels) for key in entry.sources]
    return tuple(f"{source(k).title}, {source(k).url}" for k in dict.fromkeys(keys))


def _refused(chip: Chip, dtype: str, way: Way | None, usual: tuple[Choice, ...]) -> Finding:
    native = ", ".join(d for d in DTYPES if computes_in(chip, d)) or "nothing stated"
    words = (
        way.words if way else f"it takes {native}, and what engines do instead is not known here"
    )
    instead = [way.dtype] if way and way.dtype else []
    fix = _options([*instead, *(choice.dtype for choice in usual if choice.dtype != dtype)])
    message = f"{chip.name} has no native {kind_of(dtype)}: {words}."
    return note("P101", message, "error", fix or "another chip")


def _options(dtypes: list[str]) -> str:
    return " or ".join(f"--dtype {dtype}" for dtype in dict.fromkeys(dtypes))


def engine_findings(chip: Chip, engine: str = "") -> tuple[Finding, ...]:
    """P108 where the engine, or any that is known, does not run on `chip` or no longer does."""
    found = runs_on(chip, engine)
    if found and not found[0].old:
        return tuple(note("P108", run.note, "note") for run in found[:1] if run.note)
    if found:
        others = [run for run in runs_on(chip) if not run.old]
        fix = f"--engine {others[0].engine}" if others else "a release of that time"
        return (note("P108", found[0].note, "warning", fix),)
    if not engine:
        words = (
            f"No serving engine is known here to run on {chip.name}: speeds are of its hardware."
        )
        return (note("P108", words, "warning"),)
    names = dict.fromkeys(run.engine for run in runs_on(chip))
    fix = " or ".join(f"--engine {name}" for name in names) or "another chip"
    words = f"{engine} is not known to run on {chip.name}."
    return (note("P108", words, "error", fix),)


def kernel_findings(arch: Architecture, chip: Chip, engine: str = "") -> tuple[Finding, ...]:
    """P109 for each kernel that `arch` wants and engines lack on `chip`."""
    found = [
        note("P109", f"{chip.name}: {kernel.words}.", kernel.severity, kernel.fix)
        for kernel in support().kernels
        if _wants(arch, chip, engine, kernel)
    ]
    errors = [finding for finding in found if finding.severity == "error"]
    return tuple(errors or found)


def _wants(arch: Architecture, chip: Chip, engine: str, kernel: Kernel) -> bool:
    """Whether `arch` on `chip` would use the missing `kernel`."""
    if not kernel.about(chip) or (engine and engine not in kernel.engines):
        return False
    latent = any(
        isinstance(op, Attention) and op.decode_qk_dim for b in arch.blocks for op in b.operators
    )
    attention = "latent" if latent else "softmax"
    return arch.model_type in kernel.models or kernel.attention == attention


def context_findings(arch: Architecture, context: float) -> tuple[Finding, ...]:
    """P113 where a request is longer than the positions that the model has."""
    most = arch.max_position_embeddings
    if not most or context <= most:
        return ()
    words = (
        f"Requests of {context:,.0f} tokens exceed the {most:,} positions of {arch.name}: "
        f"{support().rules['context'].words}."
    )
    fix = f"--isl and --osl of at most {most:,} tokens together"
    return (note("P113", words, "error", fix),)
