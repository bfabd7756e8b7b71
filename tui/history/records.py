"""What the history gives: conversations and messages as records, and how rows become them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any, Literal, TypeAlias

from registry.chat import Message, ParameterValue, Part, StopReason, TextPart, ThinkingPart, Usage
from registry.chat_json import usage_from_json

MessageState: TypeAlias = Literal["complete", "streaming", "stopped", "error"]
Kind: TypeAlias = Literal["text", "thinking"]
Diff: TypeAlias = Mapping[str, object]
"""What one hook changed, as JSON can hold it."""

UNREADABLE = "Parts of this message could not be read; this is its text."
TITLE_LENGTH = 60
"""How many characters of the first prompt a title takes at most."""


@dataclass(frozen=True, slots=True)
class Summary:
    """One line of the list of conversations."""

    id: int
    title: str
    model: str | None
    created_at: datetime
    updated_at: datetime
    messages: int
    """How many messages it has."""


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """One message of a conversation, with what became of it."""

    id: int
    position: int
    message: Message
    state: MessageState
    created_at: datetime
    usage: Usage | None = None
    stop: StopReason | None = None
    note: str = ""
    """Why it stopped or failed, for the user to read."""
    diffs: tuple[Diff, ...] = ()


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation and all its messages, in order."""

    summary: Summary
    messages: tuple[StoredMessage, ...]
    system: str | None = None
    """What the model is told before the first message."""
    parameters: Mapping[str, ParameterValue] = field(default_factory=dict)
    """What the user set, by name."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of an open answer."""

    message_id: int
    text: str
    kind: Kind = "text"


def title_of(prompt: str) -> str:
    """The first words of a prompt, on one line."""
    line = " ".join(storable(prompt[: 10 * TITLE_LENGTH]).split())
    if len(line) <= TITLE_LENGTH:
        return line
    words = line[:TITLE_LENGTH].rpartition(" ")[0] or line[: TITLE_LENGTH - 1]
    return f"{words}…"


def summary_of_row(row: Sequence[Any]) -> Summary:
    """A row of the list of conversations as a record."""
    conversation_id, title, model, created_at, updated_at, messages = row
    return Summary(
        conversation_id,
        title,
        model,
        datetime.fromisoformat(created_at),
        datetime.fromisoformat(updated_at),
        messages,
    )


MESSAGES = """SELECT id, position, role, model, state, usage, stop, note, diffs, created_at, parts
    FROM messages WHERE conversation_id = ? ORDER BY position"""


def message_of_row(row: Sequence[Any], parts: Sequence[Part]) -> StoredMessage:
    """A row of `MESSAGES` as a record that has these parts.

    Raises:
        ValueError: the row holds something that this version does not know.
    """
    message_id, position, role, model, state, usage, stop, note, diffs, created_at, _ = row
    return StoredMessage(
        message_id,
        position,
        Message(role, tuple(parts), model),
        state,
        datetime.fromisoformat(created_at),
        usage_from_json(usage) if usage else None,
        StopReason(stop) if stop else None,
        note,
        tuple(json.loads(diffs)),
    )


def parameters_of(text: str) -> dict[str, ParameterValue]:
    """The parameters of a conversation from their JSON; what this version does not know is left out."""
    try:
        table = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    held = table if isinstance(table, dict) else {}
    return {name: value for name, value in held.items() if isinstance(value, str | int | float | bool)}


def unreadable_message(row: Sequence[Any], text: str) -> StoredMessage:
    """What is left of a row that `message_of_row` refuses."""
    message_id, position, role, model, state, *_, created_at, _ = row
    message = Message(role, (TextPart(text),), model)
    return StoredMessage(
        message_id, position, message, state, datetime.fromisoformat(created_at), note=UNREADABLE
    )


_OPEN_PARTS: dict[str, type[TextPart | ThinkingPart]] = {"text": TextPart, "thinking": ThinkingPart}


def fold(pieces: Iterable[tuple[str, str]]) -> tuple[Part, ...]:
    """The parts that pieces of an open answer make, each a kind and its text, in order."""
    return tuple(
        _OPEN_PARTS[kind]("".join(text for _, text in run)) for kind, run in groupby(pieces, itemgetter(0))
    )


def plain(parts: Iterable[Part]) -> str:
    """The text of parts, as it can be stored."""
    return storable("".join(part.text for part in parts if isinstance(part, TextPart)))


def storable(text: str) -> str:
    """The text with halves of surrogate pairs joined, or replaced where the other half is missing."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
