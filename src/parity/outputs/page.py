"""An answer as a file: a page of its own, or its chart as SVG. Nothing remote in either."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path

from parity.errors import UsageError
from parity.outputs.chart_svg import stacked
from parity.outputs.document import Bars, Chart, Fan
from parity.outputs.envelope import Answer, plain
from parity.outputs.html import card
from parity.outputs.vega import vega_lite

STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; }
caption { text-align: left; font-weight: bold; }
th, td { padding: 0.2rem 0.8rem 0.2rem 0; text-align: left; vertical-align: top; }
th[scope=row] { font-weight: normal; }
figure { margin: 1.5rem 0; }
figure svg { max-width: 100%; height: auto; }
code { background: rgba(128, 128, 128, 0.15); padding: 0 0.2rem; }
"""


def charts(answer: Answer) -> tuple[Chart | Bars | Fan, ...]:
    """The charts of an answer: plots, fans, and bars with ranges."""
    return tuple(
        part
        for part in answer.document.parts
        if isinstance(part, Chart | Fan) or (isinstance(part, Bars) and part.ends)
    )


def page(answer: Answer) -> str:
    """The answer as one HTML file that needs nothing else.

    Charts are drawn as SVG, and carried as Vega-Lite beside it. With the extra `charts` they are
    drawn by Vega in the page instead, with values under the pointer.
    """
    specs = [vega_lite(chart) for chart in charts(answer)]
    body = card(answer.document)
    data = "".join(
        f'<script type="application/json" class="vega-lite">{_inside(spec)}</script>'
        for spec in specs
    )
    title = escape(answer.document.sentence.split(";")[0])
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{body}\n{data}\n"
        f"{_live(len(specs))}</body>\n</html>\n"
    )


def _inside(value: object) -> str:
    """JSON that may stand inside a script element."""
    return json.dumps(plain(value), allow_nan=False).replace("<", "\\u003c")


def _live(count: int) -> str:
    """The scripts that draw the charts in the page, where the library is there."""
    if not count:
        return ""
    try:
        import vl_convert
    except ImportError:
        return ""
    draw = (
        "const figures = document.querySelectorAll('figure');"
        "document.querySelectorAll('script.vega-lite').forEach((spec, i) =>"
        " vegaEmbed(figures[i], JSON.parse(spec.textContent), {actions: false}));"
    )
    return f'<script type="module">{vl_convert.javascript_bundle(draw)}</script>\n'


def write_page(answer: Answer, path: Path) -> None:
    """Write the page. Raises `UsageError` where the file cannot be written."""
    _write(path, page(answer))


def write_svg(answer: Answer, path: Path) -> None:
    """Write the charts of the answer, one under the other, as SVG.

    Raises `UsageError` where there is none.
    """
    found = charts(answer)
    if not found:
        raise UsageError(f"`--svg {path}`: this answer has no chart.")
    _write(path, stacked(found))


def _write(path: Path, text: str) -> None:
    """Whole or not at all."""
    part = path.with_name(path.name + ".part")
    try:
        part.write_text(text, "utf-8")
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise UsageError(f"`{path}` cannot be written: {error.strerror}.") from None
