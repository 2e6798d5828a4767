"""The answer of a match: table, chart with ranges, costs, what has no count."""

from __future__ import annotations

import parity

ASKED = ("llama-3.2-1b", "--have", "8xh100")


def parts(run, *words):
    return run("match", *ASKED, *words, "-q").out


def test_the_chart_has_the_fewest_chips_first_and_their_ranges(run):
    shown = parts(run, "--want", "v100,h200,l4")
    chart = shown.split("chips needed, P10 to P90\n")[1].split("\n\n")[0].splitlines()
    rows = parity.match("llama-3.2-1b", have="8xh100", want="v100,h200,l4").to_dict()["answer"]
    counts = {row["chip"]: row for row in rows["rows"]}
    order = [line.split()[0] for line in chart[:-1]]
    assert order == sorted(order, key=lambda name: counts[name]["count"])
    for line in chart[:-1]:
        row = counts[line.split()[0]]
        assert f"{row['count']:,} ({row['low']:,}–{row['high']:,})" in line
        assert "each" in line
        assert row["per_chip"] == row["count"] / 8


def test_one_chip_has_no_chart_in_text_and_one_in_svg(run, tmp_path):
    image, page = tmp_path / "a.svg", tmp_path / "a.html"
    shown = parts(run, "--want", "a100", "--svg", str(image), "--html", str(page))
    assert "chips needed" not in shown
    assert image.read_text().count("<rect") == 2
    assert "<figure><svg" in page.read_text()
    assert '"errorbar"' in page.read_text()


def test_without_a_count_there_is_no_chart_to_write(run, tmp_path):
    image = tmp_path / "a.svg"
    done = run("match", *ASKED, "--want", "ppu", "--dtype", "fp8", "--svg", str(image))
    assert done.code == 2
    assert "no chart" in done.err
    assert not image.exists()


def test_columns_of_cost_are_there_where_prices_are(run):
    both, one = parts(run, "--want", "a100,h20"), parts(run, "--want", "ppu")
    assert "own USD/M  rent USD/M" in both
    assert "USD/M" not in one
