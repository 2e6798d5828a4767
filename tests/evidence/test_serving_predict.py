"""Serving rows made ready, held against physics, and predicted."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parity.catalogue.machine import Machine
from parity.evidence import read
from parity.evidence.resolve import Refused
from parity.evidence.serving_physics import bound, serving_objection
from parity.evidence.serving_predict import predict_serving
from parity.evidence.serving_resolve import ServingCase, resolve_serving
from parity.evidence.serving_run import Traffic, met_by_requests
from parity.evidence.serving_schema import MEASURES, STATISTICS, ServingRow, units
from parity.evidence.serving_sources import engine_label
from parity.evidence.serving_words import explicit

LABELS = Path(__file__).parent / "labels.csv"


def labels(column: str) -> list[str]:
    """Every spelling of a column that occurs in published tables of serving."""
    with LABELS.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [r["label"] for r in rows if (r["file"], r["column"]) == ("serving", column)]


def row(**cells: object) -> ServingRow:
    whole = {
        "id": "r", "model": "llama3-8b", "chip": "h100-sxm", "chip_count": 1, "engine": "vLLM",
        "engine_version": "0.11", "precision_weights": "bf16", "tp": 1, "isl": 1000.0,
        "osl": 1000.0, "batch_or_concurrency": "64", "metric": "output_throughput_total",
        "unit": "tokens/s", "value": 4000.0,
    }  # fmt: skip
    return explicit(ServingRow(**{**whole, **cells}))


def case(**cells: object) -> ServingCase:
    found = resolve_serving(row(**cells))
    assert isinstance(found, ServingCase), found.reason
    return found


def target(one: ServingCase) -> Machine:
    return one.target.machine()


def predicted(**cells: object) -> float:
    (one,) = predict_serving([row(**cells)])
    assert one.status == "predicted", one.reason
    return one.predicted


@pytest.mark.parametrize("label", labels("engine"))
def test_every_engine_label_is_known(label):
    assert engine_label(label)


@pytest.mark.parametrize("label", labels("batch_or_concurrency"))
def test_every_load_is_understood(label):
    one = row(batch_or_concurrency=label)
    assert bool(one.arrival) == bool(label)


@pytest.mark.parametrize("label", labels("metric"))
def test_every_metric_is_known(label):
    assert label in MEASURES or label in STATISTICS


@pytest.mark.parametrize("label", labels("precision_weights"))
def test_every_precision_is_understood_or_said_not_to_be_stated(label):
    found = resolve_serving(row(precision_weights=label))
    vague = label.startswith(("see", "UNSET", "int4/int8"))
    assert isinstance(found, Refused) == vague
    assert not vague or "the precision is not stated" in found.reason


@pytest.mark.parametrize(
    ("label", "engine", "weights", "only"),
    [
        ("fp8", "vLLM", "fp8", False),
        ("fp8 (inferred)", "vLLM", "fp8", False),
        ("int8 (w8a8)", "MindIE", "int8", False),
        ("int8", "Transformers NeuronX", "int8", True),
        ("awq", "vLLM", "int4", True),
        ("fp4", "TensorRT 10.11", "nvfp4", False),
        ("mxfp4/fp8", "TensorRT-LLM", "mxfp4", False),
        ("checkpoint default", "vLLM", "bf16", False),
        ("bfloat16 weight version per doc", "vLLM", "bf16", False),
    ],
)
def test_what_a_precision_means(label, engine, weights, only):
    found = case(precision_weights=label, engine=engine).precision
    assert (found.weights, found.weight_only) == (weights, only)


def test_a_checkpoint_says_its_own_precision():
    own = case(model="DeepSeek-R1", precision_weights="checkpoint default", chip_count=8, tp=8)
    assert own.precision.weights == "fp8"
    assert case(model="gpt-oss-20b", precision_weights="").precision.weights == "mxfp4"


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"chip_count": 0, "tp": 0}, "the number of chips is not stated"),
        ({"isl": 0.0}, "the lengths of prompts and answers are not stated"),
        ({"batch_or_concurrency": ""}, "the load is not stated"),
        ({"chip": "h101"}, "No chip called"),
        ({"model": "our own 5B"}, "model our own 5B is not known"),
        ({"metric": "daily_cost"}, "a statistic of a service's day"),
        ({"chip_count": 6, "tp": 4}, "does not divide its 6 chips"),
    ],
)
def test_what_a_row_must_say(cells, reason):
    found = resolve_serving(row(**cells))
    assert isinstance(found, Refused)
    assert reason in found.reason
    assert not found.specified


def test_degrees_in_parts_of_a_chip_become_degrees_of_chips():
    cores = case(chip="trn1", chip_count=16, tp=32, engine="Transformers NeuronX")
    assert (cores.degrees[0], cores.chips) == (16, 16)
    dies = case(model="DeepSeek-V3", chip="ascend910c", chip_count=32, tp=1, dp=64, ep=64)
    assert dies.degrees == (1, 1, 32, 1, 32)
    ranks = case(model="DeepSeek-R1", chip_count=8, tp=8, notes="flags: --enable-dp-attention")
    assert ranks.degrees == (1, 1, 8, 1, 8)


@pytest.mark.parametrize(
    ("metric", "units_of"),
    [
        ("output_throughput_total", 1),
        ("output_throughput_per_chip", 16),
        ("output_throughput_per_node", 2),
        ("output_throughput_per_die", 32),
    ],
)
def test_what_a_rate_is_stated_for(metric, units_of):
    one = case(chip="ascend910c", chip_count=16, tp=32, metric=metric)
    assert one.units == units_of


def test_faster_than_physics_is_excluded():
    """8 B parameters of 2 bytes take 4.8 ms to read at 3.35 TB/s: 64 users, 13,400 tokens/s."""
    best, name = bound(case(), target(case()))
    assert name == "memory bandwidth"
    assert best < 64 / (16e9 / 3.35e12)
    assert serving_objection(case(value=best * 0.9), target(case())) == ""
    assert "faster than physics" in serving_objection(case(value=best * 1.1), target(case()))
    assert "below 1%" in serving_objection(case(value=best * 0.005), target(case()))
    quick = case(metric="mean_tpot", unit="ms", value=0.5)
    assert "of what memory bandwidth allows" in serving_objection(quick, target(quick))


def test_weights_that_fit_nowhere_are_excluded():
    """GLM-4.5-Air has 106 B parameters: 212 GB in 16 bits are more than two H100 hold."""
    one = case(model="GLM-4.5-Air", chip_count=2, tp=2)
    assert "do not fit in the memory of 2 h100-sxm" in serving_objection(one, target(one))


def test_pages_that_repeat_another_are_excluded_by_name(served):
    excluded = {one.id: one.reason for one in served.rows if one.status == "excluded"}
    assert "repeats the figures of the page for A100" in excluded["S1383"]
    assert len(excluded) <= 8


def test_prompts_and_tokens_alone_are_predicted():
    first = predicted(osl=1.0, batch_or_concurrency="1", metric="ttft", unit="ms", value=30.0)
    assert 10 < first < 60
    decode = {"model": "DeepSeek-V3", "chip": "h800", "chip_count": 128, "dp": 128, "ep": 128,
              "tp": 1, "precision_weights": "fp8", "isl": 0.0, "osl": 0.0, "context": 4096.0,
              "mode": "disagg-decode", "batch_or_concurrency": "64 per GPU", "engine": "",
              "metric": "output_throughput_per_chip", "value": 2324.0}  # fmt: skip
    assert predicted(**decode) == pytest.approx(2324, rel=0.5)


def test_one_run_has_one_latency_whatever_of_it_is_measured():
    """What a closed load gives: concurrency is rate times latency [Little 1961]."""
    rate = predicted() / 1000
    latency_s = predicted(metric="e2e_latency", unit="ms", value=20_000.0) / 1e3
    assert rate * latency_s == pytest.approx(64, rel=0.05)
    ttft = predicted(metric="mean_ttft", unit="ms", value=100.0)
    tpot = predicted(metric="mean_tpot", unit="ms", value=15.0)
    assert ttft + 999 * tpot == pytest.approx(latency_s * 1e3, rel=1e-9)
    assert predicted(metric="total_throughput_total", value=8000.0) == pytest.approx(2000 * rate)


def test_a_rate_below_what_can_be_served_is_served():
    low = predicted(batch_or_concurrency="request rate 1 req/s")
    assert low == pytest.approx(1000, rel=0.05)


def test_latencies_of_mlperf_bind():
    words = {
        "model": "llama2-70b-99.9", "chip": "h200-sxm", "chip_count": 8, "tp": 0, "isl": 0.0,
        "osl": 0.0, "precision_weights": "fp8", "engine": "TensorRT 10.11", "value": 30_000.0,
        "source": "mlcommons/inference_results_v5.1",
    }  # fmt: skip
    offline, server, interactive = (
        predicted(**words, batch_or_concurrency=f"MLPerf {name}")
        for name in ("Offline", "Server", "Interactive")
    )
    assert offline >= server * 0.95
    assert server > interactive


@given(
    st.floats(10, 1e4),
    st.floats(0.1, 1e3),
    st.floats(0.01, 1e3),
)
def test_a_finite_run_meets_at_most_all_of_it(requests, rate, latency):
    met = float(met_by_requests(Traffic("open", requests=requests, rate_per_s=rate), latency))
    assert 0 <= met <= requests
    assert met <= rate * latency * (1 + 1e-9)


def test_every_row_is_predicted_or_says_why_not(served):
    assert [one.id for one in served.rows] == [r.id for r in read.bundled_serving()]
    for one in served.rows:
        assert one.task == "serving"
        if one.status == "predicted":
            assert one.low <= one.predicted * 1.2
            assert one.high >= one.predicted * 0.8
            assert one.predicted > 0
            assert np.isfinite(one.error)
        else:
            assert one.reason
    assert served.summary.coverage > 0.99
    assert served.summary.predicted > 1050


def test_measured_figures_stay_as_their_source_has_them(served):
    values = {r.id: r.value for r in read.bundled_serving()}
    assert all(one.measured == values[one.id] for one in served.rows)


def test_units_of_a_metric():
    assert units("mean_ttft") == {"ms": 1e-3, "s": 1.0}
    assert "tokens/s/die" in units("output_throughput_per_die")


def test_rows_are_answered_together_as_they_are_alone(served):
    """Runs of one model under one engine are columns of one evaluation."""
    rows = read.bundled_serving()
    whole = {one.id: one for one in served.rows}
    for row_ in rows[:: len(rows) // 12]:
        (alone,) = predict_serving([row_])
        together = whole[row_.id]
        assert alone.status == together.status
        if alone.predicted is not None:
            assert alone.predicted == pytest.approx(together.predicted, rel=1e-9)
            assert alone.plan == together.plan
