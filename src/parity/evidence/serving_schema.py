"""One row of serving evidence: what was served, on what, under which load, and what was measured.

The columns are the public format, beside those of training: a table that states `isl`, `osl`,
`engine` or a metric of serving is read as serving. The first block of columns is what published
tables print, in their words; the second makes explicit what those words mean. What the second
leaves blank follows from the first, as `serving_words` says.
"""

from __future__ import annotations

from itertools import product
from typing import Literal

from parity.evidence.table import Number, Words
from parity.record import Record

Counts = Literal["output", "input", "total"]
Per = Literal["total", "per_chip", "per_node", "per_card", "per_die", "per_user"]
Arrival = Literal["", "offline", "batch", "closed", "open"]
#: What latencies are named after.
TIMES = ("ttft", "tpot", "itl", "e2e_latency")


class Measure(Record, frozen=True):
    """What a metric means. counts, per: of a rate. time, statistic: of a latency."""

    counts: Counts = "output"
    per: Per = "total"
    time: str = ""  # one of TIMES
    statistic: str = "mean"


def _latencies() -> dict[str, Measure]:
    found = {}
    for time in TIMES:
        found[time] = found[f"mean_{time}"] = Measure(time=time)
        found[f"median_{time}"] = Measure(time=time, statistic="p50")
        for percentile in ("p50", "p90", "p95", "p99"):
            found[f"{time}_{percentile}"] = Measure(time=time, statistic=percentile)
    return found


_PLACES: tuple[Per, ...] = ("total", "per_chip", "per_node", "per_card", "per_die")
_COUNTED: tuple[Counts, ...] = ("output", "input", "total")

#: Metric -> what it means.
MEASURES: dict[str, Measure] = {
    **{
        f"{counts}_throughput_{per}": Measure(counts, per)
        for counts, per in product(_COUNTED, _PLACES)
    },
    **_latencies(),
    "output_tokens_per_s_per_user": Measure("output", "per_user"),
}
#: Statistics of a service over a day: no measurement of one system.
STATISTICS = (
    "daily_input_tokens", "daily_output_tokens", "cache_hit_input_tokens", "average_nodes",
    "peak_nodes", "daily_cost", "theoretical_daily_revenue", "cost_profit_margin",
)  # fmt: skip

_RATE_UNITS = (
    "tokens/s", "tokens/s/chip", "tokens/s/GPU", "tokens/s/NPU", "tokens/s/card", "tokens/s/die",
    "tokens/s/user", "tokens/s per 8-GPU node", "tokens/s/chip (input+output)",
    "tokens/s/chip (over)",
)  # fmt: skip
_TIME_UNITS = {"ms": 1e-3, "s": 1.0}


def units(metric: str) -> dict[str, float]:
    """The units a metric may be given in, with their sizes in tokens/s or seconds."""
    if metric in STATISTICS:
        return {}
    return _TIME_UNITS if MEASURES[metric].time else dict.fromkeys(_RATE_UNITS, 1.0)


