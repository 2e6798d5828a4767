"""`parity plan`: the layout of a piece of work on given chips, and how many it takes."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from parity.apps.commands import words
from parity.apps.progress import progress_bar
from parity.outputs.envelope import Answer

plan = App(name="plan", help="Lay out a training run, or a service, on chips.")


@plan.command
def train(
    model: words.Model,
    /,
    *,
    on: Annotated[
        str,
        Parameter(
            group=words.CHIPS,
            help="Chips, as in 1024xh100; no count with --days. Several kinds train together, as "
            "in 512xa100,256xh20, or 512xa100,h20 with --days.",
        ),
    ],
    tokens: words.Tokens = "15T",
    seq: words.Seq = "8k",
    gbs: words.Gbs = "4M",
    days: words.Days = None,
    lora: words.Lora = None,
    dtype: words.Dtype = "auto",
    software_generation: words.Software = "current",
    cluster: words.Cluster = "",
    mtbf: words.Mtbf = None,
    checkpoint: words.Checkpoint = None,
    restart: words.Restart = None,
    top: words.Top = 3,
    fix: words.Fix = (),
    exhaustive: words.Exhaustive = False,
    pareto: words.Pareto = False,
    samples: words.Samples = 256,
    to: words.To = None,
    risk: words.Risk = False,
) -> Answer:
    """Plan a training run: layout, days, memory, energy and their range."""
    asked = locals()  # the parameters, which are those of the function
    from parity.api.train import plan_train

    return plan_train(**asked, report=progress_bar())


@plan.command
def serve(
    model: words.Model,
    /,
    *,
    on: Annotated[
        str,
        Parameter(
            group=words.CHIPS,
            help="Chips, as in h20; with a count, 16xh20, the answer is what they carry.",
        ),
    ],
    rps: words.Rps = None,
    concurrency: words.Concurrency = None,
    users: words.Users = None,
    think: words.Think = None,
    trace: words.Trace = None,
    speed: words.Speed = None,
    profile: words.Profile = None,
    isl: words.ServingIsl = None,
    osl: words.ServingOsl = None,
    prefix: words.Prefix = None,
    speculate: words.Speculate = 0,
    dtype: Annotated[str, Parameter(group=words.WORK, help="Dtype of the weights.")] = "auto",
    kv: words.Kv = "auto",
    engine_generation: words.ServingEngine = None,
    ttft: words.Ttft = None,
    tpot: words.Tpot = None,
    p: words.Percentile = None,
    simulate: words.Simulate = False,
    mode: words.Mode = "auto",
    prefill_on: words.PrefillOn = None,
    cluster: words.Cluster = "",
    top: words.Top = 3,
    samples: words.Samples = 256,
    to: words.To = None,
    risk: words.Risk = False,
    html: words.Html = None,
    svg: words.Svg = None,
) -> Answer:
    """Plan a service: how many chips, laid out how, with what latency and settings."""
    asked = {name: value for name, value in locals().items() if name not in ("html", "svg")}
    from parity.api.serve import plan_serve
    from parity.outputs.page import write_page, write_svg

    answer = plan_serve(**asked, report=progress_bar(what="requests"))
    if html is not None:
        write_page(answer, html)
    if svg is not None:
        write_svg(answer, svg)
    return answer
