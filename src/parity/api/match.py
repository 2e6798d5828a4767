"""The question of what equals what: so many of these chips do the work of so many of those.

>>> import parity
>>> parity.match("llama-3.1-70b", have="1024xh100", want="h20", train=True)  # doctest: +SKIP
"""

from __future__ import annotations

from dataclasses import replace

from msgspec import structs

from parity.catalogue.machine import machine
from parity.catalogue.spec import Batch
from parity.errors import UsageError
from parity.evaluate.goodput import Stated
from parity.outputs.envelope import Answer
from parity.outputs.matching import match_answer
from parity.outputs.matching_fields import MatchQuestion
from parity.outputs.supplied import asked_supply, with_supply
from parity.search import match as matching
from parity.search import match_serving as serving
from parity.search import train as training
from parity.search.findings import choose_dtype, weak_class
from parity.search.match_cost import serving_for_money, training_for_money
from parity.search.run import plan_goodput
from parity.search.serve import Need, ServingPlan
from parity.search.serving_plan import serving_findings
from parity.timing.draw import USUAL_SAMPLES
from parity.timing.software import CURRENT
from parity.words.asked import (
    DEFAULT_GBS,
    DEFAULT_SEQ,
    DEFAULT_TOKENS,
    Quantity,
    asked_dtype,
    in_order,
    machines_of,
    many_kinds,
    one_kind,
    rate,
    sampler,
    step_for_days,
)
from parity.words.kept import spoken
from parity.words.matches import MatchWords
from parity.words.serving import Said
from parity.workload.find import model as find_model


def match(
    model: str,
    *,
    want: str | None = None,
    have: str | None = None,
    owned: str | None = None,
    equal: str | None = None,
    rent: bool = False,
    own: bool = False,
    train: bool = False,
    tokens: Quantity = DEFAULT_TOKENS,
    seq: Quantity = DEFAULT_SEQ,
    gbs: Quantity = DEFAULT_GBS,
    days: Quantity | None = None,
    tokens_per_second: Quantity | None = None,
    isl: Quantity | None = None,
    osl: Quantity | None = None,
    rps: Quantity | None = None,
    concurrency: Quantity | None = None,
    users: Quantity | None = None,
    think: Quantity | None = None,
    ttft: Quantity | None = None,
    tpot: Quantity | None = None,
    profile: str | None = None,
    prefix: Quantity | None = None,
    speculate: int = 0,
    dtype: str = "auto",
    kv: str = "auto",
    mode: str = "auto",
    software_generation: str = CURRENT,
    engine_generation: str | None = None,
    ladder: bool = False,
    samples: int = USUAL_SAMPLES.samples,
    to: str | None = None,
    risk: bool = False,
) -> Answer:
    """How many of each wanted chip do the work of the chips `have`, at their own best layouts.

    With `train` the same step in the same time; else the same requests a second, at saturation or
    within `ttft` and `tpot`, by replicas or two pools as `mode` says, with the words of
    `plan_serve`. Without a profile requests have 2k + 500 tokens. equal: `throughput`; `slo`, the
    load that `rps`, `concurrency` or `users` say; `time`, days of training with what interrupts it,
    of `have` or `days`; each is taken where its words are given. `cost` asks instead how many chips
    the money of `have` buys, owned or rented (`own`, `rent`), and how much of the work they do.
    days, tokens_per_second, rps, concurrency, users: the target where `have` has no count.
    ladder: instead the wanted chips, and that of `have`, in order of what one of them does.
    owned: chips that are there already, as in `512xa100`: how many of each wanted kind, or of their
    own, must be added to them. samples, to, risk: as in `plan_train`.

    Raises `UsageError` for words that cannot be read, `MissingFact`, `Infeasible` for `have`.
    """
    spoke = spoken(match, locals())
    said = Said(
        isl, osl, prefix, profile, rps, concurrency, users, think, ttft, tpot, speculate, None, None
    )
    asked = MatchWords(
        model, one_kind(have, "--have") if have else None, have, owned, _wanted(want, owned),
        equal, (tokens, seq, gbs), said, days, tokens_per_second, asked_dtype(dtype),
        asked_dtype(kv), mode, software_generation, engine_generation, sampler(samples), train,
        rent, own,
    )  # fmt: skip
    supply = asked_supply(to, risk)
    chips = [batch.chip for batch in asked.wanted]
    if ladder and asked.have and owned is None:
        chips.append(asked.have.chip)
    answer = with_supply(_answered(asked, ladder=ladder), chips, supply)
    return structs.replace(answer, question=spoke)


