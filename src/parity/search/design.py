"""How fast a design is on a portfolio of work, and what a dollar, a watt or a wafer of it gives."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal, get_args

import numpy as np
from msgspec import structs

from parity.catalogue.machine import Draw, Number, central, machine
from parity.catalogue.schema import Chip
from parity.economics.quotes import operation
from parity.errors import Infeasible, MissingFact
from parity.search.findings import choose_dtype
from parity.search.gate import serving_gate
from parity.search.pools import Pool
from parity.search.portfolio import Portfolio, Work
from parity.search.precision import precision_of
from parity.search.replica import ServingJob
from parity.search.serve import Need, best_plans
from parity.search.train import best_plans as training_plans
from parity.supply.cost import Cost
from parity.supply.custom import Design, Figures, cooling_of, figures, making
from parity.supply.custom_chip import as_chip
from parity.supply.tables import drawn
from parity.timing.engine import usual_engine
from parity.timing.software import CURRENT, software
from parity.workload.find import model as find_model
from parity.workload.operator import Attention, Linear, Recurrence
from parity.workload.request import Request
from parity.workload.training import TrainingJob

Objective = Literal["tokens/s/$", "tokens/s/W", "tokens/s/wafer"]
OBJECTIVES: tuple[Objective, ...] = get_args(Objective)
#: What a design may be without: routed experts, scans of state-space layers and linear attention,
#: a latent cache (MLA), attention over selected entries.
FEATURES = ("experts", "recurrence", "latent attention", "sparse attention")
#: Tokens of a run whose speed is asked, not its length.
TOKENS = 1e12
HOURS_A_YEAR = 8760.0
PLACE = "us"


@dataclass(frozen=True)
class Speed:
    """Tokens a second of a chip on a piece of work, prompts and answers together; 0 and the reason
    where it cannot be done.
    """

    work: Work
    tokens_per_s: float
    chips: int = 0
    reason: str = ""


def speed(chip: Chip, work: Work) -> Speed:
    """What one of as many chips as it takes does of a piece of work, in the best way there is."""
    try:
        return _trained(chip, work) if work.kind == "train" else _served(chip, work)
    except MissingFact as error:
        return Speed(work, 0.0, reason=f"its {error.field} is not known")
    except Infeasible as error:
        errors = [one.message for one in error.findings if one.severity == "error"]
        return Speed(work, 0.0, reason=(*errors, str(error))[0])


def _trained(chip: Chip, work: Work) -> Speed:
    dtype, _ = choose_dtype(chip, "auto")
    job = TrainingJob(tokens=TOKENS, seq_len=work.seq_len, global_batch_tokens=work.batch_tokens)
    job = structs.replace(job, dtype=dtype)
    plan, *_ = training_plans(
        find_model(work.model), job, machine(chip), software(CURRENT), work.chips, 1
    )
    return Speed(work, plan.tokens_per_s / plan.chips, plan.chips)


def _served(chip: Chip, work: Work) -> Speed:
    arch = find_model(work.model)
    passed = serving_gate(arch, chip, "", "auto", work.input_tokens + work.output_tokens)
    request = Request(input_tokens=work.input_tokens, output_tokens=work.output_tokens)
    job = ServingJob(request, precision_of(arch, chip, passed), work.ttft_s, work.tpot_s)
    pool = Pool(machine(chip), job, None)
    plan, *_ = best_plans(arch, job, pool.machine, usual_engine(chip), Need())
    tokens = work.input_tokens + work.output_tokens
    return Speed(work, float(plan.requests_per_s * tokens / plan.chips), plan.chips)


@lru_cache(maxsize=4096)
def _speed(chip: Chip, work: Work) -> Speed:
    return speed(chip, work)


def speeds(chip: Chip, portfolio: Portfolio, without: tuple[str, ...] = ()) -> tuple[Speed, ...]:
    """A chip's speed on each piece of work; without: operators that it cannot run."""
    return tuple(
        Speed(work, 0.0, reason=f"{work.model} has {', '.join(lacks)}, which it cannot run")
        if (lacks := [kind for kind in features(work.model) if kind in without])
        else _speed(chip, work)
        for work in portfolio.works
    )