class ServingRow(Record, frozen=True, kw_only=True):
    """One serving measurement, as its source gives it; 0 and "" where the source is silent."""

    id: str
    set: str = ""  # the group its source belongs to
    model: str
    params_note: str = ""
    chip: str
    chip_count: int = 0
    engine: str = ""
    engine_version: str = ""
    precision_weights: str = ""
    precision_kv: str = ""
    tp: int = 0
    pp: int = 0
    ep: int = 0
    dp: int = 0
    mode: str = ""
    batch_or_concurrency: str = ""
    isl: float = 0.0
    osl: float = 0.0
    metric: str
    value: float
    unit: str = ""
    source: str = ""
    where: str = ""
    provenance: str = ""
    notes: str = ""
    family: str = ""  # of engines
    version: str = ""  # of the engine: `0.17`
    weights: str = ""  # the dtype they are stored in
    kv: str = ""  # of the cache
    weight_only: Literal["", "yes", "no"] = ""  # weights are widened as they are read
    cp: int = 0
    ranks_per_chip: int = 0  # what the degrees count, for one chip
    attention_dp: Literal["", "yes", "no"] = ""  # whether each rank of experts has its own tokens
    lengths: Literal["", "fixed", "mean"] = ""  # what isl and osl are of the requests
    longest: float = 0.0  # answer that may be given, in tokens
    arrival: Arrival = ""
    concurrency: int = 0  # requests under way, of the whole system
    rate_per_s: float = 0.0  # requests that arrive
    requests: int = 0  # of the whole run; 0 where it goes on long enough
    max_sequences: int = 0  # that the engine was told to hold
    token_budget: int = 0  # tokens of a step that the engine was told
    cached_share: float = 0.0  # of input tokens, found in the prefix cache
    context: float = 0.0  # mean length of the cache where decoding alone was measured
    beams: int = 0  # of a search that keeps several answers under way for each request
    drafted: int = 0  # tokens that are drafted for a step
    accepted: float = 0.0  # tokens that a step yields then
    pools: str = ""  # `2x TP8 DP2 + 1x TP1 DP32`: for prompts and for tokens
    scenario: Literal["", "offline", "server", "interactive"] = ""  # of MLPerf
    ttft_limit_ms: float = 0.0
    tpot_limit_ms: float = 0.0
    mean_ttft_ms: float = 0.0  # measured beside the metric
    mean_tpot_ms: float = 0.0
    objection: str = ""  # why the row is no measurement of what it says


_DEGREE = Number(1, 1_000_000)
_TOKENS = Number(1, 1e9, whole=False)
_SHORT = Words(80)

#: Column -> what it may hold. `tp` holds `24 NeuronCores` as well as a number, `isl`, `osl` and
#: `value` also a range, `512-1536 uniform`.
SERVING_COLUMNS: dict[str, Number | Words] = {
    "id": _SHORT,
    "set": _SHORT,
    "model": Words(200),
    "params_note": Words(200),
    "chip": Words(200),
    "chip_count": Number(1, 10_000_000),
    "engine": Words(200),
    "engine_version": Words(),
    "precision_weights": _SHORT,
    "precision_kv": _SHORT,
    **dict.fromkeys(("tp", "pp", "ep", "dp", "cp"), _DEGREE),
    "mode": Words(40),
    "batch_or_concurrency": Words(200),
    "isl": _TOKENS,
    "osl": _TOKENS,
    "metric": Words(40, (*MEASURES, *STATISTICS)),
    "value": Number(0, 1e15, whole=False),
    "unit": Words(60),
    "source": Words(),
    "where": Words(),
    "provenance": Words(40),
    "notes": Words(4000),
    "family": Words(40),
    "version": Words(40),
    "weights": Words(20),
    "kv": Words(20),
    "weight_only": Words(3, ("yes", "no")),
    "ranks_per_chip": Number(1, 64),
    "attention_dp": Words(3, ("yes", "no")),
    "lengths": Words(10, ("fixed", "mean")),
    "longest": _TOKENS,
    "arrival": Words(10, ("offline", "batch", "closed", "open")),
    "concurrency": Number(1, 1e9),
    "rate_per_s": Number(1e-6, 1e9, whole=False),
    "requests": Number(1, 1e9),
    "max_sequences": Number(1, 1e6),
    "token_budget": Number(1, 1e9),
    "cached_share": Number(0, 1, whole=False),
    "context": _TOKENS,
    "beams": Number(1, 64),
    "drafted": Number(0, 64),
    "accepted": Number(1, 65, whole=False),
    "pools": Words(80),
    "scenario": Words(20, ("offline", "server", "interactive")),
    "ttft_limit_ms": Number(0, 1e9, whole=False),
    "tpot_limit_ms": Number(0, 1e9, whole=False),
    "mean_ttft_ms": Number(0, 1e9, whole=False),
    "mean_tpot_ms": Number(0, 1e9, whole=False),
    "objection": Words(),
}
