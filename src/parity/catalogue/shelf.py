"""Files that are shipped under a name, and a user's own in their place: scenarios, portfolios."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path

from parity.catalogue.files import Text
from parity.errors import BadFile, UnknownName, shorten

#: A larger file is none that anybody wrote. [byte]
LARGEST_FILE = 1_000_000


@dataclass(frozen=True)
class Shelf:
    """TOML files in a folder of a package's data. what: one of them is."""

    what: str
    package: str
    folder: str

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Of those that are shipped, in order."""
        folder = files(self.package).joinpath("data", self.folder)
        return tuple(sorted(one.name.removesuffix(".toml") for one in folder.iterdir()))

    def text(self, name: str) -> Text:
        """What is shipped as `name`, or a user's file. Raises `UnknownName`, `BadFile`."""
        if name in self.names:
            shipped = files(self.package).joinpath("data", self.folder, f"{name}.toml")
            return Text(0, "project", name, shipped.name, shipped.read_bytes())
        path = Path(name)
        if path.suffix != ".toml":
            known = f"Known: {', '.join(self.names)}, or a FILE.toml."
            raise UnknownName(self.what, name, self.names, known)
        return file_text(path, f"a {self.what}")


def file_text(path: Path, what: str) -> Text:
    """A small TOML file of a user's. Raises `BadFile`."""
    shown = shorten(str(path), 120)
    try:
        if not path.is_file():
            raise BadFile(f"There is no file {shown}; {what} in TOML was expected.")
        if path.stat().st_size > LARGEST_FILE:
            raise BadFile(f"{shown} is larger than {LARGEST_FILE:,} bytes, the most that is read.")
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        raise BadFile(f"{shown} cannot be read ({shorten(str(error), 80)}).") from None
    return Text(0, "project", path.stem[:64], shown, content)
