"""From the text of catalogue files to strict records.

A file may start from another of its kind with `base = "other-id"`: tables merge, figures and
values replace. What belongs to a product as sold is not inherited (`NOT_INHERITED`), unless a file
is built on the version of its own id that lies below it, in the built-in catalogue say.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeGuard, TypeVar

import msgspec

from parity.catalogue.check import check
from parity.catalogue.figures import (
    Place,
    read_figure,
    read_statement,
    read_text,
    refuse_unknown,
)
from parity.catalogue.files import PROJECT_FILE, Text
from parity.catalogue.schema import (
    Catalogue,
    Chip,
    Cluster,
    DatedPrice,
    Link,
    Source,
    fields_of,
)
from parity.errors import BadCatalogue, nearest, shorten
from parity.record import Record

NOT_INHERITED = ("name", "aliases", "labels", "prices", "export_note", "notes")

_RECORDS: dict[str, type[Record]] = {"chips": Chip, "clusters": Cluster, "links": Link}
_PROJECT_KEYS = ("catalogue", "sources", *_RECORDS)
_ID_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-._")
_LONGEST_ID = 64
_MOST_PRICES = 64

R = TypeVar("R", bound=Record)


class Raw(NamedTuple):
    """One thing as a file writes it, before inheritance."""

    layer: int
    file: str
    table: dict[str, Any]


#: kind -> id -> its versions, lowest layer first
Versions = dict[str, dict[str, list[Raw]]]


def build(texts: list[Text]) -> Catalogue:
    """The catalogue that `texts` describe. Raises `BadCatalogue`."""
    versions: Versions = {kind: {} for kind in _RECORDS}
    sources: dict[str, tuple[int, Source]] = {}
    for text in texts:
        _take(text, versions, sources)
    bibliography = {key: source for key, (_, source) in sources.items()}
    catalogue = Catalogue(
        chips=_records("chips", Chip, versions, bibliography),
        clusters=_records("clusters", Cluster, versions, bibliography),
        links=_records("links", Link, versions, bibliography),
        sources=bibliography,
        names={},
    )
    shown = {
        (kind, id_): raws[-1].file for kind, ids in versions.items() for id_, raws in ids.items()
    }
    return msgspec.structs.replace(catalogue, names=check(catalogue, shown))


def parse_toml(text: Text) -> dict[str, Any]:
    """The tables of one file. Raises `BadCatalogue`."""
    try:
        return tomllib.loads(text.content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise BadCatalogue(f"{text.shown}: not valid TOML ({shorten(str(error), 120)}).") from error


def _take(text: Text, versions: Versions, sources: dict[str, tuple[int, Source]]) -> None:
    """Sort what one file holds into `versions` and `sources`."""
    table = parse_toml(text)
    if text.kind == "sources":
        _take_sources(table, text, sources)
        return
    if text.kind == "project":
        refuse_unknown(table, _PROJECT_KEYS, Place(PROJECT_FILE))
        inline = [(kind, _as_table(table.get(kind, {}), text, kind)) for kind in _RECORDS]
    else:
        own = {key: value for key, value in table.items() if key != "sources"}
        inline = [(text.kind, {text.id: own})]
    for kind, things in inline:
        for id_, thing in things.items():
            _check_id(id_, text)
            known = versions[kind].setdefault(id_, [])
            if known and known[-1].layer == text.layer:
                raise BadCatalogue(f"{text.shown}: `{id_}` is also described in {known[-1].file}.")
            known.append(Raw(text.layer, text.shown, _as_table(thing, text, f"{kind}.{id_}")))
    _take_sources(_as_table(table.get("sources", {}), text, "sources"), text, sources)


def _take_sources(
    table: Mapping[str, Any], text: Text, sources: dict[str, tuple[int, Source]]
) -> None:
    for key, raw in table.items():
        at = Place(text.shown, key)
        refuse_unknown(_as_table(raw, text, key), tuple(fields_of(Source)), at)
        if key in sources and sources[key][0] == text.layer:
            raise BadCatalogue(f"{at}: the source `{shorten(key)}` is described twice.")
        sources[key] = (text.layer, _convert({**raw}, Source, at))
        if not sources[key][1].title:
            raise BadCatalogue(f"{at}: a source needs a title.")


def _records(
    kind: str, record: type[R], versions: Versions, sources: Mapping[str, Source]
) -> dict[str, R]:
    found: dict[str, R] = {}
    for id_, raws in sorted(versions[kind].items()):
        table = _inherit(kind, id_, len(raws) - 1, versions, ())
        found[id_] = read_record(table, record, Place(raws[-1].file), id_, sources)
    return found


def _inherit(
    kind: str, id_: str, index: int, versions: Versions, seen: tuple[tuple[str, int], ...]
) -> dict[str, Any]:
    """The table of a thing with everything it inherits."""
    raw = versions[kind][id_][index]
    base = raw.table.get("base")
    if base is None:
        return raw.table
    at = Place(raw.file, "base")
    if (id_, index) in seen:
        raise BadCatalogue(f"{at}: `{id_}` is built on itself, through {_chain(seen)}.")
    if not isinstance(base, str) or base not in versions[kind] or (base == id_ and index == 0):
        near = nearest(base, versions[kind]) if isinstance(base, str) else []
        meant = f" Did you mean {' or '.join(f'`{n}`' for n in near if n != id_)}?" if near else ""
        raise BadCatalogue(f"{at}: no other {kind[:-1]} called {shorten(str(base))!r}.{meant}")
    below = index - 1 if base == id_ else len(versions[kind][base]) - 1
    inherited = _inherit(kind, base, below, versions, (*seen, (id_, index)))
    dropped = () if base == id_ else NOT_INHERITED
    kept = {key: value for key, value in inherited.items() if key not in dropped}
    own = {key: value for key, value in raw.table.items() if key != "base"}
    return _merge(kept, own)


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`above` over `below`: tables merge, figures and values replace."""
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = _merge(old, value) if _is_plain(old) and _is_plain(value) else value
    return merged


