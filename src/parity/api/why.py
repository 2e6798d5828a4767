"""`parity.why`: where the time of a plan goes, and what would change it."""

from __future__ import annotations

from collections.abc import Iterable
from inspect import signature

from parity.catalogue.spec import merged, parse_fleet
from parity.errors import Infeasible, UsageError
from parity.evaluate.goodput import Stated
from parity.outputs.envelope import Answer
from parity.outputs.why import WhyTold, serving_answer, training_answer
from parity.outputs.why_code import code_answer
from parity.record import Finding
from parity.search.explanations import CODE
from parity.search.grid import Space
from parity.search.pinned import pinned
from parity.search.run import run_of
from parity.search.serving_plan import serve, serving_findings
from parity.search.why import why_serving_plan, why_training_plan
from parity.search.why_sweep import Axis, axes
from parity.search.why_training import training_case
from parity.search.why_ways import serving_case
from parity.timing.software import CURRENT
from parity.words.asked import (
    DEFAULT_GBS,
    DEFAULT_SEQ,
    DEFAULT_TOKENS,
    Quantity,
    Run,
    stated_failures,
    training_run,
)
from parity.words.serving import Said, serving_chips, serving_question, work
from parity.words.training import trained
from parity.workload.find import model as find_model

#: Options that ask about training alone, and about serving alone, by the names of the parameters.
TRAINS = {
    "tokens": "--tokens", "seq": "--seq", "gbs": "--gbs", "days": "--days", "lora": "--lora",
    "software_generation": "--software", "mtbf": "--mtbf", "checkpoint": "--checkpoint",
    "restart": "--restart", "fix": "--fix",
}  # fmt: skip
SERVES = {
    "isl": "--isl", "osl": "--osl", "rps": "--rps", "concurrency": "--concurrency",
    "users": "--users", "think": "--think", "ttft": "--ttft", "tpot": "--tpot",
    "profile": "--profile", "prefix": "--prefix", "speculate": "--speculate", "kv": "--kv",
    "engine_generation": "--engine", "mode": "--mode", "prefill_on": "--prefill-on",
}  # fmt: skip


def why(
    model: str,
    on: str | None = None,
    *,
    train: bool = False,
    tokens: Quantity = DEFAULT_TOKENS,
    seq: Quantity = DEFAULT_SEQ,
    gbs: Quantity = DEFAULT_GBS,
    days: Quantity | None = None,
    lora: int | None = None,
    software_generation: str = CURRENT,
    mtbf: Quantity | None = None,
    checkpoint: Quantity | None = None,
    restart: Quantity | None = None,
    fix: Iterable[str] = (),
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
    kv: str = "auto",
    engine_generation: str | None = None,
    mode: str = "auto",
    prefill_on: str | None = None,
    dtype: str = "auto",
    cluster: str = "",
    sweep: str | None = None,
    measured: str | None = None,
) -> Answer:
    """Where the time of the best plan goes, how far it is from the limit, and what would help.

    model: as in `plan_serve` and, with `train`, `plan_train`, whose words the others are too; or a
    code of a finding, `P104`, without `on`, which is explained. sweep: a figure of the chip or two
    over a range, as in `memory.capacity=96..288GB,memory.bandwidth=4..8TB/s`. measured: a speed to
    set beside the prediction, as in `1234tok/s`, `12.3s`, `410TFLOP/s` or `45%`.

    Latencies of serving hold on average. Raises `UsageError` for words that cannot be read or do
    not belong together, `MissingFact`, `Infeasible` with P1xx.
    """
    given = dict(locals())  # the words, by the names of the parameters
    if on is None:
        return _code(model)
    fixed = tuple(fix)
    _apart(given | {"fix": fixed}, train=train)
    swept = axes(sweep) if sweep is not None else None
    if train:
        run = training_run(model, tokens, seq, gbs, software_generation, lora)
        stated, space = stated_failures(mtbf, checkpoint, restart), Space(pinned(fixed))
        return _training(run, on, days, dtype, cluster, stated, space, swept, measured or "")
    said = Said(
        isl, osl, prefix, profile, rps, concurrency, users, think, ttft, tpot, speculate, None, None
    )
    words = (engine_generation, dtype, kv, cluster, mode, prefill_on)
    return _serving(model, on, said, words, swept, measured or "")


def _code(word: str) -> Answer:
    if CODE.fullmatch(word.strip()):
        return code_answer(word)
    raise UsageError(
        f"`parity why {word}` needs chips, as in `--on 16xh20`; or a code of a finding, as in "
        "`parity why P104`."
    )


def _apart(given: dict[str, object], *, train: bool) -> None:
    """Raises `UsageError` where words of training and of serving are mixed."""
    usual = signature(why).parameters
    own = SERVES if train else TRAINS
    wrong = [option for name, option in own.items() if given[name] != usual[name].default]
    if wrong:
        verb = "asks" if len(wrong) == 1 else "ask"
        about = "serving; leave out --train" if train else "training; add --train"
        raise UsageError(f"{' and '.join(wrong)} {verb} about {about}.")


def _training(
    run: Run,
    on: str,
    days: Quantity | None,
    dtype: str,
    cluster: str,
    stated: Stated,
    space: Space,
    swept: tuple[Axis, Axis | None] | None,
    measured: str,
) -> Answer:
    batches = merged(parse_fleet(on))
    if len(batches) != 1:
        raise UsageError(f"--on names {len(batches)} kinds of chip; `why` takes one.")
    found = trained(
        run, batches[0], days=days, dtype=dtype, cluster=cluster, stated=stated, top=1, space=space
    )
    missed: tuple[Finding, ...] = ()
    if found.wall is not None:
        missed = (Finding(code="P104", severity="error", message=found.wall.reason + "."),)
    if not found.plans:
        raise Infeasible("No number of these chips does it.", missed)
    plan = found.plans[0]
    case = training_case(run.arch, plan, run.era, space)
    told = WhyTold(
        why_training_plan(case, run_of(run.arch, plan, run.era, stated), swept, measured),
        (*missed, *found.findings),
        missed=bool(missed),
    )
    return training_answer(told, case)


def _serving(
    model: str,
    on: str,
    said: Said,
    words: tuple[str | None, str, str, str, str, str | None],
    swept: tuple[Axis, Axis | None] | None,
    measured: str,
) -> Answer:
    arch, batch = find_model(model), serving_chips(on, "--on")
    asked = work(arch.name, said, counted=batch.count is not None, on=on)
    question, passed, _ = serving_question(arch, batch, asked, *words, 1)
    found = serve(question)
    plan = found.best
    case = serving_case(question, plan)
    findings = (*found.missed, *passed.findings, *arch.findings, *serving_findings(plan))
    told = WhyTold(
        why_serving_plan(case, swept, measured),
        tuple(dict.fromkeys(findings)),
        missed=bool(found.missed),
        assumed=asked.assumed,
    )
    return serving_answer(told, case)