@lru_cache(maxsize=256)
def features(model: str) -> tuple[str, ...]:
    """What of a model is more than dense attention and dense products: some of `FEATURES`."""
    arch = find_model(model)
    found = set()
    for block in arch.blocks:
        for one in block.operators:
            if isinstance(one, Recurrence):
                found.add("recurrence")
            elif isinstance(one, Linear) and one.experts > 1:
                found.add("experts")
            elif isinstance(one, Attention):
                found |= {"latent attention"} if one.decode_qk_dim else set()
                found |= {"sparse attention"} if one.selected else set()
    return tuple(kind for kind in FEATURES if kind in found)


def score(own: tuple[Speed, ...], reference: tuple[Speed, ...]) -> float:
    """How many reference chips one chip is worth on a portfolio; 0 where it cannot do a part. [1]

    `1 / Σ wᵢ rᵢ / sᵢ`: with wᵢ of a reference fleet's time on work i, at rates r and s, the time
    that the other takes for all of it (a weighted harmonic mean of the ratios).
    """
    total = 0.0
    for ours, theirs in zip(own, reference, strict=True):
        if theirs.tokens_per_s <= 0:
            continue
        if ours.tokens_per_s <= 0:
            return 0.0
        total += ours.work.share * theirs.tokens_per_s / ours.tokens_per_s
    weight = sum(one.work.share for one in reference if one.tokens_per_s > 0)
    return weight / total if total else 0.0


@dataclass(frozen=True)
class Judged:
    """A design worked out: figures, dollars; numbers or arrays of samples."""

    design: Design
    figures: Figures
    cost: Cost
    cooling_usd: Number
    energy_usd: Number  # over its life, at the meter of the site

    @cached_property
    def chip(self) -> Chip:
        """The chip at the stated figures, without a range."""
        return as_chip(self.design, self.figures, self.figures)

    @property
    def dollars(self) -> Number:
        """Making, cooling and electricity. [USD]"""
        return self.cost.total_usd + self.cooling_usd + self.energy_usd

    @property
    def site_w(self) -> Number:
        """At the meter of the site. [W]"""
        pue = cooling_of(self.design, self.figures).pue
        return self.figures.tdp_w * (pue.value if pue else 1.0)

    @property
    def per_wafer(self) -> Number:
        """Chips of a wafer that can be sold, assembled. [1]"""
        die = self.cost.dies[0]
        good = die.per_wafer * die.sold_yield * self.cost.packaging.assembly_yield
        return good / die.recipe.count


def judged(design: Design, draw: Draw = central) -> Judged:
    """The figures and the dollars of a design, at the figures that `draw` gives."""
    at = figures(design, draw)
    cost, cooled = making(design, at, draw)
    return Judged(design, at, cost, cooled, lifetime_usd(design, at, draw))


def lifetime_usd(design: Design, at: Figures, draw: Draw) -> Number:
    """Electricity of a chip at its rating over the years it is written off, PUE included. [USD]"""
    cooling = cooling_of(design, at)
    years, price = operation("depreciation"), operation("electricity", PLACE)
    kwh = at.tdp_w / 1e3 * HOURS_A_YEAR * draw("years", years.value, years.low, years.high)
    pue = drawn(cooling.pue, f"cooling.{cooling.id}.pue", draw)
    return kwh * pue * draw("electricity", price.value, price.low, price.high)


def price(one: Judged, objective: Objective) -> float:
    """What one chip takes of what is scarce: dollars, watts at the meter, or wafers."""
    if objective == "tokens/s/$":
        return float(np.median(one.dollars))
    if objective == "tokens/s/W":
        return float(np.median(one.site_w))
    return 1.0 / float(np.median(one.per_wafer))


def toll(
    one: Judged,
    own: tuple[Speed, ...],
    reference: Judged,
    theirs: tuple[Speed, ...],
    objective: Objective,
) -> float:
    """How much more of a portfolio a dollar, a watt or a wafer does than one of the reference. [1]

    `Σ wᵢ c₀ / Σ wᵢ (rᵢ/sᵢ) c`: with wᵢ of the reference fleet's time on work i, c and c₀ what one
    chip takes, r and s their rates. What a design cannot do is done by reference chips beside it,
    at what they take; what the reference cannot do is left out.
    """
    each, base = price(one, objective), price(reference, objective)
    spent = weight = 0.0
    for ours, ref in zip(own, theirs, strict=True):
        if ref.tokens_per_s <= 0:
            continue
        share = ours.work.share
        weight += share
        able = ours.tokens_per_s > 0
        spent += share * (each * ref.tokens_per_s / ours.tokens_per_s if able else base)
    return weight * base / spent if spent else 0.0
