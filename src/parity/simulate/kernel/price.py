"""The time of a step, read from its table."""

from __future__ import annotations

from parity.simulate.kernel.compiled import njit
from parity.simulate.kernel.state import Row
from parity.workload.traffic import Floats


@njit
def step_time(
    tables: Floats, engine: Row, decoding: float, context: float, prompt: float, keys: float
) -> tuple[float, bool]:
    """Seconds of a step, and whether it lies beyond the table.

    decoding: sequences; context: their mean; prompt: tokens; keys: mean that one of them sees.
    """
    i, x = _locate(tables, engine.decoding, engine.decodings, decoding)
    j, y = _locate(tables, engine.prompt, engine.prompts, prompt)
    time = _between(tables, engine.base_s, engine.prompts, i, x, j, y)
    beyond = x > 1 or y > 1
    if decoding > 0:
        k, z = _locate(tables, engine.context, engine.contexts, context)
        time += _between(tables, engine.decode_attention_s, engine.contexts, i, x, k, z)
        beyond = beyond or z > 1
    if prompt > 0:
        k, z = _locate(tables, engine.keys, engine.keyss, keys)
        time += _between(tables, engine.prompt_attention_s, engine.keyss, j, y, k, z)
        beyond = beyond or z > 1
    return max(time, 0.0), beyond


@njit
def _locate(tables: Floats, start: int, length: int, value: float) -> tuple[int, float]:
    """The interval of an axis that `value` lies in, and how far into it: 0 to 1, beyond above."""
    low, high = 0, length - 1
    while high - low > 1:
        middle = (low + high) // 2
        if tables[start + middle] <= value:
            low = middle
        else:
            high = middle
    least = tables[start + low]
    return low, max(0.0, (value - least) / (tables[start + low + 1] - least))


@njit
def _between(tables: Floats, start: int, width: int, i: int, x: float, j: int, y: float) -> float:
    at = start + i * width + j
    near = tables[at] + y * (tables[at + 1] - tables[at])
    at += width
    far = tables[at] + y * (tables[at + 1] - tables[at])
    return float(near + x * (far - near))
