"""Units a year: what runs out first, and scenarios from outside."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from parity.catalogue import load
from parity.catalogue.machine import central
from parity.errors import BadCatalogue, BadFile, UnknownName, UsageError
from parity.record import Fact
from parity.supply import capacity, recipe
from parity.supply.capacity import Scenario, units_of
from parity.supply.cost import cost_of
from parity.timing.draw import Sampler


def fact(value):
    return Fact(value, value, value, "1", "user", "command line")


def units(draw=central, sold=None, **inputs):
    one = recipe.recipe_of(load.chip("910c"))
    if sold is not None:
        one = recipe.selling(one, sold)
    stated = {name: fact(value) for name, value in inputs.items()}
    return units_of(
        Scenario(id="x", title="x", chip="910c", **stated), one, cost_of(one, draw), draw
    )


def good():
    one = recipe.recipe_of(load.chip("910c"))
    return float(cost_of(one, central).packaging.assembly_yield)


def test_so_many_dies_take_so_many_wafers():
    """1.6 M dies at 40 % of about 82 take some 49,000 wafers a year, 4,100 a month."""
    found = units(sold=0.4, wafers_per_month=4_065.0)
    dies = float(found.units) / good() * 2
    assert dies == pytest.approx(1.6e6, rel=0.001)
    assert float(found.wafers) == pytest.approx(48_780)


def test_stacks_limit_what_dies_would_give():
    found = units(sold=0.4, wafers_per_month=45_000.0, hbm_stacks=13e6)
    assert float(found.units) == pytest.approx(13e6 / 8 * good())
    assert found.binding == {"logic": 0.0, "memory": 1.0}


def test_the_bank_adds_to_what_is_made_and_packages_can_be_the_limit():
    alone, banked = units(wafers_per_month=100.0), units(wafers_per_month=100.0, die_bank=1000.0)
    assert float(banked.units - alone.units) == pytest.approx(500 * good())
    assert float(units(die_bank=1000.0, packages=10.0).units) == pytest.approx(10 * good())


@settings(max_examples=30)
@given(
    st.floats(10, 1e5), st.floats(0.05, 1), st.floats(1e3, 1e8), st.floats(1.1, 5),
    st.sampled_from(["wafers_per_month", "share", "hbm_stacks"]),
)  # fmt: skip
def test_more_of_anything_never_gives_fewer(wafers, share, stacks, factor, what):
    inputs = {"wafers_per_month": wafers, "share": share, "hbm_stacks": stacks}
    more = {**inputs, what: inputs[what] * factor}
    few, many = (units(sold=0.4, **each) for each in (inputs, more))
    assert many.units >= few.units
    known = [value for value in few.alone.values() if value is not None]
    assert few.units == min(known)


@pytest.mark.parametrize("name", capacity.names())
def test_shipped_scenarios_give_units_and_sum_to_one(name):
    scenario, draw = capacity.scenario(name), Sampler()
    one = recipe.recipe_of(load.chip(scenario.chip))
    found = units_of(scenario, one, cost_of(one, draw), draw)
    assert np.all(found.units > 0)
    assert sum(found.binding.values()) == pytest.approx(1.0)


def test_in_2025_memory_runs_out_before_logic():
    scenario, draw = capacity.scenario("smic-7nm-2025"), Sampler()
    one = recipe.recipe_of(load.chip(scenario.chip))
    assert units_of(scenario, one, cost_of(one, draw), draw).binding["memory"] > 0.9


FILE = """title = "Mine"
chip = "910c"
[wafers_per_month]
value = 1000
provenance = "user"
source = "command line"
"""


def test_a_scenario_of_ones_own_is_read(tmp_path):
    (tmp_path / "mine.toml").write_text(FILE)
    found = capacity.scenario(str(tmp_path / "mine.toml"))
    assert (found.id, found.wafers_per_month.value) == ("mine", 1000)


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        (FILE.replace("wafers_per_month", "wafers_a_month"), BadCatalogue, "wafers_per_month"),
        (FILE.replace("1000", '"many"'), BadCatalogue, "many"),
        (FILE.replace("1000", "-5"), BadCatalogue, "-5"),
        (FILE.replace("1000", "nan"), BadCatalogue, "nan"),
        (FILE.replace('"command line"', '"nobody"'), BadCatalogue, "nobody"),
        (FILE.replace("title", "titel"), BadCatalogue, "titel"),
        ("not toml", BadCatalogue, "TOML"),
        (FILE + '[share]\nvalue = 3\nprovenance = "user"\nsource = "command line"\n', BadFile,
         "above one"),
        ("sources = 3\n" + FILE, BadFile, "sources"),
        ("sources = { mine = 3 }\n" + FILE, BadCatalogue, "sources"),
        (FILE + '[[estimates]]\nwhat = "none"\nunits = 0\nsource = "act"\n', BadFile, "above zero"),
        (FILE + '[[estimates]]\nwhat = "x"\nunits = 5\nsource = "nobody"\n', BadFile, "source"),
        (FILE + '[[estimates]]\nwhat = "x"\nunits = "5"\nsource = "act"\n', BadCatalogue, "float"),
    ],
)  # fmt: skip
def test_a_bad_scenario_says_what_is_wrong(tmp_path, text, error, says):
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(error, match=says):
        capacity.scenario(str(tmp_path / "mine.toml"))


def test_a_source_of_ones_own_is_cited(tmp_path, run):
    own = '[sources.me]\ntitle = "A talk"\n[[estimates]]\nwhat = "x"\nunits = 5\nsource = "me"\n'
    (tmp_path / "mine.toml").write_text(FILE + own)
    done = run("fab", "--supply", str(tmp_path / "mine.toml"))
    assert done.code == 0
    assert "[2]  A talk" in done.out


def test_names_and_files_that_are_not_there(tmp_path):
    with pytest.raises(UnknownName, match="smic-7nm-2025"):
        capacity.scenario("smic-7nm-2052")
    with pytest.raises(BadFile, match="no file"):
        capacity.scenario(str(tmp_path / "none.toml"))
    (tmp_path / "large.toml").write_bytes(b"#" * 1_000_001)
    with pytest.raises(BadFile, match="larger"):
        capacity.scenario(str(tmp_path / "large.toml"))


def test_a_scenario_that_states_nothing_and_a_chip_of_many_dies_are_refused():
    with pytest.raises(UsageError, match="states nothing"):
        units()
    one = recipe.recipe_of(load.chip("mi300x"))
    scenario = structs.replace(capacity.scenario("smic-7nm-2025"), chip="mi300x")
    with pytest.raises(UsageError, match="several kinds"):
        units_of(scenario, one, cost_of(one, central), central)
