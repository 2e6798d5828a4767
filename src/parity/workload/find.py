"""From what people type to an `Architecture`: a bundled name, a path, the local cache, the Hub."""

from __future__ import annotations

import csv
import functools
import importlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from parity.errors import NeedsExtra, UnknownName, UsageError, nearest, shorten
from parity.record import Finding, Record
from parity.workload.huggingface import parse, read, read_file
from parity.workload.operator import Architecture

_DATA = Path(__file__).parent / "data"
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")


class Bundled(Record, frozen=True):
    """One row of `models.csv`: where a bundled configuration comes from and what is published."""

    name: str
    hf_id: str
    aliases: tuple[str, ...]  # what people type
    labels: tuple[str, ...]  # what published tables call it
    status: str  # read, recalled or partly recalled
    gated: bool
    source: str
    published_total: float | None
    published_active: float | None
    published_status: str
    published_source: str
    note: str


def model(name: str | Path) -> Architecture:
    """The architecture of a model.

    `name` is a bundled name or alias (see `names`), a Hugging Face id such as
    "meta-llama/Llama-3.1-70B", a config.json, or a folder that holds one. Ids that are not bundled
    are looked for in the local Hugging Face cache, then on the Hub if `huggingface_hub` is
    installed and neither `PARITY_OFFLINE` nor `HF_HUB_OFFLINE` is set.

    Raises `UnknownName`, `BadFile`, `NeedsExtra`, or `UsageError` if the Hub cannot be reached.
    """
    if isinstance(name, Path):
        return read_file(name)
    key = name.strip()
    if re.fullmatch(r"[a-z0-9.-]{1,80}", key) and (_DATA / "models" / f"{key}.json").is_file():
        return _bundled(key)
    if _is_path(key):
        return read_file(Path(key).expanduser())
    found = _aliases().get(_squash(key))
    if found:
        return _bundled(found)
    if not _REPOSITORY.fullmatch(key) or ".." in key:
        raise UnknownName(
            "model", key, _known(), "A path to a config.json or a Hugging Face id also serves."
        )
    cached = _in_cache(key)
    return read_file(cached or _download(key), key, f"huggingface.co/{key}")


def names() -> tuple[str, ...]:
    """The bundled models, in alphabetical order."""
    return tuple(bundled())


def spelled(name: str) -> str:
    """The bundled model that `name` spells, or ""; neither files nor the Hub are looked at."""
    return _aliases().get(_squash(name), "")


@functools.cache
def bundled() -> dict[str, Bundled]:
    """The bundled models with their sources and published sizes, by name."""
    with (_DATA / "models.csv").open(encoding="utf-8", newline="") as file:
        return {row["name"]: _row(row) for row in csv.DictReader(file)}


def _row(row: dict[str, str]) -> Bundled:
    def split(text: str) -> tuple[str, ...]:
        return tuple(text.split(";")) if text else ()

    def size(text: str) -> float | None:
        return float(text) if text else None

    return Bundled(
        name=row["name"],
        hf_id=row["hf_id"],
        aliases=split(row["aliases"]),
        labels=split(row["labels"]),
        status=row["status"],
        gated=row["gated"] == "yes",
        source=row["source"],
        published_total=size(row["published_total"]),
        published_active=size(row["published_active"]),
        published_status=row["published_status"],
        published_source=row["published_source"],
        note=row["note"],
    )


@functools.cache
def _bundled(name: str) -> Architecture:
    path = _DATA / "models" / f"{name}.json"
    about = bundled()[name]
    architecture = read(parse(path.read_bytes(), name), name, about.source, name)
    if about.status == "read":
        return architecture
    recalled = Finding(
        code="P201",
        severity="note",
        message=f"The configuration of {name} is {about.status}, not read from its repository.",
        fix="Pass the model's own config.json to be sure.",
    )
    findings = (*architecture.findings, recalled)
    return msgspec.structs.replace(architecture, findings=findings)


def _is_path(name: str) -> bool:
    """Whether `name` is spelled like a path, or there is a configuration where it points."""
    if name.endswith(".json") or name.startswith(("/", "./", "../", "~", ".\\")):
        return "\0" not in name
    try:
        return (Path(name) / "config.json").is_file()
    except (OSError, ValueError):
        return False


def _squash(name: str) -> str:
    """Letters and digits in lower case; the owner of an id stays apart."""
    owner, slash, last = name.lower().rpartition("/")
    return re.sub(r"[^a-z0-9]", "", owner) + slash + re.sub(r"[^a-z0-9]", "", last)


@functools.cache
def _aliases() -> dict[str, str]:
    """Squashed spellings to bundled names; an id counts with and without its owner."""
    found: dict[str, str] = {}
    for about in bundled().values():
        for spelling in (about.name, about.hf_id, *about.aliases, *about.labels):
            if spelling:
                found.setdefault(_squash(spelling), about.name)
                found.setdefault(_squash(spelling.rpartition("/")[2]), about.name)
    return found


def _known() -> Iterator[str]:
    for about in bundled().values():
        yield about.name
        if about.hf_id:
            yield about.hf_id


def _in_cache(repository: str) -> Path | None:
    """The newest config.json of `repository` in the local Hugging Face cache."""
    home = Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface")
    hub = Path(os.environ.get("HF_HUB_CACHE") or home / "hub")
    folder = hub / f"models--{repository.replace('/', '--')}" / "snapshots"
    try:
        found = [path for path in folder.glob("*/config.json") if path.is_file()]
        return max(found, key=lambda path: path.stat().st_mtime, default=None)
    except OSError:
        return None


def _download(repository: str) -> Path:
    """The config.json of `repository`, fetched from the Hub into the local cache."""
    near = nearest(repository, _known())
    hint = f" Did you mean {' or '.join(f'`{n}`' for n in near)}?" if near else ""
    for variable in ("PARITY_OFFLINE", "HF_HUB_OFFLINE"):
        if os.environ.get(variable, "").lower() not in ("", "0", "false", "no"):
            raise UnknownName(
                "model", repository, _known(), f"It is not fetched because {variable} is set."
            )
    try:
        hub = importlib.import_module("huggingface_hub")
    except ImportError:
        raise NeedsExtra(
            f"{repository} is neither bundled nor in the local Hugging Face cache.{hint} "
            "To fetch it: pip install 'chipparity[fetch]'"
        ) from None
    try:
        return Path(hub.hf_hub_download(repository, "config.json"))
    except Exception as error:
        raise UsageError(
            f"{repository} could not be fetched from the Hugging Face Hub "
            f"({shorten(f'{type(error).__name__}: {error}', 120)}).{hint} "
            "Check the id, the network, and for a gated model your login."
        ) from None
