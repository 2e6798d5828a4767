"""`parity fab`."""

from __future__ import annotations

import inspect
import re

import pytest

import parity
from parity.apps.commands import fab


def total(run, *words):
    return run("fab", *words, "--json").json["answer"]["total_usd"]


def test_the_first_line_says_what_it_costs_and_why(run):
    first = " ".join(run("fab", "h100").out.split("\n\n")[0].split())
    assert re.fullmatch(
        r"h100-sxm on tsmc-4n costs about [\d,]+ USD to make \([\d,]+–[\d,]+\); memory is \d+ % of "
        r"it; .+ of the range is the yield of each bond in cowos-s\.",
        first,
    )


def test_the_waterfall_sums_to_about_the_total_and_its_ends_are_in_order(run):
    answer = run("fab", "b200", "--volume", "1M", "--json").json["answer"]
    assert [part["part"] for part in answer["parts"]] == [
        "silicon", "die yield loss", "memory", "packaging", "test", "assembly loss", "design",
        "masks",
    ]  # fmt: skip
    assert sum(part["share"] for part in answer["parts"]) == pytest.approx(1)
    for part in (*answer["parts"], answer["total_usd"]):
        assert part["low"] <= part["p50"] <= part["high"]


def test_a_die_by_hand(run):
    answer = run(
        "fab", "--die", "800mm2", "--node", "smic-n2", "--hbm", "5xhbm2e", "--yield", "30%",
        "--json",
    ).json["answer"]  # fmt: skip
    (die,) = answer["dies"]
    assert (die["area_mm2"], die["node"], die["euv"]) == (800, "smic-n2", False)
    assert die["sold_yield"]["p50"] == pytest.approx(0.3)
    assert answer["memory"] == {"kind": "hbm2e", "stacks": 5, "bytes_per_stack": 16e9}
    assert answer["yield_model"] is None


def test_overrides_reach_the_cost(run):
    plain = total(run, "h100")["p50"]
    assert total(run, "h100@die.area=600mm2")["p50"] < plain
    assert total(run, "h100", "--wafer-price", "30000")["p50"] > plain
    assert total(run, "h100", "--hbm-price", "30")["p50"] > plain + 1000
    assert total(run, "h100", "--d0", "0.5")["p50"] > plain
    assert total(run, "h100", "--harvest", "none")["p50"] > plain
    assert (
        total(run, "h100", "--volume", "10k")["p50"] > total(run, "h100", "--volume", "1M")["p50"]
    )
    wide = total(run, "h100", "--yield", "20%..80%")
    narrow = total(run, "h100", "--yield", "50%")
    assert wide["high"] - wide["low"] > narrow["high"] - narrow["low"]


def test_several_nodes_and_yields_stand_side_by_side(run):
    said = run("fab", "h20", "--node", "tsmc-4n,smic-n2", "--yield", "30%,60%", "--json").json
    assert len(said["cases"]) == 3
    assert [found["code"] for found in said["findings"]] == ["P331"]
    text = run("fab", "h20", "--node", "tsmc-4n,smic-n2").out
    assert "side by side" in text
    assert "DUV" in text


def test_the_same_transistors_outgrow_the_reticle(run):
    said = run("fab", "h20", "--node", "smic-n2", "--keep", "transistors", "--json").json
    (die,) = said["answer"]["dies"]
    assert (die["count"], round(die["area_mm2"])) == (2, 629)
    assert "P222" in [found["code"] for found in said["findings"]]


def test_supply_says_what_runs_out_first(run):
    done = run("fab", "--supply", "smic-7nm-2025")
    assert re.match(r"About 1\.\d+ M ascend910c a year .*stacks of memory run out first", done.out)
    said = run("fab", "--supply", "smic-7nm-2025", "--json").json
    assert {one["source"] for one in said["estimates"]} >= {"bis-ascend", "idc-china-2025"}
    assert [found["code"] for found in said["findings"]] == ["P332"]


def test_a_chip_without_a_price_for_its_memory_says_so(run):
    done = run("fab", "l40s", "--json").json
    assert [found["code"] for found in done["findings"]] == ["P221"]
    assert "memory" not in [part["part"] for part in done["answer"]["parts"]]
    priced = run("fab", "l40s", "--hbm", "2xhbm3", "--json").json
    assert priced["findings"] == []


