"""Text: columns line up, nothing escapes to the terminal, colour is asked for."""

from __future__ import annotations

import io
import re

import pytest

from parity.outputs import figures, text
from parity.outputs.chart_svg import drawn, stacked
from parity.outputs.chart_text import plotted
from parity.outputs.document import Bars, Chart, Document, Fields, Series, Table, Words
from parity.outputs.vega import vega_lite
from parity.record import Fact, Finding
from parity.units import SPELLINGS, prefix, render

PLAIN = text.Page(width=60)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_columns_line_up_whatever_the_alphabet():
    table = Table(columns=("chip", "need"), rows=(("昇腾", "12"), ("h20", "7")), align="lr")
    assert text.table(table, PLAIN).splitlines() == [
        "  chip  need",
        "  昇腾    12",
        "  h20      7",
    ]


def test_a_last_column_of_words_wraps_in_its_column():
    table = Table(columns=("a", "why"), rows=(("x", "word " * 20),))
    lines = text.table(table, PLAIN).splitlines()
    assert len(lines) > 2
    assert all(len(line) <= PLAIN.width for line in lines)
    assert all(line.startswith("     word") for line in lines[2:])


def test_a_document_is_sentence_parts_findings_sources_next():
    document = Document(
        sentence="Yes.",
        parts=(
            Fields(rows=(("step", "19 s"), ("memory", "74 GB")), title="Plan"),
            Bars(rows=(("compute", 3.0, "75 %"), ("bubble", 1.0, "25 %")), title="Time"),
            Words(text="Because."),
            Table(columns=("a",), rows=()),
        ),
        findings=(Finding(code="P204", severity="warning", message="Old price.", fix="New one."),),
        sources=("A page, 2025",),
        next=("parity why", "parity cost"),
    )
    assert text.render(document, PLAIN) == (
        "Yes.\n"
        "\n"
        "Plan\n"
        "  step    19 s\n"
        "  memory  74 GB\n"
        "\n"
        "Time\n"
        "  compute  75 %  ##############################\n"
        "  bubble   25 %  ##########\n"
        "\n"
        "Because.\n"
        "\n"
        "P204 Old price. Fix: New one.\n"
        "\n"
        "sources\n"
        "  [1]  A page, 2025\n"
        "\n"
        "next: parity why | parity cost\n"
    )


def test_control_characters_of_files_do_not_reach_the_terminal():
    hostile = "a\x1b[31mb\u202ec\r\nd\x07"
    document = Document(
        sentence=hostile,
        parts=(
            Table(columns=("x",), rows=((hostile,),), title=hostile),
            Fields(rows=((hostile, hostile),)),
            Bars(rows=((hostile, 1.0, hostile),)),
        ),
        findings=(Finding(code="P1", severity="note", message=hostile),),
        sources=(hostile,),
    )
    printed = text.render(document, PLAIN)
    assert not set("\x1b\u202e\r\x07") & set(printed)


