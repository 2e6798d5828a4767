"""What the forward pass keeps for the backward pass, per token and operator, all chips together.

A GPT layer at 16 bits keeps 34 bytes per token and unit of hidden size with two dropout masks,
32 without, attention scores not counted (Korthikanti et al. 2022, arXiv 2205.05198, eq. 1).
"""

from __future__ import annotations

from parity.workload.operator import Attention, Elementwise, Linear, Operator, Recurrence

HALF_BYTES = 2.0
#: Module of Megatron-Core's `--recompute-modules` -> the operators whose kept tensors it drops and
#: makes again: inputs of products, or what attention and activations take.
MADE_AGAIN: dict[str, frozenset[str]] = {
    "core_attn": frozenset(),  # the score matrix, which is no operator's input
    "mla_up_proj": frozenset({"attention"}),
    "moe_act": frozenset({"experts_down_proj", "shared_down_proj"}),
    "layernorm": frozenset({"q_proj", "q_a_proj", "in_proj", "gate_up_proj", "up_proj", "router"}),
    "mlp": frozenset({"activation", "down_proj"}),
    "moe": frozenset(
        {
            "dispatch", "experts_gate_up_proj", "experts_up_proj", "experts_activation",
            "experts_down_proj", "shared_activation", "shared_down_proj", "latent_up_proj",
        }
    ),
}  # fmt: skip


def saved_elements(operator: Operator) -> int:
    """Elements kept per token: inputs of products, norms and activations; queries, keys, values."""
    if isinstance(operator, Linear):
        return operator.inputs * operator.active if operator.saves_input else 0
    if isinstance(operator, Attention):
        queries = operator.query_heads * operator.qk_head_dim * operator.saves_query
        keys_values = operator.qk_head_dim + operator.v_head_dim
        return queries + operator.key_value_heads * keys_values
    if isinstance(operator, Elementwise):
        return operator.saved_elements * operator.active
    return operator.saved_elements if isinstance(operator, Recurrence) else 0


def saved_bytes(operator: Operator, input_bytes: float = HALF_BYTES) -> float:
    """Bytes kept per token: elements of 16 bits, inputs of products of `input_bytes`, masks of one.

    The projection to the vocabulary stays at 16 bits. Attention keeps its output where the product
    after it keeps a narrower copy [NVIDIA Transformer Engine].
    """
    kept = saved_elements(operator)
    if isinstance(operator, Linear):
        return kept * (HALF_BYTES if operator.split == "vocab" else input_bytes)
    if isinstance(operator, Attention) and input_bytes < HALF_BYTES:
        kept += operator.query_heads * operator.v_head_dim
    masks = operator.saved_mask_elements if isinstance(operator, Elementwise) else 0
    return kept * HALF_BYTES + masks


def is_made_again(operator: Operator, modules: tuple[str, ...]) -> bool:
    """Whether recomputing `modules` drops what the operator keeps.

    Latent attention alone makes its queries, keys and values from something smaller.
    """
    if isinstance(operator, Attention) and not operator.decode_qk_dim:
        return False
    return any(operator.name in MADE_AGAIN.get(module, ()) for module in modules)


def product_outputs(operators: tuple[Operator, ...], every: int) -> dict[Operator, int]:
    """Elements kept per token of each operator's output where products keep theirs: the first of
    every `every` products of a layer, and attention where that is more than one.

    torchtitan keeps the outputs of attention and of every second product, with the layer's input
    (parallelize_llama.py, `_save_list`), MaxText those of every product (`remat_policy=minimal`,
    jax.checkpoint_policies.dots_with_no_batch_dims_saveable).
    """
    kept: dict[Operator, int] = {}
    products = 0
    for op in operators:
        if isinstance(op, Linear):
            chosen = sum((products + i) % every == 0 for i in range(op.matrices))
            products += op.matrices
            kept[op] = op.outputs * op.active * chosen // op.matrices
        elif isinstance(op, Attention) and every > 1:
            kept[op] = op.query_heads * op.v_head_dim
    return kept
