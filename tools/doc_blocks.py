"""The runnable blocks of README.md and docs/: what they say, and what running them gives.

A fence ` ```console ` holds commands after `$ ` and what they print, standard output and error
together, as a terminal shows it. A line `# exit 3` after a command states its exit code (else 0);
`...` alone on a line stands for any lines. ` ```python ` runs too, and ` ```pycon ` runs and shows
what it prints, all blocks of a file in one namespace. ` ```toml file=my-chip.toml ` (any language)
writes that file where the commands run. `no-run` after the language leaves a block alone. Only
`parity` is run: `git clone`, `cd`, `./test` and installing are the reader's.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import os
import re
import shlex
from collections.abc import Iterator
from difflib import SequenceMatcher
from pathlib import Path
from typing import NamedTuple

FENCE = re.compile(r"^```(\w+)(.*)$")
EXIT = re.compile(r"^# exit (\d+)$")
NOT_RUN = ("git ", "cd ", "./test", "pip install ", "uvx ")
#: A page of 100 columns without colour, whatever the terminal that the tests run in.
PLAIN = {"COLUMNS": "100", "NO_COLOR": "1"}
COLOURING = ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE")
#: Lines less alike than this are not the ones that a page shows.
LEAST_ALIKE = 0.5
_ASSIGNMENT = re.compile(r"[A-Z_]+=.*")


class Block(NamedTuple):
    """A fenced block: its language, the words after it, its lines and where it begins."""

    language: str
    options: tuple[str, ...]
    lines: tuple[str, ...]
    first: int  # index of its first line in the file


class Step(NamedTuple):
    """A command of a console block, or Python of a pycon block, and what it is said to give."""

    command: str
    code: int
    output: tuple[str, ...]
    first: int  # index of the first output line in the file


def documents(root: Path) -> list[Path]:
    """README.md and every page of docs/."""
    return [root / "README.md", *sorted((root / "docs").rglob("*.md"))]


def blocks(text: str) -> Iterator[Block]:
    """The fenced blocks of a page that are to be run or written."""
    lines = text.splitlines()
    at = 0
    while at < len(lines):
        fence = FENCE.match(lines[at])
        at += 1
        if fence is None:
            continue
        first = at
        while at < len(lines) and not lines[at].startswith("```"):
            at += 1
        options = tuple(fence[2].split())
        if "no-run" not in options:
            yield Block(fence[1], options, tuple(lines[first:at]), first)
        at += 1


def steps(block: Block) -> Iterator[Step]:
    """The commands of a console block, `\\` at a line's end continued."""
    lines = list(block.lines)
    at = 0
    while at < len(lines):
        if not lines[at].startswith("$ "):
            raise ValueError(f"line {block.first + at + 1}: a command `$ …` was expected first")
        command = lines[at][2:]
        at += 1
        while command.endswith("\\"):
            command = command[:-1] + lines[at].strip()
            at += 1
        stated = EXIT.match(lines[at]) if at < len(lines) else None
        at += stated is not None
        first = at
        while at < len(lines) and not lines[at].startswith("$ "):
            at += 1
        output = tuple(lines[first:at])
        yield Step(command, int(stated[1]) if stated else 0, output, block.first + first)


def examples(block: Block) -> Iterator[Step]:
    """The `>>> …` of a pycon block."""
    for found in doctest.DocTestParser().get_examples("\n".join((*block.lines, ""))):
        first = block.first + found.lineno + found.source.count("\n")
        yield Step(found.source, 0, tuple(found.want.splitlines()), first)


def run_page(text: str, name: str, folder: Path) -> Iterator[tuple[Step, int, list[str]]]:
    """Run a page from top to bottom in `folder`, the working directory: what each step gives."""
    namespace: dict[str, object] = {"__name__": name}
    for block in blocks(text):
        write_file(block, folder)
        if block.language == "python":
            source = "\n" * block.first + "\n".join(block.lines)  # so that lines count from the top
            exec(compile(source, name, "exec"), namespace)
        elif block.language == "pycon":
            for step in examples(block):
                yield step, 0, run_example(step, name, namespace)
        elif block.language == "console":
            for step in steps(block):
                done = run(step)
                if done is not None:
                    yield step, *done


