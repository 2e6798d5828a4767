"""Compile a function where Numba is installed, else leave it as it is."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from parity import cache as user_cache

F = TypeVar("F", bound=Callable[..., Any])
#: Versions of the compiled code that stay on disk.
KEPT = 3


def njit(function: F) -> F:
    """`function`, compiled at its first call and kept on disk; itself without Numba.

    `NUMBA_DISABLE_JIT=1` leaves it plain too. Floating-point rules are the strict ones, so that
    both give the same numbers.
    """
    try:
        import numba
    except ImportError:
        return function
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = _cache_folder() or before
    try:
        compiled: F = numba.njit(cache=True)(function)
    finally:
        numba.config.CACHE_DIR = before
    return compiled


def is_compiled() -> bool:
    """Whether functions are compiled in this process."""
    try:
        import numba
    except ImportError:
        return False
    return not numba.config.DISABLE_JIT


@cache
def _cache_folder() -> str:
    """Where compiled code is kept: a folder named by the source of all of it.

    Numba looks only at the file of a function, not at those of the functions that it calls.
    """
    here = Path(__file__).parent
    total = hashlib.sha256()
    for path in sorted(here.glob("*.py")):
        total.update(path.read_bytes())
    base = here / "__pycache__" if os.access(here, os.W_OK) else user_cache.folder()
    if base is None:
        return ""
    named = base / f"kernel-{total.hexdigest()[:16]}"
    if not named.is_dir():
        old = sorted(base.glob("kernel-*"), key=lambda p: p.stat().st_mtime_ns)
        for folder in old[: max(0, len(old) - KEPT + 1)]:
            shutil.rmtree(folder, ignore_errors=True)
    return str(named)
