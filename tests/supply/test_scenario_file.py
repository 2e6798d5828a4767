"""Scenarios from files and from --set: strict, bounded, and said in words."""

from __future__ import annotations

import pytest

from parity.errors import BadFile, UnknownName, UsageError
from parity.supply.scenario_file import names, scenario


def test_what_is_shipped():
    assert names() == ("ban-holds", "ban-lifted", "duv-only", "hbm-limited", "tsmc-scale-ramp")


@pytest.mark.parametrize("name", names())
def test_every_figure_has_a_source_that_is_listed_and_assumptions_say_so(name):
    found = scenario(name)
    for path, fact in found.figures().items():
        assert found.source(fact.source).title, path
        assert fact.note or fact.provenance in ("secondary", "read"), path
        if path[-4:].isdigit() and int(path[-4:]) > 2026:
            assert fact.provenance in ("estimated", "derived", "secondary"), path
            assert fact.low < fact.value < fact.high, path


def test_a_file_starts_from_a_base_and_leaves_parts_out(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('base = "ban-holds"\ntitle = "Mine"\nwithout = ["products.970"]\n')
    found = scenario(str(path))
    assert (found.id, found.title) == ("mine", "Mine")
    assert set(scenario("ban-holds").products) - set(found.products) == {"970"}


def test_figures_are_typed_over_it():
    typed = ("common.demand_growth=1.2..1.4", "policy=open", "last=2030", "logic.smic.share=25%",
             "memory.domestic.stacks.2027=2M..4M")  # fmt: skip
    found = scenario("ban-holds", typed)
    growth = found.common.demand_growth
    assert (growth.low, growth.value, growth.high) == (1.2, pytest.approx(1.3), 1.4)
    assert (growth.provenance, growth.source) == ("user", "command line")
    assert (found.policy, found.last, found.logic["smic"].share.value) == ("open", 2030, 0.25)
    assert found.memory["domestic"].stacks.years[2027].value == 3e6


@pytest.mark.parametrize(
    ("typed", "error", "says"),
    [
        ("nothing", UsageError, "path=value"),
        ("=5", UsageError, "path=value"),
        ("a.b.c.d.e=5", UsageError, "path=value"),
        ("logik.smic.share=0.2", UsageError, "Did you mean `logic`"),
        ("logic.smic.shares=0.2", BadFile, "Did you mean `share`"),
        ("logic.smic.share=-0.2", BadFile, "-0.2"),
        ("logic.smic.share=1.5", BadFile, "above one"),
        ("products.910c.sold=-20%", BadFile, "sold"),
        ("products.910c.sold=120%", BadFile, "above one"),
        ("common.learning=1", BadFile, "below one"),
        ("common.demand_growth=many", BadFile, "many"),
        ("common.demand_growth=nan", BadFile, "nan"),
        ("common.demand_growth=2..1", BadFile, "low ≤ value ≤ high"),
        ("common.demand_growth=a..b", UsageError, "no range"),
        ("products.910c.chip=ascend910z", UnknownName, "ascend910z"),
        ("products.910c.memory=moon", UnknownName, "moon"),
        ("products.950.node=smic-n9", UnknownName, "smic-n9"),
        ("policy=lifted", UnknownName, "ban, licence, open"),
        ("last=1000000000", BadFile, "1000000000"),
        ("last=2021", BadFile, "from 2022 to 2021"),
        ("memory.domestic.stacks.3027=5", BadFile, "no year"),
    ],
)
def test_what_is_typed_wrongly_says_so(typed, error, says):
    with pytest.raises(error, match=says) as raised:
        scenario("ban-holds", (typed,))
    assert raised.value.exit_code == 2


BASED = 'base = "ban-holds"\n'
SERIES = "[memory.domestic.stacks]\n"
MINE = "provenance = 'user', source = 'command line'"


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("not toml", BadFile, "TOML"),
        ("", BadFile, "`title` is missing"),
        ('base = "ban"\n', UnknownName, "ban-holds"),
        ("base = 3\n", UnknownName, "scenario"),
        (BASED + 'without = ["products.999"]\n', BadFile, "products.999"),
        (BASED + 'without = "products"\n', BadFile, "list of paths"),
        (BASED + "colour = 3\n", BadFile, "colour"),
        (BASED + "first = 2040\nlast = 2030\n", BadFile, "from 2040 to 2030"),
        (BASED + "logic = 3\n", BadFile, "table was expected"),
        (BASED + "sources = 3\n", BadFile, "tables were expected"),
        (BASED + 'sources = { x = { colour = "red" } }\n', BadFile, "colour"),
        (BASED + SERIES + "2030 = 5\n", BadFile, "bare number"),
        (
            BASED + SERIES
            + '2030 = { value = 5, provenance = "estimated", source = "parity-reasoning" }\n',
            UsageError, "says nothing of 2029",
        ),
        (BASED + SERIES + "nothing_after = 1\n", BadFile, "true or false"),
        (BASED + '[products.910c]\nfollows = "tsmc-7"\n', BadFile, "`since`, or `follows`"),
        (BASED + 'without = ["logic.smic.wafers_per_month.growth"]\n', UsageError, "2028"),
        (BASED + 'without = ["demand"]\n', BadFile, "`demand` is missing"),
        (BASED + 'without = ["common.life_years"]\n', BadFile, "`life_years` is missing"),
        (BASED + 'without = ["products.950.node"]\n', UsageError, "without `node`"),
        (
            BASED + '[[estimates]]\nwhat = "x"\nof = "domestic_chips"\nyear = 2025\nunits = 0\n'
            'source = "idc-china-2025"\n', BadFile, "above zero",
        ),
    ],
)  # fmt: skip
def test_a_bad_file_says_what_is_wrong(tmp_path, text, error, says):
    from parity.supply.lines import recipes_of

    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(error, match=says) as raised:
        recipes_of(scenario(str(path)))
    assert raised.value.exit_code == 2


