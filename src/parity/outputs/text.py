"""Documents as text: aligned columns, wrapped sentences, colour only where it is wanted.

Nothing from outside reaches a terminal unfiltered: control characters of names and notes that
come from files are shown as `?`.
"""

from __future__ import annotations

import os
import re
import shutil
import textwrap
import unicodedata
from typing import IO, Literal

from parity.outputs import fan
from parity.outputs.chart_text import plotted
from parity.outputs.document import (
    Bars,
    Chart,
    Document,
    Fan,
    Fields,
    Part,
    Table,
    Words,
    scale_end,
)
from parity.record import Finding, Record

Style = Literal["bold", "dim", "red", "yellow", "green", "cyan"]
_CODES = {"bold": 1, "dim": 2, "red": 31, "green": 32, "yellow": 33, "cyan": 36}
_SEVERITY: dict[str, Style] = {"error": "red", "warning": "yellow", "note": "cyan"}
_BAR_CELLS = 30
#: White space that is no plain space, and what follows it.
_BREAKS = re.compile(r"[^\S ]\s*")
#: How a bar with a range is read.
_KEY = "# to P10, = to the value, - to P90"
#: One bar shows nothing, and many are for pages and SVG: the table says the same.
_MOST_BARS = 16


class Page(Record, frozen=True):
    """What is written on: its width in characters, and whether it shows colour."""

    width: int = 100
    colour: bool = False


def page_of(stream: IO[str], *, no_color: bool = False) -> Page:
    """The page of a stream: as wide as the terminal, or 100 and plain when it is none.

    Colour is off with `no_color`, with `NO_COLOR` set (no-color.org) and on a dumb terminal.
    """
    if not stream.isatty():
        return Page()
    width = min(max(shutil.get_terminal_size((100, 24)).columns, 40), 140)
    dumb = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    return Page(width=width, colour=not (no_color or dumb))


def render(document: Document, page: Page | None = None) -> str:
    """The whole document: the sentence first, then parts, findings, sources, what to type next."""
    page = page or Page()
    blocks = [styled(wrap(document.sentence, page), "bold", page)]
    blocks += [_part(part, page) for part in document.parts]
    if document.findings:
        blocks.append(findings(document.findings, page))
    if document.sources:
        blocks.append(_sources(document.sources, page))
    if document.next:
        blocks.append(styled("next: " + " | ".join(document.next), "dim", page))
    return "\n\n".join(block for block in blocks if block) + "\n"


def brief(document: Document) -> Document:
    """The answer alone, without findings, sources and next steps."""
    return Document(sentence=document.sentence, parts=document.parts)


def table(part: Table, page: Page) -> str:
    """Columns padded to their widest cell; a last column of words wraps inside its column."""
    rows = [tuple(clean(cell) for cell in row) for row in part.rows]
    if not rows:
        return ""
    widths = [max(map(columns, column)) for column in zip(part.columns, *rows, strict=True)]
    align = part.align.ljust(len(widths), "l")
    room = max(page.width - sum(widths[:-1]) - 2 * (len(widths) - 1) - 2, 20)
    widths[-1] = min(widths[-1], room)
    head = _line(part.columns, widths, align)
    lines = [styled(clean(part.title), "bold", page)] if part.title else []
    lines.append(styled(head, "dim", page))
    for row in rows:
        *cells, last = row
        pieces = textwrap.wrap(last, widths[-1]) if align[-1] == "l" else [last]
        lines.append(_line((*cells, pieces[0] if pieces else ""), widths, align))
        lines += [_line(("",) * len(cells) + (more,), widths, align) for more in pieces[1:]]
    return "\n".join(lines)


def findings(found: tuple[Finding, ...], page: Page) -> str:
    """One line a finding: code, what is so, and what would mend it."""
    lines = []
    for finding in found:
        words = f"{finding.message} {f'Fix: {finding.fix}' if finding.fix else ''}".rstrip()
        text = wrap(f"{finding.code} {words}", page, indent="     ", first="")
        code = styled(finding.code, _SEVERITY[finding.severity], page)
        lines.append(text.replace(finding.code, code, 1))
    return "\n".join(lines)


