"""Rewrites the outputs that README.md and docs/ show, from the commands beside them.

Run it after a change that is meant to change what commands print, and read the diff. An output
with `...` in it is left for you, and named, when it no longer matches.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from pathlib import Path

from doc_blocks import blocks, documents, matches, run, steps, write_file

ROOT = Path(__file__).resolve().parent.parent


def refreshed(text: str, page: str) -> str:
    """`text` with every shown output replaced by the real one."""
    lines = text.splitlines()
    changes: list[tuple[int, int, list[str]]] = []
    for block in blocks(text):
        write_file(block, Path.cwd())
        if block.language != "console":
            continue
        for step in steps(block):
            done = run(step)
            if done is None:
                continue
            code, real = done
            if code != step.code:
                print(f"{page}:{step.first}: exit code {code}, {step.code} is stated")
            if matches(step.output, real):
                continue
            if "..." in step.output:
                print(f"{page}:{step.first}: differs, and holds `...`: edit it by hand")
                continue
            changes.append((step.first, len(step.output), real))
    for first, count, real in reversed(changes):
        lines[first : first + count] = real
    return "\n".join(lines) + "\n"


def main() -> None:
    """Refresh every page."""
    for path in documents(ROOT):
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            os.environ["XDG_CACHE_HOME"] = str(Path(folder) / "cache")
            text = path.read_text()
            new = refreshed(text, path.name)
        if new != text:
            path.write_text(new)
            print(f"{path.relative_to(ROOT)}: refreshed")


if __name__ == "__main__":
    sys.exit(main())
