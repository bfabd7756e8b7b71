"""Errors that a person can act on: a title, a cause, a next step."""

from __future__ import annotations

from pathlib import Path

from registry.redaction import redact
from registry.text import SafeText, safe_text


class JackfieldError(Exception):
    """An error that is shown to the user as it stands, with remembered secrets taken out.

    Args:
        title: what happened, in one short line.
        detail: the cause, as far as it is known; may be several lines.
        hint: what the user can do next.
    """

    def __init__(self, title: str, *, detail: str = "", hint: str = "") -> None:
        self.title = redact(title)
        self.detail = redact(detail)
        self.hint = redact(hint)
        super().__init__(self.title)

    def __str__(self) -> str:
        return "\n".join(part for part in (self.title, self.detail, self.hint) if part)


def reason_of(error: Exception, file: Path | None = None) -> SafeText:
    """Why something failed, in one line: an error of the operating system in words, without its number.

    Args:
        error: what was raised.
        file: what it is about, where the error itself names no file.
    """
    words, where = str(error), file
    if isinstance(error, OSError) and error.strerror:
        words = error.strerror
        where = Path(error.filename) if isinstance(error.filename, str) else file
    return safe_text(f"{where}: {words}" if where else words, single_line=True, limit=500)


class PluginError(JackfieldError):
    """A plugin did something that the contract does not allow, or raised."""


class ConfigError(JackfieldError):
    """The configuration file cannot be read or written."""
