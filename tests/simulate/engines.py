"""Engines, tables and checks that the tests share."""

from __future__ import annotations

import numpy as np

from parity.simulate.records import Engine, Pool, StepTable, constant_table
from parity.workload.traffic import Traffic


def engine(**settings):
    return Engine(**{"kv_blocks": 100_000, "token_budget": 2048, "max_sequences": 64} | settings)


def pool(table=None, replicas=1, routing="least_loaded", **settings):
    return Pool(
        engine=engine(**settings),
        table=table or constant_table(0.01, 1e-5),
        replicas=replicas,
        routing=routing,
    )


def traffic(arrivals, inputs, outputs, **more):
    count = len(arrivals)
    return Traffic(
        arrival_s=np.asarray(arrivals, float),
        input_tokens=np.broadcast_to(np.asarray(inputs, np.int64), count).copy(),
        output_tokens=np.broadcast_to(np.asarray(outputs, np.int64), count).copy(),
        **more,
    )


#: Times that grow with everything, so that an error in any argument shows.
DECODING = np.array([0.0, 1, 8, 64])
PROMPT = np.array([0.0, 1, 100, 4096])
LENGTH = np.array([0.0, 1000, 100_000])
FULL_TABLE = StepTable(
    decoding=DECODING,
    prompt=PROMPT,
    context=LENGTH,
    keys=LENGTH,
    base_s=2e-3 + 1e-5 * DECODING[:, None] + 2e-6 * PROMPT,
    decode_attention_s=1e-8 * DECODING[:, None] * LENGTH,
    prompt_attention_s=1e-10 * PROMPT[:, None] * LENGTH,
)


def full_time(decoding, context, prompt, keys):
    """What FULL_TABLE says, where it is bilinear."""
    return (
        2e-3 + 1e-5 * decoding + 2e-6 * prompt
        + 1e-8 * decoding * context + 1e-10 * prompt * keys
    )  # fmt: skip
