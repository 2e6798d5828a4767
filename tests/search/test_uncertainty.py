"""Ranges of answers, and what they come from."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import parity
from parity.api.serve import plan_serve
from parity.catalogue.machine import Draw, Number
from parity.errors import UsageError
from parity.search.uncertainty import (
    KINDS,
    P10,
    P90,
    effects_of,
    kind_of,
    kinds_of,
    once,
    ratio,
    sources_of,
    spread,
    wholes,
)
from parity.timing.draw import Recorder, Sampler

positive = st.floats(0.1, 10.0)


def product(draw: Draw, ends: dict[str, tuple[float, float, float]]) -> Number:
    """A time whose figures multiply."""
    out: Number = np.ones((1, 1))
    for key, (value, low, high) in ends.items():
        out = out * draw(key, value, low, high)
    return out[:, 0]


@st.composite
def unknowns(draw: st.DrawFn) -> dict[str, tuple[float, float, float]]:
    """Up to five figures, each with a range around it."""
    count = draw(st.integers(1, 5))
    out = {}
    for i in range(count):
        value = draw(positive)
        out[f"figure {i}"] = (
            value,
            value * draw(st.floats(0.3, 1.0)),
            value * draw(st.floats(1.0, 2.5)),
        )
    return out


def first_order(values: Number, columns: Number) -> Number:
    """Indices of samples, by what sorts each figure."""
    return effects_of(values, np.argsort(columns, axis=0)).first_order


def ishigami(x: Number) -> Number:
    """Ishigami, Homma 1990, with a = 7 and b = 0.1; figures along the last axis."""
    one, two, three = np.moveaxis(x, -1, 0)
    return np.sin(one) + 7 * np.sin(two) ** 2 + 0.1 * three**4 * np.sin(one)


def test_indices_are_those_of_ishigamis_function() -> None:
    """Exact indices: Saltelli et al. 2008, section 4.2."""
    x = np.random.default_rng(3).uniform(-np.pi, np.pi, (8192, 3))
    assert first_order(ishigami(x), x) == pytest.approx([0.314, 0.442, 0.0], abs=0.02)


def test_indices_are_those_that_scipy_finds_from_samples_of_its_own() -> None:
    """Saltelli's design, five evaluations a sample, against the samples that are there."""
    from scipy import stats

    uniform = stats.uniform(-np.pi, 2 * np.pi)
    theirs = stats.sobol_indices(
        func=lambda x: ishigami(x.T), n=4096, dists=[uniform] * 3, rng=np.random.default_rng(1)
    )
    x = np.random.default_rng(2).uniform(-np.pi, np.pi, (4096, 3))
    assert first_order(ishigami(x), x) == pytest.approx(theirs.first_order, abs=0.03)


def test_indices_of_a_sum_are_its_variances() -> None:
    x = np.random.default_rng(4).uniform(-1, 1, (8192, 4))
    weights = np.array([4.0, 2.0, 1.0, 0.0])
    exact = weights**2 / np.sum(weights**2)
    assert first_order(x @ weights, x) == pytest.approx(exact, abs=0.02)


def test_few_samples_of_many_figures_tell_shares_to_a_point() -> None:
    """What others do is taken off first: without that, noise alone is nine points."""
    rng = np.random.default_rng(8)
    x = np.stack([(rng.permutation(256) + rng.random(256)) / 256 for _ in range(60)], axis=-1)
    weights = np.exp(-np.arange(60) / 3)
    exact = weights**2 / np.sum(weights**2)
    assert first_order(np.exp(0.1 * x @ weights), x) == pytest.approx(exact, abs=0.015)


def named(values: Number, columns: dict[str, Number]) -> list[str]:
    """Figures that are named, by their samples."""
    return [one.key for one in sources_of(values, columns)]


def test_what_does_nothing_is_not_named() -> None:
    rng = np.random.default_rng(5)
    columns = {f"idle {i}": rng.random(256) for i in range(60)} | {"busy": rng.random(256)}
    assert named(columns["busy"] ** 2, columns) == ["busy"]


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("ppu-96.compute.dense.bf16", "specification"),
        ("h20-96.memory.bandwidth", "specification"),
        ("hopper.memory", "model"),
        ("hopper.sustained.16", "model"),
        ("engine.current.elapsed.NVIDIA/hopper/h100-sxm", "model"),
        ("run.restart_s", "scenario"),
        ("hopper.mtbf_hours", "scenario"),
        ("chip_usd: somebody, 2026", "scenario"),
    ],
)
def test_figures_are_of_three_kinds(key: str, kind: str) -> None:
    assert kind_of(key) == kind


