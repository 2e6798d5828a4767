"""What the parser did not understand, in the words of the other errors."""

from __future__ import annotations

import re

from cyclopts import App, CycloptsError, MissingArgumentError, UnknownOptionError
from cyclopts.exceptions import UnknownCommandError, UnusedCliTokensError

from parity.errors import UnknownName, UsageError, shorten


def usage_error(error: CycloptsError, common: tuple[str, ...]) -> UsageError:
    """`error` as one sentence with the nearest choice and the way to help.

    `common` are the options that every command takes.
    """
    chain = " ".join(("parity", *(error.command_chain or ())))
    hint = f"See `{chain} --help`."
    unused = error.unused_tokens or [""]
    options = (*_options(error.app), *common)
    negative = [word for word in unused if re.match(r"-[\d.]", word)]
    stray = [word for word in unused if word.startswith("--") and word not in options]
    match error:
        case UnknownCommandError() if unused[0].startswith("-"):
            return UnknownName("option", unused[0], options, hint)
        case UnknownCommandError() if error.app:
            known = [name for name in error.app if not name.startswith("-")]
            return UnknownName("command", unused[0], known, f"Commands: {', '.join(known)}.")
        case UnknownOptionError():
            return UnknownName("option", error.token.keyword or error.token.value, options, hint)
        case MissingArgumentError() if stray:
            return UnknownName("option", stray[0].split("=")[0], options, hint)
        case MissingArgumentError() if error.argument and negative:
            return UsageError(
                f"A value that begins with a dash is written with `=`: "
                f"`{error.argument.name}={negative[0]}`. {hint}"
            )
        case MissingArgumentError() if error.argument:
            return UsageError(f"`{chain}` needs a value for {error.argument.name}. {hint}")
        case UnusedCliTokensError():
            return UsageError(
                f"`{chain}` takes no further word; {shorten(unused[0])!r} was given. {hint}"
            )
    return UsageError(f"{shorten(str(error), 300).replace(chr(34), '`')} {hint}")


def _options(app: App | None) -> list[str]:
    if app is None or app.default_command is None:
        return []
    return [name for argument in app.assemble_argument_collection() for name in argument.names]
