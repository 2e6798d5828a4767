"""Makes `.venv` hold exactly what `requirements.lock` names, and the project itself, editable.

Run by `tools/setup.sh` with the stamp to leave behind. Needs Python 3.11 and its standard library
only: the environment is made without pip, and the pip that fills it is the wheel in
`tools/vendor`, so neither ensurepip nor a system pip is asked for. Safe to stop half-way (the
stamp is written last; an unfinished environment is made anew) and to start twice (a file lock).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / ".parity-stamp"
UNFINISHED = VENV / ".parity-unfinished"
LOCK = VENV / ".parity-lock"
LOG = VENV / "parity-setup.log"
PIP = ROOT / "tools" / "vendor" / "pip-26.3-py3-none-any.whl"
PIP_SHA256 = "f3b60b20ffaadd4415ed7957212a38ac63fa4c5fa375bd0f4a797777940fad13"


class SetupError(Exception):
    """One sentence for the person who waits."""


def main(stamp: str) -> None:
    """Bring `.venv` to `stamp`, unless another process has done so meanwhile."""
    VENV.mkdir(exist_ok=True)
    with lock():
        if STAMP.is_file() and STAMP.read_text().strip() == stamp.strip():
            return
        started = time.monotonic()
        make_environment()
        fill_environment()
        temporary = STAMP.with_suffix(".new")
        temporary.write_text(stamp + "\n")
        temporary.replace(STAMP)
        UNFINISHED.unlink()
        note(f"ready in {time.monotonic() - started:.0f} s")


def make_environment() -> None:
    """An environment without pip; a broken, unfinished, moved or too old one is made anew."""
    try:
        import venv
    except ImportError:
        raise SetupError(
            f"{sys.executable} has no `venv` module. Install it (on Debian and Ubuntu: "
            "`apt-get install python3-venv`), or name another Python in PARITY_PYTHON."
        ) from None
    moved = STAMP.is_file() and not STAMP.read_text().startswith(f"{ROOT} ")
    if UNFINISHED.exists() or moved or not works():
        for entry in VENV.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            elif entry != LOCK:
                entry.unlink()
    UNFINISHED.touch()
    STAMP.unlink(missing_ok=True)
    if not PYTHON.exists():
        note(f"first use: setting up .venv with Python {sys.version.split()[0]}")
        venv.create(VENV, with_pip=False, symlinks=True)


def fill_environment() -> None:
    """Install what the lock names, then the project over it."""
    requirements = ROOT / "requirements.lock"
    count = sum(1 for line in requirements.read_text().splitlines() if line[:1].isalnum())
    note(f"installing from requirements.lock ({count} packages; about a minute)")
    pip("--require-hashes", "-r", str(requirements))
    pip("--no-deps", "--no-build-isolation", "--no-index", "--editable", str(ROOT))


def pip(*arguments: str) -> None:
    """Run the vendored pip in the environment; its words go to the log, shown if it fails."""
    if hashlib.sha256(PIP.read_bytes()).hexdigest() != PIP_SHA256:
        raise SetupError(f"{PIP} is damaged: its SHA-256 is not the one in tools/setup.py.")
    ours = {"PIP_USER": "0", "PIP_REQUIRE_VIRTUALENV": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    foreign = ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PYTHONHOME", "PYTHONPATH")
    environment = {k: v for k, v in os.environ.items() if k not in foreign} | ours
    command = [str(PYTHON), str(PIP / "pip"), "install", "--no-input", "--no-compile", *arguments]
    with LOG.open("a") as log:
        done = subprocess.run(
            command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment, check=False
        )
    if done.returncode:
        tail = "\n".join("  " + line for line in LOG.read_text().splitlines()[-12:])
        raise SetupError(f"pip could not install the packages:\n{tail}\nThe whole log: {LOG}")


def works() -> bool:
    """Whether the environment that is there runs, and is new enough."""
    if not PYTHON.exists():
        return False
    check = [str(PYTHON), "-c", "import sys; sys.exit(sys.version_info < (3, 11))"]
    try:
        return subprocess.run(check, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


@contextlib.contextmanager
def lock() -> Iterator[None]:
    """Hold the set-up lock; it is released by the system should this process die."""
    try:
        import fcntl
    except ImportError:  # no such locks on Windows
        yield
        return
    with LOCK.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            note("another set-up is running here; waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def note(text: str) -> None:
    """A word on what happens, apart from what the command prints."""
    print(f"parity: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except (SetupError, OSError) as error:
        note(str(error))
        sys.exit(1)
    except KeyboardInterrupt:
        note("set-up stopped; the next run begins it anew")
        sys.exit(130)
