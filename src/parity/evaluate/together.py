"""Chips evaluated together: their figures as columns beside the columns of their layouts.

Every equation broadcasts over columns, and does not care whether two of them are of one chip. What
a question asks of a hundred chips is therefore a handful of evaluations: one for all chips that
differ in numbers only, and not in what the equations branch on (levels of the network, dtypes).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cache
from typing import Any, TypeVar

import msgspec
import numpy as np

from parity.catalogue.machine import Number
from parity.evaluate.serving import Steady, steady_state
from parity.evaluate.step import Served
from parity.layout.layout import Layout, concatenate
from parity.timing.collective import is_near, shape
from parity.workload.request import Request

T = TypeVar("T")
#: Numbers of one array: more leave the caches of a core, fewer cost more calls than arithmetic.
MOST_NUMBERS = 32_768


@dataclass(frozen=True)
class Ask:
    """What is to be evaluated of one chip: columns of layouts, and of what goes with them."""

    model: Served
    layout: Layout
    request: Request
    columns: tuple[Number, ...]  # each of the length of the layout

    @property
    def samples(self) -> int:
        """Rows that its figures have, 1 where none is drawn."""
        return int(max(np.size(self.model.elapsed), np.size(self.model.machine.memory_bytes)))


def steady_states(asks: Sequence[Ask]) -> list[Steady]:
    """The steady state of each; `columns` are the requests that decode and the token budget."""

    def equation(model: Served, layout: Layout, request: Request, *of: Number) -> Steady:
        return steady_state(model, layout, of[0], request, of[1])

    return evaluated(asks, equation)


def evaluated(asks: Sequence[Ask], equation: Callable[..., T]) -> list[T]:
    """What `equation(model, layout, request, *columns)` gives for each, in their order.

    It must return an array, or a record of arrays, whose last axis is that of the layout.
    """
    found: dict[int, T] = {}
    for part in _parts(asks):
        some = [asks[i] for i in part]
        widths = [len(ask.layout) for ask in some]
        if len(some) == 1:
            (ask,) = some
            whole = equation(ask.model, ask.layout, ask.request, *ask.columns)
        else:
            columns = (np.concatenate(of) for of in zip(*(a.columns for a in some), strict=True))
            layout = concatenate([ask.layout for ask in some])
            model = together([ask.model for ask in some], widths)
            whole = equation(model, layout, some[0].request, *columns)
        ends = np.cumsum([0, *widths])
        for i, start, end in zip(part, ends, ends[1:], strict=False):
            found[i] = taken(whole, slice(start, end), int(ends[-1]))
    return [found[i] for i in range(len(asks))]


def _parts(asks: Sequence[Ask]) -> Iterable[list[int]]:
    """Places of asks that go together, no more at once than `MOST_NUMBERS`."""
    groups: dict[Hashable, list[int]] = {}
    for i, ask in enumerate(asks):
        groups.setdefault((alike(ask.model), ask.request), []).append(i)
    for group in groups.values():
        part: list[int] = []
        numbers = 0
        for i in group:
            more = len(asks[i].layout) * asks[i].samples
            if part and numbers + more > MOST_NUMBERS:
                yield part
                part, numbers = [], 0
            part.append(i)
            numbers += more
        yield part


def alike(model: Served) -> Hashable:
    """What is the same for models that differ in numbers only."""
    own = model.machine
    levels = tuple((is_near(level), shape(level)) for level in own.levels)
    rates = tuple(
        (kept, r.dtype, r.weight_bytes, r.cast, r.tiling is None)
        for kept, r in sorted(model.by_dtype.items())
    )
    return (id(model.arch), model.precision, model.engine.name, levels, rates)


def together(models: Sequence[Served], widths: Sequence[int]) -> Served:
    """One model whose figures are columns, `widths[i]` of each of `models`, which are alike."""
    first = models[0]

    def column(values: Sequence[Number]) -> Number:
        return _column(values, widths)

    own = [model.machine for model in models]
    shown = own[0].driver_bytes / own[0].memory_bytes  # of the kind of memory of the first
    machine = replace(
        own[0],
        memory_bytes=column([one.driver_bytes for one in own]) / shown,
        memory_bandwidth_bytes_per_s=column([one.memory_bandwidth_bytes_per_s for one in own]),
        levels=_joined([one.levels for one in own], column),
    )
    return replace(
        first,
        machine=machine,
        engine=_joined([model.engine for model in models], column),
        software=_joined([model.software for model in models], column),
        by_dtype=_joined([model.by_dtype for model in models], column),
        elapsed=column([model.elapsed for model in models]),
    )


def _column(values: Sequence[Number], widths: Sequence[int]) -> Number:
    """The values side by side, each as often as its width; one of them where all are the same."""
    first = values[0]
    rows = max(np.shape(value)[0] if np.ndim(value) else 0 for value in values)
    if not rows:
        alike = all(value == first for value in values)
        return first if alike else np.repeat(np.array(values), widths)
    if all(value is first or np.array_equal(value, first) for value in values):
        return first
    columns = [value if np.ndim(value) else np.full((rows, 1), value) for value in values]
    return np.repeat(np.concatenate(columns, axis=1), widths, axis=1)


def _joined(parts: Sequence[Any], column: Callable[[Sequence[Number]], Number]) -> Any:  # noqa: ANN401
    """Records of one kind as one record, number by number; words are those of the first."""
    first = parts[0]
    if isinstance(first, (bool, str)) or all(part is first for part in parts):
        return first
    if isinstance(first, (int, float, np.ndarray, np.generic)):
        return column(parts)
    if isinstance(first, tuple):
        return tuple(_joined(some, column) for some in zip(*parts, strict=True))
    if isinstance(first, dict):
        return {key: _joined([part[key] for part in parts], column) for key in first}
    if is_dataclass(first) or isinstance(first, msgspec.Struct):
        own_type: Any = type(first)
        names = _names(own_type)
        own = {name: _joined([getattr(part, name) for part in parts], column) for name in names}
        return own_type(**own)
    return first


def taken(whole: Any, at: slice | Number, count: int) -> Any:  # noqa: ANN401
    """The columns `at` of an array, or of every array of a record, that has `count` columns."""
    if isinstance(whole, np.ndarray):
        return whole[..., at] if whole.ndim and whole.shape[-1] == count else whole
    if is_dataclass(whole) and not isinstance(whole, type):
        kind: Any = type(whole)
        return kind(*[taken(getattr(whole, name), at, count) for name in _names(kind)])
    return whole


@cache
def _names(kind: Any) -> tuple[str, ...]:  # noqa: ANN401
    """The fields of a record."""
    if issubclass(kind, msgspec.Struct):
        return tuple(kind.__struct_fields__)
    return tuple(f.name for f in fields(kind))
