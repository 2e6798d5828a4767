"""Low-rank adapters: as many trained parameters as published, and the work they save."""

import pytest

from parity.errors import UsageError
from parity.workload.adapters import LARGEST_RANK, low_rank, rank_of
from parity.workload.count import operators, parameters
from parity.workload.find import model
from parity.workload.flop import flop_per_token


def trained(arch) -> int:
    return sum(n * op.parameters for n, op in operators(arch) if not op.frozen)


def test_llama_2_7b_has_as_many_trained_parameters_as_published():
    """peft prints 4,194,304 for rank 8 on q_proj and v_proj; q, k, v and o are twice that."""
    whole = low_rank(model("llama-2-7b"), 8, "attention")
    joined = 32 * 8 * (4096 + 2 * 4096)  # k and v share an A where they are one product
    assert trained(whole) == 32 * 8 * 2 * (4096 + 4096) + joined


def test_weights_stay_and_adapters_come_on_top():
    arch = model("llama-2-70b")
    tuned = low_rank(arch, 16)
    assert parameters(tuned) == parameters(arch) + trained(tuned)
    assert trained(tuned) < 0.01 * parameters(arch)


def test_frozen_products_need_one_gradient_instead_of_two():
    arch = model("llama-2-70b")
    full = flop_per_token(arch, 4096, "training")
    assert 2 / 3 < flop_per_token(low_rank(arch, 16), 4096, "training") / full < 0.72


@pytest.mark.parametrize("name", ["mixtral-8x7b", "deepseek-v3", "qwen3-next-80b-a3b", "gpt2"])
def test_every_kind_of_model_takes_adapters(name):
    tuned = low_rank(model(name), 16)
    assert trained(tuned) > 0
    assert not any("experts" in op.name and not op.frozen for _, op in operators(tuned))


@pytest.mark.parametrize("rank", [0, -1, LARGEST_RANK + 1])
def test_a_rank_that_is_none_is_refused(rank):
    with pytest.raises(UsageError, match="between 1 and"):
        low_rank(model("llama-2-7b"), rank)


def test_the_name_tells_the_model_and_the_rank():
    assert rank_of(low_rank(model("llama-2-7b"), 8)) == ("llama-2-7b", 8)
    assert rank_of(model("llama-2-7b")) == ("llama-2-7b", 0)
