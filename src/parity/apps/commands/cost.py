"""`parity cost`: what work on chips costs, and what it earns."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from parity.apps.commands import money, words
from parity.apps.progress import progress_bar
from parity.outputs.envelope import Answer


def cost(
    model: words.Model,
    /,
    *,
    on: money.On,
    train: money.Train = False,
    tokens: words.Tokens = "15T",
    seq: words.Seq = "8k",
    gbs: words.Gbs = "4M",
    days: words.Days = None,
    isl: Annotated[str | None, Parameter(group=words.WORK, help="Tokens of a prompt.")] = None,
    osl: Annotated[str | None, Parameter(group=words.WORK, help="Tokens of an answer.")] = None,
    rps: words.Rps = None,
    concurrency: words.Concurrency = None,
    users: words.Users = None,
    profile: words.Profile = None,
    prefix: words.Prefix = None,
    ttft: words.Ttft = None,
    tpot: words.Tpot = None,
    dtype: Annotated[str, Parameter(group=words.WORK, help="Dtype of the weights.")] = "auto",
    kv: words.Kv = "auto",
    engine_generation: words.ServingEngine = None,
    mode: words.Mode = "auto",
    cluster: words.Cluster = "",
    rent: money.Rent = False,
    own: money.Own = False,
    price: money.Price = None,
    terms: money.Terms = "on-demand",
    chip_price: money.ChipPrice = None,
    used: money.Used = False,
    years: money.Years = None,
    residual: money.Residual = None,
    interest: money.Interest = None,
    region: money.Region = None,
    electricity: money.Electricity = None,
    pue: money.Pue = None,
    staff: money.Staff = None,
    utilisation: money.Utilisation = None,
    on_date: money.OnDate = None,
    sell: money.Sell = None,
    buy: money.Buy = None,
    sensitivity: money.Sensitivity = False,
    against: money.Against = None,
    against_region: money.AgainstRegion = None,
    switch_from: money.SwitchFrom = None,
    port_cost: money.PortCost = None,
    port_loss: money.PortLoss = None,
    html: words.Html = None,
    svg: words.Svg = None,
) -> Answer:
    """Count what a day, a token or a run costs, and what it earns."""
    asked = {name: value for name, value in locals().items() if name not in ("html", "svg")}
    from parity.api.cost import cost as costed
    from parity.outputs.page import write_page, write_svg

    answer = costed(**asked, report=progress_bar())
    if html is not None:
        write_page(answer, html)
    if svg is not None:
        write_svg(answer, svg)
    return answer
