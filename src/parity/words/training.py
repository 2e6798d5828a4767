"""What a question of training is asked of: plans on one kind of chip, of a count or in time."""

from __future__ import annotations

from dataclasses import dataclass, replace

from msgspec import structs

from parity.catalogue.machine import Machine, machine
from parity.catalogue.spec import Batch
from parity.errors import UsageError
from parity.evaluate.goodput import Stated
from parity.record import Finding
from parity.search import run as running
from parity.search.findings import choose_dtype
from parity.search.grid import Space
from parity.search.train import TrainingPlan, Wall, best_plans, plan_findings
from parity.words.asked import Quantity, Run, asked_dtype, few, step_for_days


@dataclass(frozen=True)
class Trained:
    """The plans of a run on one kind of chip, the best first, and what they rest on."""

    run: Run  # with the dtype that was chosen
    target: Machine
    plans: tuple[TrainingPlan, ...]
    wall: Wall | None  # where no number of chips meets the deadline
    findings: tuple[Finding, ...]


def trained(
    run: Run,
    batch: Batch,
    *,
    days: Quantity | None,
    dtype: str,
    cluster: str,
    stated: Stated,
    top: int,
    space: Space,
) -> Trained:
    """The best plans of `run` on one kind of chip: of its count, or the fewest within `days`.

    Raises `UsageError` where there is neither, `MissingFact`, `Infeasible`.
    """
    own, chosen = choose_dtype(batch.chip, asked_dtype(dtype))
    job, target = structs.replace(run.job, dtype=own), machine(batch.chip, cluster)
    plans: list[TrainingPlan] = []
    wall = None
    if days is not None:
        step_s = step_for_days(job, days)
        found = running.fewest_chips_within(run.arch, job, target, run.era, step_s, stated, space)
        wall = found if isinstance(found, Wall) else None
        best = found.fastest if isinstance(found, Wall) else found
        plans = [best] if best else []
    elif batch.count is None:
        raise UsageError(
            f"`--on {batch.text}` has no count. Say how many, as in `--on 64x{batch.text}`, or "
            "give --days."
        )
    else:
        plans = best_plans(run.arch, job, target, run.era, batch.count, few(top), space)
    findings = (*chosen, *plan_findings(run.arch, batch.chip, job, target))
    findings += running.run_findings(batch.chip, stated)
    return Trained(replace(run, job=job), target, tuple(plans), wall, findings)
