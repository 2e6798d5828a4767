"""Feed-forward networks: gated, plain, and mixtures of experts."""

from __future__ import annotations

from parity.record import Record
from parity.workload.operator import Elementwise, Linear
from parity.workload.parts import Operators
from parity.workload.parts.common import norm


class Experts(Record, frozen=True, kw_only=True):
    """A mixture of experts, as a configuration describes it."""

    count: int  # E
    active: int  # routed to each token
    inner: int  # feed-forward size of one expert
    gated: bool = True
    bias: bool = False  # on the experts' matrices
    router_bias: bool = False  # on the router's matrix
    correction: bool = False  # a learned bias per expert that only steers the choice
    scales: int = 0  # other learned scalars of the router
    shared_inner: int = 0  # feed-forward size of all shared experts together
    shared_gate: bool = False  # the shared experts' output is gated by one learned scalar product
    reach: float = 1.0  # share of the groups of experts that a token may be routed to
    latent: int = 0  # width the routed experts work in; 0 means the hidden size
    latent_norm: bool = False


def gated(
    hidden: int, inner: int, *, bias: bool = False, prefix: str = "", saves_input: bool = True
) -> Operators:
    """Gate and up in one product, the activation of their halves, down (SwiGLU, GeGLU)."""
    return (
        Linear(
            name=f"{prefix}gate_up_proj",
            inputs=hidden,
            outputs=2 * inner,
            bias=bias,
            split="column",
            matrices=2,
            saves_input=saves_input,
        ),
        _activation(f"{prefix}activation", inner, halves=2),
        Linear(name=f"{prefix}down_proj", inputs=inner, outputs=hidden, bias=bias, split="row"),
    )


def plain(
    hidden: int, inner: int, *, bias: bool = False, prefix: str = "", saves_input: bool = True
) -> Operators:
    """Up, activation, down (GELU, ReLU)."""
    return (
        Linear(
            name=f"{prefix}up_proj",
            inputs=hidden,
            outputs=inner,
            bias=bias,
            split="column",
            saves_input=saves_input,
        ),
        _activation(f"{prefix}activation", inner, halves=1),
        Linear(name=f"{prefix}down_proj", inputs=inner, outputs=hidden, bias=bias, split="row"),
    )


def mixture(hidden: int, experts: Experts) -> Operators:
    """Router, dispatch, the routed experts, combination, and the shared experts beside them.

    The router keeps the layer's input for the backward pass; the experts keep the copies sent to
    them. The router's weights are applied inside the experts, so that the combination keeps
    nothing.
    """
    width = experts.latent or hidden
    down: Operators = ()
    up: Operators = ()
    if experts.latent:
        down = (Linear(name="latent_down_proj", inputs=hidden, outputs=width, saves_input=False),)
        up = (Linear(name="latent_up_proj", inputs=width, outputs=hidden),)
        if experts.latent_norm:
            up = (norm("latent_norm", width, residual=False), *up)
    return (
        Linear(name="router", inputs=hidden, outputs=experts.count, bias=experts.router_bias),
        *down,
        _dispatch(width, experts),
        *_routed(width, experts),
        Elementwise(
            name="combine",
            read_elements=experts.active * width,
            written_elements=width,
        ),
        *up,
        *_shared(hidden, experts),
    )


def _activation(name: str, inner: int, *, halves: int, active: int = 1) -> Elementwise:
    return Elementwise(
        name=name,
        read_elements=halves * inner,
        written_elements=inner,
        saved_elements=halves * inner,
        split="column",
        active=active,
    )


def _dispatch(width: int, experts: Experts) -> Elementwise:
    return Elementwise(
        name="dispatch",
        read_elements=experts.count + width,
        written_elements=experts.active * width,
        saved_elements=experts.count,
        parameters=experts.count * experts.correction + experts.scales,
    )


def _routed(width: int, experts: Experts) -> Operators:
    halves = 2 if experts.gated else 1
    return (
        Linear(
            name="experts_gate_up_proj" if experts.gated else "experts_up_proj",
            inputs=width,
            outputs=halves * experts.inner,
            bias=experts.bias,
            split="column",
            matrices=halves,
            experts=experts.count,
            active=experts.active,
            reach=experts.reach,
        ),
        _activation("experts_activation", experts.inner, halves=halves, active=experts.active),
        Linear(
            name="experts_down_proj",
            inputs=experts.inner,
            outputs=width,
            bias=experts.bias,
            split="row",
            experts=experts.count,
            active=experts.active,
            reach=experts.reach,
        ),
    )


def _shared(hidden: int, experts: Experts) -> Operators:
    if not experts.shared_inner:
        return ()
    build = gated if experts.gated else plain
    network = build(hidden, experts.shared_inner, prefix="shared_", saves_input=False)
    if experts.shared_gate:
        gate = Linear(name="shared_gate", inputs=hidden, outputs=1, saves_input=False)
        return (*network, gate)
    return network
