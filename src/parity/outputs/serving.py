"""A serving plan as an answer."""

from __future__ import annotations

from parity.catalogue.machine import Number
from parity.layout.serving import describe_replica
from parity.outputs.document import Bars, Chart, Document, Fields, Series, Table
from parity.outputs.envelope import TARGET_MISSED, Answer
from parity.outputs.prices import price_words
from parity.outputs.serving_fields import (
    Told,
    answer_fields,
    chips_asked,
    choice_fields,
    joules_per_token,
    memory_fields,
    plan_fields,
    simulation_fields,
)
from parity.outputs.settings import STARTED, command, settings_of
from parity.outputs.unknowns import uncertain
from parity.search.serve import ServingPlan, bound_by
from parity.search.serving_plan import latency_words, power_w, serving_findings
from parity.timing.support import engine_of, runs_on
from parity.units import render, significant

#: What sets the pace, in a sentence.
LIMITS = {
    "compute": "compute", "memory bandwidth": "memory bandwidth", "link": "the links between chips",
    "launches": "kernel launches", "host": "the host processor",
}  # fmt: skip


def serving_answer(told: Told) -> Answer:
    """The best plan with its runners-up; exit 4 where it misses what was asked."""
    plan, missed, seen = told.outcome.best, told.outcome.missed, told.outcome.confirmed
    simulated = seen.result.findings if seen else ()
    about = (*told.gate.findings, *plan.arch.findings, *serving_findings(plan))
    findings = tuple(dict.fromkeys((*missed, *simulated, *about)))
    content: dict[str, object] = {
        "answer": answer_fields(told),
        "runners_up": [plan_fields(other) for other in told.outcome.plans[1:]],
        "choices": [choice_fields(one) for one in told.priced],
        "pareto": list(told.front),
        "simulation": simulation_fields(told),
        "assumed": list(told.assumed),
        "findings": findings,
    }
    document = Document(
        sentence=sentence(told),
        parts=(
            summary(told),
            *uncertain(told.span, "chips" if chips_asked(told.question) else "requests/s"),
            filled(plan),
            *typed(told),
            *others(told),
            *dtypes(told),
            *traded(told),
            *over_time(told),
        ),
        findings=findings,
        sources=told.gate.sources,
        next=(_next(plan),),
    )
    return Answer(
        command="plan serve",
        content=content,
        document=document,
        exit_code=TARGET_MISSED if missed else 0,
        keep=True,
    )


def sentence(told: Told) -> str:
    """The answer in one sentence: number, range, what it carries, what limits it."""
    plan, outcome, question = told.outcome.best, told.outcome, told.question
    name, pace = fleet(plan), limit_words(plan)
    within = latency_words(question.pool.job)
    at = "on average" if told.percentile is None else f"p{told.percentile}"
    within = f" within {within} ({at})" if within else ""
    load = load_words(plan)
    most = significant(plan.most_requests_per_s)
    low, high = (significant(end) for end in (told.span.low, told.span.high))
    if outcome.missed:
        ttft, tpot = reached(told)
        how = f"carry {most} requests/s at" if not plan.meets else "come nearest with"
        return (
            f"{plan.arch.name} misses its target{within}: {name} {how} TTFT {render(ttft, 's')} "
            f"and TPOT {render(tpot, 's')}; {pace}."
        )
    if chips_asked(question):
        span = f" ({told.span.low:,.0f}–{told.span.high:,.0f})"
        return f"{name}{span} serve {plan.arch.name} to {load}{within}; {pace}."
    if question.need.amount is not None:
        return (
            f"{name} serve {plan.arch.name} to {load}{within}, and {most} requests/s "
            f"({low}–{high}) at most; {pace}."
        )
    return f"{name} serve {plan.arch.name} to {most} requests/s ({low}–{high}){within}; {pace}."


def reached(told: Told) -> tuple[float, float]:
    """(TTFT, TPOT) of the best plan at the percentile asked for, or on average. [s]"""
    if told.percentile is None:
        return told.means
    ttft, tpot = told.latencies
    return ttft[told.percentile], tpot[told.percentile]


def fleet(plan: ServingPlan) -> str:
    """`16 x H20 96GB`, or both pools where their chips differ."""
    decode = plan.decode.machine.chip
    if plan.prefill and plan.prefill.machine.chip.id != decode.id:
        first = plan.prefill.chips * plan.prefill_replicas
        own = plan.decode.chips * plan.decode_replicas
        return f"{first} x {plan.prefill.machine.chip.name} and {own} x {decode.name}"
    return f"{plan.chips:,} x {decode.name}"


