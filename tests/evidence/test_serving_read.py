"""Serving rows: read from CSV, their words made explicit, hostile files refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parity.errors import BadFile
from parity.evidence import read
from parity.evidence.schema import REQUIRED, Row
from parity.evidence.serving_schema import SERVING_COLUMNS, ServingRow
from parity.evidence.serving_sources import (
    engine_label,
    generation_of,
    serving_benchmark,
    serving_sets,
)
from parity.evidence.serving_words import explicit
from parity.timing.engine import engines

HEADER = "id,model,chip,chip_count,engine,isl,osl,batch_or_concurrency,metric,value"
LINE = "a,llama3-8b,H100-SXM-80GB,1,vLLM,1000,1000,64,output_throughput_total,5000"


def parse(text: str):
    return read.parse(text.encode(), "mine.csv")


def row(**cells: object) -> ServingRow:
    whole = {
        "id": "r", "model": "llama3-8b", "chip": "h100-sxm", "chip_count": 8, "engine": "vLLM",
        "isl": 1000.0, "osl": 1000.0, "metric": "output_throughput_total", "value": 1.0,
    }  # fmt: skip
    return explicit(ServingRow(**{**whole, **cells}))


def test_the_bundled_rows_are_all_read():
    rows = read.bundled_serving()
    assert len(rows) == 1177
    assert len({one.id for one in rows}) == 1177
    assert all(one.source and one.where and one.provenance for one in rows)
    assert {one.set for one in rows} == {known.id for known in serving_sets()}


def test_what_the_bundled_rows_say_explicitly_follows_from_their_words():
    assert all(explicit(one) == one for one in read.bundled_serving())


def test_a_file_may_hold_training_and_serving():
    both = parse(
        f"{HEADER}\n{LINE}\nb,llama3-8b,h100,8,,,,,mfu,40\n",
    )
    assert [type(one) for one in both] == [ServingRow, Row]


@pytest.mark.parametrize(
    ("words", "facts"),
    [
        ("64", {"arrival": "closed", "concurrency": 64}),
        ("4 max concurrency", {"arrival": "closed", "concurrency": 4}),
        ("1 user", {"arrival": "closed", "concurrency": 1}),
        ("100 per GPU", {"arrival": "closed", "concurrency": 800}),
        ("max", {"arrival": "offline", "concurrency": 0}),
        ("max (infinite request rate)", {"arrival": "offline"}),
        ("up to 5120", {"arrival": "offline", "max_sequences": 5120}),
        ("request rate 16 req/s", {"arrival": "open", "rate_per_s": 16.0}),
        ("Request Rate  inf req/s", {"arrival": "offline", "rate_per_s": 0.0}),
        ("all requests at once (peak 984.00)", {"arrival": "offline", "requests": 984}),
        ("all requests at once (peak None)", {"arrival": "offline", "requests": 0}),
        (
            "1500 prompts, max-num-seqs 1500",
            {"arrival": "offline", "requests": 1500, "max_sequences": 1500},
        ),
        (
            "300 ShareGPT requests at 10 sessions/s",
            {"arrival": "open", "requests": 300, "rate_per_s": 10.0},
        ),
        ("10 ShareGPT prompts", {"arrival": "offline", "requests": 10}),
        ("on a Tuesday", {"arrival": "", "concurrency": 0}),
    ],
)
def test_loads_in_words(words, facts):
    one = row(batch_or_concurrency=words)
    assert {name: getattr(one, name) for name in facts} == facts


@pytest.mark.parametrize(
    ("notes", "facts"),
    [
        ("flags: --model x --tp-size 8 --enable-dp-attention",
         {"tp": 8, "dp": 8, "ep": 8, "attention_dp": "yes"}),
        ("flags: --tp_size 8 --ep_size 8", {"tp": 8, "ep": 8}),
        ("flags: --tp 4 --enable-expert-parallel", {"tp": 4, "ep": 4}),
        ("flags: --pp-size 4 --max-num-batched-tokens 16384", {"pp": 4, "token_budget": 16384}),
        ("500 requests; table values rounded", {"requests": 500}),
        ("3000 prompts, max-num-batched-tokens 512, max-num-seqs 256",
         {"requests": 3000, "token_budget": 512, "max_sequences": 256}),
        ("MTP 3; batch 1", {"drafted": 3}),
        ("mean TTFT 62.5 ms, mean TPOT 7 ms", {"mean_ttft_ms": 62.5, "mean_tpot_ms": 7}),
        ("includes prefix-cache hits (56.3% of input tokens)", {"cached_share": 0.563}),
        ("2P1D: prefill DP2 TP8, decode DP32 TP1", {"pools": "2x TP8 DP2 + 1x TP1 DP32"}),
    ],
)  # fmt: skip
def test_what_notes_state(notes, facts):
    one = row(notes=notes, batch_or_concurrency="max")
    assert {name: getattr(one, name) for name in facts} == facts


@pytest.mark.parametrize(
    ("cells", "count", "ranks"),
    [("tp\n24 NeuronCores", 24, 2), ("tp\n24 TensorCores (2 per chip)", 24, 2), ("tp\n12", 12, 0)],
)
def test_degrees_that_count_parts_of_a_chip(cells, count, ranks):
    name, text = cells.split("\n")
    (one,) = parse(f"{HEADER.replace('chip_count', f'chip_count,{name}')}\n"
                   f"{LINE.replace(',1,vLLM', f',12,{text},vLLM')}\n")  # fmt: skip
    assert (one.tp, one.ranks_per_chip) == (count, ranks)


def test_ranges_are_their_middle():
    (one,) = parse(f"{HEADER}\n{LINE.replace(',1000,64', ',512-1536 uniform,64')}\n")
    assert (one.osl, one.lengths) == (1024.0, "mean")
    (one,) = parse(f"{HEADER}\n{LINE.replace('5000', '22.7-23.7')}\n")
    assert one.value == pytest.approx(23.2)


def test_a_limit_that_latencies_contradict_was_none():
    """49.65 tokens/s of answers of 99 tokens that take 102 s: 51 under way, not 4 [Little 1961]."""
    words = {"batch_or_concurrency": "4 max concurrency", "osl": 99.0, "isl": 32000.0}
    slow = row(**words, value=49.65, notes="mean TTFT 99444.04 ms, mean TPOT 23.99 ms")
    assert (slow.arrival, slow.concurrency, slow.requests) == ("offline", 0, 102)
    quick = row(**words, value=496.88, notes="mean TTFT 64.00 ms, mean TPOT 7.38 ms")
    assert (quick.arrival, quick.concurrency) == ("closed", 4)


@pytest.mark.parametrize(
    ("label", "family", "version", "generation"),
    [
        ("TensorRT-LLM", "trtllm", "0.6.1", "trtllm-2023"),
        ("TensorRT-LLM + Triton backend", "trtllm", "0.14.0", "trtllm-2024"),
        ("TensorRT-LLM (PyTorch backend)", "trtllm", "1.0", "trtllm-1"),
        ("TensorRT 10.13", "trtllm", "1.1", "trtllm-1"),
        ("vLLM 0.6.5.dev964+mlperf50", "vllm", "0.6.5", "vllm-v0"),
        ("vLLM (ROCm)", "vllm", "0.10.1", "vllm-v1"),
        ("vLLM", "vllm", "", "current"),
        ("vLLM-Ascend AFD", "vllm-ascend", "0.9.1", "ascend"),
        ("SGLang", "sglang", "0.5.4", "sglang"),
        ("Mango LLMBoost AI Enterprise Platform", "llmboost", "6.12", "vllm-v1"),
        ("an engine of ours", "", "2.0", ""),
    ],
)
def test_engines_by_label_and_version(label, family, version, generation):
    known = engine_label(label)
    assert (known.family if known else "") == family
    assert generation_of(family, version) == generation
    assert not generation or generation in engines()


def test_mlperf_states_its_latencies():
    llama = serving_benchmark("llama2-70b-99.9")
    assert llama is not None
    assert (llama.server, llama.interactive) == ((2000, 200), (450, 40))
    served = row(
        model="llama3.1-405b", isl=0.0, osl=0.0, batch_or_concurrency="MLPerf Server",
        source="mlcommons/inference_results_v5.1",
    )  # fmt: skip
    assert (served.ttft_limit_ms, served.tpot_limit_ms) == (6000, 175)
    assert (served.scenario, served.arrival, served.lengths) == ("server", "open", "mean")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"{HEADER}\n{LINE.replace('output_throughput_total', 'output_thruput')}",
         "one for serving, as output_throughput_per_chip"),
        (f"{HEADER},concurency\n{LINE},4", "is `concurrency` meant?"),
        (f"{HEADER},unit\n{LINE},ms", "column unit: 'ms'; tokens/s or"),
        (f"{HEADER}\n{LINE.replace('5000', '0')}", "a number above zero"),
        (f"{HEADER}\n{LINE.replace('5000', '9-nan')}", "column value"),
        (f"{HEADER}\n{LINE.replace(',1000,1000,', ',1e12,1000,')}", "column isl: '1e12'"),
        (f"{HEADER},tp\n{LINE},eight", "column tp: 'eight'; a whole number"),
        (f"{HEADER},tp\n{LINE},0 NeuronCores", "column tp: '0'"),
        (f"{HEADER},cached_share\n{LINE},1.5", "column cached_share: '1.5'"),
        (f"{HEADER},arrival\n{LINE},never", "one of offline, batch, closed, open"),
    ],
)  # fmt: skip
def test_a_broken_file_is_refused_in_one_sentence(text, words):
    with pytest.raises(BadFile) as error:
        parse(text)
    assert words in str(error.value)
    assert str(error.value).startswith("mine.csv")


@given(st.dictionaries(st.sampled_from(sorted(SERVING_COLUMNS)), st.text(max_size=20), max_size=8))
def test_any_cells_are_a_row_or_refused(cells):
    given = {
        **dict.fromkeys(REQUIRED, "x"), "metric": "mean_ttft", "value": "1", "isl": "9", **cells
    }  # fmt: skip
    line = ",".join('"' + text.replace('"', '""') + '"' for text in given.values())
    assert "\n" not in refusal((",".join(given) + "\n" + line).encode())


def refusal(data: bytes) -> str:
    """What is said of a file, or "" where it is read."""
    try:
        read.parse(data, "mine.csv")
    except BadFile as error:
        return str(error)
    return ""
