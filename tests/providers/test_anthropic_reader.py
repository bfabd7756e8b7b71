"""A Messages stream gives the same events however it is cut, and nonsense gives an error, never more."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackfield import (
    CitationReceived,
    ErrorKind,
    Finished,
    ProviderError,
    ServerToolUsed,
    StopReason,
    StreamEvent,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallEnded,
    ToolCallStarted,
    Usage,
)
from providers.wire.anthropic_reader import MessageReader, read_arguments
from providers.wire.sse import EventReader
from tests.providers.anthropic_peer import END, begin, event, text

STREAMS = {
    path.stem: path.read_bytes()
    for path in sorted((Path(__file__).parent / "fixtures" / "anthropic").glob("*.sse"))
}


def read(*pieces: bytes) -> list[StreamEvent]:
    """The events of a stream that arrives in these pieces."""
    bytes_reader, reader = EventReader(), MessageReader("Anthropic")
    events: list[StreamEvent] = []
    for piece in pieces:
        for raw in bytes_reader.feed(piece):
            events += reader.feed(raw.data)
    for raw in bytes_reader.finish():
        events += reader.feed(raw.data)
    return [*events, reader.finish()]


def fail(*pieces: bytes) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        read(*pieces)
    return caught.value


@given(st.sampled_from(sorted(STREAMS)), st.lists(st.integers(min_value=0), max_size=30))
def test_any_cut_gives_the_same_events(name: str, places: list[int]) -> None:
    stream = STREAMS[name]
    ends = sorted({0, len(stream), *(place % len(stream) for place in places)})
    assert read(*(stream[start:end] for start, end in pairwise(ends))) == read(stream)


KEYS = st.sampled_from(
    [
        *("type", "index", "delta", "content_block", "message", "usage", "error", "stop_reason", "text"),
        *("thinking", "signature", "partial_json", "citation", "content", "id", "name", "input", "details"),
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
KINDS = st.sampled_from(
    [
        *("message_start", "content_block_start", "content_block_delta", "content_block_stop", "message"),
        *("message_delta", "message_stop", "error", "ping", "other"),
    ]
)
BLOCKS = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "thinking", "tool_use", "x_tool_result", "server_tool_use", "y"])},
    optional={"text": JSON, "thinking": JSON, "input": JSON, "content": JSON, "citations": JSON},
)
DELTAS = st.fixed_dictionaries(
    {
        "type": JSON
        | st.sampled_from(
            ["text_delta", "thinking_delta", "input_json_delta", "signature_delta", "citations_delta"]
        )
    },
    optional={"text": JSON, "thinking": JSON, "partial_json": JSON, "signature": JSON, "citation": JSON},
)
EVENTS = JSON | st.fixed_dictionaries(
    {"type": KINDS},
    optional={
        "index": JSON | st.integers(0, 2),
        "content_block": JSON | BLOCKS,
        "delta": JSON | DELTAS,
        "message": JSON,
        "usage": JSON,
        "error": JSON,
        "content": JSON,
    },
)


@given(st.lists(EVENTS, max_size=12))
def test_events_of_any_shape_give_events_or_an_error(events: list[object]) -> None:
    stream = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)
    try:
        assert isinstance(read(stream)[-1], Finished)
    except ProviderError as error:
        assert error.title  # noqa: PT017 - either outcome is right


@given(st.binary(max_size=300), st.sampled_from(sorted(STREAMS)), st.integers(min_value=0))
def test_random_bytes_give_events_or_an_error(noise: bytes, name: str, place: int) -> None:
    stream = STREAMS[name]
    at = place % len(stream)
    for broken in (noise, b"data: " + noise + b"\n\n", stream[:at] + noise + stream[at:]):
        try:
            assert isinstance(read(broken)[-1], Finished)
        except ProviderError as error:
            assert error.title  # noqa: PT017 - either outcome is right


@pytest.mark.parametrize("name", sorted(STREAMS))
def test_a_stream_that_ends_early_is_never_a_success(name: str) -> None:
    stream = STREAMS[name]
    for end in range(0, stream.rfind(b"message_stop"), 97):
        assert fail(stream[:end]).kind in (ErrorKind.TRUNCATED_STREAM, ErrorKind.PROTOCOL)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("overloaded_error", ErrorKind.OVERLOADED),
        ("rate_limit_error", ErrorKind.RATE_LIMITED),
        ("api_error", ErrorKind.SERVER),
        ("timeout_error", ErrorKind.TIMEOUT),
        ("invalid_request_error", ErrorKind.BAD_REQUEST),
        ("authentication_error", ErrorKind.AUTH),
        ("billing_error", ErrorKind.BILLING),
        ("permission_error", ErrorKind.PERMISSION),
        ("not_found_error", ErrorKind.NOT_FOUND),
        ("request_too_large", ErrorKind.TOO_LARGE),
        ("something_new", ErrorKind.SERVER),
    ],
)
def test_an_error_in_the_middle_has_its_kind(kind: str, expected: ErrorKind) -> None:
    fault = event("error", error={"type": kind, "message": "the cause"}, request_id="req_7")
    error = fail(begin(), fault)
    assert error.kind is expected
    assert "the cause" in error.detail
    assert error.request_id == "req_7"
    assert "req_7" in error.detail


def test_a_spent_limit_is_told_by_its_code() -> None:
    details = {"error_code": "enforced_spend_limit_reached"}
    fault = {"type": "rate_limit_error", "message": "x", "details": details}
    assert fail(event("error", error=fault)).kind is ErrorKind.BILLING


def test_a_reason_that_is_new_ends_the_answer_with_a_note() -> None:
    done = event("message_delta", delta={"stop_reason": "bored"}, usage={}) + event("message_stop")
    last = read(begin(), text("Hi"), done)[-1]
    assert isinstance(last, Finished)
    assert last.stop is StopReason.OTHER
    assert last.details["stop_reason"] == "bored"
    assert last.details["note"]


def test_a_refusal_says_why() -> None:
    last = read(STREAMS["refusal"])[-1]
    assert isinstance(last, Finished)
    assert last.details["category"] == "cyber"
    assert "malware" in last.details["explanation"]


def test_tools_of_the_server_are_seen() -> None:
    events = [item for item in read(STREAMS["server_tools"]) if isinstance(item, ServerToolUsed)]
    assert [(item.name, item.state) for item in events] == [
        ("web_search", "running"),
        ("web_search", "done"),
        ("web_search", "failed"),
    ]


def test_citations_name_their_source() -> None:
    events = [item for item in read(STREAMS["citations"]) if isinstance(item, CitationReceived)]
    assert [(item.url, item.title) for item in events] == [
        ("", "Manual.pdf"),
        ("https://example.org/lights", "Lights"),
    ]


def test_a_call_without_arguments_has_an_empty_object() -> None:
    assert [
        item
        for item in read(STREAMS["tool_empty"])
        if isinstance(item, ToolCallStarted | ToolArgumentsDelta | ToolCallEnded)
    ] == [ToolCallStarted(0, "toolu_1", "now"), ToolArgumentsDelta(0, "{}"), ToolCallEnded(0)]


def test_a_whole_message_in_place_of_a_stream_is_taken() -> None:
    content = [
        {"type": "text", "text": "Hi"},
        {"type": "tool_use", "id": "t", "name": "n", "input": {"a": 1}},
    ]
    message = {"type": "message", "id": "m", "model": "x", "content": content, "stop_reason": "tool_use"}
    events = read(b"data: " + json.dumps({**message, "usage": {"input_tokens": 3}}).encode() + b"\n\n")
    assert TextDelta("Hi", 0) in events
    assert ToolArgumentsDelta(1, '{"a": 1}') in events
    assert isinstance(events[-1], Finished)
    assert (events[-1].stop, events[-1].usage) == (StopReason.TOOL, Usage(input=3))


def test_the_mark_that_other_dialects_end_with_is_no_fault() -> None:
    assert isinstance(read(begin(), text("Hi"), END, b"data: [DONE]\n\n")[-1], Finished)


def test_nesting_without_end_is_an_error() -> None:
    deep = b'{"type":"message_start","message":' + b"[" * 200_000 + b"]" * 200_000 + b"}"
    assert fail(b"data: " + deep + b"\n\n").kind is ErrorKind.PROTOCOL


def test_arguments_that_are_no_object_are_none() -> None:
    assert read_arguments("") == {}
    assert read_arguments('{"a": 1}') == {"a": 1}
    assert read_arguments("[1]") is None
    assert read_arguments('{"a": ') is None
