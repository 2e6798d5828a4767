"""What the words of a published serving table mean: loads, engines, degrees, notes.

`explicit` fills the columns that name these things, where they are blank, from the columns that
hold the source's words. It leaves filled columns as they are, so that doing it twice is doing it
once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from msgspec import structs

from parity.evidence import table
from parity.evidence.serving_schema import MEASURES, ServingRow
from parity.evidence.serving_sources import (
    ServingSet,
    engine_label,
    serving_benchmark,
    serving_set,
    serving_set_of,
)
from parity.evidence.sources import by_text
from parity.evidence.table import Number, Words

DEGREES = ("tp", "pp", "ep", "dp", "cp")
#: Parts to a chip beyond this, and the degrees are simply wrong.
_MOST_RANKS = 8
#: Requests under way over those that a load names, from which on it names something else.
_CONTRADICTED = 1.5

_CORES = re.compile(r"(\d{1,7}) [A-Za-z]{1,20}[Cc]ores?(?: \((\d{1,2}) per chip\))?")
_RANGE = re.compile(r"(\d{1,9}(?:\.\d{1,6})?) ?- ?(\d{1,9}(?:\.\d{1,6})?)(?: uniform)?")
_ROUND = re.compile(r"MLPerf v\d{1,2}\.\d{1,2}")  # of a benchmark, no version of an engine
_VERSION = re.compile(r"\d{1,4}(?:\.\d{1,6}){1,3}")

#: A load in words -> what it says; the first that fits. Groups `n`, `m` and `rate` are numbers.
_SPELLED: tuple[tuple[str, dict[str, object]], ...] = (
    (r"(?P<n>\d{1,9})", {"arrival": "held", "concurrency": "n"}),
    (
        r"(?P<n>\d{1,9}) (?:max concurrency|users?|concurrent(?: requests)?)",
        {"arrival": "closed", "concurrency": "n"},
    ),
    (
        r"(?P<n>\d{1,9}) per (?:GPU|chip|NPU)",
        {"arrival": "closed", "concurrency": "n", "each": True},
    ),
    (r"max(?: \([^)]{0,80}\))?", {"arrival": "offline"}),
    (r"up to (?P<m>\d{1,9})", {"arrival": "offline", "max_sequences": "m"}),
    (r"request rate inf(?: req/s)?", {"arrival": "offline"}),
    (r"request rate (?P<rate>\d{1,9}(?:\.\d{1,6})?) req/s", {"arrival": "open"}),
    (r"all requests at once \(peak None\)", {"arrival": "offline"}),
    (
        r"all requests at once(?: \(peak (?P<n>\d{1,9})(?:\.0{1,6})?\))?",
        {"arrival": "offline", "requests": "n"},
    ),
    (
        r"(?P<n>\d{1,9}) prompts, max-num-seqs (?P<m>\d{1,9})",
        {"arrival": "offline", "requests": "n", "max_sequences": "m"},
    ),
    (
        r"(?P<n>\d{1,9}) [a-z]{0,20} ?requests at (?P<rate>\d{1,9}(?:\.\d{1,6})?) sessions/s",
        {"arrival": "open", "requests": "n"},
    ),
    (r"(?P<n>\d{1,9}) [a-z]{0,20} ?prompts", {"arrival": "offline", "requests": "n"}),
    (r"MLPerf offline", {"arrival": "offline", "scenario": "offline"}),
    (r"MLPerf server", {"arrival": "open", "scenario": "server"}),
    (r"MLPerf interactive", {"arrival": "open", "scenario": "interactive"}),
)
_LOADS = tuple((re.compile(spelled, re.IGNORECASE), facts) for spelled, facts in _SPELLED)

_N = r"[ =](\d{1,9})"
#: Column -> where notes state it: flags of engines, and words.
_NOTED: dict[str, re.Pattern[str]] = {
    "tp": re.compile(r"--?(?:tensor-parallel-size|tp[-_]size|tp)" + _N),
    "pp": re.compile(r"--?(?:pipeline-parallel-size|pp[-_]size|pp)" + _N),
    "ep": re.compile(r"--?(?:ep[-_]size|ep)" + _N),
    "requests": re.compile(r"(?<![\d,])(\d{1,9}) (?:requests|prompts)\b"),
    "token_budget": re.compile(r"(?:--)?max[-_]num[-_](?:batched[-_])?tokens" + _N),
    "max_sequences": re.compile(r"(?:--)?max-num-seqs" + _N),
    "drafted": re.compile(r"(?:MTP|--speculative-num-steps)" + _N),
    "mean_ttft_ms": re.compile(r"mean TTFT (\d{1,9}(?:\.\d{1,6})?) ms"),
    "mean_tpot_ms": re.compile(r"mean TPOT (\d{1,9}(?:\.\d{1,6})?) ms"),
    "context": re.compile(r"average KV length per output token (\d{1,9})"),
    "tpot_limit_ms": re.compile(r"(?:TPOT below|under) (\d{1,6}(?:\.\d{1,3})?) ms"),
}
_HITS = re.compile(r"cache hits \((\d{1,2}(?:\.\d{1,4})?)% of input")
_SPEED = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)-(\d{1,6}(?:\.\d{1,3})?) tok/s per user")
_POOLS = re.compile(
    r"(\d{1,4})P(\d{1,4})D: prefill DP(\d{1,4}) TP(\d{1,4}), decode DP(\d{1,4}) TP(\d{1,4})"
)
_OWN_TOKENS = re.compile(r"attention DP\b|\bDEP\b|--enable-dp-attention", re.IGNORECASE)
_ALL_EXPERTS = re.compile(r"--enable-expert-parallel")


def degree(name: str, text: str, kind: Number | Words, at: str) -> dict[str, Any]:
    """`8`, or `24 NeuronCores`, or `8 TensorCores (2 per chip)`. Raises `BadFile`."""
    parts = _CORES.fullmatch(text)
    if parts is None:
        return {name: table.value(name, text, kind, at)}
    cells: dict[str, Any] = {name: table.value(name, parts[1], kind, at)}
    return {**cells, "ranks_per_chip": int(parts[2])} if parts[2] and int(parts[2]) else cells


def ranged(name: str, text: str, kind: Number | Words, at: str) -> dict[str, Any]:
    """A number, or the middle of a range: `22.7-23.7`, `512-1536 uniform`. Raises `BadFile`."""
    ends = _RANGE.fullmatch(text)
    if ends is None:
        return {name: table.value(name, text, kind, at)}
    low, high = (float(table.value(name, end, kind, at)) for end in ends.groups())
    spread = {"lengths": "mean"} if name != "value" else {}
    return {name: (low + high) / 2, **spread}


def explicit(row: ServingRow) -> ServingRow:
    """The row with what its words mean in columns of their own."""
    about = serving_set(row.set) if row.set else serving_set_of(row.source, row.where)
    row = structs.replace(row, set=about.id)
    row = _filled(row, _noted(row))
    row = _filled(row, _engine(row, about))
    row = _filled(row, _load(row, about))
    row = _filled(row, _benchmark(row))
    row = _filled(row, _layout(row, about))
    row = _filled(row, _traffic(row, about))
    return _unmasked(row, about)


def words_of(row: ServingRow) -> str:
    """All that tables by text are looked up with."""
    parts = (
        row.engine, row.family, row.precision_weights, row.weights, row.chip, row.model,
        row.source, row.where, row.batch_or_concurrency, row.notes,
        f"isl {row.isl:g} osl {row.osl:g};",
    )  # fmt: skip
    return " ".join(parts)


def _filled(row: ServingRow, facts: Mapping[str, Any]) -> ServingRow:
    """The row with `facts` in those columns that are blank."""
    missing = {k: v for k, v in facts.items() if v and not getattr(row, k)}
    return structs.replace(row, **missing) if missing else row


def _noted(row: ServingRow) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for column, pattern in _NOTED.items():
        found = pattern.search(row.notes)
        if found:
            facts[column] = float(found[1]) if "." in found[1] else int(found[1])
    hits, pools = _HITS.search(row.notes), _POOLS.search(row.notes)
    if hits:
        facts["cached_share"] = round(float(hits[1]) / 100, 6)
    if pools:
        facts["pools"] = "{0}x TP{3} DP{2} + {1}x TP{5} DP{4}".format(*pools.groups())
    if _OWN_TOKENS.search(row.notes):
        facts["attention_dp"] = "yes"
    return facts


def _engine(row: ServingRow, about: ServingSet) -> dict[str, Any]:
    label = engine_label(f"{row.engine} {row.engine_version}")
    own = _ROUND.sub("", row.engine_version)
    stated = _VERSION.search(own) or _VERSION.search(row.engine)
    version = stated[0] if stated else by_text(words_of(row), about.version, "")
    if label is None:
        return {"version": version}
    if stated and row.engine.lower().startswith("tensorrt 10"):
        version = label.tensorrt.get(".".join(stated[0].split(".")[:2]), "")
    return {"family": label.family, "version": version}


def _load(row: ServingRow, about: ServingSet) -> dict[str, Any]:
    text = " ".join(row.batch_or_concurrency.split())
    matches = ((pattern.fullmatch(text), facts) for pattern, facts in _LOADS)
    found, facts = next((pair for pair in matches if pair[0]), (None, {}))
    if found is None:
        return _unsaid(row)
    groups = {k: v for k, v in found.groupdict().items() if v}
    out: dict[str, Any] = {
        column: int(groups[group]) if group in groups else 0
        for column, group in facts.items()
        if group in ("n", "m")
    }
    out |= {k: v for k, v in facts.items() if k in ("arrival", "scenario")}
    out["rate_per_s"] = float(groups.get("rate", 0.0))
    if facts.get("each"):
        out["concurrency"] *= row.chip_count or 0
    if out["arrival"] == "held":
        out["arrival"] = "batch" if about.static else "closed"
    return out


def _unsaid(row: ServingRow) -> dict[str, Any]:
    """The load of a row that names none: how fast a user is served says how many there were."""
    speed = _SPEED.search(row.notes)
    measure = MEASURES.get(row.metric)
    if speed and measure and not measure.time and row.chip_count:
        each = (float(speed[1]) + float(speed[2])) / 2
        nodes = row.chip_count / {"per_chip": 1, "per_node": 8}.get(measure.per, row.chip_count)
        return {"arrival": "closed", "concurrency": round(row.value * nodes / each)}
    return {}


def _benchmark(row: ServingRow) -> dict[str, Any]:
    known = serving_benchmark(row.model) if row.scenario else None
    if known is None:
        return {}
    limits = known.interactive if row.scenario == "interactive" else known.server
    facts: dict[str, Any] = {"isl": known.isl, "osl": known.osl, "lengths": known.lengths}
    facts |= {"beams": known.beams, "longest": known.longest}
    if row.scenario == "offline":
        return {**facts, "requests": known.requests}
    return {**facts, "ttft_limit_ms": limits[0], "tpot_limit_ms": limits[1]}


def _layout(row: ServingRow, about: ServingSet) -> dict[str, Any]:
    """Degrees that others imply, and how many of what they count make a chip."""
    facts: dict[str, Any] = {}
    if row.attention_dp == "yes" and row.tp > 1 and not row.dp:
        facts = {"dp": row.tp, "ep": row.tp}
    if _ALL_EXPERTS.search(row.notes) and row.tp:
        facts["ep"] = row.tp * max(row.dp, 1)
    if row.dp > 1 and row.ep > 1:
        facts["attention_dp"] = "yes"
    degrees = attention_ways(row) * max(row.pp, 1) * max(row.cp, 1) * max(row.dp, 1)
    if about.chips_by_layout:
        return facts
    ranks, rest = divmod(degrees, row.chip_count) if row.chip_count else (0, 1)
    if rest == 0 and 1 < ranks <= _MOST_RANKS:
        facts["ranks_per_chip"] = ranks
    return facts


def attention_ways(row: ServingRow) -> int:
    """Ways that attention is divided by: where each rank of experts has its own tokens, engines
    count those ranks as ways of tensor parallelism too.
    """
    tp, dp = max(row.tp, 1), max(row.dp, 1)
    if row.attention_dp == "yes" and tp % dp == 0 and tp * dp > max(row.chip_count, tp):
        return tp // dp
    return tp


def _traffic(row: ServingRow, about: ServingSet) -> dict[str, Any]:
    words = words_of(row)
    facts: dict[str, Any] = {
        "lengths": by_text(words, about.lengths, "fixed") if row.isl or row.osl else ""
    }
    if row.arrival == "batch":
        facts["requests"] = row.concurrency
    elif row.arrival == "offline" and row.scenario != "offline":
        facts["requests"] = by_text(words, about.requests, 0)
    return facts


def _unmasked(row: ServingRow, about: ServingSet) -> ServingRow:
    """The row, its load named for what it was where its own latencies contradict it.

    Requests under way are rate times latency [Little 1961]; a limit on concurrency cannot have
    been far below that. Of requests that all come at once, half are left on average.
    """
    if row.arrival != "closed" or not row.mean_ttft_ms or not row.osl or not row.concurrency:
        return row
    if row.metric != "output_throughput_total":
        return row
    latency_s = (row.mean_ttft_ms + (row.osl - 1) * row.mean_tpot_ms) / 1e3
    under_way = row.value / row.osl * latency_s
    if under_way <= _CONTRADICTED * row.concurrency:
        return row
    requests = by_text(words_of(row), about.requests, round(2 * under_way))
    return structs.replace(row, arrival="offline", requests=requests, concurrency=0)
