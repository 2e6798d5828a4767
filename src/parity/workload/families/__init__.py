"""How each `model_type` is read: one file a family group, found by being here.

A reader takes the text part of a configuration and returns its layers as operators. To add a
family, add a file with a function under `@family("its_model_type")`.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable

from parity.record import Finding, Record
from parity.workload.fields import Config
from parity.workload.parts import Operators


class Reading(Record, frozen=True, kw_only=True):
    """What a family's reader makes of a configuration."""

    hidden_size: int
    vocab_size: int
    embedding: Operators
    blocks: dict[str, Operators]  # each kind of layer, by name
    pattern: tuple[str, ...]  # the kind of each layer, first to last
    head: Operators
    num_attention_heads: int = 0
    num_key_value_heads: int = 0
    num_experts: int = 0
    num_experts_per_tok: int = 0
    findings: tuple[Finding, ...] = ()


Reader = Callable[[Config], Reading]

_READERS: dict[str, Reader] = {}
_unread = [module.name for module in pkgutil.iter_modules(__path__)]


def family(*model_types: str) -> Callable[[Reader], Reader]:
    """Makes the decorated function the reader of `model_types`."""

    def register(reader: Reader) -> Reader:
        _READERS.update(dict.fromkeys(model_types, reader))
        return reader

    return register


def reader(*model_types: str) -> Reader | None:
    """The reader of the first of `model_types` that is known.

    Family files are imported one after the other until one claims it.
    """
    for model_type in filter(None, model_types):
        while model_type not in _READERS and _unread:
            importlib.import_module(f"{__name__}.{_unread.pop()}")
        if model_type in _READERS:
            return _READERS[model_type]
    return None
