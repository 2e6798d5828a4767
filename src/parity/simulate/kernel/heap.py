"""Binary heaps of (key, item), the least first, side by side in one array of slots.

Equal keys stand in the order of the items, so that a run is the same every time.
"""

from __future__ import annotations

from parity.simulate.kernel.compiled import njit
from parity.simulate.kernel.state import Rows


@njit
def push(slots: Rows, start: int, size: int, key: float, item: int) -> None:
    """Put `item` into the heap of `size` at `start`, which the caller then counts one higher."""
    _rise(slots, start, size, key, item)


@njit
def remove(slots: Rows, start: int, size: int, at: int) -> None:
    """Take out what stands at place `at`, 0 being the first; the caller counts one lower."""
    last = slots[start + size - 1]
    key, item = last.key, last.owner
    if at < size - 1:
        at = _sink(slots, start, size - 1, at, key, item)
        _rise(slots, start, at, key, item)


@njit
def find(slots: Rows, start: int, size: int, item: int) -> int:
    """The place of `item`, which is there. Looks at all of them: for what is rare."""
    for at in range(size):
        if slots[start + at].owner == item:
            return at
    return -1


@njit
def _rise(slots: Rows, start: int, at: int, key: float, item: int) -> None:
    """Write (key, item) at place `at` or above it, where it belongs."""
    while at > 0:
        above = slots[start + (at - 1) // 2]
        if above.key < key or (above.key == key and above.owner < item):
            break
        slots[start + at].key = above.key
        slots[start + at].owner = above.owner
        at = (at - 1) // 2
    slots[start + at].key = key
    slots[start + at].owner = item


@njit
def _sink(slots: Rows, start: int, size: int, at: int, key: float, item: int) -> int:
    """Move up what stands below place `at` and comes before (key, item); where a gap is left."""
    while 2 * at + 1 < size:
        below = 2 * at + 1
        one = slots[start + below]
        if below + 1 < size:
            other = slots[start + below + 1]
            if other.key < one.key or (other.key == one.key and other.owner < one.owner):
                below, one = below + 1, other
        if key < one.key or (key == one.key and item < one.owner):
            break
        slots[start + at].key = one.key
        slots[start + at].owner = one.owner
        at = below
    return at
