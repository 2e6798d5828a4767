"""A serving plan in the words of engines: what to type to start one replica of it.

Names of flags are those of vLLM 0.33, SGLang 0.5.23 and `trtllm-serve` of TensorRT-LLM 1.x. Their
memory shares mean three things: of all memory; of all memory, for weights and cache; of what is
free after the weights.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from parity.evaluate.serving_memory import (
    room_for_cache,
    weights_per_chip,
    workspace_per_chip,
)
from parity.evaluate.step import Served
from parity.layout.layout import Layout
from parity.layout.serving import degrees
from parity.outputs.figures import first
from parity.search.serve import ServingPlan
from parity.workload.precision import HALVES

#: Flags with their values; one whose value is empty is a switch, a name without dashes a key of
#: the YAML file that `--extra_llm_api_options` names.
Settings = dict[str, str]
#: The engines whose words are known, with what starts them.
STARTED = {
    "vllm": "vllm serve {model}",
    "sglang": "python -m sglang.launch_server --model-path {model}",
    "trtllm": "trtllm-serve {model}",
}


@dataclass(frozen=True)
class Role:
    """What one replica of a plan does, and how."""

    plan: ServingPlan
    name: str  # replica, prefill, decode
    model: Served
    layout: Layout
    sequences: int  # under way at most, of one rank
    token_budget: int

    @property
    def degrees(self) -> dict[str, int]:
        """How the replica is divided."""
        return degrees(self.layout)


def settings_of(plan: ServingPlan) -> dict[str, dict[str, Settings]]:
    """Engine -> role -> flag -> value, for one replica of each role."""
    decode = plan.decode
    name = "decode" if plan.prefill else "replica"
    roles = [Role(plan, name, decode.model, decode.layout, plan.sequences, decode.token_budget)]
    if plan.prefill:
        first = plan.prefill
        tokens = math.ceil(first.most_prompts * plan.job.request.new_tokens)
        roles.insert(
            0, Role(plan, "prefill", first.model, first.layout, first.most_prompts, tokens)
        )
    words = {"vllm": _vllm, "sglang": _sglang, "trtllm": _trtllm}
    return {engine: {role.name: say(role) for role in roles} for engine, say in words.items()}


def command(engine: str, model: str, settings: Settings) -> str:
    """The line to type, and what the file it names holds."""
    flags = [f"{name} {value}".rstrip() for name, value in settings.items() if name[0] == "-"]
    keys = [f"{name}: {value}" for name, value in settings.items() if name[0] != "-"]
    line = " ".join([STARTED[engine].format(model=model), *flags])
    return f"{line} --extra_llm_api_options FILE with {', '.join(keys)}" if keys else line


def _vllm(role: Role) -> Settings:
    own, drafted = role.degrees, role.plan.job.request.drafted
    found = {"--tensor-parallel-size": f"{own['tp']}"}
    some = {
        "--pipeline-parallel-size": own["pp"],
        "--data-parallel-size": own["dp"],
        "--prefill-context-parallel-size": own["cp"],
    }
    found |= {name: f"{size}" for name, size in some.items() if size > 1}
    if own["ep"] > 1:
        found["--enable-expert-parallel"] = ""
    found["--max-num-seqs"] = f"{role.sequences}"
    found["--max-num-batched-tokens"] = f"{role.token_budget}"
    found["--gpu-memory-utilization"] = f"{_share(role.model.engine.memory_share)}"
    found |= _dtypes(role.plan, "fp8")
    if drafted:
        drafts = f'{{"method":"mtp","num_speculative_tokens":{drafted}}}'
        found["--speculative-config"] = f"'{drafts}'"
    if role.name != "replica":
        found["--kv-transfer-config"] = """'{"kv_connector":"NixlConnector","kv_role":"kv_both"}'"""
    return found


def _sglang(role: Role) -> Settings:
    own = role.degrees
    found = {"--tp-size": f"{own['tp'] * own['dp']}"}
    if own["pp"] > 1:
        found["--pp-size"] = f"{own['pp']}"
    if own["dp"] > 1:
        found |= {"--enable-dp-attention": "", "--dp-size": f"{own['dp']}"}
    if own["ep"] > 1:
        found["--ep-size"] = f"{own['ep']}"
    found["--max-running-requests"] = f"{role.sequences * own['dp']}"
    found["--chunked-prefill-size"] = f"{role.token_budget}"
    held = _weights(role) + first(room_for_cache(role.model, role.layout, role.token_budget))
    found["--mem-fraction-static"] = f"{_share(held / _capacity(role))}"
    found |= _dtypes(role.plan, "fp8_e4m3")
    if role.plan.job.request.drafted:
        found["--speculative-num-steps"] = f"{role.plan.job.request.drafted}"
    if role.name != "replica":
        found["--disaggregation-mode"] = role.name
    return found


def _trtllm(role: Role) -> Settings:
    own = role.degrees
    found = {"--tp_size": f"{own['tp'] * own['dp']}"}
    if own["pp"] > 1:
        found["--pp_size"] = f"{own['pp']}"
    if own["ep"] > 1:
        found["--ep_size"] = f"{own['ep']}"
    found["--max_batch_size"] = f"{role.sequences}"
    found["--max_num_tokens"] = f"{role.token_budget}"
    room = first(room_for_cache(role.model, role.layout, role.token_budget))
    working = first(workspace_per_chip(role.model, role.layout, role.token_budget))
    free = _capacity(role) - _weights(role) - working
    found["--kv_cache_free_gpu_memory_fraction"] = f"{_share(room / max(free, 1.0))}"
    if own["dp"] > 1:
        found["enable_attention_dp"] = "true"
    if role.plan.job.precision.kv == "fp8":
        found["kv_cache_config.dtype"] = "fp8"
    return found


def _capacity(role: Role) -> float:
    return first(role.model.machine.driver_bytes)


def _weights(role: Role) -> float:
    return first(weights_per_chip(role.model, role.layout))


def _share(value: float) -> float:
    """Two digits, rounded down: a share too many runs out of memory."""
    return math.floor(100 * min(max(value, 0.0), 1.0) + 1e-9) / 100


def _dtypes(plan: ServingPlan, narrow: str) -> Settings:
    """What differs from the checkpoint's own dtypes. Integers need a checkpoint of their own."""
    precision, arch = plan.job.precision, plan.arch
    found = {}
    if precision.half == "fp16":
        found["--dtype"] = "half"
    if precision.weights == "fp8" and arch.weight_dtype in HALVES:
        found["--quantization"] = "fp8"
    if precision.kv == "fp8":
        found["--kv-cache-dtype"] = narrow
    return found
