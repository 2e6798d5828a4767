"""Quantities as people write them, and the SI floats inside.

Everything inside Parity is SI: seconds, bytes, FLOP/s, bytes/s, watts, dollars.
`parse("3.2TB/s", "byte/s")` and `render(3.2e12, "byte/s")` are the only two doors.
Decimal and binary prefixes are kept apart: 96 GB is 96e9 bytes, 96 GiB is 96·2³⁰.
"""

from __future__ import annotations

import math
import re

from parity.errors import BadQuantity, shorten

_DECIMAL = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18}
_BINARY = {"Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40, "Pi": 2.0**50}
_COUNT = {**_DECIMAL, "m": 1e6, "b": 1e9, "B": 1e9, "t": 1e12, "bn": 1e9, "tn": 1e12}
del _COUNT["P"], _COUNT["E"]


def _spell(prefixes: dict[str, float], names: tuple[str, ...]) -> dict[str, float]:
    return {prefix + name: scale for prefix, scale in prefixes.items() for name in names}


_BYTES = _spell({**_DECIMAL, **_BINARY}, ("B", "byte", "bytes"))
_BITS_PER_S = {k: v / 8 for k, v in _spell(_DECIMAL, ("b/s", "bit/s", "bps", "bits/s")).items()}
_PER_S = {f"{name}{per}": scale for name, scale in _BYTES.items() for per in ("/s", "ps")}
_FLOP = ("FLOP/s", "FLOPS", "FLOPs", "flops", "flop/s", "OP/s", "OPS", "F", "FLOPs/s")

#: unit -> the ways to write it -> size in that unit
SPELLINGS: dict[str, dict[str, float]] = {
    "1": _COUNT,
    "fraction": {"": 1.0, "%": 0.01},
    "byte": _BYTES,
    "byte/s": {**_PER_S, **_BITS_PER_S},
    "FLOP/s": _spell(_DECIMAL, _FLOP),
    "s": {"s": 1.0, "sec": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9,
          "min": 60.0, "h": 3600.0, "hours": 3600.0, "d": 86400.0, "days": 86400.0, "day": 86400.0},
    "day": {"": 1.0, "d": 1.0, "day": 1.0, "days": 1.0, "h": 1 / 24, "weeks": 7.0, "w": 7.0},
    "W": {"W": 1.0, "mW": 1e-3, "kW": 1e3, "MW": 1e6, "GW": 1e9},
    "Hz": _spell(_DECIMAL, ("Hz",)),
    "mm2": {"mm2": 1.0, "mm²": 1.0, "cm2": 100.0, "cm²": 100.0},
    "USD": {"USD": 1.0, "$": 1.0, "kUSD": 1e3, "": 1.0},
    "USD/h": {"USD/h": 1.0, "$/h": 1.0, "/h": 1.0, "": 1.0},
    "USD/kWh": {"USD/kWh": 1.0, "$/kWh": 1.0, "/kWh": 1.0, "": 1.0},
    "year": {"": 1.0},
}  # fmt: skip

#: unit -> (size, printed name) from large to small
_RENDERED: dict[str, list[tuple[float, str]]] = {
    "byte": [(1e15, "PB"), (1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B")],
    "byte/s": [(1e15, "PB/s"), (1e12, "TB/s"), (1e9, "GB/s"), (1e6, "MB/s"), (1e3, "kB/s"),
               (1.0, "B/s")],
    "FLOP/s": [(1e18, "EFLOP/s"), (1e15, "PFLOP/s"), (1e12, "TFLOP/s"), (1e9, "GFLOP/s"),
               (1.0, "FLOP/s")],
    "s": [(86400.0, "days"), (3600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"), (1e-6, "µs"),
          (1e-9, "ns")],
    "day": [(1.0, "days")],
    "W": [(1e9, "GW"), (1e6, "MW"), (1e3, "kW"), (1.0, "W")],
    "Wh": [(1e12, "TWh"), (1e9, "GWh"), (1e6, "MWh"), (1e3, "kWh"), (1.0, "Wh")],
    "Hz": [(1e9, "GHz"), (1e6, "MHz"), (1.0, "Hz")],
    "mm2": [(1.0, "mm²")],
    "1": [(1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k"), (1.0, "")],
    "USD": [(1e9, "B USD"), (1e6, "M USD"), (1.0, "USD")],
    "USD/h": [(1.0, "USD/h")],
}  # fmt: skip

#: An example of each unit, for error messages.
EXAMPLES = {
    "1": "16", "fraction": "0.8", "byte": "96GB", "byte/s": "4TB/s", "FLOP/s": "148TFLOP/s",
    "s": "40ms", "day": "60", "W": "400W", "Hz": "1.4GHz", "mm2": "814mm2", "USD": "25000USD",
    "USD/h": "2.5USD/h", "USD/kWh": "0.07USD/kWh", "year": "2024",
}  # fmt: skip

_NUMBER = re.compile(r"\s*\$?\s*([+-]?(?:\d[\d_,]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(\S*)\s*")


def parse(text: str | float, unit: str, what: str = "quantity") -> float:
    """The SI value of `text` in `unit` (a key of `SPELLINGS`).

    Raises `BadQuantity` if it is no number, not finite, or of another unit.
    """
    spellings = SPELLINGS[unit]
    if isinstance(text, (int, float)) and not isinstance(text, bool):
        value = float(text)
    else:
        match = _NUMBER.fullmatch(str(text)) if len(str(text)) <= 64 else None
        if match is None:
            raise BadQuantity(_expected(text, unit, what))
        number, suffix = match[1].replace("_", "").replace(",", ""), match[2]
        if suffix not in spellings:
            raise BadQuantity(_expected(text, unit, what))
        value = float(number) * spellings[suffix]
    if not math.isfinite(value):
        raise BadQuantity(
            f"{what} is {value}; a finite number was expected, as in `{EXAMPLES[unit]}`."
        )
    return value


def parse_count(text: str | float, what: str, *, least: float = 1, most: float = 1e18) -> int:
    """A whole number such as `512`, `8k` or `15T`, between `least` and `most`."""
    value = parse(text, "1", what)
    if value != math.floor(value) or not least <= value <= most:
        raise BadQuantity(
            f"{what} is {shorten(str(text))!r}; "
            f"a whole number from {least:g} to {most:g} was expected."
        )
    return int(value)


def parse_length(text: str | float, what: str, *, least: float = 1, most: float = 1e8) -> int:
    """Tokens of a sequence. Lengths are powers of two: `8k` is 8,192 and `1M` is 1,048,576."""
    match = re.fullmatch(r"(\d{1,9})([kKmM])", str(text).strip())
    if match is None:
        return parse_count(text, what, least=least, most=most)
    return parse_count(
        int(match[1]) * 2 ** (10 if match[2] in "kK" else 20), what, least=least, most=most
    )


def _expected(text: object, unit: str, what: str) -> str:
    kind = "a plain number" if unit in ("1", "fraction", "year") else f"a quantity in {unit}"
    return f"{what} is {shorten(str(text))!r}; {kind} was expected, as in `{EXAMPLES[unit]}`."


def prefix(value: float, unit: str) -> tuple[float, str]:
    """The size and the printed name that `render` picks for `value`: `(1e12, "TB/s")`."""
    if unit == "fraction":
        return 0.01, "%"
    known = _RENDERED.get(unit, [(1.0, unit)])
    return next((pair for pair in known if abs(value) >= pair[0] * 0.9995), known[-1])


def render(value: float, unit: str, digits: int = 3) -> str:
    """`value` with `digits` significant digits and the prefix people use: `4.8 TB/s`."""
    if unit == "year":
        return f"{value:.0f}"
    if math.isinf(value):
        return "without end"
    size, name = prefix(value, unit)
    return f"{significant(value / size, digits)} {name}".rstrip()


def significant(value: float, digits: int = 3) -> str:
    """`value` to `digits` significant digits, with thousands separators and no exponent; `∞`."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else str(value).replace("inf", "∞")
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    text = f"{round(value, places):,.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
