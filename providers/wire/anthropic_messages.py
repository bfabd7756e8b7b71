"""The Anthropic Messages dialect: requests as JSON, and the events of an answer.

A thought is bound to the conversation before it: newer models refuse one that is sent back after anything
before it was changed. So each is kept with a mark of that conversation, and sent back only where the mark
still fits and the same model is asked.
"""

from __future__ import annotations

import hashlib
import json
import re
from base64 import b64encode
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from jackfield import (
    ChatRequest,
    ErrorKind,
    FilePart,
    ImagePart,
    Message,
    Part,
    ProviderError,
    StreamEvent,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolResultPart,
)
from providers.wire.anthropic_reader import MessageReader, read_arguments
from providers.wire.errors import naming_request
from providers.wire.transport import drain, post_events

if TYPE_CHECKING:
    import httpx

Json: TypeAlias = dict[str, object]

_IMAGES: Final = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
_ID: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_MARK: Final[Json] = {"type": "ephemeral"}
_UNMARKED: Final = frozenset({"thinking", "redacted_thinking"})
_LOST_RESULT: Final = "The call was interrupted; there is no result."


async def stream_messages(
    client: httpx.AsyncClient,
    url: str,
    body: Mapping[str, object],
    *,
    name: str,
    headers: Mapping[str, str],
    prefix: str = "",
    details: Mapping[str, str] | None = None,
) -> AsyncGenerator[StreamEvent]:
    """Ask a server and give the events of its answer.

    Args:
        client: who sends the request.
        url: the address that ends in `/v1/messages`.
        body: the request.
        name: how the user calls the provider, for titles of errors.
        headers: beside those of the client: the key and the version.
        prefix: the mark of the conversation that is sent, as `Conversation.mark` gives it.
        details: what to say beside in the last event.

    Raises:
        ProviderError: the server failed, or its answer broke off.
    """
    reader = MessageReader(name, prefix=prefix)
    said = dict(details or {})

    with naming_request(name, said) as note:
        async with aclosing(
            post_events(client, url, body, name=name, headers=headers, on_headers=note)
        ) as events:
            async for event in events:
                for given in reader.feed(event.data):
                    yield given
                if reader.ended:
                    await drain(events)
                    break
        yield reader.finish(said)


@dataclass(frozen=True, slots=True)
class Conversation:
    """The messages of a request as this dialect has them."""

    system: list[Json]
    messages: list[Json]
    mark: str
    """Says which conversation it is: it differs when anything in it does."""


def build_conversation(request: ChatRequest, *, replay_thinking: bool = True) -> Conversation:
    """The system prompt and the messages of a request.

    Args:
        request: what to send.
        replay_thinking: send back the thoughts of this model, where they still fit.

    Raises:
        ProviderError: an attachment is of a kind that no model reads.
    """
    texts = [request.system or ""]
    texts += [message.text for message in request.messages if message.role == "system"]
    system: list[Json] = [{"type": "text", "text": text} for text in texts if text.strip()]
    builder = _Builder(request, replay_thinking=replay_thinking)
    builder.note(system)
    for message in request.messages:
        if message.role == "user":
            builder.add_user(message)
        elif message.role == "assistant":
            builder.add_assistant(message)
    builder.settle_calls()
    _mark_for_cache(system)
    last = builder.messages[-1] if builder.messages else {}
    if last.get("role") == "user":
        content = last["content"]
        _mark_for_cache(content if isinstance(content, list) else [])
    return Conversation(system, builder.messages, builder.mark)


def _mark_for_cache(blocks: list[Json]) -> None:
    """Have the server keep everything up to the end of these blocks for the next request."""
    for at in range(len(blocks) - 1, -1, -1):
        if blocks[at].get("type") not in _UNMARKED:
            blocks[at] = {**blocks[at], "cache_control": _MARK}
            return


