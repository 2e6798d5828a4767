"""Predicted against measured, as an SVG of its own: no script, no font, nothing remote."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from parity.record import Record

WIDTH, HEIGHT = 760, 620
LEFT, RIGHT, TOP, BOTTOM = 84, 24, 48, 120
RADIUS = 3.2

#: Colours that stay apart for every kind of colour vision [Okabe & Ito 2008], with a shape each.
STYLES = (
    ("#0072B2", "circle"), ("#D55E00", "square"), ("#009E73", "triangle"),
    ("#CC79A7", "diamond"), ("#E69F00", "cross"), ("#000000", "ring"),
)  # fmt: skip


class Dot(Record, frozen=True):
    """One measurement: where it stands and what it is called."""

    measured: float
    predicted: float
    group: str
    name: str


class Scatter(Record, frozen=True):
    """A log-log plot; dots on the diagonal are predicted exactly."""

    title: str
    x: str
    y: str
    dots: tuple[Dot, ...]
    band: float  # half-width shaded around the diagonal, as a share


def svg(plot: Scatter) -> str:
    """The plot as SVG text."""
    low, high = _decades(plot.dots)
    groups = sorted({dot.group for dot in plot.dots})
    style = {name: STYLES[i % len(STYLES)] for i, name in enumerate(groups)}
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-labelledby="title desc" font-family="sans-serif" font-size="13" fill="#222">',
        f'<title id="title">{escape(plot.title)}</title>',
        f'<desc id="desc">{len(plot.dots):,} points, one a measurement. Across: {escape(plot.x)}. '
        f"Up: {escape(plot.y)}. Points below the line are predicted too fast.</desc>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<text x="{LEFT}" y="26" font-size="16" font-weight="bold">{escape(plot.title)}</text>',
        *_grid(low, high),
        *_diagonal(low, high, plot.band),
        *(_marks(plot.dots, name, style[name], low, high) for name in groups),
        *_legend(plot.dots, style),
        _label(plot.x, WIDTH / 2, HEIGHT - 72),
        _label(plot.y, 22, (TOP + HEIGHT - BOTTOM) / 2, turned=True),
        "</svg>\n",
    ]
    return "\n".join(parts)


def _decades(dots: Sequence[Dot]) -> tuple[int, int]:
    values = [v for dot in dots for v in (dot.measured, dot.predicted)] or [1.0]
    return math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))


def _x(value: float, low: int, high: int) -> float:
    share = (math.log10(value) - low) / max(high - low, 1)
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def _y(value: float, low: int, high: int) -> float:
    share = (math.log10(value) - low) / max(high - low, 1)
    return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)


def _grid(low: int, high: int) -> list[str]:
    out = []
    for power in range(low, high + 1):
        x, y = _x(10.0**power, low, high), _y(10.0**power, low, high)
        name = f"{10.0**power:g}"
        out += [
            f'<path d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}M{LEFT} {y:.1f}H{WIDTH - RIGHT}" '
            'stroke="#ddd" fill="none"/>',
            f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{name}</text>',
            f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{name}</text>',
        ]
    return out


def _diagonal(low: int, high: int, band: float) -> list[str]:
    ends = (10.0**low, 10.0**high)

    def line(factor: float) -> list[tuple[float, float]]:
        return [(_x(v, low, high), _y(v * factor, low, high)) for v in ends]

    shade = [*line(1 + band), *reversed(line(1 - band))]
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in shade)
    (x0, y0), (x1, y1) = line(1.0)
    return [
        f'<clipPath id="inside"><rect x="{LEFT}" y="{TOP}" width="{WIDTH - LEFT - RIGHT}" '
        f'height="{HEIGHT - TOP - BOTTOM}"/></clipPath>',
        f'<polygon points="{points}" fill="#999" fill-opacity="0.3" clip-path="url(#inside)"/>',
        f'<path d="M{x0:.1f} {y0:.1f}L{x1:.1f} {y1:.1f}" stroke="#555" fill="none"/>',
    ]


def _marks(dots: Sequence[Dot], group: str, style: tuple[str, str], low: int, high: int) -> str:
    colour, shape = style
    drawn = [
        mark_path(_x(dot.measured, low, high), _y(dot.predicted, low, high), shape)
        for dot in dots
        if dot.group == group
    ]
    return (
        f'<path d="{"".join(drawn)}" {paint(colour, shape)}><title>{escape(group)}</title></path>'
    )


def paint(colour: str, shape: str) -> str:
    """The attributes of marks of one colour and shape."""
    if shape in ("cross", "ring"):
        return f'fill="none" stroke="{colour}" stroke-width="1.4" stroke-opacity="0.75"'
    return f'fill="{colour}" fill-opacity="0.6"'


def mark_path(x: float, y: float, shape: str) -> str:
    """The path of one mark."""
    r = RADIUS
    match shape:
        case "square":
            return f"M{x - r:.1f} {y - r:.1f}h{2 * r}v{2 * r}h-{2 * r}z"
        case "triangle":
            return f"M{x:.1f} {y - r - 1:.1f}l{r + 1} {2 * r}h-{2 * r + 2}z"
        case "diamond":
            return f"M{x:.1f} {y - r - 1:.1f}l{r + 1} {r + 1}l-{r + 1} {r + 1}l-{r + 1} -{r + 1}z"
        case "cross":
            return f"M{x - r:.1f} {y - r:.1f}l{2 * r} {2 * r}m0 -{2 * r}l-{2 * r} {2 * r}"
        case _:
            return f"M{x - r:.1f} {y:.1f}a{r} {r} 0 1 0 {2 * r} 0a{r} {r} 0 1 0 -{2 * r} 0"


def _legend(dots: Sequence[Dot], style: dict[str, tuple[str, str]]) -> list[str]:
    out, x, y = [], float(LEFT), HEIGHT - 40.0
    for group, (colour, shape) in style.items():
        count = sum(dot.group == group for dot in dots)
        words = f"{group} ({count})"
        if x + 24 + 7.4 * len(words) > WIDTH - RIGHT:
            x, y = float(LEFT), y + 22
        out += [
            f'<path d="{mark_path(x + 6, y - 4, shape)}" {paint(colour, shape)}/>',
            f'<text x="{x + 18:.0f}" y="{y:.0f}">{escape(words)}</text>',
        ]
        x += 36 + 7.4 * len(words)
    return out


def _label(words: str, x: float, y: float, *, turned: bool = False) -> str:
    turn = f' transform="rotate(-90 {x:.0f} {y:.0f})"' if turned else ""
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="middle"{turn}>{escape(words)}</text>'
