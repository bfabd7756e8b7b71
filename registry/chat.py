"""What is said in a chat: messages and their parts, requests, answers, and the events of a stream.

Everything here is a standard dataclass without behaviour of its own, so that it is cheap to import, to copy
and to send to another process. Messages and parts are immutable: a hook that changes a message replaces it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Literal, TypeAlias

Role: TypeAlias = Literal["system", "user", "assistant"]
"""Who speaks. Tool results travel in a message of the user, as most wire protocols have it."""

ParameterValue: TypeAlias = str | int | float | bool
"""A value that a user may set for one conversation, such as a temperature."""


@dataclass(frozen=True, slots=True)
class TextPart:
    """Plain or Markdown text."""

    text: str
    opaque: str | None = None
    """JSON text that the provider wants back unchanged when the conversation is replayed."""
    type: Literal["text"] = "text"


@dataclass(frozen=True, slots=True)
class ImagePart:
    """A picture: its bytes, or the address where the provider fetches it."""

    media_type: str
    data: bytes | None = None
    url: str | None = None
    opaque: str | None = None
    name: str = ""
    """What the user calls it: the name of its file."""
    type: Literal["image"] = "image"


@dataclass(frozen=True, slots=True)
class FilePart:
    """A document, such as a PDF."""

    name: str
    media_type: str
    data: bytes
    opaque: str | None = None
    type: Literal["file"] = "file"


@dataclass(frozen=True, slots=True)
class ThinkingPart:
    """What a model thought before it answered."""

    text: str
    opaque: str | None = None
    """JSON text with the signature or the encrypted content that proves the thought to its provider."""
    type: Literal["thinking"] = "thinking"


@dataclass(frozen=True, slots=True)
class ToolCallPart:
    """A call that the model asks for."""

    id: str
    name: str
    arguments: str
    """The arguments as the model wrote them: JSON text, which may be malformed."""
    opaque: str | None = None
    type: Literal["tool_call"] = "tool_call"


@dataclass(frozen=True, slots=True)
class ToolResultPart:
    """What a tool call gave."""

    call_id: str
    content: str
    is_error: bool = False
    opaque: str | None = None
    type: Literal["tool_result"] = "tool_result"


Part: TypeAlias = TextPart | ImagePart | FilePart | ThinkingPart | ToolCallPart | ToolResultPart


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation."""

    role: Role
    parts: tuple[Part, ...]
    model: str | None = None
    """The `provider/model` that wrote it, for messages of the assistant."""

    @classmethod
    def of(cls, role: Role, text: str) -> Message:
        """A message that holds one text part."""
        return cls(role, (TextPart(text),))

    @property
    def text(self) -> str:
        """All text parts, joined; thinking, tools and attachments are left out."""
        return "".join(part.text for part in self.parts if isinstance(part, TextPart))

    def with_text(self, text: str) -> Message:
        """The same message with its text parts replaced by one, at the place of the first."""
        parts: list[Part] = []
        placed = False
        for part in self.parts:
            if not isinstance(part, TextPart):
                parts.append(part)
            elif not placed:
                parts.append(TextPart(text))
                placed = True
        if not placed:
            parts.append(TextPart(text))
        return replace(self, parts=tuple(parts))


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one turn, in buckets that do not overlap (but `reasoning`, which is part of `output`)."""

    input: int = 0
    """Prompt tokens that no cache held."""
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0
    """Tokens written, thinking included."""
    reasoning: int = 0
    """How many of `output` were thinking."""

    @property
    def total(self) -> int:
        """All tokens that the turn used."""
        return self.input + self.cache_read + self.cache_write + self.output

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input + other.input,
            self.cache_read + other.cache_read,
            self.cache_write + other.cache_write,
            self.output + other.output,
            self.reasoning + other.reasoning,
        )


class StopReason(StrEnum):
    """Why an answer ended."""

    END = "end"
    LENGTH = "length"
    CONTEXT_FULL = "context_full"
    TOOL = "tool"
    REFUSED = "refused"
    PAUSE = "pause"
    OTHER = "other"
    """A reason this version does not know; the answer is complete all the same."""


@dataclass(slots=True)
class ChatRequest:
    """What is sent to a provider. A hook may change it in place: it works on a copy of its own."""

    model: str
    """The model's id, as its provider knows it."""
    messages: list[Message]
    provider: str = ""
    """The name of the provider that answers."""
    system: str | None = None
    parameters: dict[str, ParameterValue] = field(default_factory=dict)

    def copy(self) -> ChatRequest:
        """A request that can be changed without touching this one."""
        return ChatRequest(self.model, list(self.messages), self.provider, self.system, dict(self.parameters))


@dataclass(slots=True)
class ChatResponse:
    """A finished answer. A hook may change it in place: it works on a copy of its own."""

    message: Message
    stop: StopReason = StopReason.END
    usage: Usage = field(default_factory=Usage)

    def copy(self) -> ChatResponse:
        """A response that can be changed without touching this one."""
        return ChatResponse(self.message, self.stop, self.usage)


@dataclass(frozen=True, slots=True)
class Started:
    """The provider began to answer."""

    id: str = ""
    model: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """Work before the first token that takes long enough to be shown: a download, a model that loads."""

    label: str
    done: int = 0
    total: int | None = None
    """None while the size is unknown."""
    unit: Literal["bytes", "steps"] = "bytes"


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More text of the part with this index."""

    text: str
    index: int = 0


@dataclass(frozen=True, slots=True)
class ThinkingDelta:
    """More thinking of the part with this index."""

    text: str
    index: int = 0


@dataclass(frozen=True, slots=True)
class OpaqueReceived:
    """JSON text that belongs to the part with this index and goes back to the provider on replay."""

    opaque: str
    index: int = 0


@dataclass(frozen=True, slots=True)
class ToolCallStarted:
    """The model begins a tool call."""

    index: int
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class ToolArgumentsDelta:
    """More JSON text of a tool call's arguments."""

    index: int
    text: str


@dataclass(frozen=True, slots=True)
class ToolCallEnded:
    """The arguments of a tool call are complete."""

    index: int


@dataclass(frozen=True, slots=True)
class CitationReceived:
    """A source that the answer names."""

    url: str
    title: str = ""
    index: int = 0


@dataclass(frozen=True, slots=True)
class ServerToolUsed:
    """A tool that ran at the provider, such as its web search."""

    name: str
    state: str
    index: int = 0


@dataclass(frozen=True, slots=True)
class UsageReceived:
    """Tokens so far; a later one replaces an earlier one."""

    usage: Usage


@dataclass(frozen=True, slots=True)
class Finished:
    """The last event of a stream that ended well. A stream without it was cut short."""

    stop: StopReason = StopReason.END
    usage: Usage | None = None
    details: Mapping[str, str] = field(default_factory=dict)
    """What the provider said beside: request id, its own word for the stop."""


StreamEvent: TypeAlias = (
    Started
    | Progress
    | TextDelta
    | ThinkingDelta
    | OpaqueReceived
    | ToolCallStarted
    | ToolArgumentsDelta
    | ToolCallEnded
    | CitationReceived
    | ServerToolUsed
    | UsageReceived
    | Finished
)
STREAM_EVENTS = (
    Started,
    Progress,
    TextDelta,
    ThinkingDelta,
    OpaqueReceived,
    ToolCallStarted,
    ToolArgumentsDelta,
    ToolCallEnded,
    CitationReceived,
    ServerToolUsed,
    UsageReceived,
    Finished,
)
"""The classes of `StreamEvent`, for `isinstance`."""
