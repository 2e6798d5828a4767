"""`parity plan serve` on the command line."""

import json
import re
import subprocess
import sys

import pytest

from parity.search import confirm

HEAD = "arrival_s,input_tokens,output_tokens\n"
SMALL = ("plan", "serve", "llama-3.2-1b", "--on", "l4", "--isl", "512", "--osl", "64")


def test_the_first_line_says_how_many_for_what_and_what_limits(run):
    done = run(*SMALL, "--rps", "4", "-q")
    assert done.code == 0
    first = " ".join(done.out.split("\n\n")[0].split())
    assert re.match(r"\d+ x L4 \(\d+–\d+\) serve llama-3.2-1b to 4 requests/s within ", first)
    assert "sets the pace of" in first or "set the pace of" in first


def test_the_same_is_in_the_json(run):
    answer = run(*SMALL, "--rps", "4", "--p", "99", "--json").json["answer"]
    layout = answer["layout"]["decode"]
    assert answer["chips"] == layout["chips"] * layout["replicas"]
    assert answer["range"]["low"] <= answer["chips"] <= answer["range"]["high"]
    assert answer["ttft_s"]["p50"] <= answer["ttft_s"]["p99"] <= answer["target"]["ttft_s"]
    assert answer["tpot_s"]["p99"] <= answer["target"]["tpot_s"]
    assert answer["requests_per_s"] == pytest.approx(4, rel=0.01)
    each = answer["tokens_per_s_per_chip"] * answer["chips"]
    assert each == pytest.approx(4 * 64, rel=0.01)
    assert answer["joules_per_token"] == pytest.approx(answer["power_w"] / each)
    memory = answer["memory"]
    parts = ("weights_bytes", "cache_room_bytes", "workspace_bytes", "unused_bytes")
    assert sum(memory[name] for name in parts) == pytest.approx(memory["capacity_bytes"])


def test_percentiles_come_from_the_steady_state_unless_they_are_asked_for(run):
    words = (*SMALL, "--rps", "4", "--json")
    plain, asked = run(*words).json, run(*words, "--p", "95").json
    assert plain["answer"]["percentiles_by"] == "steady state"
    assert plain["simulation"] is None
    assert plain["answer"]["target"]["percentile"] is None
    assert plain["answer"]["ttft_s"]["p50"] < plain["answer"]["ttft_s"]["p99"]
    assert asked["answer"]["percentiles_by"] == "simulation"
    assert asked["answer"]["ttft_s"]["p95"] <= asked["answer"]["target"]["ttft_s"]
    assert asked["answer"]["share_within"] >= 0.95
    assert asked["simulation"]["finished"] == asked["simulation"]["requests"]
    same = run(*SMALL, "--rps", "4", "--simulate", "--json").json
    assert same["answer"]["target"]["percentile"] == 99


