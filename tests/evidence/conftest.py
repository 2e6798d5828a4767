"""The bundled evidence, predicted once for all tests of this folder."""

from __future__ import annotations

import pytest

from parity.evidence import read
from parity.evidence.schema import Row
from parity.evidence.validate import validate
from parity.outputs.accuracy_page import Halves


@pytest.fixture(scope="session")
def found():
    return validate(kind="training")


@pytest.fixture(scope="session")
def served():
    return validate(kind="serving")


@pytest.fixture(scope="session")
def halves(found, served):
    return Halves(found, served)


@pytest.fixture
def row():
    """`row(tp=8)` is a run of Llama 3 8B on eight H100 with those changes."""

    def build(**changes: object) -> Row:
        whole = {
            "id": "r", "set": "mine", "model": "llama3-8b", "chip": "H100-SXM-80GB",
            "chip_count": 8, "chips_per_node": 8, "seq_len": 8192, "global_batch_seqs": 64,
            "microbatch": 1, "tp": 1, "pp": 1, "recompute": "none", "precision": "bf16",
            "metric": "iteration_time", "unit": "s", "value": 10.0,
        }  # fmt: skip
        return Row(**{**whole, **changes})

    return build


@pytest.fixture
def by_id():
    rows = {row.id: row for row in read.bundled()}
    return rows.__getitem__
