"""The options that several commands share, with one meaning and one help text each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Group, Parameter

WORK = Group("Work", sort_key=1)
TARGET = Group("Target", sort_key=2)
CHIPS = Group("Chips", sort_key=3)
SEARCH = Group("Search", sort_key=4)
FAILURES = Group("Failures", sort_key=4)
SUPPLY = Group("Supply", sort_key=5)
FILES = Group("Files", sort_key=5)

Model = Annotated[
    str, Parameter(help="A name of `parity models`, a config.json, its folder, or owner/name.")
]
Explained = Annotated[
    str,
    Parameter(
        help="A model, as of `parity plan`; LAST, the last plan or match; a file of one by --json; "
        "or a code of a finding: P104."
    ),
]
ExplainedOn = Annotated[
    str | None,
    Parameter(
        group=CHIPS,
        show_default=False,
        help="Chips, as in 16xh20; with --train several kinds too: 512xa100,256xh20.",
    ),
]
Tokens = Annotated[str, Parameter(group=WORK, help="Tokens of the whole training run.")]
Seq = Annotated[str, Parameter(group=WORK, help="Tokens of a sequence.")]
Gbs = Annotated[str, Parameter(group=WORK, help="Tokens of a global batch.")]
Isl = Annotated[str, Parameter(group=WORK, help="Tokens of a prompt.")]
Osl = Annotated[str, Parameter(group=WORK, help="Tokens of an answer.")]
Kv = Annotated[str, Parameter(group=WORK, help="Dtype of the KV cache.")]
Dtype = Annotated[
    str,
    Parameter(group=WORK, help="Dtype of the matrix products: auto, bf16, fp16, fp8, int8."),
]
Software = Annotated[
    str, Parameter(name="--software", group=WORK, help="Generation of the training software.")
]
Engine = Annotated[
    str, Parameter(name="--engine", group=WORK, help="Generation of the serving engine.")
]
ServingIsl = Annotated[
    str | None, Parameter(name="--isl", group=WORK, help="Tokens of a prompt.", show_default=False)
]
ServingOsl = Annotated[
    str | None, Parameter(name="--osl", group=WORK, help="Tokens of an answer.", show_default=False)
]
Want = Annotated[str | None, Parameter(group=CHIPS, help="Chips to count, as in h20,a100,910b.")]
Have = Annotated[str | None, Parameter(group=CHIPS, help="Chips to equal, as in 1024xh100.")]
With = Annotated[
    str | None,
    Parameter(
        name="--with",
        group=CHIPS,
        help="Chips that are there already, as in 512xa100: the answer is what to add to them.",
    ),
]
Train = Annotated[
    bool, Parameter(group=WORK, help="Match training, not serving.", show_default=False)
]
Ladder = Annotated[
    bool,
    Parameter(
        group=TARGET,
        help="Put the chips in order of what one of them does, in place of counts.",
        show_default=False,
    ),
]
MatchIsl = Annotated[
    str | None, Parameter(name="--isl", group=WORK, help="Tokens of a prompt; else 2k.")
]
MatchOsl = Annotated[
    str | None, Parameter(name="--osl", group=WORK, help="Tokens of an answer; else 500.")
]
MatchProfile = Annotated[
    str | None,
    Parameter(
        name="--profile",
        group=WORK,
        help="Kind of requests, for what is not given: chat, rag, code, agent, batch.",
    ),
]
Equal = Annotated[
    str | None,
    Parameter(
        group=TARGET,
        help="What is equal: throughput; slo, the load of --rps, --concurrency or --users; time, "
        "days of training; cost: what the money of --have buys, and does.",
    ),
]
AtRent = Annotated[
    bool,
    Parameter(group=TARGET, negative="", show_default=False, help="With --equal cost: rented."),
]
AtOwn = Annotated[
    bool,
    Parameter(group=TARGET, negative="", show_default=False, help="With --equal cost: owned."),
]
PrefillOn = Annotated[
    str | None,
    Parameter(group=CHIPS, show_default=False, help="Other chips that take the prompts: 8xh100."),
]
Rps = Annotated[
    str | None, Parameter(group=WORK, help="Requests a second, on average.", show_default=False)
]
Concurrency = Annotated[
    str | None, Parameter(group=WORK, help="Requests under way at a time.", show_default=False)
]
Users = Annotated[
    str | None, Parameter(group=WORK, help="People who use it at a time.", show_default=False)
]
Think = Annotated[
    str | None,
    Parameter(group=WORK, help="Pause of a user between requests, as in 30s.", show_default=False),
]
Profile = Annotated[
    str | None,
    Parameter(
        group=WORK,
        show_default=False,
        help="Kind of requests, for what is not given: chat, rag, code, agent, batch; else chat.",
    ),
]
Prefix = Annotated[
    str | None,
    Parameter(
        group=WORK, show_default=False, help="Share of prompts found in the prefix cache: 0.4."
    ),
]
Speculate = Annotated[int, Parameter(group=WORK, help="Tokens drafted for each step.")]
Ttft = Annotated[
    str | None,
    Parameter(group=TARGET, help="Most time to the first token: 2s, or none.", show_default=False),
]
Percentile = Annotated[
    int | None,
    Parameter(
        name="--p",
        group=TARGET,
        show_default=False,
        help="Percentile of requests at which both hold, simulated one by one; else on average.",
    ),
]
Simulate = Annotated[
    bool, Parameter(group=TARGET, negative="", help="The same as --p 99.", show_default=False)
]
Trace = Annotated[
    str | None,
    Parameter(
        group=WORK,
        show_default=False,
        help="Requests to plan for and simulate: azure-conv, mooncake-conversation, or a file.",
    ),
]
Speed = Annotated[
    str | None,
    Parameter(
        group=WORK, show_default=False, help="How fast the trace is replayed, as in 2x; or --rps."
    ),
]
Mode = Annotated[
    str,
    Parameter(
        group=SEARCH,
        help="aggregated: replicas do prompts and decoding; disaggregated: a pool for each; auto.",
    ),
]
ServingEngine = Annotated[
    str | None,
    Parameter(
        name="--engine",
        group=WORK,
        show_default=False,
        help="Serving engine, vllm, sglang or trtllm, or a generation of one, as in vllm-v0.",
    ),
]
Sweep = Annotated[
    str | None,
    Parameter(
        group=SEARCH,
        show_default=False,
        help="A figure of the chip or two over a range: memory.capacity=96..288GB.",
    ),
]
Measured = Annotated[
    str | None,
    Parameter(
        group=TARGET,
        show_default=False,
        help="A speed of yours: 1234tok/s, 12.3s, 45ms, 410TFLOP/s, 45%.",
    ),
]
Html = Annotated[
    Path | None,
    Parameter(group=FILES, show_default=False, help="Write the answer as a page of its own."),
]
Svg = Annotated[
    Path | None, Parameter(group=FILES, show_default=False, help="Write the chart as SVG.")
]
Days = Annotated[
    str | None, Parameter(group=TARGET, help="Finish in so many days: the answer is how many.")
]
TokensPerSecond = Annotated[
    str | None,
    Parameter(group=TARGET, help="Tokens a second of all chips, where there is no --have."),
]
Tpot = Annotated[
    str | None, Parameter(group=TARGET, help="Most time per output token, as in 40ms.")
]
Cluster = Annotated[
    str, Parameter(group=CHIPS, help="How the chips are wired.", show_default=False)
]
Mtbf = Annotated[
    str | None,
    Parameter(group=FAILURES, help="Time between failures of one chip that stop a run: 50000h."),
]
Checkpoint = Annotated[
    str | None, Parameter(group=FAILURES, help="Time that a checkpoint stops training, as in 6s.")
]
Restart = Annotated[
    str | None, Parameter(group=FAILURES, help="From a failure to the next step, as in 10min.")
]
Lora = Annotated[
    int | None,
    Parameter(
        group=WORK, show_default=False, help="Train adapters of this rank, the weights frozen."
    ),
]
Samples = Annotated[
    int, Parameter(group=SEARCH, help="Samples of what is uncertain, for the ranges.")
]
Top = Annotated[int, Parameter(group=SEARCH, help="Layouts shown.")]
Fix = Annotated[
    tuple[str, ...],
    Parameter(
        group=SEARCH,
        negative="",
        show_default=False,
        help="Axes of the layout held at a value, as in tp=8,schedule=1f1b; repeatable.",
    ),
]
Exhaustive = Annotated[
    bool, Parameter(group=SEARCH, negative="", help="Try also what hardly ever helps.")
]
Pareto = Annotated[
    bool,
    Parameter(
        group=SEARCH,
        negative="",
        help="Show the layouts of up to as many chips that none beats in time, memory, chips.",
    ),
]
To = Annotated[
    str | None,
    Parameter(
        group=SUPPLY,
        show_default=False,
        help="Country: what export rules say of the chips, as in CN.",
    ),
]
Risk = Annotated[
    bool,
    Parameter(
        group=SUPPLY,
        negative="",
        show_default=False,
        help="Show the share on one vendor, foundry, maker of memory, licence.",
    ),
]
