"""Plans whose latencies hold for most requests, not on average: searched, then replayed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from parity.record import Finding
from parity.search.findings import note
from parity.search.replica import replica
from parity.search.serve import Need, ServingPlan, with_load
from parity.search.serving_plan import ANY_S, Outcome, ServingQuestion, ranged, serve
from parity.search.serving_replay import Replay, Variation, replay
from parity.units import render
from parity.workload.traffic import Traffic

#: Searches that are tried, each with more room than the one before.
ROUNDS = 5
#: How much room a round adds at least and at most, over the one before.
LEAST_GROWTH, MOST_GROWTH = 1.1, 1.5


@dataclass(frozen=True)
class Checked:
    """An outcome whose best plan was replayed, with its range."""

    outcome: Outcome
    replay: Replay
    asked: ServingQuestion  # with the room that the percentile took
    low: float = 0.0
    high: float = 0.0


def checked(
    question: ServingQuestion,
    vary: Variation,
    percentile: int = 99,
    traffic: Traffic | None = None,
    report: Callable[[int, int], None] | None = None,
) -> Checked:
    """The best plan whose latencies hold at a percentile of the requests, and its range.

    The search goes by means. Where first tokens are late at the percentile, the next search is
    given more load than there is, and its plan only the load, so that queues are shorter; where
    tokens are late, it is given less time for a token. Where nothing helps the last plan comes
    back with `missed`. Raises `Infeasible` as `serve` does.
    """
    found = _searched(question, vary, percentile, traffic, report)
    low, high = ranged(found.outcome.plans, question)
    return replace(found, low=low, high=high)


def _searched(
    question: ServingQuestion,
    vary: Variation,
    percentile: int,
    traffic: Traffic | None,
    report: Callable[[int, int], None] | None,
) -> Checked:
    room, tight = 1.0, 1.0
    found: Checked | None = None
    for _ in range(ROUNDS):
        asked = _with_room(question, room, tight)
        outcome = serve(asked)
        if found is not None and outcome.missed:
            break  # more room than the chips have
        plans = [_relieved(plan, question.need, room) for plan in outcome.plans]
        seen = [replay(plan, vary, percentile, traffic, report) for plan in plans]
        late = [_late(question, one, percentile) for one in seen]
        i = next((i for i, own in enumerate(late) if max(own) <= 1.0), 0)
        plans.insert(0, plans.pop(i))
        found = Checked(replace(outcome, plans=tuple(plans)), seen[i], asked)
        first, each = late[i]
        if outcome.missed or max(first, each) <= 1.0:
            return found
        if first > 1.0:
            room *= min(max(first**0.5, LEAST_GROWTH), MOST_GROWTH)
        if each > 1.0:
            tight /= min(max(each**0.5, LEAST_GROWTH), MOST_GROWTH)
    assert found is not None
    missed = (*found.outcome.missed, _missed(question, found.replay, percentile))
    return replace(found, outcome=replace(found.outcome, missed=missed))


def _late(question: ServingQuestion, seen: Replay, percentile: int) -> tuple[float, float]:
    """How many times too slow first tokens and tokens are. [1]"""
    job = question.pool.job
    return seen.ttft_s[percentile] / job.ttft_s, seen.tpot_s[percentile] / job.tpot_s


def _with_room(question: ServingQuestion, room: float, tight: float) -> ServingQuestion:
    """The same with so many times the load, and so many times the time for a token."""
    need, pool = question.need, question.pool
    more = {
        name: value * room
        for name in ("requests_per_s", "users")
        if (value := getattr(need, name)) is not None
    }
    job = replace(pool.job, tpot_s=pool.job.tpot_s * tight)
    return replace(question, need=replace(need, **more), pool=replace(pool, job=job))


def _relieved(plan: ServingPlan, need: Need, room: float) -> ServingPlan:
    """The plan with the load that there is; a load that was not asked for shrinks by `room`."""
    if room == 1.0:
        return plan
    decode, most = plan.decode, plan.most_requests_per_s / room
    full = replica(
        decode.model, decode.layout, plan.most_decoding, decode.token_budget, decode.request
    )
    at = min(plan.requests_per_s / room, most)
    own = Need(requests_per_s=at)
    if need.users is not None and plan.prefill is None:
        own, at = need, need.users
    elif need.amount is None:
        at = most
    loaded = with_load(full, decode.request, own, at / plan.decode_replicas)
    rate = loaded.requests_per_s * plan.decode_replicas
    return replace(
        plan, need=need, decode=loaded, requests_per_s=rate, most_requests_per_s=most,
        most=plan.most / room,
    )  # fmt: skip


def _missed(question: ServingQuestion, seen: Replay, percentile: int) -> Finding:
    job = question.pool.job
    parts = [
        f"{name} {render(found[percentile], 's')} for {render(asked, 's')}"
        for name, found, asked in (
            ("TTFT", seen.ttft_s, job.ttft_s), ("TPOT", seen.tpot_s, job.tpot_s),
        )
        if found[percentile] > asked and asked < ANY_S
    ]  # fmt: skip
    words = f"At the {percentile}th percentile of replayed requests: {' and '.join(parts)}."
    return note("P115", words, "error", "more chips, a lower --p, or wider latencies")
