"""What the words of a question mean: quantities, runs, chips, deadlines. Errors name the option."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from parity.catalogue.load import chips
from parity.catalogue.machine import Machine, machine
from parity.catalogue.spec import Batch, parse_fleet
from parity.catalogue.table import where
from parity.errors import MissingFact, UsageError
from parity.timing.draw import Sampler
from parity.timing.software import Software, software
from parity.units import parse, parse_count, parse_length
from parity.workload.adapters import low_rank
from parity.workload.dtype import dtype as dtype_name
from parity.workload.find import model as find_model
from parity.workload.operator import Architecture
from parity.workload.training import TrainingJob

if TYPE_CHECKING:  # what only some questions load
    from parity.evaluate.goodput import Stated
    from parity.search.match import Row

Quantity = str | float
#: Fewer say nothing of P10 and P90; more take memory and change nothing.
LEAST_SAMPLES, MOST_SAMPLES = 64, 65_536

#: Defaults of a training question: what current large runs use.
DEFAULT_TOKENS, DEFAULT_SEQ, DEFAULT_GBS = "15T", "8k", "4M"


@dataclass(frozen=True)
class Run:
    """A training run as asked for, read but not yet given a dtype."""

    arch: Architecture
    job: TrainingJob
    era: Software


def asked_dtype(dtype: str) -> str:
    """The dtype asked for, by its usual name, or `auto`."""
    return dtype if dtype == "auto" else dtype_name(dtype)


def training_run(
    model: str,
    tokens: Quantity,
    seq: Quantity,
    gbs: Quantity,
    generation: str,
    lora: int | None = None,
) -> Run:
    """The run of `model`; with `lora` only adapters of that rank are trained."""
    seq_len = parse_length(seq, "--seq", least=16)
    batch_tokens = parse_length(gbs, "--gbs", most=1e12)
    if batch_tokens < seq_len:
        raise UsageError(f"--gbs is {gbs} tokens, less than one sequence of {seq_len:,}.")
    job = TrainingJob(
        tokens=parse_count(tokens, "--tokens", most=1e17),
        seq_len=seq_len,
        global_batch_tokens=max(1, round(batch_tokens / seq_len)) * seq_len,
    )
    arch = find_model(model)
    return Run(arch if lora is None else low_rank(arch, lora), job, software(generation))


def few(top: int) -> int:
    """Layouts to show, 1 to 20."""
    if not 1 <= top <= 20:
        raise UsageError(f"--top is {top}; 1 to 20 was expected.")
    return top


def sampler(samples: int) -> Sampler:
    """Draws so many samples of what is uncertain, 64 to 65,536."""
    if not LEAST_SAMPLES <= samples <= MOST_SAMPLES:
        raise UsageError(
            f"--samples is {samples}; {LEAST_SAMPLES} to {MOST_SAMPLES:,} was expected."
        )
    return Sampler(samples)


def asked_days(days: Quantity) -> float:
    """Days that a run may take."""
    return positive(parse(days, "day", "--days"), "--days")


def step_for_days(job: TrainingJob, days: Quantity) -> float:
    """Seconds of a step of a run that takes so many days."""
    from parity.search.run import SECONDS_A_DAY

    return asked_days(days) * SECONDS_A_DAY / job.steps


def stated_failures(
    mtbf: Quantity | None, checkpoint: Quantity | None, restart: Quantity | None
) -> Stated:
    """What the user says of the own operation, in hours and seconds."""

    def seconds(value: Quantity | None, what: str, least: str, most: str) -> float | None:
        if value is None:
            return None
        found = parse(value, "s", what)
        if not parse(least, "s") <= found <= parse(most, "s"):
            raise UsageError(f"{what} is {value}; {least} to {most} was expected.")
        return found

    from parity.evaluate.goodput import Stated

    between = seconds(mtbf, "--mtbf", "1min", "1000000000h")
    return Stated(
        mtbf_hours=None if between is None else between / 3600,
        checkpoint_s=seconds(checkpoint, "--checkpoint", "1ms", "24h"),
        restart_s=seconds(restart, "--restart", "1ms", "720h"),
    )


def rate(tokens_per_second: Quantity) -> float:
    """Tokens a second, above zero."""
    what = "--tokens-per-second"
    return positive(parse(tokens_per_second, "1", what), what)


def positive(value: float, what: str) -> float:
    """`value`, which must be above zero."""
    if value <= 0:
        raise UsageError(f"{what} is {value:g}; a number above zero was expected.")
    return value


def one_kind(text: str | None, option: str, *, counted: bool = False) -> Batch:
    """The one kind of chip that `text` names."""
    batches = parse_fleet(text or "")
    if len(batches) != 1:
        raise UsageError(
            f"{option} names {len(batches)} kinds of chip; one was expected. "
            "`plan train --on` plans a fleet of several."
        )
    if counted and batches[0].count is None:
        raise UsageError(
            f"`{option} {text}` has no count; say how many, as in `{option} 8x{text}`."
        )
    return batches[0]


def many_kinds(text: str) -> tuple[Batch, ...]:
    """The chips of --want: named, `all`, or a filter such as `vendor=huawei`."""
    if text.strip() == "all":
        return tuple(Batch(None, chip, chip.id) for chip in chips())
    if "@" not in text and any(mark in text for mark in "<>="):
        return tuple(Batch(None, chip, chip.id) for chip in where(text, chips()))
    batches = parse_fleet(text)
    for batch in batches:
        if batch.count is not None:
            raise UsageError(
                "--want takes chips without a count, since the count is the answer: "
                f"`{batch.chip.id}`, not `{batch.count}x{batch.chip.id}`."
            )
    return batches


def machines_of(wanted: Iterable[Batch]) -> tuple[tuple[Machine, ...], list[Row]]:
    """Numbers of each wanted chip; a row that names the missing figure where one is missing."""
    from parity.search.match import refused

    machines, missing = [], []
    for batch in wanted:
        try:
            machines.append(machine(batch.chip))
        except MissingFact as error:
            missing.append(refused(batch.chip, error))
    return tuple(machines), missing


def in_order(wanted: tuple[Batch, ...], rows: list[Row]) -> list[Row]:
    """Rows as they were asked for; a chip with overrides is called by them."""
    place = {id(batch.chip): i for i, batch in enumerate(wanted)}
    ordered = sorted(rows, key=lambda row: place[id(row.chip)])
    labels = {id(batch.chip): label_of(batch) for batch in wanted}
    return [replace(row, label=labels.get(id(row.chip), "")) for row in ordered]


def label_of(batch: Batch) -> str:
    """`h20-96@memory.bandwidth=5TB/s`: a chip by what was changed of it; empty for a plain one."""
    return f"{batch.chip.id}@{batch.text.split('@', 1)[1]}" if "@" in batch.text else ""
