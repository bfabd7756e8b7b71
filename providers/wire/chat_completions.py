"""The Chat Completions dialect: requests as JSON, and events from the chunks of an answer.

Servers that speak it differ in many small ways; where two readings are possible the lenient one is taken, but
an answer that ends without a reason is an error, since nothing else tells a cut answer from a whole one.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from jackfield import (
    ChatRequest,
    ErrorKind,
    FilePart,
    Finished,
    ImagePart,
    Message,
    Part,
    Progress,
    Started,
    StopReason,
    StreamEvent,
    TextDelta,
    TextPart,
    ThinkingDelta,
    ToolArgumentsDelta,
    ToolCallEnded,
    ToolCallPart,
    ToolCallStarted,
    ToolResultPart,
    Usage,
    UsageReceived,
)
from providers.wire.errors import error_of_body, find_error, make_error
from providers.wire.transport import post_events

if TYPE_CHECKING:
    import httpx

Json: TypeAlias = dict[str, object]

_STOPS: Final = {
    "stop": StopReason.END,
    "end": StopReason.END,
    "eos": StopReason.END,
    "end_turn": StopReason.END,
    "stop_sequence": StopReason.END,
    "length": StopReason.LENGTH,
    "max_tokens": StopReason.LENGTH,
    "model_length": StopReason.LENGTH,
    "tool_calls": StopReason.TOOL,
    "tool_use": StopReason.TOOL,
    "function_call": StopReason.TOOL,
    "content_filter": StopReason.REFUSED,
    "refusal": StopReason.REFUSED,
}
_FAULTS: Final = frozenset({"error", "network_error"})
_LONG_PROMPT: Final = 256
"""Tokens that take long enough to read for a person to wonder."""
_THINKING_FIELDS: Final = ("reasoning_content", "reasoning", "reasoning_text")


async def stream_chat(
    client: httpx.AsyncClient,
    url: str,
    body: Mapping[str, object],
    *,
    name: str,
    headers: Mapping[str, str] | None = None,
) -> AsyncGenerator[StreamEvent]:
    """Ask a server and give the events of its answer.

    Args:
        client: who sends the request.
        url: the address that ends in `/chat/completions`.
        body: what `request_body` made.
        name: how the user calls the provider, for titles of errors.
        headers: beside those of the client, such as the key.

    Raises:
        ProviderError: the server failed, or its answer ended without a reason.
    """
    reader = ChunkReader(name)
    async with aclosing(post_events(client, url, body, name=name, headers=headers)) as events:
        async for event in events:
            if event.data.strip() == "[DONE]":
                break
            for given in reader.feed(event.data):
                yield given
    for given in reader.finish():
        yield given


def request_body(request: ChatRequest, *, extra: Mapping[str, object] | None = None) -> Json:
    """The JSON of a request.

    Args:
        request: its parameters go in under their own names.
        extra: further fields; a parameter of the request with the same name wins.
    """
    messages: list[Json] = [{"role": "system", "content": request.system}] if request.system else []
    for message in request.messages:
        messages.extend(_wire_messages(message))
    return {
        **(extra or {}),
        **request.parameters,
        "model": request.model,
        "messages": messages,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def _wire_messages(message: Message) -> Iterator[Json]:
    """A message as one or more of the wire's: results of tools travel in messages of their own."""
    for part in message.parts:
        if isinstance(part, ToolResultPart):
            yield {"role": "tool", "tool_call_id": part.call_id, "content": part.content}
    if message.role != "user":
        # A plain string: lists of parts confuse some models when they are not the user's.
        calls = [_wire_call(part) for part in message.parts if isinstance(part, ToolCallPart)]
        if message.text or calls:
            yield {
                "role": message.role,
                "content": message.text or None,
                **({"tool_calls": calls} if calls else {}),
            }
        return
    content = [piece for part in message.parts if (piece := _wire_part(part)) is not None]
    if content:
        plain = all(isinstance(part, TextPart | ToolResultPart) for part in message.parts)
        yield {"role": "user", "content": message.text if plain else content}


