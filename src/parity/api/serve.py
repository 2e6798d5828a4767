"""The question of a service as a Python function: words or numbers in, an `Answer` out.

    >>> import parity
    >>> parity.plan_serve("llama-3.1-70b", "h20", rps=4)  # doctest: +SKIP

Apart from the other questions, whose parts take longer to load than this one takes to answer.
"""

from __future__ import annotations

from functools import partial

from msgspec import structs

from parity.outputs.envelope import Answer
from parity.outputs.serving import serving_answer
from parity.outputs.serving_fields import Told
from parity.outputs.supplied import asked_supply, with_supply
from parity.search.confirm import Trial
from parity.search.grid import Report
from parity.search.percentiles import at_percentile
from parity.search.serving_plan import priced_choices, serve, trades
from parity.search.serving_range import plan_spread
from parity.timing.draw import USUAL_SAMPLES
from parity.words.asked import Quantity, asked_dtype, few, sampler
from parity.words.kept import spoken
from parity.words.serving import (
    Said,
    percentile,
    serving_chips,
    serving_question,
    work,
)
from parity.workload.find import model as find_model


def plan_serve(
    model: str,
    on: str,
    *,
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
    engine_generation: str | None = None,
    mode: str = "auto",
    prefill_on: str | None = None,
    trace: str | None = None,
    speed: Quantity | None = None,
    p: int | None = None,
    simulate: bool = False,
    cluster: str = "",
    top: int = 3,
    samples: int = USUAL_SAMPLES.samples,
    to: str | None = None,
    risk: bool = False,
    report: Report | None = None,
) -> Answer:
    """How many of the chips `on` serve `model` under a load within latencies, laid out how.

    on: `h20`, or `16xh20`, which asks what they carry. isl, osl: tokens of a prompt and an answer,
    on average. rps: requests a second; concurrency: requests under way; users: people who pause for
    `think` between requests; none of them asks for as much as the chips carry. ttft, tpot: `2s`,
    `50ms`, or `none`. profile: `chat`, `rag`, `code`, `agent` or `batch` for what is not given.
    prefix: share of prompts found in the prefix cache. speculate: tokens drafted for each step.
    engine_generation: an engine, `vllm`, or a generation of one, `vllm-v0`. mode: `aggregated`,
    `disaggregated` or `auto`. prefill_on: chips that take the prompts, as in `8xh100`. top: plans
    shown.

    Latencies hold on average, by the steady state. With `p` they hold at that percentile of the
    requests, which are then simulated one by one; `simulate` is `p=99`. trace: a file of requests,
    or `azure-conv` or `mooncake-conversation`, that are planned for and simulated, as fast as they
    came, `speed` times as fast, or at `rps`. samples: of what is uncertain, for the range.
    to, risk: as in `plan_train`. report: called with (requests answered, of how many).

    Raises `UsageError` for words that cannot be read, `UnknownName`, `BadFile` for a trace,
    `MissingFact`, `Infeasible` with P1xx.
    """
    given = spoken(plan_serve, locals())
    arch, batch, drawn = find_model(model), serving_chips(on, "--on"), sampler(samples)
    supply = asked_supply(to, risk)
    said = Said(
        isl, osl, prefix, profile, rps, concurrency, users, think, ttft, tpot, speculate, trace,
        speed,
    )  # fmt: skip
    asked = work(arch.name, said, counted=batch.count is not None, on=on)
    at = percentile(p, simulated=simulate or trace is not None)
    question, passed, name = serving_question(
        arch, batch, asked, engine_generation, dtype, kv, cluster, mode, prefill_on, few(top)
    )
    solve = serve
    if at is not None:
        solve = partial(at_percentile, trial=Trial(at, asked.vary, asked.trace, report))
    found = solve(question)
    told = Told(
        question, found, plan_spread(found.plans, question, drawn), passed, name, at,
        asked.assumed, trades(question),
        priced_choices(question, passed, asked_dtype(kv), solve), trace or "",
    )  # fmt: skip
    chips = [one.machine.chip for one in (question.pool, question.prompts) if one is not None]
    return structs.replace(with_supply(serving_answer(told), chips, supply), question=given)
