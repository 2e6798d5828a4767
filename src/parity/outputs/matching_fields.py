"""A match as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from parity.outputs.prices import price_fields, usd_per_mtoken
from parity.outputs.unknowns import (
    cost_kinds,
    kinds_fields,
    range_fields,
    uncertainty_fields,
)
from parity.record import Fact
from parity.search.match import Row
from parity.search.replica import ServingJob
from parity.search.uncertainty import Kind
from parity.search.walls import Obstacle
from parity.workload.training import TrainingJob


@dataclass(frozen=True)
class MatchQuestion:
    """What was asked, for the answer's first line."""

    kind: str  # "training" or "serving"
    model: str
    have: str
    target: float  # seconds of a step, or requests/s
    training: TrainingJob | None
    serving: ServingJob | None
    interrupted: bool = False  # whether the target is a step with what interrupts it
    equal: str = "throughput"  # or "slo", "time", "cost"

    @property
    def chips_held(self) -> int:
        """Chips of `have`; 0 where the target is a number."""
        digits = self.have.split("x")[0].strip().replace(",", "")
        return int(digits) if digits.isdigit() else 0

    @property
    def tokens_per_s(self) -> float:
        """Tokens trained on or put out. [1/s]"""
        if self.training:
            return self.training.global_batch_tokens / self.target
        assert self.serving is not None
        return float(self.target * self.serving.request.output_tokens)


def row_fields(
    question: MatchQuestion, row: Row, hours: Mapping[str, Fact], costs: Mapping[str, Fact]
) -> dict[str, object]:
    """One wanted chip. hours, costs: of a chip and of a million tokens, by basis."""
    held = question.chips_held
    return {
        "chip": row.chip.id,
        "label": row.name,
        "count": row.count,
        "low": row.low,
        "high": row.high,
        "per_chip": row.count / held if row.count is not None and held else None,
        "range": range_fields(row.spread, "chips") if row.spread else None,
        "uncertainty": uncertainty_fields(row.spread) if row.spread else [],
        "reason": row.reason,
        "bound_by": row.bound_by,
        "layout": row.layout_fields or None,
        "layout_text": row.layout or None,
        "wall": wall_fields(row.wall) if row.wall else None,
        "power_ratio": row.power_ratio,
        "work_ratio": row.work_ratio,
        "work": range_fields(row.work, "work") if row.work else None,
        "paid": row.paid or None,
        **price_fields(row.chip, hours),
        "usd_per_mtoken": next(iter(costs.values()), None),
        "usd_per_mtoken_owned": costs.get("own"),
        "usd_per_mtoken_rented": costs.get("rent"),
        "usd_per_mtoken_kinds": kinds_fields(kinds_of_cost(row, costs)),
        **row.detail,
    }


def wall_fields(wall: Obstacle) -> dict[str, object]:
    """What no count gets past."""
    return {
        "kind": wall.kind,
        "value": wall.value,
        "needed": wall.needed,
        "unit": wall.unit,
        "words": wall.words,
        "parts": [{"name": name, "value": value} for name, value in wall.parts],
        "works": list(wall.works),
    }


def row_costs(question: MatchQuestion, row: Row, hours: Mapping[str, Fact]) -> dict[str, Fact]:
    """USD of a million tokens, of output in serving: `own` and `rent`, where prices are known."""
    if row.count is None:
        return {}
    low, high = row.low or row.count, row.high or row.count
    count = Fact(row.count, low, high, "1", "derived", "the match")
    return usd_per_mtoken(hours, count, question.tokens_per_s * (row.work_ratio or 1.0))


def kinds_of_cost(row: Row, costs: Mapping[str, Fact]) -> dict[Kind, float]:
    """What makes the range of the first of the costs wide; empty without one."""
    first = next(iter(costs.values()), None)
    return cost_kinds(row.spread, first) if row.spread and first else {}


def target_fields(question: MatchQuestion) -> dict[str, float | int]:
    """What is to be equalled."""
    if question.training:
        job = question.training
        return {
            "step_time_s": question.target,
            "tokens_per_s": question.tokens_per_s,
            "seq_len": job.seq_len,
            "global_batch_sequences": job.global_batch_sequences,
            "tokens": job.tokens,
        }
    assert question.serving is not None
    serving = question.serving
    return {
        "requests_per_s": question.target,
        "output_tokens_per_s": question.tokens_per_s,
        "input_tokens": int(serving.request.input_tokens),
        "output_tokens": int(serving.request.output_tokens),
        "ttft_s": serving.ttft_s,
        "tpot_s": serving.tpot_s,
    }
