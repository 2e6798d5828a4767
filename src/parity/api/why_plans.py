"""The plan that a question of why is about, searched for and explained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from parity.catalogue.spec import Batch
from parity.errors import Infeasible
from parity.outputs.envelope import Answer
from parity.outputs.why import WhyTold, serving_answer, training_answer
from parity.record import Finding
from parity.search.confirm import Trial
from parity.search.grid import Space
from parity.search.percentiles import at_percentile
from parity.search.pinned import pinned
from parity.search.run import run_of
from parity.search.serving_plan import serve, serving_findings
from parity.search.why import speed_range, why_serving_plan, why_training_plan
from parity.search.why_sweep import axes
from parity.search.why_training import training_case
from parity.search.why_waits import at_its_means, waits_of
from parity.search.why_ways import serving_case
from parity.words.asked import (
    sampler,
    stated_failures,
    training_run,
)
from parity.words.serving import Said, percentile, serving_chips, serving_question, work
from parity.words.training import trained
from parity.workload.find import model as find_model


def training(given: Mapping[str, Any], batch: Batch) -> Answer:
    """Why a training run on one kind of chip is as fast as it is."""
    run = training_run(
        given["model"], given["tokens"], given["seq"], given["gbs"],
        given["software_generation"], given["lora"],
    )  # fmt: skip
    drawn = sampler(given["samples"])
    swept = axes(given["sweep"]) if given["sweep"] is not None else None
    stated = stated_failures(given["mtbf"], given["checkpoint"], given["restart"])
    space = Space(pinned(given["fix"]), given["exhaustive"])
    found = trained(
        run, batch, days=given["days"], dtype=given["dtype"], cluster=given["cluster"],
        stated=stated, top=1, space=space,
    )  # fmt: skip
    missed: tuple[Finding, ...] = ()
    if found.wall is not None:
        missed = (Finding(code="P104", severity="error", message=found.wall.reason + "."),)
    if not found.plans:
        raise Infeasible("No number of these chips does it.", missed)
    plan = found.plans[0]
    case = training_case(run.arch, plan, run.era, space)
    course = run_of(run.arch, plan, run.era, stated, drawn)
    told = WhyTold(
        why_training_plan(case, course, swept, given["measured"] or ""),
        (*missed, *found.findings),
        course.step_range,
        missed=bool(missed),
    )
    return training_answer(told, case)


def service(given: Mapping[str, Any], followed: str = "") -> Answer:
    """Why a service carries as much as it does.

    followed: what of a match is explained, in words.
    """
    arch, batch = find_model(given["model"]), serving_chips(given["on"], "--on")
    drawn = sampler(given["samples"])
    swept = axes(given["sweep"]) if given["sweep"] is not None else None
    said = Said(
        given["isl"], given["osl"], given["prefix"], given["profile"], given["rps"],
        given["concurrency"], given["users"], given["think"], given["ttft"], given["tpot"],
        given["speculate"], given["trace"], given["speed"],
    )  # fmt: skip
    asked = work(arch.name, said, counted=batch.count is not None, on=given["on"])
    at = percentile(given["p"], simulated=given["simulate"] or given["trace"] is not None)
    question, passed, _ = serving_question(
        arch, batch, asked, given["engine_generation"], given["dtype"], given["kv"],
        given["cluster"], given["mode"], given["prefill_on"], 1,
    )  # fmt: skip
    if at is None:
        found = serve(question)
        case = serving_case(question, found.best)
    else:
        trial = Trial(at, asked.vary, asked.trace, given["report"])
        found = at_percentile(question, trial)
        case = serving_case(question, found.best, at_its_means(found.best))
    plan, seen = found.best, found.confirmed
    simulated = seen.result.findings if seen else ()
    findings = (*found.missed, *simulated, *passed.findings, *arch.findings)
    told = WhyTold(
        why_serving_plan(case, swept, given["measured"] or ""),
        tuple(dict.fromkeys((*findings, *serving_findings(plan)))),
        speed_range(plan, drawn),
        missed=bool(found.missed),
        assumed=(*((followed,) if followed else ()), *asked.assumed),
        waits=waits_of(seen, at, drawn=asked.trace is None) if seen and at else None,
        percentile=at,
    )
    return serving_answer(told, case)
