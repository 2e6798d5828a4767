"""What a served model is stored and multiplied in."""

from __future__ import annotations

from parity.record import Record
from parity.workload.dtype import DTYPE_BYTES
from parity.workload.operator import Architecture, Linear, Operator

HALVES = ("bf16", "fp16")
#: A narrow format and the one it is multiplied in, where that has another name.
MULTIPLIED = {"mxfp8": "fp8", "nvfp4": "fp4", "mxfp4": "fp4"}
#: Small products that every recipe keeps wide.
_WIDE = ("router", "shared_gate", "index_weights_proj")


class Precision(Record, frozen=True):
    """Dtypes of a served model.

    weights: of the products inside the layers. kv: of the cache. weight_only: products run in 16
    bits and widen the weights as they read them, even where the chip multiplies narrower ones.
    """

    weights: str
    kv: str
    half: str = "bf16"  # of everything else
    weight_only: bool = False


def stored(op: Operator, arch: Architecture, precision: Precision, *, outside: bool) -> str:
    """The dtype in which a served model keeps `op`. Embedding and head (`outside`) stay wide.

    A checkpoint that is quantised already and served in its own dtype keeps what it keeps;
    quantising anything else leaves the router wide.
    """
    if outside or not isinstance(op, Linear) or op.name in _WIDE:
        return precision.half
    if precision.weights == arch.weight_dtype:
        own = op.dtype or arch.weight_dtype
        return precision.half if own in HALVES or DTYPE_BYTES[own] > 2 else own
    if op.dtype in HALVES and arch.weight_dtype not in HALVES:
        return precision.half  # the checkpoint keeps it wide for a reason
    return precision.half if DTYPE_BYTES[precision.weights] >= 2 else precision.weights
