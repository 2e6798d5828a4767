"""Charts as Vega-Lite specifications, for other tools and for interactive pages."""

from __future__ import annotations

from parity.outputs import fan
from parity.outputs.chart_text import nice_end
from parity.outputs.document import Bars, Chart, Fan, scale_end
from parity.outputs.scatter import STYLES

SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"
#: Names of our marks in Vega.
_SHAPES = {"triangle": "triangle-up", "ring": "circle"}


def vega_lite(chart: Chart | Bars | Fan) -> dict[str, object]:
    """The chart as a Vega-Lite specification with its data inside."""
    if isinstance(chart, Fan):
        return {"$schema": SCHEMA, **fan.layers(chart)}
    return _bars(chart) if isinstance(chart, Bars) else _points(chart)


def _bars(chart: Bars) -> dict[str, object]:
    """A bar for each row, and a rule from its low to its high end."""
    ends = chart.ends or tuple((size, size) for _, size, _ in chart.rows)
    rows = [
        {"name": name, "size": size, "low": low, "high": high, "note": note}
        for (name, size, note), (low, high) in zip(chart.rows, ends, strict=True)
    ]
    scale = {"domain": [0.0, nice_end(scale_end(chart))], "clamp": True}
    across = {"type": "quantitative", "title": None, "scale": scale}
    named = {"field": "name", "type": "nominal", "sort": None, "title": None}
    tooltip = [{"field": field, "type": "nominal"} for field in ("name", "note")]
    return {
        "$schema": SCHEMA,
        "title": chart.title,
        "width": 620,
        "height": {"step": 26},
        "data": {"values": rows},
        "encoding": {"y": named, "tooltip": tooltip},
        "layer": [
            {
                "mark": {"type": "bar", "color": STYLES[0][0], "opacity": 0.6},
                "encoding": {"x": {"field": "size", **across}},
            },
            {
                "mark": {"type": "errorbar", "ticks": True},
                "encoding": {"x": {"field": "low", **across}, "x2": {"field": "high"}},
            },
        ],
    }


def _points(chart: Chart) -> dict[str, object]:
    rows = [
        {"series": series.name, "x": x, "y": y, "order": i}
        for series in chart.series
        for i, (x, y) in enumerate(series.points)
    ]
    names = [series.name for series in chart.series]
    styles = [STYLES[i % len(STYLES)] for i in range(len(names))]
    colour = {"domain": names, "range": [style[0] for style in styles]}
    shapes = {"domain": names, "range": [_SHAPES.get(s, s) for _, s in styles]}
    legend = {"orient": "bottom", "title": None}
    joined = any(series.joined for series in chart.series)
    encoding: dict[str, object] = {
        "x": {"field": "x", "type": "quantitative", "title": chart.x},
        "y": {"field": "y", "type": "quantitative", "title": chart.y},
        "color": {"field": "series", "type": "nominal", "scale": colour, "legend": legend},
        "tooltip": [
            {"field": "series", "type": "nominal"},
            {"field": "x", "type": "quantitative", "title": chart.x, "format": ".4~r"},
            {"field": "y", "type": "quantitative", "title": chart.y, "format": ".4~r"},
        ],
    }
    if joined:
        encoding["order"] = {"field": "order", "type": "quantitative"}
    else:
        encoding["shape"] = {"field": "series", "type": "nominal", "scale": shapes}
    return {
        "$schema": SCHEMA,
        "title": chart.title,
        "width": 620,
        "height": 340,
        "data": {"values": rows},
        "mark": {"type": "line"} if joined else {"type": "point", "size": 60},
        "encoding": encoding,
    }
