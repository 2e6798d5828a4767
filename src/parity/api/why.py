"""`parity.why`: where the time of a plan goes, and what would change it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from inspect import signature
from pathlib import Path
from typing import Any

from msgspec import structs

from parity.api.why_plans import service, training
from parity.catalogue.spec import merged, parse_fleet
from parity.errors import UsageError, shorten
from parity.outputs.envelope import Answer
from parity.outputs.why_code import code_answer
from parity.search.explanations import CODE
from parity.search.grid import Report
from parity.timing.draw import USUAL_SAMPLES
from parity.timing.software import CURRENT
from parity.words.asked import DEFAULT_GBS, DEFAULT_SEQ, DEFAULT_TOKENS, Quantity
from parity.words.kept import LAST, Kept, is_result, kept, spoken, typed
from parity.workload.find import spelled

#: Options that ask about training alone, and about serving alone, by the names of the parameters.
TRAINS = {
    "tokens": "--tokens", "seq": "--seq", "gbs": "--gbs", "days": "--days", "lora": "--lora",
    "software_generation": "--software", "mtbf": "--mtbf", "checkpoint": "--checkpoint",
    "restart": "--restart", "fix": "--fix", "exhaustive": "--exhaustive",
}  # fmt: skip
SERVES = {
    "isl": "--isl", "osl": "--osl", "rps": "--rps", "concurrency": "--concurrency",
    "users": "--users", "think": "--think", "ttft": "--ttft", "tpot": "--tpot",
    "profile": "--profile", "prefix": "--prefix", "speculate": "--speculate", "kv": "--kv",
    "engine_generation": "--engine", "mode": "--mode", "prefill_on": "--prefill-on",
    "trace": "--trace", "speed": "--speed", "p": "--p", "simulate": "--simulate",
}  # fmt: skip
#: Words that each set the load: one that is typed takes the place of those that were kept.
LOADS = ("rps", "concurrency", "users", "trace")
#: Words of other verbs that say nothing of the plan that is explained.
ASIDE = (
    "top", "to", "risk", "pareto", "want", "have", "tokens_per_second", "ladder", "equal", "rent",
    "own",
)  # fmt: skip


def why(
    model: str = LAST,
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
    exhaustive: bool = False,
    isl: Quantity | None = None,
    osl: Quantity | None = None,
    rps: Quantity | None = None,
    concurrency: Quantity | None = None,
    users: Quantity | None = None,
    think: Quantity | None = None,
    trace: str | None = None,
    speed: Quantity | None = None,
    ttft: Quantity | None = None,
    tpot: Quantity | None = None,
    p: int | None = None,
    simulate: bool = False,
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
    samples: int = USUAL_SAMPLES.samples,
    report: Report | None = None,
) -> Answer:
    """Where the time of the best plan goes, how far it is from the limit, and what would help.

    model: as in `plan_serve` and, with `train`, `plan_train`, whose words the others are too.
    Without `on` it is `LAST`, the last plan or match answered, or a file of one that `--json`
    wrote, whose words then stand where no others are given; or a code of a finding, `P104`, which
    is explained. on: with `train` several kinds too, as in `512xa100,256xh20`. sweep: a figure of
    the chip or two over a range, as in `memory.capacity=96..288GB,memory.bandwidth=4..8TB/s`.
    measured: a speed to set beside the prediction, as in `1234tok/s`, `12.3s`, `410TFLOP/s`, `45%`.

    Latencies of serving hold on average; with `p`, `simulate` or `trace` at that percentile of
    requests that are simulated one by one, and the answer says where these wait.
    Raises `UsageError` for words that cannot be read or do not belong together, `BadFile` for a
    file, `MissingFact`, `Infeasible` with P1xx.
    """
    given = dict(locals())  # the words, by the names of the parameters
    if on is None and CODE.fullmatch(model.strip()):
        return code_answer(model)
    given["fix"] = tuple(fix)
    followed = ""
    if model.strip().upper() == LAST or is_result(model):
        given, followed = _followed(given)
    if given["on"] is None:
        raise UsageError(
            f"`parity why {shorten(model)}` needs chips, as in `--on 16xh20`; or a code of a "
            "finding, as in `parity why P104`; or a file of an answer that `--json` wrote."
        )
    _apart(given)
    answer = _answered(given, followed)
    return structs.replace(answer, question=spoken(why, given))


def _answered(given: Mapping[str, Any], followed: str) -> Answer:
    if not given["train"]:
        return service(given, followed)
    batches = merged(parse_fleet(given["on"]))
    if len(batches) == 1:
        return training(given, batches[0])
    from parity.api.why_fleet import fleet  # what most questions do not load

    return fleet(given, batches)


def _followed(given: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """(the words of a question that was answered, with those that are typed now; what of a match
    is explained, or nothing). Raises `UsageError`, `BadFile`.
    """
    name = given["model"].strip()
    own = name.upper() == LAST
    old = kept(LAST if own else name)
    if not own:
        _known_model(str(old.words.get("model", "")), old.what)
    said = spoken(why, given)
    said.pop("model", None)
    words = dict(old.words)
    if any(load in said for load in LOADS):
        words = {name: value for name, value in words.items() if name not in (*LOADS, "think")}
    words["train"] = old.command == "plan train" or bool(words.get("train"))
    if said.get("train") and not words["train"]:
        raise UsageError(f"{old.what} is of a service; leave out --train.")
    followed = ""
    if old.command == "match":
        words, followed = _matched(old, words, chosen="on" in said)
    known = {name: value for name, value in words.items() if name not in ASIDE}
    usual = {name: one.default for name, one in signature(why).parameters.items()}
    known = typed(why, known, old.what)
    return {**usual, **known, **said, "report": given["report"]}, followed


def _known_model(name: str, what: str) -> None:
    """Raises `UsageError` for a model that a file would have looked for on the Hub."""
    if not spelled(name) and not Path(name).expanduser().is_file():
        raise UsageError(
            f"{what} is of {shorten(name)!r}, which is neither bundled nor here; to look for it, "
            "name the model and the chips: `parity why MODEL --on CHIPS`."
        )


def _matched(old: Kept, words: dict[str, Any], *, chosen: bool) -> tuple[dict[str, Any], str]:
    """The words of the plan that a match found for the first chip that does the work."""
    words.pop("days", None)
    owned = words.pop("owned", None)
    if owned and not words["train"] and not chosen:
        raise UsageError(
            f"{old.what} is of kinds of chip that serve each apart; say which to explain, as in "
            "`parity why LAST --on 16xh20`."
        )
    if not words["train"]:
        words = {"isl": "2k", "osl": 500, "ttft": "none", "tpot": "none", **words}
    if chosen:
        return words, ""
    row = next((row for row in old.rows if row.count and row.label), None)
    if row is None:
        raise UsageError(
            f"{old.what} is of a match in which no chip has a count; say which to explain, as in "
            "`parity why LAST --on 16xh20`."
        )
    beside = f"{owned}," if owned else ""
    words["on"] = f"{beside}{row.count}x{row.label}"
    return words, f"--on {words['on']}, the first of the match that does the work"


def _apart(given: Mapping[str, Any]) -> None:
    """Raises `UsageError` where words of training and of serving are mixed."""
    usual = signature(why).parameters
    own = SERVES if given["train"] else TRAINS
    wrong = [option for name, option in own.items() if given[name] != usual[name].default]
    if wrong:
        verb = "asks" if len(wrong) == 1 else "ask"
        about = "serving; leave out --train" if given["train"] else "training; add --train"
        raise UsageError(f"{' and '.join(wrong)} {verb} about {about}.")
