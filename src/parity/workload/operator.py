"""The kinds of work one layer does for each token.

An `Architecture` is blocks of identical layers, a layer is a tuple of operators, and everything
else follows from them: parameters, FLOPs, bytes, cache, activations, and how each is divided over
chips. Operators hold sizes for one token and the whole (undivided) model; nothing here knows a
chip or a layout.

Letters used in formulas: B sequences, T tokens of a sequence, D hidden, F feed-forward, N query
heads, K key-value heads, H head dimension, E experts, V vocabulary.
"""

from __future__ import annotations

from typing import Literal

from parity.record import Finding, Record

#: How tensor parallelism divides an operator.
#: `column`  the outputs are divided, the input is whole on every chip of the group
#: `row`     the inputs are divided, the output is a sum over the group
#: `heads`   whole heads are divided (attention, recurrence, gated elementwise work)
#: `vocab`   the vocabulary is divided
#: `none`    every chip of the group does all of it (divided along the sequence if that is on)
Split = Literal["column", "row", "heads", "vocab", "none"]


class Linear(Record, frozen=True, tag="linear"):
    """A matrix product: each token's `inputs` features become `outputs` features.

    With `experts` > 1 it is a grouped product: `experts` separate matrices, of which each token
    uses `active`. With `groups` > 1 each matrix is block diagonal.
    """

    name: str
    inputs: int
    outputs: int
    bias: bool = False
    split: Split = "none"
    shards: int = 0  # ways it can be divided before copies begin; 0 means no limit
    experts: int = 1
    active: int = 1
    groups: int = 1
    matrices: int = 1  # products it stands for where a framework does not fuse them
    reach: float = 1.0  # share of the experts among which a token's are chosen (group-limited)
    tied: bool = False  # the matrix is another operator's: no parameters of its own
    saves_input: bool = True  # its input is kept for the backward pass, and nobody else keeps it
    dtype: str = ""  # as the checkpoint stores it; "" means the architecture's `weight_dtype`
    frozen: bool = False  # not trained: no gradient of its weights

    @property
    def matrix_parameters(self) -> int:
        """Weights of one matrix, bias left out."""
        return self.inputs * self.outputs // self.groups

    @property
    def parameters(self) -> int:
        """All parameters, of all experts; 0 for a tied matrix."""
        weights = 0 if self.tied else self.matrix_parameters
        return self.experts * (weights + self.outputs * self.bias)

    @property
    def active_parameters(self) -> int:
        """Parameters one token uses. A tied matrix counts nothing here."""
        return self.parameters // self.experts * self.active


class Attention(Record, frozen=True, tag="attention"):
    """Softmax attention over the cached context.

    `qk_head_dim` and `v_head_dim` are what training and prefill multiply. With a latent cache
    (MLA) decoding multiplies in the latent space instead: `decode_*` say so, else they are 0.
    """

    name: str
    query_heads: int
    key_value_heads: int
    qk_head_dim: int
    v_head_dim: int
    cache_elements: int  # kept per cached entry, all heads; 0 where another layer's cache is read
    cache_shards: int  # ways the cache divides before copies begin (1 for a latent cache)
    window: int = 0  # tokens seen at most; 0 means the whole context
    selected: int = 0  # entries a query reads at most (sparse attention); 0 means all
    compression: int = 1  # tokens per cached entry
    causal: bool = True
    decode_qk_dim: int = 0
    decode_v_dim: int = 0
    cache_dtype: str = ""  # where it is fixed by the model (an fp8 index cache); else the KV dtype
    parameters: int = 0  # sinks and other learned scalars
    chunked: bool = False  # the window is a fixed chunk of positions, not one that slides
    saves_query: bool = True  # False where another operator keeps the same queries
    split: Split = "heads"  # "none" for an index that every chip of the group computes
    frozen: bool = False

    @property
    def active_parameters(self) -> int:
        """Parameters one token uses."""
        return self.parameters


class Recurrence(Record, frozen=True, tag="recurrence"):
    """A scan with a state of fixed size: state-space models, linear attention, delta rules."""

    name: str
    heads: int
    flop_per_token: int  # scan and short convolution, forward
    state_elements: int  # kept per sequence
    convolution_state_elements: int = 0
    elements_per_token: int = 0  # read and written per token besides the state
    saved_elements: int = 0  # kept per token for the backward pass
    parameters: int = 0
    state_dtype: str = "fp32"  # of `state_elements`; the convolution's is the KV dtype
    frozen: bool = False

    @property
    def active_parameters(self) -> int:
        """Parameters one token uses."""
        return self.parameters


class Elementwise(Record, frozen=True, tag="elementwise"):
    """Work bound by memory: norms, activations, residuals, rotary embedding, routing."""

    name: str
    read_elements: int  # per token
    written_elements: int  # per token
    saved_elements: int = 0  # kept per token for the backward pass
    saved_mask_elements: int = 0  # one-byte masks kept per token (dropout)
    split: Split = "none"
    active: int = 1  # copies of a token that reach it (routed experts)
    parameters: int = 0
    frozen: bool = False

    @property
    def active_parameters(self) -> int:
        """Parameters one token uses."""
        return self.parameters


class Lookup(Record, frozen=True, tag="lookup"):
    """A row of a table for each token: embeddings."""

    name: str
    rows: int
    width: int
    split: Split = "vocab"
    per_layer: bool = False
    frozen: bool = False

    @property
    def parameters(self) -> int:
        """The whole table."""
        return self.rows * self.width

    @property
    def active_parameters(self) -> int:
        """The whole table: counted as active, as model cards mostly do."""
        return self.parameters


Operator = Linear | Attention | Recurrence | Elementwise | Lookup


class Block(Record, frozen=True):
    """`count` identical layers."""

    name: str  # "attention+dense", "attention+moe", "mamba"
    count: int
    operators: tuple[Operator, ...]


class Architecture(Record, frozen=True):
    """A model, as the work it is."""

    name: str
    model_type: str
    hidden_size: int
    vocab_size: int
    num_hidden_layers: int
    max_position_embeddings: int  # 0 where the configuration names none
    embedding: tuple[Operator, ...]  # before the first layer
    blocks: tuple[Block, ...]
    order: tuple[int, ...]  # the block of each layer, first to last
    head: tuple[Operator, ...]  # after the last layer: final norm, projection to the vocabulary
    num_nextn_predict_layers: int = 0  # multi-token-prediction layers, not counted in `blocks`
    num_attention_heads: int = 0  # what tensor parallelism must divide
    num_key_value_heads: int = 0
    num_experts: int = 0
    num_experts_per_tok: int = 0
    weight_dtype: str = "bf16"  # as the checkpoint stores most weights
    kv_dtype: str = "bf16"
    weight_block: int = 0  # features that share one scale, where weights are scaled in blocks
    findings: tuple[Finding, ...] = ()
    source: str = ""
