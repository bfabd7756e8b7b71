"""Reads the answer of a server that speaks Anthropic Messages: events from its stream, or from one document.

Blocks are told apart by their index. What only the provider understands (signatures, encrypted thoughts,
blocks of tools that ran there, citations) is kept as JSON text beside the part, to be sent back unchanged.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from jackfield import (
    CitationReceived,
    ErrorKind,
    Finished,
    OpaqueReceived,
    ServerToolUsed,
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
from providers.wire.decoding import decode_json
from providers.wire.errors import error_of_body, find_error, make_error

Json: TypeAlias = dict[str, object]
_Events: TypeAlias = Sequence[StreamEvent]

_STOPS: Final = {
    "end_turn": StopReason.END,
    "stop_sequence": StopReason.END,
    "max_tokens": StopReason.LENGTH,
    "model_context_window_exceeded": StopReason.CONTEXT_FULL,
    "tool_use": StopReason.TOOL,
    "refusal": StopReason.REFUSED,
    "pause_turn": StopReason.PAUSE,
}
_RESULT: Final = "_tool_result"
_SERVER_CALLS: Final = frozenset({"server_tool_use", "mcp_tool_use"})


@dataclass(slots=True)
class _Block:
    """A block while it streams."""

    type: str
    given: Json
    """The block as it began."""
    pieces: list[str] = field(default_factory=list)
    """Thinking, or the JSON of a call's input."""
    signature: str = ""
    citations: list[Json] = field(default_factory=list)
    whole: bool = True
    """Whether everything that came for it is understood, so that it can be sent back."""


