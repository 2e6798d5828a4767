"""What every test may use: a clean environment, and the command line as a function."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import hypothesis
import pytest

from parity.apps import cli

hypothesis.settings.register_profile("parity", deadline=None, derandomize=True)
hypothesis.settings.load_profile("parity")

ROOT = Path(__file__).resolve().parent.parent


class Run(NamedTuple):
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch, tmp_path_factory):
    """No test reads or writes the settings and caches of the person who runs it."""
    for name in ("NO_COLOR", "PARITY_CATALOGUE", "PARITY_DEBUG", "COLUMNS", "HF_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture
def run(capsys):
    """`run("chips", "h20")` runs the command in this process."""

    def run_command(*argv: str) -> Run:
        capsys.readouterr()
        code = cli.main(argv)
        captured = capsys.readouterr()
        return Run(code, captured.out, captured.err)

    return run_command
