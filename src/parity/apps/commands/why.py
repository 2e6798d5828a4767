"""`parity why`: where the time of a plan goes, and which figure would change it."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from parity.apps.commands import words
from parity.apps.progress import progress_bar
from parity.outputs.envelope import Answer


def why(
    model: words.Explained = "LAST",
    /,
    *,
    on: words.ExplainedOn = None,
    train: Annotated[
        bool, Parameter(group=words.WORK, help="Training, not serving.", show_default=False)
    ] = False,
    tokens: words.Tokens = "15T",
    seq: words.Seq = "8k",
    gbs: words.Gbs = "4M",
    days: words.Days = None,
    lora: words.Lora = None,
    software_generation: words.Software = "current",
    mtbf: words.Mtbf = None,
    checkpoint: words.Checkpoint = None,
    restart: words.Restart = None,
    fix: words.Fix = (),
    exhaustive: words.Exhaustive = False,
    isl: words.ServingIsl = None,
    osl: words.ServingOsl = None,
    rps: words.Rps = None,
    concurrency: words.Concurrency = None,
    users: words.Users = None,
    think: words.Think = None,
    trace: words.Trace = None,
    speed: words.Speed = None,
    ttft: words.Ttft = None,
    tpot: words.Tpot = None,
    p: words.Percentile = None,
    simulate: words.Simulate = False,
    profile: words.Profile = None,
    prefix: words.Prefix = None,
    speculate: words.Speculate = 0,
    kv: words.Kv = "auto",
    engine_generation: words.ServingEngine = None,
    mode: words.Mode = "auto",
    prefill_on: words.PrefillOn = None,
    dtype: words.Dtype = "auto",
    cluster: words.Cluster = "",
    sweep: words.Sweep = None,
    measured: words.Measured = None,
    samples: words.Samples = 256,
    html: words.Html = None,
    svg: words.Svg = None,
) -> Answer:
    """Say where the time of a plan goes, what it loses, and what would help."""
    asked = {name: value for name, value in locals().items() if name not in ("html", "svg")}
    from parity.api.why import why as answered
    from parity.outputs.page import write_page, write_svg

    answer = answered(**asked, report=progress_bar(what="requests"))
    if html is not None:
        write_page(answer, html)
    if svg is not None:
        write_svg(answer, svg)
    return answer