def test_names_and_files_that_are_not_there(tmp_path):
    with pytest.raises(UnknownName, match="Did you mean `ban-holds`"):
        scenario("ban-hold")
    with pytest.raises(BadFile, match="no file"):
        scenario(str(tmp_path / "none.toml"))
    (tmp_path / "large.toml").write_bytes(b"#" * 1_000_001)
    with pytest.raises(BadFile, match="larger"):
        scenario(str(tmp_path / "large.toml"))
    with pytest.raises(BadFile, match=r"cannot be read|no file"):
        scenario("a\0b.toml")
    with pytest.raises(UsageError, match="at most 64"):
        scenario("ban-holds", ["last=2030"] * 65)


def test_the_years_end_where_something_is_known(tmp_path):
    found = scenario("ban-holds")
    assert found.until(2040).last == 2040
    for last in (2021, 2061, 10**9):
        with pytest.raises(UsageError, match="from 2025 to 2060"):
            found.until(last)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"{SERIES}growth = {{ value = 11, {MINE} }}\n", "from 0.1 to 10"),
        (f"[common]\ndemand_growth = {{ value = 1e6, {MINE} }}\n", "from 0.1 to 10"),
        (f"[products.950]\ndies = {{ value = 0.5, {MINE} }}\n", "whole number"),
        (f"[products.950]\nstacks = {{ value = 80, {MINE} }}\n", "1 to 64"),
        ("[common]\nlearning_year = 1999\n", "1999"),
        ("first = 99999999999999999999999999\n", "first"),
        ("[memory." + "x" * 65 + "]\n", "64 letters"),
        ("".join(f"[memory.x{i}]\n" for i in range(40)), "at most 32"),
        ("title = '" + "x" * 3000 + "'\n", "2000 letters"),
        ("[[estimates]]\nwhat = '" + "x" * 201 + "'\nof = 'domestic_chips'\nyear = 2025\nsource = "
         "'idc-china-2025'\n", "200 letters"),
        ("last = 2059\nfirst = 1995\n", "years; at most 60"),
    ],
)  # fmt: skip
def test_what_is_too_large_is_refused(tmp_path, text, says):
    path = tmp_path / "mine.toml"
    path.write_text(BASED + text)
    with pytest.raises((BadFile, UsageError), match=says):
        scenario(str(path))