def test_kinds_have_the_variance_of_their_figures() -> None:
    rng = np.random.default_rng(9)
    columns = {
        "x.memory.capacity": rng.random(1024), "hopper.memory": rng.random(1024),
        "hopper.gemm.16": rng.random(1024), "run.restart_s": rng.random(1024),
    }  # fmt: skip
    values = sum(w * x for w, x in zip((1, 2, 2, 1), columns.values(), strict=True))
    orders = np.argsort(np.stack(list(columns.values()), axis=-1), axis=0)
    kinds = kinds_of(effects_of(values, orders), tuple(columns))
    assert tuple(kinds) == KINDS
    assert list(kinds.values()) == pytest.approx([0.1, 0.8, 0.1], abs=0.03)
    assert sum(kinds.values()) == pytest.approx(1.0)


def test_too_few_samples_tell_no_kinds() -> None:
    columns = np.random.default_rng(10).random((16, 20))
    effects = effects_of(columns.sum(axis=1), np.argsort(columns, axis=0))
    assert kinds_of(effects, tuple(map(str, range(20)))) == {}


@given(unknowns())
@settings(deadline=None)
def test_the_first_source_is_the_one_whose_knowledge_narrows_most(ends) -> None:
    """Each figure is held in turn and the answer drawn again: none narrows it clearly more."""
    sampler = Sampler(1024)
    found = spread(lambda draw: product(draw, ends), sampler)
    if not found.sources:
        return

    def left(key: str) -> float:
        """Squared coefficient of variation of the answer with a figure known."""
        return spread_of(product(replace(sampler, held=frozenset({key})), ends))

    def spread_of(values: Number) -> float:
        return float(np.var(values) / np.mean(values) ** 2)

    whole = spread_of(product(sampler, ends))
    least = min(left(key) for key in ends)
    assert left(found.sources[0].key) <= least + 0.05 * whole


@pytest.mark.parametrize(
    "asked",
    [
        {"have": "1024xh20", "want": "ppu", "train": True, "gbs": "16M"},
        {"have": "8xh100", "want": "910b"},
    ],
)
def test_what_a_match_says_would_narrow_it_most_does(asked, monkeypatch) -> None:
    """Every source that is named is held in turn: the first leaves the narrowest range, and it is
    the one that is printed.
    """
    seen = []

    def caught(answering, sampler, **_):
        seen.append((answering, sampler))
        return spread(answering, sampler)

    for module in ("match", "match_serving"):
        monkeypatch.setattr(f"parity.search.{module}.spread", caught)
    parity.match("llama-3.1-70b", samples=1024, **asked)
    answering, sampler = seen[-1]
    found = spread(answering, sampler)

    def known(key: str) -> tuple[float, float]:
        held = replace(sampler, held=frozenset({key, *wholes(key)}))
        low, high = np.quantile(answering(held), [P10, P90])
        return float(low), float(high)

    widths = [np.log(high / low) for low, high in (known(one.key) for one in found.sources)]
    assert len(widths) >= 2
    assert widths[0] <= 1.02 * min(widths)
    assert found.known == pytest.approx(known(found.sources[0].key))
    assert found.low <= found.known[0] <= found.known[1] <= found.high


@given(unknowns())
def test_percentiles_rise_and_shares_are_parts_of_one(ends) -> None:
    found = spread(lambda draw: product(draw, ends), Sampler(1024))
    assert found.low <= found.median <= found.high
    assert all(0 < one.share <= 1 for one in found.sources)
    assert sum(one.share for one in found.sources) <= 1.1  # the noise of 1,024 samples
    shares = [one.share for one in found.sources]
    assert shares == sorted(shares, reverse=True)


@given(unknowns())
def test_knowing_the_first_source_narrows_the_range(ends) -> None:
    found = spread(lambda draw: product(draw, ends), Sampler(1024))
    if found.known is not None and found.sources[0].share > 0.2:
        first, last = found.known
        assert last / first < found.high / found.low


@given(unknowns(), st.floats(0.0, 1.0))
def test_a_narrower_figure_never_widens_the_range(ends, part: float) -> None:
    key, (value, low, high) = next(iter(ends.items()))
    narrower = ends | {key: (value, value + part * (low - value), value + part * (high - value))}
    wide, narrow = (
        spread(lambda draw, own=own: product(draw, own), Sampler(1024)) for own in (ends, narrower)
    )
    assert np.log(narrow.high / narrow.low) <= 1.05 * np.log(wide.high / wide.low) + 1e-12


@given(unknowns())
def test_an_answer_compared_with_itself_has_no_range(ends) -> None:
    def own(draw: Draw) -> Number:
        return product(draw, ends)

    found = spread(ratio(own, once(own, Sampler())), Sampler())
    assert (found.low, found.median, found.high) == (1.0, 1.0, 1.0)
    assert found.sources == ()


@given(unknowns(), unknowns())
def test_what_is_worked_out_once_is_the_same(over, under) -> None:
    shared = {f"{key} of the other": value for key, value in under.items()} | over
    every = ratio(lambda draw: product(draw, over), lambda draw: product(draw, shared))
    kept = ratio(
        lambda draw: product(draw, over), once(lambda draw: product(draw, shared), Sampler())
    )
    assert spread(every, Sampler()) == spread(kept, Sampler())


