"""`parity outlook`: what a scenario of supply gives, year by year."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Group, Parameter

from parity.apps.commands import words
from parity.outputs.envelope import Answer
from parity.words.outlook import USUAL_SAMPLES

SCENARIO = Group("Scenario", sort_key=1)


def outlook(
    scenario: Annotated[
        str,
        Parameter(
            help="ban-holds, ban-lifted, hbm-limited, duv-only, tsmc-scale-ramp, or a TOML file."
        ),
    ],
    /,
    *,
    compare: Annotated[
        str | None,
        Parameter(
            group=SCENARIO, show_default=False, help="Scenarios beside it: ban-lifted,duv-only."
        ),
    ] = None,
    years: Annotated[
        str | None,
        Parameter(
            group=SCENARIO, show_default=False, help="The years that are shown, as in 2024..2030."
        ),
    ] = None,
    set_: Annotated[
        tuple[str, ...],
        Parameter(
            name="--set",
            group=SCENARIO,
            negative="",
            show_default=False,
            help="A figure of yours in all of them: policy=open, common.learning=0.1..0.3; "
            "repeatable.",
        ),
    ] = (),
    samples: words.Samples = USUAL_SAMPLES,
    html: words.Html = None,
    svg: words.Svg = None,
) -> Answer:
    """Follow a scenario of supply: chips, fleet, demand and lag, year by year."""
    from parity.api.outlook import outlook as followed
    from parity.outputs.page import write_page, write_svg

    answer = followed(scenario, compare=compare, years=years, set_=set_, samples=samples)
    if html is not None:
        write_page(answer, html)
    if svg is not None:
        write_svg(answer, svg)
    return answer
