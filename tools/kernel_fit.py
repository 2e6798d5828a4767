"""What the fits of kernels share: groups of chips, the fit itself, figures with ranges, TOML."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kernel_tables import SYSTEMS, system

Array = NDArray[np.float64]
Lines = list[str]
#: Groups that share the shape of their curves, and whose figures they are in `kernels.toml`.
FAMILIES = {
    "ampere": ["a100_sxm"],
    "ada": ["l40s"],
    "hopper": ["h100_sxm", "h200_sxm"],
    "blackwell": ["b200_sxm", "b300_sxm", "gb200", "gb300"],
    "rtxpro6000-bw-server": ["rtx_pro_6000_server"],
}
WIDTHS = {"bf16": "16", "fp8": "8", "int8": "8", "fp4": "4"}
#: The miss from which on a row counts linearly [natural log], and rows of a chip that are fitted.
LARGE_MISS, ROWS = 0.1, 3000


@dataclass(frozen=True)
class Figure:
    """A fitted number and the range that holds most rows."""

    value: float
    low: float
    high: float


def fit(predict: Callable[[Array], Array], measured: Array, start: Iterable[float],
        low: Iterable[float], high: Iterable[float]) -> Array:  # fmt: skip
    """The parameters with the least soft-L1 sum of ln(predicted/measured)."""
    from scipy.optimize import least_squares

    start = np.array(list(start))
    found = least_squares(
        lambda p: np.log(predict(p) / measured), start, loss="soft_l1", f_scale=LARGE_MISS,
        x_scale=np.abs(start), diff_step=1e-2, bounds=(list(low), list(high)),
    )  # fmt: skip
    return np.asarray(found.x)


def columns(rows: pl.DataFrame, names: Iterable[str]) -> dict[str, Array]:
    """Columns of rows as arrays."""
    return {name: rows[name].to_numpy().astype(float) for name in names}


def spread(value: float, off: Array) -> Figure:
    """A figure with the range that the middle 80 % of its rows ask for. off: ln(asked/value)."""
    tenth, ninetieth = np.quantile(off, [0.1, 0.9])
    low, high = min(np.exp(tenth), 1.0), max(np.exp(ninetieth), 1.0)
    return Figure(value, value * low, value * high)


def report(name: str, miss: Array, training: Array) -> None:
    """One line: misses over all rows and over those of training shapes."""

    def words(x: Array) -> str:
        if not len(x):
            return "-"
        size = np.abs(x)
        return f"{np.median(size):6.1%} {np.quantile(size, 0.9):7.1%} {np.median(x):+6.1%}"

    print(f"{name:34s} n {len(miss):6d}  all {words(miss)}   training {words(miss[training])}")


def sampled(rows: pl.DataFrame) -> pl.DataFrame:
    """At most `ROWS` rows of each system, the same every time."""
    parts = rows.partition_by("system", maintain_order=True)
    return pl.concat([p.sample(min(ROWS, len(p)), seed=20261124) for p in parts])


def families() -> set[str]:
    """The families that the measured chips are of."""
    return {system(name).chip.family for name in SYSTEMS}


def mean(figures: list[Figure]) -> Figure:
    """Of a family's chips: their mean, and the widest of their ranges."""
    value = float(np.mean([f.value for f in figures]))
    return Figure(value, min(f.low for f in figures), max(f.high for f in figures))


def coefficient(f: Figure, source: str = "aiconfigurator") -> Lines:
    """A figure as lines of TOML."""
    digits = 3 if f.value > 1e-3 else 8
    value, low, high = (round(float(x), digits) for x in (f.value, f.low, f.high))
    if digits == 3 and value <= 1:
        high = min(high, 1.0)
    return [
        f"value = {value!r}", f"low = {low!r}", f"high = {high!r}",
        'provenance = "measured"', f'source = "{source}"',
    ]  # fmt: skip
