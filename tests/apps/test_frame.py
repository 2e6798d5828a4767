"""What every command gets from the frame: exit codes, errors, JSON, colour, the last answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cyclopts import App

from parity import cache
from parity.apps import cli
from parity.errors import BadQuantity, Infeasible, MissingFact
from parity.outputs.document import Document, Table
from parity.outputs.envelope import Answer
from parity.record import Finding

FINDING = Finding(code="P101", severity="error", message="Too big.", fix="Use more chips.")


@pytest.fixture
def toy(monkeypatch):
    """The command tree with a command `toy KIND` that does what it is told."""

    def command(kind: str, /, *, count: int = 1) -> Answer:
        """Do as told."""
        if kind == "fault":
            raise KeyError("inside")
        if kind == "infeasible":
            raise Infeasible("No plan fits.", (FINDING,))
        if kind == "missing":
            raise MissingFact("ppu", "memory.bandwidth", "2.4TB/s")
        if kind == "quantity":
            raise BadQuantity("tokens is 'x'.")
        if kind == "stop":
            raise KeyboardInterrupt
        document = Document(
            sentence=f"It is {count}.",
            parts=(Table(columns=("a", "b"), rows=(("one", "1"),), align="lr"),),
            findings=(FINDING,),
            sources=("A page",),
            next=("parity why",),
        )
        missed = 4 if kind == "missed" else 0
        content = {"answer": {"count": count, "nothing": float("nan")}}
        return Answer(
            command="toy", content=content, document=document, exit_code=missed, keep=True
        )

    app = cli.build_app()
    app.command(command, name="toy")
    group = App(name="toys", help="Toys.")
    group.command(command, name="toy")
    app.command(group)
    monkeypatch.setattr(cli, "app", app)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("answer", 0),
        ("missed", 4),
        ("infeasible", 3),
        ("missing", 3),
        ("quantity", 2),
        ("fault", 1),
        ("stop", 130),
    ],
)
def test_exit_codes(toy, run, kind, code):
    assert run("toy", kind).code == code


def test_an_answer_begins_with_the_answer(toy, run):
    done = run("toy", "answer", "--count", "7")
    assert done.out.splitlines()[0] == "It is 7."
    assert done.err == ""


def test_quiet_leaves_out_findings_sources_and_what_is_next(toy, run):
    done = run("toy", "answer", "-q")
    assert done.out == "It is 1.\n\n  a    b\n  one  1\n"


def test_json_has_a_version_and_no_nan(toy, run):
    done = run("toy", "answer", "--json")
    assert done.json == {
        "schema_version": 1,
        "command": "toy",
        "answer": {"count": 1, "nothing": None},
    }


@pytest.mark.parametrize("where", [("--json", "toy", "answer"), ("toy", "--json", "answer")])
def test_the_common_options_may_stand_anywhere(toy, run, where):
    assert run(*where).json["command"] == "toy"


def test_an_error_is_one_sentence_on_stderr_and_an_object_on_stdout(toy, run):
    done = run("toy", "infeasible", "--json")
    assert done.err.splitlines() == [
        "error: No plan fits.",
        "P101 Too big. Fix: Use more chips.",
    ]
    assert done.json["error"] == {
        "kind": "Infeasible",
        "message": "No plan fits.",
        "exit_code": 3,
    }
    assert done.json["findings"][0]["code"] == "P101"
    assert done.json["schema_version"] == 1


def test_an_error_without_json_leaves_stdout_empty(toy, run):
    assert run("toy", "quantity").out == ""


def test_a_fault_is_said_without_a_traceback(toy, run):
    done = run("toy", "fault")
    assert "KeyError: 'inside'" in done.err
    assert "PARITY_DEBUG=1" in done.err
    assert "Traceback" not in done.err


def test_a_fault_shows_its_traceback_when_asked(toy, run, monkeypatch):
    monkeypatch.setenv("PARITY_DEBUG", "1")
    assert "Traceback" in run("toy", "fault").err


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("ty",), "No command called 'ty'. Did you mean `toy`"),
        (("toys", "ty"), "No command called 'ty'. Did you mean `toy`? Commands: toy."),
        (("toy", "x", "--cuont", "3"), "Did you mean `--count`"),
        (("toy", "--cuont=3"), "Did you mean `--count`?"),
        (("toy", "x", "--jsn"), "Did you mean `--json`?"),
        (("--jsn", "toy", "x"), "Did you mean `--json`?"),
        (("toy",), "`parity toy` needs a value for KIND."),
        (("toy", "x", "--count"), "`parity toy` needs a value for --count."),
        (("toy", "x", "--count", "many"), "Invalid value for --count"),
        (("toy", "x", "y"), "`parity toy` takes no further word; 'y' was given."),
        (("toy", "x", "--count", "1", "--count", "2"), "--count specified multiple times"),
        (("toy", "x", "y" * 100_000), "takes no further word"),
        (("z" * 100_000,), "No command called 'zzz"),
        (("toy", "x", "--count", "9" * 100_000), "Invalid value for --count"),
    ],
)
def test_a_wrong_word_gets_one_sentence_and_exit_code_2(toy, run, argv, said):
    done = run(*argv)
    assert done.code == 2
    assert said in done.err
    assert done.err.count("\n") == 1
    assert len(done.err) < 600


def test_escape_sequences_of_the_user_do_not_reach_the_terminal(toy, run):
    assert "\x1b" not in run("toy", "x", "\x1b[31mred").err


def test_the_answer_is_kept_for_what_follows(toy, run, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    run("toy", "answer", "--count", "5")
    kept = tmp_path / "parity" / "last.json"
    assert json.loads(kept.read_text())["answer"]["count"] == 5
    assert [path.name for path in kept.parent.iterdir()] == ["last.json"]


def test_an_answer_needs_no_cache(toy, run, tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    assert run("toy", "answer").code == 0


def test_a_relative_cache_folder_is_ignored(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "here")
    monkeypatch.setenv("HOME", "/somebody")
    assert cache.folder() == Path("/somebody/.cache/parity")
    monkeypatch.delenv("HOME")
    assert cache.folder() is None


@pytest.mark.parametrize("argv", [(), ("--help",), ("toy", "--help"), ("toys",)])
def test_help_is_an_answer(toy, run, argv):
    done = run(*argv)
    assert done.code == 0
    assert done.out.startswith("Usage: parity")
    assert "--json" in done.out


def test_version(run):
    assert run("--version").out.strip().count(".") == 2


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_help_says_the_first_line_of_the_docstring(name):
    path, words = cli.COMMANDS[name]
    module, _, function = path.partition(":")
    __import__(module)
    command = getattr(sys.modules[module], function)
    said = command.help if isinstance(command, App) else command.__doc__
    assert said.splitlines()[0] == words


PARITY = [sys.executable, "-c", "from parity.apps.cli import main; raise SystemExit(main())"]


def test_nothing_heavy_is_imported_for_the_version():
    code = (
        "import sys; from parity.apps import cli; cli.main(['--version']);"
        "print(sorted({'numpy', 'rich', 'msgspec', 'huggingface_hub'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(("argv", "code"), [(("--help",), 1), (("chips",), 141)])
def test_a_reader_that_goes_away_is_no_error(argv, code):
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [*PARITY, *argv], stdout=write, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(write)
    assert done.returncode == code
    assert done.stderr == ""


def test_a_stdout_that_knows_no_greek_is_no_error():
    done = subprocess.run(
        [*PARITY, "chips", "nosuchµchip"],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 2
    assert "nosuch" in done.stderr
    assert "Traceback" not in done.stderr
