"""Predictions of all the evidence: a status each, the sign of the error, the gate, the score."""

from __future__ import annotations

import numpy as np
import pytest

from parity.errors import UnknownName
from parity.evidence import physics, read
from parity.evidence import validate as validation
from parity.evidence.layouts import Placed
from parity.evidence.metrics import Scale
from parity.evidence.predict import predict, prepare, step_times
from parity.evidence.resolve import Case, resolve
from parity.evidence.schema import RATES, KernelRow
from parity.evidence.score import GROUPS, summary, worst
from parity.timing.draw import Sampler


def test_every_row_has_a_status_in_its_place(found):
    assert [p.id for p in found.rows] == [row.id for row in read.bundled()]
    for one in found.rows:
        assert one.measured > 0
        if one.status == "predicted":
            assert one.reason == ""
            assert one.error is not None
            assert one.low <= one.predicted * 1.5  # a range, if a skewed one
            assert one.low <= one.high
            assert one.layout in ("stated", "completed", "searched")
        else:
            assert one.reason
            assert one.predicted is one.error is None


def test_nearly_all_rows_that_say_enough_are_predicted(found):
    assert found.summary.coverage >= 0.95
    assert found.summary.predicted >= 0.94 * found.summary.rows


def test_rows_that_say_too_little_are_few_and_known(found):
    silent = [p.id for p in found.rows if not p.specified]
    assert len(silent) <= 17


def test_nearly_all_rows_that_ran_are_found_to_fit(found):
    """Left are capacities in decimal gigabytes, and recipes that do not say all they keep."""
    too_large = [p.id for p in found.rows if p.fits is False]
    assert len(too_large) <= 20, too_large


def test_the_error_is_of_time_whatever_was_measured(found):
    for one in found.rows:
        if one.error is None:
            continue
        times = one.predicted_step_s / one.measured_step_s
        assert one.error == pytest.approx(times - 1)
        ratio = one.predicted / one.measured
        assert times == pytest.approx(1 / ratio if one.metric in RATES else ratio)


def test_one_run_stated_in_every_metric_has_one_error(row):
    step_s, tokens, chips = 10.0, 64 * 8192, 8
    case = resolve(row())
    assert isinstance(case, Case)
    mfu = resolve(row(metric="mfu", unit="percent", value=1.0))
    assert isinstance(mfu, Case)
    stated = [
        row(value=step_s),
        row(metric="iteration_time", unit="ms", value=1e3 * step_s),
        row(metric="tokens_per_s_per_chip", unit="tokens/s", value=tokens / step_s / chips),
        row(metric="mfu", unit="percent", value=mfu.scale.value(step_s)),
        row(metric="train_time", unit="h", value=step_s * 100 / 3600, tokens=100.0 * tokens),
        row(metric="chip_hours", unit="chip-hours", value=step_s * 100 * chips / 3600,
            tokens=100.0 * tokens),
    ]  # fmt: skip
    errors = [one.error for one in predict(stated)]
    assert errors == pytest.approx([errors[0]] * len(errors))


def test_a_scale_turns_back():
    for scale in (Scale(12.0, rate=True), Scale(12.0, rate=False)):
        assert scale.step_s(scale.value(3.0)) == pytest.approx(3.0)


def test_predictions_do_not_change_from_one_call_to_the_next(row):
    rows = [row(), row(tp=2), row(chip="A100-SXM-80GB")]
    assert predict(rows) == predict(rows)


def test_grouping_changes_no_number(row):
    rows = [row(microbatch=m, tp=t) for m in (1, 2) for t in (1, 2, 4)]
    together = [one.predicted for one in predict(rows)]
    assert together == pytest.approx([predict([one])[0].predicted for one in rows])


def test_step_times_under_samples(row):
    ready = [one for one in prepare([row(), row(tp=8)]) if isinstance(one, Placed)]
    assert step_times(ready).shape == (1, 2)
    sampled = step_times(ready, Sampler(16))
    assert sampled.shape == (16, 2)
    assert np.ptp(sampled, axis=0).min() > 0
    assert step_times([]).shape == (1, 0)