class MessageReader:
    """Turns the events of one answer into those of a stream.

    Args:
        name: how the user calls the provider, for titles of errors.
        prefix: a mark of the conversation before this answer, kept with its thoughts.
    """

    def __init__(self, name: str, *, prefix: str = "") -> None:
        self._name = name
        self._prefix = prefix
        self._blocks: dict[int, _Block] = {}
        self._usage: Json = {}
        self._delta: Json = {}
        self.ended = False
        """Whether the answer came to its proper end."""
        self._readers: Final[dict[str, Callable[[Json], _Events]]] = {
            "content_block_delta": self._take_delta,
            "content_block_start": self._begin_block,
            "content_block_stop": self._end_block,
            "message_start": self._begin,
            "message_delta": self._take_message_delta,
            "message_stop": self._end,
            "message": self._take_whole,
            "error": self._fail,
            "ping": _nothing,
        }
        self._delta_readers: Final[dict[str, Callable[[int, Json], _Events]]] = {
            "text_delta": self._add_text,
            "thinking_delta": self._add_thinking,
            "input_json_delta": self._add_input,
            "signature_delta": self._add_signature,
            "citations_delta": self._add_citation,
        }

    def feed(self, data: str) -> _Events:
        """The events of one event of the server; none for kinds that this version does not know.

        Raises:
            ProviderError: it reports a fault, or is no JSON object.
        """
        try:
            event = decode_json(data)
            if not isinstance(event, dict):
                raise self._nonsense("Not a JSON object", data)
            kind = event.get("type")
            reader = self._readers.get(kind) if isinstance(kind, str) else None
            return self._take_unknown(event) if reader is None else reader(event)
        except (ValueError, RecursionError) as error:
            if data.strip() == "[DONE]":  # some servers end every dialect with it
                return ()
            raise self._nonsense("Not JSON", data) from error

    def finish(self, details: Mapping[str, str] | None = None) -> StreamEvent:
        """The last event.

        Args:
            details: what else is known of the answer, such as the request's id.

        Raises:
            ProviderError: the answer did not come to its end.
        """
        if not self.ended:
            raise make_error(
                ErrorKind.TRUNCATED_STREAM,
                self._name,
                detail=f"{self._name} closed the stream in the middle.",
            )
        word = self._delta.get("stop_reason")
        stop = _STOPS.get(word, StopReason.OTHER) if isinstance(word, str) else StopReason.OTHER
        said = {"stop_reason": _text(word), **_stop_details(self._delta)}
        if stop is StopReason.OTHER:
            said["note"] = "This version does not know why the answer ended."
        return Finished(stop, read_usage(self._usage), {**said, **(details or {})})

    # -- the message ----------------------------------------------------------------------------------------

    def _begin(self, event: Json) -> _Events:
        message = _mapping(event.get("message"))
        started = Started(_text(message.get("id")), _text(message.get("model")))
        return [started, *self._take_usage(message.get("usage"))]

    def _take_message_delta(self, event: Json) -> _Events:
        for key, value in _mapping(event.get("delta")).items():
            if value is not None:
                self._delta[key] = value
        return self._take_usage(event.get("usage"))

    def _take_usage(self, usage: object) -> _Events:
        """Counts are totals, so they replace earlier ones; what is left out stays as it was."""
        counted = {key: value for key, value in _mapping(usage).items() if value is not None}
        if not counted:
            return ()
        self._usage.update(counted)
        return (UsageReceived(read_usage(self._usage)),)

    def _end(self, event: Json) -> _Events:
        self.ended = True
        return [given for index in list(self._blocks) for given in self._end_block({"index": index})]

    def _take_whole(self, event: Json) -> _Events:
        """A whole message, from a server that does not stream."""
        events = [*self._begin({"message": event})]
        for index, block in enumerate(_objects(event.get("content"))):
            events += self._begin_block({"index": index, "content_block": block})
            events += self._end_block({"index": index})
        self._delta = event
        return [*events, *self._end(event)]

    def _fail(self, event: Json) -> _Events:
        request_id = _text(event.get("request_id"))
        raise error_of_body(self._name, find_error(event) or event, request_id=request_id)

    def _take_unknown(self, event: Json) -> _Events:
        error = find_error(event)
        if error is not None:
            raise error_of_body(self._name, error, request_id=_text(event.get("request_id")))
        return ()

    def _nonsense(self, what: str, data: str) -> Exception:
        excerpt = " ".join(data[:1000].split())[:200]
        return make_error(ErrorKind.PROTOCOL, self._name, detail=f"{what}: {excerpt}")

    # -- blocks ---------------------------------------------------------------------------------------------

    def _begin_block(self, event: Json) -> _Events:
        index = _index(event)
        given = _mapping(event.get("content_block"))
        kind = _text(given.get("type"))
        block = self._blocks[index] = _Block(kind, given)
        if kind == "text":
            return [*self._begin_text(index, block)]
        if kind == "thinking":
            block.signature = _text(given.get("signature"))
            thinking = _text(given.get("thinking"))
            return self._add_thinking(index, {"thinking": thinking}) if thinking else ()
        if kind == "tool_use":
            return (ToolCallStarted(index, _text(given.get("id")), _text(given.get("name"))),)
        if kind in _SERVER_CALLS:
            return (ServerToolUsed(_text(given.get("name")), "running", index),)
        if kind.endswith(_RESULT):
            failed = _text(_mapping(given.get("content")).get("type")).endswith("_error")
            return (ServerToolUsed(kind.removesuffix(_RESULT), "failed" if failed else "done", index),)
        return ()

    def _begin_text(self, index: int, block: _Block) -> Iterator[StreamEvent]:
        if text := _text(block.given.get("text")):
            yield TextDelta(text, index)
        for citation in _objects(block.given.get("citations")):
            yield from self._add_citation(index, {"citation": citation})

    def _take_delta(self, event: Json) -> _Events:
        delta = event.get("delta")
        if not isinstance(delta, dict):
            return ()
        kind = delta.get("type")
        reader = self._delta_readers.get(kind) if isinstance(kind, str) else None
        index = _index(event)
        if reader is not None:
            return reader(index, delta)
        if index in self._blocks:
            self._blocks[index].whole = False
        return ()

    def _add_text(self, index: int, delta: Json) -> _Events:
        text = delta.get("text")
        return (TextDelta(text, index),) if isinstance(text, str) and text else ()

    def _add_thinking(self, index: int, delta: Json) -> _Events:
        text = delta.get("thinking")
        if not isinstance(text, str) or not text:
            return ()
        if (block := self._blocks.get(index)) is not None:
            block.pieces.append(text)
        return (ThinkingDelta(text, index),)

    def _add_input(self, index: int, delta: Json) -> _Events:
        text = delta.get("partial_json")
        block = self._blocks.get(index)
        if block is None or not isinstance(text, str) or not text:
            return ()
        block.pieces.append(text)
        return (ToolArgumentsDelta(index, text),) if block.type == "tool_use" else ()

    def _add_signature(self, index: int, delta: Json) -> _Events:
        if (block := self._blocks.get(index)) is not None:
            block.signature = _text(delta.get("signature"))
        return ()

    def _add_citation(self, index: int, delta: Json) -> _Events:
        citation = _mapping(delta.get("citation"))
        if (block := self._blocks.get(index)) is not None:
            block.citations.append(citation)
        url = _text(citation.get("url")) or _text(citation.get("source"))
        title = _text(citation.get("title")) or _text(citation.get("document_title"))
        return (CitationReceived(url, title, index),) if url or title else ()

    def _end_block(self, event: Json) -> _Events:
        index = _index(event)
        block = self._blocks.pop(index, None)
        if block is None:
            return ()
        if block.type == "tool_use":
            return self._end_call(index, block)
        kept = self._kept(block)
        return (OpaqueReceived(json.dumps(kept), index),) if kept else ()

    def _end_call(self, index: int, block: _Block) -> _Events:
        ended = ToolCallEnded(index)
        if block.pieces:
            return (ended,)
        given = block.given.get("input")
        return (ToolArgumentsDelta(index, json.dumps(given) if given else "{}"), ended)

    def _kept(self, block: _Block) -> Json | None:
        """What the provider wants back with this block; None when nothing, or when it is not whole."""
        if block.type == "text":
            return {"citations": block.citations} if block.citations else None
        if block.type == "thinking":
            if not block.signature:
                return None
            thinking = "".join(block.pieces)
            whole = {"type": "thinking", "thinking": thinking, "signature": block.signature}
            return {"block": whole, "prefix": self._prefix}
        if block.type == "redacted_thinking":
            return {"block": block.given, "prefix": self._prefix}
        if not block.whole or not block.type:
            return None
        if block.pieces:
            arguments = read_arguments("".join(block.pieces))
            return None if arguments is None else {"block": {**block.given, "input": arguments}}
        return {"block": block.given}


