"""What engines are told, and charts."""

import re

import pytest

import parity
from parity.outputs.chart_svg import drawn, stacked
from parity.outputs.chart_text import nice_end, plotted
from parity.outputs.document import Chart, Document, Series
from parity.outputs.html import card
from parity.outputs.page import charts, page
from parity.outputs.vega import vega_lite


@pytest.fixture(scope="module")
def dense():
    return parity.plan_serve("llama-3.1-70b", "8xh100", rps=2, isl=1000, osl=200, mode="aggregated")


@pytest.fixture(scope="module")
def spread():
    return parity.plan_serve(
        "deepseek-v3", "32xh200", rps=4, isl=1000, osl=200, kv="fp8", speculate=1, mode="aggregated"
    )


def settings(answer, engine="vllm", role="replica"):
    return answer.to_dict()["answer"]["engine_settings"][engine][role]


def test_degrees_of_the_layout_are_those_that_are_typed(dense):
    layout = dense.to_dict()["answer"]["layout"]["decode"]
    assert settings(dense)["--tensor-parallel-size"] == str(layout["tp"])
    assert settings(dense, "sglang")["--tp-size"] == str(layout["tp"] * layout["dp"])
    assert settings(dense, "trtllm")["--tp_size"] == str(layout["tp"] * layout["dp"])
    assert settings(dense)["--max-num-batched-tokens"] == str(layout["token_budget"])
    ranks = layout["dp"]
    assert int(settings(dense)["--max-num-seqs"]) >= int(layout["most_decoding"] / ranks)


def test_the_three_memory_shares_mean_three_things(dense):
    memory = dense.to_dict()["answer"]["memory"]
    capacity, weights = memory["capacity_bytes"], memory["weights_bytes"]
    held = weights + memory["cache_room_bytes"]
    free = capacity - weights - memory["workspace_bytes"]
    of_all = float(settings(dense)["--gpu-memory-utilization"])
    static = float(settings(dense, "sglang")["--mem-fraction-static"])
    of_free = float(settings(dense, "trtllm")["--kv_cache_free_gpu_memory_fraction"])
    assert of_all == 0.92  # vLLM's default
    assert static == pytest.approx(held / capacity, abs=0.02)
    assert of_free == pytest.approx(memory["cache_room_bytes"] / free, abs=0.02)
    assert len({of_all, static, of_free}) == 3


def test_experts_cache_and_drafts_are_told(spread):
    layout = spread.to_dict()["answer"]["layout"]["decode"]
    vllm, sglang = settings(spread), settings(spread, "sglang")
    assert ("--enable-expert-parallel" in vllm) == (layout["ep"] > 1)
    assert vllm["--kv-cache-dtype"] == "fp8"
    assert sglang["--kv-cache-dtype"] == "fp8_e4m3"
    assert '"num_speculative_tokens":1' in vllm["--speculative-config"]
    if layout["dp"] > 1:
        assert vllm["--data-parallel-size"] == str(layout["dp"])
        assert sglang["--enable-dp-attention"] == ""
        assert settings(spread, "trtllm")["enable_attention_dp"] == "true"


def test_an_old_chip_is_told_half_precision():
    answer = parity.plan_serve("llama-3.2-1b", "v100", rps=1, isl=500, osl=50)
    assert settings(answer)["--dtype"] == "half"
    assert "--dtype half" in answer.explain()


CHART = Chart(
    title="a <b> & c",
    x="seconds",
    y="requests",
    series=(
        Series(name="one", points=((0.0, 1.0), (10.0, 5.0))),
        Series(name="two", points=((0.0, 0.0), (5.0, 9.0)), joined=True),
    ),
)


def test_a_simulation_is_drawn_over_time():
    asked = {"rps": 2, "isl": 1000, "osl": 100, "p": 90}
    answer = parity.plan_serve("llama-3.2-1b", "l4", **asked)
    text = answer.explain()
    assert "requests over time" in text
    assert "KV cache held over time" in text
    assert "p90" in text
    whole = stacked(charts(answer))
    assert whole.count("<svg ") == 1 + len(charts(answer)) == 4
    assert whole.count("<svg") == whole.count("</svg>")
    line = answer.to_dict()["simulation"]["timeline"]
    assert len(line["time_s"]) == len(line["running"]) == len(line["kv_share"]) > 10
    assert 0 < max(line["kv_share"]) <= 1
    apart = parity.plan_serve("llama-3.2-1b", "l4", mode="disaggregated", **asked)
    assert "KV cache, decoding" in apart.explain()


class TestCharts:
    def test_text_shows_every_series_and_the_ends_of_the_axes(self):
        lines = plotted(CHART, 60)
        assert lines[0] == CHART.title
        assert max(map(len, lines)) <= 72
        assert "* one   o two" in lines[-1]
        assert "10" in lines[-2]
        assert sum("*" in line for line in lines[2:-1]) == 2

    def test_nothing_is_a_line(self):
        empty = Chart(title="none", x="x", y="y", series=(Series(name="n", points=()),))
        assert plotted(empty) == ["none: nothing to show"]
        assert drawn(empty).startswith("<svg")

    def test_svg_is_escaped_and_alone(self):
        text = drawn(CHART)
        assert "a &lt;b&gt; &amp; c" in text
        assert "<script" not in text
        assert not re.search(r"href|url\(", text.replace("http://www.w3.org/2000/svg", ""))

    def test_html_holds_the_chart(self):
        assert "<figure><svg" in card(Document(sentence="s", parts=(CHART,)))

    @pytest.mark.parametrize(
        ("value", "end"),
        [(0, 1), (1, 1), (1.1, 1.2), (37, 40), (99, 100), (101, 120), (1301, 1600), (0.03, 0.04)],
    )
    def test_axes_end_at_round_numbers(self, value, end):
        assert nice_end(value) == pytest.approx(end)

    def test_vega_holds_every_point(self):
        spec = vega_lite(CHART)
        assert len(spec["data"]["values"]) == 4
        assert {row["series"] for row in spec["data"]["values"]} == {"one", "two"}


def test_a_page_closes_no_script_early(dense):
    text = page(dense)
    scripts = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', text, re.S)
    assert len(scripts) == text.count("<figure>") == 1
    assert all("<" not in script for script in scripts)
