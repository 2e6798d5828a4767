"""What the words of a match mean: what is to be equal, and what sets it. Errors name the option."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from parity.catalogue.spec import Batch
from parity.errors import Infeasible, MissingFact, UnknownName, UsageError
from parity.search.match_serving import Candidate
from parity.search.replica import ServingJob
from parity.search.serve import Need
from parity.timing.draw import Sampler
from parity.timing.engine import Engine, engine
from parity.words.asked import Quantity, Run, rate, training_run
from parity.words.serving import (
    NO_LIMIT,
    Asked,
    Said,
    load,
    requests,
    serving_engine,
    serving_mode,
    serving_question,
)
from parity.workload.operator import Architecture
from parity.workload.precision import Precision

#: What may be equal: work a second, a load within its latencies, days of training, money.
Equal = Literal["throughput", "slo", "time", "cost"]
#: Requests where nothing is said of them.
USUAL_ISL, USUAL_OSL = "2k", 500
#: Options that set the target, and what they make equal.
_SETS: dict[str, Equal] = {
    "--days": "time", "--tokens-per-second": "throughput",
    "--rps": "slo", "--concurrency": "slo", "--users": "slo",
}  # fmt: skip


@dataclass(frozen=True)
class MatchWords:
    """Everything that was said, chips and dtypes read."""

    model: str
    have: Batch | None
    have_text: str | None
    owned: str | None
    wanted: tuple[Batch, ...]
    equals: str | None
    run: tuple[Quantity, Quantity, Quantity]  # tokens, those of a sequence, those of a batch
    said: Said
    days: Quantity | None
    tokens_per_second: Quantity | None
    dtype: str
    kv: str
    mode: str
    software: str
    engine: str | None
    sampler: Sampler
    train: bool
    rent: bool = False
    own: bool = False

    @property
    def bases(self) -> tuple[str, ...]:
        """Ways to pay that may be compared. Raises `UsageError` where that is not asked."""
        if self.rent and self.own:
            raise UsageError("--own and --rent are two ways to pay; give one of them.")
        if (self.rent or self.own) and self.equal() != "cost":
            raise UsageError("--own and --rent say how chips are paid for; add --equal cost.")
        return ("rent",) if self.rent else ("own",) if self.own else ("own", "rent")

    @property
    def named(self) -> tuple[str, ...]:
        """The options that set a target, of those that were given."""
        said = self.said
        values = (self.days, self.tokens_per_second, said.rps, said.concurrency, said.users)
        return tuple(name for name, value in zip(_SETS, values, strict=True) if value is not None)

    def equal(self) -> Equal:
        """What is to be equal.

        Raises `UnknownName`, `UsageError` where words conflict or nothing sets the target.
        """
        return equal_of(self.equals, self.have, self.named, train=self.train)

    def training(self) -> Run:
        """The run to train."""
        return training_run(self.model, *self.run, self.software)

    def requests(self, model: str) -> Asked:
        """The mean request and the latencies: of a profile, or 2k + 500 tokens and none asked for.

        Raises `UnknownName`, `UsageError`.
        """
        said, words = self.said, dict[str, Quantity | None]()
        usual: dict[str, Quantity] = {
            "isl": USUAL_ISL, "osl": USUAL_OSL, "prefix": 0, "ttft": NO_LIMIT, "tpot": NO_LIMIT
        }  # fmt: skip
        for name, default in usual.items():
            own = getattr(said, name)
            words[name] = default if own is None and said.profile is None else own
        lengths = (words["isl"], words["osl"], words["prefix"])
        waits = (words["ttft"], words["tpot"])
        return requests(model, said.profile, *lengths, said.drafted, *waits)

    def need(self) -> Need:
        """The load that was said; none where that of `have` is to be equalled.

        Raises `UsageError`.
        """
        equal, said = self.equal(), self.said
        if equal == "slo":
            on = self.wanted[0].text
            return load(said.rps, said.concurrency, said.users, said.think, counted=False, on=on)
        if said.think is not None:
            raise UsageError("--think is the pause of a user between requests; add --users.")
        if self.tokens_per_second is None:
            return Need()
        outputs = float(self.requests(self.model).request.output_tokens)
        return Need(requests_per_s=rate(self.tokens_per_second) / outputs)

    def candidate(self, arch: Architecture, batch: Batch, work: Asked) -> Candidate:
        """A chip with its question, or what stands in its way. Raises `UsageError`."""
        words = (self.engine, self.dtype, self.kv, "", self.mode)
        try:
            question, passed, _ = serving_question(arch, batch, work, *words, None, 1)
        except (Infeasible, MissingFact) as error:
            return Candidate(batch.chip, None, error=error)
        return Candidate(batch.chip, question, passed.findings)

    def job(self, model: str) -> ServingJob:
        """What each chip is asked to serve, but for the precision, which is its own."""
        work = self.requests(model)
        return ServingJob(work.request, Precision("bf16", "bf16"), work.ttft_s, work.tpot_s)

    def era(self) -> Engine:
        """The one engine of all chips, where each does not take its usual one."""
        return serving_engine(self.engine, self.wanted[0].chip)[0] if self.engine else engine()

    def beside(self, *, ladder: bool) -> None:
        """Raises `UsageError` for words that say nothing of what to add to owned chips."""
        if ladder:
            raise UsageError("--ladder puts chips in order; it takes no --with.")
        if serving_mode(self.mode, None) != "auto":
            raise UsageError("--with divides the work over all chips as is best; leave --mode out.")
        if self.have is None and not self.named:
            raise UsageError(
                "What to add needs a target: `--have 1024xh100`, `--days 60` or "
                "`--tokens-per-second 1M`."
            )
        if {"--concurrency", "--users"} & set(self.named):
            raise UsageError("--with takes a load in requests a second, as in --rps 4.")
        if self.equal() == "cost" or self.rent or self.own:
            raise UsageError("--with counts chips, not money; leave --equal cost out.")


def equal_of(asked: str | None, have: Batch | None, named: Sequence[str], *, train: bool) -> Equal:
    """What is to be equal. named: the options that set a target.

    Raises `UnknownName`, `UsageError` where words conflict or nothing sets the target.
    """
    whose = [f"--have {have.text}"] if have and (have.count is not None or not named) else []
    if len(whose) + len(named) > 1:
        raise UsageError(f"{' and '.join([*whose, *named])} each set the target; give one of them.")
    if not whose and not named:
        raise UsageError(_nothing(train=train))
    implied = _SETS[named[0]] if named else "throughput"
    equal = implied if asked is None else _known(asked)
    why = named[0] if named else f"--equal {equal}"
    if "time" in (equal, implied) and not train:
        raise UsageError(f"{why} sets the target of a training match; add --train.")
    if "slo" in (equal, implied) and train:
        raise UsageError(f"{why} sets the target of a serving match; leave it or --train out.")
    if named and equal != implied:
        raise UsageError(f"{named[0]} makes equal {implied}, not {equal}; leave one out.")
    if equal == "slo" and not named:
        raise UsageError("--equal slo needs the load: --rps 4, --concurrency 64 or --users 500.")
    if have and have.count is None and equal != "slo":
        raise UsageError(
            f"`--have {have.text}` has no count; say how many, as in `--have 8x{have.text}`."
        )
    return equal


def _known(asked: str) -> Equal:
    for name in get_args(Equal):
        if name == asked.strip().lower():
            return name  # type: ignore[no-any-return]
    raise UnknownName("--equal", asked, get_args(Equal), f"Known: {', '.join(get_args(Equal))}.")


def _nothing(*, train: bool) -> str:
    if train:
        return (
            "A match needs a target: `--have 1024xh100`, `--days 60` or `--tokens-per-second 1M`."
        )
    return (
        "A match needs a target: `--have 8xh100`, `--tokens-per-second 10k` (output tokens), or a "
        "load such as `--rps 4`."
    )
