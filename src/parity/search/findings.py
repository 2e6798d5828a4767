"""What a user must know beside the answer: codes, and the sentences that go with them."""

from __future__ import annotations

from parity.catalogue.schema import DTYPES, Chip, figure_at
from parity.errors import Infeasible, MissingFact
from parity.record import Finding
from parity.units import render
from parity.workload.operator import Architecture

#: code -> (title, what it means and what helps); `parity why CODE` prints it.
CODES: dict[str, tuple[str, str]] = {
    "P101": (
        "dtype not native",
        "The matrix units of this chip do not take this dtype. Engines then emulate it, or keep "
        "weights narrow and widen them before each product: slower, and a choice of yours, so it "
        "is never assumed.",
    ),
    "P102": (
        "does not fit in memory",
        "No layout of this many chips holds weights, gradients, optimizer state and one "
        "microbatch of activations. More chips or full recomputation help.",
    ),
    "P103": (
        "no legal layout",
        "Heads, layers, experts and batch do not divide over this many chips. A count with the "
        "factors 2 and 3 nearly always works.",
    ),
    "P104": (
        "no count reaches it",
        "More chips stop helping: the global batch is used up, latency and pipeline fill set a "
        "floor, or more of them fail too often.",
    ),
    "P105": (
        "weights exceed memory",
        "The model's weights in this dtype leave no room for the KV cache on the largest group of "
        "chips a replica may take.",
    ),
    "P106": (
        "latency out of reach",
        "Even a small batch takes longer per token than the target: reading the weights and "
        "crossing the links set the floor.",
    ),
    "P107": (
        "failures leave no time",
        "So many chips fail more often than a restart takes, so hardly any time trains. Fewer "
        "chips, a faster restart, or replicas that go on without the failed one help.",
    ),
    "P108": (
        "engine and chip",
        "Engines run on some chips, on others only in old releases. Where none is known, speeds "
        "are of the hardware, and the engine is yours to find.",
    ),
    "P109": (
        "kernel missing",
        "The engine has no kernel of this kind of attention for this chip: it falls back to a "
        "slower one, or stops.",
    ),
    "P110": (
        "key-value heads copied",
        "Tensor parallelism beyond the key-value heads keeps each of them on several chips: the "
        "cache takes as many times its size.",
    ),
    "P111": (
        "division refused",
        "Engines divide heads whole, and shards of block-scaled weights in whole blocks.",
    ),
    "P112": (
        "number of cores refused",
        "The runtime of this chip takes only some numbers of cores.",
    ),
    "P113": (
        "context too long",
        "Requests are longer than the positions that the model has.",
    ),
    "P114": (
        "too few chips for the load",
        "The chips do not carry the load within the latencies; the answer shows what they carry.",
    ),
    "P115": (
        "percentile missed",
        "On average the latencies hold, but not for so many of the requests that were simulated.",
    ),
    "P201": (
        "weak figure",
        "A catalogue figure this answer rests on was not read at its source: recalled, derived, "
        "secondary or estimated. Its range is in the answer.",
    ),
    "P202": (
        "nobody measured this chip",
        "No published kernel measurement of this chip family at this dtype: a prior with a wide "
        "range stands in.",
    ),
    "P204": (
        "failures not published",
        "Nobody published how often chips of this family stop a training run. What was counted on "
        "other chips stands in, with the range of all counts.",
    ),
    "P206": (
        "trace not taken as it stands",
        "Requests of the trace were put in order, or left out for want of a prompt or an answer.",
    ),
    "P207": (
        "lengths estimated",
        "The trace holds text and no counts of tokens: four bytes are taken as a token, and all "
        "requests as there from the start.",
    ),
    "P301": (
        "model family read generically",
        "The config names a family that has no reader of its own; it was read as a plain "
        "transformer.",
    ),
    "P302": (
        "part of the model left out",
        "Vision and audio towers are not counted: only the language model is planned.",
    ),
    "P303": (
        "quantisation not fully stated",
        "The config says that weights are quantised, but not to how many bits.",
    ),
    "P304": (
        "dtype chosen",
        "No dtype was asked for; the widest-used 16-bit type the chip takes was used.",
    ),
    "P305": (
        "mixture of experts in training",
        "Published training steps of mixtures of experts are predicted less well than those of "
        "dense models: docs/accuracy.md says by how much.",
    ),
    "P311": (
        "chips left idle",
        "The fastest plan of this fleet gives one kind of chip no part: joined, it would hold the "
        "others up, or no layout of it fits.",
    ),
    "P312": (
        "messages between vendors",
        "Chips of two vendors share no collective library here: what they exchange is copied "
        "through host memory. Libraries that do without are rare; with one the plan is faster.",
    ),
    "P313": (
        "networks taken as joined",
        "Chips of several kinds are taken to reach each other with the slower of their network "
        "ports. Fabrics of two types, or with few links between them, are slower.",
    ),
    "P314": (
        "weights in several dtypes",
        "Kinds of chip behind one router keep the model in dtypes that are not the same, so that "
        "answers depend on which of them gives them.",
    ),
    "P315": (
        "caches do not match",
        "Kinds of chip keep the KV cache in dtypes that are not the same: what one cached, the "
        "other cannot go on from, so that they share no requests.",
    ),
    "P321": (
        "simulation stopped early",
        "A limit of engine steps or simulated time was reached before every request had its "
        "answer; figures are of those that finished.",
    ),
    "P322": (
        "load grows without end",
        "Requests come faster than they are served, so that latencies say how long the run was. A "
        "lower rate or more replicas help.",
    ),
    "P323": (
        "requests refused",
        "Prompt and answer of some requests are together longer than the KV cache of a replica; "
        "they are left out.",
    ),
    "P324": (
        "beyond the table of step times",
        "Some steps were larger than the table of step times reaches; its last slope was taken to "
        "go on.",
    ),
    "P401": (
        "old price",
        "The newest published price of this chip is more than a year older than the date of the "
        "question. Prices of chips have fallen and risen again within a year.",
    ),
    "P402": (
        "part of the cost left out",
        "Nobody published what interest, spare parts and taxes come to for a chip; without figures "
        "of yours they are zero.",
    ),
    "P403": (
        "power not published",
        "The rated power of this chip is not published, so that energy and CO2 are left out.",
    ),
    "P404": (
        "chips left over",
        "The best layout leaves some of the chips without a part; they are not in the cost either.",
    ),
    "P405": (
        "load beyond the fleet",
        "The fleet serves fewer requests than were asked for; its books are at the most it serves.",
    ),
}

