"""What is said of models: one counted in full, or all the bundled ones side by side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from parity.outputs.document import Document, Fields, Table
from parity.outputs.envelope import Answer
from parity.record import Finding, Record
from parity.units import render
from parity.workload import count, flop
from parity.workload.find import Bundled
from parity.workload.operator import Architecture, Attention, Block, Recurrence


class Parameters(Record, frozen=True):
    """How many there are, and how many one token uses."""

    total: int
    active: int


class Published(Record, frozen=True):
    """What somebody says of a model's size."""

    total: float
    active: float | None
    provenance: str
    source: str


class BlockCount(Record, frozen=True):
    """`count` identical layers, the parameters of each, and what they mix tokens with."""

    name: str
    count: int
    parameters: Parameters
    mixing: str


class FlopPerToken(Record, frozen=True):
    """FLOPs per token at the context asked for."""

    prefill: float
    decode: float
    training: float


class ModelCount(Record, frozen=True, kw_only=True):
    """Everything counted of one model."""

    name: str
    model_type: str
    source: str
    parameters: Parameters
    published: Published | None
    layers: int
    max_position_embeddings: int
    blocks: tuple[BlockCount, ...]
    weight_dtype: str
    weight_bytes: float
    kv_dtype: str
    kv_bytes_per_token: float  # every layer keeps every token
    state_bytes: float  # of one sequence, whatever its length
    context_tokens: int
    cache_bytes: float  # of one sequence of that length, windows and compression counted
    flop_per_token: FlopPerToken
    findings: tuple[Finding, ...]


def count_model(
    architecture: Architecture, context: int, kv: str = "", published: Bundled | None = None
) -> ModelCount:
    """Count `architecture`; cache and FLOPs at a length of `context` tokens.

    kv: dtype of the cache, else the model's own. Raises `UnknownName` for an unknown dtype.
    """
    return ModelCount(
        name=architecture.name,
        model_type=architecture.model_type,
        source=architecture.source,
        parameters=_parameters(architecture),
        published=_published(published),
        layers=architecture.num_hidden_layers,
        max_position_embeddings=architecture.max_position_embeddings,
        blocks=tuple(_block(block) for block in architecture.blocks),
        weight_dtype=architecture.weight_dtype,
        weight_bytes=count.weight_bytes(architecture),
        kv_dtype=kv or architecture.kv_dtype,
        kv_bytes_per_token=float(count.kv_bytes_per_token(architecture, kv)),
        state_bytes=count.state_bytes(architecture, kv),
        context_tokens=context,
        cache_bytes=float(count.cache_bytes(architecture, context, kv)),
        flop_per_token=FlopPerToken(
            prefill=float(flop.flop_per_token(architecture, context, "prefill")),
            decode=float(flop.flop_per_token(architecture, context, "decode")),
            training=float(flop.flop_per_token(architecture, context, "training")),
        ),
        findings=architecture.findings,
    )


def model_answer(counted: ModelCount) -> Answer:
    """One model in full."""
    total, active = counted.parameters.total, counted.parameters.active
    share = "all of them active" if active == total else f"{render(active, '1', 4)} of them active"
    kept = render(counted.cache_bytes + counted.state_bytes, "byte")
    blocks = Table(
        columns=("layers", "count", "parameters each", "attention"),
        rows=tuple(
            (b.name, str(b.count), render(b.parameters.total, "1", 4), b.mixing)
            for b in counted.blocks
        ),
        align="lrrl",
    )
    document = Document(
        sentence=f"{counted.name} has {render(total, '1', 4)} parameters, {share}; a sequence of "
        f"{counted.context_tokens:,} tokens keeps {kept} of {counted.kv_dtype} cache.",
        parts=(Fields(rows=tuple(_fields(counted))), blocks),
        findings=counted.findings,
        sources=(counted.source,) if counted.source else (),
    )
    return Answer(command="models", content=msgspec.structs.asdict(counted), document=document)


