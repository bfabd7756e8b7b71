"""Reads answers in the Responses dialect.

Everything is told apart by its place in the output (`output_index`, `content_index`), since items may
interleave. Deltas are given as they come; what a server sent only whole, in a `done` event or in the last
one, is given from there, so that nothing is lost and nothing is said twice.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
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
from providers.wire.openai_responses_faults import error_of_failure

Json: TypeAlias = dict[str, object]
_Key: TypeAlias = int | str

OPAQUE: Final = "responses"
"""The name, in the opaque JSON of a part, under which the model that wrote it stands."""

_STOPS: Final = {
    "max_output_tokens": StopReason.LENGTH,
    "max_tokens": StopReason.LENGTH,
    "content_filter": StopReason.REFUSED,
}
_TOOL_STATE: Final = re.compile(r"response\.(\w+)_call\.(\w+)")
_KEPT_OF_REASONING: Final = ("type", "id", "summary", "content", "encrypted_content")


@dataclass(slots=True)
class _Item:
    """An item of the output while it streams: a thought, a call, or something that is only kept."""

    part: int
    said: bool = False
    """Whether any of its text or arguments were given."""
    section: tuple[str, object] | None = None
    """The thought's kind of text, and which of its sections is being said."""
    started: bool = False
    call: bool = False
    done: bool = False
    encrypted: bool = False


@dataclass(slots=True)
class _Text:
    """A piece of a message while it streams."""

    part: int
    said: bool = False
    refusal: bool = False
    cited: set[str] = field(default_factory=set)