def test_a_chip_without_its_memory_is_compared_in_what_is_left(run):
    text = run("fab", "h100", "--hbm", "none").out
    published = text[text.index("published estimates") :]
    assert re.search(r"^  logic ", published, re.M)
    assert not re.search(r"^  memory ", published, re.M)


def test_pages_and_charts_are_written(run, tmp_path):
    page, chart = tmp_path / "a.html", tmp_path / "a.svg"
    assert run("fab", "h20", "--html", str(page), "--svg", str(chart)).code == 0
    assert "<svg" in page.read_text()
    assert "dies that can be sold" in chart.read_text()


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ((), 2, "Name a chip"),
        (("--die", "800mm2"), 2, "--die needs --node"),
        (("--die=-3mm2", "--node", "tsmc-5"), 2, "--die is '-3mm2'"),
        (("--die", "0.5mm2", "--node", "tsmc-5"), 2, "from 1 on was expected"),
        (("--die", "900mm2", "--node", "tsmc-5"), 3, "858 mm²"),
        (("--die", "800mm2", "--node", "tmsc-5"), 2, "`tsmc-5`"),
        (("--die", "800mm2", "--node", "tsmc-5", "--dies", "0"), 2, "--dies"),
        (("--die", "850mm2", "--node", "tsmc-5", "--dies", "9"), 3, "reticles"),
        (("h20", "--die", "800mm2"), 2, "exclude"),
        (("h20,h100",), 2, "one chip"),
        (("8xh20",), 2, "one chip"),
        (("h20", "--yield", "120%"), 2, "up to 1"),
        (("h20", "--yield", "0"), 2, "above 0 and up to 1"),
        (("h20", "--yield", "-5%"), 2, "--yield=-5%"),
        (("--die", "-3mm2", "--node", "tsmc-5"), 2, "--die=-3mm2"),
        (("h20", "--wafer-price", "0"), 2, "--wafer-price is '0'"),
        (("h20", "--hbm-price", "0"), 2, "--hbm-price is '0'"),
        (("h20", "--yield", "60%..20%"), 2, "low to high"),
        (("h20", "--volume", "0"), 2, "--volume is '0'"),
        (("h20", "--d0", "nan"), 2, "--d0"),
        (("h20", "--d0", "50"), 2, "to 20"),
        (("h20", "--harvest", "150/144"), 2, "--harvest"),
        (("h20", "--hbm", "5xhbm9"), 2, "hbm3"),
        (("h20", "--package", "cowos"), 2, "cowos-s"),
        (("h20", "--yield-model", "poison"), 2, "`poisson`"),
        (("h20", "--keep", "all"), 2, "transistors"),
        (("l40s", "--hbm-price", "10"), 2, "--hbm 5xhbm3"),
        (("ppu",), 2, "--node"),
        (("ppu", "--node", "smic-n2"), 3, "ppu-96@die.area=600mm2"),
        (("wse3",), 3, "wafer-scale"),
        (("h20", "--hbm", "6xcxmt-hbm3"), 3, "Nobody published a price of CXMT HBM3"),
        (("h20", "--node", "tsmc-2", "--volume", "1M"), 3, "No design cost"),
        (("--supply", "smic"), 2, "smic-7nm-2025"),
        (("--supply", "none.toml"), 2, "no file"),
        (("--supply", "smic-7nm-2025", "--yield", "20%,30%"), 2, "one yield"),
        (("mi300x", "--supply", "smic-7nm-2025"), 2, "several kinds"),
        (("h20", "--node", ",".join(["tsmc-5"] * 25)), 2, "cases"),
    ],
)
def test_what_cannot_be_is_one_clear_sentence(run, words, code, says):
    done = run("fab", *words)
    assert (done.code, done.out) == (code, "")
    assert says in " ".join(done.err.split())
    assert "Traceback" not in done.err


def test_the_chip_that_the_missing_area_is_supplied_for(run):
    assert run("fab", "ppu@die.area=600mm2", "--node", "smic-n2").code == 0


def test_the_command_and_the_function_take_the_same():
    ours = set(inspect.signature(fab.fab).parameters) - {"html", "svg"}
    theirs = inspect.signature(parity.fab).parameters
    assert ours == set(theirs)
    for name in ours - {"dies"}:
        assert inspect.signature(fab.fab).parameters[name].default == theirs[name].default
    assert parity.fab("h20").to_dict()["command"] == "fab"
