"""What the forward pass keeps for the backward pass, per token and operator, all chips together.

A GPT layer at 16 bits keeps 34 bytes per token and unit of hidden size with two dropout masks,
32 without, attention scores not counted (Korthikanti et al. 2022, arXiv 2205.05198, eq. 1).
"""

from __future__ import annotations

from parity.workload.operator import Attention, Elementwise, Linear, Operator, Recurrence


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


def saved_bytes(operator: Operator, element_bytes: float = 2.0) -> float:
    """Bytes kept per token: elements of `element_bytes` each, and masks of one byte."""
    masks = operator.saved_mask_elements if isinstance(operator, Elementwise) else 0
    return saved_elements(operator) * element_bytes + masks
