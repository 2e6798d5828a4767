"""What another planner predicts for the same questions.

AIConfigurator 0.12.0 (NVIDIA, Apache-2.0), which interpolates kernels measured on NVIDIA's chips:
eight runs of `aiconfigurator cli estimate`, in the columns of evidence, and the search its README
opens with.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from parity.catalogue.load import chip
from parity.catalogue.machine import machine
from parity.evidence.read import bundled_file
from parity.evidence.serving_predict import predict_serving
from parity.evidence.serving_schema import ServingRow
from parity.record import Record
from parity.search.pools import Pool
from parity.search.replica import ServingJob
from parity.search.serve import Need, ServingPlan
from parity.search.serving_plan import Mode, ServingQuestion, serve
from parity.timing.engine import engine
from parity.workload.find import model
from parity.workload.precision import Precision
from parity.workload.request import Request


class Figure(Record, frozen=True):
    """One figure: what AIConfigurator predicts, and Parity with its range."""

    theirs: float
    ours: float
    low: float
    high: float


class Compared(Record, frozen=True):
    """One run: in words, and its time to the first token, per token, and rate of a chip."""

    words: str
    ttft_ms: Figure
    tpot_ms: Figure
    output_tokens_per_s_per_chip: Figure


@cache
def runs() -> tuple[Compared, ...]:
    """Every run of `peers.csv`."""
    rows = [row for row in bundled_file("peers.csv") if isinstance(row, ServingRow)]
    figures: dict[str, dict[str, Figure]] = {}
    words = {}
    for row, found in zip(rows, predict_serving(rows), strict=True):
        assert found.predicted is not None, found.reason
        assert found.low is not None
        assert found.high is not None
        own = Figure(row.value, found.predicted, found.low, found.high)
        figures.setdefault(row.where, {})[row.metric] = own
        words[row.where] = (
            f"{row.model} {row.weights or row.precision_weights}, {found.chips}x{found.chip}, "
            f"{row.engine} {row.engine_version}, {row.concurrency} requests of "
            f"{row.isl:.0f} + {row.osl:.0f} tokens"
        )
    return tuple(
        Compared(words[case], own["mean_ttft"], own["mean_tpot"], own["output_throughput_per_chip"])
        for case, own in figures.items()
    )


@dataclass(frozen=True)
class Searched:
    """The best output tokens/s of a chip, as either planner finds it."""

    mode: str
    theirs: float
    ours: float
    plan: ServingPlan
    meets: bool


#: `aiconfigurator cli default` on the example of its README with the tables of 0.12.0, run on
#: 2 cores in 17 s; the README itself prints 684.79 and 1.67 times the aggregated rate.
README = (("disaggregated", 572.66), ("aggregated", 572.66 / 1.34))


def searched() -> tuple[Searched, ...]:
    """Qwen3-32B FP8 on 32 H200: prompts of 4,000 tokens, 500 of them cached, answers of 500, first
    tokens within 300 ms and the others within 10 ms.
    """
    request = Request(input_tokens=4000.0, output_tokens=500.0, cached_tokens=500.0)
    job = ServingJob(request, Precision("fp8", "fp8"), ttft_s=0.3, tpot_s=0.01)
    pool = Pool(machine(chip("h200-sxm")), job, 32)
    found = []
    for name, theirs in README:
        mode: Mode = "aggregated" if name == "aggregated" else "disaggregated"
        outcome = serve(ServingQuestion(model("qwen3-32b"), pool, engine(), Need(), mode))
        best = outcome.best
        rate = best.most_requests_per_s * request.output_tokens / 32
        found.append(Searched(mode, theirs, float(rate), best, not outcome.missed))
    return tuple(found)
