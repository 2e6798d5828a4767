"""`parity why` as people type it."""

from __future__ import annotations

import pytest

SERVE = ("why", "llama-3.1-8b", "--on", "4xh100", "--isl", "1k", "--osl", "200")
TRAIN = ("why", "llama-3.2-1b", "--on", "8xh100", "--train")


def test_training_says_where_time_goes_what_is_lost_and_what_would_help(run):
    done = run(*TRAIN)
    assert done.code == 0
    for words in ("of the peak", "a step,", "achievable kernels", "memory.capacity", "launches"):
        assert words in done.out, words


def test_serving_says_it_of_both_kinds_of_steps_and_of_the_first_token(run):
    done = run(*SERVE)
    assert done.code == 0
    for words in ("requests/s", "a step that only decodes", "a step with prompts", "first token"):
        assert words in done.out, words


def test_the_parts_of_the_json_add_up(run):
    for question in (SERVE, TRAIN):
        why = run(*question, "--json").json["why"]
        assert sum(part["time_s"] for part in why["parts"]) == pytest.approx(why["step_s"])
        shares = [one["share"] for one in why["losses"]]
        assert shares[0] == 1.0
        assert shares == sorted(shares, reverse=True)


def test_it_is_the_plan_of_plan(run):
    planned = run("plan", "train", *TRAIN[1:4], "--json").json["answer"]
    why = run(*TRAIN, "--json").json["why"]
    assert why["step_s"] == pytest.approx(planned["step_time_s"], rel=1e-12)
    assert why["losses"][0]["time_s"] / why["step_s"] == pytest.approx(planned["mfu"])
    planned = run("plan", "serve", *SERVE[1:], "--json").json["answer"]
    assert run(*SERVE, "--json").json["why"]["speed"] == planned["most_requests_per_s"]


def test_a_deadline_asks_for_the_fewest_chips(run):
    why = run("why", "llama-3.2-1b", "--on", "h100", "--train", "--tokens", "1T", "--days", "30",
              "--json").json["why"]  # fmt: skip
    assert why["chips"] > 1


def test_a_sweep_writes_its_chart(run, tmp_path):
    page, chart = tmp_path / "why.html", tmp_path / "why.svg"
    done = run(*TRAIN, "--sweep", "memory.capacity=20..80GB", "--html", str(page), "--svg",
               str(chart))  # fmt: skip
    assert done.code == 0
    assert "less than 1 %" in done.out
    assert "memory.capacity" in page.read_text()
    assert chart.read_text().startswith("<svg")


def test_two_pools_of_two_kinds_of_chip(run):
    done = run("why", "llama-3.1-70b", "--on", "8xh20", "--prefill-on", "8xh100", "--isl", "2k",
               "--osl", "200", "--json")  # fmt: skip
    why = done.json["why"]
    assert done.code == 0
    assert {part["part"] for part in why["first_token"]} == {"queue", "prompt", "transfer"}


def test_what_misses_its_target_is_explained_all_the_same(run):
    done = run(*SERVE, "--tpot", "1ms")
    assert done.code == 4
    assert "P106" in done.out


def test_a_measurement_leads_the_answer(run):
    done = run(*TRAIN, "--measured", "20%")
    assert done.out.startswith("20%")
    assert "lower than usual" in done.out
    fine = run(*TRAIN, "--json").json["why"]
    normal = run(*TRAIN, "--measured", f"{fine['step_s']}s", "--json").json["why"]["measured"]
    assert normal["normal"]


def test_a_percentile_says_where_requests_wait(run):
    done = run(*SERVE, "--p", "95", "--ttft", "1s")
    assert done.code == 0
    for words in ("(p95)", "Requests wait for", "simulated requests", "whose first token is the"):
        assert words in done.out.replace("\n", " "), words
    waits = run(*SERVE, "--p", "95", "--ttft", "1s", "--json").json["why"]["waits"]
    assert waits["percentile"] == 95
    assert [one["part"] for one in waits["mean"]] == ["queue", "prompt", "decode"]


def test_a_range_is_around_the_answer(run):
    for question, value in ((TRAIN, "step_s"), (SERVE, "speed")):
        why = run(*question, "--json", "--samples", "128").json["why"]
        assert why["range"]["low"] < why[value] < why["range"]["high"]


def test_a_fleet_that_trains_says_which_kind_is_waited_for(run):
    done = run("why", "llama-3.2-1b", "--on", "64xa100,32xh20", "--train")
    assert done.code == 0
    for words in (
        "is waited for",
        "a100-sxm-80@compute.dense.bf16",
        "waiting for the slowest kind",
    ):
        assert words in done.out.replace("\n", " "), words


def test_a_trace_is_explained(run):
    done = run("why", "llama-3.1-8b", "--on", "1xh100", "--trace", "azure-conv", "--rps", "1",
               "--json")  # fmt: skip
    assert done.code in (0, 4)
    assert done.json["why"]["waits"]["requests"] >= 1_000


def test_a_code_is_explained(run):
    done = run("why", "p104")
    assert done.code == 0
    assert done.out.startswith("P104: no count reaches it.")
    assert run("why", "P104", "--json").json["explanation"]["code"] == "P104"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("why", "P999"), "No finding called"),
        (("why", "llama-3.1-8b"), "needs chips"),
        ((*TRAIN, "--rps", "3"), "--rps asks about serving"),
        ((*SERVE, "--tokens", "1T", "--days", "3"), "--tokens and --days ask about training"),
        ((*TRAIN, "--measured", "fast"), "--measured"),
        ((*SERVE, "--measured", "45%"), "--measured"),
        ((*TRAIN, "--sweep", "memory.capacity=96GB"), "a range was expected"),
        ((*TRAIN, "--sweep", "memory.size=1..2GB"), "No field called"),
        (
            ("why", "llama-3.1-8b", "--on", "8xh100,8xh20", "--train", "--measured", "9s"),
            "one kind",
        ),
        (("why", "llama-3.1-8b", "--on", "8xh100,h20", "--train"), "has no count"),
        (("why", "llama-3.1-8b", "--on", "h100", "--train"), "has no count"),
        (("why", "llama-3.1-8b", "--on", "h100"), "How much must be served?"),
        (("why", "llama-9", "--on", "8xh100"), "llama-9"),
    ],
)
def test_what_cannot_be_read_is_one_sentence_and_exit_2(run, words, said):
    done = run(*words)
    assert done.code == 2
    assert said in done.err
    assert "Traceback" not in done.err


def test_what_does_not_fit_is_exit_3(run):
    done = run("why", "llama-3.1-405b", "--on", "8xa100", "--train")
    assert (done.code, done.out) == (3, "")
    assert "P102" in done.err
