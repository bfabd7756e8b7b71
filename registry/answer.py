"""Builds the answer of a turn from the events of its stream."""

from __future__ import annotations

from dataclasses import dataclass, field

from registry.chat import (
    ChatResponse,
    CitationReceived,
    Finished,
    Message,
    OpaqueReceived,
    Part,
    StopReason,
    StreamEvent,
    TextDelta,
    TextPart,
    ThinkingDelta,
    ThinkingPart,
    ToolArgumentsDelta,
    ToolCallPart,
    ToolCallStarted,
    Usage,
    UsageReceived,
)


@dataclass(slots=True)
class _Growing:
    """A part while it streams."""

    kind: str
    pieces: list[str] = field(default_factory=list)
    opaque: str | None = None
    id: str = ""
    name: str = ""

    def part(self) -> Part:
        text = "".join(self.pieces)
        if self.kind == "thinking":
            return ThinkingPart(text, self.opaque)
        if self.kind == "tool":
            return ToolCallPart(self.id, self.name, text, self.opaque)
        return TextPart(text, self.opaque)


class AnswerBuilder:
    """Collects events; `response` is the answer so far at any time.

    Args:
        model: the `provider/model` that answers.
    """

    def __init__(self, model: str) -> None:
        self._model = model
        self._growing: dict[tuple[str, int], _Growing] = {}
        self._usage = Usage()
        self._stop = StopReason.OTHER
        self.citations: list[CitationReceived] = []
        self.finished = False
        """Whether the stream came to its proper end."""

    def add(self, event: StreamEvent) -> None:
        """Take one event."""
        match event:
            case TextDelta():
                self._part("text", event.index).pieces.append(event.text)
            case ThinkingDelta():
                self._part("thinking", event.index).pieces.append(event.text)
            case ToolCallStarted():
                call = self._part("tool", event.index)
                call.id, call.name = event.id, event.name
            case ToolArgumentsDelta():
                self._part("tool", event.index).pieces.append(event.text)
            case OpaqueReceived():
                self._opaque_target(event.index).opaque = event.opaque
            case CitationReceived():
                self.citations.append(event)
            case UsageReceived():
                self._usage = event.usage
            case Finished():
                self.finished = True
                self._stop = event.stop
                self._usage = event.usage or self._usage
            case _:
                pass

    def _part(self, kind: str, index: int) -> _Growing:
        return self._growing.setdefault((kind, index), _Growing(kind))

    def _opaque_target(self, index: int) -> _Growing:
        for (_, at), part in self._growing.items():
            if at == index:
                return part
        return self._part("thinking", index)

    @property
    def response(self) -> ChatResponse:
        """The answer so far, with its parts in the order in which they began."""
        parts = tuple(growing.part() for growing in self._growing.values())
        return ChatResponse(Message("assistant", parts, self._model), self._stop, self._usage)
