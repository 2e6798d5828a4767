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
    from parity.api.cost import cost
    from parity.api.design import design
    from parity.api.fab import fab
    from parity.api.match import match
    from parity.api.outlook import outlook
    from parity.api.rules import rules
    from parity.api.serve import plan_serve
    from parity.api.train import plan_train
    from parity.api.why import why
    from parity.errors import ParityError
    from parity.outputs.accuracy import validate

__all__ = [
    "ParityError", "cost", "design", "fab", "match", "outlook", "plan_serve", "plan_train",
    "rules", "validate", "why",
]  # fmt: skip

_WHERE = {
    "ParityError": "parity.errors",
    "cost": "parity.api.cost",
    "design": "parity.api.design",
    "fab": "parity.api.fab",
    "match": "parity.api.match",
    "outlook": "parity.api.outlook",
    "plan_serve": "parity.api.serve",
    "plan_train": "parity.api.train",
    "rules": "parity.api.rules",
    "validate": "parity.outputs.accuracy",
    "why": "parity.api.why",
}


def __getattr__(name: str) -> object:
    if name not in _WHERE:
        raise AttributeError(f"module 'parity' has no attribute {name!r}")
    return getattr(import_module(_WHERE[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