def load_words(plan: ServingPlan) -> str:
    """`4 requests/s`, or `500 users who pause for 30 s`."""
    need = plan.need
    if need.users is not None:
        pause = f" who pause for {render(need.think_s, 's')}" if need.think_s else " at a time"
        return f"{need.users:,.0f} users{pause}"
    amount = significant(need.requests_per_s or plan.requests_per_s)
    return f"{amount} request/s" if amount == "1" else f"{amount} requests/s"


def limit_words(plan: ServingPlan) -> str:
    """`memory bandwidth sets the pace of decoding`."""
    phase, _, figure = bound_by(plan.decode).partition(" ")
    verb = "set" if figure in ("link", "launches") else "sets"
    return f"{LIMITS[figure]} {verb} the pace of {'decoding' if phase == 'decode' else 'prompts'}"


def summary(told: Told) -> Fields:
    """Layout, latency, speed, power, what was assumed: one line each."""
    plan = told.outcome.best
    decode, request = plan.decode, plan.job.request
    rows = [("layout", pools_words(plan))]
    if plan.prefill:
        rows.append(("KV transfer", f"{render(plan.prefill.transfer_s, 's')} of it shows"))
    output = plan.requests_per_s * request.output_tokens
    rows += [
        ("TTFT", percentiles(told, told.latencies[0], told.means[0])),
        ("TPOT", percentiles(told, told.latencies[1], told.means[1])),
        ("percentiles", source_words(told)),
        ("speed", f"{significant(plan.tokens_per_s_per_chip)} tokens/s/chip, "
                  f"{significant(plan.tokens_per_s_per_user)} tokens/s/user, "
                  f"{significant(output)} output tokens/s at {significant(plan.requests_per_s)} "
                  f"requests/s; {significant(plan.most_requests_per_s)} requests/s at most"),
        ("in flight", f"{significant(float(decode.steady.concurrency[0]) * plan.decode_replicas)}"
                      f" requests, {significant(decode.decoding * decode.lanes)} decoding on a "
                      f"replica, {significant(plan.most_decoding * decode.lanes)} at most"),
    ]  # fmt: skip
    power, joules = power_w(plan), joules_per_token(plan)
    if power is not None and joules is not None:
        rows.append(("power", f"{render(power, 'W')} of chips, {significant(joules)} J/token"))
    alike = not plan.prefill or plan.prefill.machine.chip.id == decode.machine.chip.id
    if alike and (words := price_words(decode.machine.chip, plan.chips)):
        rows.append(("cost", words))
    precision = plan.job.precision
    rows += [
        ("dtype", f"{precision.weights} weights, {precision.kv} KV cache"),
        ("request", f"{request.input_tokens:,.0f} tokens in, {request.output_tokens:,.0f} out"
                    + _extras(plan)),
        ("engine", decode.model.engine.title),
        ("cluster", decode.machine.cluster_id or "as the chip's own figures say"),
    ]  # fmt: skip
    if told.assumed:
        rows.append(("assumed", "; ".join(told.assumed)))
    return Fields(rows=tuple(rows))


def _extras(plan: ServingPlan) -> str:
    request = plan.job.request
    cached = request.cached_tokens / request.input_tokens
    words = f", {100 * cached:.0f} % of the prompt cached" if cached else ""
    if request.drafted:
        words += f"; {request.drafted} drafted, {significant(request.accepted)} tokens a step"
    return words


def percentiles(told: Told, found: dict[int, float], mean_s: float) -> str:
    """`360 ms on average, p50 340 ms, p99 1.1 s`; nothing to say of a time that is none."""
    if mean_s == 0:
        return "none: answers have one token"
    ends = ", ".join(
        f"p{p} {render(found[p], 's')}" for p in sorted({50, 99, told.percentile or 99})
    )
    return f"{render(mean_s, 's')} on average, {ends}"


def source_words(told: Told) -> str:
    """Where percentiles come from, and how many requests were in time."""
    seen = told.outcome.confirmed
    if seen is None:
        return "steady state of requests of the mean length; --simulate goes one by one"
    of = f"of {told.trace}" if told.trace else "drawn"
    words = f"simulation of {len(seen.result.sent_s):,} requests {of}"
    return f"{words}, {render(seen.within, 'fraction')} of them within the latencies"


def pools_words(plan: ServingPlan) -> str:
    """`2 replicas of TP4 PP1`, or the two pools."""
    own = f"{plan.decode_replicas} x {describe_replica(plan.decode.layout)}"
    if plan.prefill is None:
        return f"{own}, each doing prompts and decoding"
    first = f"{plan.prefill_replicas} x {describe_replica(plan.prefill.layout)}"
    ids = plan.prefill.machine.chip.id, plan.decode.machine.chip.id
    on = [f" on {name}" if ids[0] != ids[1] else "" for name in ids]
    return f"prefill {first}{on[0]}, decode {own}{on[1]}"