def test_an_answer_by_the_steady_state_loads_no_compiler():
    code = (
        "import sys; from parity.apps.cli import main; "
        f"main({[*SMALL, '--rps', '4']!r}); sys.exit('numba' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


class TestTraces:
    def test_a_trace_by_its_name_is_planned_for_and_replayed(self, run):
        found = run(
            "plan", "serve", "llama-3.2-1b", "--on", "l4", "--trace", "azure-conv", "--json"
        )
        assert found.code == 0
        answer, seen = found.json["answer"], found.json["simulation"]
        assert seen["trace"] == "azure-conv"
        assert seen["requests"] == 1500
        assert answer["request"]["input_tokens"] == pytest.approx(1067, abs=1)
        assert answer["target"]["percentile"] == 99
        assert answer["share_within"] >= 0.98

    def test_beginnings_that_prompts_share_are_found_again(self, run):
        words = ("--trace", "mooncake-conversation", "--ttft", "30s", "--tpot", "1s")
        found = run("plan", "serve", "llama-3.2-1b", "--on", "h100", *words, "--json").json
        request = found["answer"]["request"]
        assert 0 < request["cached_tokens"] < request["input_tokens"]
        assert 0 < found["simulation"]["cached_share"] < 1

    def test_twice_as_fast_takes_no_fewer_chips(self, run):
        plans = [
            run("plan", "serve", "llama-3.2-1b", "--on", "l4", "--trace", "azure-conv",
                "--speed", speed, "--json").json["answer"]
            for speed in ("1x", "20x")
        ]  # fmt: skip
        assert plans[1]["requests_per_s"] == pytest.approx(
            20 * plans[0]["requests_per_s"], rel=0.02
        )
        assert plans[1]["chips"] > plans[0]["chips"]

    def test_counted_chips_are_told_whether_they_hold(self, run):
        words = ("--trace", "azure-conv", "--speed", "10x", "--ttft", "300ms", "--tpot", "20ms")
        few = run("plan", "serve", "llama-3.2-1b", "--on", "1xl4", *words, "--json")
        assert few.code == 4
        assert few.json["answer"]["share_within"] < 0.99
        assert {f["code"] for f in few.json["findings"]} & {"P114", "P115", "P106"}

    def test_text_without_times_needs_a_rate(self, run, tmp_path):
        path = tmp_path / "talk.json"
        turns = [{"value": "why " * 200}, {"value": "because " * 50}]
        path.write_text(json.dumps([{"conversations": turns}] * 30))
        words = ("plan", "serve", "llama-3.2-1b", "--on", "l4", "--trace", str(path))
        done = run(*words)
        assert done.code == 2
        assert "--rps" in done.err
        done = run(*words, "--rps", "2", "--json")
        assert done.code == 0
        assert "P207" in {f["code"] for f in done.json["findings"]}

    def test_what_was_out_of_order_is_said(self, run, tmp_path):
        path = tmp_path / "mixed.csv"
        path.write_text(HEAD + "3,100,10\n1,200,20\n2,300,30\n")
        done = run(*SMALL[:5], "--trace", str(path), "--json")
        assert done.code == 0
        assert "P206" in {f["code"] for f in done.json["findings"]}

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("", "no line of column names"),
            (HEAD, "no request"),
            ("time,in,out\n1,2,3\n", "no line of column names"),
            (HEAD + "1,2\n", "line 2: 2 fields"),
            (HEAD + "-1,100,10\n", "line 2, column arrival_s"),
            (HEAD + "nan,100,10\n", "line 2, column arrival_s"),
            (HEAD + "inf,100,10\n", "line 2, column arrival_s"),
            (HEAD + "1,-5,10\n", "line 2, column input_tokens"),
            (HEAD + "1,1e9,10\n", "line 2, column input_tokens"),
            (HEAD + "1,100,99999999999999\n", "line 2, column output_tokens"),
            (HEAD + "1,100,10\0\n", "NUL"),
            (HEAD + "1,0,0\n", "no request"),
            (HEAD + "1,100,10\n", "have no times"),
            (HEAD + "1" * 2_100_000 + ",1,1\n", "longer than"),
            ('{"timestamp": 1, "input_length": -1, "output_length": 1}\n', "line 1"),
            ('{"timestamp": 1, "input_length": 1', "line 1"),
            ("[" * 100_000, "conversations"),
        ],
    )
    def test_a_file_that_is_no_trace_is_refused_in_one_sentence(self, run, tmp_path, text, said):
        path = tmp_path / "bad.csv"
        path.write_text(text)
        done = run("plan", "serve", "llama-3.2-1b", "--on", "l4", "--trace", str(path))
        assert done.code == 2
        assert said in done.err
        assert "Traceback" not in done.err

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (("--trace", "azure-con"), "Did you mean `azure-conv`?"),
            (("--trace", "no.csv"), "There is no file no.csv"),
            (("--trace", "azure-conv", "--isl", "5"), "--isl and --trace both say"),
            (("--trace", "azure-conv", "--users", "5"), "--users and --trace both say"),
            (("--trace", "azure-conv", "--rps", "5", "--speed", "2x"), "leave one out"),
            (("--trace", "azure-conv", "--speed", "0x"), "--speed is 0"),
            (("--trace", "azure-conv", "--speed", "fast"), "--speed"),
            (("--trace", "azure-conv", "--speed", "nan"), "--speed"),
            (("--speed", "2x", "--rps", "1"), "add --trace"),
        ],
    )
    def test_words_that_a_trace_says_itself(self, run, words, said):
        done = run("plan", "serve", "llama-3.2-1b", "--on", "l4", *words)
        assert done.code == 2
        assert said in done.err


def test_stopped_by_the_keyboard_nothing_is_written(run, tmp_path, monkeypatch):
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(confirm, "simulate", stop)
    done = run(*SMALL, "--rps", "1", "--p", "99", "--html", str(tmp_path / "page.html"))
    assert done.code == 130
    assert done.out == ""
    assert list(tmp_path.iterdir()) == []


def test_a_percentile_that_no_plan_keeps_is_exit_code_4(run):
    """A hundredth of the prompts of people are four times the mean, and as slow."""
    words = ("--on", "4xl4", "--rps", "0.2", "--ttft", "250ms", "--tpot", "300ms", "--p", "99")
    done = run("plan", "serve", "llama-3.1-8b", *words, "--json")
    assert done.code == 4
    assert {f["code"] for f in done.json["findings"]} & {"P115", "P106"}


def test_every_default_is_printed(run):
    words = " ".join(run("plan", "serve", "llama-3.2-1b", "--on", "l4", "--rps", "1").out.split())
    for default in ("--isl 1155", "--osl 211", "--ttft 2s", "--tpot 50ms", "Azure LLM"):
        assert default in words


def test_a_profile_sets_what_is_not_given(run):
    target = run(*SMALL, "--profile", "batch", "--concurrency", "32", "--json").json["answer"]
    assert target["target"]["ttft_s"] is None
    assert target["request"]["input_tokens"] == 512


