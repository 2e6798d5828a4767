"""Layers with a state of fixed size: Mamba, Mamba-2, gated delta rules.

FLOPs are those of the recurrence written out: per element of the state one multiplication to
decay it, two operations to add what a token writes, two to read it out, and for the delta rules
two more to read what the key finds before it is replaced. A chunked kernel does about as many.
The short convolution costs two per tap and channel.
"""

from __future__ import annotations

from parity.record import Record
from parity.workload.operator import Elementwise, Linear, Recurrence
from parity.workload.parts import Operators


class Scan(Record, frozen=True, kw_only=True):
    """Shapes of a state-space layer."""

    inner: int
    state: int
    kernel: int
    bias: bool = False  # on the input and output projections
    convolution_bias: bool = True
    state_dtype: str = "fp32"
    rank: int = 0  # Mamba: of the time step
    norms: bool = False  # Mamba: norms on the time step, B and C (Jamba)
    heads: int = 0  # Mamba-2
    groups: int = 1  # Mamba-2: groups of B and C
    gated_norm: bool = True  # Mamba-2


class Delta(Record, frozen=True, kw_only=True):
    """Shapes of a gated delta-rule layer."""

    key_heads: int
    value_heads: int
    key_dim: int
    value_dim: int
    kernel: int
    state_dtype: str = "fp32"


def mamba(hidden: int, scan: Scan) -> Operators:
    """Selective state space (Mamba, arXiv 2312.00752)."""
    inner, state, rank = scan.inner, scan.state, scan.rank
    recurrence = Recurrence(
        name="scan",
        heads=inner,
        flop_per_token=inner * (7 * state + 2 * scan.kernel),
        state_elements=inner * state,
        convolution_state_elements=inner * (scan.kernel - 1),
        elements_per_token=4 * inner + 2 * state,
        saved_elements=2 * inner + 2 * state,
        parameters=inner * (state + 1 + scan.kernel + scan.convolution_bias)
        + (rank + 2 * state) * scan.norms,
        state_dtype=scan.state_dtype,
    )
    return (
        Linear(name="in_proj", inputs=hidden, outputs=2 * inner, bias=scan.bias, split="column"),
        Linear(
            name="x_proj", inputs=inner, outputs=rank + 2 * state, split="row", saves_input=False
        ),
        Linear(name="dt_proj", inputs=rank, outputs=inner, bias=True, split="column"),
        recurrence,
        Linear(name="out_proj", inputs=inner, outputs=hidden, bias=scan.bias, split="row"),
    )


def mamba2(hidden: int, scan: Scan) -> Operators:
    """State-space duality (Mamba-2, arXiv 2405.21060)."""
    inner, heads = scan.inner, scan.heads
    channels = inner + 2 * scan.groups * scan.state
    width = inner + channels + heads
    recurrence = Recurrence(
        name="scan",
        heads=heads,
        flop_per_token=5 * inner * scan.state + 2 * scan.kernel * channels,
        state_elements=inner * scan.state,
        convolution_state_elements=channels * (scan.kernel - 1),
        elements_per_token=channels + heads + inner,
        saved_elements=channels + heads,
        parameters=channels * (scan.kernel + scan.convolution_bias) + 3 * heads,
        state_dtype=scan.state_dtype,
    )
    return (
        Linear(
            name="in_proj",
            inputs=hidden,
            outputs=width,
            bias=scan.bias,
            split="column",
            shards=heads,
        ),
        recurrence,
        *((_gated_norm(inner, inner),) if scan.gated_norm else ()),
        Linear(
            name="out_proj",
            inputs=inner,
            outputs=hidden,
            bias=scan.bias,
            split="row",
            shards=heads,
        ),
    )


def gated_delta(hidden: int, shape: Delta) -> Operators:
    """Gated DeltaNet (arXiv 2412.06464), as in Qwen3-Next."""
    values = shape.value_heads * shape.value_dim
    channels = 2 * shape.key_heads * shape.key_dim + values
    scalars = 2 * shape.value_heads
    inputs = (
        Linear(
            name="in_proj",
            inputs=hidden,
            outputs=channels + values,
            split="column",
            shards=shape.key_heads,
        ),
        Linear(
            name="gates_proj",
            inputs=hidden,
            outputs=scalars,
            split="column",
            shards=shape.key_heads,
            saves_input=False,
        ),
    )
    return (
        *inputs,
        delta_rule(shape, channels=channels, gates=scalars, parameters=scalars),
        _gated_norm(values, shape.value_dim),
        _delta_output(hidden, shape),
    )


def kimi_delta(hidden: int, shape: Delta, *, full_rank_gate: bool) -> Operators:
    """Kimi delta attention (arXiv 2510.26692): the decay is per channel instead of per head."""
    width, dim, heads = shape.value_heads * shape.value_dim, shape.value_dim, shape.value_heads
    inputs: list[Linear] = [
        Linear(name="qkv_proj", inputs=hidden, outputs=3 * width, split="column", shards=heads),
        Linear(name="beta_proj", inputs=hidden, outputs=heads, split="column", shards=heads,
               saves_input=False),
        Linear(name="decay_a_proj", inputs=hidden, outputs=dim, saves_input=False),
        Linear(name="decay_b_proj", inputs=dim, outputs=width, split="column", shards=heads),
    ]  # fmt: skip
    if full_rank_gate:
        inputs.append(
            Linear(name="gate_proj", inputs=hidden, outputs=width, split="column", shards=heads,
                   saves_input=False)
        )  # fmt: skip
    else:
        inputs += [
            Linear(name="gate_a_proj", inputs=hidden, outputs=dim, saves_input=False),
            Linear(name="gate_b_proj", inputs=dim, outputs=width, split="column", shards=heads),
        ]
    return (
        *inputs,
        delta_rule(shape, channels=3 * width, gates=width + heads, parameters=width + heads),
        _gated_norm(width, dim),
        _delta_output(hidden, shape),
    )


def delta_rule(shape: Delta, *, channels: int, gates: int, parameters: int) -> Recurrence:
    """The scan of a gated delta rule; `channels` pass the short convolution."""
    state = shape.value_heads * shape.key_dim * shape.value_dim
    return Recurrence(
        name="delta_rule",
        heads=shape.key_heads,
        flop_per_token=7 * state + 2 * shape.kernel * channels,
        state_elements=state,
        convolution_state_elements=channels * (shape.kernel - 1),
        elements_per_token=channels + gates + shape.value_heads * shape.value_dim,
        saved_elements=2 * channels + gates,
        parameters=channels * shape.kernel + parameters,
        state_dtype=shape.state_dtype,
    )


def _gated_norm(width: int, parameters: int) -> Elementwise:
    return Elementwise(
        name="gated_norm",
        read_elements=2 * width,
        written_elements=width,
        saved_elements=2 * width,
        split="heads",
        parameters=parameters,
    )


def _delta_output(hidden: int, shape: Delta) -> Linear:
    return Linear(
        name="out_proj",
        inputs=shape.value_heads * shape.value_dim,
        outputs=hidden,
        split="row",
        shards=shape.key_heads,
    )
