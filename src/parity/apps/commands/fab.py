"""`parity fab`: what a chip costs to make, and how many can be made."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Group, Parameter

from parity.apps.commands import words
from parity.outputs.envelope import Answer

MADE = Group("What is made", sort_key=1)
FIGURES = Group("Figures", sort_key=2)
SUPPLY = Group("Supply", sort_key=3)


def _said(group: Group, text: str, name: str | None = None) -> Parameter:
    return Parameter(name=name, group=group, help=text, show_default=False)


def fab(
    chip: Annotated[str | None, Parameter(help="A chip, as in h20 or h20@die.area=700mm2.")] = None,
    /,
    *,
    node: Annotated[
        str | None, _said(MADE, "Process nodes, as in smic-n2 or tsmc-5,smic-n2 side by side.")
    ] = None,
    die: Annotated[str | None, _said(MADE, "Area of a die of one's own, as in 800mm2.")] = None,
    dies: Annotated[str, Parameter(group=MADE, help="Dies in the package, with --die.")] = "1",
    hbm: Annotated[
        str | None, _said(MADE, "Stacks of memory: 5xhbm3, 8xhbm3e:36 (GB each), none.")
    ] = None,
    package: Annotated[str | None, _said(MADE, "cowos-s, cowos-l, info or fcbga.")] = None,
    harvest: Annotated[
        str | None, _said(MADE, "Cores needed of cores made on a die: 132/144, or none.")
    ] = None,
    keep: Annotated[
        str, Parameter(group=MADE, help="On another node: the same area, or transistors.")
    ] = "area",
    volume: Annotated[
        str | None, _said(MADE, "Chips that pay for design and masks, as in 100k.")
    ] = None,
    yield_model: Annotated[
        str,
        Parameter(
            group=FIGURES,
            help="negative-binomial, poisson, murphy, seeds or bose-einstein.",
        ),
    ] = "negative-binomial",
    stated_yield: Annotated[
        str | None,
        _said(FIGURES, "Share of dies sold, for the model: 40%, 20%..50%, or 20%,50%.", "--yield"),
    ] = None,
    d0: Annotated[str | None, _said(FIGURES, "Defects a square centimetre: 0.1, 0.1..0.3.")] = None,
    wafer_price: Annotated[str | None, _said(FIGURES, "Dollars a wafer.")] = None,
    hbm_price: Annotated[str | None, _said(FIGURES, "Dollars a gigabyte of HBM.")] = None,
    supply: Annotated[
        str | None,
        _said(
            SUPPLY,
            "Units a year: smic-7nm-2025, smic-7nm-2026, ascend-stock, or a scenario in TOML.",
        ),
    ] = None,
    html: words.Html = None,
    svg: words.Svg = None,
) -> Answer:
    """Price the making of a chip, or count how many a year there can be."""
    asked = {name: value for name, value in locals().items() if name not in ("html", "svg")}
    from parity.api.fab import fab as made
    from parity.outputs.page import write_page, write_svg

    answer = made(**asked)
    if html is not None:
        write_page(answer, html)
    if svg is not None:
        write_svg(answer, svg)
    return answer
