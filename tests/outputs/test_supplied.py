"""Rules and dependences in the answers of plans and matches."""

from __future__ import annotations

import pytest

import parity
from parity.errors import UnknownName

NOTICE = "Rules known to 2026-08; a screening aid, not legal advice."


def test_a_match_has_a_column_of_rules():
    answer = parity.match("llama-3.2-1b", have="8xh100", want="a100,910c,t4", to="CN", risk=True)
    said = {chip["label"]: chip for chip in answer.to_dict()["supply"]["chips"]}
    assert [chip["verdict"] for chip in said.values()] == ["caught", "not_caught", "not_caught"]
    assert [chip["from"] for chip in said.values()] == ["US", "CN", "US"]
    text = answer.explain()
    (head,) = (line for line in text.splitlines() if "rules to CN" in line)
    assert head.split()[:4] == ["chip", "rules", "to", "CN"]
    (row,) = (
        line
        for line in text.splitlines()
        if line.startswith("  ascend910c") and "no export" in line
    )
    assert "US guidance: a risk" in row
    assert NOTICE in text
    assert {found["of"] for found in answer.to_dict()["supply"]["risk"]} == set(said)


def test_figures_of_the_user_go_into_the_rules():
    want = "h20@memory.bandwidth=1TB/s,scale_up.bandwidth=100GB/s,h20"
    answer = parity.match("llama-3.2-1b", have="8xh100", want=want, to="CN").to_dict()
    assert [chip["verdict"] for chip in answer["supply"]["chips"]] == ["not_caught", "caught"]


def test_a_chip_that_cannot_do_it_is_said_too():
    answer = parity.match("llama-3.2-1b", have="8xh100", want="jalapeno,h20", to="CN").to_dict()
    assert [chip["verdict"] for chip in answer["supply"]["chips"]] == ["cannot_tell", "caught"]


def test_plans_say_it_of_every_kind():
    one = parity.plan_train("llama-3.2-1b", "8xh100", to="CN").to_dict()["supply"]
    assert [(chip["chip"], chip["count"]) for chip in one["chips"]] == [("h100-sxm", 8)]
    assert one["risk"] == []
    two = parity.plan_train("llama-3.2-1b", "32xh100,16xmi300x", risk=True).to_dict()["supply"]
    assert {d["name"]: d["low"] for d in two["risk"] if d["on"] == "vendor"} == {
        "NVIDIA": pytest.approx(2 / 3), "AMD": pytest.approx(1 / 3),
    }  # fmt: skip
    assert two["to"] is None
    assert {chip["verdict"] for chip in two["chips"]} == {None}


def test_both_pools_of_a_service_are_counted():
    answer = parity.plan_serve(
        "llama-3.1-8b", "h20", rps=200, prefill_on="h100", to="CN", risk=True
    )
    found = answer.to_dict()
    counts = {chip["chip"]: chip["count"] for chip in found["supply"]["chips"]}
    assert set(counts) == {"h100-sxm", "h20-96"}
    assert sum(counts.values()) == found["answer"]["chips"]
    assert NOTICE in answer.explain()


def test_without_the_words_nothing_is_added():
    answer = parity.plan_train("llama-3.2-1b", "8xh100")
    assert "supply" not in answer.to_dict()
    assert NOTICE not in answer.explain()


def test_an_unknown_country_is_said_before_the_work(run):
    with pytest.raises(UnknownName, match="country"):
        parity.match("llama-3.2-1b", have="8xh100", want="h20", to="Atlantis")
    assert run("plan", "train", "llama-3.2-1b", "--on", "8xh100", "--to", "Atlantis").code == 2
