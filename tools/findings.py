"""Writes src/parity/search/data/findings.toml, which `parity why CODE` prints, from the page.

The page docs/reference/findings.md is where a finding is explained; a test holds the two equal.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "reference" / "findings.md"
DATA = ROOT / "src" / "parity" / "search" / "data" / "findings.toml"
HEAD = "# What each finding means and what helps: written by tools/findings.py from its page.\n"
HELPS = "\n*What helps:* "


def data_of(page: str) -> str:
    """The sections of the page as TOML."""
    out = [HEAD]
    for section in re.split(r"^## (?=P\d\d\d: )", page, flags=re.M)[1:]:
        heading, _, body = section.partition("\n")
        code, _, title = heading.partition(": ")
        text, _, helps = body.strip().partition(HELPS)
        if "'''" in body or '"' in title:
            raise SystemExit(f"{code}: three quotes in a text, or one in a title, end the string")
        out.append(f"\n[{code}]\ntitle = \"{title}\"\ntext = '''\n{text.strip()}\n'''\n")
        if helps:
            out.append(f"helps = '''\n{helps.strip()}\n'''\n")
    return "".join(out)


def main() -> None:
    """Write the file."""
    DATA.write_text(data_of(PAGE.read_text()))


if __name__ == "__main__":
    sys.exit(main())