def test_a_held_figure_is_its_value_and_the_rest_is_as_before() -> None:
    sampler, held = Sampler(), Sampler(held=frozenset({"a"}))
    assert held("a", 2.0, 1.0, 3.0) == 2.0
    assert np.array_equal(held("b", 2.0, 1.0, 3.0), sampler("b", 2.0, 1.0, 3.0))


def test_a_recorder_keeps_what_has_a_range() -> None:
    seen = Recorder(Sampler(16))
    seen("known", 2.0, 2.0, 2.0)
    drawn = seen("unknown", 2.0, 1.0, 3.0)
    assert list(seen.columns) == ["unknown"]
    assert np.array_equal(seen.columns["unknown"], np.ravel(drawn))


@pytest.mark.parametrize("train", [True, False])
def test_a_chip_matched_with_itself_is_as_many_without_a_range(train: bool) -> None:
    found = parity.match("llama-3.1-8b", have="8xh100", want="h100,a100", train=train).to_dict()
    same, other = found["answer"]["rows"]
    assert same["range"] == {"of": "chips", "low": 8, "p50": 8, "high": 8, "kinds": {}}
    assert same["uncertainty"] == []
    assert other["range"]["low"] <= other["range"]["p50"] <= other["range"]["high"]
    assert other["uncertainty"]


def test_more_samples_say_the_same_more_exactly() -> None:
    some, many = (
        parity.match("llama-3.1-8b", have="1024xh20", want="ppu", train=True, samples=n).to_dict()
        for n in (256, 2048)
    )
    (few,), (lot,) = some["answer"]["rows"], many["answer"]["rows"]
    assert few["count"] == lot["count"]
    assert few["range"]["low"] == pytest.approx(lot["range"]["low"], rel=0.1)
    assert few["range"]["high"] == pytest.approx(lot["range"]["high"], rel=0.1)
    assert few["uncertainty"][0]["source"] == lot["uncertainty"][0]["source"]


@pytest.mark.parametrize("samples", [0, 63, 65_537, -1])
def test_a_number_of_samples_has_bounds(samples: int) -> None:
    with pytest.raises(UsageError, match="64 to 65,536"):
        parity.plan_train("llama-3.1-8b", "8xh100", samples=samples)


def test_a_run_says_what_its_days_depend_on() -> None:
    found = parity.plan_train("llama-3.1-8b", "64xh100", tokens="1T")
    answer = found.to_dict()["answer"]
    first = answer["uncertainty"][0]
    assert first["source"].startswith("hopper.sustained")
    assert "hold of their rate over hours on hopper" in first["words"]
    assert answer["range"]["low"] <= first["narrowed"]["low"] <= answer["range"]["p50"]
    assert answer["range"]["p50"] <= first["narrowed"]["high"] <= answer["range"]["high"]
    assert "of the range comes from what matrix products hold" in found.explain(10_000)


def test_a_figure_without_a_range_is_no_source() -> None:
    weak, stated = (
        parity.match("llama-3.1-8b", have="64xh20", want=want, train=True).to_dict()["answer"]
        for want in ("ppu", "ppu@bf16=119TFLOP/s")
    )
    assert stated["rows"][0]["range"]["high"] <= weak["rows"][0]["range"]["high"]
    assert not any("compute.dense" in one["source"] for one in stated["rows"][0]["uncertainty"])


@pytest.mark.parametrize(("on", "of"), [("h20", "chips"), ("16xh20", "most_requests_per_s")])
def test_a_service_says_what_its_range_depends_on(on: str, of: str) -> None:
    found = plan_serve("llama-3.1-70b", on, rps=4 if of == "chips" else None)
    answer = found.to_dict()["answer"]
    span, first = answer["range"], answer["uncertainty"][0]
    assert span["of"] == of
    assert span["low"] <= span["p50"] <= span["high"]
    assert span["low"] <= (answer["chips"] if of == "chips" else answer[of]) <= span["high"]
    assert first["source"].startswith("engine.current.elapsed")
    assert span["low"] <= first["narrowed"]["low"] <= first["narrowed"]["high"] <= span["high"]
    assert "Most of the range comes from how far measured serving" in found.explain(10_000)


def test_who_measures_a_part_measures_the_whole() -> None:
    rng = np.random.default_rng(6)
    columns = {"a": rng.random(1024), "a/b": rng.random(1024), "c": rng.random(1024)}
    columns["a/b/d"] = rng.random(1024)
    values = columns["a"] + columns["a/b"] + columns["a/b/d"] + columns["c"]
    first, second = sources_of(values, columns)
    assert (first.key, second.key) == ("a/b/d", "c")
    assert first.share == pytest.approx(3 / 4, abs=0.06)
    assert second.share == pytest.approx(1 / 4, abs=0.06)