#: Provenances whose figures are taken as they stand.
_SOLID = ("read", "measured", "user")
#: Paths a training or serving answer rests on.
_USED = (
    "memory.capacity", "memory.bandwidth", "scale_up.bandwidth", "scale_out.bandwidth",
)  # fmt: skip


def note(code: str, message: str, severity: str = "note", fix: str = "") -> Finding:
    """A finding with one of the known codes."""
    return Finding(code=code, severity=severity, message=message, fix=fix)  # type: ignore[arg-type]


def choose_dtype(chip: Chip, dtype: str) -> tuple[str, tuple[Finding, ...]]:
    """The dtype to compute in, and a finding where it was chosen here.

    `auto` takes bf16 where it is native, else fp16. Raises `Infeasible` with P101 where the
    chip does not take the dtype asked for, `MissingFact` where no peak at all is published.
    """
    native = [d for d in DTYPES if computes_in(chip, d)]
    if all(getattr(chip.compute.dense, d) is None for d in DTYPES):
        raise MissingFact(chip.id, "compute.dense.bf16", "100TFLOP/s")
    if dtype == "auto":
        for candidate in ("bf16", "fp16"):
            if candidate in native:
                why = (
                    ""
                    if candidate == "bf16"
                    else f" ({chip.id} has no bf16; fp16 needs loss scaling)"
                )
                return candidate, (note("P304", f"Computed in {candidate}{why}."),)
        raise _not_native(chip, "bf16", native)
    if dtype not in native:
        raise _not_native(chip, dtype, native)
    return dtype, ()


def computes_in(chip: Chip, dtype: str) -> bool:
    """Whether the chip takes `dtype` at all, be it at the rate of its vector units."""
    support = getattr(chip.dtypes, dtype, None)
    return support is not None and support.support in ("native", "half-rate", "vector")


def _not_native(chip: Chip, dtype: str, native: list[str]) -> Infeasible:
    choices = [d for d in ("bf16", "fp16", "fp8", "int8") if d in native]
    finding = note(
        "P101",
        f"{chip.name} has no native {dtype}; it takes {', '.join(native) or 'nothing stated'}.",
        "error",
        f"--dtype {choices[0]}" if choices else "another chip",
    )
    return Infeasible(f"{chip.id} does not compute in {dtype}.", (finding,))


def weak_figures(chip: Chip, dtype: str) -> tuple[Finding, ...]:
    """P201 where figures behind the answer were not read at their source."""
    weak = []
    for path in (f"compute.dense.{dtype}", *_USED):
        fact = figure_at(chip, path)
        if fact is not None and fact.provenance not in _SOLID:
            spread = f"{render(fact.low, fact.unit)}–{render(fact.high, fact.unit)}"
            weak.append(f"{path} {render(fact.value, fact.unit)} ({spread}, {fact.provenance})")
    if not weak:
        return ()
    fix = f"`{chip.id}@{weak[0].split()[0]}=…` with a figure of your own"
    return (note("P201", f"{chip.id} rests on {'; '.join(weak)}.", "warning", fix),)


def weak_class(arch: Architecture) -> tuple[Finding, ...]:
    """P305 where training of this kind of model is predicted less well than of others."""
    if not arch.num_experts:
        return ()
    words = "Training steps of mixtures of experts are predicted less well than dense ones."
    return (note("P305", words, "warning", "`parity validate` for the error by kind of model"),)


def unmeasured(chip: Chip, dtype: str, basis: str) -> tuple[Finding, ...]:
    """P202 where the achieved rate is a prior."""
    if "estimated" not in basis:
        return ()
    return (
        note(
            "P202",
            f"No published {dtype} kernel measurement of {chip.family} chips; {basis}.",
            "warning",
        ),
    )
