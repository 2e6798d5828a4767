"""Why a training run on several kinds of chip is as fast as it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import structs

from parity.catalogue.spec import Batch
from parity.errors import UsageError
from parity.outputs.envelope import Answer
from parity.outputs.why_mixed import FleetTold, fleet_answer
from parity.search.mixed import best_mixed, common_dtype, fleet_of, mixed_findings
from parity.search.mixed_days import Deadline, fewest_beside
from parity.search.mixed_run import stretch_of
from parity.search.why_mixed import why_fleet
from parity.words.asked import asked_dtype, stated_failures, step_for_days, training_run

#: Words that a fleet of several kinds does not take.
ONE_KIND = ("cluster", "fix", "exhaustive", "sweep", "measured")


def fleet(given: Mapping[str, Any], batches: tuple[Batch, ...]) -> Answer:
    """Why a training run on several kinds of chip is as fast as it is."""
    named = [f"--{name}" for name in ONE_KIND if given[name]]
    if named:
        raise UsageError(f"{' and '.join(named)} of why takes one kind of chip in --on.")
    run = training_run(
        given["model"], given["tokens"], given["seq"], given["gbs"],
        given["software_generation"], given["lora"],
    )  # fmt: skip
    stated = stated_failures(given["mtbf"], given["checkpoint"], given["restart"])
    own, chosen = common_dtype(tuple(batch.chip for batch in batches), asked_dtype(given["dtype"]))
    arch, era, job = run.arch, run.era, structs.replace(run.job, dtype=own)
    held, more = fleet_of(batches, given["days"] is not None)
    if given["days"] is None:
        found = Deadline(best_mixed(arch, job, held, era, stretch_of(arch, job, era, stated)), ())
    else:
        step_s = step_for_days(job, given["days"])
        found = fewest_beside(arch, job, held, more, era, step_s, stated)
    about = (*found.missed, *chosen, *mixed_findings(found.plan))
    told = FleetTold(
        why_fleet(arch, found.plan, era, stated), arch, about, missed=bool(found.missed)
    )
    return fleet_answer(told)
