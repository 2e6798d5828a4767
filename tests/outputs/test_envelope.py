"""JSON and HTML: plain values only, everything escaped."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pytest

from parity.outputs import envelope
from parity.outputs.document import Bars, Document, Fields, Table, Words
from parity.outputs.envelope import Answer
from parity.record import Fact, Finding

NASTY = '<script>alert("x")</script>'


def answer(**content: object) -> Answer:
    return Answer(command="toy", content=content, document=Document(sentence="Yes."))


@dataclass
class Row:
    count: int | None


def test_records_and_arrays_open():
    fact = Fact(value=1.0, low=0.5, high=2.0, unit="1", provenance="read", source="s")
    opened = answer(
        fact=fact,
        row=Row(None),
        array=np.array([1.5, np.nan]),
        number=np.float64(2),
        count=np.int64(3),
    ).to_dict()
    assert opened["fact"]["high"] == 2.0
    assert opened["row"] == {"count": None}
    assert opened["array"] == [1.5, None]
    assert (opened["number"], opened["count"]) == (2.0, 3)
    assert type(opened["number"]) is float


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_are_none_become_null(value):
    assert json.loads(envelope.to_json({"x": [value]})) == {"x": [None]}


def test_integers_of_any_size_survive():
    assert json.loads(envelope.to_json({"x": 10**30})) == {"x": 10**30}


def test_what_has_no_json_form_is_refused():
    with pytest.raises(TypeError, match="set has no JSON form"):
        envelope.to_json({"x": {1}})


def test_the_card_escapes_everything():
    document = Document(
        sentence=NASTY,
        parts=(
            Table(columns=(NASTY,) * 2, rows=((NASTY, NASTY),), title=NASTY),
            Fields(rows=((NASTY, NASTY),)),
            Bars(rows=((NASTY, 1.0, NASTY),)),
            Words(text=NASTY),
        ),
        findings=(Finding(code=NASTY, severity="error", message=NASTY, fix=NASTY),),
        sources=(NASTY,),
        next=(NASTY,),
    )
    card = Answer(command="toy", content={}, document=document)._repr_html_()
    assert "<script" not in card
    assert card.count("&lt;script&gt;") == 16


def test_explain_is_the_text_of_the_command_line():
    assert answer().explain() == "Yes.\n"
