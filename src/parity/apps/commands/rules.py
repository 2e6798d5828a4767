"""`parity rules`: what export rules say of a chip, by its figures and a date."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Group, Parameter

from parity.apps.commands import words
from parity.outputs.envelope import Answer

TRADE = Group("Trade", sort_key=1)


def rules(
    chips: Annotated[
        str,
        Parameter(
            help="Chips, all, a filter, or memory stacks, as in h20, vendor=huawei, hbm3e; own "
            "figures as in h20@memory.bandwidth=4.8TB/s."
        ),
    ],
    /,
    *,
    on_date: Annotated[
        str | None,
        Parameter(group=TRADE, help="The day, as in 2023-11-17; else the last day known."),
    ] = None,
    from_: Annotated[str, Parameter(name="--from", group=TRADE, help="Country of origin.")] = "US",
    to: Annotated[str, Parameter(group=TRADE, help="Country of destination.")] = "CN",
    hq: Annotated[
        str | None,
        Parameter(group=TRADE, help="Country of the buyer's headquarters; else the destination."),
    ] = None,
    check: Annotated[
        bool,
        Parameter(
            group=TRADE,
            negative="",
            show_default=False,
            help="Exit 5 where a chip is caught, 3 where it cannot be told.",
        ),
    ] = False,
    html: words.Html = None,
    svg: words.Svg = None,
) -> Answer:
    """Screen chips against export rules: verdict, clause, margin."""
    from parity.api.rules import rules as judged
    from parity.outputs.page import write_page, write_svg

    answer = judged(
        chips, on_date=on_date, from_=from_, to=to, hq=hq, check=check, chart=bool(html or svg)
    )
    if html is not None:
        write_page(answer, html)
    if svg is not None:
        write_svg(answer, svg)
    return answer
