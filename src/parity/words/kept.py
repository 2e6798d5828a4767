"""The question of an answer that was kept, or of a file that `--json` wrote: its words again.

A file may come from anybody: it is bounded, of a strict shape, and its words are read as if typed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import signature
from pathlib import Path
from typing import Any, get_type_hints

import msgspec

from parity import cache
from parity.errors import BadFile, UsageError, shorten
from parity.record import Record

#: Word for the last answer.
LAST = "LAST"
#: A larger file, or a longer word in one, is none that `--json` wrote. [byte]
MOST_BYTES, LONGEST = 32_000_000, 4_096
#: Words that take several values.
LISTS = ("fix",)
#: Verbs whose answers can be followed.
FOLLOWED = ("plan train", "plan serve", "match", "why")

Word = str | int | float | bool | list[str] | None


class Row(msgspec.Struct):
    """A chip of a match; what else there is of it is not read."""

    label: str = ""
    count: int | None = None


class _Match(msgspec.Struct):
    rows: list[Row] = []


class _Verb(msgspec.Struct):
    schema_version: int | None = None
    command: str = ""


class _Result(msgspec.Struct):
    question: dict[str, Word] = {}
    answer: msgspec.Raw = msgspec.Raw(b"null")


class Kept(Record, frozen=True):
    """A question that was answered: the verb, its words, and of a match the rows of the answer."""

    command: str
    what: str  # it is, in words
    words: dict[str, Word]
    rows: tuple[Row, ...] = ()


def spoken(question: Callable[..., object], given: Mapping[str, Any]) -> dict[str, Any]:
    """The words of a question that are not the usual ones, by the names of its parameters."""
    usual = signature(question).parameters
    words = {name: list(v) if isinstance(v, tuple) else v for name, v in given.items()}
    return {
        name: value
        for name, value in words.items()
        if name in usual
        and name != "report"
        and value != []
        and str(value) != str(usual[name].default)
    }


def is_result(name: str) -> bool:
    """Whether a word names a file that `--json` may have written, and not a model's configuration.

    Raises `BadFile` for a file that is too large.
    """
    path = Path(name).expanduser()
    try:
        return path.suffix == ".json" and path.is_file() and _verb(_bytes(path)) is not None
    except (OSError, ValueError):
        return False


def kept(name: str = LAST) -> Kept:
    """The last question answered, or that of a file.

    Raises `UsageError` where none is kept, `BadFile` for a file that is none of `--json`, or of a
    verb that has no plan.
    """
    path = _last() if name == LAST else Path(name).expanduser()
    what = "The last answer" if name == LAST else shorten(name)
    try:
        data = _bytes(path)
    except OSError as error:
        raise BadFile(f"{what} cannot be read: {error.strerror or error}.") from None
    verb = _verb(data)
    if verb is None:
        raise BadFile(f"{what} is no answer of Parity; what `--json` prints was expected.")
    if verb.command not in FOLLOWED:
        known = ", ".join(f"`{one}`" for one in FOLLOWED)
        said = shorten(verb.command)
        raise BadFile(f"{what} is of `parity {said}`; one of {known} was expected.")
    try:
        found = msgspec.json.decode(data, type=_Result)
        match = verb.command == "match"
        rows = msgspec.json.decode(found.answer, type=_Match).rows if match else []
    except (msgspec.MsgspecError, RecursionError) as error:
        why = shorten(str(error), 200)
        raise BadFile(f"{what} has words that cannot be read: {why}.") from None
    if not found.question:
        raise BadFile(
            f"{what} does not say what was asked: an older version wrote it. Ask again, and follow "
            "on from that."
        )
    return Kept(verb.command, what, found.question, tuple(rows))


def _last() -> Path:
    folder = cache.folder()
    path = None if folder is None else folder / "last.json"
    if path is None or not path.is_file():
        raise UsageError(
            "No answer is kept yet. Ask first, as in `parity plan train llama-3.1-8b --on 8xh100`; "
            "or name a model and chips, as in `parity why llama-3.1-8b --on 16xh100`."
        )
    return path


def _bytes(path: Path) -> bytes:
    """What a regular file holds. Raises `OSError`, `BadFile` beyond `MOST_BYTES`."""
    if not path.is_file():
        raise FileNotFoundError(2, "no such file", str(path))
    with path.open("rb") as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise BadFile(f"{shorten(str(path))} is too large; at most {MOST_BYTES:,} bytes are read.")
    return data


def _verb(data: bytes) -> _Verb | None:
    try:
        found = msgspec.json.decode(data, type=_Verb)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None
    return None if found.schema_version is None else found


def typed(question: Callable[..., object], words: Mapping[str, Word], what: str) -> dict[str, Any]:
    """Words as a question takes them. Raises `BadFile` for a word that nobody could have typed."""
    hints = get_type_hints(question)
    found: dict[str, Any] = {}
    for name, value in words.items():
        parts, several = (value, True) if isinstance(value, list) else ([value], False)
        wanted = list[str] if several else hints.get(name)
        long = any(len(str(part)) > LONGEST for part in parts)
        if name not in hints or long or several != (name in LISTS):
            raise BadFile(f"{what} has a word that nobody typed: {shorten(name)}.")
        try:
            found[name] = msgspec.convert(value, wanted)
        except msgspec.ValidationError:
            raise BadFile(
                f"{what} has {shorten(str(value))!r} for {name}, which takes no such value."
            ) from None
    return found
