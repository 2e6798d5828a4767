"""The options of `parity cost` about money, each with its help."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from cyclopts import Group, Parameter

from parity.apps.commands import words

MONEY = Group("Money", sort_key=3)
SALE = Group("Sale and comparison", sort_key=4)
Text: TypeAlias = str | None


def _money(text: str) -> Parameter:
    return Parameter(group=MONEY, help=text, show_default=False, negative="")


def _sale(text: str) -> Parameter:
    return Parameter(group=SALE, help=text, show_default=False, negative="")


On = Annotated[
    str, Parameter(group=words.CHIPS, help="Chips: 16xh20, h20, or a fleet, 512xa100,256xh20.")
]
Train = Annotated[
    bool, Parameter(group=words.WORK, help="Cost training, not serving.", show_default=False)
]
Rent = Annotated[bool, _money("Rent the chips, at published quotes.")]
Own = Annotated[bool, _money("Own the chips; else rent where anybody quotes it.")]
Price = Annotated[Text, _money("Rent of a chip-hour, as in 2.5usd/h or 2..3usd/h.")]
Terms = Annotated[str, _money("Of rent: on-demand, 1-year, 3-year.")]
ChipPrice = Annotated[Text, _money("Price of a chip of one's own: 10000..12000.")]
Used = Annotated[bool, _money("Own chips bought used, where anybody quotes it.")]
Years = Annotated[Text, _money("Of depreciation: 5, or 3..6.")]
Residual = Annotated[Text, _money("Share of the price that is left then: 10%.")]
Interest = Annotated[Text, _money("Interest of a year on what is not paid back: 8%.")]
Region = Annotated[
    Text, _money("Where, for power and CO2: us, cn-east, cn-west, cn-west-domestic, de.")
]
Electricity = Annotated[Text, _money("Price of power, as in 0.05..0.08usd/kWh.")]
Pue = Annotated[Text, _money("Power of the site over that of its servers: 1.2.")]
Staff = Annotated[Text, _money("Staff and upkeep in place of the usual, USD a chip and year.")]
Utilisation = Annotated[
    Text, _money("Mean load over the load planned for: 60%, 40%..80%, or 24 shares of a day.")
]
OnDate = Annotated[Text, _money("Prices as they were known: 2025-02-28.")]
Sell = Annotated[
    Text,
    _sale(
        "What tokens sell for, USD per million: in=0.55,out=2.19,cached=0.14; a model or "
        "seller that has a list; or list, for this model's."
    ),
]
Buy = Annotated[
    Text, _sale("What the tokens cost where they are bought instead, as --sell takes it.")
]
Sensitivity = Annotated[bool, _sale("Also other cache hits, latencies, loads, prices.")]
Against = Annotated[
    Text, _sale("Other chips for the same work: h100,910c; a fleet: 8xh20+16xa100.")
]
AgainstRegion = Annotated[Text, _sale("Where those stand.")]
SwitchFrom = Annotated[Text, _sale("Chips to change from, as in 8xh100.")]
PortCost = Annotated[Text, _sale("What porting and testing cost once: 200k..1M.")]
PortLoss = Annotated[Text, _sale("Part of the new speed that is not reached: 0..20%.")]
