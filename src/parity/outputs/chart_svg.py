"""A chart as an SVG of its own: no script, no font, nothing remote."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from parity.outputs import bars_svg, fan
from parity.outputs.chart_text import nice_end
from parity.outputs.document import Bars, Chart, Fan, Series
from parity.outputs.scatter import STYLES, mark_path, paint
from parity.units import significant

WIDTH, HEIGHT = bars_svg.WIDTH, 420
LEFT, RIGHT, TOP, BOTTOM = 76, 20, 44, 92
TICKS = 4


def drawn(chart: Chart | Bars | Fan) -> str:
    """The chart as SVG text."""
    if isinstance(chart, Bars):
        return bars_svg.drawn(chart)
    if isinstance(chart, Fan):
        return fan.drawn(chart)
    points = [point for series in chart.series for point in series.points] or [(1.0, 1.0)]
    right, top = nice_end(max(x for x, _ in points)), nice_end(max(y for _, y in points))
    count = sum(len(series.points) for series in chart.series)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'font-family="sans-serif" font-size="13" fill="#222">',
        f"<title>{escape(chart.title)}</title>",
        f"<desc>{count:,} points. Across: {escape(chart.x)}. Up: {escape(chart.y)}.</desc>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<text x="{LEFT}" y="26" font-size="15" font-weight="bold">{escape(chart.title)}</text>',
        *_grid(right, top),
    ]
    for i, series in enumerate(chart.series):
        parts += _series(series, STYLES[i % len(STYLES)], right, top)
    parts += _legend(chart)
    across, middle = (LEFT + WIDTH - RIGHT) / 2, (TOP + HEIGHT - BOTTOM) / 2
    parts += [
        f'<text x="{across:.0f}" y="{HEIGHT - BOTTOM + 40}" text-anchor="middle">'
        f"{escape(chart.x)}</text>",
        f'<text x="20" y="{middle:.0f}" text-anchor="middle" '
        f'transform="rotate(-90 20 {middle:.0f})">{escape(chart.y)}</text>',
        "</svg>\n",
    ]
    return "\n".join(parts)


def stacked(charts: Sequence[Chart | Bars | Fan]) -> str:
    """Charts one under the other as SVG text."""
    if len(charts) == 1:
        return drawn(charts[0])
    inside, y = [], 0
    for chart in charts:
        tall = bars_svg.height(chart) if isinstance(chart, Bars) else HEIGHT
        place = f'<svg y="{y}" width="{WIDTH}" height="{tall}" '
        inside.append(drawn(chart).replace("<svg ", place, 1))
        y += tall
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}">'
    return "\n".join([head, *inside, "</svg>\n"])


def _at(x: float, y: float, right: float, top: float) -> tuple[float, float]:
    across, up = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    return LEFT + x / right * across, HEIGHT - BOTTOM - y / top * up


def _grid(right: float, top: float) -> list[str]:
    out = []
    for i in range(TICKS + 1):
        x, y = _at(right * i / TICKS, top * i / TICKS, right, top)
        out += [
            f'<path d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}M{LEFT} {y:.1f}H{WIDTH - RIGHT}" '
            'stroke="#ddd" fill="none"/>',
            f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">'
            f"{significant(right * i / TICKS)}</text>",
            f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">'
            f"{significant(top * i / TICKS)}</text>",
        ]
    return out


def _series(series: Series, style: tuple[str, str], right: float, top: float) -> list[str]:
    colour, shape = style
    places = [_at(x, y, right, top) for x, y in series.points]
    if series.joined:
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
        return [f'<path d="M{path}" stroke="{colour}" stroke-width="1.6" fill="none"/>']
    marks = "".join(mark_path(x, y, shape) for x, y in places)
    return [f'<path d="{marks}" {paint(colour, shape)}><title>{escape(series.name)}</title></path>']


def _legend(chart: Chart) -> list[str]:
    out, x, y = [], float(LEFT), HEIGHT - 18.0
    for i, series in enumerate(chart.series):
        colour, shape = STYLES[i % len(STYLES)]
        if series.joined:
            out.append(f'<path d="M{x:.0f} {y - 4:.0f}h14" stroke="{colour}" stroke-width="2"/>')
        else:
            out.append(f'<path d="{mark_path(x + 6, y - 4, shape)}" {paint(colour, shape)}/>')
        out.append(f'<text x="{x + 20:.0f}" y="{y:.0f}">{escape(series.name)}</text>')
        x += 44 + 7.4 * len(series.name)
    return out
