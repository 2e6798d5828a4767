"""Spellings of number formats."""

from __future__ import annotations

import pytest

from parity.errors import UnknownName
from parity.workload.dtype import DTYPE_BYTES, dtype, element_bytes


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("bf16", "bf16"), ("bfloat16", "bf16"), ("torch.bfloat16", "bf16"), ("BF16", "bf16"),
        ("float16", "fp16"), ("half", "fp16"), ("float32", "fp32"), ("fp8", "fp8"),
        ("float8_e4m3fn", "fp8"), ("fp8_e4m3", "fp8"), ("FP8_E5M2", "fp8"), ("w8a8", "int8"),
        ("w4a16", "int4"), ("nvfp4", "nvfp4"), ("MXFP4", "mxfp4"), ("int4-g32", "int4-g32"),
    ],
)  # fmt: skip
def test_spellings(spelling, name):
    assert dtype(spelling) == name


def test_every_name_spells_itself():
    assert all(dtype(name) == name for name in DTYPE_BYTES)


def test_sizes_include_the_scales_a_format_fixes():
    assert element_bytes("bf16") == 2
    assert element_bytes("mxfp4") == 4.25 / 8
    assert element_bytes("nvfp4") == 4.5 / 8


def test_unknown():
    with pytest.raises(UnknownName, match="Did you mean `bf16`"):
        dtype("bf61")