def test_a_run_faster_than_its_chips_is_excluded(row):
    (fast,) = predict([row(value=1e-3)])
    assert (fast.status, fast.predicted) == ("excluded", None)
    assert fast.reason.startswith("faster than physics")
    (slow,) = predict([row(value=1e5)])
    assert (slow.status, "below 1%" in slow.reason) == ("excluded", True)
    assert predict([row()])[0].status == "predicted"


def test_the_roofline_is_what_the_peak_allows(row):
    case = resolve(row())
    assert isinstance(case, Case)
    limit = physics.roofline_s(case, case.target.machine())
    assert predict([row(value=limit * 1.02)])[0].status == "predicted"
    assert predict([row(value=limit * 0.97)])[0].status == "excluded"


def kernel(**changes: object) -> KernelRow:
    whole = {
        "id": "k", "chip": "A100 SXM 80GB", "kernel": "GEMM", "kind": "gemm",
        "shape": "m=8192 n=8192 k=8192", "dtype": "bfloat16", "metric": "latency",
        "value": 4000.0, "unit": "us",
    }  # fmt: skip
    return KernelRow(**{**whole, **changes})


@pytest.mark.parametrize(
    ("changes", "broken"),
    [
        ({}, False),
        ({"value": 3000.0}, True),  # 366 of 312 TFLOP/s
        ({"value": 300.0, "unit": "TFLOP/s"}, False),
        ({"value": 400.0, "unit": "TFLOP/s"}, True),
        ({"kind": "attention_decode", "shape": "b=64 kv_len=4096 heads=32 kv_heads=8 d=128",
          "value": 340.0}, True),  # 3,158 of 2,039 GB/s
        ({"kind": "attention_decode", "shape": "b=64 kv_len=4096 heads=32 kv_heads=8 d=128",
          "value": 640.0}, False),
        ({"kind": "other", "shape": "best case"}, False),
        ({"chip": "Quantum-9", "value": 1.0}, False),
    ],
)  # fmt: skip
def test_the_gate_of_kernels(changes, broken):
    assert bool(physics.kernel_objection(kernel(**changes))) == broken


def test_a_summary_of_known_errors(found):
    base = next(p for p in found.rows if p.status == "predicted")
    import msgspec

    def with_error(error: float, low: float, high: float):
        return msgspec.structs.replace(base, error=error, measured=1.0, low=low, high=high)

    rows = [with_error(-0.1, 0.5, 2), with_error(0.2, 1.5, 2), with_error(-0.3, 0.9, 1.1)]
    skipped = [p for p in found.rows if p.status == "skipped"][:2]
    got = summary([*rows, *skipped])
    assert (got.rows, got.predicted, got.skipped) == (5, 3, 2)
    assert got.median_abs_error == pytest.approx(0.2)
    assert got.mean_abs_error == pytest.approx(0.2)
    assert got.bias == pytest.approx(-0.2 / 3)
    assert got.interval_coverage == pytest.approx(2 / 3)
    assert summary([]).coverage is None


def test_groups_hold_every_row_once(found):
    for by in GROUPS:
        if by in ("engine", "mode"):  # of serving
            continue
        assert sum(one.rows for one in found.groups[by].values()) == len(found.rows)


def test_the_worst_come_first(found):
    factors = [abs(np.log1p(p.error)) for p in worst(found.rows, 5)]
    assert factors == sorted(factors, reverse=True)


def test_an_unknown_set_is_named():
    with pytest.raises(UnknownName, match="Did you mean `sc21`"):
        validation.validate(sets=["sc22"])


def test_each_source_is_predicted_by_a_fit_without_it(monkeypatch):
    asked = []

    def fit(rows, leave_out):
        asked.append((len(rows), leave_out))
        return lambda key, value, low, high: 2 * value if key.endswith("gemm.fp16") else value

    monkeypatch.setattr(validation, "fit", fit)
    doubled = validation.validate(sets=["sc21", "korthikanti"], leave_out="source")
    plain = validation.validate(sets=["sc21", "korthikanti"])
    assert asked == [(958, "sc21"), (958, "korthikanti")]
    assert doubled.left_out == "source"
    assert [p.id for p in doubled.rows] == [p.id for p in plain.rows]
    assert all(
        b.predicted_step_s < a.predicted_step_s
        for a, b in zip(plain.rows, doubled.rows, strict=True)
    )
