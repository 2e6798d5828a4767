"""`parity match`: how many of one chip equal so many of another."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from parity.apps.commands import words
from parity.outputs.envelope import Answer


def match(
    model: words.Model,
    /,
    *,
    want: Annotated[
        str | None, Parameter(group=words.CHIPS, help="Chips to count, as in h20,a100,910b.")
    ] = None,
    have: Annotated[
        str | None, Parameter(group=words.CHIPS, help="Chips to equal, as in 1024xh100.")
    ] = None,
    owned: Annotated[
        str | None,
        Parameter(
            name="--with",
            group=words.CHIPS,
            help="Chips that are there already, as in 512xa100: the answer is what to add to them.",
        ),
    ] = None,
    train: Annotated[
        bool, Parameter(group=words.WORK, help="Match training, not serving.", show_default=False)
    ] = False,
    tokens: words.Tokens = "15T",
    seq: words.Seq = "8k",
    gbs: words.Gbs = "4M",
    isl: words.Isl = "2k",
    osl: words.Osl = "500",
    kv: words.Kv = "auto",
    dtype: words.Dtype = "auto",
    software_generation: words.Software = "current",
    engine_generation: words.Engine = "current",
    days: words.Days = None,
    tokens_per_second: words.TokensPerSecond = None,
    ttft: words.Ttft = None,
    tpot: words.Tpot = None,
    ladder: Annotated[
        bool,
        Parameter(
            group=words.TARGET,
            help="Put the chips in order of what one of them does, in place of counts.",
            show_default=False,
        ),
    ] = False,
    html: words.Html = None,
    svg: words.Svg = None,
    samples: words.Samples = 256,
    to: words.To = None,
    risk: words.Risk = False,
) -> Answer:
    """Count how many of one chip equal so many of another."""
    asked = {name: value for name, value in locals().items() if name not in ("html", "svg")}
    from parity.api.match import match as matched
    from parity.outputs.page import write_page, write_svg

    answer = matched(**asked)
    if html is not None:
        write_page(answer, html)
    if svg is not None:
        write_svg(answer, svg)
    return answer
