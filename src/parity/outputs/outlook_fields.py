"""A scenario of supply as plain data, and its percentiles."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
from msgspec import structs

from parity.catalogue.machine import Number
from parity.outputs import fab_tables, unknowns
from parity.record import Fact
from parity.search.outlook import Worked
from parity.search.uncertainty import P10, P50, P90, Source
from parity.supply.rules import notice
from parity.supply.rules_data import book
from parity.supply.scenario import Scenario

#: What has no finite number is `null` in JSON.
_NONE = np.full((1, 1), np.inf)
#: P10, P50, P90.
Ends = tuple[float, float, float]
#: What a figure of a section is, by its name in it.
_SECTIONS = {
    "logic": "{name}: {figure}",
    "dies": "dies of {name}: {figure}",
    "memory": "{name} memory: {figure}",
    "products": "{name}: {figure}",
    "imports": "imports of {name}: {figure}",
    "reference": "{name} of the reference: {figure}",
    "demand": "{name} bought: {figure}",
}
_CALLED = {
    "common.use_of_stock": "the share of a stock that a year can use",
    "common.ramp_years": "how long a product takes to ramp",
    "common.learning": "how fast yields are learned",
    "common.life_years": "how long chips stay in use",
    "common.life_spread_years": "how unlike lives of chips are",
    "common.demand_unmet": "the demand that was not met",
    "common.demand_growth": "how fast demand grows",
    "common.reference_growth": "how fast the reference grows",
}


def ends(samples: Number) -> Ends:
    """P10, P50 and P90, each of them one of the samples, so that one may be infinite."""
    low, middle, high = np.quantile(np.ravel(samples), [P10, P50, P90], method="nearest")
    return float(low), float(middle), float(high)


def by_year(samples: Number, years: int) -> list[Ends]:
    """The same of each year of (samples, years), or of (samples, 1) for all of them."""
    wide = np.broadcast_to(samples, (samples.shape[0], years))
    found = np.quantile(wide, [P10, P50, P90], axis=0, method="nearest").T
    return [(float(low), float(middle), float(high)) for low, middle, high in found]


def words(key: str) -> str:
    """What a figure is, by the key that it is drawn by."""
    path = key.removeprefix("outlook.")
    if path in _CALLED:
        return _CALLED[path]
    if path != key:
        return spelled(path)
    for said in (fab_tables.words(key), unknowns.words(key)[0]):
        if said != key:
            return said
    return key


def spelled(path: str) -> str:
    """A figure of a scenario in words: `memory.domestic.stacks` as `domestic memory: stacks`."""
    section, _, rest = path.partition(".")
    name, _, figure = rest.partition(".")
    if section not in _SECTIONS:
        return path
    plain = figure.replace("_", " ").replace(".", ", ")
    return _SECTIONS[section].format(name=name, figure=plain)


def fact_of(scenario: Scenario, key: str) -> Fact | None:
    """The figure that is drawn by `key`, or the last of those that are."""
    path = key.removeprefix("outlook.")
    every = scenario.figures()
    last = [name for name in every if re.fullmatch(rf"{re.escape(path)}(\.\d+)?", name)]
    return every[last[-1]] if path != key and last else None


def estimate_of(one: Worked, year: int) -> Ends | None:
    """P10, P50 and P90 of the domestic chips of a year, where the scenario has it."""
    years = one.outlook.years
    if not years[0] <= year <= years[-1]:
        return None
    return by_year(one.outlook.units, years.size)[year - int(years[0])]


def fields(one: Worked, shown_from: int) -> dict[str, Any]:
    """A scenario worked out, year by year."""
    scenario, found = one.scenario, one.outlook
    low, middle, high = ends(found.meets)
    return {
        "scenario": scenario.id,
        "title": scenario.title,
        "policy": scenario.policy,
        "policy_from": scenario.policy_from,
        "rules_known_to": book().known_to.isoformat(),
        "notice": notice(),
        "workload": {
            name: value
            for name, value in structs.asdict(scenario.workload).items()
            if name != "id"
        },
        "meets_demand": {
            "low": _year(low), "p50": _year(middle), "high": _year(high),
            "share": float(np.isfinite(found.meets).mean()), "until": scenario.last,
        },
        "years": _years(one, shown_from),
        "chips": [
            {
                "chip": name,
                "dtype": planned.dtype,
                "tokens_per_s": _triple(ends(one.speeds[name])),
                "flop_per_s": _triple(ends(flop_of(one, name))),
                "units_of_work": _triple(ends(one.speeds[name] / one.unit)),
            }
            for name, planned in one.planned.items()
        ],
        "cover_uncertainty": _shares(one.cover),
        "behind_uncertainty": _shares(one.behind),
    }  # fmt: skip


def _years(one: Worked, shown_from: int) -> list[dict[str, Any]]:
    found, unit = one.outlook, one.unit
    count = found.years.size
    columns = {
        "domestic_chips": found.units,
        "imported_chips": _imported(one),
        "domestic_compute": found.domestic / unit,
        "imported_compute": found.foreign / unit,
        "demand_compute": found.demand / unit,
        "covered": found.coverage,
        "fleet_chips": found.fleet_chips,
        "fleet_compute": found.fleet / unit,
        "fleet_tokens_per_s": found.fleet,
        "fleet_flop_per_s": found.fleet * one.flop_per_token if one.flop_per_token else _NONE,
        "reference_compute": found.reference / unit,
        "years_behind": found.behind,
    }
    spans = {name: by_year(np.atleast_2d(value), count) for name, value in columns.items()}
    out = found.runs_out()
    return [
        {
            "year": int(year),
            **{name: _triple(span[i]) for name, span in spans.items()},
            "runs_out_first": {name: float(value[i]) for name, value in out.items()},
            "products": [
                {
                    "product": key,
                    "chips": _triple(by_year(made.units, count)[i]),
                    "sold_yield": _triple(by_year(made.sold_yield, count)[i]),
                }
                for key, made in found.made.items()
            ],
        }
        for i, year in enumerate(found.years)
        if year >= shown_from
    ]


def flop_of(one: Worked, name: str) -> Number:
    """What one chip does of the model's FLOPs; infinite, which is `null`, where it serves."""
    return one.speeds[name] * one.flop_per_token if one.flop_per_token else _NONE


def _imported(one: Worked) -> Number:
    return sum(one.outlook.imported.values(), start=np.zeros((1, one.outlook.years.size)))


def _year(value: float) -> int | None:
    return int(value) if math.isfinite(value) else None


def _triple(found: Ends) -> dict[str, float | None]:
    low, middle, high = (value if math.isfinite(value) else None for value in found)
    return {"low": low, "p50": middle, "high": high}


def _shares(sources: tuple[Source, ...]) -> list[dict[str, Any]]:
    return [{"source": one.key, "share": one.share, "words": words(one.key)} for one in sources]
