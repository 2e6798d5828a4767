"""Is a measured speed normal, and if it is low, what would make it so?

A measurement is set among samples of the prediction over all ranges; its percentile says how usual
it is. Then the plan is evaluated again with one fault at a time, by the same equations and in its
own layout, and the faults are ranked by how near they come to the measurement, as ratios.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from msgspec import structs

from parity.catalogue.machine import Machine, Number
from parity.errors import Infeasible, MissingFact, UsageError, shorten
from parity.evaluate.serving import steady_state
from parity.evaluate.step import served
from parity.search.findings import computes_in
from parity.search.serve import ServingPlan
from parity.search.serving_range import sampled_most
from parity.search.train import sampled_times
from parity.search.why_figures import one_port, over_the_host
from parity.search.why_training import TrainingCase, seconds
from parity.search.why_ways import ServingCase
from parity.timing.draw import Sampler
from parity.timing.engine import Engine, engine
from parity.timing.software import DIFFERENCES, software
from parity.units import parse
from parity.workload.flop import flop_per_token
from parity.workload.precision import HALVES

#: Percentiles between which a measurement is as it should be: those of the range of an answer.
NORMAL = (10.0, 90.0)
#: Generations whose whole-step figures stand for older or plainer software.
OLDER_SOFTWARE = ("2025-plain", "2024", "fsdp-2024", "2023", "2022")
OLDER_ENGINES = ("vllm-v1", "vllm-v0", "trtllm-2023", "static")
#: Batches that are tried below the plan's, as shares of it.
BATCHES = tuple(2.0 ** (-i / 4) for i in range(1, 41))


@dataclass(frozen=True)
class Fault:
    """The plan with one thing wrong: its speed, in the unit of the measurement."""

    name: str
    speed: float

    def distance(self, measured: float) -> float:
        """How far from a measurement, as the logarithm of the ratio. [1]"""
        return abs(float(np.log(self.speed / measured)))


@dataclass(frozen=True)
class Measured:
    """A measurement among what is predicted. Speeds are tokens/s of all chips."""

    text: str  # as typed
    speed: float
    predicted: float
    low: float  # P10
    high: float  # P90
    percentile: float  # of the samples of the prediction
    faults: tuple[Fault, ...]  # the nearest first

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
    speed, tokens = training_speed(text, case), case.job.global_batch_tokens
    plan = case.plan
    times = sampled_times(case.arch, plan, case.software, Sampler())
    faults = [Fault(name, tokens / s) for name, s in training_faults(case)]
    return _placed(text, speed, tokens / plan.time_s, tokens / times, faults)


def measured_serving(text: str, case: ServingCase) -> Measured:
    """Measured tokens/s among the samples of those predicted. Raises `UsageError`."""
    speed, own = serving_speed(text, case), served_tokens(case)
    samples = own * sampled_most(case.plan, Sampler()) / case.plan.most_requests_per_s
    return _placed(text, speed, own, samples, list(serving_faults(case, speed)))


def served_tokens(case: ServingCase) -> float:
    """Output tokens/s of the plan: at its load where users wait for answers, else at most."""
    plan = case.plan
    rate = plan.requests_per_s if plan.need.users is not None else plan.most_requests_per_s
    return float(rate * plan.job.request.output_tokens)


def _placed(
    text: str, speed: float, predicted: float, samples: Number, faults: list[Fault]
) -> Measured:
    low, high = (float(np.percentile(samples, p)) for p in NORMAL)
    percentile = 100.0 * float(np.mean(np.asarray(samples) < speed))
    slower = [one for one in faults if one.speed < predicted * (1 - 1e-3)]
    ranked = sorted(slower, key=lambda one: one.distance(speed))
    return Measured(text, speed, predicted, low, high, percentile, tuple(ranked))


def training_faults(case: TrainingCase) -> Iterator[tuple[str, float]]:
    """(what may be wrong, seconds of a step then), in the layout of the plan."""
    own, target = case.software, case.machine
    machines = {
        "chips reach each other over PCIe, not their link": over_the_host(target),
        "one network port for a node": one_port(target),
    }
    for name, other in machines.items():
        if other is not None:
            yield name, seconds(case, other)
    for generation in OLDER_SOFTWARE:
        if generation != own.name:
            older = software(generation)
            yield f"software of another time: {older.title}", seconds(case, software=older)
    if own.fused_attention:
        plain = software("2022")
        names = ("score_bytes_forward", "score_bytes_backward", "score_bytes_saved")
        scores = {name: getattr(plain, name) for name in names}
        unfused = structs.replace(own, fused_attention=False, **scores)
        yield "attention that is not fused", seconds(case, software=unfused)
    shown = structs.replace(own, **dict.fromkeys(DIFFERENCES, 0.0))
    yield "no communication hidden behind compute", seconds(case, software=shown)
    if not int(case.plan.layout.recompute[0]):
        again = case.plan.layout.replace(recompute=np.full(1, 2))
        yield "full recomputation, though it fits without", seconds(case, layout=again)
    if case.job.dtype not in HALVES:
        half = "bf16" if computes_in(target.chip, "bf16") else "fp16"
        wide = structs.replace(case.job, dtype=half)
        yield f"products in {half}, not {case.job.dtype}", seconds(case, job=wide)


def serving_faults(case: ServingCase, speed: float) -> Iterator[Fault]:
    """What may be wrong, in the layout of the plan, each with tokens/s then."""
    plan, own = case.plan, case.question.engine
    yield from _batch_faults(case, speed)
    for name, other in (
        ("chips reach each other over PCIe, not their link", over_the_host(case.machine)),
        ("one network port for a node", one_port(case.machine)),
    ):
        if other is not None:
            yield from _fault(case, name, target=other)
    eager = structs.replace(
        own, graphs=False, overlapped=False, launch_share=1.0,
        launches_s=max(own.launches_s, engine("vllm-v0").launches_s),
    )  # fmt: skip
    yield from _fault(case, "kernels started one by one: no graphs (eager)", own=eager)
    if own.chunked and own.mixed and not case.apart:
        whole = structs.replace(own, chunked=False, mixed=False)
        yield from _fault(case, "prompts not chunked: they hold up decoding", own=whole)
    for generation in OLDER_ENGINES:
        older = engine(generation)
        if generation != own.name and not own.vendors:
            yield from _fault(case, f"another engine: {older.title}", own=older)
    precision = plan.decode.model.precision
    if precision.weights not in HALVES:
        wide = structs.replace(precision, weights=precision.half, weight_only=False)
        name = f"weights in {precision.half}, not {precision.weights}"
        yield from _fault(case, name, precision=wide)
        if not precision.weight_only:
            widened = structs.replace(precision, weight_only=True)
            yield from _fault(case, "weights widened before each product", precision=widened)
    if precision.kv not in HALVES:
        cached = structs.replace(precision, kv=precision.half)
        yield from _fault(case, f"KV cache in {precision.half}", precision=cached)


def _fault(
    case: ServingCase,
    name: str,
    target: Machine | None = None,
    own: Engine | None = None,
    precision: object = None,
) -> Iterator[Fault]:
    """Tokens/s of the plan's layout and batch, as far as memory holds it."""
    decode = case.plan.decode
    try:
        model = served(
            case.plan.arch, precision or decode.model.precision,  # type: ignore[arg-type]
            target or case.machine, own or case.question.engine,
        )  # fmt: skip
    except (Infeasible, MissingFact, KeyError):
        return
    batches = _batch(case.plan) * np.array([1.0, *BATCHES])
    batches = np.minimum(batches, model.engine.max_sequences)
    layout = decode.layout.take(np.zeros(len(batches), dtype=np.int64))
    steady = steady_state(model, layout, batches, decode.request, decode.token_budget)
    fitting = np.flatnonzero(steady.fits)
    if len(fitting):
        rate = float(steady.requests_per_s[fitting[0]])
        yield Fault(name, served_tokens(case) * rate / _rate(case))


