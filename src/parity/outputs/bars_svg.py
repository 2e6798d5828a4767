"""Bars with ranges as an SVG of their own: a bar to the value, a whisker from P10 to P90."""

from __future__ import annotations

from html import escape

from parity.outputs.chart_text import nice_end
from parity.outputs.document import Bars, scale_end
from parity.outputs.scatter import STYLES
from parity.units import significant

WIDTH = 720
TOP, ROW, BOTTOM, RIGHT = 44, 26, 40, 16
TICKS = 4
#: Width of a character at this size of font, and the longest name that is not cut.
CHARACTER, MOST_CHARACTERS = 7.2, 34
_HALF = 5  # of a whisker's cap


def height(part: Bars) -> int:
    """Of the chart. [px]"""
    return TOP + ROW * len(part.rows) + BOTTOM


def drawn(part: Bars) -> str:
    """The bars as SVG text; what is beside a bar in words stands at the right."""
    names = [_cut(name) for name, _, _ in part.rows]
    notes = [note for _, _, note in part.rows]
    left = 12 + CHARACTER * max(map(len, names), default=0)
    right = RIGHT + CHARACTER * max(map(len, notes), default=0)
    scale = nice_end(scale_end(part))
    across = max(WIDTH - left - right - 8, 120.0)
    tall = height(part)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {tall}" role="img" '
        f'font-family="sans-serif" font-size="13" fill="#222">',
        f"<title>{escape(part.title)}</title>",
        f"<desc>{len(part.rows)} bars; whiskers reach from P10 to P90.</desc>",
        f'<rect width="{WIDTH}" height="{tall}" fill="#fff"/>',
        f'<text x="12" y="26" font-size="15" font-weight="bold">{escape(part.title)}</text>',
        *_grid(left, across, scale, tall - BOTTOM),
    ]
    for i, (name, note) in enumerate(zip(names, notes, strict=True)):
        size = abs(part.rows[i][1])
        low, high = part.ends[i] if part.ends else (size, size)
        y = TOP + ROW * (i + 0.5)
        lines += [
            f'<text x="{left - 6:.1f}" y="{y + 4:.1f}" text-anchor="end">{escape(name)}</text>',
            _bar(left, y, across * min(size / scale, 1.0)),
            _whisker(left, y, (across * low / scale, across * high / scale), across),
            f'<text x="{WIDTH - RIGHT}" y="{y + 4:.1f}" text-anchor="end">{escape(note)}</text>',
        ]
    return "\n".join([*lines, "</svg>\n"])


def _grid(left: float, across: float, scale: float, bottom: int) -> list[str]:
    out = []
    for i in range(TICKS + 1):
        x = left + across * i / TICKS
        out += [
            f'<path d="M{x:.1f} {TOP}V{bottom}" stroke="#ddd" fill="none"/>',
            f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">'
            f"{significant(scale * i / TICKS)}</text>",
        ]
    return out


def _bar(left: float, y: float, length: float) -> str:
    return (
        f'<rect x="{left:.1f}" y="{y - 8:.1f}" width="{length:.1f}" height="16" '
        f'fill="{STYLES[0][0]}" fill-opacity="0.6"/>'
    )


def _whisker(left: float, y: float, ends: tuple[float, float], farthest: float) -> str:
    """From end to end; one that runs off the scale has an arrow in place of its cap."""
    low, high = (left + min(end, farthest) for end in ends)
    path = f"M{low:.1f} {y - _HALF:.1f}v{2 * _HALF}M{low:.1f} {y:.1f}H{high:.1f}"
    if ends[1] > farthest:
        path += f"m-{_HALF} -{_HALF}l{_HALF} {_HALF}l-{_HALF} {_HALF}"
    else:
        path += f"m0 -{_HALF}v{2 * _HALF}"
    return f'<path d="{path}" stroke="#222" fill="none"/>'


def _cut(name: str) -> str:
    return name if len(name) <= MOST_CHARACTERS else name[: MOST_CHARACTERS - 1] + "…"