def wrap(text: str, page: Page, *, indent: str = "", first: str | None = None) -> str:
    """`text` in lines no wider than the page."""
    return textwrap.fill(
        clean(text),
        page.width,
        initial_indent=indent if first is None else first,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def styled(text: str, style: Style, page: Page) -> str:
    """`text` in a style where the page shows colour, else as it is."""
    return f"\x1b[{_CODES[style]}m{text}\x1b[0m" if page.colour and text else text


def clean(text: str) -> str:
    """`text` on one line, with control and direction characters made visible as `?`.

    Line ends and tabs become one space; spaces that line columns up stay.
    """
    if text.isascii() and text.isprintable():
        return text
    flat = _BREAKS.sub(" ", text)
    return "".join("?" if unicodedata.category(c) in ("Cc", "Cf", "Cs") else c for c in flat)


def columns(text: str) -> int:
    """Terminal columns that `text` takes; wide East Asian characters take two."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(unicodedata.combining(c) > 0 for c in text)


def _part(part: Part, page: Page) -> str:
    match part:
        case Table():
            return table(part, page)
        case Fields():
            return _fields(part, page)
        case Bars():
            return _bars(part, page)
        case Words():
            return wrap(part.text, page)
        case Chart() | Fan():
            plot = fan.plotted if isinstance(part, Fan) else plotted
            title, *lines = plot(part, min(page.width, 84))  # type: ignore[arg-type]
            return "\n".join([styled(clean(title), "bold", page), *map(_plain_line, lines)])


def _plain_line(line: str) -> str:
    return line if line.isascii() else "".join(c if c.isprintable() else "?" for c in line)


def _fields(part: Fields, page: Page) -> str:
    width = max((columns(clean(name)) for name, _ in part.rows), default=0)
    lines = [styled(clean(part.title), "bold", page)] if part.title else []
    for name, value in part.rows:
        label = _pad(clean(name), width, "l")
        text = wrap(value, page, indent=" " * (width + 4), first=f"  {label}  ")
        lines.append(text)
    return "\n".join(lines)


def _bars(part: Bars, page: Page) -> str:
    if part.ends and not 1 < len(part.rows) <= _MOST_BARS:
        return ""
    names = max((columns(clean(name)) for name, _, _ in part.rows), default=0)
    notes = max((columns(clean(note)) for _, _, note in part.rows), default=0)
    largest = scale_end(part)
    lines = [styled(clean(part.title), "bold", page)] if part.title else []
    for i, (name, size, note) in enumerate(part.rows):
        low, high = part.ends[i] if part.ends else (size, size)
        bar = styled(_bar(abs(low), abs(size), abs(high), largest), "cyan", page)
        left, right = _pad(clean(name), names, "l"), _pad(clean(note), notes, "r")
        lines.append(f"  {left}  {right}  {bar}".rstrip())
    if part.ends:
        lines.append(styled(f"  {'':{names + notes + 2}}  {_KEY}", "dim", page))
    return "\n".join(lines)


def _bar(low: float, size: float, high: float, largest: float) -> str:
    """`####` up to the low end, `==` to the value, `--` to the high end, `>` beyond the scale."""
    if not largest:
        return ""
    first, middle, last = (round(_BAR_CELLS * min(x / largest, 1.0)) for x in (low, size, high))
    cut = ">" if high > largest else ""
    return "#" * first + "=" * (middle - first) + "-" * (last - middle) + cut


def _sources(sources: tuple[str, ...], page: Page) -> str:
    lines = [styled("sources", "dim", page)]
    for number, source in enumerate(sources, start=1):
        lines.append(wrap(source, page, indent="       ", first=f"  {f'[{number}]':<4} "))
    return "\n".join(lines)


def _line(cells: tuple[str, ...], widths: list[int], align: str) -> str:
    padded = (_pad(c, w, a) for c, w, a in zip(cells, widths, align, strict=False))
    return ("  " + "  ".join(padded)).rstrip()


def _pad(text: str, width: int, align: str) -> str:
    gap = " " * max(width - columns(text), 0)
    return gap + text if align == "r" else text + gap
