"""Number formats: how many bytes an element takes, and the many ways people write them."""

from __future__ import annotations

from parity.errors import UnknownName

#: Bytes of one stored element, block scales included where the format fixes them: MX formats
#: hold one 8-bit scale per 32 elements, NVFP4 one per 16 (OCP Microscaling 1.0; NVIDIA);
#: `-g128` and `-g32` one 16-bit scale per so many elements.
DTYPE_BYTES: dict[str, float] = {
    "fp64": 8.0, "fp32": 4.0, "tf32": 4.0, "bf16": 2.0, "fp16": 2.0,
    "fp8": 1.0, "mxfp8": 8.25 / 8, "int8": 1.0,
    "fp4": 0.5, "mxfp4": 4.25 / 8, "nvfp4": 4.5 / 8,
    "int4": 0.5, "int4-g128": 4.125 / 8, "int4-g32": 4.5 / 8,
}  # fmt: skip

#: Other spellings, compared in lower case with `-`, `_` and `.` dropped.
_SPELLINGS = {
    "float64": "fp64", "double": "fp64",
    "float32": "fp32", "float": "fp32", "single": "fp32", "f32": "fp32",
    "bfloat16": "bf16", "float16": "fp16", "half": "fp16", "f16": "fp16",
    "float8": "fp8", "f8": "fp8", "e4m3": "fp8", "e5m2": "fp8", "fp8e4m3": "fp8",
    "fp8e5m2": "fp8", "float8e4m3fn": "fp8", "float8e4m3": "fp8", "float8e5m2": "fp8",
    "float8e4m3fnuz": "fp8", "fbgemmfp8": "fp8", "w8a8fp8": "fp8", "hif8": "fp8",
    "i8": "int8", "uint8": "int8", "w8a8": "int8", "w8a16": "int8", "w8a8int8": "int8",
    "float4": "fp4", "f4": "fp4", "e2m1": "fp4", "float4e2m1fnx2": "fp4",
    "i4": "int4", "uint4": "int4", "w4a16": "int4", "w4a8": "int4", "w4": "int4",
    "awq": "int4", "gptq": "int4", "int4g128": "int4-g128", "int4g32": "int4-g32",
}  # fmt: skip


def dtype(name: str) -> str:
    """The key of `DTYPE_BYTES` that `name` spells ("bfloat16", "torch.float8_e4m3fn", "w4a16").

    Raises `UnknownName`.
    """
    key = name.strip().lower().removeprefix("torch.")
    for drop in "-_. ":
        key = key.replace(drop, "")
    key = _SPELLINGS.get(key, key)
    if key not in DTYPE_BYTES:
        raise UnknownName("dtype", name, DTYPE_BYTES, f"Known: {', '.join(DTYPE_BYTES)}.")
    return key


def element_bytes(name: str) -> float:
    """Bytes of one element of the dtype `name` spells. Raises `UnknownName`."""
    return DTYPE_BYTES[dtype(name)]