class ResponsesReader:
    """Turns the events of one answer into stream events; a whole response counts as its last event.

    Args:
        name: how the user calls the provider, for titles of errors.
        model: the model that was asked, as it was asked for: its thoughts go back to no other.
    """

    def __init__(self, name: str, model: str) -> None:
        self.ended = False
        """Whether the last event came."""
        self._name = name
        self._model = model
        self._started = False
        self._parts = 0
        self._items: dict[_Key, _Item] = {}
        self._texts: dict[tuple[_Key, int], _Text] = {}
        self._refused = False
        self._called = False
        self._stop = StopReason.OTHER
        self._word = ""
        self._usage: Usage | None = None
        self._by_id = False  # some servers name an item only, and not its place
        self._handlers: dict[str, Callable[[Json], Sequence[StreamEvent]]] = {
            "response.output_text.delta": self._text_delta,
            "response.function_call_arguments.delta": self._arguments_delta,
            "response.reasoning_summary_text.delta": self._summary_delta,
            "response.reasoning_text.delta": self._reasoning_delta,
            "response.refusal.delta": self._refusal_delta,
            "response.output_text.annotation.added": self._annotation,
            "response.output_item.added": self._item_added,
            "response.output_item.done": self._item_done,
            "response.created": self._begin,
            "response.queued": self._begin,
            "response.in_progress": self._begin,
            "response.completed": self._last,
            "response.incomplete": self._last,
            "response.failed": self._last,
            "response.cancelled": self._last,
            "error": self._fault,
        }

    def feed(self, data: str) -> Sequence[StreamEvent]:
        """The events that one event of the server stands for.

        Raises:
            ProviderError: it reports a fault, or is no JSON object.
        """
        if self.ended or data == "[DONE]":
            return ()
        try:
            event = decode_json(data)
        except (ValueError, RecursionError) as error:
            excerpt = " ".join(data.split())[:200]
            raise make_error(ErrorKind.PROTOCOL, self._name, detail=f"Not JSON: {excerpt}") from error
        if not isinstance(event, dict):
            raise make_error(ErrorKind.PROTOCOL, self._name, detail=f"Not a JSON object: {data[:200]}")
        kind = event.get("type")
        handler = self._handlers.get(kind, self._other) if isinstance(kind, str) else self._other
        return handler(event)

    def finish(self, details: Mapping[str, str]) -> Finished:
        """The last event.

        Args:
            details: what to say beside.

        Raises:
            ProviderError: the server's last event is missing, so the answer was cut short.
        """
        if not self.ended:
            detail = f"{self._name} closed the stream in the middle."
            raise make_error(ErrorKind.TRUNCATED_STREAM, self._name, detail=detail)
        return Finished(self._stop, self._usage, {**details, "finish_reason": self._word})

    # What may come at any time, most often first.

    def _text_delta(self, event: Json) -> Sequence[StreamEvent]:
        text = event.get("delta")
        if not isinstance(text, str) or not text:
            return ()
        piece = self._text_at(self._key(event), event.get("content_index"))
        piece.said = True
        return (TextDelta(text, piece.part),)

    def _refusal_delta(self, event: Json) -> Sequence[StreamEvent]:
        self._text_at(self._key(event), event.get("content_index")).refusal = True
        self._refused = True
        return self._text_delta(event)

    def _arguments_delta(self, event: Json) -> Sequence[StreamEvent]:
        text = event.get("delta")
        item = self._items.get(self._key(event))
        if item is None or not item.call or not isinstance(text, str) or not text:
            return ()  # a call that never began ends whole, with its item
        item.said = True
        return (ToolArgumentsDelta(item.part, text),)

    def _summary_delta(self, event: Json) -> Sequence[StreamEvent]:
        return self._thought(event, ("summary", event.get("summary_index")))

    def _reasoning_delta(self, event: Json) -> Sequence[StreamEvent]:
        return self._thought(event, ("content", event.get("content_index")))

    def _thought(self, event: Json, section: tuple[str, object]) -> Sequence[StreamEvent]:
        text = event.get("delta")
        if not isinstance(text, str) or not text:
            return ()
        item = self._item_at(self._key(event))
        if item.section is not None and item.section[0] != section[0]:
            return ()  # the same thought once more, in full or in short
        if item.said and item.section != section:
            text = f"\n\n{text}"
        item.section, item.said = section, True
        return (ThinkingDelta(text, item.part),)

    def _annotation(self, event: Json) -> Sequence[StreamEvent]:
        piece = self._text_at(self._key(event), event.get("content_index"))
        return _citations(piece, [event.get("annotation")])

    def _begin(self, event: Json) -> Sequence[StreamEvent]:
        response = _mapping(event.get("response"))
        if self._started:
            return ()
        self._started = True
        return (Started(_text(response.get("id")), _text(response.get("model"))),)

    def _item_added(self, event: Json) -> Sequence[StreamEvent]:
        return self._open(self._key(event), _mapping(event.get("item")))

    def _open(self, key: _Key, item: Json) -> Sequence[StreamEvent]:
        kind = _text(item.get("type"))
        if kind == "message":
            return ()  # its pieces are parts of their own
        state = self._item_at(key)
        if kind == "function_call" and not state.started:
            state.started = state.call = self._called = True
            return (ToolCallStarted(state.part, _text(item.get("call_id")), _text(item.get("name"))),)
        if kind.endswith("_call") and kind != "function_call" and not state.started:
            state.started = True
            status = _text(item.get("status")) or "in_progress"
            return (ServerToolUsed(kind.removesuffix("_call"), status, state.part),)
        return ()

    def _item_done(self, event: Json) -> Sequence[StreamEvent]:
        return self._close(self._key(event), _mapping(event.get("item")))

    def _close(self, key: _Key, item: Json) -> Sequence[StreamEvent]:
        """What of an item was not given yet, and what has to be kept of it."""
        kind = item.get("type")
        if kind == "message":
            return self._close_message(key, item)
        events = list(self._open(key, item))
        state = self._item_at(key)
        state.done = True
        if kind == "function_call":
            return [*events, *self._close_call(state, item)]
        if kind == "reasoning":
            return [*events, *self._close_thought(state, item)]
        events.append(self._keep(state.part, items=[item]))
        return events

    def _close_message(self, key: _Key, item: Json) -> Sequence[StreamEvent]:
        self._item_at(key, part=-1).done = True
        events: list[StreamEvent] = []
        for index, content in enumerate(_objects(item.get("content"))):
            piece = self._text_at(key, index)
            piece.refusal = content.get("type") == "refusal"
            self._refused = self._refused or piece.refusal
            text = _text(content.get("refusal" if piece.refusal else "text"))
            if text and not piece.said:
                piece.said = True
                events.append(TextDelta(text, piece.part))
            events.extend(_citations(piece, content.get("annotations")))
            facts = {name: item[name] for name in ("id", "phase") if isinstance(item.get(name), str)}
            events.append(self._keep(piece.part, **facts, **({"refusal": True} if piece.refusal else {})))
        return events

    def _close_call(self, state: _Item, item: Json) -> Sequence[StreamEvent]:
        if item.get("status") == "incomplete":
            return ()  # its arguments are cut off: nobody may run it
        events: list[StreamEvent] = []
        arguments = _text(item.get("arguments"))
        if arguments and not state.said:
            events.append(ToolArgumentsDelta(state.part, arguments))
        facts = {name: item[name] for name in ("id", "namespace") if isinstance(item.get(name), str)}
        return [*events, ToolCallEnded(state.part), self._keep(state.part, **facts)]

    def _close_thought(self, state: _Item, item: Json) -> Sequence[StreamEvent]:
        events: list[StreamEvent] = []
        if not state.said:
            texts = _all_texts(item.get("summary")) or _all_texts(item.get("content"))
            if texts:
                events.append(ThinkingDelta("\n\n".join(texts), state.part))
                state.said = True
        kept = {name: item[name] for name in _KEPT_OF_REASONING if item.get(name) is not None}
        kept.setdefault("summary", [])
        state.encrypted = bool(kept.get("encrypted_content"))
        if state.encrypted or kept.get("content"):
            events.append(self._keep(state.part, items=[kept]))
        return events

    # How it ends.

    def _last(self, event: Json) -> Sequence[StreamEvent]:
        return self._end(_mapping(event.get("response")), _text(event.get("type")).rpartition(".")[2])

    def _end(self, response: Json, status: str) -> Sequence[StreamEvent]:
        if status in ("failed", "cancelled"):
            raise error_of_failure(self._name, _mapping(response.get("error")), f"The answer is {status}.")
        events = [*self._begin({"response": response}), *self._caught_up(response)]
        self._stop, self._word = self._stop_of(response, status)
        usage = _mapping(response.get("usage"))
        if usage:
            self._usage = read_usage(usage)
            events.append(UsageReceived(self._usage))
        self.ended = True
        return events

    def _caught_up(self, response: Json) -> Sequence[StreamEvent]:
        """What only the last event holds. Its output may be empty, although much was streamed."""
        events: list[StreamEvent] = []
        for index, item in enumerate(_objects(response.get("output"))):
            key: _Key = _text(item.get("id")) if self._by_id else index
            state = self._items.get(key)
            if state is None or not state.done:
                events.extend(self._close(key, item))
            elif item.get("type") == "reasoning" and item.get("encrypted_content") and not state.encrypted:
                events.extend(self._close_thought(state, item))  # Azure sends it here only
        return events

    def _stop_of(self, response: Json, status: str) -> tuple[StopReason, str]:
        if status == "incomplete":
            reason = _text(_mapping(response.get("incomplete_details")).get("reason"))
            return _STOPS.get(reason, StopReason.OTHER), reason or status
        if any(item.call and not item.done for item in self._items.values()):
            detail = "A tool call began and did not end."
            raise make_error(ErrorKind.TRUNCATED_STREAM, self._name, detail=detail)
        if self._called:
            return StopReason.TOOL, status
        return (StopReason.REFUSED if self._refused else StopReason.END), status

    def _fault(self, event: Json) -> Sequence[StreamEvent]:
        error = _mapping(event.get("error")) or event
        raise error_of_failure(self._name, error, "The server gave no reason.")

    def _other(self, event: Json) -> Sequence[StreamEvent]:
        """A whole response, a fault without a type, the state of a tool at the server, or something new."""
        error = find_error(event)
        if error is not None:
            raise error_of_body(self._name, error)
        if event.get("object") == "response":
            return self._end(event, _text(event.get("status")) or "completed")
        state = _TOOL_STATE.fullmatch(_text(event.get("type")))
        if state:
            item = self._item_at(self._key(event))
            return (ServerToolUsed(state[1], state[2], item.part),)
        return ()

    # Where things go.

    def _key(self, event: Json) -> _Key:
        place = event.get("output_index")
        if isinstance(place, int):
            return place
        self._by_id = True
        return _text(event.get("item_id")) or _text(_mapping(event.get("item")).get("id"))

    def _item_at(self, key: _Key, *, part: int | None = None) -> _Item:
        item = self._items.get(key)
        if item is None:
            item = self._items[key] = _Item(self._new_part() if part is None else part)
        return item

    def _text_at(self, key: _Key, content_index: object) -> _Text:
        place = (key, content_index if isinstance(content_index, int) else 0)
        piece = self._texts.get(place)
        if piece is None:
            piece = self._texts[place] = _Text(self._new_part())
        return piece

    def _new_part(self) -> int:
        self._parts += 1
        return self._parts - 1

    def _keep(self, part: int, **facts: object) -> OpaqueReceived:
        kept = json.dumps({OPAQUE: self._model, **facts}, ensure_ascii=False)
        return OpaqueReceived(kept, part)


