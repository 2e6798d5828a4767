"""A catalogue of one's own to break."""

from __future__ import annotations

from pathlib import Path

import pytest

from parity.catalogue import files
from parity.catalogue.build import build

SOURCES = '[page]\ntitle = "A page"\n'


@pytest.fixture(autouse=True)
def somewhere_else(monkeypatch, tmp_path):
    """No test sees a `parity.toml` of the folder the suite is run from."""
    home = tmp_path / "here"
    home.mkdir()
    monkeypatch.chdir(home)


@pytest.fixture
def user(tmp_path) -> Path:
    """A user's folder, empty but for the bibliography."""
    folder = tmp_path / "user"
    folder.mkdir()
    (folder / "sources.toml").write_text(SOURCES)
    return folder


@pytest.fixture
def alone(monkeypatch, user):
    """`alone({"a.toml": text})` builds a catalogue of nothing but these files."""
    monkeypatch.setattr(files, "BUILT_IN", user)

    def build_alone(texts: dict[str, str | bytes]):
        for name, text in texts.items():
            path = user / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return build(files.read_all(()))

    return build_alone
