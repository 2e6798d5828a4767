"""What stands in the way of a chip that has no count, in figures, and what would move it."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

import parity
from parity.catalogue.load import chip
from parity.catalogue.machine import machine
from parity.errors import Infeasible
from parity.evaluate.goodput import Stated
from parity.search.precision import choose_precision
from parity.search.replica import BATCHES, ServingJob, best_replica, replicas
from parity.search.run import fewest_chips_within
from parity.search.train import Wall, fewest_chips
from parity.search.walls import TrainingCase, first_that, round_up, training_wall
from parity.search.walls_serving import (
    LIGHTEST,
    ServingCase,
    prompt_parts,
    serving_wall,
    token_parts,
)
from parity.timing.engine import CURRENT_ENGINE, engine
from parity.timing.software import CURRENT, software
from parity.units import render
from parity.workload.find import model
from parity.workload.request import Request
from parity.workload.training import TrainingJob

ENGINE, ERA = engine(CURRENT_ENGINE), software(CURRENT)
LLAMA = model("llama-3.1-70b")


def rows(name, want, **asked):
    found = parity.match(name, want=want, **asked).to_dict()["answer"]["rows"]
    return {row["chip"]: row for row in found}


def serving(name="h20", *, tpot=np.inf, ttft=np.inf, isl=2000.0, osl=500.0, arch=LLAMA):
    target = machine(chip(name))
    precision, _ = choose_precision(arch, target.chip)
    job = ServingJob(Request(input_tokens=isl, output_tokens=osl), precision, ttft, tpot)
    return ServingCase(arch, job, target, ENGINE)


def training(name, times, *, gbs=2**22, arch="llama-3.2-1b", interrupted=None):
    """A case that wants a step `times` as long as the fastest there is."""
    job = TrainingJob(tokens=1e12, seq_len=8192, global_batch_tokens=gbs)
    case = TrainingCase(model(arch), job, machine(chip(name)), ERA, 1e-6, interrupted)
    wall = fewest_chips(case.arch, job, case.target, ERA, 1e-2)
    assert isinstance(wall, Wall)
    assert wall.fastest is not None
    return replace(case, time_s=times * wall.fastest.time_s)


class TestLatency:
    def test_the_floor_is_what_no_plan_goes_below(self):
        case = serving("v100", tpot=0.018)
        wall = serving_wall(case)
        every = replicas(case.arch, case.job, case.target, ENGINE)
        assert wall.value == pytest.approx(np.min(every.steady.tpot_s[every.steady.fits]))
        assert wall.needed == 0.018
        assert (wall.kind, wall.unit) == ("latency floor", "s")

    def test_weights_cannot_be_read_faster_than_memory_gives_them(self):
        """A token of a dense model at batch 1 reads all weights [Pope et al. 2022, section 2]."""
        case = serving("v100", tpot=0.018)
        parts = dict(serving_wall(case, moved=False).parts)
        read = 2 * 70.6e9 / (8 * case.target.memory_bandwidth_bytes_per_s)
        assert read < parts["reading weights"] < 1.4 * read

    @pytest.mark.parametrize("name", ["v100", "l4", "910b", "h20", "mi300x"])
    def test_parts_add_up_to_the_whole(self, name):
        light = serving(name).lightest()
        for i in range(0, len(light.layout), 7):
            one = light.row(i)
            for parts, whole in (
                (token_parts(one), one.steady.tpot_s),
                (prompt_parts(one), one.steady.ttft_s),
            ):
                assert sum(size for _, size in parts) == pytest.approx(float(whole[0]))

    def test_everything_that_is_said_to_work_works(self):
        case = serving("910b4", tpot=0.018)
        wall = serving_wall(case)
        done = {work.split()[0]: work for work in wall.works}
        assert {"--tpot", "memory.bandwidth", "--dtype"} <= set(done)
        asked = {"isl": 2000, "osl": 500, "tokens_per_second": 1000, "engine_generation": "current"}
        wider = done["--tpot"].split()[1]
        assert rows("llama-3.1-70b", "910b4", tpot=wider, **asked)["ascend910b4"]["count"]
        value = done["memory.bandwidth"].removeprefix("memory.bandwidth ").replace(" ", "")
        better = f"910b4@memory.bandwidth={value}"
        assert rows("llama-3.1-70b", better, tpot="18ms", **asked)["ascend910b4"]["count"]
        narrow = done["--dtype"].split()[1]
        found = rows("llama-3.1-70b", "910b4", tpot="18ms", dtype=narrow, **asked)
        assert found["ascend910b4"]["count"]

    def test_where_both_latencies_are_out_of_reach_both_are_told(self):
        wall = serving_wall(serving("v100", tpot=0.018, ttft=0.5))
        assert "A token takes" in wall.words
        assert "The first token comes after" in wall.words
        assert re.fullmatch(r"--tpot \d+ms --ttft \d+ms", wall.works[0])

    def test_the_first_token_is_sooner_on_chips_for_prompts(self):
        """A long prompt is divided along its length there, which a replica that decodes cannot."""
        case = serving("l4", ttft=1.0, isl=8192.0)
        apart, together = serving_wall(case), serving_wall(replace(case, mode="aggregated"))
        assert apart.value < 0.7 * together.value
        assert "CP2" in apart.words
        assert "for prompts alone" in apart.words
        for wall in (apart, together):
            assert sum(size for _, size in wall.parts) == pytest.approx(wall.value)
        (soonest,) = [work.split()[1] for work in apart.works if work.startswith("--ttft")]
        asked = {"isl": 8192, "osl": 500, "tokens_per_second": 1000}
        assert rows("llama-3.1-70b", "l4", ttft=soonest, **asked)["l4"]["count"]
        refused = rows("llama-3.1-70b", "l4", ttft="1s", **asked)["l4"]
        assert render(refused["wall"]["value"], "s") in refused["reason"]

    @pytest.mark.parametrize("limits", [{}, {"tpot": 0.018}, {"ttft": 0.1}])
    def test_what_is_not_asked_for_is_no_wall(self, limits):
        for name in ("v100", "910b4", "l4"):
            wall = serving_wall(serving(name, **limits))
            assert (wall is None) == (not limits), name
            if wall:
                assert ("A token" in wall.words) == ("tpot" in limits)

    def test_prompts_over_a_bus_wait_for_the_bus(self):
        """An L40S has no link of its own: eight of them add up over PCIe."""
        wall = serving_wall(serving("l40s", ttft=0.4))
        assert wall.kind == "link"
        parts = dict(wall.parts)
        assert parts["bandwidth of the links"] > wall.value / 2
        assert serving_wall(serving("h20", ttft=0.2)).kind == "latency floor"

    def test_no_wall_where_a_plan_is_in_time(self):
        case = serving("h20", tpot=0.1)
        assert best_replica(case.arch, case.job, case.target, ENGINE)
        assert serving_wall(case) is None

    @settings(max_examples=12, deadline=None)
    @given(tpot=st.floats(1e-4, 0.2), ttft=st.floats(1e-3, 5.0))
    def test_a_wall_and_a_plan_exclude_each_other(self, tpot, ttft):
        case = serving("l40s", tpot=tpot, ttft=ttft)
        wall = serving_wall(case, moved=False)
        assert (wall is None) == case.works()
        if wall:
            assert wall.value > wall.needed

    def test_the_lightest_load_is_one_that_is_planned(self):
        assert min(BATCHES) == LIGHTEST[0]


class TestMemory:
    def test_the_missing_bytes_make_it_fit(self):
        case = serving("l4", arch=model("llama-3.1-405b"), isl=126e3)
        wall = serving_wall(case)
        assert (wall.kind, wall.unit) == ("memory", "byte")
        assert wall.value == 24e9
        enough, little = (f"l4@memory.capacity={wall.needed * x:.0f}B" for x in (1.005, 0.97))
        asked = {"isl": "126k", "osl": 500, "tokens_per_second": 100}
        assert rows("llama-3.1-405b", enough, **asked)["l4"]["count"]
        assert rows("llama-3.1-405b", little, **asked)["l4"]["count"] is None
        (roomier,) = [work for work in wall.works if work.startswith("memory.capacity")]
        better = f"l4@{roomier.replace(' ', '=', 1).replace(' ', '')}"
        assert rows("llama-3.1-405b", better, **asked)["l4"]["count"]

    def test_copies_of_heads_are_the_wall_where_they_take_what_is_missing(self):
        """Eight key-value heads stay whole: a cache divides over eight of a stage's 16 chips."""
        wall = serving_wall(serving("mtia-v2", isl=3e6), moved=False)
        assert wall.kind == "KV heads"
        assert "TP16" in wall.words
        assert "the cache is kept 2 times" in wall.words

    def test_room_for_weights_and_none_for_a_request_is_said_in_bytes(self):
        """A chip that misses only the cache of its first request lacks that, not less than none."""
        for name in ("groq-lpu", "t4", "l4"):
            case = serving(name, isl=2e6)
            with pytest.raises(Infeasible) as caught:
                best_replica(case.arch, case.job, case.target, ENGINE)
            (found,) = caught.value.findings
            assert found.code == "P105"
            assert re.search(r"lacks \d[\d.,]* [MGT]?B on", found.message), found.message


