"""Which files make up the catalogue, and a cache of what they say.

Layers, later over earlier: the built-in folder, folders of entry points (`parity.catalogue`),
folders named in `PARITY_CATALOGUE`, and `./parity.toml`. Parsing them all takes a quarter of a
second, so the result is kept in the user's cache folder under the hash of every byte read: an
edited file has another hash, hence a cache file is never stale.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

from parity import cache as user_cache
from parity.errors import BadCatalogue, shorten

Kind = Literal["chips", "clusters", "links", "sources", "project"]

BUILT_IN = Path(__file__).parent / "data"
PROJECT_FILE = "parity.toml"

_GROUP = "parity.catalogue"
_KINDS: tuple[Kind, ...] = ("chips", "clusters", "links")
_LARGEST_FILE = 4_000_000
_MOST_FILES = 10_000
_CACHES_KEPT = 6
_CODE = (
    "schema.py",
    "figures.py",
    "files.py",
    "build.py",
    "check.py",
    "../record.py",
    "../units.py",
)


class Text(NamedTuple):
    """One file of the catalogue, read."""

    layer: int
    kind: Kind
    id: str
    shown: str  # its name in messages
    content: bytes


def user_folders() -> tuple[Path, ...]:
    """Folders that lie over the built-in catalogue, lowest first. Raises `BadCatalogue`."""
    named = [Path(p) for p in os.environ.get("PARITY_CATALOGUE", "").split(os.pathsep) if p]
    for folder in named:
        if not folder.is_dir():
            raise BadCatalogue(
                f"PARITY_CATALOGUE names {shorten(str(folder))!r}, which is no folder."
            )
    return (*_plugin_folders(), *named, *_project_folders())


def read_all(folders: tuple[Path, ...]) -> list[Text]:
    """Every catalogue file of the built-in folder, of `folders` and `./parity.toml`."""
    texts = list(_read_folder(0, BUILT_IN, BUILT_IN.name))
    for layer, folder in enumerate(folders, start=1):
        texts.extend(_read_folder(layer, folder, str(folder)))
    project = Path(PROJECT_FILE)
    if project.is_file():
        texts.append(_read(len(folders) + 1, "project", "", project, PROJECT_FILE))
    return texts


def signature(folders: tuple[Path, ...]) -> tuple[tuple[str, int, int], ...]:
    """What changes when a user edits, adds or removes a catalogue file. Cheap: no file is read."""
    paths = [path for folder in folders for _, _, path in _walk(folder)]
    found = []
    with contextlib.suppress(OSError):
        found.append((str(Path.cwd()), 0, 0))  # folders and the project file may be relative
    for path in [*paths, Path(PROJECT_FILE)]:
        with contextlib.suppress(OSError):
            entry = path.stat()
            found.append((str(path), entry.st_mtime_ns, entry.st_size))
    return tuple(found)


def digest(texts: list[Text]) -> str:
    """The hash of all that was read and of the code that reads it."""
    total = hashlib.sha256(_code())
    for text in texts:
        head = f"{text.layer}\0{text.kind}\0{text.id}\0{text.shown}\0{len(text.content)}\0"
        total.update(head.encode(errors="surrogateescape"))
        total.update(text.content)
    return total.hexdigest()


def read_cache(key: str) -> bytes | None:
    """What was kept under `key`; None where it is missing or damaged."""
    folder = user_cache.folder()
    if folder is None:
        return None
    try:
        content = (folder / f"catalogue-{key}.json").read_bytes()
    except OSError:
        return None
    checksum, _, payload = content.partition(b"\n")
    return payload if checksum == hashlib.sha256(payload).hexdigest().encode() else None


def write_cache(key: str, payload: bytes) -> None:
    """Keep `payload` under `key`, whole or not at all; where it cannot be kept, nothing happens."""
    checksum = hashlib.sha256(payload).hexdigest().encode()
    written = user_cache.write(f"catalogue-{key}.json", checksum + b"\n" + payload)
    if written is None:
        return
    with contextlib.suppress(OSError):
        kept = sorted(written.parent.glob("catalogue-*.json"), key=lambda p: -p.stat().st_mtime_ns)
        for old in kept[_CACHES_KEPT:]:
            old.unlink(missing_ok=True)


@cache
def _code() -> bytes:
    here = Path(__file__).parent
    return b"".join((here / name).read_bytes() for name in _CODE)


@cache
def _plugin_folders() -> tuple[Path, ...]:
    # Asking `importlib.metadata` costs 30 ms; looking first whether anybody declares the group, 2.
    if not any(_declares_group(Path(folder)) for folder in sys.path if folder):
        return ()
    from importlib.metadata import entry_points

    return tuple(_plugin_folder(point) for point in entry_points(group=_GROUP))


def _declares_group(folder: Path) -> bool:
    for path in folder.glob("*.*-info/entry_points.txt"):
        with contextlib.suppress(OSError):
            if f"[{_GROUP}]".encode() in path.read_bytes():
                return True
    return False


def _plugin_folder(point: object) -> Path:
    name = getattr(point, "name", "?")
    try:
        loaded = point.load()  # type: ignore[attr-defined]
        named = loaded() if callable(loaded) else Path(loaded.__file__).parent
        folder = Path(named)
    except Exception as error:
        raise BadCatalogue(
            f"The installed catalogue {name!r} gives no folder ({shorten(str(error))})."
        ) from error
    if not folder.is_dir():
        raise BadCatalogue(f"The installed catalogue {name!r} names {str(folder)!r}, no folder.")
    return folder


def _project_folders() -> tuple[Path, ...]:
    project = Path(PROJECT_FILE)
    if not project.is_file():
        return ()
    from parity.catalogue.build import parse_toml

    table = parse_toml(_read(0, "project", "", project, PROJECT_FILE)).get("catalogue", {})
    named = table.get("folders", []) if isinstance(table, dict) else None
    if not isinstance(named, list) or not all(isinstance(n, str) for n in named):
        raise BadCatalogue(f"{PROJECT_FILE}: `catalogue.folders` must be a list of texts.")
    for folder in named:
        if not Path(folder).is_dir():
            raise BadCatalogue(f"{PROJECT_FILE}: `catalogue.folders` names {folder!r}, no folder.")
    return tuple(Path(folder) for folder in named)


def _read_folder(layer: int, folder: Path, shown: str) -> Iterator[Text]:
    above = len(str(folder)) + 1
    for kind, id_, path in _walk(folder):
        yield _read(layer, kind, id_, path, f"{shown}/{str(path)[above:]}")


def _walk(folder: Path) -> list[tuple[Kind, str, Path]]:
    """The catalogue files of a folder.

    `chips/`, `clusters/` and `links/` (and what lies below them) hold what they are called; a TOML
    directly in the folder is a chip, or the bibliography if it is called `sources.toml`.
    """
    found: list[tuple[Kind, str, Path]] = []
    for path in sorted(folder.glob("*.toml")):
        if path.name == "sources.toml":
            found.append(("sources", "", path))
        elif path.name != PROJECT_FILE:
            found.append(("chips", path.stem, path))
    for kind in _KINDS:
        for parent, below, names in os.walk(folder / kind):
            below.sort()
            tomls = [name for name in sorted(names) if name.endswith(".toml")]
            found.extend((kind, name.removesuffix(".toml"), Path(parent) / name) for name in tomls)
            if len(found) > _MOST_FILES:
                raise BadCatalogue(f"{folder}: more than {_MOST_FILES:,} catalogue files.")
    return found


def _read(layer: int, kind: Kind, id_: str, path: Path, shown: str) -> Text:
    try:
        entry = path.stat()
        if not stat.S_ISREG(entry.st_mode):
            raise BadCatalogue(f"{shown}: not a regular file.")
        if entry.st_size > _LARGEST_FILE:
            raise BadCatalogue(f"{shown}: larger than {_LARGEST_FILE // 1_000_000} MB.")
        with path.open("rb") as file:
            content = file.read(_LARGEST_FILE + 1)
    except OSError as error:
        raise BadCatalogue(f"{shown}: cannot be read ({error.strerror}).") from error
    return Text(layer, kind, id_, shown, content)
