"""A plan under traffic: the simulator with the step times and the memory of the plan's replicas."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from msgspec import structs

from parity.evaluate.serving_memory import cache_per_request, room_for_cache
from parity.evaluate.step import Served, draft_time, step
from parity.layout.layout import Layout
from parity.layout.shard import is_routed
from parity.layout.step import Load
from parity.search.grid import cross
from parity.search.prefill import Prefill
from parity.search.replica import Replica
from parity.search.serve import ServingPlan
from parity.simulate.records import Engine, Pool, Scheduler, StepTable, Transfer
from parity.workload.operator import Operator
from parity.workload.request import Request

#: Tokens of a block of the cache, as vLLM's default.
BLOCK_TOKENS = 16
#: Points of an axis, a factor of about 1.5 apart.
_SPREAD = 1.5


def _axis(most: float, least: float = 1.0) -> np.ndarray:
    """0, then from `least` to `most`, each `_SPREAD` times the one before."""
    count = max(2, int(np.ceil(np.log(max(most / least, 1.01)) / np.log(_SPREAD))) + 1)
    return np.concatenate([[0.0], np.geomspace(least, max(most, 1.01 * least), count)])


def step_table(
    model: Served,
    layout: Layout,
    request: Request,
    most_decoding: float,
    token_budget: float,
    most_context: float,
    spread: float = 1.0,
) -> StepTable:
    """Times of the steps of one lane of `layout`, by what is in a step. [s]

    Attention is read at the contexts a request comes to; the rest is what a step takes at the mean
    context less its attention, so that the host is hidden as it is there.

    spread: prompt tokens of a mean rank over those of the busiest, for which the others wait; the
    experts, which ranks share, have the mean: rest(n, p) = all(n, s·p) + own(n, p) - own(n, s·p),
    with `own` the parts that every rank does by itself.
    """
    decoding, prompt = _axis(most_decoding), _axis(token_budget, 16.0)
    context = keys = _axis(most_context, 16.0)[1:]
    mean = max(request.mean_context, 1.0)
    rest = _rest(model, layout, request, decoding, spread * prompt)
    if spread < 1.0:
        own = without_experts(model)
        rest = rest + _rest(own, layout, request, decoding, prompt)
        rest = rest - _rest(own, layout, request, decoding, spread * prompt)
    attention = _steps(model, layout, request, decoding, np.zeros(1), context, 1.0)[1]
    # A whole prompt of 2k tokens has k keys for each, on average.
    prompts = _steps(model, layout, request, np.zeros(1), prompt, mean, 2 * keys)[2]
    return StepTable(
        decoding=decoding,
        prompt=prompt,
        context=context,
        keys=keys,
        base_s=np.maximum(rest, 1e-9).reshape(len(decoding), len(prompt)),
        decode_attention_s=attention.reshape(len(decoding), len(context)),
        prompt_attention_s=prompts.reshape(len(prompt), len(keys)),
    )


def _rest(
    model: Served, layout: Layout, request: Request, decoding: np.ndarray, prompt: np.ndarray
) -> np.ndarray:
    """Times of steps less their attention, at the mean lengths. [s]"""
    mean = max(request.mean_context, 1.0)
    whole, own, other = _steps(model, layout, request, decoding, prompt, mean, request.input_tokens)
    return np.asarray(whole - own - other)


def without_experts(model: Served) -> Served:
    """The model with only what every rank does by itself."""
    blocks = tuple(
        structs.replace(block, operators=tuple(op for op in block.operators if not _shared(op)))
        for block in model.arch.blocks
    )
    return replace(model, arch=structs.replace(model.arch, blocks=blocks, num_experts=0))


def _shared(op: Operator) -> bool:
    """Whether ranks do an operator together: products of experts that tokens are sent to."""
    return is_routed(op) or getattr(op, "active", 1) != 1


def _steps(
    model: Served,
    layout: Layout,
    request: Request,
    decoding: np.ndarray,
    prompt: np.ndarray,
    context: np.ndarray | float,
    length: np.ndarray | float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(all, attention of decoding requests, of prompts) of every combination, in this order."""
    axes = cross({}, "n", range(len(decoding)))
    axes = cross(axes, "p", range(len(prompt)))
    axes = cross(axes, "c", range(np.size(context)))
    axes = cross(axes, "k", range(np.size(length)))
    load = Load(
        sequences=decoding[axes["n"]],
        context=np.ravel(context)[axes["c"]],
        prompt_tokens=prompt[axes["p"]],
        prompt_length=np.ravel(length)[axes["k"]],
        queries=request.drafted + 1.0,
    )
    count = len(axes["n"])
    columns = layout.take(np.zeros(count, dtype=np.int64))
    one = step(model, columns, load)
    drafts = draft_time(model, columns, load, request.drafted)
    return tuple(
        np.broadcast_to(x, count)
        for x in (one.total_s + drafts, one.decode_attention.total_s, one.prompt_attention.total_s)
    )  # type: ignore[return-value]


