"""A serving plan as plain numbers."""

from __future__ import annotations

from dataclasses import dataclass

from parity.catalogue.machine import Machine
from parity.evaluate.serving_memory import workspace_per_chip
from parity.layout.layout import Layout
from parity.layout.serving import degrees
from parity.outputs.figures import first
from parity.outputs.prices import price_fields
from parity.outputs.settings import settings_of
from parity.outputs.unknowns import range_fields, uncertainty_fields
from parity.search.gate import Gate
from parity.search.percentiles import steady_percentiles
from parity.search.serve import ServingPlan, bound_by, prompt_time_share
from parity.search.serving_plan import Outcome, Point, Priced, ServingQuestion, power_w
from parity.search.uncertainty import Spread


@dataclass(frozen=True)
class Told:
    """All that an answer is made of."""

    question: ServingQuestion
    outcome: Outcome
    span: Spread  # of chips or requests/s
    gate: Gate
    engine: str  # the engine named, or empty
    percentile: int | None  # of requests, at which latencies hold; None: on average
    assumed: tuple[str, ...]
    front: tuple[Point, ...] = ()
    priced: tuple[Priced, ...] = ()
    trace: str = ""  # its name

    @property
    def latencies(self) -> tuple[dict[int, float], dict[int, float]]:
        """(TTFT, TPOT) of the best plan by percentile. [s]"""
        seen = self.outcome.confirmed
        return (seen.ttft_s, seen.tpot_s) if seen else steady_percentiles(self.outcome.best)

    @property
    def means(self) -> tuple[float, float]:
        """The same on average. [s]"""
        seen, plan = self.outcome.confirmed, self.outcome.best
        more = plan.job.request.output_tokens > 1  # else no token is waited for
        return seen.means_s if seen else (plan.ttft_s, plan.tpot_s if more else 0.0)


def answer_fields(told: Told) -> dict[str, object]:
    """The best plan as plain numbers, SI units."""
    plan, seen = told.outcome.best, told.outcome.confirmed
    ttft, tpot = told.latencies
    of = "chips" if chips_asked(told.question) else "most_requests_per_s"
    request, job = plan.job.request, told.question.pool.job
    return {
        **plan_fields(plan),
        "ttft_s": latency_fields(told.means[0], ttft),
        "tpot_s": latency_fields(told.means[1], tpot),
        "percentiles_by": "simulation" if seen else "steady state",
        "share_within": seen.within if seen else None,
        "range": range_fields(told.span, of),
        "uncertainty": uncertainty_fields(told.span),
        "bound_by": bound_by(plan.decode),
        "prompt_time_share": prompt_time_share(plan),
        "memory": memory_fields(plan),
        "power_w": power_w(plan),
        "joules_per_token": joules_per_token(plan),
        **price_fields(plan.decode.machine.chip),
        "engine": plan.decode.model.engine.name,
        "engine_settings": settings_of(plan),
        "request": {
            "input_tokens": request.input_tokens,
            "output_tokens": request.output_tokens,
            "cached_tokens": request.cached_tokens,
            "drafted": request.drafted,
            "accepted": request.accepted,
        },
        "target": {
            "requests_per_s": plan.need.requests_per_s,
            "users": plan.need.users,
            "think_s": plan.need.think_s,
            "ttft_s": job.ttft_s,
            "tpot_s": job.tpot_s,
            "percentile": told.percentile,
        },
    }


def latency_fields(mean_s: float, found: dict[int, float]) -> dict[str, float]:
    """A latency, on average and at percentiles. [s]"""
    return {"mean": mean_s, **{f"p{p}": value for p, value in found.items()}}


