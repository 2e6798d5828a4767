"""Documents as a fragment of HTML, for notebooks and the web page. Everything is escaped."""

from __future__ import annotations

from html import escape

from parity.outputs.chart_svg import drawn
from parity.outputs.document import Bars, Chart, Document, Fan, Fields, Part, Table, Words
from parity.record import Finding


def card(document: Document) -> str:
    """The document as one `<section>`: no script, no style sheet, nothing remote."""
    inner = [f"<p><strong>{escape(document.sentence)}</strong></p>"]
    inner += [_part(part) for part in document.parts]
    if document.findings:
        inner.append(_list("ul", [_finding(f) for f in document.findings]))
    if document.sources:
        inner.append("<p>Sources</p>" + _list("ol", [escape(s) for s in document.sources]))
    if document.next:
        inner.append(_list("ul", [f"<code>{escape(command)}</code>" for command in document.next]))
    return '<section class="parity">' + "".join(inner) + "</section>"


def _part(part: Part) -> str:
    match part:
        case Table():
            return _table(part.title, part.columns, part.rows, part.align)
        case Fields():
            return _table(part.title, (), part.rows, "")
        case Bars() if part.ends:
            return f"<figure>{drawn(part)}</figure>"
        case Bars():
            rows = tuple((name, note) for name, _, note in part.rows)
            return _table(part.title, (), rows, "lr")
        case Words():
            return f"<p>{escape(part.text)}</p>"
        case Chart() | Fan():
            return f"<figure>{drawn(part)}</figure>"


def _table(
    title: str, columns: tuple[str, ...], rows: tuple[tuple[str, ...], ...], align: str
) -> str:
    caption = f"<caption>{escape(title)}</caption>" if title else ""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in columns)
    head = f"<thead><tr>{head}</tr></thead>" if columns else ""
    body = "".join(f"<tr>{_cells(row, align)}</tr>" for row in rows)
    return f"<table>{caption}{head}<tbody>{body}</tbody></table>"


def _cells(row: tuple[str, ...], align: str) -> str:
    first, *rest = row
    cells = [f'<th scope="row">{escape(first)}</th>']
    for cell, side in zip(rest, align[1:].ljust(len(rest), "l"), strict=False):
        style = ' style="text-align:right"' if side == "r" else ""
        cells.append(f"<td{style}>{escape(cell)}</td>")
    return "".join(cells)


def _finding(finding: Finding) -> str:
    fix = f" Fix: {escape(finding.fix)}" if finding.fix else ""
    return f"<code>{escape(finding.code)}</code> {escape(finding.message)}{fix}"


def _list(kind: str, items: list[str]) -> str:
    return f"<{kind}>" + "".join(f"<li>{item}</li>" for item in items) + f"</{kind}>"
