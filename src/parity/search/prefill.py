"""Replicas that do prompts alone, and hand what they cached to others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from parity.catalogue.machine import UNBOUNDED, Draw, Machine, Number, machine
from parity.errors import Infeasible
from parity.evaluate.mixed import between, port_bandwidth
from parity.evaluate.serving_memory import cache_per_request, room_for_cache
from parity.evaluate.step import Served, served, step
from parity.evaluate.together import Ask, evaluated
from parity.layout.layout import Layout
from parity.layout.step import Load
from parity.record import Finding
from parity.search.findings import note
from parity.search.grid import cross, keep, powers_of_two
from parity.search.replica import ServingJob, best_of_each_size, divisions, does_not_fit
from parity.search.replica_rules import accepted
from parity.timing.collective import send
from parity.timing.engine import Engine
from parity.units import render
from parity.workload.operator import Architecture
from parity.workload.request import Request

#: Share of the time that prompts keep a pool busy at most: its queue grows without end at 1.
BUSIEST = 0.9
#: Prompts that a step takes at most, and chips that one prompt is divided over along its length.
MOST_PROMPTS, WIDEST_CONTEXT = 64, 16
#: Tokens of a chip below which a prompt is not divided along its length.
LEAST_CONTEXT_TOKENS = 4096


@dataclass(frozen=True)
class Prefill:
    """One replica for prompts alone: a single row."""

    model: Served
    layout: Layout
    request: Request
    prompts: int  # of a step of one lane
    most_prompts: int  # the same where it is as busy as it may be
    pass_s: float
    transfer_s: float  # of what it cached, beyond what hides behind the pass
    ttft_s: float  # mean: queue, pass and transfer
    requests_per_s: float  # at most, as busy as the time to the first token allows

    @property
    def machine(self) -> Machine:
        """What it runs on."""
        return self.model.machine

    @property
    def chips(self) -> int:
        """Chips of the replica."""
        return int(self.layout.chips[0])


def prefills(
    arch: Architecture,
    job: ServingJob,
    target: Machine,
    to: Machine,
    engine: Engine,
    most_chips: float,
) -> list[Prefill]:
    """For each size of replica the one that takes most prompts a second, soon enough.

    A step takes n whole prompts and keeps the replica busy for s; with prompts a share ρ of the
    time, one waits s·ρ/(2(1 - ρ)) [Pollaczek 1930, Khinchine 1932]. ρ is as large as the time to
    the first token allows. Raises `Infeasible` with P105 or P106, `MissingFact` where a chip of
    two vendors has no network port.
    """
    asked = passes(served(arch, job.precision, target, engine), job, most_chips)
    return soon_enough(asked, pass_times([asked])[0], job, to)


def passes(model: Served, job: ServingJob, most_chips: float) -> Ask:
    """Every division with every number of prompts that fits, to be evaluated.

    Raises `Infeasible` with P105 where the model does not fit.
    """
    layout, prompts = _ways(model, job, model.machine, most_chips)
    return Ask(model, layout, job.request, (prompts,))


def pass_times(asks: Sequence[Ask]) -> list[Number]:
    """Times of the steps of each. [s]"""

    def equation(model: Served, layout: Layout, request: Request, prompts: Number) -> Number:
        return _pass_s(model, layout, prompts, request)

    return evaluated(asks, equation)


def alone_s(asked: Ask, once: Number, to: Machine) -> Number:
    """Time to the first token of prompts that wait for no others, of each of `passes`. [s]

    once: times of the steps. to: what decodes.
    """
    (prompts,) = asked.columns
    return once + _handed_over(asked.model, asked.request, asked.layout, prompts, once, to)[1]


def soon_enough(asked: Ask, once: Number, job: ServingJob, to: Machine) -> list[Prefill]:
    """For each size of replica the best of `passes`, whose steps take `once`, as `prefills` says.

    Raises `Infeasible` with P106.
    """
    model, layout, request, (prompts,) = asked.model, asked.layout, asked.request, asked.columns
    sent, shown = _handed_over(model, request, layout, prompts, once, to)
    busy = _busy(job.ttft_s, once, shown)
    rate = layout.pp * layout.dp * prompts * np.maximum(busy, 0.0) / np.maximum(once, sent)
    ttft = once * (1 + busy / (2 * (1 - busy))) + shown
    if not np.any(rate > 0):
        raise Infeasible(*_too_slow(model, job, float(np.min(once + shown))))
    return [
        Prefill(
            model, layout.take(np.array([i])), request, int(prompts[i]), int(prompts[i]),
            float(once[i]), float(shown[i]), float(ttft[i]), float(rate[i]),
        )
        for i in best_of_each_size(rate, layout.chips)
    ]  # fmt: skip


def _busy(ttft_s: float, once: Number, shown: Number) -> Number:
    """Share of the time that prompts may keep a replica busy; -1 where even one is late. [1]"""
    spare = (ttft_s - shown) / once - 1.0
    unlimited = np.isinf(spare)
    allowed = 2 * np.maximum(np.where(unlimited, 0.0, spare), 0.0)
    busy = np.where(unlimited, BUSIEST, np.minimum(allowed / (1 + allowed), BUSIEST))
    return np.where(spare >= 0, busy, -1.0)


def at_rate(found: Prefill, rate: float, to: Machine) -> Prefill:
    """The replica at `rate` prompts a second, with as many of them in a step as answers soonest."""
    model, request = found.model, found.request
    prompts = np.array(powers_of_two(found.most_prompts), dtype=float)
    layout = found.layout.take(np.zeros(len(prompts), dtype=np.int64))
    once = _pass_s(model, layout, prompts, request)
    sent, shown = _handed_over(model, request, layout, prompts, once, to)
    busy = rate * np.maximum(once, sent) / (layout.pp * layout.dp * prompts)
    some = np.minimum(busy, BUSIEST)
    ttft = once * (1 + some / (2 * (1 - some))) + shown
    i = int(np.argmin(np.where(busy <= BUSIEST + 1e-9, ttft, np.inf)))
    return replace(
        found,
        prompts=int(prompts[i]),
        pass_s=float(once[i]),
        transfer_s=float(shown[i]),
        ttft_s=float(ttft[i]),
    )


def fewer_prompts(found: Prefill, model: Served) -> Ask:
    """The replica with as many prompts in a step as the plan has, and fewer, to be evaluated.

    model: its model and machine with the figures as they are drawn.
    """
    some = np.array(powers_of_two(found.most_prompts), dtype=float)
    layout = found.layout.take(np.zeros(len(some), dtype=np.int64))
    return Ask(model, layout, found.request, (some,))


def prompts_within(found: Prefill, asked: Ask, once: Number, ttft_s: float, to: Machine) -> Number:
    """Prompts/s with as many of `fewer_prompts` as are soon enough, shape (samples,). [1/s]

    once: times of these steps. Where even one prompt is late, it has a sixteenth of the time.
    """
    layout, (prompts,) = asked.layout, asked.columns
    sent, shown = _handed_over(asked.model, asked.request, layout, prompts, once, to)
    busy = _busy(max(ttft_s, found.ttft_s) * (1 + 1e-6), once, shown)
    each = np.atleast_2d(layout.pp * layout.dp * prompts / np.maximum(once, sent))
    most = (each * np.maximum(busy, 0.0)).max(axis=-1)
    return np.maximum(most, each[..., 0] * BUSIEST / 16)


def sampled_pass(found: Prefill, draw: Draw) -> Number:
    """Time of a step of the replica over the ranges of all figures, shape (samples,). [s]"""
    own = found.machine
    drawn = machine(own.chip, own.cluster_id, draw)
    model = served(found.model.arch, found.model.precision, drawn, found.model.engine, draw)
    return np.atleast_2d(pass_times([one_pass(found, model)])[0])[..., 0]


def one_pass(found: Prefill, model: Served) -> Ask:
    """A step of the replica, were its model or machine `model`, to be evaluated."""
    return Ask(model, found.layout, found.request, (np.array([float(found.prompts)]),))


def _pass_s(model: Served, layout: Layout, prompts: Number, request: Request) -> Number:
    """Time of a step of so many whole prompts. [s]"""
    return step(model, layout, prompt_load(prompts, request)).total_s


def prompt_load(prompts: Number, request: Request) -> Load:
    """What a step of so many whole prompts works on."""
    new = prompts * request.new_tokens
    return Load(np.zeros(len(prompts)), 1.0, new, request.input_tokens, request.cached_tokens)


def pass_seconds(found: Prefill, model: Served) -> float:
    """Time of a step of the replica, were its model or machine `model`. [s]"""
    return float(pass_times([one_pass(found, model)])[0][0])


def _ways(
    model: Served, job: ServingJob, target: Machine, most_chips: float
) -> tuple[Layout, Number]:
    """Divisions, of long prompts along their length too, with how many prompts a step takes."""
    layout = divisions(model.arch, target, most_chips)
    layout = accepted(model.arch, target.chip, layout, model.precision.weights)
    new = job.request.new_tokens
    axes = cross({"at": np.arange(len(layout))}, "prompts", powers_of_two(MOST_PROMPTS))
    along = powers_of_two(min(WIDEST_CONTEXT, max(new / LEAST_CONTEXT_TOKENS, 1)))
    axes = cross(axes, "cp", along)
    few = (axes["prompts"] == 1) | (axes["cp"] == 1)
    plain = (layout.dp * layout.pp)[axes["at"]] == 1
    within = layout.chips[axes["at"]] * axes["cp"] <= most_chips
    axes = keep(axes, few & (plain | (axes["cp"] == 1)) & within)
    spread = layout.take(axes["at"])
    experts = np.where(spread.ep > 1, spread.ep * axes["cp"], spread.ep)
    ways = spread.replace(cp=axes["cp"], ep=experts)
    prompts = axes["prompts"].astype(float)
    kept = cache_per_request(model, ways, job.request.input_tokens) * prompts * ways.pp / ways.cp
    short = kept - room_for_cache(model, ways, prompts * new)
    fits = short <= 0
    if not fits.any():
        raise Infeasible(*does_not_fit(model, ways, short, most_chips))
    return ways.take(fits), prompts[fits]


def _handed_over(
    model: Served, request: Request, layout: Layout, prompts: Number, once_s: Number, to: Machine
) -> tuple[Number, Number]:
    """(time to send what a step cached, what of it shows). [s]

    A layer is sent while the next is computed [Patel et al. 2024, Splitwise, arXiv 2311.18677,
    §4.3]: at least the last layer shows. Between vendors it passes through host memory.
    """
    own = model.machine
    ends, vendors = (own, to), frozenset((own.chip.vendor, to.chip.vendor))
    if len(vendors) > 1:
        ports = (port_bandwidth(own, vendors), port_bandwidth(to, vendors))
        ends = (between(own, ports[0]), between(to, ports[1]))
    kept = cache_per_request(model, layout, request.input_tokens) * prompts / layout.cp
    away = layout.chips if to.chip.id == own.chip.id else np.full(len(layout), UNBOUNDED - 1)
    sent = np.maximum(*(send(kept, away, end) for end in ends))
    layers = model.arch.num_hidden_layers
    return sent, np.maximum(sent - once_s * (1 - 1 / layers), sent / layers)


def _too_slow(model: Served, job: ServingJob, fastest_s: float) -> tuple[str, tuple[Finding, ...]]:
    chip = model.machine.chip
    words = (
        f"{model.arch.name} on {chip.id} makes the first token after {render(fastest_s, 's')} at "
        f"best; {render(job.ttft_s, 's')} was asked for."
    )
    fix = f"--ttft {render(1.2 * fastest_s, 's', 2).replace(' ', '')}"
    return f"{chip.id} cannot take these prompts that fast.", (note("P106", words, "error", fix),)
