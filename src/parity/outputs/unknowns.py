"""The range of an answer, and what it comes from: the figure, and what would measure it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping

from parity.outputs.costing_tables import NAMES
from parity.outputs.document import Words
from parity.record import Fact
from parity.search.uncertainty import KINDS, PRICED, Kind, Spread
from parity.units import significant

#: Figures of a chip, a family or a link, by the end of what they are drawn by: what they are, of
#: whom, and what measurement would give them.
FIGURES = {
    "compute.dense": ("the {by} peak of {owner}", "a data sheet that states it"),
    "memory.capacity": ("the memory of {owner}", "a data sheet that states it"),
    "memory.bandwidth": ("the memory bandwidth of {owner}", "a copy timed on one chip"),
    "scale_up.bandwidth": ("the scale-up link of {owner}", "a transfer timed between two chips"),
    "scale_out.bandwidth": ("the network link of {owner}", "a transfer timed between two nodes"),
    "tdp": ("the power rating of {owner}", "a data sheet that states it"),
    "achieved_fraction": ("what collectives reach of {owner}", "an all-reduce timed on it"),
    "mtbf_hours": ("how often {owner} chips fail", "a count of failures"),
    "gemm": (
        "what matrix products reach of the peak of {owner}",
        "a matrix product timed on one chip",
    ),
    "gemm_memory": (
        "what small matrix products reach of the bandwidth of {owner}",
        "a small matrix product timed on one chip",
    ),
    "gemm_launch_s": ("the gap before each matrix product on {owner}", "a trace of a step"),
    "routed_launch_s": ("the time to sort tokens by expert on {owner}", "a layer of experts timed"),
    "routed_passes": ("the time to move tokens to experts on {owner}", "a layer of experts timed"),
    "sustained": (
        "what matrix products hold of their rate over hours on {owner}",
        "training steps timed on one node",
    ),
    "attention_sustained": (
        "what attention holds of its rate over hours on {owner}",
        "training steps timed on one node",
    ),
    "served": (
        "what matrix products hold of their rate in serving on {owner}",
        "prompts timed on one replica",
    ),
    "attention_forward": (
        "what attention reaches of the peak of {owner}",
        "attention timed on one chip",
    ),
    "attention_backward": (
        "what attention reaches of the peak of {owner} backwards",
        "attention timed on one chip",
    ),
    "attention_launch_s": ("the gap before attention on {owner}", "a trace of a step"),
    "attention": ("what attention reaches of the peak of {owner}", "attention timed on one chip"),
    "cache_memory": (
        "what reading the KV cache reaches of the bandwidth of {owner}",
        "decoding timed on one chip",
    ),
    "cache_launch_s": ("the gap before decoding attention on {owner}", "a trace of a step"),
    "flash": ("what FlashAttention {by} reaches on {owner}", "attention timed on one chip"),
    "scan": ("what chunked recurrences reach on {owner}", "a recurrent layer timed on one chip"),
    "widened": (
        "what widening {by}-bit weights costs on {owner}",
        "a product of narrow weights timed on one chip",
    ),
    "memory": (
        "what memory-bound operators reach of the bandwidth of {owner}",
        "a norm timed on one chip",
    ),
    "launch_s": ("the gap between kernels on {owner}", "a trace of a step"),
}
#: Figures of a generation of software or of an engine.
GENERATIONS = {
    "kernel_share": ("what its kernels reach of the best", "a matrix product timed in it"),
    "bandwidth_share": ("what its kernels reach of the bandwidth", "decoding timed in it"),
    "traffic": ("the memory traffic of fused operators", "a trace of a step"),
    "issue_s": ("the host's time to start an operator", "a trace of a step"),
    "routing_s": ("the wait for the routing of experts", "a trace of a step"),
    "routed": ("the time of routed experts", "a layer of experts timed in it"),
    "launch_share": ("the gaps that graphs leave", "a trace of a step"),
    "launches_s": ("the host's time to start an operator", "a trace of a step with prompts"),
    "step_s": ("the host's time for a step", "decoding timed at batch 1"),
    "sequence_s": ("the host's time for a request of a step", "decoding timed at a large batch"),
    "expert_skew": ("how unevenly experts are loaded", "a count of tokens by expert"),
    "tp_overlap": ("what hides of tensor-parallel communication", "a trace of a step"),
    "dp_overlap": ("what hides of gradient communication", "a trace of a step"),
    "pp_overlap": ("what hides of pipeline transfers", "a trace of a step"),
    "cp_overlap": ("what hides of context-parallel communication", "a trace of a step"),
    "ep_overlap": ("what hides of expert-parallel communication", "a trace of a step"),
}
#: The rest, by the whole of what they are drawn by.
OTHERS = {
    "power_exponent": ("how rates follow the power rating", "steps timed at two power limits"),
    "watts_exponent": (
        "how what products reach follows the watts for a TFLOP/s",
        "a matrix product timed on one chip",
    ),
    "host staging": ("what passes through hosts between vendors", "a transfer timed between them"),
    "run.restart_s": ("the time of a restart", "a restart timed, or --restart"),
    "run.checkpoint_s": (
        "the time that a checkpoint stops training",
        "a checkpoint timed, or --checkpoint",
    ),
    "run.write_bytes_per_s": ("the rate at which checkpoints are stored", "a checkpoint timed"),
    "run.speed_spread": ("how unlike the speeds of chips are", "one product timed on all chips"),
}
#: What is missed beyond figures, by what runs.
MISSES = {
    "software": (
        "how far measured training is from predictions on {owner}", "steps of this run timed",
    ),
    "engine": (
        "how far measured serving is from predictions on {owner}", "a benchmark of one replica",
    ),
}  # fmt: skip
#: What nobody knows by its name is a level of the network.
LEVELS = {"scale-up": "the scale-up link", "scale-out": "the network", "host": "the host's bus",
          "core": "the core of the network"}  # fmt: skip

#: Kinds of figures.
KIND_WORDS: dict[Kind, str] = {
    "specification": "specifications",
    "model": "errors of the model",
    "scenario": "failures and prices",
}
#: A kind with less of the variance is not named.
LEAST_KIND = 0.005

_OWN = "|".join(map(re.escape, FIGURES))
_FIGURE = re.compile(rf"(?P<owner>.+?)\.(?P<figure>{_OWN})(\.(?P<by>[^.]+))?")
_GENERATION = re.compile(rf"(software|engine)\.(?P<name>.+)\.(?P<figure>{'|'.join(GENERATIONS)})")
_MISSES = re.compile(r"(?P<kind>software|engine)\.(?P<name>.+?)\.elapsed\.(.+/)?(?P<of>.+)")


def words(key: str) -> tuple[str, str]:
    """(what a figure is, what would measure it), by the key that it is drawn by."""
    if key in OTHERS:
        return OTHERS[key]
    if PRICED in key:
        name = key.split(PRICED)[0]
        return NAMES.get(name, name), "a quote or a figure of one's own"
    if missed := _MISSES.fullmatch(key):
        what, how = MISSES[missed["kind"]]
        return what.format(owner=missed["of"]), how
    if of := _GENERATION.fullmatch(key):
        return GENERATIONS[of["figure"]]
    if of := _FIGURE.fullmatch(key):
        what, how = FIGURES[of["figure"]]
        owner = LEVELS.get(of["owner"], of["owner"])
        return what.format(owner=owner, by=of["by"] or ""), how
    return key, "a measurement"


def range_fields(spread: Spread, of: str) -> dict[str, object]:
    """P10, P50 and P90 as plain numbers, and how much each kind of figure makes; of what."""
    ends = {"low": spread.low, "p50": spread.median, "high": spread.high}
    return {"of": of, **ends, "kinds": kinds_fields(spread.kinds)}


def kinds_fields(kinds: Mapping[Kind, float]) -> dict[str, float]:
    """Parts of the variance as plain numbers; empty where nothing varies."""
    return {kind: kinds[kind] for kind in KINDS if kind in kinds}


def cost_kinds(count: Spread, cost: Fact) -> dict[Kind, float]:
    """Parts of the variance of a cost, whose count and price are independent and multiplied.

    cost: P10 and P90 over both. In logarithms their variances add up.
    """
    if cost.low <= 0 or cost.low == cost.high or count.low <= 0:
        return {}
    own = (math.log(count.high / count.low) / math.log(cost.high / cost.low)) ** 2
    priced = 1.0 - min(own, 1.0)
    kinds = {kind: (1.0 - priced) * count.kinds.get(kind, 0.0) for kind in KINDS}
    return {**kinds, "scenario": kinds["scenario"] + priced}


def dominant(kinds: Mapping[Kind, float], of: str = "") -> str:
    """`Errors of the model dominate (95 %), before specifications (5 %).`, or nothing.

    of: what is wide, where that is not the range just told.
    """
    told = sorted((k for k in kinds if kinds[k] >= LEAST_KIND), key=lambda k: -kinds[k])
    if not told:
        return ""
    first, *rest = (f"{KIND_WORDS[kind]} ({100 * kinds[kind]:.0f} %)" for kind in told)
    start = f"in {of}, {first}" if of else first
    end = f", before {' and '.join(rest)}" if rest else ""
    return f"{start[:1].upper()}{start[1:]} dominate{end}."


def uncertainty_fields(spread: Spread) -> list[dict[str, object]]:
    """Where a range comes from as plain data, the most telling first."""
    known = [spread.known or (None, None)] + [(None, None)] * len(spread.sources)
    return [
        {
            "source": one.key,
            "share": one.share,
            "words": words(one.key)[0],
            "measure": words(one.key)[1],
            "narrowed": {"low": ends[0], "high": ends[1]},
        }
        for one, ends in zip(spread.sources, known, strict=False)
    ]


def most_of(spread: Spread, shown: Callable[[float], str], unit: str = "") -> str:
    """`Most of the range comes from … (62 %); … would narrow it to 1,600–2,400.`, and which kind
    of figure dominates; or nothing.

    shown: an end of the range as text, in `unit`.
    """
    return " ".join(filter(None, (_first_of(spread, shown, unit), dominant(spread.kinds))))


def _first_of(spread: Spread, shown: Callable[[float], str], unit: str) -> str:
    """The first source, and what measuring it would leave."""
    if not spread.sources or spread.known is None:
        return ""
    first = spread.sources[0]
    what, how = words(first.key)
    part = "Most" if first.share >= 0.5 else "The largest part"
    low, high = map(shown, spread.known)
    end = f"{how} would narrow it to {low}–{high} {unit}".rstrip()
    if (low, high) == (shown(spread.low), shown(spread.high)):
        end = "knowing it alone moves neither end"
    return f"{part} of the range comes from {what} ({100 * first.share:.0f} %); {end}."


def uncertain(spread: Spread, unit: str) -> tuple[Words, ...]:
    """What most of a range comes from, and what would narrow it; `unit` of its ends."""
    text = most_of(spread, lambda end: significant(end, 3) if end < 100 else f"{end:,.0f}", unit)
    return (Words(text=text),) if text else ()