def filled(plan: ServingPlan) -> Bars:
    """What fills the memory of a chip."""
    memory = memory_fields(plan)
    free = memory["cache_room_bytes"] - memory["cache_bytes"]
    rows = [
        ("weights", memory["weights_bytes"]), ("KV cache at this load", memory["cache_bytes"]),
        ("free for cache", max(free, 0.0)), ("workspace", memory["workspace_bytes"]),
        ("not given to the engine", memory["unused_bytes"]),
    ]  # fmt: skip
    capacity = render(memory["capacity_bytes"], "byte")
    return Bars(
        rows=tuple((name, size, render(size, "byte")) for name, size in rows),
        title=f"memory of a chip, {capacity}",
    )


def typed(told: Told) -> tuple[Fields, ...]:
    """What starts a replica of each role, in the words of the engine."""
    plan = told.outcome.best
    name = engine_of(told.engine)
    if not name:
        running = [run.engine for run in runs_on(plan.decode.machine.chip)]
        name = next((engine for engine in running if engine in STARTED), "")
    if name not in STARTED:
        return ()
    rows = tuple(
        (role, command(name, plan.arch.name, own)) for role, own in settings_of(plan)[name].items()
    )
    return (Fields(rows=rows, title=f"to start one with {name}"),)


def others(told: Told) -> tuple[Table, ...]:
    """Runner-up plans."""
    rows = tuple(
        (
            pools_words(plan).replace(", each doing prompts and decoding", ""),
            f"{plan.chips:,}",
            render(plan.ttft_s, "s"),
            render(plan.tpot_s, "s"),
            significant(plan.tokens_per_s_per_chip),
            significant(plan.most_requests_per_s),
        )
        for plan in told.outcome.plans[1:]
    )
    columns = ("runner-up layout", "chips", "TTFT", "TPOT", "tokens/s/chip", "requests/s at most")
    return (Table(columns, rows, "lrrrrr"),) if rows else ()


def dtypes(told: Told) -> tuple[Table, ...]:
    """What other ways to keep the weights come to."""
    rows = tuple(
        (
            f"--dtype {one.choice.dtype}",
            f"{one.plan.chips:,}" if one.plan else "—",
            significant(one.plan.tokens_per_s_per_chip) if one.plan else "—",
            significant(one.plan.most_requests_per_s) if one.plan else "—",
            one.reason or one.choice.words or one.choice.how,
        )
        for one in told.priced
    )
    columns = ("other dtypes", "chips", "tokens/s/chip", "requests/s at most", "")
    return (Table(columns, rows, "lrrrl"),) if rows else ()


def traded(told: Told) -> tuple[Chart, ...]:
    """Tokens/s per chip against tokens/s per user."""
    return (chart(told),) if len(told.front) > 1 else ()


def over_time(told: Told) -> tuple[Chart, ...]:
    """Requests that run and wait, and how full the cache is, while they are simulated."""
    if told.outcome.confirmed is None:
        return ()
    line = told.outcome.confirmed.result.timeline
    some = range(0, len(line.time_s), max(len(line.time_s) // 120, 1))

    def series(name: str, values: Number) -> Series:
        points = tuple((float(line.time_s[i]), float(values[i])) for i in some)
        return Series(name=name, points=points, joined=True)

    shares = [series("KV cache", 100 * line.kv_share)]
    if told.outcome.best.prefill:
        shares = [
            series("KV cache, prompts", 100 * line.kv_share),
            series("KV cache, decoding", 100 * line.decode_kv_share),
        ]
    requests = (series("running", line.running), series("waiting", line.waiting))
    return (
        Chart(title="requests over time", x="s", y="requests", series=requests),
        Chart(title="KV cache held over time", x="s", y="%", series=tuple(shares)),
    )


def chart(told: Told) -> Chart:
    """The front, and where the answer stands."""
    plan = told.outcome.best
    own = tuple((p.tokens_per_s_per_user, p.tokens_per_s_per_chip) for p in told.front)
    here = ((plan.tokens_per_s_per_user, plan.tokens_per_s_per_chip),)
    return Chart(
        title="what users and chips trade",
        x="tokens/s/user",
        y="output tokens/s/chip",
        series=(
            Series(name="nothing beats these, saturated", points=own),
            Series(name="the answer at its load", points=here),
        ),
    )


def _next(plan: ServingPlan) -> str:
    request = plan.job.request
    return (
        f"parity match {plan.arch.name} --have {plan.chips}x{plan.decode.machine.chip.id} "
        f"--want all --isl {request.input_tokens:.0f} --osl {request.output_tokens:.0f}"
    )