def run_example(step: Step, name: str, namespace: dict[str, object]) -> list[str]:
    """What Python prints for one example; an exception is raised, not printed."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(step.command, f"{name}:{step.first}", "single"), namespace)
    return [line.rstrip() for line in printed.getvalue().splitlines()]


def run(step: Step) -> tuple[int, list[str]] | None:
    """The exit code and output lines of a command; None for those that are the reader's."""
    from parity.apps.cli import main

    if step.command.startswith(NOT_RUN):
        return None
    words = shlex.split(step.command, comments=True)
    settings = dict(PLAIN)
    while words and _ASSIGNMENT.fullmatch(words[0]):
        name, _, value = words.pop(0).partition("=")
        settings[name] = value
    if not words or words[0] not in ("parity", "./parity"):
        raise ValueError(f"`{step.command}` is not a parity command; mark its block `no-run`")
    printed = io.StringIO()
    before = dict(os.environ)
    for name in COLOURING:
        os.environ.pop(name, None)
    os.environ.update(settings)
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            code = main(words[1:])
    finally:
        os.environ.clear()
        os.environ.update(before)
    return code, [line.rstrip() for line in printed.getvalue().rstrip("\n").splitlines()]


def matches(expected: tuple[str, ...], real: list[str]) -> bool:
    """Whether `real` is what a page shows; `...` alone on a line stands for any lines."""
    pattern = "".join(
        r"(?:.*\n)*?" if line == "..." else re.escape(line.rstrip()) + r"\n" for line in expected
    )
    return re.fullmatch(pattern, "".join(line + "\n" for line in real)) is not None


def elided(shown: tuple[str, ...], real: list[str]) -> list[str] | None:
    """`real` cut as `shown` is, around its `...`; None where that cannot be told.

    What comes before the first `...` and after the last is cut by paragraphs where blank lines
    bound it, else by lines; what stands between two is the part of `real` that is most like it.
    """
    if "..." not in shown:
        return None
    head, *between, tail = _parts(shown)
    first, last = len(head), len(real) - len(tail)
    if not any(head[-1:]) and not any(tail[:1]):
        blank = [i for i, line in enumerate(real) if not line]
        if head.count("") + tail.count("") > len(blank):
            return None
        first = blank[head.count("") - 1] + 1 if head else 0
        last = blank[-tail.count("")] if tail else len(real)
    if first > last:
        return None
    cut = [*real[:first], "..."]
    for part in between:
        found = _alike(part, real, first, last)
        if found is None:
            return None
        cut += [*real[slice(*found)], "..."]
        first = found[1]
    return [*cut, *real[last:]]


def _parts(shown: tuple[str, ...]) -> list[list[str]]:
    """The lines between one `...` and the next."""
    parts: list[list[str]] = [[]]
    for line in shown:
        if line == "...":
            parts.append([])
        else:
            parts[-1].append(line)
    return parts


def _alike(part: list[str], real: list[str], first: int, last: int) -> tuple[int, int] | None:
    """Where the lines of `real` most like `part` begin and end; None where none are like it.

    A part between blank lines is whole paragraphs, which may have come to more lines or fewer.
    """
    whole = part[0] == part[-1] == ""
    wanted = "\n".join(part)
    best, where = LEAST_ALIKE, None
    for start in range(first, last):
        if whole and real[start]:
            continue
        blank = [i for i in range(start, last) if not real[i]]
        ends = blank[part.count("") - 1 : part.count("")] if whole else [start + len(part) - 1]
        for end in ends:
            found = "\n".join(real[start : end + 1])
            alike = SequenceMatcher(None, wanted, found, autojunk=False).ratio()
            if end < last and alike > best:
                best, where = alike, (start, end + 1)
    return where


def write_file(block: Block, folder: Path) -> None:
    """Write a block that names a file (`file=NAME`) into `folder`."""
    for option in block.options:
        if option.startswith("file="):
            path = folder / option.removeprefix("file=")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("\n".join(block.lines) + "\n")
