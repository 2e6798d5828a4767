"""From a row of serving evidence to what Parity can evaluate: model, machine, precision, load.

What a row leaves blank: weights are served as the checkpoint stores them and the cache in 16 bits
or as the source does elsewhere; degrees of parallelism that are not named are 1, unless none is
named, when they are searched; a row whose lengths, load or count of chips is not known is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from parity.catalogue.schema import Chip
from parity.errors import ParityError, UnknownName
from parity.evidence import models
from parity.evidence.resolve import Refusal, Refused, Target, chip_of
from parity.evidence.serving_schema import MEASURES, STATISTICS, Measure, ServingRow
from parity.evidence.serving_sources import engine_labels, serving_benchmark, serving_set
from parity.evidence.serving_words import attention_ways, words_of
from parity.evidence.sources import by_text
from parity.workload.count import parameters
from parity.workload.dtype import DTYPE_BYTES, dtype
from parity.workload.operator import Architecture

Phase = Literal["both", "prefill", "decode"]

HALVES = ("bf16", "fp16")
#: Words for a precision that do not say which.
_UNSAID = ("see recipe", "unset", "int4/int8")
#: What engines mean that load weights of this many bits and multiply in 16.
_WEIGHT_ONLY = ("awq", "gptq", "uint4", "w4a16", "w8a16")


@dataclass(frozen=True)
class Stored:
    """What a row's weights and cache are stored in."""

    weights: str
    kv: str
    weight_only: bool


@dataclass(frozen=True)
class ServingCase:
    """A row with all that is needed to predict it."""

    row: ServingRow
    arch: Architecture
    size: int  # parameters
    kind: str  # dense or moe
    target: Target
    chips: int
    precision: Stored
    phase: Phase
    degrees: tuple[int, int, int, int, int]  # tp, pp, dp, cp, ep in chips; zeros: to be searched
    measure: Measure

    @property
    def units(self) -> float:
        """Units of the system that the metric is stated for: the value times these is the total."""
        return {
            "total": 1.0, "per_user": 1.0, "per_chip": self.chips, "per_card": self.chips,
            "per_node": self.chips / (self.target.node or 8), "per_die": self.chips * self.parts,
        }[self.measure.per]  # fmt: skip

    @property
    def parts(self) -> int:
        """Dies of a chip, where degrees count those."""
        return max(self.row.ranks_per_chip, 1)


def resolve_serving(row: ServingRow) -> ServingCase | Refused[ServingRow]:
    """The case of a row whose words are explicit, or why there is none."""
    name = row.chip
    try:
        if row.metric in STATISTICS or row.mode == "service statistics":
            raise Refusal("a statistic of a service's day, no measurement of one system")
        chip = _chip(row)
        name = chip.id
        return _case(row, chip)
    except Refusal as refusal:
        return Refused(row, refusal.reason, refusal.specified, name)
    except ParityError as error:
        return Refused(row, str(error), True, name)


def _chip(row: ServingRow) -> Chip:
    try:
        return chip_of(row.chip)
    except UnknownName as error:
        raise Refusal(str(error)) from None


def _case(row: ServingRow, chip: Chip) -> ServingCase:
    phase = phase_of(row)
    label = by_text(row.model, serving_set(row.set).model, row.model)
    try:
        arch = models.named(label)
    except models.Unresolved as error:
        raise Refusal(str(error)) from None
    if "AFD" in row.engine:
        raise Refusal("attention and networks on chips of their own are not modelled")
    degrees, chips = _degrees(row)
    _complete(row, phase, chips)
    return ServingCase(
        row=row,
        arch=arch,
        size=parameters(arch),
        kind="moe" if arch.num_experts > 1 else "dense",
        target=Target(chip=chip.id, chips=chips if chip.cluster.startswith("tpu") else 0),
        chips=chips,
        precision=stored_in(row, arch),
        phase=phase,
        degrees=degrees,
        measure=MEASURES[row.metric],
    )


def phase_of(row: ServingRow) -> Phase:
    """Which part of serving was measured."""
    mode = row.mode.lower()
    if "prefill" in mode or row.osl == 1:
        return "prefill"
    return "decode" if "decode" in mode else "both"


