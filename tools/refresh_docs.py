"""Rewrites the outputs that README.md and docs/ show, from the commands beside them.

Run it after a change that is meant to change what commands print, and read the diff. An output
with `...` is cut again as it was; where that cannot be told it is left for you, and named.
Sentences with figures in them are marked `<!-- figure -->`: look for those too.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from pathlib import Path

from doc_blocks import documents, elided, matches, run_page

ROOT = Path(__file__).resolve().parent.parent


def refreshed(text: str, page: str) -> str:
    """`text` with every shown output replaced by the real one."""
    lines = text.splitlines()
    changes: list[tuple[int, int, list[str]]] = []
    for step, code, real in run_page(text, page, Path.cwd()):
        if code != step.code:
            print(f"{page}:{step.first}: exit code {code}, {step.code} is stated")
        if matches(step.output, real):
            continue
        new = elided(step.output, real) if "..." in step.output else real
        if new is None:
            print(f"{page}:{step.first}: differs, and holds `...`: edit it by hand")
            continue
        changes.append((step.first, len(step.output), new))
    for first, count, new in reversed(changes):
        lines[first : first + count] = new
    return "\n".join(lines) + "\n"


def main(*names: str) -> None:
    """Refresh every page, or those whose paths end as `names` do."""
    for path in documents(ROOT):
        if names and not str(path).endswith(names):
            continue
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            os.environ["XDG_CACHE_HOME"] = str(Path(folder) / "cache")
            text = path.read_text()
            new = refreshed(text, path.name)
        if new != text:
            path.write_text(new)
            print(f"{path.relative_to(ROOT)}: refreshed")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