class _Builder:
    """Puts messages together: turns alternate, and every call has one result right after it."""

    def __init__(self, request: ChatRequest, *, replay_thinking: bool) -> None:
        self.messages: list[Json] = []
        self._provider = request.provider
        self._author = f"{request.provider}/{request.model}"
        self._replay_thinking = replay_thinking
        self._hash = hashlib.sha256()
        self._ids: set[str] = set()
        self._waiting: list[tuple[str, str]] = []  # calls without a result yet: the id as given, and as sent

    @property
    def mark(self) -> str:
        """The mark of everything that was added."""
        return self._hash.hexdigest()[:32]

    def note(self, blocks: Sequence[Json]) -> None:
        """Let blocks count for the mark."""
        self._hash.update(json.dumps(blocks, default=str).encode())

    def add_user(self, message: Message) -> None:
        results: list[Json] = []
        others: list[Json] = []
        for part in message.parts:
            if isinstance(part, ToolResultPart):
                (results if self._is_waiting(part) else others).append(self._result(part))
            elif (block := _user_block(part)) is not None:
                others.append(block)
        self._append("user", [*results, *self._lost_results(), *others])

    def add_assistant(self, message: Message) -> None:
        self.settle_calls()
        self._append("assistant", [block for part in message.parts for block in self._said(part, message)])

    def settle_calls(self) -> None:
        """Answer the calls that nothing answered."""
        self._append("user", self._lost_results())

    def _append(self, role: str, blocks: list[Json]) -> None:
        if not blocks:
            return
        self.note([{"role": role}, *blocks])
        last = self.messages[-1] if self.messages else {}
        content = last.get("content")
        if last.get("role") == role and isinstance(content, list):
            content += blocks
        else:
            self.messages.append({"role": role, "content": blocks})

    # -- calls and their results ----------------------------------------------------------------------------

    def _call(self, part: ToolCallPart) -> Json:
        arguments = read_arguments(part.arguments)
        given = {"arguments": part.arguments} if arguments is None else arguments
        return {"type": "tool_use", "id": self._new_id(part.id), "name": part.name, "input": given}

    def _new_id(self, given: str) -> str:
        """An id as this dialect allows it, and used once: other providers have their own ways with ids."""
        sent = given if _ID.fullmatch(given) else f"call_{hashlib.sha256(given.encode()).hexdigest()[:24]}"
        number = 1
        while sent in self._ids:
            number += 1
            sent = f"{sent[:56]}_{number}"
        self._ids.add(sent)
        self._waiting.append((given, sent))
        return sent

    def _is_waiting(self, part: ToolResultPart) -> bool:
        return any(given == part.call_id for given, _ in self._waiting)

    def _result(self, part: ToolResultPart) -> Json:
        for place, (given, sent) in enumerate(self._waiting):
            if given == part.call_id:
                del self._waiting[place]
                return _tool_result(sent, part.content, is_error=part.is_error)
        return {"type": "text", "text": f"Result of a tool: {part.content}"}  # nothing here asked for it

    def _lost_results(self) -> list[Json]:
        lost = [_tool_result(sent, _LOST_RESULT, is_error=True) for _, sent in self._waiting]
        self._waiting.clear()
        return lost

    # -- what the assistant said ----------------------------------------------------------------------------

    def _said(self, part: Part, message: Message) -> Iterator[Json]:
        match part:
            case TextPart(text=text) if text.strip():
                citations = self._opaque(part, message).get("citations")
                yield {"type": "text", "text": text, **({"citations": citations} if citations else {})}
            case ThinkingPart():
                yield from self._replayed(part, message)
            case ToolCallPart():
                yield self._call(part)
            case _:
                pass  # this dialect has no attachments of the assistant

    def _replayed(self, part: ThinkingPart, message: Message) -> Iterator[Json]:
        """The block that was kept with a thought, or in place of one, unless it would be refused."""
        kept = self._opaque(part, message)
        block = kept.get("block")
        if not isinstance(block, dict):
            return
        if block.get("type") in _UNMARKED:
            fits = message.model == self._author and kept.get("prefix") == self.mark
            if not (self._replay_thinking and fits):
                return
        yield block

    def _opaque(self, part: TextPart | ThinkingPart, message: Message) -> Json:
        """What this provider left with a part; nothing when another one wrote it."""
        if part.opaque is None or not (message.model or "").startswith(f"{self._provider}/"):
            return {}
        return read_arguments(part.opaque) or {}


def _user_block(part: Part) -> Json | None:
    match part:
        case TextPart(text=text) if text.strip():
            return {"type": "text", "text": text}
        case ImagePart(data=bytes() as data, media_type=media_type):
            return {"type": "image", "source": _encoded(_checked_image(media_type), data)}
        case ImagePart(url=str() as url):
            return {"type": "image", "source": {"type": "url", "url": url}}
        case FilePart():
            return _file_block(part)
        case _:
            return None


def _file_block(part: FilePart) -> Json:
    if part.media_type.startswith("image/"):
        return {"type": "image", "source": _encoded(_checked_image(part.media_type), part.data)}
    title = {"title": part.name} if part.name else {}
    if part.media_type == "application/pdf":
        return {"type": "document", "source": _encoded(part.media_type, part.data), **title}
    if part.media_type.startswith("text/") or part.media_type == "application/json":
        text = part.data.decode("utf-8", "replace")
        return {
            "type": "document",
            "source": {"type": "text", "media_type": "text/plain", "data": text},
            **title,
        }
    raise _unreadable(part.name or "The attachment", "images, PDFs and plain text")


def _encoded(media_type: str, data: bytes) -> Json:
    return {"type": "base64", "media_type": media_type, "data": b64encode(data).decode("ascii")}


def _checked_image(media_type: str) -> str:
    if media_type not in _IMAGES:
        raise _unreadable(f"The image ({media_type})", "JPEG, PNG, GIF and WebP images")
    return media_type


def _unreadable(what: str, readable: str) -> ProviderError:
    return ProviderError(
        ErrorKind.BAD_REQUEST,
        f"{what} cannot be read by this model",
        detail=f"It reads {readable}.",
        hint="Remove or convert the attachment, then press retry.",
    )


def _tool_result(call_id: str, content: str, *, is_error: bool) -> Json:
    result: Json = {"type": "tool_result", "tool_use_id": call_id, "content": content}
    return {**result, "is_error": True} if is_error else result