def _degrees(row: ServingRow) -> tuple[tuple[int, int, int, int, int], int]:
    """(degrees in chips, chips of the system)."""
    tp, pp, dp, cp = (max(n, 1) for n in (attention_ways(row), row.pp, row.dp, row.cp))
    parts = max(row.ranks_per_chip, 1)
    tp, dp = (tp // parts, dp) if tp % parts == 0 else (tp, max(dp // parts, 1))
    ep = max(row.ep // parts, 1) if row.ep else 1
    if serving_set(row.set).chips_by_layout:
        return (tp, pp, dp, cp, ep), tp * pp * dp * cp
    if row.pools or not any((row.tp, row.pp, row.dp, row.ep)):
        return (0, 0, 0, 0, 0), row.chip_count or _pooled(row)
    if row.ep and not row.tp and not row.dp:
        return (0, 0, 0, 0, ep), row.chip_count  # how attention is divided is to be searched
    inner = tp * pp * dp * cp
    if row.chip_count and row.chip_count % inner:
        raise Refusal(
            f"tp {tp} · pp {pp} · dp {dp} = {inner:,} does not divide its {row.chip_count:,} chips"
        )
    return (tp, pp, dp, cp, ep), row.chip_count


def _pooled(row: ServingRow) -> int:
    """Chips of a row that only names its pools."""
    return sum(n * tp * dp for n, tp, dp in pools(row)) // max(row.ranks_per_chip, 1)


def pools(row: ServingRow) -> list[tuple[int, int, int]]:
    """(replicas, tp, dp) of the pool for prompts and of that for tokens; nothing where not said."""
    found = []
    for part in row.pools.split(" + ") if row.pools else []:
        count, tp, dp = part.replace("x", "").replace("TP", "").replace("DP", "").split()
        found.append((int(count), int(tp), int(dp)))
    return found


def _complete(row: ServingRow, phase: Phase, chips: int) -> None:
    lengths = bool(row.isl and row.osl) or (phase == "prefill" and bool(row.isl))
    lengths = lengths or (phase == "decode" and bool(row.context or row.isl))
    saturated = phase == "prefill" or "saturated" in row.notes
    load = bool(row.arrival or row.tpot_limit_ms) or saturated
    known = serving_benchmark(row.model) if row.scenario else None
    missing = [
        words
        for there, words in (
            (chips, "the number of chips"),
            (lengths or known, "the lengths of prompts and answers"),
            (load, "the load"),
        )
        if not there
    ]
    if missing:
        one = len(missing) == 1 and "lengths" not in missing[0]
        raise Refusal(f"{', '.join(missing)} {'is' if one else 'are'} not stated")
    if known and not row.isl:
        raise Refusal("the mean length of this benchmark's prompts is not known")
    if row.batch_or_concurrency and not row.arrival:
        raise Refusal(f"the load {row.batch_or_concurrency!r} is not understood")


def stored_in(row: ServingRow, arch: Architecture) -> Stored:
    """The dtypes that a row, its source or the checkpoint says. Raises `Refusal`."""
    label = (row.weights or row.precision_weights).lower().replace("(inferred)", "").strip()
    weights = _weights(row, label, arch)
    family = next((e for e in engine_labels() if e.family == row.family), None)
    only = family is not None and weights in family.weight_only
    weight_only = only or any(word in label for word in _WEIGHT_ONLY)
    if row.weight_only:
        weight_only = row.weight_only == "yes"
    cache = (row.kv or row.precision_kv).split()
    kv = dtype(cache[0]) if cache else by_text(words_of(row), serving_set(row.set).kv, "")
    half = weights if weights in HALVES else "bf16"
    default = arch.kv_dtype if DTYPE_BYTES[arch.kv_dtype] < 2 else half
    return Stored(weights, kv or default, weight_only)


def _weights(row: ServingRow, label: str, arch: Architecture) -> str:
    if any(label.startswith(word) for word in _UNSAID):
        if "fp8" in row.model.lower():
            return "fp8"
        raise Refusal(f"the precision is not stated ({label})")
    if not label or label == "checkpoint default":
        own = arch.weight_dtype
        return "bf16" if DTYPE_BYTES[own] > 2 else own
    word = label.replace("(", " ").replace(")", " ").replace("/", " ").split()[0]
    if word == "16-bit":
        return "bf16"
    if word == "fp4":
        return "mxfp4" if "amd" in row.chip.lower() else "nvfp4"
    try:
        return dtype(word)
    except UnknownName:
        raise Refusal(f"precision {label!r} is not known") from None
