"""Published training runs, as their papers print them."""

from parity.workload.huggingface import read
from parity.workload.operator import Architecture


def gpt(
    layers: int, hidden: int, heads: int, seq_len: int = 2048, vocab: int = 51200
) -> Architecture:
    """A GPT of Megatron's kind: dropout on, tied embeddings."""
    config = {
        "model_type": "gpt2", "n_embd": hidden, "n_layer": layers, "n_head": heads,
        "n_positions": seq_len, "vocab_size": vocab, "resid_pdrop": 0.1,
    }  # fmt: skip
    return read(config, f"gpt-{layers}x{hidden}")


#: Korthikanti et al. 2022 (arXiv 2205.05198), tables 3 and 5: name, layers, hidden, heads, chips,
#: global batch, microbatch, tensor and pipeline parallel, virtual stages, seconds of an iteration
#: with full recomputation, and with selective recomputation and sequence parallelism.
KORTHIKANTI = [
    ("22B", 48, 6144, 64, 8, 4, 4, 8, 1, 1, 1.42, 1.10),
    ("175B", 96, 12288, 96, 64, 64, 1, 8, 8, 3, 18.13, 13.75),
    ("530B", 105, 20480, 128, 280, 280, 1, 8, 35, 3, 49.05, 37.83),
    ("1T", 128, 25600, 160, 512, 512, 1, 8, 64, 1, 94.42, 71.49),
]
