"""Charts as Vega-Lite specifications, for other tools and for interactive pages."""

from __future__ import annotations

from parity.outputs.document import Chart
from parity.outputs.scatter import STYLES

SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"
#: Names of our marks in Vega.
_SHAPES = {"triangle": "triangle-up", "ring": "circle"}


def vega_lite(chart: Chart) -> dict[str, object]:
    """The chart as a Vega-Lite specification with its data inside."""
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
