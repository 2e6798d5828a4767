"""Training jobs: what is refused, and what follows."""

from __future__ import annotations

import pytest

from parity.errors import BadQuantity, UnknownName
from parity.workload.training import TrainingJob


def test_a_training_job():
    job = TrainingJob(tokens=15e12, seq_len=8192, global_batch_tokens=16_777_216)
    assert job.global_batch_sequences == 2048
    assert job.steps == 894_070


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"tokens": 0}, "tokens is 0"),
        ({"tokens": float("nan")}, "tokens is nan"),
        ({"seq_len": 0}, "seq_len is 0"),
        ({"global_batch_tokens": -1}, "global_batch_tokens is -1"),
        ({"global_batch_tokens": 1000}, "is no whole number of sequences of 8,192"),
        ({"dtype": "int4"}, "one to train in was expected"),
    ],
)
def test_a_job_that_makes_no_sense(change, sentence):
    good = {"tokens": 1e12, "seq_len": 8192, "global_batch_tokens": 8192 * 512}
    with pytest.raises(BadQuantity) as caught:
        TrainingJob(**{**good, **change})
    assert sentence in str(caught.value)


def test_a_dtype_nobody_knows():
    with pytest.raises(UnknownName):
        TrainingJob(tokens=1e9, seq_len=1, global_batch_tokens=1, dtype="bf15")
