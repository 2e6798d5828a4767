"""What the words of a serving question mean: requests, load, latencies, chips, engine, mode."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from parity.catalogue.machine import machine
from parity.catalogue.schema import Chip
from parity.catalogue.spec import Batch, parse_fleet
from parity.errors import UnknownName, UsageError
from parity.record import Finding
from parity.search.gate import Gate, serving_gate
from parity.search.pools import Pool
from parity.search.precision import precision_of
from parity.search.replica import ServingJob
from parity.search.requests import Variation
from parity.search.serve import Need
from parity.search.serving_plan import Mode, ServingQuestion
from parity.timing.engine import Engine, engine, engines, usual_engine
from parity.timing.support import engine_names
from parity.units import parse, parse_count, parse_length, render
from parity.words.asked import Quantity, asked_dtype
from parity.workload.operator import Architecture
from parity.workload.profiles import Profile, profile
from parity.workload.request import Request
from parity.workload.speculation import accepted_tokens
from parity.workload.traces import find as find_trace
from parity.workload.traffic import Traffic, faster, first

MODES: tuple[Mode, ...] = ("auto", "aggregated", "disaggregated")
#: The profile of a question that names none.
USUAL_PROFILE = "chat"
#: Loads beyond these are slips of the finger.
MOST_RATE, MOST_USERS, MOST_DRAFTED = 1e7, 1e9, 16
#: Shortest and longest latency that is taken for one. [s]
LEAST_S, MOST_S = 1e-6, 86_400.0
#: Word for no latency asked for.
NO_LIMIT = "none"
#: Requests of a trace that are planned for and replayed, from its beginning.
MOST_TRACED = 200_000
#: Fastest and slowest that a trace is replayed, over its own speed.
SLOWEST, FASTEST = 1e-3, 1e3
#: Percentile of a simulation where none is asked for.
USUAL_PERCENTILE = 99


@dataclass(frozen=True)
class Asked:
    """The requests of a question and what is asked of them, with what was assumed."""

    request: Request
    ttft_s: float
    tpot_s: float
    vary: Variation  # of lengths, where these come from a profile
    assumed: tuple[str, ...] = ()  # every default that was taken, in words
    need: Need = field(default_factory=Need)
    trace: Traffic | None = None


@dataclass(frozen=True)
class Said:
    """The words of a question about requests, how many come and how soon they must be answered."""

    isl: Quantity | None
    osl: Quantity | None
    prefix: Quantity | None
    profile: str | None
    rps: Quantity | None
    concurrency: Quantity | None
    users: Quantity | None
    think: Quantity | None
    ttft: Quantity | None
    tpot: Quantity | None
    drafted: int
    trace: str | None
    speed: Quantity | None


def work(model: str, said: Said, *, counted: bool, on: str) -> Asked:
    """What must be served, and how soon: of a trace, or as it is described.

    counted: the chips have a count. on: what they are, in words.
    Raises `UnknownName`, `UsageError`, `BadFile` for a trace.
    """
    if said.trace is None:
        if said.speed is not None:
            raise UsageError("--speed is how fast a trace is replayed; add --trace.")
        asked = requests(
            model, said.profile, said.isl, said.osl, said.prefix, said.drafted, said.ttft, said.tpot
        )
        need = load(said.rps, said.concurrency, said.users, said.think, counted=counted, on=on)
        return replace(asked, need=need)
    others = ("isl", "osl", "prefix", "profile", "concurrency", "users", "think")
    for name in others:
        if getattr(said, name) is not None:
            raise UsageError(f"--{name} and --trace both say what comes and when; leave one out.")
    traffic = traced(said.trace, said.rps, said.speed)
    asked = traced_requests(model, traffic, said.drafted, said.ttft, said.tpot)
    return replace(asked, need=Need(requests_per_s=traffic.rate), trace=traffic)


def requests(
    model: str,
    kind: str | None,
    isl: Quantity | None,
    osl: Quantity | None,
    prefix: Quantity | None,
    drafted: int,
    ttft: Quantity | None,
    tpot: Quantity | None,
) -> Asked:
    """The mean request and the latencies; what is not given comes from the profile.

    Raises `UnknownName` for a profile, `UsageError` for quantities that cannot be.
    """
    base = profile(kind or USUAL_PROFILE)
    name = kind or USUAL_PROFILE
    inputs = base.input_tokens if isl is None else parse_length(isl, "--isl", most=1e7)
    outputs = base.output_tokens if osl is None else parse_length(osl, "--osl", most=1e6)
    shared = base.prefix if prefix is None else _share(prefix)
    vary = Variation(base.input_cv if isl is None else 0.0, base.output_cv if osl is None else 0.0)
    request = _request(model, inputs, outputs, shared, vary.outputs**2, drafted)
    waits = _latency(ttft, "--ttft", base.ttft_s), _latency(tpot, "--tpot", base.tpot_s)
    asked = Asked(request, *waits, vary)
    given = {"isl": isl, "osl": osl, "prefix": prefix, "ttft": ttft, "tpot": tpot}
    taken = _taken(asked, {key for key, value in given.items() if value is None}, name, base)
    return replace(asked, assumed=taken)


def _request(
    model: str, inputs: float, outputs: float, shared: float, spread: float, drafted: int
) -> Request:
    """The mean request. shared: of a prompt, found in the prefix cache."""
    if not 0 <= drafted <= MOST_DRAFTED:
        raise UsageError(f"--speculate is {drafted}; 0 to {MOST_DRAFTED} tokens were expected.")
    return Request(
        input_tokens=inputs,
        output_tokens=outputs,
        cached_tokens=shared * inputs,
        spread=spread,
        drafted=drafted,
        accepted=min(accepted_tokens(model, drafted)[0], drafted + 1),
    )


def _taken(asked: Asked, missing: set[str], name: str, base: Profile) -> tuple[str, ...]:
    own = {
        "isl": f"--isl {asked.request.input_tokens:.0f}",
        "osl": f"--osl {asked.request.output_tokens:.0f}",
        "prefix": f"--prefix {asked.request.cached_tokens / asked.request.input_tokens:.2g}",
        "ttft": f"--ttft {_words(asked.ttft_s)}",
        "tpot": f"--tpot {_words(asked.tpot_s)}",
    }
    lengths = [own[key] for key in ("isl", "osl", "prefix") if key in missing]
    waits = [own[key] for key in ("ttft", "tpot") if key in missing]
    found = [f"{', '.join(lengths)} (profile {name}: {base.source})"] if lengths else []
    return (*found, *([", ".join(waits)] if waits else []))


def _words(seconds: float) -> str:
    return NO_LIMIT if math.isinf(seconds) else render(seconds, "s").replace(" ", "")


def _share(prefix: Quantity) -> float:
    value = parse(prefix, "fraction", "--prefix")
    if not 0 <= value < 1:
        raise UsageError(
            f"--prefix is {prefix}; a share of the prompt, 0 to below 1, was expected, as in 0.4."
        )
    return value


def _latency(value: Quantity | None, what: str, usual: float) -> float:
    if value is None:
        return usual
    if isinstance(value, str) and value.strip().lower() == NO_LIMIT:
        return math.inf
    found = parse(value, "s", what)
    if not LEAST_S <= found <= MOST_S:
        least, most = render(LEAST_S, "s"), render(MOST_S, "s")
        raise UsageError(f"{what} is {value}; {least} to {most}, or {NO_LIMIT}, was expected.")
    return found


def load(
    rps: Quantity | None,
    concurrency: Quantity | None,
    users: Quantity | None,
    think: Quantity | None,
    *,
    counted: bool,
    on: str,
) -> Need:
    """How much must be served. Raises `UsageError` where words conflict or none are given.

    counted: the chips have a count, so that no load asks for as much as they carry.
    """
    given = {"--rps": rps, "--concurrency": concurrency, "--users": users}
    named = [name for name, value in given.items() if value is not None]
    if len(named) > 1:
        raise UsageError(f"{' and '.join(named)} each set the load; one of them was expected.")
    if think is not None and users is None:
        raise UsageError("--think is the pause of a user between requests; add --users.")
    if not named and not counted:
        raise UsageError(
            f"How much must be served? `--rps 4` (requests a second), `--concurrency 64` or "
            f"`--users 500 --think 30s`; or give the chips a count, as in `--on 8x{on}`."
        )
    if rps is not None:
        return Need(requests_per_s=_within(rps, "--rps", 1e-6, MOST_RATE))
    if concurrency is not None:
        return Need(users=parse_count(concurrency, "--concurrency", most=MOST_USERS))
    if users is not None:
        pause = 0.0 if think is None else parse(think, "s", "--think")
        if not 0 <= pause <= MOST_S:
            raise UsageError(f"--think is {think}; 0 s to {render(MOST_S, 's')} was expected.")
        return Need(users=parse_count(users, "--users", most=MOST_USERS), think_s=pause)
    return Need()


def _within(value: Quantity, what: str, least: float, most: float) -> float:
    found = parse(value, "1", what)
    if not least <= found <= most:
        raise UsageError(f"{what} is {value}; {least:g} to {most:,.0f} was expected.")
    return found


def serving_mode(mode: str, prefill_on: str | None) -> Mode:
    """The mode asked for. Raises `UnknownName`, `UsageError` where words conflict."""
    known = mode.strip().lower()
    for name in MODES:
        if name == known:
            if prefill_on is not None and name == "aggregated":
                raise UsageError(
                    "--prefill-on gives prompts chips of their own, --mode aggregated does not; "
                    "leave one out."
                )
            return name
    raise UnknownName("mode", mode, MODES, f"Modes: {', '.join(MODES)}.")


def serving_chips(on: str, option: str) -> Batch:
    """The one kind of chip of a pool. Raises `UsageError` where there are several."""
    batches: Sequence[Batch] = parse_fleet(on)
    if len(batches) != 1:
        raise UsageError(
            f"{option} names {len(batches)} kinds of chip; one was expected. Chips of another kind "
            "can take the prompts: `--prefill-on`."
        )
    return batches[0]


def serving_engine(name: str | None, chip: Chip) -> tuple[Engine, str]:
    """(what an engine costs, the engine that the gate asks about); a generation names both.

    Raises `UnknownName`.
    """
    if name is None:
        return usual_engine(chip), ""
    word = name.strip().lower()
    if word in engines():
        return engine(word), word
    if word in engine_names():
        return usual_engine(chip), word
    known = list(dict.fromkeys((*engine_names(), *engines())))
    raise UnknownName("engine", name, known, f"Engines: {', '.join(known)}.")


def percentile(value: int | None, *, simulated: bool) -> int | None:
    """The percentile that latencies are asked at, 50 to 99; None: on average."""
    if value is None:
        return USUAL_PERCENTILE if simulated else None
    if not 50 <= value <= 99:
        raise UsageError(f"--p is {value}; a percentile from 50 to 99 was expected.")
    return value


def traced(name: str, rps: Quantity | None = None, speed: Quantity | None = None) -> Traffic:
    """The requests of a trace: as they came, `speed` times as fast, or at `rps` a second.

    Raises `UsageError`, `UnknownName`, `BadFile`.
    """
    if rps is not None and speed is not None:
        raise UsageError("--rps and --speed each set the rate of the trace; leave one out.")
    rate = None if rps is None else _within(rps, "--rps", 1e-6, MOST_RATE)
    found = find_trace(name, requests=MOST_TRACED + 1, rate=rate)
    if len(found) > MOST_TRACED:
        cut = Finding(
            "P206", "note", f"Of the trace, the first {MOST_TRACED:,} requests are taken."
        )
        found = first(found, requests=MOST_TRACED)
        found = replace(found, findings=(*found.findings, cut))
    if math.isinf(found.rate):
        raise UsageError(
            f"The requests of {name} have no times; --rps says how many come a second."
        )
    if speed is None:
        return found
    text = str(speed).strip().lower().removesuffix("x")
    return faster(found, _within(text, "--speed", SLOWEST, FASTEST))


def traced_requests(
    model: str, traffic: Traffic, drafted: int, ttft: Quantity | None, tpot: Quantity | None
) -> Asked:
    """The mean request of a trace, with the part of prompts that an endless cache would hold."""
    shared = 0.0
    if traffic.prefix is not None:
        blocks = len(traffic.prefix.ids) * traffic.prefix.block_tokens
        shared = traffic.prefix.reuse * min(blocks / float(traffic.input_tokens.sum()), 1.0)
    inputs, outputs = float(traffic.input_tokens.mean()), float(traffic.output_tokens.mean())
    spread = min(float(traffic.output_tokens.var()) / outputs**2, 100.0)
    base = profile(USUAL_PROFILE)
    waits = _latency(ttft, "--ttft", base.ttft_s), _latency(tpot, "--tpot", base.tpot_s)
    asked = Asked(_request(model, inputs, outputs, shared, spread, drafted), *waits, Variation())
    given = {"ttft": ttft, "tpot": tpot}
    missing = {name for name, value in given.items() if value is None}
    return replace(asked, assumed=_taken(asked, missing, USUAL_PROFILE, base))


def serving_pool(
    arch: Architecture,
    batch: Batch,
    asked: Asked,
    dtype: str,
    kv: str,
    engine_name: str,
    cluster: str = "",
) -> tuple[Pool, Gate]:
    """The chips of one pool, past the gate, with what they are asked to do.

    Raises `Infeasible` with P1xx, `MissingFact`.
    """
    context = asked.request.input_tokens + asked.request.output_tokens
    passed = serving_gate(arch, batch.chip, engine_name, dtype, context)
    job = ServingJob(
        asked.request, precision_of(arch, batch.chip, passed, kv), asked.ttft_s, asked.tpot_s
    )
    return Pool(machine(batch.chip, cluster), job, batch.count), passed


def serving_question(
    arch: Architecture,
    batch: Batch,
    asked: Asked,
    engine_generation: str | None,
    dtype: str,
    kv: str,
    cluster: str,
    mode: str,
    prefill_on: str | None,
    top: int,
) -> tuple[ServingQuestion, Gate, str]:
    """The whole question, what passed the gate, and the engine that was named, or nothing.

    Raises `UsageError` for words that conflict, `UnknownName`, `Infeasible`, `MissingFact`.
    """
    way, (cost, name) = (
        serving_mode(mode, prefill_on),
        serving_engine(engine_generation, batch.chip),
    )
    words = (asked_dtype(dtype), asked_dtype(kv), name)
    pool, passed = serving_pool(arch, batch, asked, *words, cluster)
    prompts = None
    if prefill_on is not None:
        other = serving_chips(prefill_on, "--prefill-on")
        prompts, _ = serving_pool(arch, other, asked, *words, "")
    return ServingQuestion(arch, pool, cost, asked.need, way, prompts, top), passed, name