class TestTraining:
    def test_a_batch_that_is_used_up_names_one_that_would_do(self):
        case = training("l4", 0.6)
        wall = fewest_chips(case.arch, case.job, case.target, ERA, case.time_s)
        told = training_wall(case, wall)
        assert told.kind in ("critical batch", "latency floor", "link")
        gbs = [work.split()[1] for work in told.works if work.startswith("--gbs")]
        assert gbs
        sequences = float(gbs[0].removesuffix("M")) * 2**20 / 8192
        larger = structs.replace(case.job, global_batch_tokens=int(sequences) * 8192)
        times = sequences / case.job.global_batch_sequences
        assert not isinstance(
            fewest_chips(case.arch, larger, case.target, ERA, case.time_s * times), Wall
        )
        if told.kind == "critical batch":
            assert told.value == case.job.global_batch_sequences
            assert told.needed == sequences

    def test_the_parts_of_the_fastest_step_are_told(self):
        case = training("h100", 0.5)
        wall = fewest_chips(case.arch, case.job, case.target, ERA, case.time_s)
        told = training_wall(case, wall)
        assert sum(size for _, size in told.parts) == pytest.approx(wall.fastest.time_s)
        assert f"{wall.enough:,} chips" in told.words
        assert wall.enough <= wall.fastest.chips

    def test_a_slow_link_is_named_with_the_bandwidth_that_would_do(self):
        slow = chip("h100")
        target = machine(slow)
        levels = tuple(
            replace(level, bandwidth_bytes_per_s=level.bandwidth_bytes_per_s / 200)
            for level in target.levels
        )
        case = replace(training("h100", 0.5), target=replace(target, levels=levels))
        wall = fewest_chips(case.arch, case.job, case.target, ERA, case.time_s)
        told = training_wall(case, wall)
        assert told.kind == "link"
        assert "exchanges between chips" in told.words

    def test_memory_says_what_is_missing_and_what_works(self):
        job = TrainingJob(tokens=1e12, seq_len=8192, global_batch_tokens=2**22, dtype="fp16")
        case = TrainingCase(model("llama-3.1-405b"), job, machine(chip("groq-lpu")), ERA, 1e4)
        wall = fewest_chips(case.arch, job, case.target, ERA, case.time_s)
        assert isinstance(wall, Wall)
        assert wall.kind == "memory"
        told = training_wall(case, wall)
        assert (told.value, told.needed) == (230e6, wall.leanest_bytes)
        assert "too little" in told.words

    def test_failures_name_the_days_that_work(self):
        stated = Stated(mtbf_hours=5000.0)
        case = training("h100", 1.05, interrupted=stated)
        wall = fewest_chips_within(case.arch, case.job, case.target, ERA, case.time_s, stated)
        assert isinstance(wall, Wall)
        told = training_wall(case, wall)
        assert told.kind in ("failures", "critical batch", "latency floor")
        assert told.works

    def test_beyond_all_jobs(self):
        job = TrainingJob(tokens=1e12, seq_len=8192, global_batch_tokens=2**22, dtype="fp16")
        case = TrainingCase(LLAMA, job, machine(chip("t4")), ERA, 1e-3)
        wall = fewest_chips(LLAMA, job, case.target, ERA, 1e-3)
        told = training_wall(case, wall)
        assert told.kind == "peak"
        assert told.needed > told.value


def test_the_first_that_works_is_found():
    for first in range(7):
        tried = tuple(range(6))
        found = first_that(tried, lambda x, first=first: str(x) if x >= first else None)
        assert found == ((first, str(first)) if first < 6 else None)


@given(st.floats(1e-9, 1e18))
def test_rounding_goes_up_by_less_than_a_tenth(value):
    assert value * (1 - 1e-9) <= round_up(value) <= 1.1 * value * (1 + 1e-9)


def test_a_match_tells_the_wall_in_words_and_as_data(run):
    words = ("llama-3.1-70b", "--want", "v100,910b", "--tokens-per-second", "1k", "--tpot", "18ms")
    done = run("match", *words, "--json")
    wall = done.json["answer"]["rows"][0]["wall"]
    assert wall["kind"] == "latency floor"
    assert wall["unit"] == "s"
    assert wall["value"] > wall["needed"] == pytest.approx(0.018)
    assert sum(part["value"] for part in wall["parts"]) == pytest.approx(wall["value"])
    shown = " ".join(run("match", *words, "-q").out.split())
    assert wall["words"] in shown
    assert f"What works: {'; '.join(wall['works'])}." in shown
