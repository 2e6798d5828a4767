"""From names, ids, paths and the local cache to an architecture."""

from __future__ import annotations

import json
import subprocess
import sys
from types import SimpleNamespace

import pytest

from parity.errors import BadFile, NeedsExtra, UnknownName, UsageError
from parity.workload.find import bundled, model, names

CONFIG = {
    "model_type": "llama", "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
    "num_attention_heads": 4, "vocab_size": 1000,
}  # fmt: skip


@pytest.fixture(autouse=True)
def no_network(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.delenv("PARITY_OFFLINE", raising=False)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)


@pytest.mark.parametrize(
    "spelling",
    [
        "llama-3.1-70b", "Llama-3.1-70B", "llama3.1-70b", "llama 3.1 70b", "LLAMA_3.1_70B",
        "meta-llama/Llama-3.1-70B", "META-LLAMA/llama-3.1-70b", "meta-llama/Meta-Llama-3.1-70B",
        "meta-llama/Llama-3.3-70B-Instruct", "llama3_1-70b-fp8_dyn", " llama-3.1-70b ",
    ],
)  # fmt: skip
def test_spellings(spelling):
    assert model(spelling).name == "llama-3.1-70b"


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("gpt3-175b", "gpt3-175b"), ("gpt-175b", "gpt3-175b"), ("llama3.1-405b", "llama-3.1-405b"),
        ("DeepSeek-V3/R1", "deepseek-v3"), ("gptj-99", "gpt-j-6b"),
        ("GPT-OSS-120B", "gpt-oss-120b"),
        ("llama2-70b-99.9", "llama-2-70b"), ("mistral-7b", "mistral-7b-v0.1"),
        ("DeepSeekV4 Flash", "deepseek-v4-flash"),
        ("Nemotron_3_Ultra", "nemotron-3-ultra-550b-a55b"),
        ("Qwen3-Coder-480B-A35B", "qwen3-coder-480b-a35b"), ("Kimi-K2-Thinking", "kimi-k2"),
    ],
)  # fmt: skip
def test_labels_of_published_measurements(label, name):
    assert model(label).name == name


def test_every_spelling_of_every_model_finds_it():
    assert len(names()) == 80
    for name, about in bundled().items():
        for spelling in (name, about.hf_id, *about.aliases, *about.labels):
            if spelling:
                assert model(spelling).name == name
        assert about.source
        assert about.status in ("read", "recalled", "partly recalled")
        assert bool(about.published_total) == bool(about.published_status)


def test_a_recalled_configuration_says_so():
    assert [f.code for f in model("phi-4").findings] == ["P201"]
    assert not model("llama-3.1-8b").findings


def test_unknown_names_suggest_the_nearest():
    with pytest.raises(UnknownName) as caught:
        model("lama-3.1-70b")
    assert "llama-3.1-70b" in caught.value.suggestions
    for name in ("", "a/../b", "x" * 5000, "\0", "a b/c d"):
        with pytest.raises(UnknownName):
            model(name)


def test_paths(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(CONFIG))
    for spelling in (path, tmp_path, str(path), str(tmp_path)):
        assert model(spelling).num_hidden_layers == 2
    with pytest.raises(BadFile, match="There is no file"):
        model(str(tmp_path / "other.json"))
    with pytest.raises(BadFile, match="There is no file"):
        model("./nowhere")


def test_a_folder_named_like_an_id_comes_before_the_bundle(tmp_path, monkeypatch):
    folder = tmp_path / "meta-llama" / "Llama-3.1-70B"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    monkeypatch.chdir(tmp_path)
    assert model("meta-llama/Llama-3.1-70B").num_hidden_layers == 2


def test_the_local_cache(tmp_path):
    snapshot = tmp_path / "hf" / "hub" / "models--some--model" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text(json.dumps(CONFIG))
    architecture = model("some/model")
    assert architecture.name == "some/model"
    assert architecture.source == "huggingface.co/some/model"


def test_fetching_needs_the_extra():
    with pytest.raises(NeedsExtra, match=r"pip install 'chipparity\[fetch\]'"):
        model("nobody/nothing")


@pytest.mark.parametrize("variable", ["PARITY_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_is_respected(monkeypatch, variable):
    monkeypatch.setenv(variable, "1")
    with pytest.raises(UnknownName, match=f"because {variable} is set"):
        model("nobody/nothing")


def test_fetching(monkeypatch, tmp_path):
    path = tmp_path / "fetched.json"
    path.write_text(json.dumps(CONFIG))
    asked = []

    def fetch(repository, file):
        asked.append((repository, file))
        return str(path)

    monkeypatch.setitem(sys.modules, "huggingface_hub", SimpleNamespace(hf_hub_download=fetch))
    assert model("some/model").name == "some/model"
    assert asked == [("some/model", "config.json")]


def test_a_failing_network_is_one_sentence(monkeypatch):
    def fetch(repository, file):
        raise ConnectionError("name resolution\nfailed")

    monkeypatch.setitem(sys.modules, "huggingface_hub", SimpleNamespace(hf_hub_download=fetch))
    with pytest.raises(UsageError) as caught:
        model("some/model")
    assert "could not be fetched" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_finding_a_model_needs_no_numpy():
    code = (
        "import sys; from parity.workload.find import model; model('llama-3.1-70b'); "
        "assert not {'numpy', 'rich', 'huggingface_hub'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