def simulation_fields(told: Told) -> dict[str, object] | None:
    """What became of the requests that were simulated, and the timeline; None where none were."""
    if told.outcome.confirmed is None:
        return None
    result = told.outcome.confirmed.result
    summary, line = result.summary(), result.timeline
    return {
        "trace": told.trace or None,
        "requests": summary.requests,
        "finished": summary.finished,
        "span_s": summary.span_s,
        "requests_per_s": summary.requests_per_s,
        "output_tokens_per_s": summary.output_tokens_per_s,
        "preemptions": summary.preemptions,
        "cached_share": summary.cached_share,
        "timeline": {
            name: getattr(line, name).tolist()
            for name in (
                "time_s",
                "running",
                "waiting",
                "kv_share",
                "decode_kv_share",
                "output_tokens_per_s",
            )
        },
    }


def plan_fields(plan: ServingPlan) -> dict[str, object]:
    """What one plan is and does at its load."""
    decode = plan.decode
    return {
        "model": plan.arch.name,
        "chip": decode.machine.chip.id,
        "chips": plan.chips,
        "replicas": plan.decode_replicas,
        "dtype": plan.job.precision.weights,
        "kv_dtype": plan.job.precision.kv,
        "layout": {
            "mode": plan.mode,
            "prefill": _prefill_fields(plan),
            "decode": {
                **_pool_fields(decode.machine, decode.layout, plan.decode_replicas),
                "decoding": decode.decoding * decode.lanes,
                "most_decoding": plan.most_decoding * decode.lanes,
                "token_budget": decode.token_budget,
            },
        },
        "ttft_s": {"mean": plan.ttft_s},
        "tpot_s": {"mean": plan.tpot_s},
        "tokens_per_s_per_chip": plan.tokens_per_s_per_chip,
        "tokens_per_s_per_user": plan.tokens_per_s_per_user,
        "requests_per_s": plan.requests_per_s,
        "most_requests_per_s": plan.most_requests_per_s,
        "meets": plan.meets,
    }


def _prefill_fields(plan: ServingPlan) -> dict[str, object] | None:
    first = plan.prefill
    if first is None:
        return None
    return {
        **_pool_fields(first.machine, first.layout, plan.prefill_replicas),
        "prompts": first.prompts,
        "most_prompts": first.most_prompts,
        "pass_s": first.pass_s,
        "transfer_s": first.transfer_s,
    }


def _pool_fields(target: Machine, layout: Layout, replicas: int) -> dict[str, object]:
    return {
        "chip": target.chip.id,
        "cluster": target.cluster_id,
        "chips": int(layout.chips[0]),
        "replicas": replicas,
        **degrees(layout),
    }


def memory_fields(plan: ServingPlan) -> dict[str, float]:
    """What fills a chip of a replica that decodes."""
    decode, steady = plan.decode, plan.decode.steady
    capacity = first(decode.machine.driver_bytes)
    weights, cache, room = map(first, (steady.weight_bytes, steady.cache_bytes, steady.room_bytes))
    workspace = first(workspace_per_chip(decode.model, decode.layout, decode.token_budget))
    return {
        "weights_bytes": weights,
        "cache_bytes": cache,
        "cache_room_bytes": room,
        "workspace_bytes": workspace,
        "unused_bytes": capacity - weights - workspace - room,
        "capacity_bytes": capacity,
    }


def joules_per_token(plan: ServingPlan) -> float | None:
    """Of all chips, for an output token; None where a chip has no rating. [J]"""
    power, tokens = power_w(plan), plan.requests_per_s * plan.job.request.output_tokens
    return power / tokens if power is not None and tokens > 0 else None


def choice_fields(one: Priced) -> dict[str, object]:
    """Another way to keep the weights as plain numbers."""
    plan = one.plan
    return {
        "dtype": one.choice.dtype,
        "how": one.choice.how,
        "chips": plan.chips if plan else None,
        "most_requests_per_s": plan.most_requests_per_s if plan else None,
        "tokens_per_s_per_chip": plan.tokens_per_s_per_chip if plan else None,
        "reason": one.reason,
    }


def chips_asked(question: ServingQuestion) -> bool:
    """Whether the number of chips is the answer."""
    return question.counted and question.need.amount is not None
