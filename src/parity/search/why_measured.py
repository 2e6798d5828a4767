"""Is a measured speed normal, and if it is low, what would make it so?

A measurement is set among samples of the prediction over all ranges; its percentile says how usual
it is. Then the plan is evaluated again with one thing wrong, and with two, by the same equations
and in its own layout, and what may be wrong is ranked by

    −ln( mean over its levels of exp(−z²/2) ) + ln( how many of as many things there are ),
    z = ln(speed then / measured speed) / σ

which is Bayes' rule with every single suspect, and every pair, as likely before as any other
[MacKay 2003, Information Theory, Inference, and Learning Algorithms, §28]: a figure that is free to
fit and a second thing wrong must explain that much more. σ is that of the prediction and of the
measurement.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np

from parity.catalogue.machine import Number
from parity.errors import Infeasible, MissingFact, UsageError, shorten
from parity.evaluate.serving import steady_state
from parity.evaluate.step import served
from parity.record import DEFAULT_SPREAD
from parity.search.serve import ServingPlan
from parity.search.serving_range import sampled_most
from parity.search.train import sampled_times
from parity.search.why_suspects import (
    Serving,
    Setup,
    Suspect,
    Training,
    check_of,
    serving_suspects,
    training_suspects,
)
from parity.search.why_training import TrainingCase, seconds
from parity.search.why_ways import ServingCase
from parity.timing.draw import Sampler
from parity.units import parse
from parity.workload.flop import flop_per_token

#: Percentiles between which a measurement is as it should be: those of the range of an answer.
NORMAL = (10.0, 90.0)
#: Standard deviations between them, of a normal distribution.
SIGMAS = 2.563
#: Batches that are tried below the plan's, as shares of it.
BATCHES = tuple(2.0 ** (-i / 4) for i in range(1, 41))
#: What alone costs less than this share of the speed is not tried together with others.
LITTLE = 0.01
#: Explanations that are kept, the likeliest first.
MOST_FAULTS = 12

#: Speeds of a setup at its batch and at smaller ones, which have a name.
Speeds = list[tuple[str, float]]
#: What is wrong, at one level of each free figure, and the speed then.
Tried = list[tuple[tuple[str, ...], float]]


@dataclass(frozen=True)
class Fault:
    """The plan with one or two things wrong: its speed, in the unit of the measurement."""

    names: tuple[str, ...]
    checks: tuple[str, ...]  # how to see whether each is so
    speed: float
    score: float  # what the ranking goes by, the least first
    explains: bool  # whether the measurement is within P10 and P90 of what is predicted then

    @property
    def name(self) -> str:
        """All that is wrong."""
        return " and ".join(self.names)


@dataclass(frozen=True)
class Measured:
    """A measurement among what is predicted. Speeds are tokens/s of all chips."""

    text: str  # as typed
    speed: float
    predicted: float
    low: float  # P10
    high: float  # P90
    percentile: float  # of the samples of the prediction
    faults: tuple[Fault, ...]  # the likeliest first

    @property
    def normal(self) -> bool:
        """Whether it lies within the range."""
        return self.low <= self.speed <= self.high


def training_speed(text: str, case: TrainingCase) -> float:
    """Tokens/s of all chips that a measurement of training means.

    `12.3s` of a step, `98ktok/s`, `410TFLOP/s` of the model's FLOPs on a chip, `45%` MFU.
    Raises `UsageError`.
    """
    job, chips = case.job, case.plan.chips
    each = float(flop_per_token(case.arch, job.seq_len, "training"))
    kind, value = read(text)
    if kind == "s":
        return job.global_batch_tokens / value
    if kind == "tokens":
        return value
    if kind == "tokens of a chip":
        return value * chips
    if kind == "fraction":
        peak = float(np.mean(case.machine.peak_flop_per_s[job.dtype]))
        return value * peak * chips / each
    return value * chips / each


def serving_speed(text: str, case: ServingCase) -> float:
    """Output tokens/s of all chips that a measurement of serving means.

    `1234tok/s`, `80tok/s/chip`, or `45ms` for a token of one request, which the plan's batch makes
    tokens/s. Raises `UsageError`.
    """
    kind, value = read(text)
    plan = case.plan
    if kind == "tokens":
        return value
    if kind == "tokens of a chip":
        return value * plan.chips
    if kind == "s":
        return served_tokens(case) * plan.tpot_s / value
    raise UsageError(
        f"--measured is {shorten(text)!r}; of a service tokens/s (`1234tok/s`) or the time for a "
        "token (`45ms`) was expected."
    )


def read(text: str) -> tuple[str, float]:
    """What a measurement is of, and its value: `s`, `tokens`, `tokens of a chip`, `fraction` or
    `FLOP/s`. Raises `UsageError`.
    """
    word = text.strip().replace("tokens/s", "tok/s")
    kinds = (("tok/s/chip", "tokens of a chip"), ("tok/s", "tokens"))
    for ending, kind in kinds:
        if word.endswith(ending):
            return kind, _above_zero(parse(word.removesuffix(ending), "1", "--measured"), text)
    for ending, unit in (("%", "fraction"), ("FLOP/s", "FLOP/s"), ("FLOPS", "FLOP/s")):
        if word.endswith(ending):
            return unit, _above_zero(parse(word, unit, "--measured"), text)
    if word[-1:] in ("s", "n", "h") and word[:1].isdigit():
        return "s", _above_zero(parse(word, "s", "--measured"), text)
    raise UsageError(
        f"--measured is {shorten(text)!r}; `1234tok/s`, `80tok/s/chip`, `12.3s`, and of training "
        "`410TFLOP/s` or `45%` were expected."
    )


def _above_zero(value: float, text: str) -> float:
    if value <= 0:
        raise UsageError(f"--measured is {shorten(text)!r}; a speed above zero was expected.")
    return value


def measured_training(text: str, case: TrainingCase) -> Measured:
    """A measured step among the samples of the predicted one. Raises `UsageError`."""
    speed, tokens, plan = training_speed(text, case), case.job.global_batch_tokens, case.plan
    samples = tokens / sampled_times(case.arch, plan, case.software, Sampler())
    own = Training(case.machine, case.software, case.job, plan.layout)

    def speeds(setup: Training) -> Speeds:
        step_s = seconds(case, setup.target, setup.software, setup.layout, setup.job)
        return [("", tokens / step_s)]

    suspects = list(training_suspects(own, fits=not int(plan.layout.recompute[0])))
    placed = _placed(text, speed, tokens / plan.time_s, samples)
    return _explained(placed, own, suspects, speeds, samples, case.machine.chip.vendor)


def measured_serving(text: str, case: ServingCase) -> Measured:
    """Measured tokens/s among the samples of those predicted. Raises `UsageError`."""
    speed, tokens, plan = serving_speed(text, case), served_tokens(case), case.plan
    samples = tokens * sampled_most(plan, Sampler()) / plan.most_requests_per_s
    decode = plan.decode
    own = Serving(case.machine, case.question.engine, decode.model.precision)
    alone = _rates(case, own)
    if alone is None:
        return _placed(text, speed, tokens, samples)

    def speeds(setup: Serving) -> Speeds:
        rates = _rates(case, setup)
        if rates is None:
            return []
        names = ["", *(_batch_words(case, share) for share in BATCHES)]
        return [
            (name, tokens * rate / alone[0])
            for name, rate in zip(names, rates, strict=True)
            if np.isfinite(rate)
        ]

    tp = int(decode.layout.tp[0])
    suspects = list(serving_suspects(own, tp, apart=case.apart))
    placed = _placed(text, speed, tokens, samples)
    return _explained(placed, own, suspects, speeds, samples, case.machine.chip.vendor)


def served_tokens(case: ServingCase) -> float:
    """Output tokens/s of the plan: at its load where users wait for answers, else at most."""
    plan = case.plan
    rate = plan.requests_per_s if plan.need.users is not None else plan.most_requests_per_s
    return float(rate * plan.job.request.output_tokens)


def _placed(text: str, speed: float, predicted: float, samples: Number) -> Measured:
    low, high = (float(np.percentile(samples, p)) for p in NORMAL)
    percentile = 100.0 * float(np.mean(np.asarray(samples) < speed))
    return Measured(text, speed, predicted, low, high, percentile, ())


def _rates(case: ServingCase, setup: Serving) -> Number | None:
    """Requests/s of a replica in the plan's layout at each batch, NaN where memory does not hold
    it; the first is the plan's batch, or the largest that fits. None where it cannot run.
    """
    plan = case.plan
    decode = plan.decode
    try:
        model = served(plan.arch, setup.precision, setup.target, setup.engine)
    except (Infeasible, MissingFact, KeyError):
        return None
    batches = _batch(plan) * np.array([1.0, *BATCHES])
    batches = np.minimum(batches, model.engine.max_sequences)
    layout = decode.layout.take(np.zeros(len(batches), dtype=np.int64))
    steady = steady_state(model, layout, batches, decode.request, decode.token_budget)
    fits = steady.fits & ((batches * decode.lanes >= 1.0) | (np.arange(len(batches)) == 0))
    if not fits.any():
        return None
    rates = np.where(fits, steady.requests_per_s, np.nan)
    rates[0] = rates[np.flatnonzero(fits)[0]]
    return np.asarray(rates)


def _batch(plan: ServingPlan) -> float:
    """Requests of a lane that decode: at the load of users who wait, else at most."""
    return plan.decode.decoding if plan.need.users is not None else plan.most_decoding


def _batch_words(case: ServingCase, share: float) -> str:
    plan = case.plan
    full = _batch(plan) * plan.decode.lanes * plan.decode_replicas
    few = max(round(share * full), 1)
    return f"a batch too small: {few:,} decoding at a time, not {round(full):,}"


def _explained(
    placed: Measured,
    own: Setup,
    suspects: list[Suspect[Setup]],
    speeds: Callable[[Setup], Speeds],
    samples: Number,
    vendor: str,
) -> Measured:
    """The measurement with what may be wrong; speeds: of a setup at its batch, then at smaller."""
    low, high = (float(np.percentile(samples, p)) for p in NORMAL)
    sigma = float(np.hypot(np.log(high / low) / SIGMAS, DEFAULT_SPREAD["measured"]))
    found: list[tuple[tuple[str, ...], Tried]] = []

    def tried(some: tuple[Suspect[Setup], ...]) -> float:
        """Note a set of suspects, with and without a smaller batch; how fast it is at best."""
        best = 0.0
        plain: Tried = []
        small: Tried = []
        for levels in product(*(one.levels for one in some)):
            setup: Setup | None = own
            for _, change in levels:
                setup = None if setup is None else change(setup)
            if setup is None:
                continue
            names: tuple[str, ...] = tuple(name for name, _ in levels)
            for batch, speed in speeds(setup):
                if batch:
                    small.append(((*names, batch), speed))
                else:
                    plain.append((names, speed))
                    best = max(best, speed)
        keys: tuple[str, ...] = tuple(one.check for one in some)
        if some and plain:
            found.append((keys, plain))
        if len(some) < 2 and small:
            found.append(((*keys, "batch"), small))
        return best

    tried(())
    worth = [one for one in suspects if 0 < tried((one,)) < placed.predicted * (1 - LITTLE)]
    for pair in combinations(worth, 2):
        if pair[0].kind != pair[1].kind:
            tried(pair)
    faults = _ranked(placed, found, sigma, vendor)
    return Measured(
        placed.text, placed.speed, placed.predicted, placed.low, placed.high, placed.percentile,
        faults,
    )  # fmt: skip


def _ranked(
    placed: Measured, found: Iterable[tuple[tuple[str, ...], Tried]], sigma: float, vendor: str
) -> tuple[Fault, ...]:
    """Explanations that are slower than the plan, the likeliest first."""
    slower = [(keys, [one for one in some if one[1] < placed.predicted * (1 - 1e-3)])
              for keys, some in found]  # fmt: skip
    known = [(keys, some) for keys, some in slower if some]
    faults = []
    for keys, some in known:
        z = np.log([speed / placed.speed for _, speed in some]) / sigma
        likelihood = np.logaddexp.reduce(-z * z / 2) - np.log(len(some))
        others = sum(1 for other, _ in known if len(other) == len(keys))
        i = int(np.argmin(z * z))
        checks = tuple(check_of(key, vendor) for key in keys)
        score, explains = float(np.log(others) - likelihood), bool(abs(z[i]) <= SIGMAS / 2)
        faults.append(Fault(some[i][0], checks, some[i][1], score, explains))
    return tuple(sorted(faults, key=lambda one: one.score)[:MOST_FAULTS])