def read_usage(usage: Mapping[str, object]) -> Usage:
    """Tokens in buckets that do not overlap, from a `usage` object that counts cached ones twice."""
    details = _mapping(usage.get("input_tokens_details"))
    cached, written = _count(details, "cached_tokens"), _count(details, "cache_write_tokens")
    return Usage(
        input=max(0, _count(usage, "input_tokens") - cached - written),
        cache_read=cached,
        cache_write=written,
        output=_count(usage, "output_tokens"),
        reasoning=_count(_mapping(usage.get("output_tokens_details")), "reasoning_tokens"),
    )


def _citations(piece: _Text, annotations: object) -> Sequence[StreamEvent]:
    """The sources that were not given yet: they come as the text streams, and again at its end."""
    events: list[StreamEvent] = []
    for annotation in _objects(annotations):
        url = _text(annotation.get("url"))
        mark = json.dumps([url, annotation.get("start_index"), annotation.get("end_index")])
        if url and mark not in piece.cited:
            piece.cited.add(mark)
            events.append(CitationReceived(url, _text(annotation.get("title")), piece.part))
    return events


def _all_texts(sections: object) -> list[str]:
    return [text for section in _objects(sections) if (text := _text(section.get("text")))]


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _mapping(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def _objects(value: object) -> Sequence[Json]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else ()


def _count(mapping: Mapping[str, object], key: str) -> int:
    value = mapping.get(key)
    return value if isinstance(value, int) and value > 0 else 0
