"""A conversation as a Markdown file that can be given away: without the secrets that are known here."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from registry.chat import FilePart, ImagePart
from registry.errors import JackfieldError
from registry.redaction import redact
from registry.text import safe_text
from registry.threads import call_with_limit
from tui.history.records import title_of

if TYPE_CHECKING:
    from tui.conversation import Entry

_NAMES: Final = 100
"""How many files of one name and day there may be."""
_NAME_LENGTH: Final = 40
_LIMIT_S: Final = 30.0


async def export(entries: Sequence[Entry]) -> str:
    """Write a conversation to a new file in the current folder; gives what to tell the user.

    Raises:
        JackfieldError: there is nothing to write, or it cannot be written.
    """
    if not entries:
        raise JackfieldError("There is nothing to export yet", hint="Say something first.")
    write = partial(write_export, Path.cwd(), tuple(entries))
    try:
        file = await call_with_limit(write, limit_s=_LIMIT_S, name="export")
    except TimeoutError:
        raise _not_written(f"The disk did not answer within {_LIMIT_S:g} s") from None
    return f"Exported to {safe_text(str(file), single_line=True, limit=300)}"


def write_export(folder: Path, entries: Sequence[Entry]) -> Path:
    """Write a conversation to a new file, which is named after the day and the first prompt.

    Raises:
        JackfieldError: the folder cannot be written to.
    """
    text = export_text(entries)
    name = f"{datetime.now().astimezone():%Y-%m-%d}-{_slug(_title(entries))}".rstrip("-")
    try:
        for number in range(1, _NAMES + 1):
            file = folder / (f"{name}.md" if number == 1 else f"{name}-{number}.md")
            try:
                with file.open("x", encoding="utf-8", newline="\n") as opened:
                    opened.write(text)
            except FileExistsError:
                continue
            return file
        problem = f"{name}.md and {_NAMES - 1} more are there already"
    except OSError as error:
        problem = f"{folder}: {error.strerror or type(error).__name__}"
    raise _not_written(problem)


def _not_written(problem: str) -> JackfieldError:
    return JackfieldError(
        "The conversation cannot be exported",
        detail=safe_text(problem, single_line=True, limit=300),
        hint="Start Jackfield in a folder that you may write to; what was said is kept in the history.",
    )


def export_text(entries: Sequence[Entry]) -> str:
    """A conversation as Markdown: what was said, and what went along by name. What a model thought is not."""
    parts = [f"# {_title(entries)}", *(part for entry in entries for part in _paragraphs(entry))]
    return safe_text(redact("\n\n".join(parts))) + "\n"


def _title(entries: Sequence[Entry]) -> str:
    prompts = (entry.message.text for entry in entries if entry.message.role == "user")
    return title_of(redact(next(prompts, ""))) or "Conversation"


def _paragraphs(entry: Entry) -> Iterator[str]:
    message = entry.message
    yield f"## {'You' if message.role == 'user' else message.model or 'Answer'}"
    names = [part.name or "a picture" for part in message.parts if isinstance(part, ImagePart | FilePart)]
    if names:
        yield f"*With {', '.join(names)}*"
    if message.text.strip():
        yield message.text.strip()
    if entry.note:
        yield f"*{entry.note}*"


def _slug(title: str) -> str:
    return "-".join(re.findall(r"\w+", title.lower()))[:_NAME_LENGTH]
