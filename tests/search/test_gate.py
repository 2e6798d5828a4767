"""What stands in the way of a model on a chip: questions that people asked, and what is true."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parity.catalogue.load import chip, chips
from parity.catalogue.schema import FAMILIES
from parity.errors import Infeasible, MissingFact
from parity.layout.layout import columns, single
from parity.search.findings import CODES
from parity.search.gate import choices, serving_gate
from parity.search.replica_rules import REFUSALS, copied_cache, left_out, refusal_findings, refused
from parity.timing.support import engine_of, runs_on, support
from parity.workload.dtype import DTYPE_BYTES
from parity.workload.find import model

ANY = "current"


def answer(name: str, on: str, engine: str = ANY, dtype: str = "auto", context: float = 0.0):
    return serving_gate(model(name), chip(on), engine, dtype, context)


def refusal(name: str, on: str, engine: str = ANY, dtype: str = "auto", context: float = 0.0):
    with pytest.raises(Infeasible) as caught:
        answer(name, on, engine, dtype, context)
    assert caught.value.exit_code == 3
    return {f.code: f for f in caught.value.findings if f.severity == "error"}


def codes(found) -> set[str]:
    return {finding.code for finding in found.findings}


class TestDtypes:
    def test_deepseek_v3_in_fp8_on_a100_keeps_weights_narrow(self):
        """DeepSeek-V3 issues 295 and R1 354: A100 has no FP8."""
        found = answer("deepseek-v3", "a100")
        assert (found.choice.dtype, found.choice.how) == ("fp8", "weight-only")
        assert [other.dtype for other in found.others] == ["bf16"]
        (said,) = [f for f in found.findings if f.code == "P101"]
        assert "Marlin" in said.message
        assert said.fix == "--dtype bf16"
        assert any("vllm/pull/5975" in source for source in found.sources)

    def test_sglang_stops_on_the_same(self):
        """SGLang issue 12887."""
        found = answer("deepseek-v3", "a100", "sglang")
        assert (found.choice.dtype, found.choice.how) == ("bf16", "cast")
        assert "P101" in refusal("deepseek-v3", "a100", "sglang", "fp8")

    def test_an_fp8_checkpoint_on_910b_is_served_in_int8(self):
        """vllm-ascend issue 1526: FP8 needs an A5, not A2 and A3."""
        found = answer("deepseek-v3", "910b")
        assert [found.choice.dtype, *(c.dtype for c in found.others)] == ["int8", "bf16"]
        said = refusal("qwen3-235b-a22b", "910b", dtype="fp8")["P101"]
        assert said.fix == "--dtype int8 or --dtype bf16"
        assert answer("deepseek-v3", "ascend950dt").choice.how == "native"

    @pytest.mark.parametrize("on", ["v100", "t4", "ascend910"])
    def test_bf16_before_its_time_becomes_fp16(self, on):
        """vLLM issues 946, 730 and 1157, LLaMA-Factory issue 4339, vllm-ascend issue 9294."""
        assert answer("llama-3.1-8b", on).choice.dtype == "fp16"
        assert refusal("llama-3.1-8b", on, dtype="bf16")["P101"].fix == "--dtype fp16"

    def test_fp4_is_widened_on_hopper_and_native_on_blackwell(self):
        assert answer("gpt-oss-120b", "h100").choice.how == "weight-only"
        assert answer("gpt-oss-120b", "b200").choice.how == "native"

    def test_fp8_on_tpu_v5e_fails(self):
        """tpu-inference issue 1262."""
        assert answer("deepseek-v3", "tpu-v5e").choice.dtype == "bf16"
        assert "fail" in refusal("qwen3-32b", "tpu-v5e", dtype="fp8")["P101"].message

    def test_integers_of_four_bits_are_widened_although_an_a100_multiplies_them(self):
        assert answer("llama-3.1-70b", "a100", dtype="int4").choice.how == "weight-only"

    def test_what_nobody_says_is_not_assumed(self):
        said = refusal("llama-3.1-70b", "ppu", dtype="fp8")["P101"]
        assert "not known" in said.message

    @pytest.mark.parametrize("name", ["llama-3.1-8b", "deepseek-v3", "gpt-oss-120b"])
    def test_every_chip_that_computes_gets_a_dtype_that_it_or_an_engine_takes(self, name):
        for one in chips():
            try:
                found = choices(model(name), one)
            except (MissingFact, Infeasible):
                continue
            assert found
            assert len({c.dtype for c in found}) == len(found)
            assert DTYPE_BYTES[found[-1].dtype] == 2, one.id


class TestEnginesAndKernels:
    def test_an_engine_of_another_vendor_is_refused_with_those_that_run(self):
        assert refusal("llama-3.1-8b", "910b", "trtllm")["P108"].fix == (
            "--engine vllm or --engine sglang"
        )
        assert "P108" in refusal("llama-3.1-8b", "v100", "trtllm")

    def test_a_v100_is_left_behind_but_not_refused(self):
        found = answer("llama-3.1-8b", "v100")
        assert {"P108", "P109"} <= codes(found)
        assert "FlashAttention-2" in " ".join(f.message for f in found.findings)

    def test_a_chip_without_any_engine_says_so(self):
        assert "P108" in codes(answer("llama-3.1-8b", "p100"))

    @pytest.mark.parametrize("name", ["deepseek-v4-flash", "deepseek-v3.2", "glm-5.1"])
    def test_sparse_attention_has_no_kernel_on_a100(self, name):
        """vLLM issue 40851: no valid attention backend on A100 and A800."""
        assert "P109" in refusal(name, "a800")
        assert "P109" not in codes(answer(name, "h20"))

    def test_deepseek_v4_runs_on_ascend_in_int8(self):
        assert answer("deepseek-v4-flash", "910c").choice.dtype == "int8"

    def test_latent_attention_is_slower_on_a100(self):
        assert "P109" in codes(answer("deepseek-v3", "a100"))
        assert "P109" not in codes(answer("llama-3.1-70b", "a100"))

    def test_nothing_is_wrong_with_a_model_at_home(self):
        assert codes(answer("llama-3.1-70b", "h100")) == {"P304"}


def test_a_request_longer_than_the_positions_is_refused():
    """vLLM issues 2418 and 4346."""
    said = refusal("llama-2-7b", "h100", context=8192)["P113"]
    assert "4,096" in said.message
    assert answer("llama-2-7b", "h100", context=4096)


class TestDivisions:
    def test_blocks_of_deepseek_v3_refuse_32(self):
        """SGLang issue 3345: 18,432 / 32 = 576 is no multiple of 128."""
        (said,) = left_out(model("deepseek-v3"), chip("h100"), 64, "fp8")
        assert said.code == "P111"
        assert "TP32 " in said.message
        assert left_out(model("deepseek-v3"), chip("h100"), 64, "bf16") == ()

    def test_experts_of_minimax_refuse_8_unless_they_stay_whole(self):
        """vLLM 0.25 on H200: 1,536 / 8 = 192; expert parallelism is the way out."""
        both = columns(
            tp=np.array([8, 8]), ep=np.array([1, 8]), zero=np.zeros(2, int), etp=np.array([8, 1])
        )
        found = refused(model("minimax-m2.5"), chip("h200"), both, "fp8")
        assert [REFUSALS[code] for code in found] == [REFUSALS[3], "accepted"]

    def test_heads_that_do_not_divide(self):
        """vLLM issue 5003 (three cards), aws-neuron-sdk issue 749 (24 cores)."""
        (said,) = refusal_findings(model("llama-3.1-70b"), chip("a100"), [3], "", asked=True)
        assert (said.code, said.severity) == ("P111", "error")
        assert "1, 2, 4, 8, 16, 32, 64" in said.fix

    def test_trainium1_takes_four_cores_nowhere(self):
        """optimum-neuron issue 619."""
        (said,) = left_out(model("llama-3.1-8b"), chip("trn1"), 16)
        assert said.code == "P112"
        assert "TP2 " in said.message
        assert left_out(model("llama-3.1-8b"), chip("inf2"), 12) == ()

    def test_sixteen_chips_copy_eight_heads(self):
        """vLLM issue 930."""
        (said,) = copied_cache(model("llama-3.1-70b"), single(tp=16), "bf16")
        assert (said.code, said.severity) == ("P110", "warning")
        assert "328 kB" in said.message  # 2 · 80 · 8 · 128 · 2 bytes
        assert "655 kB" in said.message
        assert copied_cache(model("llama-3.1-70b"), single(tp=8), "bf16") == ()

    def test_a_latent_cache_is_copied_on_every_chip(self):
        (said,) = copied_cache(model("deepseek-v3"), single(tp=8), "bf16")
        assert "70.3 kB" in said.message  # 61 · 576 · 2 bytes
        assert said.severity == "note"

    @given(tp=st.lists(st.integers(1, 128), min_size=1, max_size=20))
    def test_each_division_is_judged_by_itself(self, tp):
        arch, on, some = model("deepseek-v3"), chip("trn1"), np.array(tp)
        together = refused(arch, on, columns(tp=some, zero=0 * some), "fp8")
        alone = [int(refused(arch, on, single(tp=n), "fp8")[0]) for n in tp]
        assert together.tolist() == alone


class TestTheData:
    def test_every_entry_names_known_sources_families_and_chips(self):
        known, ids = support(), {one.id for one in chips()}
        entries = (*known.runs, *known.ways, *known.kernels, *known.cores)
        for entry in entries:
            assert entry.sources
            assert set(entry.sources) <= set(known.sources)
            assert set(entry.families) <= set(FAMILIES)
            assert set(entry.chips) <= ids
            assert entry.families or entry.chips
        used = {key for entry in (*entries, *known.rules.values()) for key in entry.sources}
        assert used == set(known.sources)
        assert all(one.url.startswith("https://") for one in known.sources.values())

    def test_dtypes_of_the_data_are_dtypes(self):
        for way in support().ways:
            assert way.stored in DTYPE_BYTES
            assert (way.dtype in DTYPE_BYTES) or (way.way == "weight-only" and not way.dtype)

    def test_nobody_refuses_what_the_catalogue_calls_native_in_matrix_hardware(self):
        for way in support().ways:
            for one in filter(way.about, chips()):
                stated = getattr(one.dtypes, way.stored)
                if stated is not None and way.stored != "int4":
                    assert stated.support != "native", (way.stored, one.id)

    def test_engines_of_generations(self):
        names = {"current": "", "vllm-v1": "vllm", "sglang": "sglang", "trtllm-2024": "trtllm"}
        assert {name: engine_of(name) for name in names} == names
        assert [run.engine for run in runs_on(chip("a100"))] == ["vllm", "sglang", "trtllm"]

    def test_every_code_is_explained(self):
        assert {"P101", "P108", "P109", "P110", "P111", "P112", "P113"} <= set(CODES)
