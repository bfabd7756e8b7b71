"""What goes into a transcript, and what it tells its surroundings."""

from dataclasses import dataclass
from typing import Literal

from textual.message import Message

Role = Literal["user", "assistant", "notice", "error"]


@dataclass(frozen=True, slots=True)
class TranscriptMessage:
    """One message of a conversation.

    Attributes:
        id: Names it; unique within a transcript.
        role: Who speaks; decides how it looks.
        markdown: Its text, sanitised by the caller.
        label: Shown muted above it, such as a model's name.
        note: Shown muted below it, such as "stopped".
        thinking: What the model thought before it answered.
    """

    id: str
    role: Role
    markdown: str
    label: str = ""
    note: str = ""
    thinking: str = ""


@dataclass
class LinkClicked(Message):
    """Somebody clicked a link. Nothing has been opened: whether to is the receiver's decision."""

    url: str


@dataclass
class Copied(Message):
    """Text went to the clipboard. `what` names it for a person: "message", "code" or "Markdown"."""

    text: str
    what: str


@dataclass
class SearchMoved(Message):
    """The search found more, or moved. `current` counts from 1, and is 0 while there is none."""

    current: int
    total: int


@dataclass
class FollowingChanged(Message):
    """The transcript began or ceased to follow the end of the conversation."""

    following: bool