def _is_plain(value: object) -> TypeGuard[dict[str, Any]]:
    """Whether a value is a table that merges, no figure."""
    return isinstance(value, dict) and not {"value", "support"} & value.keys()


def _chain(seen: tuple[tuple[str, int], ...]) -> str:
    return " → ".join(f"`{id_}`" for id_, _ in seen[:8])


def read_record(
    table: Mapping[str, Any],
    record: type[R],
    at: Place,
    id_: str,
    sources: Mapping[str, Source],
) -> R:
    """The record that `table` describes, its figures sourced. Raises `BadCatalogue`."""
    if "id" in table:
        raise BadCatalogue(f"{at}: `id` is not written down; the file name is the id.")
    return _convert({**_fields(table, record, at, sources), "id": id_}, record, at)


def _fields(
    table: Mapping[str, Any], record: type[Record], at: Place, sources: Mapping[str, Source]
) -> dict[str, Any]:
    """`table` with its figures read; what is left is for `_convert` to judge."""
    fields = fields_of(record)
    known = tuple(name for name in fields if name != "id")
    refuse_unknown(table, known if at.path else (*known, "base"), at)
    read: dict[str, Any] = {}
    for key, raw in table.items():
        field, inside = fields[key], at.into(key)
        if field.kind == "figure":
            read[key] = read_figure(raw, field.unit, inside, sources)
        elif field.kind == "support":
            read[key] = read_statement(raw, "support", "native", inside, sources)
        elif field.kind == "market":
            read[key] = read_statement(raw, "value", "data-centre", inside, sources)
        elif field.kind == "prices":
            read[key] = _read_prices(raw, inside, sources)
        elif field.record is not None:
            if not isinstance(raw, dict):
                raise BadCatalogue(f"{inside}: a table was expected.")
            read[key] = _fields(raw, field.record, inside, sources)
        else:
            read[key] = read_text(table, key, at) if isinstance(raw, str) else raw
    return read


def _read_prices(raw: object, at: Place, sources: Mapping[str, Source]) -> list[dict[str, Any]]:
    if not isinstance(raw, list) or len(raw) > _MOST_PRICES or not all(map(_is_plain, raw)):
        raise BadCatalogue(f"{at}: a list of at most {_MOST_PRICES} tables was expected.")
    return [_fields(one, DatedPrice, at, sources) for one in raw]


def _convert(fields: Mapping[str, Any], record: type[R], at: Place) -> R:
    try:
        return msgspec.convert(fields, record, str_keys=True)
    except msgspec.ValidationError as error:
        text = str(error).replace(" - at `$.", " at `").replace("`$`", "the top level")
        raise BadCatalogue(f"{at}: {text}.") from error


def _as_table(value: object, text: Text, path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadCatalogue(f"{Place(text.shown, path)}: a table was expected.")
    return value


def _check_id(id_: str, text: Text) -> None:
    if not id_ or len(id_) > _LONGEST_ID or not _ID_LETTERS.issuperset(id_):
        raise BadCatalogue(
            f"{text.shown}: the file name is the id and must be lower-case letters, digits, "
            f"`-`, `.` or `_`, at most {_LONGEST_ID}; got {shorten(id_)!r}."
        )