def test_counted_chips_are_asked_what_they_carry(run):
    some = run("plan", "serve", "llama-3.2-1b", "--on", "2xl4", "--isl", "512", "--osl", "64",
               "--json")  # fmt: skip
    assert some.code == 0
    assert some.json["answer"]["range"]["of"] == "most_requests_per_s"
    assert some.json["answer"]["chips"] <= 2


def test_too_few_chips_show_what_they_carry_with_exit_code_4(run):
    done = run("plan", "serve", "llama-3.1-8b", "--on", "1xl4", "--rps", "500")
    assert done.code == 4
    assert "P114" in done.out
    assert "misses its target" in done.out


def test_a_latency_that_cannot_be_shows_the_nearest_with_exit_code_4(run):
    done = run(*SMALL, "--rps", "1", "--tpot", "10us", "--json")
    assert done.code == 4
    assert "P106" in {f["code"] for f in done.json["findings"]}
    assert done.json["answer"]["tpot_s"]["mean"] > 1e-5


def test_nothing_feasible_is_exit_code_3(run):
    done = run("plan", "serve", "deepseek-v3", "--on", "8xa100-sxm-40", "--rps", "1")
    assert done.code == 3
    assert "P105" in done.err
    done = run("plan", "serve", "deepseek-v4-flash", "--on", "a100", "--rps", "1", "--json")
    assert done.code == 3
    assert "P109" in {f["code"] for f in done.json["findings"]}


def test_other_dtypes_are_priced(run):
    found = run("plan", "serve", "gpt-oss-20b", "--on", "h100", "--rps", "2", "--json").json
    assert found["answer"]["dtype"] == "mxfp4"
    (other,) = found["choices"]
    assert (other["dtype"], other["chips"] >= found["answer"]["chips"]) == ("bf16", True)


def test_two_pools_of_different_chips(run):
    found = run("plan", "serve", "llama-3.1-8b", "--on", "h20", "--prefill-on", "h100", "--rps",
                "20", "--json").json["answer"]  # fmt: skip
    first, then = found["layout"]["prefill"], found["layout"]["decode"]
    assert (first["chip"], then["chip"]) == ("h100-sxm", "h20-96")
    assert found["chips"] == sum(p["chips"] * p["replicas"] for p in (first, then))
    assert set(found["engine_settings"]["vllm"]) == {"prefill", "decode"}


def test_a_page_and_a_chart_are_written_whole(run, tmp_path):
    page, chart = tmp_path / "answer.html", tmp_path / "answer.svg"
    assert run(*SMALL, "--rps", "1", "--html", str(page), "--svg", str(chart)).code == 0
    text = page.read_text()
    assert text.startswith("<!DOCTYPE html>")
    assert '"$schema": "https://vega.github.io/schema/vega-lite/' in text
    assert not re.search(r"(?:src|href)=\"http", text)
    assert chart.read_text().startswith("<svg")
    assert [p.name for p in tmp_path.iterdir() if p.suffix == ".part"] == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--rps", "0"), "--rps is 0"),
        (("--rps", "-3"), "--rps is -3"),
        (("--rps", "1e30"), "--rps is 1e30"),
        (("--rps", "nan"), "--rps"),
        (("--rps", "many"), "--rps is 'many'"),
        (("--users", "2.5"), "--users"),
        (("--rps", "4", "--users", "3"), "each set the load"),
        (("--think", "3s", "--rps", "1"), "add --users"),
        ((), "How much must be served?"),
        (("--rps", "1", "--profile", "chatt"), "Did you mean `chat`?"),
        (("--rps", "1", "--ttft", "0s"), "--ttft is 0s"),
        (("--rps", "1", "--tpot", "5"), "--tpot"),
        (("--rps", "1", "--tpot", "inf"), "--tpot"),
        (("--rps", "1", "--prefix", "1"), "--prefix is 1"),
        (("--rps", "1", "--p", "100"), "--p is 100"),
        (("--rps", "1", "--mode", "split"), "Modes: auto, aggregated, disaggregated"),
        (("--rps", "1", "--mode", "aggregated", "--prefill-on", "h100"), "leave one out"),
        (("--rps", "1", "--prefill-on", "h100,h20"), "one was expected"),
        (("--rps", "1", "--engine", "vlm"), "Did you mean `vllm`"),
        (("--rps", "1", "--speculate", "99"), "--speculate is 99"),
        (("--rps", "1", "--kv", "fp9"), "fp9"),
        (("--rps", "1", "--top", "0"), "--top is 0"),
        (("--rps", "1", "--isl", "0"), "--isl"),
        (("--rps", "1", "--svg", "/no/such/place.svg"), "cannot be written"),
    ],
)
def test_what_cannot_be_is_said_in_one_sentence(run, words, said):
    done = run("plan", "serve", "llama-3.2-1b", "--on", "l4", *words)
    assert done.code == 2
    assert said in done.err
    assert "Traceback" not in done.err


def test_a_request_longer_than_the_model_allows(run):
    done = run("plan", "serve", "llama-2-7b", "--on", "h100", "--rps", "1", "--isl", "8k")
    assert done.code == 3
    assert "P113" in done.err
