"""The options that several commands share, with one meaning and one help text each."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Group, Parameter

WORK = Group("Work", sort_key=1)
TARGET = Group("Target", sort_key=2)
CHIPS = Group("Chips", sort_key=3)
SEARCH = Group("Search", sort_key=4)
FAILURES = Group("Failures", sort_key=4)

Model = Annotated[
    str, Parameter(help="A name of `parity models`, a config.json, its folder, or owner/name.")
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
