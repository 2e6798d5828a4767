"""What ranges come from, in words."""

import numpy as np
import pytest

from parity.catalogue.load import chip, chips
from parity.catalogue.machine import Number, machine
from parity.errors import MissingFact
from parity.evaluate.goodput import reliability
from parity.evaluate.kernels import rates
from parity.outputs.unknowns import (
    cost_kinds,
    dominant,
    most_of,
    range_fields,
    uncertainty_fields,
    words,
)
from parity.record import Fact
from parity.search.uncertainty import Source, Spread
from parity.timing.engine import drawn_engine, engine, engines
from parity.timing.misses import drawn_by
from parity.timing.software import drawn, generations, software


def every_key() -> set[str]:
    """All that any chip, engine and generation of software draws by."""
    keys: set[str] = set()

    def draw(key: str, value: float, low: float, high: float) -> Number:
        keys.add(key)
        return value

    for one in chips():
        try:
            target = machine(one, draw=draw)
        except MissingFact:
            continue
        reliability(target.chip.family, draw=draw)
        for generation in generations():
            for dtype in target.peak_flop_per_s:
                if dtype not in ("fp64", "fp32", "tf32"):
                    rates(target, dtype, draw, software(generation), "int4")
    for generation in generations():
        drawn(software(generation), draw)
        keys.update(drawn_by("training", generation, chip("h20")))
    for name in engines():
        drawn_engine(engine(name), draw)
        keys.update(drawn_by("serving", name, chip("h20")))
    return keys


def test_every_figure_has_words() -> None:
    keys = every_key()
    assert len(keys) > 500
    assert [key for key in keys if words(key)[0] == key] == []
    assert [key for key in keys if "{" in "".join(words(key))] == []


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("ppu-96.memory.bandwidth", "the memory bandwidth of ppu-96"),
        ("hopper.memory", "what memory-bound operators reach of the bandwidth of hopper"),
        ("h20-96.compute.dense.fp8", "the fp8 peak of h20-96"),
        ("ampere.widened.4", "what widening 4-bit weights costs on ampere"),
        ("scale-out.achieved_fraction", "what collectives reach of the network"),
        ("software.megatron-2024.issue_s", "the host's time to start an operator"),
        ("chip_usd: somebody, 2026", "the price of a chip"),
        (
            "engine.vllm-v1.elapsed.NVIDIA/hopper/h100-sxm",
            "how far measured serving is from predictions on h100-sxm",
        ),
        (
            "software.2025.elapsed.AMD/cdna3/mi300x",
            "how far measured training is from predictions on mi300x",
        ),
    ],
)
def test_figures_are_called_by_what_they_are(key: str, said: str) -> None:
    assert words(key)[0] == said


def test_the_line_names_the_source_its_share_and_what_is_left() -> None:
    found = Spread(80.0, 100.0, 130.0, (Source("ppu.gemm.16", 0.62),), (90.0, 110.0))
    assert most_of(found, "{:.0f}".format, "days") == (
        "Most of the range comes from what matrix products reach of the peak of ppu (62 %); "
        "a matrix product timed on one chip would narrow it to 90–110 days."
    )
    (only,) = uncertainty_fields(found)
    assert (only["source"], only["share"]) == ("ppu.gemm.16", 0.62)
    assert only["narrowed"] == {"low": 90.0, "high": 110.0}


def test_a_point_has_no_line() -> None:
    assert most_of(Spread(1.0, 1.0, 1.0), str) == ""


def test_the_kind_that_dominates_is_said() -> None:
    kinds = {"specification": 0.05, "model": 0.95, "scenario": 0.0}
    assert dominant(kinds) == "Errors of the model (95 %) dominate, before specifications (5 %)."
    assert dominant({**kinds, "model": 1.0, "specification": 0.0}, "its cost") == (
        "In its cost, errors of the model (100 %) dominate."
    )
    assert dominant({}) == ""
    found = Spread(80.0, 100.0, 130.0, (Source("ppu.gemm.16", 0.62),), (90.0, 110.0), kinds)
    assert most_of(found, "{:.0f}".format, "days").endswith(dominant(kinds))
    assert range_fields(found, "days")["kinds"] == kinds
    assert range_fields(Spread(1.0, 1.0, 1.0), "days")["kinds"] == {}


def cost(low: float, high: float) -> Fact:
    return Fact(1.0, low, high, "USD", "derived", "a price")


def test_a_cost_is_as_uncertain_as_its_count_and_its_price() -> None:
    """ln 2 of the count and ln 2 of the price: half each."""
    count = Spread(100.0, 140.0, 200.0, kinds={"specification": 0.2, "model": 0.8, "scenario": 0.0})
    both = np.log(2.0) * np.sqrt(2.0)
    found = cost_kinds(count, cost(1.0, float(np.exp(both))))
    assert found == pytest.approx({"specification": 0.1, "model": 0.4, "scenario": 0.5})
    known = cost_kinds(Spread(100.0, 100.0, 100.0), cost(1.0, 2.0))
    assert known == pytest.approx({"specification": 0.0, "model": 0.0, "scenario": 1.0})
    assert cost_kinds(count, cost(1.0, 2.0))["scenario"] == 0.0
    assert cost_kinds(count, cost(1.0, 1.0)) == {}
