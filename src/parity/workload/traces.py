"""Reads traces of requests: the published ones as they are, or any three columns.

    Azure     CSV         TIMESTAMP, ContextTokens, GeneratedTokens
    BurstGPT  CSV         Timestamp [s], Request tokens, Response tokens
    plain     CSV         arrival_s, input_tokens, output_tokens, and priority if given
    Mooncake  JSON lines  timestamp [ms], input_length, output_length, hash_ids of 512 tokens
    Bailian   JSON lines  chat_id, timestamp [s], the same, hash_ids of 16 tokens
    ShareGPT  JSON        conversations, of which the first two turns count; lengths are estimated

From github.com: Azure/AzurePublicDataset, HPMLL/BurstGPT, kvcache-ai/Mooncake,
alibaba-edu/qwen-bailian-usagetraces-anon. A file from outside is hostile: files, lines and fields
are bounded, every number is checked, and what is wrong is said with the line and the column. Times
are counted from the first request.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Annotated, BinaryIO

import msgspec
import numpy as np

from parity.errors import BadFile, UnknownName, nearest, shorten
from parity.record import Finding
from parity.workload.traffic import MOST_REQUESTS, MOST_TOKENS, Prefix, Traffic, at_rate

#: Traces that come with Parity: name -> file. Origin and licence stand beside them.
BUNDLED = {
    "azure-conv": "azure-conv.csv",
    "mooncake-conversation": "mooncake-conversation.jsonl",
}
MOST_BYTES = 1_000_000_000
#: A prompt of a million tokens in blocks of 16 has 65,536 ids.
LONGEST_LINE = 2_000_000
MOST_IDS = 100_000_000
#: Tokens of a prefix block in Mooncake's traces, and in those of Alibaba's Bailian.
MOONCAKE_BLOCK, BAILIAN_BLOCK = 512, 16
#: Bytes of text to a token: about four characters of English (OpenAI, "What are tokens and how to
#: count them?"); in bytes, because scripts with longer characters have more tokens each.
BYTES_A_TOKEN = 4

_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(\.\d{1,9})?(Z|[+-]\d\d:\d\d)?", re.ASCII)
#: Columns of time, prompt and answer in each kind of CSV, in lower case.
_TABLES = {
    "Azure": ("timestamp", "contexttokens", "generatedtokens"),
    "BurstGPT": ("timestamp", "request tokens", "response tokens"),
    "plain": ("arrival_s", "input_tokens", "output_tokens"),
}

_Tokens = Annotated[int, msgspec.Meta(ge=0, le=MOST_TOKENS)]


class _Request(msgspec.Struct):
    """A line of a trace in JSON."""

    timestamp: Annotated[float, msgspec.Meta(ge=0, le=1e15)]
    input_length: _Tokens
    output_length: _Tokens
    hash_ids: list[int | str] = []
    chat_id: int | str | None = None  # only Bailian has it


class _Turn(msgspec.Struct):
    value: str


class _Conversation(msgspec.Struct):
    """An entry of a ShareGPT file."""

    conversations: list[_Turn]


@dataclass
class _Columns:
    """What was read so far."""

    arrival: list[float] = field(default_factory=list)
    input: list[int] = field(default_factory=list)
    output: list[int] = field(default_factory=list)
    priority: list[int] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)
    blocks: list[int] = field(default_factory=list)
    known: dict[tuple[int, int | str], int] = field(default_factory=dict)
    empty: int = 0

    def add(self, arrival: float, prompt: int, answer: int) -> bool:
        """Keep a request; False where it has no prompt or no answer, which is counted."""
        if prompt < 1 or answer < 1:
            self.empty += 1
            return False
        self.arrival.append(arrival)
        self.input.append(prompt)
        self.output.append(answer)
        return True

    def add_prefix(self, ids: list[int | str]) -> None:
        """Keep the blocks of a prompt, numbered by all that comes before them as well.

        Bailian names a block by its own text alone, which may recur after another beginning.
        """
        before = -1
        for block in ids:
            before = self.known.setdefault((before, block), len(self.known))
            self.ids.append(before)
        self.blocks.append(len(ids))


def find(
    name: str,
    *,
    requests: int | None = None,
    block_tokens: int | None = None,
    rate: float | None = None,
) -> Traffic:
    """The trace of a file, or a bundled one by its name.

    requests: only so many from the beginning, so that a larger file can be read too.
    block_tokens: of the blocks that `hash_ids` stand for, where they are not those of the format.
    rate: mean arrivals per second, in place of the trace's own; what a ShareGPT file, which has no
        times, comes with (as a Poisson process from seed 0).

    Raises `UnknownName` where there is neither, `BadFile` where the file breaks its format,
    `BadQuantity` where a figure cannot be.
    """
    path = Path(name)
    if name in BUNDLED and not _is_file(path):
        path = Path(str(files("parity.workload").joinpath("data", "traces", BUNDLED[name])))
    elif not path.suffix and not _is_file(path):
        raise UnknownName("trace", name, BUNDLED, "A file of a trace is read as well.")
    traffic = read(path, requests=requests, block_tokens=block_tokens)
    return traffic if rate is None else at_rate(traffic, rate)


def read(path: Path, *, requests: int | None = None, block_tokens: int | None = None) -> Traffic:
    """The trace in a file, whichever format it has. Raises `BadFile`."""
    name = shorten(str(path), 120)
    try:
        if not path.is_file():
            raise BadFile(f"There is no file {name}; a trace of requests was expected.")
        size = path.stat().st_size
        if size > MOST_BYTES and requests is None:
            raise BadFile(
                f"{name} has {size:,} bytes; at most {MOST_BYTES:,} are read, or the first so "
                "many requests of it."
            )
        with path.open("rb") as file:
            start = file.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
            file.seek(0)
            if start == b"[":
                return _read_conversations(file, name, requests)
            lines = _lines(file, name)
            if start == b"{":
                return _read_json_lines(lines, name, requests, block_tokens)
            return _read_table(lines, name, requests)
    except OSError as error:
        raise BadFile(f"{name} cannot be read ({shorten(str(error), 80)}).") from None


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False


def _lines(file: BinaryIO, name: str) -> Iterator[tuple[str, str]]:
    """Each line that is not blank, and where it stands."""
    number = 0
    while line := file.readline(LONGEST_LINE + 1):
        number += 1
        at = f"{name}, line {number}"
        if len(line) > LONGEST_LINE:
            raise BadFile(f"{at}: longer than {LONGEST_LINE:,} bytes, the most that are read.")
        if b"\0" in line:
            raise BadFile(f"{at}: holds a NUL character; a text file was expected.")
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
        except UnicodeDecodeError:
            raise BadFile(f"{at}: not text in UTF-8.") from None
        if text.strip():
            yield at, text


def _fields(text: str, at: str) -> list[str]:
    if '"' not in text:
        return text.split(",")
    try:
        return next(csv.reader([text], strict=True), [])
    except csv.Error as error:
        raise BadFile(f"{at}: this is not CSV ({shorten(str(error), 80)}).") from None


def _read_table(lines: Iterator[tuple[str, str]], name: str, requests: int | None) -> Traffic:
    at, text = next(lines, (name, ""))
    header = [column.strip() for column in _fields(text, at)]
    kind, places = _kind(header, name)
    when, prompt, answer = places
    level = header.index("priority") if kind == "plain" and "priority" in header else None
    titles = [header[place] for place in places]
    columns, origin = _Columns(), list[int]()
    for at, text in lines:
        if _enough(columns, requests, name):
            break
        cells = _fields(text, at)
        if len(cells) != len(header):
            raise BadFile(f"{at}: {len(cells)} fields; {len(header)} were expected.")
        stamp = cells[when].strip()
        where = f"{at}, column {titles[0]}"
        seconds = _clock(stamp, where, origin) if kind == "Azure" else _seconds(stamp, where)
        kept = columns.add(
            seconds,
            _tokens(cells[prompt], f"{at}, column {titles[1]}"),
            _tokens(cells[answer], f"{at}, column {titles[2]}"),
        )
        if kept and level is not None:
            columns.priority.append(_tokens(cells[level], f"{at}, column priority"))
    return _traffic(columns, name, kind, None)


def _kind(header: list[str], name: str) -> tuple[str, tuple[int, int, int]]:
    """Which table has these columns, and where its three stand."""
    lower = [column.lower() for column in header]
    for kind, wanted in _TABLES.items():
        if set(wanted) <= set(lower):
            return kind, (lower.index(wanted[0]), lower.index(wanted[1]), lower.index(wanted[2]))
    known = dict.fromkeys(column for wanted in _TABLES.values() for column in wanted)
    odd = [column for column in lower[:20] if column not in known]
    close = dict.fromkeys(near for column in odd for near in nearest(column, known, 1))
    hint = f" Is {' and '.join(f'`{near}`' for near in close)} meant?" if close else ""
    raise BadFile(
        f"{name} begins with no line of column names of a trace; `arrival_s,input_tokens,"
        f"output_tokens` was expected, or the columns of Azure's or BurstGPT's traces.{hint}"
    )


def _enough(columns: _Columns, requests: int | None, name: str) -> bool:
    if len(columns.arrival) >= MOST_REQUESTS and requests is None:
        raise BadFile(f"{name} has more than {MOST_REQUESTS:,} requests, the most that are read.")
    return requests is not None and len(columns.arrival) >= requests


def _clock(text: str, where: str, origin: list[int]) -> float:
    """Seconds of a date and time from the first one's, which `origin` keeps: a double holds the
    seven digits of a fraction in days, not in decades.
    """
    match = _TIME.fullmatch(text)
    try:
        if match is None:
            raise ValueError
        zone = (match[4] or "+00:00").replace("Z", "+00:00")
        whole = datetime.fromisoformat(f"{match[1]}T{match[2]}{zone}")
    except ValueError:
        raise BadFile(
            f"{where}: {shorten(text)!r}; a time as in 2023-11-16 18:17:03.9799600 was expected."
        ) from None
    since = whole - datetime(2000, 1, 1, tzinfo=UTC)
    seconds = since.days * 86400 + since.seconds
    if not origin:
        origin.append(seconds)
    return seconds - origin[0] + float(match[3] or 0)


def _seconds(text: str, where: str) -> float:
    try:
        value = float(text) if len(text) <= 40 and "_" not in text else -1.0
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1e12:
        raise BadFile(f"{where}: {shorten(text)!r}; seconds from 0 on were expected.")
    return value


def _tokens(text: str, where: str) -> int:
    text = text.strip()
    if text.isascii() and text.isdigit() and len(text) <= 12 and int(text) <= MOST_TOKENS:
        return int(text)
    raise BadFile(
        f"{where}: {shorten(text)!r}; a whole number from 0 to {MOST_TOKENS:,} was expected."
    )


def _read_json_lines(
    lines: Iterator[tuple[str, str]], name: str, requests: int | None, block_tokens: int | None
) -> Traffic:
    decoder, columns, seconds, block = msgspec.json.Decoder(_Request), _Columns(), 0.0, 0
    for at, text in lines:
        if _enough(columns, requests, name):
            break
        try:
            row = decoder.decode(text)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise BadFile(f"{at}: {shorten(str(error), 120)}") from None
        if not block:
            bailian = row.chat_id is not None
            seconds = 1.0 if bailian else 1e-3
            block = block_tokens or (BAILIAN_BLOCK if bailian else MOONCAKE_BLOCK)
        if len(row.hash_ids) * block >= row.input_length + block:
            raise BadFile(
                f"{at}, hash_ids: {len(row.hash_ids):,} blocks of {block} tokens are more than "
                f"the prompt of {row.input_length:,}; is this a trace with shorter blocks?"
            )
        if columns.add(row.timestamp * seconds, row.input_length, row.output_length):
            columns.add_prefix(row.hash_ids)
        if len(columns.ids) > MOST_IDS:
            raise BadFile(f"{at}: more than {MOST_IDS:,} hash_ids, the most that are read.")
    return _traffic(columns, name, "Mooncake", block)


def _read_conversations(file: BinaryIO, name: str, requests: int | None) -> Traffic:
    data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise BadFile(f"{name} has more than {MOST_BYTES:,} bytes, the most that are read.")
    try:
        entries = msgspec.json.decode(data, type=list[_Conversation])
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise BadFile(
            f"{name}: {shorten(str(error), 120)}; a list of conversations, as in ShareGPT, was "
            "expected."
        ) from None
    columns = _Columns()
    for entry in entries:
        if _enough(columns, requests, name):
            break
        turns = [
            -(-len(turn.value.encode("utf-8", "replace")) // BYTES_A_TOKEN)
            for turn in entry.conversations[:2]
        ]
        columns.add(0.0, *(turns if len(turns) == 2 else (0, 0)))
    return _traffic(columns, name, "ShareGPT", None)


def _traffic(columns: _Columns, name: str, kind: str, block_tokens: int | None) -> Traffic:
    """The columns in order, with what was done to them."""
    if not columns.arrival:
        raise BadFile(f"{name} holds no request with a prompt and an answer.")
    arrival = np.array(columns.arrival)
    order = np.argsort(arrival, kind="stable")
    arrival = arrival[order]
    early = int((np.diff(columns.arrival) < 0).sum())
    return Traffic(
        arrival_s=arrival - arrival[0],
        input_tokens=np.array(columns.input, np.int64)[order],
        output_tokens=np.array(columns.output, np.int64)[order],
        priority=np.array(columns.priority, np.int64)[order] if columns.priority else None,
        prefix=_prefix(columns, order, block_tokens) if columns.ids and block_tokens else None,
        name=name,
        findings=(*_changed(early, columns.empty), *_estimated(kind)),
    )


def _prefix(columns: _Columns, order: np.ndarray, block_tokens: int) -> Prefix:
    lengths = np.array(columns.blocks, np.int64)
    starts = np.cumsum(lengths) - lengths
    lengths, starts = lengths[order], starts[order]
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    within = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)
    ids = np.array(columns.ids, np.int64)[np.repeat(starts, lengths) + within]
    return Prefix(block_tokens, ids, offsets)


def _changed(early: int, empty: int) -> tuple[Finding, ...]:
    """P206 where the trace is not taken as it stands."""
    parts = []
    if early:
        parts.append(f"{early:,} requests stand after a later one; all were put in order")
    if empty:
        parts.append(f"{empty:,} have no prompt or no answer and were left out")
    if not parts:
        return ()
    return (Finding("P206", "note", f"Of the trace, {'; '.join(parts)}."),)


def _estimated(kind: str) -> tuple[Finding, ...]:
    """P207 where the trace holds text and no counts of tokens."""
    if kind != "ShareGPT":
        return ()
    words = (
        f"The trace holds text: a token is taken as {BYTES_A_TOKEN} bytes of it, and all requests "
        "as there from the start."
    )
    fix = "a CSV of arrival_s,input_tokens,output_tokens, counted with the model's tokenizer"
    return (Finding("P207", "warning", words, fix),)
