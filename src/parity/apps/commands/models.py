"""`parity models`: what a model is made of."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from parity.outputs import models as counting
from parity.outputs.envelope import Answer
from parity.units import parse_length
from parity.workload.dtype import dtype
from parity.workload.find import bundled, model, names


def models(
    name: Annotated[
        str | None, Parameter(help="A bundled name, a config.json, its folder, or owner/name.")
    ] = None,
    /,
    *,
    at: Annotated[str, Parameter(help="Tokens of a sequence, for cache and FLOPs.")] = "8k",
    kv: Annotated[str | None, Parameter(help="Dtype of the cache; else the model's own.")] = None,
) -> Answer:
    """Count a model: parameters, cache, FLOPs."""
    context = parse_length(at, "--at")
    cache = dtype(kv) if kv is not None else ""
    if name is None:
        return counting.models_answer(model(each) for each in names())
    architecture = model(name)
    counted = counting.count_model(architecture, context, cache, bundled().get(architecture.name))
    return counting.model_answer(counted)