def _batch(plan: ServingPlan) -> float:
    """Requests of a lane that decode: at the load of users who wait, else at most."""
    return plan.decode.decoding if plan.need.users is not None else plan.most_decoding


def _rate(case: ServingCase) -> float:
    """Requests/s of a replica at that batch."""
    decode = case.plan.decode
    one = np.array([_batch(case.plan)])
    steady = steady_state(decode.model, decode.layout, one, decode.request, decode.token_budget)
    return float(steady.requests_per_s[0])


def _batch_faults(case: ServingCase, speed: float) -> Iterator[Fault]:
    """The batch, below the plan's, that comes nearest to the measurement."""
    decode, most = case.plan.decode, _batch(case.plan)
    batches = most * np.array(BATCHES)
    batches = batches[batches * decode.lanes >= 1.0]
    if not len(batches):
        return
    layout = decode.layout.take(np.zeros(len(batches), dtype=np.int64))
    steady = steady_state(decode.model, layout, batches, decode.request, decode.token_budget)
    tokens = served_tokens(case) * steady.requests_per_s / _rate(case)
    i = int(np.argmin(np.abs(np.log(tokens / speed))))
    requests = round(batches[i] * decode.lanes * case.plan.decode_replicas)
    full = round(most * decode.lanes * case.plan.decode_replicas)
    yield Fault(
        f"a batch too small: {requests:,} requests decoding, not {full:,}", float(tokens[i])
    )
