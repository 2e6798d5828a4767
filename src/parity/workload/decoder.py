"""What most decoders have in common, and how their layers are put together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from parity.workload.families import Reading
from parity.workload.fields import (
    EXPERTS,
    LAYERS,
    VOCABULARY,
    Config,
    divided,
    flag,
    integer,
    integers,
    number,
    words,
)
from parity.workload.parts import Operators
from parity.workload.parts.attention import Heads
from parity.workload.parts.common import embedding, head, norm
from parity.workload.parts.feedforward import Experts

#: Names of attention kinds in `layer_types`, and the names of blocks made from them.
KINDS = {
    "full_attention": "attention",
    "sliding_attention": "window",
    "chunked_attention": "chunk",
    "linear_attention": "linear",
}

#: Puts the operators of one layer around a mixer and a feed-forward network.
Join = Callable[[Operators, Operators], Operators]


def hidden(config: Config) -> int:
    """Width of the residual stream."""
    return integer(config, "hidden_size", "n_embd", "d_model")


def layers(config: Config) -> int:
    """Number of decoder layers."""
    return integer(config, "num_hidden_layers", "n_layer", "n_layers", "num_layers", most=LAYERS)


def vocabulary(config: Config, default: int | None = None) -> int:
    """Rows of the embedding table."""
    if default is None:
        return integer(config, "vocab_size", most=VOCABULARY)
    return integer(config, "vocab_size", default=default, most=VOCABULARY)


def inner(config: Config) -> int:
    """Width of the dense feed-forward network."""
    return integer(config, "intermediate_size", "ffn_dim", "n_inner", "ffn_hidden_size")


def window(config: Config) -> int:
    """Tokens a sliding layer sees; 0 if none is named."""
    return integer(config, "sliding_window", default=0, least=0, most=10**9)


def heads(config: Config) -> Heads:
    """Query and key-value heads; the dimension is hidden / heads unless it is named."""
    query = integer(config, "num_attention_heads", "n_head", "num_heads")
    key_value = integer(
        config, "num_key_value_heads", "num_kv_heads", "num_attention_groups", default=query
    )
    divided("num_attention_heads", query, "num_key_value_heads", key_value)
    named = integer(config, "head_dim", "attention_head_dim", default=0, least=0)
    dim = named or divided("hidden_size", hidden(config), "num_attention_heads", query)
    return Heads(query=query, key_value=key_value, qk=dim, v=dim)


def tied(config: Config, *, default: bool = False) -> bool:
    """Whether the projection to the vocabulary is the embedding table."""
    return flag(config, "tie_word_embeddings", default=default)


def dropout(config: Config) -> bool:
    """Whether hidden states pass dropout in training."""
    keys = ("resid_pdrop", "hidden_dropout", "hidden_dropout_prob", "dropout")
    return number(config, *keys, default=0.0, least=0.0, most=1.0) > 0


def experts_of(
    config: Config, *, inner_keys: Sequence[str] = ("moe_intermediate_size",)
) -> Experts:
    """Number, choice and width of routed experts under any of their usual names."""
    count = integer(
        config, "n_routed_experts", "num_local_experts", "num_experts", "moe_num_experts",
        most=EXPERTS,
    )  # fmt: skip
    active = integer(
        config, "num_experts_per_tok", "num_experts_per_token", "experts_per_token",
        "top_k_experts", "moe_topk", "moe_top_k", most=count,
    )  # fmt: skip
    groups = integer(config, "n_group", "num_expert_group", default=1, most=count)
    chosen = integer(config, "topk_group", default=groups, most=groups)
    return Experts(
        count=count, active=active, inner=integer(config, *inner_keys), reach=chosen / groups
    )


def dense_or_moe(config: Config, count: int) -> tuple[str, ...]:
    """Which layers are mixtures: `mlp_layer_types`, else `first_k_dense_replace` and
    `moe_layer_freq` as DeepSeek names them."""
    named = words(config, "mlp_layer_types", {"dense": "dense", "sparse": "moe"}, count)
    if named:
        return named
    if isinstance(config.get("moe_layer_freq"), list):
        return tuple(
            "moe" if f else "dense" for f in integers(config, "moe_layer_freq", count=count)
        )
    first = integer(config, "first_k_dense_replace", default=0, least=0, most=LAYERS)
    every = integer(config, "moe_layer_freq", default=1, most=LAYERS)
    return tuple("moe" if i >= first and i % every == 0 else "dense" for i in range(count))


def step_or_moe(config: Config, count: int) -> tuple[str, ...]:
    """Which layers are mixtures, by `decoder_sparse_step` and `mlp_only_layers` (Qwen)."""
    step = integer(config, "decoder_sparse_step", default=1, most=LAYERS)
    only = set(integers(config, "mlp_only_layers", most=LAYERS))
    return tuple("dense" if i in only or (i + 1) % step else "moe" for i in range(count))


def pre_norm(width: int, *, bias: bool = False, dropped: bool = False) -> Join:
    """A norm before the mixer and one before the feed-forward network."""

    def join(mixer: Operators, network: Operators) -> Operators:
        return (
            norm("input_norm", width, bias=bias, dropout=dropped),
            *mixer,
            norm("post_norm", width, bias=bias, dropout=dropped),
            *network,
        )

    return join


def combine(
    mixers: Mapping[str, Operators],
    networks: Mapping[str, Operators],
    mixer_of: Sequence[str],
    network_of: Sequence[str],
    join: Join,
) -> tuple[dict[str, Operators], tuple[str, ...]]:
    """Each kind of layer that occurs, named `mixer+network`, and the kind of each layer."""
    pairs = dict.fromkeys(zip(mixer_of, network_of, strict=True))
    blocks = {f"{m}+{n}": join(mixers[m], networks[n]) for m, n in pairs}
    return blocks, tuple(f"{m}+{n}" for m, n in zip(mixer_of, network_of, strict=True))


def reading(
    config: Config,
    blocks: dict[str, Operators],
    pattern: tuple[str, ...],
    *,
    attention: Heads | None = None,
    experts: Experts | None = None,
    tied_by_default: bool = False,
    head_bias: bool = False,
    norm_bias: bool = False,
) -> Reading:
    """A `Reading` with the usual embedding, final norm and projection to the vocabulary."""
    width, vocab = hidden(config), vocabulary(config)
    return Reading(
        hidden_size=width,
        vocab_size=vocab,
        embedding=embedding(vocab, width),
        blocks=blocks,
        pattern=pattern,
        head=head(
            width,
            vocab,
            tied=tied(config, default=tied_by_default),
            bias=head_bias,
            norm_bias=norm_bias,
        ),
        num_attention_heads=attention.query if attention else 0,
        num_key_value_heads=attention.key_value if attention else 0,
        num_experts=experts.count if experts else 0,
        num_experts_per_tok=experts.active if experts else 0,
    )
