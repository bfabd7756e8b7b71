"""The Chat Completions dialect: events from the chunks of an answer; `chat_request` makes the requests.

Servers that speak it differ in many small ways; where two readings are possible the lenient one is taken, but
an answer that ends without a reason is an error, since nothing else tells a cut answer from a whole one.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from jackfield import (
    CitationReceived,
    ErrorKind,
    Finished,
    OpaqueReceived,
    Progress,
    Started,
    StopReason,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
    ToolArgumentsDelta,
    ToolCallEnded,
    ToolCallStarted,
    Usage,
    UsageReceived,
)
from providers.wire.chat_request import request_body
from providers.wire.decoding import decode_json
from providers.wire.errors import error_of_body, find_error, make_error, naming_request
from providers.wire.quirks import USUAL, Quirks
from providers.wire.think_tags import ThinkTags
from providers.wire.transport import post_events

if TYPE_CHECKING:
    import httpx

__all__ = ["ChunkReader", "read_usage", "request_body", "stream_chat"]

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
_GROWING_DETAILS: Final = frozenset({"text", "summary", "data"})
_THINKING_FIELDS: Final = ("reasoning_content", "reasoning", "reasoning_text")


async def stream_chat(
    client: httpx.AsyncClient,
    url: str,
    body: Mapping[str, object],
    *,
    name: str,
    headers: Mapping[str, str] | None = None,
    quirks: Quirks = USUAL,
) -> AsyncGenerator[StreamEvent]:
    """Ask a server and give the events of its answer.

    Args:
        client: who sends the request.
        url: the address that ends in `/chat/completions`.
        body: what `request_body` made.
        name: how the user calls the provider, for titles of errors.
        headers: beside those of the client, such as the key.
        quirks: how the server differs.

    Raises:
        ProviderError: the server failed, or its answer ended without a reason.
    """
    reader = ChunkReader(name, quirks)
    said: dict[str, str] = {}
    with naming_request(name, said) as note:
        async with aclosing(
            post_events(client, url, body, name=name, headers=headers, on_headers=note)
        ) as events:
            async for event in events:
                if event.data.strip() == "[DONE]":
                    break
                for given in reader.feed(event.data):
                    yield given
        for given in reader.finish(said):
            yield given


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
        quirks: how the server differs.
    """

    def __init__(self, name: str, quirks: Quirks = USUAL) -> None:
        self._name = name
        self._quirks = quirks
        self._tags = ThinkTags() if quirks.think_tags else None
        self._details: list[Json] = []
        self._cited: set[str] = set()
        self._started = False
        self._parts = 0
        self._open: tuple[Literal["text", "thinking"], int] | None = None
        self._calls: dict[object, _Call] = {}
        self._last_call: _Call | None = None
        self._first_thought: int | None = None
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
        groq = _mapping(chunk.get("x_groq"))
        error = find_error(chunk) or find_error(groq)
        if error is not None:
            raise error_of_body(self._name, error)
        if not self._started:
            self._started = True
            yield Started(_text(chunk.get("id")), _text(chunk.get("model")))
        yield from _prompt_progress(chunk)
        choice = _first(chunk.get("choices"))
        if choice:
            yield from self._take_choice(choice)
        yield from self._take_sources(chunk)
        usage = _mapping(chunk.get("usage")) or _mapping(choice.get("usage")) or _mapping(groq.get("usage"))
        if usage:
            self._usage = read_usage(usage)
            yield UsageReceived(self._usage)

    def finish(self, details: Mapping[str, str] | None = None) -> Iterator[StreamEvent]:
        """The last events.

        Args:
            details: what else is known of the answer, such as the request's id.

        Raises:
            ProviderError: the answer ended without a reason, so it was cut short.
        """
        if self._stop is None:
            raise make_error(
                ErrorKind.TRUNCATED_STREAM,
                self._name,
                detail=f"{self._name} closed the stream in the middle.",
            )
        for kind, text in self._tags.finish() if self._tags else ():
            yield self._more(kind, text)
        if self._details:
            yield OpaqueReceived(json.dumps(self._details), self._thinking_part())
        for call in self._calls.values():
            if call.started:
                yield ToolCallEnded(call.part)
        stop = self._stop
        if self._refused:
            stop = StopReason.REFUSED
        elif self._calls and stop is StopReason.END:
            stop = StopReason.TOOL  # many servers say "stop" although the model asks for a tool
        yield Finished(stop, self._usage, {"finish_reason": self._stop_word, **(details or {})})

    def _decode(self, data: str) -> Json:
        try:
            chunk = decode_json(data)
        except (ValueError, RecursionError) as error:
            excerpt = " ".join(data.split())[:200]
            raise make_error(ErrorKind.PROTOCOL, self._name, detail=f"Not JSON: {excerpt}") from error
        if isinstance(chunk, list) and find_error(chunk) is not None:
            chunk = chunk[0]
        if not isinstance(chunk, dict):
            raise make_error(ErrorKind.PROTOCOL, self._name, detail=f"Not a JSON object: {data[:200]}")
        return chunk

    def _take_choice(self, choice: Json) -> Iterator[StreamEvent]:
        delta = choice.get("delta")
        if not isinstance(delta, dict):  # where there is a delta, a message repeats what came before
            delta = _mapping(choice.get("message"))
        self._take_details(delta)
        for kind, text in _texts(delta):
            for told, piece in self._tags.feed(text) if self._tags and kind == "text" else [(kind, text)]:
                yield self._more(told, piece)
        if refusal := _text(delta.get("refusal")):
            self._refused = True
            yield self._more("text", refusal)
        for note in _objects(delta.get("annotations")):
            source = _mapping(note.get("url_citation"))
            yield from self._cite(source.get("url"), source.get("title"))
        for fragment in _objects(delta.get("tool_calls")):
            yield from self._take_call(fragment)
        reason = choice.get("finish_reason")
        if isinstance(reason, str) and reason:
            self._end(reason)

    def _end(self, reason: str) -> None:
        told = self._quirks.stops.get(reason)
        if told == "fault" or (told is None and reason in _FAULTS):
            raise make_error(ErrorKind.SERVER, self._name, detail=f"The answer ended with {reason!r}.")
        self._stop_word = reason
        self._stop = StopReason(told) if told else _STOPS.get(reason, StopReason.OTHER)

    def _take_details(self, delta: Json) -> None:
        """Pieces of what OpenRouter wants back unchanged; those of one index and type belong together."""
        if self._quirks.thinking_field != "reasoning_details":
            return
        for piece in _objects(delta.get("reasoning_details")):
            last = self._details[-1] if self._details else {}
            keys = ("index", "type")
            if not last or any(piece.get(key) != last.get(key) for key in keys):
                self._details.append(dict(piece))
                continue
            for key, value in piece.items():
                before = last.get(key)
                grows = key in _GROWING_DETAILS and isinstance(before, str) and isinstance(value, str)
                if grows or value is not None:
                    last[key] = f"{before}{value}" if grows else value

    def _take_sources(self, chunk: Json) -> Iterator[StreamEvent]:
        """Pages that the whole answer rests on, as Perplexity names them, with each chunk anew."""
        for source in _objects(chunk.get("search_results")):
            yield from self._cite(source.get("url"), source.get("title"))
        cited = chunk.get("citations")
        for url in cited if isinstance(cited, list) else ():
            yield from self._cite(url, "")

    def _cite(self, url: object, title: object) -> Iterator[StreamEvent]:
        if isinstance(url, str) and url and url not in self._cited:
            self._cited.add(url)
            yield CitationReceived(url, _text(title))

    def _more(self, kind: Literal["text", "thinking"], text: str) -> StreamEvent:
        if self._open is None or self._open[0] != kind:
            self._open = (kind, self._new_part())
            if kind == "thinking" and self._first_thought is None:
                self._first_thought = self._open[1]
        index = self._open[1]
        return TextDelta(text, index) if kind == "text" else ThinkingDelta(text, index)

    def _thinking_part(self) -> int:
        return self._new_part() if self._first_thought is None else self._first_thought

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
        reasoning=_count(completion, "reasoning_tokens") or _count(usage, "reasoning_tokens"),
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