def replica_pool(
    found: Replica, most_context: float, count: int, held: int, *, prefix_cache: bool
) -> Pool:
    """`count` replicas as the simulator takes them. held: sequences of a rank at most."""
    engine, request = found.model.engine, found.request
    blocks = _blocks(found.model, found.layout, found.token_budget, most_context)
    scheduler: Scheduler = "separate"
    if engine.mixed:
        scheduler = "chunked" if engine.chunked else "mixed"
    likely = min(held, max(2.0 * found.decoding, 32.0))
    ranks = int(found.layout.dp[0])
    busy = max(1 / ranks, min(float(np.mean(found.steady.prompt_share)), 1.0))
    spread = busy if ranks > 1 and found.model.arch.num_experts else 1.0
    return Pool(
        engine=Engine(
            kv_blocks=blocks,
            block_tokens=BLOCK_TOKENS,
            token_budget=found.token_budget,
            max_sequences=held,
            scheduler=scheduler,
            admission="reserve" if engine.reserves_output else "on_demand",
            prefix_cache=prefix_cache,
            lanes=int(found.layout.pp[0]),
            ranks=ranks,
            tokens_per_step=request.accepted,
            budget_per_sequence=request.drafted + 1,
        ),
        table=step_table(
            found.model, found.layout, request, likely, found.token_budget, most_context, spread
        ),
        replicas=count,
        routing="prefix" if prefix_cache else "least_loaded",
    )


def _blocks(model: Served, layout: Layout, budget: float, context: float) -> int:
    """Blocks of the cache of one rank; windows and states make long requests cheaper by token."""
    room = float(np.mean(room_for_cache(model, layout, budget)))
    each = float(np.mean(cache_per_request(model, layout, context))) / context
    return max(1, int(room / max(each, 1e-9) / BLOCK_TOKENS))


def prefill_pool(
    first: Prefill, request: Request, most_context: float, count: int, *, prefix_cache: bool
) -> Pool:
    """Replicas for prompts alone, as the simulator takes them."""
    engine = first.model.engine
    budget = int(max(first.most_prompts * request.new_tokens, request.new_tokens, most_context))
    return Pool(
        engine=Engine(
            kv_blocks=_blocks(first.model, first.layout, budget, most_context),
            block_tokens=BLOCK_TOKENS,
            token_budget=int(max(first.most_prompts * request.new_tokens, engine.token_budget)),
            max_sequences=max(first.most_prompts * int(first.layout.pp[0]), 1),
            scheduler="separate",
            prefix_cache=prefix_cache,
            lanes=int(first.layout.pp[0]),
            ranks=int(first.layout.dp[0]),
        ),
        table=step_table(first.model, first.layout, request, 2.0, budget, most_context),
        replicas=count,
        routing="prefix" if prefix_cache else "least_loaded",
    )


@dataclass(frozen=True)
class Replayed:
    """Pools of a plan, for the simulator."""

    pool: Pool
    decode: Pool | None
    transfer: Transfer | None


def pools_of(plan: ServingPlan, most_context: float, *, prefix_cache: bool = True) -> Replayed:
    """The pools of a plan, whose ranks hold no more sequences than the plan gives them.

    most_context: the longest request that will come. [token] prefix_cache: whether prompts share
    beginnings; they then go to the replica that holds most of theirs.
    """
    request = plan.job.request
    cached = prefix_cache and plan.prefill is None
    made = replica_pool(
        plan.decode, most_context, plan.decode_replicas, plan.sequences, prefix_cache=cached
    )
    if plan.prefill is None:
        return Replayed(made, None, None)
    first = prefill_pool(
        plan.prefill, request, most_context, plan.prefill_replicas, prefix_cache=prefix_cache
    )
    each = plan.prefill.transfer_s / max(plan.prefill.prompts * request.input_tokens, 1.0)
    return Replayed(first, made, Transfer(s_per_token=each))
