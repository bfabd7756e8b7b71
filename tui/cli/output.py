"""What the command line writes, and the codes it ends with.

Results go to standard output, everything else to standard error. Whatever comes from outside is made safe.
"""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, Literal, TextIO

from registry.errors import JackfieldError, reason_of
from registry.text import SafeText, safe_text

if TYPE_CHECKING:
    from registry.marketplace.installed import InstalledPlugin
    from registry.settings import ConfigProblem

_GAP = "  "
_COLOURS = {"heading": "\x1b[1m", "bad": "\x1b[31m", "muted": "\x1b[2m"}
_PLAIN = "\x1b[0m"


class Exit(IntEnum):
    """Exit codes. Ended by a signal, it is 128 and the signal's number: 130 for Ctrl-C, 143 for SIGTERM."""

    DONE = 0
    FAILED = 1
    """The answer or the command failed."""
    USAGE = 2
    """The command line is wrong, or names what is not there."""
    NO_MODEL = 3
    """No model is there to answer: none of that name, or no provider is on."""
    INTERRUPTED = 130
    PIPE_CLOSED = 141
    """Whoever read the output stopped reading, as `head` does."""


class CommandError(JackfieldError):
    """Ends a command: it is shown, and the process ends with its code."""

    def __init__(self, title: str, *, detail: str = "", hint: str = "", code: Exit = Exit.FAILED) -> None:
        super().__init__(title, detail=detail, hint=hint)
        self.code = code


def exit_of(errors: Sequence[JackfieldError]) -> Exit:
    """The exit code after errors that were shown already."""
    if not errors:
        return Exit.DONE
    codes = {error.code if isinstance(error, CommandError) else Exit.FAILED for error in errors}
    return Exit.FAILED if Exit.FAILED in codes else max(codes)


def line(text: object, limit: int = 200) -> SafeText:
    """Foreign text as one safe line."""
    return safe_text(str(text), single_line=True, limit=limit)


def warn(text: str) -> None:
    """Say something beside the result."""
    _say(f"warning: {safe_text(text, limit=2000)}")


def note(text: str, *, limit: int = 2000) -> None:
    """Say something that is no cause for worry.

    Args:
        text: foreign parts and all; at most `limit` characters of it are shown.
        limit: more for an address, which must not be cut.
    """
    _say(safe_text(text, limit=limit))


def warn_withdrawn(plugins: Iterable[InstalledPlugin]) -> None:
    """Say what marketplaces have just withdrawn or warn of, among what is installed."""
    for plugin in plugins:
        what = f"was revoked: {line(plugin.revoked, 300)}" if plugin.revoked else _warned_words(plugin)
        warn(f"{line(plugin.id)} {line(plugin.current.version)} {what}")


def _warned_words(plugin: InstalledPlugin) -> str:
    return f"stays as it is, but its marketplace warns: {line(plugin.warned, 300)}"


def show_error(error: JackfieldError) -> None:
    """Say what happened, its cause, and what to do next."""
    title, *rest = [part for part in (error.title, error.detail, error.hint) if part] or ["It failed."]
    _say(f"error: {line(title)}")
    for part in rest:
        for text in safe_text(part, limit=2000).splitlines():
            _say(f"  {text}")


def show_problems(problems: Sequence[ConfigProblem]) -> None:
    """Warn of what is wrong with the configuration."""
    for problem in problems:
        warn(str(problem))


def report_crash(error: Exception) -> int:
    """The last resort: say what an unexpected exception was; gives the exit code."""
    if isinstance(error, BrokenPipeError):
        return leave_closed_pipe()
    if os.environ.get("JACKFIELD_DEBUG") == "1":
        from tui.crashes import traceback_text

        _say(traceback_text(error))
        return Exit.FAILED
    if isinstance(error, OSError):
        show_error(JackfieldError(reason_of(error)))
    else:
        show_error(
            JackfieldError(
                "Jackfield failed in a way it should not",
                detail=f"{type(error).__name__}: {error}",
                hint="Set JACKFIELD_DEBUG=1 and run it again to see where.",
            )
        )
    _discard_output()
    return Exit.FAILED


def leave_closed_pipe() -> Exit:
    """End quietly after the reader of standard output has gone."""
    _discard_output()
    return Exit.PIPE_CLOSED


def _discard_output() -> None:
    # What is still buffered would be written, and fail, once more when the interpreter ends.
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, sys.stdout.fileno())
    except (OSError, ValueError, AttributeError):
        return  # there is no standard output
    finally:
        os.close(null)


def _say(text: str) -> None:
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        return  # nobody listens


def paint(text: str, colour: Literal["heading", "bad", "muted"] | None) -> str:
    """Safe text in a colour for standard output; unchanged where none is wanted."""
    stdout = sys.__stdout__  # `sys.stdout` is lent to plugins while they run
    if colour is None or stdout is None or not stdout.isatty() or os.environ.get("NO_COLOR"):
        return text
    return text if os.environ.get("TERM") == "dumb" else f"{_COLOURS[colour]}{text}{_PLAIN}"


def format_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> tuple[str, list[str]]:
    """The header line and the rows' lines, in aligned columns.

    Cells are safe text. On a terminal, lines are cut to its width.
    """
    widths = [max(map(_width, column)) for column in zip(header, *rows, strict=True)]
    room = terminal_width(sys.__stdout__)
    lines: list[str] = []
    for row in (header, *rows):
        cells = [cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)]
        lines.append(cut(_GAP.join(cells).rstrip(), room))
    return lines[0], lines[1:]


def terminal_width(stream: TextIO | None) -> int | None:
    """Columns of the terminal; None where the stream goes elsewhere and nothing must be cut."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or None if stream else None
    except (OSError, ValueError):
        return None


def _width(text: str) -> int:
    """Columns that a terminal takes for the text."""
    if text.isascii():
        return len(text)
    return sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    if unicodedata.category(character) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def cut(text: str, room: int | None) -> str:
    """The text, shortened to so many columns of a terminal; None leaves it whole."""
    if room is None or _width(text) <= room:
        return text
    kept = ""
    used = 1  # the ellipsis
    for character in text:
        used += _columns(character)
        if used > room:
            break
        kept += character
    return f"{kept.rstrip()}…"
