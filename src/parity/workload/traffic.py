"""Requests over time: when they arrive, how long they are, what they share.

A `Traffic` is columns, one entry a request, in order of arrival. It is read from a trace
(`workload/traces.py`) or drawn here from a seed: the same seed draws the same requests.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from parity.errors import BadQuantity
from parity.record import Finding

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MOST_REQUESTS = 10_000_000
MOST_TOKENS = 1_000_000_000
#: Levels of priority; engines keep a queue for each.
MOST_PRIORITIES = 64


@dataclass(frozen=True, eq=False)
class Prefix:
    """What requests share: ids of the blocks a prompt begins with.

    Two prompts whose first k ids are equal have the first k blocks in common [Mooncake,
    arXiv 2407.00079, its published traces]. Request i has `ids[offsets[i]:offsets[i + 1]]`.
    """

    block_tokens: int
    ids: Ints
    offsets: Ints  # (requests + 1,)

    @property
    def reuse(self) -> float:
        """Part of the blocks that an endless cache would hold when they come: those seen before."""
        return 1 - len(np.unique(self.ids)) / len(self.ids) if len(self.ids) else 0.0

    def take(self, count: int) -> Prefix:
        """Of the first `count` requests."""
        offsets = self.offsets[: count + 1]
        return Prefix(self.block_tokens, self.ids[: offsets[-1]], offsets)


@dataclass(frozen=True, eq=False)
class Traffic:
    """Requests in order of arrival.

    arrival_s: (requests,), seconds from the start, never falling.
    input_tokens, output_tokens: (requests,), each at least 1.
    priority: (requests,) or none; lower is served first, as in vLLM.
    prefix: what prompts share, or nothing.
    max_concurrency: requests that clients have under way at most; later ones are held back at the
        client until one ends, as `--max-concurrency` of benchmarks does. None: no limit.
    think_s: (requests,), time after a request's end until its client sends another.

    Raises `BadQuantity` where a column breaks this.
    """

    arrival_s: Floats
    input_tokens: Ints
    output_tokens: Ints
    priority: Ints | None = None
    prefix: Prefix | None = None
    max_concurrency: int | None = None
    think_s: Floats | None = None
    name: str = ""
    findings: tuple[Finding, ...] = ()

    def __post_init__(self) -> None:
        """Checks every column."""
        count = len(self.arrival_s)
        if not 1 <= count <= MOST_REQUESTS:
            raise BadQuantity(
                f"{count:,} requests; 1 to {MOST_REQUESTS:,} were expected in one simulation."
            )
        for column in ("input_tokens", "output_tokens", "priority", "think_s"):
            values = getattr(self, column)
            if values is not None and np.shape(values) != (count,):
                raise BadQuantity(f"{column} has another length than the {count:,} arrivals.")
        _in_range("arrival_s", self.arrival_s, 0, 1e12)
        _in_range("input_tokens", self.input_tokens, 1, MOST_TOKENS)
        _in_range("output_tokens", self.output_tokens, 1, MOST_TOKENS)
        if self.think_s is not None:
            _in_range("think_s", self.think_s, 0, 1e9)
        if np.any(np.diff(self.arrival_s) < 0):
            raise BadQuantity("arrival_s falls; requests in order of arrival were expected.")
        if self.priority is not None and len(np.unique(self.priority)) > MOST_PRIORITIES:
            raise BadQuantity(f"More than {MOST_PRIORITIES} levels of priority.")
        if self.max_concurrency is not None and self.max_concurrency < 1:
            raise BadQuantity(f"max_concurrency is {self.max_concurrency}; at least 1 is needed.")
        if self.prefix is not None:
            _check_prefix(self.prefix, count)

    def __len__(self) -> int:
        """Requests."""
        return len(self.arrival_s)

    @property
    def rate(self) -> float:
        """Mean arrivals per second over the span from first to last; inf where all come at once."""
        span = float(self.arrival_s[-1] - self.arrival_s[0])
        return (len(self) - 1) / span if span > 0 else math.inf


def _in_range(name: str, values: NDArray[Any], least: float, most: float) -> None:
    if not np.all((values >= least) & (values <= most)):  # NaN compares false
        raise BadQuantity(f"{name} holds a value outside {least:g} to {most:g}.")


def _check_prefix(prefix: Prefix, count: int) -> None:
    offsets = prefix.offsets
    if prefix.block_tokens < 1 or len(offsets) != count + 1 or offsets[0] != 0:
        raise BadQuantity("The prefix blocks do not belong to these requests.")
    if np.any(np.diff(offsets) < 0) or offsets[-1] != len(prefix.ids):
        raise BadQuantity("The offsets of the prefix blocks do not rise to their count.")
    owner = np.repeat(np.arange(count), np.diff(offsets))
    order = np.lexsort((prefix.ids, owner))
    if np.any((np.diff(owner[order]) == 0) & (np.diff(prefix.ids[order]) == 0)):
        raise BadQuantity(
            "A prompt has the same prefix block twice; each stands for a place in it."
        )


@dataclass(frozen=True)
class Lengths:
    """How long prompts or answers are. [token]

    fixed: all `mean`.
    uniform: whole numbers from `low` to `high`.
    lognormal: of `mean` and coefficient of variation `cv`, rounded, at least 1.
    """

    kind: Literal["fixed", "uniform", "lognormal"]
    mean: float
    low: int = 1
    high: int = 1
    cv: float = 0.0

    def __post_init__(self) -> None:
        """Checks every figure."""
        if not 1 <= self.mean <= MOST_TOKENS:
            raise BadQuantity(f"A mean of {self.mean:g} tokens; 1 to {MOST_TOKENS:,} are possible.")
        if not (self.kind != "uniform" or 1 <= self.low <= self.high <= MOST_TOKENS):
            raise BadQuantity(f"Lengths from {self.low} to {self.high}; a rising span from 1 on.")
        if not 0 <= self.cv <= 100:
            raise BadQuantity(f"A coefficient of variation of {self.cv:g}; 0 to 100 are possible.")

    def draw(self, count: int, rng: np.random.Generator) -> Ints:
        """`count` lengths."""
        if self.kind == "uniform":
            return rng.integers(self.low, self.high, count, endpoint=True)
        if self.kind == "fixed" or self.cv == 0:
            return np.full(count, round(self.mean), dtype=np.int64)
        variance = math.log1p(self.cv**2)
        drawn = rng.lognormal(math.log(self.mean) - variance / 2, math.sqrt(variance), count)
        return np.clip(np.rint(drawn), 1, MOST_TOKENS).astype(np.int64)


def fixed(tokens: int) -> Lengths:
    """All the same."""
    return Lengths("fixed", tokens)


def around(mean: int, ratio: float) -> Lengths:
    """Uniform from mean · (1 − ratio) to mean · (1 + ratio), the `--random-range-ratio` of
    `vllm bench serve`; SGLang's, from mean · ratio to mean, is `between`.
    """
    if not 0 <= ratio < 1:
        raise BadQuantity(f"A range ratio of {ratio:g}; 0 up to 1 was expected.")
    low = max(1, math.floor(mean * (1 - ratio)))
    return Lengths("uniform", mean, low, max(low, math.ceil(mean * (1 + ratio))))


def between(low: int, high: int) -> Lengths:
    """Uniform from `low` to `high`, both included."""
    return Lengths("uniform", (low + high) / 2, low, high)


def lognormal(mean: float, cv: float) -> Lengths:
    """With a long tail, as prompts and answers of people have."""
    return Lengths("lognormal", mean, cv=cv)


def open_loop(
    count: int,
    rate: float,
    inputs: Lengths,
    outputs: Lengths,
    *,
    burstiness: float = 1.0,
    end_rate: float | None = None,
    max_concurrency: int | None = None,
    seed: int = 0,
) -> Traffic:
    """Requests that come at a rate, however long answers take.

    rate: arrivals per second; with `end_rate` it rises or falls linearly to that from the first
        request to the last (a ramp).
    burstiness: shape of the gamma distribution of the gaps, as in `vllm bench serve`: 1 is a
        Poisson process, below 1 burstier, above 1 more even, inf even. Gaps have the coefficient of
        variation 1 / sqrt(burstiness).

    Raises `BadQuantity` where a figure cannot be.
    """
    last = rate if end_rate is None else end_rate
    for name, value in (("rate", rate), ("end rate", last)):
        if not 1e-9 <= value <= 1e9:
            raise BadQuantity(f"The {name} is {value:g} requests/s; 1e-9 to 1e9 are possible.")
    if not burstiness >= 1e-3:
        raise BadQuantity(f"burstiness is {burstiness:g}; 0.001 or more was expected.")
    _check_count(count)
    rng = np.random.default_rng(seed)
    gaps = 1 / np.linspace(rate, last, count)
    if math.isfinite(burstiness):
        gaps = gaps * rng.gamma(burstiness, 1 / burstiness, count)
    gaps[0] = 0.0
    return Traffic(
        arrival_s=np.cumsum(gaps),
        input_tokens=inputs.draw(count, rng),
        output_tokens=outputs.draw(count, rng),
        max_concurrency=max_concurrency,
        name=f"{rate:g} requests/s" if last == rate else f"{rate:g} to {last:g} requests/s",
    )


def closed_loop(
    count: int,
    users: int,
    inputs: Lengths,
    outputs: Lengths,
    *,
    think_s: float = 0.0,
    think: Literal["fixed", "exponential"] = "exponential",
    seed: int = 0,
) -> Traffic:
    """`users` who each wait for an answer, think, and send the next request.

    think_s: mean time from the end of an answer to the next request of the same user. Without it
    this is a benchmark at a fixed concurrency. Raises `BadQuantity` where a figure cannot be.
    """
    _check_count(count)
    if not 0 <= think_s <= 1e9:
        raise BadQuantity(f"A think time of {think_s:g} s; 0 to 1e9 are possible.")
    rng = np.random.default_rng(seed)
    drawn = rng.exponential(think_s, count) if think == "exponential" else np.full(count, think_s)
    return Traffic(
        arrival_s=np.zeros(count),
        input_tokens=inputs.draw(count, rng),
        output_tokens=outputs.draw(count, rng),
        max_concurrency=users,
        think_s=drawn if think_s else None,
        name=f"{users:,} users",
    )


def at_once(count: int, inputs: Lengths, outputs: Lengths, *, seed: int = 0) -> Traffic:
    """All requests at the start: offline, or the throughput test of a benchmark."""
    _check_count(count)
    rng = np.random.default_rng(seed)
    return Traffic(
        arrival_s=np.zeros(count),
        input_tokens=inputs.draw(count, rng),
        output_tokens=outputs.draw(count, rng),
        name=f"{count:,} requests at once",
    )


def _check_count(count: int) -> None:
    if not 1 <= count <= MOST_REQUESTS:
        raise BadQuantity(f"{count:,} requests; 1 to {MOST_REQUESTS:,} were expected.")


def with_shared_prefix(
    traffic: Traffic, share: float, *, groups: int = 1, block_tokens: int = 16, seed: int = 0
) -> Traffic:
    """`traffic` whose prompts begin with text that others of their group begin with too.

    share: part of each prompt that is shared, in whole blocks.
    groups: different beginnings; each request has one of them, drawn evenly.
    """
    if not 0 <= share <= 1:
        raise BadQuantity(f"A shared part of {share:g}; 0 to 1 was expected.")
    if not 1 <= groups <= MOST_REQUESTS or block_tokens < 1:
        raise BadQuantity("At least one group and blocks of at least one token were expected.")
    blocks = np.floor(traffic.input_tokens * share / block_tokens).astype(np.int64)
    offsets = np.concatenate([[0], np.cumsum(blocks)])
    group = np.random.default_rng(seed).integers(0, groups, len(traffic))
    position = np.arange(offsets[-1]) - np.repeat(offsets[:-1], blocks)
    ids = np.repeat(group * int(blocks.max(initial=0)), blocks) + position
    return replace(traffic, prefix=Prefix(block_tokens, ids, offsets))


def at_rate(traffic: Traffic, rate: float, *, burstiness: float = 1.0, seed: int = 0) -> Traffic:
    """`traffic` at a mean of `rate` arrivals per second: its own gaps, closer or further apart, or,
    where all its requests come at once, gaps drawn as `open_loop` draws them.
    """
    if len(traffic) > 1 and traffic.arrival_s[-1] > traffic.arrival_s[0]:
        return faster(traffic, rate / traffic.rate)
    drawn = open_loop(len(traffic), rate, fixed(1), fixed(1), burstiness=burstiness, seed=seed)
    return replace(traffic, arrival_s=drawn.arrival_s)


def faster(traffic: Traffic, factor: float) -> Traffic:
    """`traffic` with all arrivals `factor` times as close; below 1 slower."""
    if not 1e-6 <= factor <= 1e6:
        raise BadQuantity(f"A factor of {factor:g} on the rate; 1e-6 to 1e6 are possible.")
    start = traffic.arrival_s[0]
    return replace(traffic, arrival_s=(traffic.arrival_s - start) / factor)


def first(traffic: Traffic, *, requests: int | None = None, seconds: float = math.inf) -> Traffic:
    """The beginning of `traffic`: so many requests, or those that arrive within so long."""
    start = float(traffic.arrival_s[0])
    count = int(np.searchsorted(traffic.arrival_s, start + seconds, side="right"))
    count = max(1, count if requests is None else min(count, requests))
    columns: dict[str, Any] = {}
    for field in fields(traffic):
        value = getattr(traffic, field.name)
        if isinstance(value, np.ndarray):
            columns[field.name] = value[:count]
        elif isinstance(value, Prefix):
            columns[field.name] = value.take(count)
    return replace(traffic, **columns)
