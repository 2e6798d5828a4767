"""Every command and every Python block of the README and the docs does what the page says."""

from __future__ import annotations

import difflib
from pathlib import Path

import pytest

import doc_blocks

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "page", doc_blocks.documents(ROOT), ids=lambda path: str(path.relative_to(ROOT))
)
def test_a_page_shows_what_its_commands_print(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = page.read_text()
    wrong = [
        difference(step, code, real, page)
        for step, code, real in doc_blocks.run_page(text, page.name, tmp_path)
        if code != step.code or not doc_blocks.matches(step.output, real)
    ]
    assert not wrong, "\n".join([*wrong, "If this is meant: python tools/refresh_docs.py"])


def difference(step: doc_blocks.Step, code: int, real: list[str], page: Path) -> str:
    diff = difflib.unified_diff(step.output, real, "shown", "printed", lineterm="")
    return "\n".join([f"{page}:{step.first}: $ {step.command.strip()} (exit {code})", *diff])


class TestTheRunnerItself:
    def test_a_command_its_exit_code_and_its_output_are_read(self):
        text = "x\n```console\n$ parity a \\\n    b\n# exit 3\none\n$ parity c\n```\n"
        (block,) = doc_blocks.blocks(text)
        first, second = doc_blocks.steps(block)
        assert (first.command, first.code, first.output) == ("parity a b", 3, ("one",))
        assert text.splitlines()[first.first] == "one"
        assert (second.command, second.code, second.output) == ("parity c", 0, ())

    def test_a_block_marked_no_run_is_left_alone(self):
        assert list(doc_blocks.blocks("```console no-run\n$ rm x\n```\n")) == []

    @pytest.mark.parametrize(
        ("shown", "real", "same"),
        [
            (("a", "b"), ["a", "b"], True),
            (("a", "...", "d"), ["a", "b", "c", "d"], True),
            (("a", "...", "d"), ["a", "d"], True),
            (("a", "...", "d"), ["a", "b"], False),
            (("a",), ["a", "b"], False),
            ((), [], True),
            (("a.",), ["ab"], False),
        ],
    )
    def test_three_dots_stand_for_any_lines(self, shown, real, same):
        assert doc_blocks.matches(shown, real) is same

    def test_commands_and_python_of_a_page_run_in_order(self, tmp_path):
        text = (
            "```python\nx = 40\n```\n```pycon\n>>> y = x + 2\n>>> for i in range(2):\n"
            "...     print(y + i)\n42\n43\n```\n```console\n$ parity --version\n9.9.9\n```\n"
        )
        first, second, third = doc_blocks.run_page(text, "page.md", tmp_path)
        assert first[0].output == ()
        assert second[0].output == tuple(second[2]) == ("42", "43")
        assert text.splitlines()[second[0].first] == "42"
        assert third[0].output == ("9.9.9",)
        assert not doc_blocks.matches(third[0].output, third[2])

    @pytest.mark.parametrize(
        ("shown", "new"),
        [
            ("old|...", "one|..."),
            ("old|old|...|old", "one|two|...|nine"),
            ("old||...", "one|two||..."),
            ("old||...||old", "one|two||...||eight|nine"),
            ("...||old", "...||eight|nine"),
            ("a||b||c||d||...||e", None),
            ("...|a|...", None),
            ("old|...|faur|fivf|...|old", "one|...|four|five|...|nine"),
            ("old|...||faur|x||...", "one|...||four|five||..."),
        ],
    )
    def test_an_output_is_cut_again_as_it_was(self, shown, new):
        real = ["one", "two", "", "four", "five", "", "eight", "nine"]
        cut = doc_blocks.elided(tuple(shown.split("|")), real)
        assert cut == (new.split("|") if new else None)

    def test_a_foreign_command_is_refused(self):
        with pytest.raises(ValueError, match="no-run"):
            doc_blocks.run(doc_blocks.Step("rm -r x", 0, (), 1))
