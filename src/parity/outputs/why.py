"""Why a plan is as fast as it is, as an answer."""

from __future__ import annotations

from dataclasses import dataclass

from parity.layout.layout import describe
from parity.outputs.document import Bars, Document, Fields, Part
from parity.outputs.envelope import TARGET_MISSED, Answer
from parity.outputs.planning import count_of
from parity.outputs.serving import fleet, load_words, pools_words
from parity.outputs.why_fields import fields_of
from parity.outputs.why_sweep import swept_parts
from parity.outputs.why_waits import waiting_fields, waiting_parts, waiting_words
from parity.outputs.why_words import (
    FIRST_TOKEN,
    figure_table,
    helps,
    ladder,
    largest_loss,
    lever_table,
    measured_parts,
    measured_words,
    spanned,
    spent,
)
from parity.record import Finding
from parity.search.serving_plan import latency_words
from parity.search.why import PoolRate, Why, bound_of, total
from parity.search.why_figures import figures
from parity.search.why_training import TrainingCase
from parity.search.why_waits import Waits
from parity.search.why_ways import ServingCase
from parity.units import render, significant

#: What takes most of a step, in a sentence.
BOUND_WORDS = {
    "compute": "compute", "memory": "memory bandwidth", "link": "the links between chips",
    "launch": "kernel launches", "host": "the host processor", "bubble": "the pipeline bubble",
    "recompute": "recomputation", "optimizer": "the optimizer", "offload": "the host link",
    "drafts": "drafting",
}  # fmt: skip


@dataclass(frozen=True)
class WhyTold:
    """All that an answer is made of."""

    why: Why
    findings: tuple[Finding, ...]
    span: tuple[float, float]  # P10 and P90 of the seconds of a step, or of requests/s
    missed: bool = False  # whether the plan misses what was asked
    assumed: tuple[str, ...] = ()
    waits: Waits | None = None  # of requests that were simulated
    percentile: int | None = None  # at which latencies are asked; None: on average


def training_answer(told: WhyTold, case: TrainingCase) -> Answer:
    """Why a training step takes as long as it does."""
    why, plan, speed = told.why, case.plan, "tokens/s"
    share = why.rungs[0].time_s / plan.time_s
    name = plan.machine.chip.name
    sentence = (
        f"A step of {case.arch.name} on {plan.chips:,} x {name} takes {render(plan.time_s, 's')} "
        f"({spanned(told.span, 's')}), {100 * share:.1f} % of the peak; the largest loss is "
        f"{largest_loss(why.rungs)}. "
        f"{helps(why.effects, speed)}"
    )
    facts = Fields(
        (
            ("layout", describe(plan.layout)),
            ("speed", f"{significant(plan.tokens_per_s)} tokens/s of all chips"),
            ("most of a step", BOUND_WORDS[bound_of(why.parts)]),
        )
    )
    peak = render(total(plan.machine.peak_flop_per_s[plan.job.dtype]), "FLOP/s")
    parts = (
        facts,
        spent(why.parts, "a step"),
        ladder(why.rungs, f"of {peak} {plan.job.dtype}, model FLOPs (MFU)"),
    )
    dtypes = (plan.job.dtype, "bf16" if "bf16" in plan.machine.peak_flop_per_s else "fp16")
    values = {
        f.key: render(f.value, f.unit) for f in figures(plan.machine, dtypes) if f.value is not None
    }
    content = {
        "chip": plan.machine.chip.id,
        "chips": plan.chips,
        "layout": describe(plan.layout),
        "dtype": plan.job.dtype,
        "speed": plan.tokens_per_s,
        "range": _range(told.span, "s"),
    }
    after = f"parity plan train {case.arch.name} --on {count_of(plan)}"
    return _answer(told, sentence, parts, values, speed, content, after)


def serving_answer(told: WhyTold, case: ServingCase) -> Answer:
    """Why a service carries as much as it does."""
    why, plan = told.why, case.plan
    speed = "users" if case.in_users else "requests/s"
    closed = plan.need.users is not None
    rate = plan.requests_per_s if closed else plan.most_requests_per_s
    assert why.decode is not None
    assert why.prompt is not None
    share = why.rungs[0].time_s / why.rungs[-1].time_s
    within = latency_words(plan.job)
    at = f" (p{told.percentile})" if told.percentile else ""
    within = f" within {within}{at}" if within else ""
    decode, prompt = (BOUND_WORDS[bound_of(parts)] for parts in (why.decode, why.prompt))
    low, high = (significant(end) for end in told.span)
    amount = f"{significant(rate)} requests/s ({low}–{high})"
    carried = (
        f"serve {load_words(plan)} of {plan.arch.name} to {amount}"
        if closed
        else f"carry {amount} of {plan.arch.name}"
    )
    sentence = (
        f"{fleet(plan)} {carried}{within}: prompts take most of their time for {prompt}, decoding "
        f"for {decode}; the mean step reaches {100 * share:.0f} % of its roofline."
        f"{pool_words(why.pools)}{waiting_words(told.waits)} {helps(why.effects, speed)}"
    )
    values = _serving_values(case)
    content = {
        "chip": case.machine.chip.id,
        "chips": plan.chips,
        "layout": pools_words(plan),
        "dtype": plan.decode.multiplied,
        "speed": rate,
        "range": _range(told.span, "1/s"),
    }
    request = plan.job.request
    after = (
        f"parity plan serve {plan.arch.name} --on {plan.chips}x{case.machine.chip.id} "
        f"--isl {request.input_tokens:.0f} --osl {request.output_tokens:.0f}"
    )
    return _answer(told, sentence, _serving_parts(told, case), values, speed, content, after)


