"""Parity plans AI compute on the chips you can actually get.

    >>> import parity
    >>> answer = parity.match("llama-3.1-70b", have="1024xh100", want="h20", train=True)

Answers have `.to_dict()`, `.explain()` and, in notebooks, a card. Everything here is imported
when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from parity.api import match, plan_train
    from parity.api_rules import rules
    from parity.api_serve import plan_serve
    from parity.api_why import why
    from parity.costing import cost
    from parity.errors import ParityError
    from parity.fab_questions import fab
    from parity.outputs.accuracy import validate

__all__ = [
    "ParityError", "cost", "fab", "match", "plan_serve", "plan_train", "rules", "validate", "why",
]  # fmt: skip

_WHERE = {
    "ParityError": "parity.errors",
    "cost": "parity.costing",
    "fab": "parity.fab_questions",
    "match": "parity.api",
    "plan_serve": "parity.api_serve",
    "plan_train": "parity.api",
    "rules": "parity.api_rules",
    "validate": "parity.outputs.accuracy",
    "why": "parity.api_why",
}


def __getattr__(name: str) -> object:
    if name not in _WHERE:
        raise AttributeError(f"module 'parity' has no attribute {name!r}")
    return getattr(import_module(_WHERE[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
