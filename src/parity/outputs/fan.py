"""Bands over years: in characters, as SVG, and as layers of Vega-Lite."""

from __future__ import annotations

import math
from html import escape

from parity.outputs.document import Band, Fan
from parity.outputs.scatter import STYLES
from parity.units import render

WIDTH, HEIGHT = 720, 420
LEFT, RIGHT, TOP, BOTTOM = 84, 20, 44, 84
ROWS = 15
_MOST_LABELS = 16
#: One mark a band, told apart without colour; its range is drawn with `|`.
MARKS = "*o+x#@"


def plotted(fan: Fan, width: int = 84) -> list[str]:
    """The lines of the chart: for each year a mark at P50 and a bar from P10 to P90."""
    if not _values(fan):
        return [f"{fan.title}: nothing to show"]
    low, high = decades(fan)
    years, least = _years(fan), max(len(fan.bands) + 1, 5)
    labels = {ROWS - 1: render(10.0**low, "1"), 0: render(10.0**high, "1")}
    labels[ROWS // 2] = render(10.0 ** ((low + high) / 2), "1")
    margin = max(4, *map(len, labels.values()))
    room = width - margin - 4
    years = years[:: -(-len(years) * least // room)]  # as many as there is room for
    step = min(room // len(years), 8)
    grid = [[" "] * (step * len(years)) for _ in range(ROWS)]
    for i, band in enumerate(fan.bands):
        for x, *ends in band.points:
            if x not in years:
                continue
            column = years.index(x) * step + i
            rows = [_row(value, low, high) for value in ends if value > 0]
            if rows:
                for row in range(min(rows), max(rows) + 1):
                    grid[row][column] = "|"
                grid[_row(ends[1], low, high) if ends[1] > 0 else max(rows)][column] = _mark(i)
    lines = [fan.title, f"  {fan.y}, a scale of factors"]
    lines += [
        f"  {labels.get(i, ''):>{margin}} |{''.join(cells)}".rstrip()
        for i, cells in enumerate(grid)
    ]
    lines.append(f"  {'':>{margin}} +{'-' * (step * len(years))}")
    lines.append(f"  {'':>{margin}}  {''.join(f'{year:<{step}.0f}' for year in years)}".rstrip())
    named = "   ".join(f"{_mark(i)} {band.name}" for i, band in enumerate(fan.bands))
    return [*lines, f"  {'':>{margin}}  {named}   | P10 to P90"]


def _mark(index: int) -> str:
    return MARKS[index % len(MARKS)]


def _row(value: float, low: int, high: int) -> int:
    share = (math.log10(value) - low) / (high - low)
    return ROWS - 1 - round(min(max(share, 0.0), 1.0) * (ROWS - 1))


def _years(fan: Fan) -> list[float]:
    return sorted({point[0] for band in fan.bands for point in band.points})


def _values(fan: Fan) -> list[float]:
    return [
        value for band in fan.bands for point in band.points for value in point[1:]
        if 0 < value < math.inf
    ]  # fmt: skip


def decades(fan: Fan) -> tuple[int, int]:
    """The powers of ten around all values above zero."""
    values = _values(fan) or [1.0]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return low, max(high, low + 1)


def drawn(fan: Fan) -> str:
    """The chart as SVG text of its own: no script, no font, nothing remote."""
    low, high = decades(fan)
    years = _years(fan) or [0.0, 1.0]
    first, last = years[0], max(years[-1], years[0] + 1)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'font-family="sans-serif" font-size="13" fill="#222">',
        f"<title>{escape(fan.title)}</title>",
        f"<desc>{escape(fan.y)} by year: a line at P50, shaded from P10 to P90.</desc>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<text x="{LEFT}" y="26" font-size="15" font-weight="bold">{escape(fan.title)}</text>',
    ]

    def at(year: float, value: float) -> tuple[float, float]:
        across = (year - first) / (last - first) * (WIDTH - LEFT - RIGHT)
        up = (math.log10(max(value, 10.0**low)) - low) / (high - low) * (HEIGHT - TOP - BOTTOM)
        return LEFT + across, HEIGHT - BOTTOM - up

    for power in range(low, high + 1):
        _, y = at(first, 10.0**power)
        parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#ddd" fill="none"/>')
        parts.append(
            f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">'
            f"{escape(render(10.0**power, '1'))}</text>"
        )
    for year in years[:: -(-len(years) // _MOST_LABELS)]:
        x, _ = at(year, 10.0**low)
        parts.append(
            f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{year:.0f}</text>'
        )
    for i, band in enumerate(fan.bands):
        colour = STYLES[i % len(STYLES)][0]
        below = [at(x, lower) for x, lower, _, _ in band.points]
        above = [at(x, upper) for x, _, _, upper in band.points]
        middle = "L".join(_place(at(x, mid)) for x, _, mid, _ in band.points if mid > 0)
        area = "L".join(_place(place) for place in [*above, *reversed(below)])
        parts.append(f'<path d="M{area}Z" fill="{colour}" fill-opacity="0.18"/>')
        parts.append(f'<path d="M{middle}" stroke="{colour}" stroke-width="2" fill="none"/>')
    middle_y = (TOP + HEIGHT - BOTTOM) / 2
    parts += [*_legend(fan.bands)]
    parts += [
        f'<text x="18" y="{middle_y:.0f}" text-anchor="middle" '
        f'transform="rotate(-90 18 {middle_y:.0f})">{escape(fan.y)}</text>',
        "</svg>\n",
    ]
    return "\n".join(parts)


def _place(place: tuple[float, float]) -> str:
    return f"{place[0]:.1f} {place[1]:.1f}"


def _legend(bands: tuple[Band, ...]) -> list[str]:
    out, x, y = [], float(LEFT), HEIGHT - 40.0
    for i, band in enumerate(bands):
        if x + 30 + 7.4 * len(band.name) > WIDTH - RIGHT and x > LEFT:
            x, y = float(LEFT), y + 20.0
        colour = STYLES[i % len(STYLES)][0]
        out.append(f'<path d="M{x:.0f} {y - 4:.0f}h14" stroke="{colour}" stroke-width="3"/>')
        out.append(f'<text x="{x + 20:.0f}" y="{y:.0f}">{escape(band.name)}</text>')
        x += 44 + 7.4 * len(band.name)
    return out


def layers(fan: Fan) -> dict[str, object]:
    """The chart as a Vega-Lite specification with its data inside: areas, and lines on them."""
    rows = [
        {"band": band.name, "year": x, "low": low, "p50": middle, "high": high}
        for band in fan.bands
        for x, low, middle, high in band.points
        if low > 0
    ]
    names = [band.name for band in fan.bands]
    colour = {"domain": names, "range": [STYLES[i % len(STYLES)][0] for i in range(len(names))]}
    across = {"field": "year", "type": "quantitative", "axis": {"format": "d"}, "title": None,
              "scale": {"zero": False}}  # fmt: skip
    up = {
        "type": "quantitative",
        "scale": {"type": "log"},
        "title": fan.y,
        "axis": {"format": "~s"},
    }
    shared = {
        "x": across,
        "color": {
            "field": "band", "type": "nominal", "scale": colour,
            "legend": {"orient": "bottom", "title": None},
        },
    }  # fmt: skip
    tooltip = [
        {"field": "band", "type": "nominal"}, {"field": "year", "type": "quantitative"},
        *(
            {"field": end, "type": "quantitative", "format": ".3~s"}
            for end in ("low", "p50", "high")
        ),
    ]  # fmt: skip
    return {
        "title": fan.title,
        "width": 620,
        "height": 340,
        "data": {"values": rows},
        "encoding": shared,
        "layer": [
            {
                "mark": {"type": "area", "opacity": 0.2},
                "encoding": {"y": {"field": "low", **up}, "y2": {"field": "high"}},
            },
            {
                "mark": {"type": "line", "point": True},
                "encoding": {"y": {"field": "p50", **up}, "tooltip": tooltip},
            },
        ],
    }
