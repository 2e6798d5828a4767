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
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    namespace: dict[str, object] = {}
    wrong = []
    for block in doc_blocks.blocks(page.read_text()):
        doc_blocks.write_file(block, tmp_path)
        if block.language == "python":
            exec(compile("\n".join(block.lines), f"{page.name}:{block.first}", "exec"), namespace)
        if block.language == "console":
            wrong += [text for step in doc_blocks.steps(block) if (text := difference(step, page))]
    assert not wrong, "\n".join([*wrong, "If this is meant: python tools/refresh_docs.py"])


def difference(step: doc_blocks.Step, page: Path) -> str:
    done = doc_blocks.run(step)
    if done is None:
        return ""
    code, real = done
    if code == step.code and doc_blocks.matches(step.output, real):
        return ""
    diff = difflib.unified_diff(step.output, real, "shown", "printed", lineterm="")
    return "\n".join([f"{page}:{step.first}: $ {step.command} (exit {code})", *diff])


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

    def test_a_wrong_output_is_noticed(self, tmp_path):
        step = doc_blocks.Step("parity --version", 0, ("9.9.9",), 3)
        assert "9.9.9" in difference(step, tmp_path / "page.md")

    def test_a_foreign_command_is_refused(self):
        with pytest.raises(ValueError, match="no-run"):
            doc_blocks.run(doc_blocks.Step("rm -r x", 0, (), 1))
