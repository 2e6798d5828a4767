"""The command `parity`: words in, one answer out, an exit code.

A command is a typed function in `apps/commands` that returns an `Answer`; it is imported when it
runs. Here the answer is printed and whatever goes wrong becomes one sentence and an exit code:
0 answer, 1 internal, 2 usage, 3 nothing feasible, 4 target missed, 5 rule check failed,
6 over tolerance, 130 stopped by the keyboard. Data goes to stdout, notes and errors to stderr.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, CycloptsError, Group, Parameter

from parity.errors import ParityError, shorten

if TYPE_CHECKING:
    from parity.outputs.envelope import Answer

#: name -> (where the function or the group of commands is, what help says of it)
COMMANDS = {
    "match": (
        "parity.apps.commands.match:match",
        "Count how many of one chip equal so many of another.",
    ),
    "plan": ("parity.apps.commands.plan:plan", "Lay out a training run, or a service, on chips."),
    "why": (
        "parity.apps.commands.why:why",
        "Say where the time of a plan goes, what it loses, and what would help.",
    ),
    "cost": (
        "parity.apps.commands.cost:cost",
        "Count what a day, a token or a run costs, and what it earns.",
    ),
    "chips": (
        "parity.apps.commands.chips:chips",
        "List, filter, show or compare chips, or design one.",
    ),
    "models": ("parity.apps.commands.models:models", "Count a model: parameters, cache, FLOPs."),
    "fab": (
        "parity.apps.commands.fab:fab",
        "Price the making of a chip, or count how many a year there can be.",
    ),
    "rules": (
        "parity.apps.commands.rules:rules",
        "Screen chips against export rules: verdict, clause, margin.",
    ),
    "outlook": (
        "parity.apps.commands.outlook:outlook",
        "Follow a scenario of supply: chips, fleet, demand and lag, year by year.",
    ),
    "validate": (
        "parity.apps.commands.validate:validate",
        "Predict published measurements, or your own, and print the error.",
    ),
}
OUTPUT = Group("Output", sort_key=9)


def _flag(name: str | tuple[str, ...], words: str) -> Parameter:
    return Parameter(name=name, group=OUTPUT, help=words, show_default=False)


def _version() -> str:
    from importlib.metadata import version

    return version("chipparity")


def build_app() -> App:
    """The command tree; nothing behind a command is imported."""
    app = App(
        name="parity",
        help="Plans AI compute on the chips you can actually get.",
        version=_version,
        default_parameter=Parameter(negative=()),
        result_action="return_value",
        exit_on_error=False,
        print_error=False,
        verbose=False,
        help_format="plaintext",
    )
    for name, (path, words) in COMMANDS.items():
        app.command(path, name=name, help=words)
    app.meta.default(_launch)
    app.meta.suppress_keyboard_interrupt = False  # `main` gives its exit code
    return app


def _launch(
    *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    json: Annotated[bool, _flag("--json", "Print JSON, in SI units.")] = False,
    no_color: Annotated[bool, _flag("--no-color", "Print without colour.")] = False,
    quiet: Annotated[bool, _flag(("--quiet", "-q"), "Print no findings and sources.")] = False,
) -> int:
    command, bound, _ = app.parse_args(tokens)
    answer: Answer | None = command(*bound.args, **bound.kwargs)
    if answer is None:  # help or version, printed already
        return 0
    from parity.outputs import envelope

    if answer.keep:
        envelope.keep(answer)
    if json:
        sys.stdout.write(envelope.to_json(answer.to_dict()))
    else:
        from parity.outputs import text

        document = text.brief(answer.document) if quiet else answer.document
        sys.stdout.write(text.render(document, text.page_of(sys.stdout, no_color=no_color)))
    return answer.exit_code


app = build_app()


def main(argv: Sequence[str] | None = None) -> int:
    """Run `parity` with `argv` (default: the arguments of the process); the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal without µ shows ?
    try:
        code = _run(words)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader has gone (`| head`): say nothing, neither now nor when stdout is closed.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    return code


def _run(words: list[str]) -> int:
    if words == ["--version"]:  # at once: the parser would import Rich to print one line
        sys.stdout.write(_version() + "\n")
        return 0
    try:
        return int(app.meta(words) or 0)
    except CycloptsError as error:
        from parity.apps.usage import usage_error

        return _report(usage_error(error, ("--json", "--no-color", "--quiet")), words)
    except ParityError as error:
        return _report(error, words)
    except BrokenPipeError:
        raise
    except Exception as error:
        return _report(_internal(error), words)


def _internal(error: Exception) -> ParityError:
    """A fault of ours, without the traceback unless `PARITY_DEBUG` asks for it."""
    if os.environ.get("PARITY_DEBUG"):
        import traceback

        traceback.print_exception(error, file=sys.stderr)
    words = shorten(f"{type(error).__name__}: {error}", 200)
    return ParityError(f"This is a fault in Parity ({words}). PARITY_DEBUG=1 shows where.")


def _report(error: ParityError, words: list[str]) -> int:
    """Say what went wrong: a sentence on stderr and, with `--json`, an object on stdout."""
    from parity.outputs import envelope, text

    options = words[: words.index("--")] if "--" in words else words
    page = text.page_of(sys.stderr, no_color="--no-color" in options)
    sys.stderr.write(f"{text.styled('error:', 'red', page)} {text.clean(str(error))}\n")
    content = envelope.error_content(error)
    if content["findings"]:
        sys.stderr.write(text.findings(content["findings"], page) + "\n")
    if "--json" in options:
        sys.stdout.write(envelope.to_json(content))
    return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
