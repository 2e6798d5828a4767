"""`parity plan`: the layout of a piece of work on given chips."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from parity.apps.commands import words
from parity.apps.progress import progress_bar
from parity.outputs.envelope import Answer

plan = App(name="plan", help="Lay out a training run on chips.")


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
) -> Answer:
    """Plan a training run: layout, days, memory, energy and their range."""
    asked = locals()  # the parameters, which are those of the function
    from parity import api

    return api.plan_train(**asked, report=progress_bar())
