"""`parity chips`: what is known of chips, and who says so; and a chip of one's own."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Group, Parameter

from parity.apps.commands import words
from parity.apps.progress import progress_bar
from parity.catalogue import load, table
from parity.catalogue.schema import Chip
from parity.catalogue.spec import parse_fleet
from parity.errors import UsageError
from parity.outputs import chips as saying
from parity.outputs.envelope import Answer

chips = App(name="chips", help="List, filter, show or compare chips, or design one.")
WORK = Group("Work", sort_key=1)
SEARCH = Group("Search", sort_key=2)


@chips.default
def show(
    *ids: Annotated[
        str, Parameter(help="Names of chips, as in h20 or h20@memory.bandwidth=5TB/s.")
    ],
    where: Annotated[
        str | None, Parameter(help='Only those that meet "memory>=80GB vendor=huawei fp8".')
    ] = None,
    compare: Annotated[
        bool, Parameter(help="Side by side, with ratios to the first.", show_default=False)
    ] = False,
) -> Answer:
    """List, filter, show or compare chips, or design one."""
    named = tuple(chip for text in ids for chip in _chips(text))
    found = named or load.chips()
    if where is not None:
        found = table.where(where, found)
    if compare:
        if len(found) < 2 or (not named and where is None):
            raise UsageError(
                "--compare needs two chips or more, as in `parity chips h20 h100 --compare`."
            )
        return saying.compare_answer(found)
    if len(named) == 1 == len(found):
        return saying.chip_answer(found[0])
    return saying.list_answer(found, where or "")


def _chips(text: str) -> tuple[Chip, ...]:
    batches = parse_fleet(text)
    for batch in batches:
        if batch.count is not None:
            raise UsageError(f"`parity chips` takes names without a count: `{batch.chip.id}`.")
    return tuple(batch.chip for batch in batches)


@chips.command
def design(
    file: Annotated[str | None, Parameter(help="A design, as in my.toml.")] = None,
    /,
    *,
    start: Annotated[
        str | None,
        Parameter(
            name="--from",
            help="A chip with changes, as in h20@memory.stacks=6,clock=1.5GHz.",
            show_default=False,
        ),
    ] = None,
    portfolio: Annotated[
        str,
        Parameter(
            group=WORK, help="today, next-year, transformer-dense-only, or a TOML of one's own."
        ),
    ] = "today",
    against: Annotated[
        str,
        Parameter(
            group=WORK,
            help="Chips, or designs in TOML, set beside it; the first is the measure.",
        ),
    ] = "h100,h20",
    optimise: Annotated[
        str | None,
        Parameter(
            group=SEARCH, show_default=False, help="tokens/s/$, tokens/s/W or tokens/s/wafer."
        ),
    ] = None,
    later: Annotated[
        str, Parameter(group=SEARCH, help="The portfolio on which what was found is run too.")
    ] = "next-year",
    tries: Annotated[int, Parameter(group=SEARCH, help="Designs that are tried.")] = 64,
    seed: Annotated[int, Parameter(group=SEARCH, help="The same seed finds the same.")] = 0,
    save: Annotated[
        str | None,
        Parameter(help="A file of the catalogue to write, as in my-chip.toml.", show_default=False),
    ] = None,
    to: words.To = None,
    html: words.Html = None,
    svg: words.Svg = None,
) -> Answer:
    """Design a chip: what it holds, draws and costs, and what work it is worth."""
    asked = {name: value for name, value in locals().items() if name not in ("html", "svg")}
    from parity.api.design import design as designed
    from parity.outputs.page import write_page, write_svg

    answer = designed(**asked, report=progress_bar(what="designs"))
    if html is not None:
        write_page(answer, html)
    if svg is not None:
        write_svg(answer, svg)
    return answer
