"""The operators that layers are built of, each as inference and training engines fuse them."""

from __future__ import annotations

from parity.workload.operator import Operator

Operators = tuple[Operator, ...]