def test_colour_only_on_a_terminal_that_wants_it(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    assert text.page_of(Terminal()).colour
    assert not text.page_of(io.StringIO()).colour
    assert not text.page_of(Terminal(), no_color=True).colour
    monkeypatch.setenv("NO_COLOR", "1")
    assert not text.page_of(Terminal()).colour
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert not text.page_of(Terminal()).colour


def test_colour_changes_nothing_else():
    document = Document(
        sentence="Yes.",
        parts=(Table(columns=("a", "b"), rows=(("x", "1"),), align="lr", title="T"),),
        findings=(Finding(code="P204", severity="warning", message="Old."),),
    )
    coloured = text.render(document, text.Page(width=60, colour=True))
    for code in (0, 1, 2, 31, 32, 33, 36):
        coloured = coloured.replace(f"\x1b[{code}m", "")
    assert coloured == text.render(document, PLAIN)


@pytest.mark.parametrize(
    ("figure", "said"),
    [
        ((118.7e12, 100e12, 200e12, "FLOP/s"), "119 TFLOP/s (100–200)"),
        ((4e12, 4e12, 4e12, "byte/s"), "4 TB/s"),
        ((900e9, 800e9, 1.2e12, "byte/s"), "900 GB/s (800–1,200)"),
        ((0.4, 0.3, 0.5, "fraction"), "40 % (30–50)"),
        ((2024, 2023, 2025, "year"), "2024 (2023–2025)"),
        ((12, 10, 14, "1"), "12 (10–14)"),
    ],
)
def test_a_range_is_in_the_prefix_of_its_value(figure, said):
    assert figures.ranged(*figure) == said


def test_a_fact_shows_its_range():
    fact = Fact(value=96e9, low=91.2e9, high=100.8e9, unit="byte", provenance="read", source="x")
    assert figures.fact_text(fact) == "96 GB (91.2–100.8)"


def test_marks_number_sources_in_order():
    assert figures.marks(["b", "a", "b"]) == {"b": "[1]", "a": "[2]"}


@pytest.mark.parametrize("unit", SPELLINGS)
def test_prefix_is_what_render_prints(unit):
    for value in (0.0, 0.02, 3.0, 4.2e5, 7e13):
        size, name = prefix(value, unit)
        assert size > 0
        if unit != "year":
            assert render(value, unit).endswith(name)


def test_columns_of_a_note_stay_apart_whatever_its_letters():
    bars = Bars(rows=(("kernels", 2.0, "828 µs   1.7 %"), ("a", 1.0, "1.2 ms  12.0 %")))
    first, second = text.render(Document(sentence="x", parts=(bars,)), PLAIN).splitlines()[2:]
    assert "828 µs   1.7 %  #" in first
    assert first.index("%") == second.index("%")
    assert text.clean("a\t\n b µ") == "a b µ"


class TestBarsWithRanges:
    BARS = Bars(
        rows=(("one", 10.0, "10"), ("two", 20.0, "20")), title="t", ends=((5.0, 12.0), (20.0, 99.0))
    )

    def drawn(self, bars):
        return text.render(Document(sentence="x", parts=(bars,)), PLAIN).splitlines()[3:-1]

    def test_the_ends_are_drawn_to_scale(self):
        one, two = (line.split()[-1] for line in self.drawn(self.BARS))
        assert one == "####====-"  # 30 cells are twice the largest value
        assert two == "#" * 15 + "-" * 15 + ">"

    def test_one_bar_and_very_many_are_left_to_the_table(self):
        for count in (1, 40):
            rows = self.BARS.rows[:1] * count
            bars = Bars(rows=rows, ends=self.BARS.ends[:1] * count)
            assert text.render(Document(sentence="x", parts=(bars,)), PLAIN) == "x\n"

    def test_svg_and_vega_hold_them(self):
        image = drawn(self.BARS)
        assert image.count("<rect") == 3  # the ground and two bars
        assert image.count("l-5 5") == 1  # the arrow of the one that runs off
        values = vega_lite(self.BARS)["data"]["values"]
        assert [(row["low"], row["size"], row["high"]) for row in values] == [
            (5, 10, 12),
            (20, 20, 99),
        ]
        tall = re.search(r'viewBox="0 0 \d+ (\d+)"', stacked([self.BARS, self.BARS]))
        assert int(tall[1]) == 2 * int(re.search(r'viewBox="0 0 \d+ (\d+)"', image)[1])

    def test_names_are_escaped(self):
        assert "<b>" not in drawn(Bars(rows=(("<b>", 1.0, "<b>"),), ends=((1.0, 1.0),)))


def test_labels_of_an_axis_line_up_however_small():
    chart = Chart("t", "x", "y", (Series("", ((0.001, 0.00012), (0.002, 0.0002))),))
    lines = plotted(chart, 60)
    bars = {line.index("|") for line in lines if "|" in line}
    assert len(bars) == 1
    (labels,) = [line for line in lines if line.strip().endswith("x")]
    axis = next(line for line in lines if "+--" in line)
    assert labels.index("0.002") + len("0.002") == len(axis)
    assert sum(line.lstrip().startswith("0.0001 ") for line in lines) == 1
