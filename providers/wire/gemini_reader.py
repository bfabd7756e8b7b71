"""Reads answers of Gemini's `streamGenerateContent`.

Each chunk brings new parts. Pieces of text without a signature run together into one part; a part with a
signature stays a part of its own, so that it can be sent back as it was signed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final, Literal, TypeAlias

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
_Kind: TypeAlias = Literal["text", "thinking"]

OPAQUE: Final = "gemini"
"""The name, in the opaque JSON of a part, under which the model that wrote it stands."""

_STOPS: Final = {
    "STOP": StopReason.END,
    "MAX_TOKENS": StopReason.LENGTH,
    "CONTINUATION": StopReason.PAUSE,
    **dict.fromkeys(
        (
            "SAFETY",
            "RECITATION",
            "LANGUAGE",
            "BLOCKLIST",
            "PROHIBITED_CONTENT",
            "SPII",
            "MODEL_ARMOR",
            "IMAGE_SAFETY",
            "IMAGE_PROHIBITED_CONTENT",
            "IMAGE_RECITATION",
        ),
        StopReason.REFUSED,
    ),
}
_FAULTS: Final = {
    "MALFORMED_FUNCTION_CALL": ErrorKind.SERVER,
    "MALFORMED_RESPONSE": ErrorKind.SERVER,
    "UNEXPECTED_TOOL_CALL": ErrorKind.SERVER,
    "TOO_MANY_TOOL_CALLS": ErrorKind.SERVER,
    "MISSING_THOUGHT_SIGNATURE": ErrorKind.BAD_REQUEST,
}
"""Reasons with which the answer is of no use."""
_NO_REASON: Final = ("", "FINISH_REASON_UNSPECIFIED", "BLOCK_REASON_UNSPECIFIED")


class GenerateReader:
    """Turns the chunks of one answer into events; a whole answer, or a list of chunks, counts as well.

    Args:
        name: how the user calls the provider, for titles of errors.
        model: the model that was asked, as it was asked for: its signatures go back to no other.
    """

    def __init__(self, name: str, model: str) -> None:
        self._name = name
        self._model = model
        self._id = ""
        self._started = False
        self._parts = 0
        self._open: tuple[_Kind, int] | None = None
        self._call_ids: set[str] = set()
        self._text_part = 0  # what citations point at
        self._cited: set[str] = set()
        self._reason = ""
        self._message = ""
        self._blocked = False
        self._usage: Usage | None = None

    def feed(self, data: str) -> Sequence[StreamEvent]:
        """The events of one chunk.

        Raises:
            ProviderError: the chunk reports a fault, or is no JSON object.
        """
        if data == "[DONE]":  # what gateways add
            return ()
        try:
            chunk = decode_json(data)
        except (ValueError, RecursionError) as error:
            excerpt = " ".join(data.split())[:200]
            raise make_error(ErrorKind.PROTOCOL, self._name, detail=f"Not JSON: {excerpt}") from error
        if isinstance(chunk, list):  # what a server sends that was not asked for events
            return [event for each in chunk for event in self._take(each)]
        return self._take(chunk)

    def finish(self, details: Mapping[str, str]) -> Finished:
        """The last event.

        Args:
            details: what to say beside.

        Raises:
            ProviderError: the answer ended without a reason, or without anything said.
        """
        if not self._reason:
            detail = f"{self._name} closed the stream in the middle."
            raise make_error(ErrorKind.TRUNCATED_STREAM, self._name, detail=detail, request_id=self._id)
        if self._reason in _FAULTS and not self._blocked:
            detail = f"The answer ended with {self._reason}. {self._message}"
            raise make_error(_FAULTS[self._reason], self._name, detail=detail, request_id=self._id)
        stop = StopReason.REFUSED if self._blocked else _STOPS.get(self._reason, StopReason.OTHER)
        if stop is StopReason.END and not self._parts:
            raise make_error(ErrorKind.SERVER, self._name, detail="The answer is empty.", request_id=self._id)
        if stop in (StopReason.END, StopReason.OTHER) and self._call_ids:
            stop = StopReason.TOOL  # there is no reason of its own for it, and gateways make one up
        said = {"request_id": self._id, **details, "finish_reason": self._reason, "message": self._message}
        return Finished(stop, self._usage, {key: text for key, text in said.items() if text})

    def _take(self, chunk: object) -> Sequence[StreamEvent]:
        if not isinstance(chunk, dict):
            raise make_error(ErrorKind.PROTOCOL, self._name, detail=f"Not a JSON object: {str(chunk)[:200]}")
        if "error" in chunk and (error := find_error(chunk)) is not None:
            raise error_of_body(self._name, error, request_id=self._id)
        events: list[StreamEvent] = []
        if not self._started:
            self._started = True
            self._id = _text(chunk.get("responseId"))
            events.append(Started(self._id, _text(chunk.get("modelVersion"))))
        for candidate in _objects(chunk.get("candidates"))[:1]:
            self._take_candidate(candidate, events)
        feedback = _mapping(chunk.get("promptFeedback"))
        block = _text(feedback.get("blockReason"))
        if block not in _NO_REASON:
            self._blocked = True
            self._reason, self._message = block, _text(feedback.get("blockReasonMessage"))
        usage = _mapping(chunk.get("usageMetadata"))
        if usage:
            counted = read_usage(usage)
            if counted != self._usage:
                self._usage = counted
                events.append(UsageReceived(counted))
        return events

    def _take_candidate(self, candidate: Json, events: list[StreamEvent]) -> None:
        for part in _objects(_mapping(candidate.get("content")).get("parts")):
            self._take_part(part, events)
        if "groundingMetadata" in candidate or "citationMetadata" in candidate:
            self._take_sources(candidate, events)
        reason = _text(candidate.get("finishReason"))
        if reason not in _NO_REASON and not self._blocked:
            self._reason, self._message = reason, _text(candidate.get("finishMessage"))

    def _take_part(self, part: Json, events: list[StreamEvent]) -> None:
        text = part.get("text")
        signature = _text(part.get("thoughtSignature"))
        if isinstance(text, str):
            self._take_text("thinking" if part.get("thought") is True else "text", text, signature, events)
        elif isinstance(part.get("functionCall"), dict):
            self._take_call(_mapping(part["functionCall"]), signature, events)
        elif "executableCode" in part or "codeExecutionResult" in part or "toolCall" in part:
            self._take_server_tool(part, events)
        elif signature:
            index = self._new_part()
            events.append(self._keep(index, part=part))

    def _take_text(self, kind: _Kind, text: str, signature: str, events: list[StreamEvent]) -> None:
        if not text and not signature:
            return
        if signature or self._open is None or self._open[0] != kind:
            self._open = (kind, self._new_part())
        index = self._open[1]
        if text:
            events.append(TextDelta(text, index) if kind == "text" else ThinkingDelta(text, index))
        if kind == "text":
            self._text_part = index
        if signature:
            # An empty text is shown nowhere, so its part may be taken for a thought: say what it was.
            events.append(
                self._keep(index, signature=signature, **({"text": True} if kind == "text" else {}))
            )
            self._open = None

    def _take_call(self, call: Json, signature: str, events: list[StreamEvent]) -> None:
        index = self._new_part()
        given = _text(call.get("id"))
        call_id = given or f"{self._id or 'call'}-{index}"
        while call_id in self._call_ids:
            call_id = f"{call_id}-{index}"
        self._call_ids.add(call_id)
        arguments = json.dumps(_mapping(call.get("args")), ensure_ascii=False)
        kept = {key: value for key, value in (("id", given), ("signature", signature)) if value}
        events += (
            ToolCallStarted(index, call_id, _text(call.get("name"))),
            ToolArgumentsDelta(index, arguments),
            ToolCallEnded(index),
        )
        if kept:
            events.append(self._keep(index, **kept))

    def _take_server_tool(self, part: Json, events: list[StreamEvent]) -> None:
        index = self._new_part()
        outcome = _text(_mapping(part.get("codeExecutionResult")).get("outcome"))
        name = "tool" if "toolCall" in part else "code_execution"
        events += (ServerToolUsed(name, outcome or "started", index), self._keep(index, part=part))

    def _take_sources(self, candidate: Json, events: list[StreamEvent]) -> None:
        grounding = _mapping(candidate.get("groundingMetadata"))
        sources = [_mapping(chunk.get("web")) for chunk in _objects(grounding.get("groundingChunks"))]
        sources += _objects(_mapping(candidate.get("citationMetadata")).get("citationSources"))
        sources += _objects(_mapping(candidate.get("citationMetadata")).get("citations"))
        for source in sources:
            url = _text(source.get("uri"))
            if url and url not in self._cited:
                self._cited.add(url)
                events.append(CitationReceived(url, _text(source.get("title")), self._text_part))

    def _new_part(self) -> int:
        self._open = None
        self._parts += 1
        return self._parts - 1

    def _keep(self, index: int, **facts: object) -> OpaqueReceived:
        return OpaqueReceived(json.dumps({OPAQUE: self._model, **facts}, ensure_ascii=False), index)


def read_usage(usage: Mapping[str, object]) -> Usage:
    """Tokens in buckets that do not overlap: thoughts are counted beside the answer, cached ones twice."""
    cached = _count(usage, "cachedContentTokenCount")
    thoughts = _count(usage, "thoughtsTokenCount")
    prompt = _count(usage, "promptTokenCount") + _count(usage, "toolUsePromptTokenCount")
    return Usage(
        input=max(0, prompt - cached),
        cache_read=cached,
        output=_count(usage, "candidatesTokenCount") + thoughts,
        reasoning=thoughts,
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _mapping(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def _objects(value: object) -> Sequence[Json]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else ()


def _count(mapping: Mapping[str, object], key: str) -> int:
    value = mapping.get(key)
    return value if isinstance(value, int) and value > 0 else 0
