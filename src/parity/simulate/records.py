"""What is simulated: how long a step takes, how an engine schedules, pools of replicas.

Nothing here knows a model or a chip. Times come in as tables, memory as blocks of the KV cache.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from parity.errors import BadQuantity
from parity.workload.traffic import Floats

Scheduler = Literal["chunked", "separate", "mixed"]
Admission = Literal["on_demand", "reserve"]
Routing = Literal["round_robin", "least_loaded", "prefix"]


@dataclass(frozen=True, eq=False)
class StepTable:
    """How long one step of one lane takes, as a sum of three tables. [s]

        t(n, c, p, k) = base(n, p) + decode_attention(n, c) + prompt_attention(p, k)

    n: sequences that decode in the step; c: their mean context [token].
    p: prompt tokens in the step; k: mean keys that one of them attends to.

    Each is read by bilinear interpolation on its rising axes. Below the first value of an axis the
    first holds, beyond the last the last slope goes on; steps beyond are counted
    (`SimulationResult.steps_beyond_table`). All that a step costs is in it: host time, collectives,
    hand-overs between stages. With `Engine.ranks` all four are of one rank.

    Raises `BadQuantity` where an axis does not rise, a shape does not fit or a time is no time.
    """

    decoding: Floats  # n, from 0
    prompt: Floats  # p, from 0
    context: Floats  # c
    keys: Floats  # k
    base_s: Floats  # (decoding, prompt)
    decode_attention_s: Floats  # (decoding, context)
    prompt_attention_s: Floats  # (prompt, keys)

    def __post_init__(self) -> None:
        """Checks axes and tables."""
        for name in ("decoding", "prompt", "context", "keys"):
            axis = getattr(self, name)
            if axis.ndim != 1 or len(axis) < 2 or not np.all(np.isfinite(axis)):
                raise BadQuantity(f"The axis {name} of a step table needs two numbers or more.")
            if np.any(np.diff(axis) <= 0) or axis[0] < 0:
                raise BadQuantity(f"The axis {name} of a step table does not rise from 0 or above.")
        shapes = {
            "base_s": (self.decoding, self.prompt),
            "decode_attention_s": (self.decoding, self.context),
            "prompt_attention_s": (self.prompt, self.keys),
        }
        for name, axes in shapes.items():
            table = getattr(self, name)
            if table.shape != tuple(len(axis) for axis in axes):
                raise BadQuantity(f"{name} has the shape {table.shape}, which its axes have not.")
            if not np.all((table >= 0) & np.isfinite(table)):
                raise BadQuantity(f"{name} holds a time that is negative or not finite.")
        if not np.all(self.base_s[np.ix_(self.decoding > 0, self.prompt > 0)] > 0):
            raise BadQuantity("base_s holds a step with work that takes no time.")


def constant_table(decode_s: float, prompt_s_per_token: float = 0.0) -> StepTable:
    """Steps of `decode_s` plus so much for each prompt token, whatever the batch and context. [s]

    The simplest engine there is: for trying out traffic, and for closed forms to compare with.
    """
    far = 1e9
    prompt = np.array([0.0, far])
    flat = np.zeros((2, 2))
    axis = np.array([0.0, far])
    base = decode_s + prompt_s_per_token * np.array([prompt, prompt])
    return StepTable(axis, prompt, axis, axis, base, flat, flat)


@dataclass(frozen=True, kw_only=True)
class Engine:
    """How the engine of one replica schedules. Defaults are those of vLLM V1.

    scheduler: what a step holds.
        chunked: all decoding sequences, then parts of prompts up to the token budget
            [Agrawal et al. 2024, Sarathi-Serve, arXiv 2403.02310; vLLM V1].
        separate: whole prompts up to the budget whenever one waits and fits, else all decoding
            sequences [Yu et al. 2022, Orca; vLLM V0 and SGLang without mixed chunks].
        mixed: all decoding sequences and whole prompts up to the budget, in one step
            [TensorRT-LLM in-flight batching without chunked context].
        A whole prompt longer than the budget has a step without other prompts.
    token_budget: tokens of one step (vLLM `max_num_batched_tokens`).
    max_sequences: sequences under way (vLLM `max_num_seqs`).
    kv_blocks, block_tokens: size of the KV cache of the replica.
    admission: when a request begins to run.
        on_demand: when the blocks of its prompt are free; where decoding finds none later, the
            sequence of least priority that was admitted last is preempted and computed again
            [Kwon et al. 2023, vLLM, arXiv 2309.06180].
        reserve: when the blocks of prompt and whole answer are free; nothing is ever preempted
            [TensorRT-LLM guaranteed-no-evict].
    prefix_cache: whether finished blocks stay until others need the room, oldest use first, and
        prompts that begin with them skip them.
    lanes: batches under way at once in a pipeline, one for each stage. They share cache and queue;
        the step time of the table is the whole pass of one batch. `max_sequences` is of all lanes.
    ranks: attention-data-parallel ranks. `token_budget`, `max_sequences`, `kv_blocks` are of one
        rank; load is taken as even, save that no part of a prompt is divided over ranks.
    tokens_per_step: mean tokens that a decoding sequence gains in a step: 1, or more with
        speculation, draft and verification being in the step time. All gain alike: the sum over
        steps is rounded down, so that 1.5 gives 1, 2, 1, 2 ...
    budget_per_sequence: tokens of the budget that a decoding sequence takes: 1 + draft length.
    """

    kv_blocks: int
    block_tokens: int = 16
    token_budget: int = 8192
    max_sequences: int = 256
    scheduler: Scheduler = "chunked"
    admission: Admission = "on_demand"
    prefix_cache: bool = True
    lanes: int = 1
    ranks: int = 1
    tokens_per_step: float = 1.0
    budget_per_sequence: int = 1

    def __post_init__(self) -> None:
        """Checks every figure."""
        most = 2**40
        for name in ("kv_blocks", "block_tokens", "token_budget", "max_sequences", "lanes",
                     "ranks", "budget_per_sequence"):  # fmt: skip
            value = getattr(self, name)
            if not 1 <= value <= most:
                raise BadQuantity(f"{name} of an engine is {value:,}; 1 or more was expected.")
        if self.block_tokens > 65536 or self.max_sequences * self.ranks > 1_000_000:
            raise BadQuantity("Blocks of over 65,536 tokens, or over a million sequences.")
        if not 1 <= self.tokens_per_step <= 1024:
            raise BadQuantity(
                f"tokens_per_step is {self.tokens_per_step:g}; 1 to 1,024 were expected."
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class Pool:
    """Replicas of one kind.

    routing: which replica a request goes to.
        round_robin: one after the other.
        least_loaded: the one with the fewest requests.
        prefix: the one that holds the longest beginning of the prompt, if that is 0.3 of it or
            more; else, or where one replica has 64 requests and half more than another, the least
            loaded. These are the rule and the defaults of SGLang's gateway (`cache_aware`).
    """

    engine: Engine
    table: StepTable
    replicas: int = 1
    routing: Routing = "least_loaded"

    def __post_init__(self) -> None:
        """Checks the count."""
        if not 1 <= self.replicas <= 100_000:
            raise BadQuantity(f"{self.replicas:,} replicas; 1 to 100,000 can be simulated.")


@dataclass(frozen=True)
class Transfer:
    """The way of a KV cache from a prefill replica to a decode replica: start + tokens · each."""

    start_s: float = 0.0
    s_per_token: float = 0.0

    def __post_init__(self) -> None:
        """Checks both times."""
        if not (0 <= self.start_s < 1e6 and 0 <= self.s_per_token < 1e6):
            raise BadQuantity("The time of a KV transfer must be a number of seconds from 0 on.")


@dataclass(frozen=True)
class Limits:
    """Where a simulation stops although requests are left.

    steps: engine steps of all lanes together; as many as are set take half a minute.
    time_s: simulated time from the first arrival on.
    """

    steps: int = 50_000_000
    time_s: float = math.inf

    def __post_init__(self) -> None:
        """Checks both."""
        if self.steps < 1 or not self.time_s > 0:
            raise BadQuantity("A simulation needs at least one step and some time.")