def _wire_part(part: Part) -> Json | None:
    match part:
        case TextPart():
            return {"type": "text", "text": part.text}
        case ImagePart(data=bytes() as data):
            return {"type": "image_url", "image_url": {"url": _data_url(part.media_type, data)}}
        case ImagePart(url=str()):
            return {"type": "image_url", "image_url": {"url": part.url}}
        case FilePart():
            document = {"filename": part.name, "file_data": _data_url(part.media_type, part.data)}
            return {"type": "file", "file": document}
        case _:
            return None


def _wire_call(part: ToolCallPart) -> Json:
    return {
        "id": part.id,
        "type": "function",
        "function": {"name": part.name, "arguments": part.arguments or "{}"},
    }


def _data_url(media_type: str, data: bytes) -> str:
    return f"data:{media_type};base64,{b64encode(data).decode('ascii')}"


@dataclass(slots=True)
class _Call:
    part: int
    id: str
    name: str = ""
    waiting: str = ""
    """Arguments that came before the name."""
    started: bool = False


class ChunkReader:
    """Turns the chunks of one answer into events; a whole completion counts as one chunk.

    Args:
        name: how the user calls the provider, for titles of errors.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._started = False
        self._parts = 0
        self._open: tuple[Literal["text", "thinking"], int] | None = None
        self._calls: dict[object, _Call] = {}
        self._last_call: _Call | None = None
        self._stop: StopReason | None = None
        self._stop_word = ""
        self._refused = False
        self._usage: Usage | None = None

    def feed(self, data: str) -> Iterator[StreamEvent]:
        """The events of one chunk.

        Raises:
            ProviderError: the chunk reports a fault, or is no JSON object.
        """
        chunk = self._decode(data)
        error = find_error(chunk)
        if error is not None:
            raise error_of_body(self._name, error)
        if not self._started:
            self._started = True
            yield Started(_text(chunk.get("id")), _text(chunk.get("model")))
        yield from _prompt_progress(chunk)
        choice = _first(chunk.get("choices"))
        if choice:
            yield from self._take_choice(choice)
        usage = _mapping(chunk.get("usage")) or _mapping(choice.get("usage"))
        if usage:
            self._usage = read_usage(usage)
            yield UsageReceived(self._usage)

    def finish(self) -> Iterator[StreamEvent]:
        """The last events.

        Raises:
            ProviderError: the answer ended without a reason, so it was cut short.
        """
        if self._stop is None:
            raise make_error(
                ErrorKind.TRUNCATED_STREAM,
                self._name,
                detail=f"{self._name} closed the stream in the middle.",
            )
        for call in self._calls.values():
            if call.started:
                yield ToolCallEnded(call.part)
        stop = self._stop
        if self._refused:
            stop = StopReason.REFUSED
        elif self._calls and stop is StopReason.END:
            stop = StopReason.TOOL  # many servers say "stop" although the model asks for a tool
        yield Finished(stop, self._usage, {"finish_reason": self._stop_word})

    def _decode(self, data: str) -> Json:
        try:
            chunk = json.loads(data)
        except (ValueError, RecursionError) as error:
            excerpt = " ".join(data.split())[:200]
            raise make_error(ErrorKind.PROTOCOL, self._name, detail=f"Not JSON: {excerpt}") from error
        if isinstance(chunk, list) and find_error(chunk) is not None:
            chunk = chunk[0]
        if not isinstance(chunk, dict):
            raise make_error(ErrorKind.PROTOCOL, self._name, detail=f"Not a JSON object: {data[:200]}")
        return chunk

    def _take_choice(self, choice: Json) -> Iterator[StreamEvent]:
        delta = _mapping(choice.get("delta")) or _mapping(choice.get("message"))
        for kind, text in _texts(delta):
            yield self._more(kind, text)
        if refusal := _text(delta.get("refusal")):
            self._refused = True
            yield self._more("text", refusal)
        for fragment in _objects(delta.get("tool_calls")):
            yield from self._take_call(fragment)
        reason = choice.get("finish_reason")
        if isinstance(reason, str) and reason:
            if reason in _FAULTS:
                raise make_error(ErrorKind.SERVER, self._name, detail=f"The answer ended with {reason!r}.")
            self._stop_word = reason
            self._stop = _STOPS.get(reason, StopReason.OTHER)

    def _more(self, kind: Literal["text", "thinking"], text: str) -> StreamEvent:
        if self._open is None or self._open[0] != kind:
            self._open = (kind, self._new_part())
        index = self._open[1]
        return TextDelta(text, index) if kind == "text" else ThinkingDelta(text, index)

    def _new_part(self) -> int:
        self._parts += 1
        return self._parts - 1

    def _take_call(self, fragment: Json) -> Iterator[StreamEvent]:
        call = self._call_of(fragment)
        function = _mapping(fragment.get("function"))
        if not call.name:
            call.name = _text(function.get("name"))
        arguments = function.get("arguments")
        call.waiting += (
            arguments if isinstance(arguments, str) else json.dumps(arguments) if arguments else ""
        )
        if call.name and not call.started:
            call.started = True
            yield ToolCallStarted(call.part, call.id, call.name)
        if call.started and call.waiting:
            yield ToolArgumentsDelta(call.part, call.waiting)
            call.waiting = ""

    def _call_of(self, fragment: Json) -> _Call:
        """The call that a fragment belongs to: by index, then by id, then the last one."""
        given_id = _text(fragment.get("id"))
        index = fragment.get("index")
        key: object = index if isinstance(index, int) else given_id
        if not isinstance(index, int) and not given_id and self._last_call is not None:
            return self._last_call
        call = self._calls.get(key)
        if call is not None and given_id and call.id != given_id:
            # Some servers repeat index 0 for every call and only the id tells them apart.
            key = given_id
            call = self._calls.get(key)
        if call is None:
            call = _Call(self._new_part(), given_id or f"call_{len(self._calls)}")
            self._calls[key] = call
            self._open = None  # text that follows a call is a part of its own
        self._last_call = call
        return call


def read_usage(usage: Mapping[str, object]) -> Usage:
    """Tokens in buckets that do not overlap, from a `usage` object that counts cached ones twice."""
    prompt = _mapping(usage.get("prompt_tokens_details"))
    completion = _mapping(usage.get("completion_tokens_details"))
    cached = (
        _count(prompt, "cached_tokens")
        or _count(usage, "cached_tokens")
        or _count(usage, "prompt_cache_hit_tokens")
    )
    written = _count(prompt, "cache_write_tokens")
    return Usage(
        input=max(0, _count(usage, "prompt_tokens") - cached - written),
        cache_read=cached,
        cache_write=written,
        output=_count(usage, "completion_tokens"),
        reasoning=_count(completion, "reasoning_tokens"),
    )


def _texts(delta: Json) -> Iterator[tuple[Literal["text", "thinking"], str]]:
    """Thinking first: servers that send both in one delta mean it to come before."""
    thinking = next((text for key in _THINKING_FIELDS if (text := _text(delta.get(key)))), "")
    if thinking:
        yield "thinking", thinking
    content = delta.get("content")
    if isinstance(content, str) and content:
        yield "text", content
    for item in _objects(content):
        if text := _text(item.get("text")):
            yield "text", text
        for thought in _objects(item.get("thinking")):
            if text := _text(thought.get("text")):
                yield "thinking", text


def _prompt_progress(chunk: Json) -> Iterator[Progress]:
    """How much of the prompt was read, which llama.cpp tells when it is asked with `return_progress`."""
    progress = _mapping(chunk.get("prompt_progress"))
    total = _count(progress, "total")
    if total - _count(progress, "cache") >= _LONG_PROMPT:
        yield Progress("Reading the conversation", _count(progress, "processed"), total, "steps")


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _mapping(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def _objects(value: object) -> Sequence[Json]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else ()


def _first(value: object) -> Json:
    return next(iter(_objects(value)), {})


def _count(mapping: Mapping[str, object], key: str) -> int:
    value = mapping.get(key)
    return value if isinstance(value, int) and value > 0 else 0
