"""Parity's folder in the user's cache, and files in it that are whole or not there."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def folder() -> Path | None:
    """`$XDG_CACHE_HOME/parity`, else `~/.cache/parity`; None where neither folder is named."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    home = Path(os.environ.get("HOME", ""))
    base = cache if cache.is_absolute() else home / ".cache"
    return base / "parity" if base.is_absolute() else None


def write(name: str, content: bytes) -> Path | None:
    """Put `content` under `name`, in one step: readers see the old file or the new one.

    Returns the file, or None where it cannot be written: a cache is never needed.
    """
    import tempfile

    base = folder()
    if base is None:
        return None
    with contextlib.suppress(OSError):
        base.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=base, prefix=f".{name}-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            return Path(temporary).replace(base / name)
        except OSError:
            Path(temporary).unlink(missing_ok=True)
    return None