def _answered(asked: MatchWords, *, ladder: bool) -> Answer:
    if asked.owned is not None:
        from parity.api.beside import beside

        return beside(asked, ladder=ladder)
    if ladder:
        from parity.api.ladder import ladder_of

        return ladder_of(asked)
    return _training(asked) if asked.train else _serving(asked)


def _wanted(want: str | None, owned: str | None) -> tuple[Batch, ...]:
    """The chips to count: those of --want, or more of the owned ones."""
    if want is not None:
        return many_kinds(want)
    if owned is None:
        raise UsageError("--want names the chips to count, as in `--want h20,a100`.")
    from parity.api.beside import owned_chips

    return tuple(structs.replace(batch, count=None) for batch in owned_chips(owned))


def _training(asked: MatchWords) -> Answer:
    run = asked.training()
    arch, era, job = run.arch, run.era, run.job
    equal, bases = asked.equal(), asked.bases
    within = Stated() if equal == "time" else None
    plan, about = None, (*arch.findings, *weak_class(arch))
    if asked.have:
        own, _ = choose_dtype(asked.have.chip, asked.dtype)
        job = structs.replace(job, dtype=own)
        target = machine(asked.have.chip)
        plan = training.best_plans(arch, job, target, era, asked.have.count or 1, 1)[0]
        step_s = plan.time_s
        if within:
            step_s /= float(plan_goodput(arch, plan, within).fraction)
        about += matching.quality(target, own)
    elif asked.days is not None:
        step_s = step_for_days(job, asked.days)
    else:
        step_s = job.global_batch_tokens / rate(asked.tokens_per_second or 0)
    machines, missing = machines_of(asked.wanted)
    if equal == "cost" and plan:
        rows = training_for_money(arch, job, plan, machines, era, asked.dtype, asked.sampler, bases)
    else:
        rows = matching.match_training(
            arch, job, step_s, plan, machines, era, asked.dtype, within, asked.sampler
        )
    shown = MatchQuestion(
        "training", arch.name, asked.have_text or "", step_s, job, None,
        interrupted=within is not None, equal=equal,
    )  # fmt: skip
    return match_answer(shown, plan, in_order(asked.wanted, [*rows, *missing]), about)


def _serving(asked: MatchWords) -> Answer:
    arch = find_model(asked.model)
    work = replace(asked.requests(arch.name), need=asked.need())

    def question(batch: Batch) -> serving.Candidate:
        return asked.candidate(arch, batch, work)

    have, about, bases = None, arch.findings, asked.bases
    if asked.have:
        own = question(asked.have)
        if own.question is None:
            assert own.error is not None
            raise own.error
        have = serving.held(own.question)
        about += serving_findings(have.plan)
    need = work.need
    if need.amount is None and have:
        need = Need(requests_per_s=have.plan.most_requests_per_s)
    wanted, equal = [question(batch) for batch in asked.wanted], asked.equal()
    if equal == "cost" and have:
        rows = serving_for_money(have, wanted, asked.sampler, bases)
    else:
        rows = serving.match_serving(need, have, wanted, asked.sampler, asked.kv)
    plans = (have.plan if have else None, *(row.way for row in rows if row.count))
    loads = (serving.load(plan) for plan in plans if isinstance(plan, ServingPlan))
    text = asked.have_text or ""
    if have and asked.have and asked.have.count is None:
        text = f"{have.chips}x{text}"
    target = need.requests_per_s or next(loads, 0.0)
    job = asked.job(arch.name)
    shown = MatchQuestion("serving", arch.name, text, target, None, job, equal=equal)
    plan = have.plan if have else None
    return match_answer(shown, plan, in_order(asked.wanted, rows), about)
