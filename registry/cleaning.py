"""Makes the texts of a turn safe to show: events as they stream, and what hooks made of an answer."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeAlias

from registry.chat import (
    ChatResponse,
    CitationReceived,
    Finished,
    Part,
    Progress,
    ServerToolUsed,
    Started,
    StreamEvent,
    TextDelta,
    TextPart,
    ThinkingDelta,
    ThinkingPart,
    ToolArgumentsDelta,
    ToolCallPart,
    ToolCallStarted,
)
from registry.text import StreamSanitizer, safe_text

PIECE_CHARACTERS = 8192
"""Longer texts are handled in pieces of this size, so that none of them holds up the screen."""
_LINE = 500

_Key: TypeAlias = tuple[type[TextDelta] | type[ThinkingDelta], int]


class StreamCleaner:
    """Makes the events of one stream safe.

    A control sequence may be cut anywhere, so the end of a text can be held back until more of the same part
    comes, or something else does.
    """

    def __init__(self) -> None:
        self._sanitizer = StreamSanitizer()
        self._key: _Key | None = None

    def clean(self, event: StreamEvent) -> list[StreamEvent]:
        """What can be shown now: none, one or two events."""
        match event:
            case TextDelta() | ThinkingDelta():
                key: _Key = (type(event), event.index)
                before = self.flush() if key != self._key else []
                self._key = key
                text = self._sanitizer.feed(event.text)
                return [*before, replace(event, text=text)] if text else before
            case ToolCallStarted():
                return [*self.flush(), replace(event, id=_line(event.id), name=_line(event.name))]
            case Finished():
                details = {_line(name): _line(value) for name, value in event.details.items()}
                return [*self.flush(), replace(event, details=details)]
            case ToolArgumentsDelta():
                return [replace(event, text=_escape(event.text))]
            case Started():
                return [replace(event, id=_line(event.id), model=_line(event.model))]
            case Progress():
                return [replace(event, label=_line(event.label))]
            case CitationReceived():
                return [replace(event, url=_line(event.url, 4000), title=_line(event.title))]
            case ServerToolUsed():
                return [replace(event, name=_line(event.name), state=_line(event.state))]
            case _:
                return [event]  # numbers, and what goes back to the provider unseen

    def flush(self) -> list[StreamEvent]:
        """What was held back; the text of this part is at its end, or something else came between."""
        text = self._sanitizer.finish()
        key, self._key = self._key, None
        return [key[0](text, key[1])] if key and text else []


def clean_response(response: ChatResponse, known: ChatResponse) -> ChatResponse:
    """An answer with its texts made safe, but for the parts that it shares with one that is safe already."""
    safe = set(map(id, known.message.parts))
    parts = tuple(part if id(part) in safe else _clean_part(part) for part in response.message.parts)
    model = response.message.model
    message = replace(response.message, parts=parts, model=None if model is None else _line(model))
    return ChatResponse(message, response.stop, response.usage)


def _clean_part(part: Part) -> Part:
    match part:
        case TextPart() | ThinkingPart():
            return replace(part, text=clean_long(part.text))
        case ToolCallPart():
            arguments = _escape(part.arguments)
            return replace(part, id=_line(part.id), name=_line(part.name), arguments=arguments)
        case _:
            return part


def clean_long(text: str) -> str:
    """What `safe_text` gives, found in pieces: a scan of megabytes would stop every other thread."""
    if len(text) <= PIECE_CHARACTERS:
        return safe_text(text)
    sanitizer = StreamSanitizer()
    starts = range(0, len(text), PIECE_CHARACTERS)
    pieces = [sanitizer.feed(text[start : start + PIECE_CHARACTERS]) for start in starts]
    return "".join([*pieces, sanitizer.finish()])


def _escape(text: str) -> str:
    """JSON text with what is not printable written as JSON escapes: it means the same and is safe to show."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() or character in "\n\t" else _json_escape(character)
        for character in text
    )


def _json_escape(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def _line(text: str, limit: int = _LINE) -> str:
    return safe_text(text, single_line=True, limit=limit)