def models_answer(architectures: Iterable[Architecture]) -> Answer:
    """Many models, one a row."""
    found = tuple(architectures)
    content = {
        "models": [
            {
                "name": one.name,
                "parameters": _parameters(one),
                "layers": one.num_hidden_layers,
                "kv_bytes_per_token": count.kv_bytes_per_token(one),
                "max_position_embeddings": one.max_position_embeddings,
            }
            for one in found
        ]
    }
    table = Table(
        columns=("model", "parameters", "active", "layers", "cache per token", "context"),
        rows=tuple(_row(one) for one in found),
        align="lrrrrr",
    )
    document = Document(
        sentence=f"{len(found)} models are bundled; any config.json or Hugging Face id serves too.",
        parts=(table,),
        next=(f"parity models {found[0].name} --at 32k",) if found else (),
    )
    return Answer(command="models", content=content, document=document)


def _row(one: Architecture) -> tuple[str, ...]:
    size = _parameters(one)
    longest = one.max_position_embeddings
    return (
        one.name,
        render(size.total, "1", 4),
        render(size.active, "1", 4) if size.active != size.total else "all",
        str(one.num_hidden_layers),
        render(float(count.kv_bytes_per_token(one)), "byte"),
        f"{longest:,}" if longest else "",
    )


def _fields(counted: ModelCount) -> Iterator[tuple[str, str]]:
    total, active = counted.parameters.total, counted.parameters.active
    yield "parameters", f"{total:,}" + (f", active {active:,}" if active != total else "")
    if counted.published:
        yield "published", _compared(counted.published, total)
    yield "weights", f"{render(counted.weight_bytes, 'byte', 4)} as stored, {counted.weight_dtype}"
    yield "cache", f"{render(counted.kv_bytes_per_token, 'byte', 4)} a token where all is kept"
    if counted.state_bytes:
        yield "state", f"{render(counted.state_bytes, 'byte', 4)} a sequence, whatever its length"
    work = counted.flop_per_token
    for phase, value in (("training", work.training), ("prefill", work.prefill)):
        yield phase, f"{_flop(value)} a token, sequences of {counted.context_tokens:,}"
    yield "decode", f"{_flop(work.decode)} a token after {counted.context_tokens:,}"


def _flop(value: float) -> str:
    return render(value, "FLOP/s", 4).removesuffix("/s")


def _compared(published: Published, counted: int) -> str:
    if published.total == counted:
        return f"the same ({published.provenance}: {published.source})"
    size = render(published.total, "1", 4)
    apart = f"counted {counted / published.total - 1:+.2%}"
    return f"{size}, {apart} ({published.provenance}: {published.source})"


def _published(about: Bundled | None) -> Published | None:
    if about is None or about.published_total is None:
        return None
    return Published(
        total=about.published_total,
        active=about.published_active,
        provenance=about.published_status,
        source=about.published_source,
    )


def _parameters(architecture: Architecture) -> Parameters:
    return Parameters(count.parameters(architecture), count.active_parameters(architecture))


def _block(block: Block) -> BlockCount:
    total = sum(op.parameters for op in block.operators)
    active = sum(op.active_parameters for op in block.operators)
    mixers = [op for op in block.operators if isinstance(op, (Attention, Recurrence))]
    words = [_words(op) if len(mixers) == 1 else f"{op.name}: {_words(op)}" for op in mixers]
    return BlockCount(block.name, block.count, Parameters(total, active), "; ".join(words))


def _words(operator: Attention | Recurrence) -> str:
    """What mixes the tokens of a layer, in a few words."""
    if isinstance(operator, Recurrence):
        return f"{operator.heads} heads with a state"
    heads = f"{operator.query_heads} heads over {operator.key_value_heads}"
    words = f"{heads} of {operator.qk_head_dim}"
    if operator.window:
        words += f", window {operator.window:,}"
    if operator.selected:
        words += f", {operator.selected:,} entries selected"
    return words
