"""The question of supply over the years as a Python function.

>>> import parity
>>> parity.outlook("ban-holds", compare="ban-lifted")  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Iterable

from parity.errors import UnknownName, UsageError
from parity.outputs.envelope import Answer
from parity.outputs.outlook import outlook_answer
from parity.search import outlook as planning
from parity.search.outlook import Planned
from parity.supply.scenario import Scenario
from parity.timing.engine import CURRENT_ENGINE, engine
from parity.timing.software import CURRENT
from parity.words.asked import DEFAULT_GBS, DEFAULT_SEQ, DEFAULT_TOKENS, training_run
from parity.words.outlook import USUAL_SAMPLES, asked, drawing
from parity.workload.find import model as find_model
from parity.workload.flop import flop_per_token
from parity.workload.request import Request

#: Tokens of the request by which chips are measured where they serve: as `parity match` has it.
PROMPT_TOKENS, ANSWER_TOKENS = 2048.0, 500.0
MOST_CHIPS = 100_000


def outlook(
    scenario: str,
    *,
    compare: str | None = None,
    years: str | None = None,
    set_: Iterable[str] = (),
    samples: int = USUAL_SAMPLES,
) -> Answer:
    """What a scenario of supply gives, year by year, and how far behind a reference fleet it is.

    scenario: one that is shipped (`ban-holds`, `ban-lifted`, `hbm-limited`, `duv-only`,
    `tsmc-scale-ramp`) or a TOML file. compare: others beside it, joined by commas. years: as in
    `2024..2030`: the first that is shown, the last that is worked out. set_: figures of yours, as
    in `policy=open` or `common.demand_growth=1.2..1.8`. samples: of what is uncertain, 64 to
    8,192.

    Every figure is the scenario's; an answer has P10, P50 and P90 and names no date as a fact.
    Raises `UnknownName`, `BadFile`, `UsageError`, `MissingFact`, `Infeasible`.
    """
    drawn, question = drawing(samples), asked(scenario, compare, years, set_)
    chips = tuple(dict.fromkeys(name for one in question.scenarios for name in one.chips()))
    planned, flop = _planned(question.scenarios[0], chips)
    found = [
        planning.worked(one, {name: planned[name] for name in one.chips()}, drawn, flop)
        for one in question.scenarios
    ]
    return outlook_answer(found, question.shown_from)


def _planned(scenario: Scenario, chips: tuple[str, ...]) -> tuple[dict[str, Planned], float | None]:
    """How fast each chip is on the work of the scenario; FLOPs of a token, where it trains."""
    work = scenario.workload
    if work.kind not in ("train", "serve"):
        raise UnknownName("kind of work", work.kind, ("train", "serve"), "In `workload.kind`.")
    if work.kind == "serve":
        request = Request(input_tokens=PROMPT_TOKENS, output_tokens=ANSWER_TOKENS)
        found = planning.served(chips, find_model(work.model), request, engine(CURRENT_ENGINE))
        return found, None
    if not 1 <= work.chips <= MOST_CHIPS:
        raise UsageError(f"workload.chips is {work.chips:,}; 1 to {MOST_CHIPS:,} was expected.")
    run = training_run(work.model, DEFAULT_TOKENS, DEFAULT_SEQ, DEFAULT_GBS, CURRENT)
    found = planning.trained(chips, run.arch, run.job, run.era, work.chips)
    return found, float(flop_per_token(run.arch, run.job.seq_len, "training"))