def pool_words(pools: tuple[PoolRate, ...]) -> str:
    """Which of two pools is waited for."""
    if not pools:
        return ""
    slow, fast = sorted(pools, key=lambda pool: pool.most_requests_per_s)
    names = {"prefill": "prompts", "decode": "decoding"}
    return (
        f" The {slow.chips:,} {slow.chip} for {names[slow.role]} are waited for: they carry "
        f"{significant(slow.most_requests_per_s)} requests/s, those for {names[fast.role]} "
        f"{significant(fast.most_requests_per_s)}."
    )


def _serving_values(case: ServingCase) -> dict[str, str]:
    """Figures as they are, of the chips and of other chips that take prompts."""
    pools = [(case.machine, case.plan.decode.model)]
    if case.question.prompts is not None and case.plan.prefill is not None:
        pools.append((case.question.prompts.machine, case.plan.prefill.model))
    values = {}
    for target, model in pools:
        for f in figures(target, (r.dtype for r in model.by_dtype.values())):
            if f.value is not None:
                values[f"{target.chip.id}@{f.key}"] = render(f.value, f.unit)
                values.setdefault(f.key, render(f.value, f.unit))
    return values


def _range(span: tuple[float, float], unit: str) -> dict[str, object]:
    return {"low": span[0], "high": span[1], "unit": unit}


def _serving_parts(told: WhyTold, case: ServingCase) -> tuple[Part, ...]:
    why, plan = told.why, case.plan
    assert why.roofs_s is not None
    whole = why.rungs[-1].time_s
    compute, memory = (100 * roof / whole for roof in why.roofs_s)
    facts = [
        ("layout", pools_words(plan)),
        ("load", f"{load_words(plan)}; {significant(plan.decode.decoding)} requests of a lane "
                 "decode"),
        ("of the roofline", f"{compute:.0f} % of the peak and {memory:.0f} % of the bandwidth of "
                            "the data sheet, in the mean step"),
        ("assumed", "; ".join(told.assumed)),
    ]  # fmt: skip
    waits = sum(seconds for _, seconds in why.first_token)
    first = Bars(
        tuple(
            (FIRST_TOKEN[name], s, f"{render(s, 's')}  {100 * s / waits:.1f} %")
            for name, s in why.first_token
        ),
        f"the first token, {render(waits, 's')} on average",
    )
    assert why.decode is not None
    assert why.prompt is not None
    apart = plan.prefill is not None
    more = (
        spent(
            why.prompt, "a step of the pool for prompts" if apart else "a step with prompts in it"
        ),
        *(waiting_parts(told.waits) or (first,)),
    )
    title = "a step that decodes" if apart else "the mean step, which prompts and decoding share"
    own = () if apart else (spent(why.decode, "a step that only decodes"),)
    return (
        Fields(tuple((name, words) for name, words in facts if words)),
        spent(why.parts, title),
        *own,
        *more,
        *(
            ladder(
                pool.rungs,
                f"of the roofline of a step of {pool.chips:,} {pool.chip}, "
                f"{'prompts' if pool.role == 'prefill' else 'decoding'}",
            )
            for pool in why.pools
        ),
        *(() if why.pools else (ladder(why.rungs, "of the roofline of the mean step"),)),
    )


def _answer(
    told: WhyTold,
    sentence: str,
    parts: tuple[Part, ...],
    values: dict[str, str],
    speed: str,
    content: dict[str, object],
    after: str,
) -> Answer:
    why = told.why
    if why.measured is not None:
        sentence = f"{measured_words(why.measured)} {sentence}"
    per = f"{speed} of all chips" if speed == "tokens/s" else f"{speed} of a chip"
    document = Document(
        sentence=sentence,
        parts=(
            *measured_parts(why.measured),
            *parts,
            figure_table(why.effects, values, speed),
            lever_table(why.effects, speed),
            *swept_parts(why.sweep, per),
        ),
        findings=told.findings,
        next=(after,),
    )
    return Answer(
        command="why",
        content={
            "why": {**content, **fields_of(why), "waits": waiting_fields(told.waits)},
            "assumed": list(told.assumed),
            "findings": told.findings,
        },
        document=document,
        exit_code=TARGET_MISSED if told.missed else 0,
    )
