"""`parity match`: how many of one chip equal so many of another."""

from __future__ import annotations

from parity.apps.commands import words
from parity.outputs.envelope import Answer


def match(
    model: words.Model,
    /,
    *,
    want: words.Want = None,
    have: words.Have = None,
    owned: words.With = None,
    train: words.Train = False,
    tokens: words.Tokens = "15T",
    seq: words.Seq = "8k",
    gbs: words.Gbs = "4M",
    isl: words.MatchIsl = None,
    osl: words.MatchOsl = None,
    rps: words.Rps = None,
    concurrency: words.Concurrency = None,
    users: words.Users = None,
    think: words.Think = None,
    profile: words.MatchProfile = None,
    prefix: words.Prefix = None,
    speculate: words.Speculate = 0,
    kv: words.Kv = "auto",
    dtype: words.Dtype = "auto",
    mode: words.Mode = "auto",
    software_generation: words.Software = "current",
    engine_generation: words.ServingEngine = None,
    equal: words.Equal = None,
    rent: words.AtRent = False,
    own: words.AtOwn = False,
    days: words.Days = None,
    tokens_per_second: words.TokensPerSecond = None,
    ttft: words.Ttft = None,
    tpot: words.Tpot = None,
    ladder: words.Ladder = False,
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
