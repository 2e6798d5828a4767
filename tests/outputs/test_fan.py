"""Bands over years, drawn."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from parity.outputs.document import Band, Document, Fan
from parity.outputs.fan import decades, drawn, layers, plotted
from parity.outputs.html import card
from parity.outputs.text import render

FAN = Fan(
    title="Chips <in> use",
    y="chips",
    bands=(
        Band("one", ((2024.0, 1e3, 2e3, 5e3), (2025.0, 2e3, 4e3, 9e3))),
        Band("other", ((2024.0, 1e5, 2e5, 4e5), (2025.0, 3e5, 5e5, 8e5))),
    ),
)
SVG = "{http://www.w3.org/2000/svg}"


def test_the_axis_spans_whole_powers_of_ten():
    assert decades(FAN) == (3, 6)
    assert decades(Fan(title="", y="", bands=())) == (0, 1)


def test_text_has_a_mark_for_each_year_of_each_band():
    lines = plotted(FAN)
    grid = [line.split("|", 1)[1] for line in lines[2:17]]
    assert sum(row.count("*") for row in grid) == 2
    assert sum(row.count("o") for row in grid) == 2
    assert "2024" in lines[-2]
    assert "2025" in lines[-2]
    assert "* one   o other" in lines[-1]
    higher = next(i for i, row in enumerate(grid) if "o" in row)
    assert higher < next(i for i, row in enumerate(grid) if "*" in row)


def test_many_years_are_thinned_out_to_the_width():
    points = tuple((2000.0 + i, 1e3, 2e3 + i, 5e3) for i in range(60))
    fan = Fan(title="Long", y="chips", bands=(Band("one", points), Band("two", points)))
    lines = plotted(fan, 60)
    assert max(map(len, lines[2:-1])) <= 60
    assert lines[-2].split()[0] == "2000"
    assert drawn(fan).count('text-anchor="middle">2') <= 16


def test_nothing_to_show_is_said():
    assert plotted(Fan(title="None", y="", bands=(Band("x", ()),))) == ["None: nothing to show"]


def test_svg_is_whole_and_escaped_with_an_area_and_a_line_for_each_band():
    root = ET.fromstring(drawn(FAN))
    areas = [p for p in root.iter(f"{SVG}path") if p.get("fill-opacity")]
    assert len(areas) == 2
    assert root.find(f"{SVG}title").text == "Chips <in> use"
    places = [float(x) for x in areas[0].get("d").strip("MZ").replace("L", " ").split()]
    assert all(0 <= place <= 720 for place in places)


def test_vega_carries_the_data_on_a_scale_of_factors():
    spec = layers(FAN)
    assert len(spec["data"]["values"]) == 4
    assert spec["layer"][0]["encoding"]["y"]["scale"] == {"type": "log"}


def test_it_is_part_of_a_document():
    document = Document(sentence="So.", parts=(FAN,))
    assert "Chips <in> use" in render(document)
    assert "<svg" in card(document)