def read_usage(usage: Mapping[str, object]) -> Usage:
    """Tokens in buckets that do not overlap; this dialect counts what a cache held apart from the rest."""
    return Usage(
        input=_count(usage, "input_tokens"),
        cache_read=_count(usage, "cache_read_input_tokens"),
        cache_write=_count(usage, "cache_creation_input_tokens"),
        output=_count(usage, "output_tokens"),
        reasoning=_count(_mapping(usage.get("output_tokens_details")), "thinking_tokens"),
    )


def read_arguments(text: str) -> Json | None:
    """A call's arguments as an object; none at all are an empty one, and what is no object is None."""
    if not text.strip():
        return {}
    try:
        arguments = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return arguments if isinstance(arguments, dict) else None


def _stop_details(delta: Json) -> dict[str, str]:
    details = _mapping(delta.get("stop_details"))
    said = {key: _text(details.get(key)) for key in ("category", "explanation")}
    said["stop_sequence"] = _text(delta.get("stop_sequence"))
    return {key: value for key, value in said.items() if value}


def _nothing(event: Json) -> _Events:
    return ()


def _index(event: Json) -> int:
    index = event.get("index")
    return index if isinstance(index, int) else 0


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _mapping(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def _objects(value: object) -> Sequence[Json]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else ()


def _count(mapping: Mapping[str, object], key: str) -> int:
    value = mapping.get(key)
    return value if isinstance(value, int) and value > 0 else 0
