"""What people import and type: it changes on purpose only."""

from __future__ import annotations

import inspect

import pytest

import parity
from parity.api.why import ASIDE
from parity.apps.commands import match, outlook, plan, rules, why


def test_the_public_names():
    known = [
        "ParityError", "cost", "design", "fab", "match", "outlook", "plan_serve", "plan_train",
        "rules", "validate", "why",
    ]  # fmt: skip
    assert parity.__all__ == known
    assert all(hasattr(parity, name) for name in parity.__all__)
    assert set(parity.__all__) <= set(dir(parity))


def test_an_unknown_public_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        parity.nothing  # noqa: B018


@pytest.mark.parametrize(
    ("command", "function"),
    [
        (match.match, parity.match),
        (plan.train, parity.plan_train),
        (plan.serve, parity.plan_serve),
        (rules.rules, parity.rules),
        (outlook.outlook, parity.outlook),
    ],
)
def test_a_command_and_its_function_have_the_same_parameters_and_defaults(command, function):
    ours, theirs = inspect.signature(command).parameters, inspect.signature(function).parameters
    files = {"html", "svg"}  # that the command writes the answer to
    assert set(ours) - files == set(theirs) - {"report", "chart"}  # progress bar, files
    for name, parameter in ours.items():
        if name in files:
            continue
        assert str(parameter.default) == str(theirs[name].default), name


def test_why_has_the_parameters_of_its_function_and_those_of_both_plans():
    ours, theirs = (inspect.signature(one).parameters for one in (why.why, parity.why))
    assert set(ours) - set(theirs) == {"html", "svg"}
    assert set(theirs) - {"report"} <= set(ours)
    for name in set(theirs) & set(ours):
        parameter = theirs[name]
        assert str(parameter.default) == str(ours[name].default), name
    for plan_of in (parity.plan_train, parity.plan_serve):
        for name, parameter in inspect.signature(plan_of).parameters.items():
            if name in theirs and name not in ("model", "on"):
                assert str(parameter.default) == str(theirs[name].default), name


def test_why_can_follow_every_word_of_the_verbs_that_it_follows():
    theirs = set(inspect.signature(parity.why).parameters) | set(ASIDE)
    apart = {"owned"}  # read with the rows of the match
    for followed in (parity.match, parity.plan_train, parity.plan_serve):
        assert set(inspect.signature(followed).parameters) - theirs - apart == set(), followed
