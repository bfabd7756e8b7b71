"""What is shown of an error that nobody expected: redacted, and without the values of variables."""

from __future__ import annotations

import os
import sys
import threading
from types import TracebackType
from typing import TYPE_CHECKING

from registry.redaction import RedactingFilter, redact
from registry.text import safe_text

if TYPE_CHECKING:
    from logging import Handler


def crash_text(error: BaseException) -> str:
    """An unexpected error for people: its type and message; where it happened with `JACKFIELD_DEBUG=1`."""
    if os.environ.get("JACKFIELD_DEBUG") == "1":
        return traceback_text(error)
    said = safe_text(redact(str(error)), single_line=True, limit=500)
    return "\n".join(
        (
            "Jackfield failed in a way it should not",
            f"{type(error).__name__}: {said}",
            "Set JACKFIELD_DEBUG=1 and run it again to see where.",
        )
    )


def traceback_text(error: BaseException) -> str:
    """The traceback with secrets taken out. No variable's value is in it."""
    import traceback  # only where something went wrong

    return safe_text(redact("".join(traceback.format_exception(error)).rstrip("\n")))


def hide_secrets_in_tracebacks() -> None:
    """Have the interpreter write the errors that nobody catches without secrets, those of threads too."""
    sys.excepthook = _write_uncaught
    threading.excepthook = _write_of_thread
    sys.unraisablehook = _write_unraisable


def hide_secrets_in_logs() -> None:
    """Take secrets out of what is logged: by the handlers that are set up now, or where there is none."""
    import logging  # a list of plugins need not pay for it

    for handler in (*logging.getLogger().handlers, logging.lastResort):
        if handler is not None:
            _filter(handler)


def _filter(handler: Handler) -> None:
    if not any(isinstance(known, RedactingFilter) for known in handler.filters):
        handler.addFilter(RedactingFilter())


def _write_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        _write(traceback_text(error))


def _write_of_thread(uncaught: threading.ExceptHookArgs) -> None:
    if uncaught.exc_value is not None and uncaught.exc_type is not SystemExit:
        _write(traceback_text(uncaught.exc_value))


def _write_unraisable(raised: sys.UnraisableHookArgs) -> None:
    if raised.exc_value is not None:
        _write(traceback_text(raised.exc_value))


def _write(text: str) -> None:
    if sys.stderr is None:
        return
    try:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        return  # nobody listens
