"""Keeps secrets on this machine: they are sent as placeholders, and put back in the answer."""

from __future__ import annotations

from dataclasses import replace

from jackfield import (
    ChatRequest,
    ChatResponse,
    Message,
    Part,
    Plugin,
    PluginContext,
    StreamEvent,
    TextDelta,
    TextPart,
    ThinkingDelta,
    ThinkingPart,
)

from .putting_back import PuttingBack
from .requests import redacted_message
from .vault import Vault

__version__ = "1.0.0"


class RedactorPlugin(Plugin):
    """A guard: when it fails, nothing is sent."""

    name = "redactor"
    version = __version__
    summary = "Sends placeholders in place of secrets, and puts the secrets back in the answer"
    guard = True

    def __init__(self) -> None:
        self._vault = Vault()
        self._streams: dict[tuple[type, int], PuttingBack] = {}

    def on_init(self, ctx: PluginContext) -> None:
        """Read the option `emails`."""
        self._vault = Vault(emails=ctx.options.get("emails") is True)

    async def on_request(self, request: ChatRequest) -> None:
        """Replace each secret of the whole conversation by its placeholder."""
        self._streams.clear()  # of an answer that was stopped
        request.messages[:] = [redacted_message(message, self._vault) for message in request.messages]
        if request.system:
            request.system = self._vault.hide(request.system)

    async def on_event(self, event: StreamEvent) -> StreamEvent | None:
        """Put secrets back; what may be the beginning of a placeholder waits for the rest of it."""
        if not isinstance(event, TextDelta | ThinkingDelta):
            return event
        key = type(event), event.index
        text = self._streams.setdefault(key, PuttingBack(self._vault)).feed(event.text)
        return replace(event, text=text) if text else None

    async def on_response(self, response: ChatResponse) -> None:
        """Add what still waited when the answer ended: it was no placeholder after all."""
        rest = {kind: "" for kind, _ in self._streams}
        for (kind, _), stream in sorted(self._streams.items(), key=lambda item: item[0][1]):
            rest[kind] += stream.flush()
        self._streams.clear()
        message = response.message
        message = _appended(message, TextPart, rest.get(TextDelta, ""))
        response.message = _appended(message, ThinkingPart, rest.get(ThinkingDelta, ""))


def _appended(message: Message, kind: type[TextPart] | type[ThinkingPart], text: str) -> Message:
    """The message with more text at the end of its last part of a kind."""
    if not text:
        return message
    parts: list[Part] = list(message.parts)
    for place in range(len(parts) - 1, -1, -1):
        part = parts[place]
        if isinstance(part, kind):
            parts[place] = replace(part, text=part.text + text)
            return replace(message, parts=tuple(parts))
    return replace(message, parts=(*parts, kind(text)))
