"""The Chat Completions dialect, as the servers in use speak it."""

from __future__ import annotations

import json

import pytest

from jackfield import (
    ChatRequest,
    ErrorKind,
    FilePart,
    Finished,
    ImagePart,
    Message,
    Progress,
    ProviderError,
    Started,
    StopReason,
    StreamEvent,
    TextDelta,
    TextPart,
    ThinkingDelta,
    ThinkingPart,
    ToolArgumentsDelta,
    ToolCallEnded,
    ToolCallPart,
    ToolCallStarted,
    ToolResultPart,
    Usage,
    UsageReceived,
)
from providers.wire.chat_completions import ChunkReader, request_body


def choice(delta: object = None, finish_reason: object = None, **fields: object) -> dict[str, object]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}], **fields}


def read(*chunks: object) -> list[StreamEvent]:
    reader = ChunkReader("Peer")
    events = [event for each in chunks for event in reader.feed(json.dumps(each))]
    return [*events, *reader.finish()]


def failure(*chunks: object) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        read(*chunks)
    return caught.value


def call(
    index: object = None, call_id: object = None, name: object = None, arguments: object = None
) -> object:
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    fields = {key: value for key, value in (("index", index), ("id", call_id)) if value is not None}
    return choice({"tool_calls": [{**fields, "type": "function", "function": function}]})


END = choice({}, "stop")


def test_text_comes_between_a_start_and_a_finish() -> None:
    events = read(
        {"id": "c1", "model": "m", **choice({"role": "assistant", "content": None})},
        choice({"content": "Hel"}),
        choice({"content": "lo"}),
        END,
    )
    assert events == [
        Started("c1", "m"),
        TextDelta("Hel", 0),
        TextDelta("lo", 0),
        Finished(StopReason.END, None, {"finish_reason": "stop"}),
    ]


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning", "reasoning_text"])
def test_thinking_is_a_part_before_the_text(field: str) -> None:
    events = read(choice({field: "hm", "content": ""}), choice({"content": "Yes", field: None}), END)
    assert events[1:3] == [ThinkingDelta("hm", 0), TextDelta("Yes", 1)]


def test_content_may_be_a_list_of_thinking_and_text() -> None:
    content = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
        {"type": "text", "text": "Yes"},
    ]
    assert read(choice({"content": content}), END)[1:3] == [ThinkingDelta("hm", 0), TextDelta("Yes", 1)]


def test_two_tool_calls_interleave_by_index() -> None:
    events = read(
        choice({"content": "Look:"}),
        call(0, "a", "ls", ""),
        call(1, "b", "cat", '{"f"'),
        call(0, None, None, "{}"),
        call(1, None, None, ":1}"),
        choice({}, "tool_calls"),
    )
    assert events[2:] == [
        ToolCallStarted(1, "a", "ls"),
        ToolCallStarted(2, "b", "cat"),
        ToolArgumentsDelta(2, '{"f"'),
        ToolArgumentsDelta(1, "{}"),
        ToolArgumentsDelta(2, ":1}"),
        ToolCallEnded(1),
        ToolCallEnded(2),
        Finished(StopReason.TOOL, None, {"finish_reason": "tool_calls"}),
    ]


def test_calls_without_an_index_are_told_apart_by_id() -> None:
    events = read(call(None, "a", "ls", "{"), call(None, None, None, "}"), call(None, "b", "ls", "{}"), END)
    assert events[1:6] == [
        ToolCallStarted(0, "a", "ls"),
        ToolArgumentsDelta(0, "{"),
        ToolArgumentsDelta(0, "}"),
        ToolCallStarted(1, "b", "ls"),
        ToolArgumentsDelta(1, "{}"),
    ]


def test_calls_that_repeat_index_zero_are_told_apart_by_id() -> None:
    events = read(call(0, "a", "ls", "{}"), call(0, "b", "cat", "{}"), END)
    assert [event for event in events if isinstance(event, ToolCallStarted)] == [
        ToolCallStarted(0, "a", "ls"),
        ToolCallStarted(1, "b", "cat"),
    ]


def test_a_call_without_an_id_is_given_one() -> None:
    events = read(call(0, None, "ls", {"path": "."}), END)
    assert events[1:3] == [ToolCallStarted(0, "call_0", "ls"), ToolArgumentsDelta(0, '{"path": "."}')]
    assert isinstance(events[-1], Finished)
    assert events[-1].stop is StopReason.TOOL, "a server that says stop although it asks for a tool"


@pytest.mark.parametrize(
    ("word", "stop"),
    [
        *[("stop", StopReason.END), ("eos", StopReason.END), ("length", StopReason.LENGTH)],
        *[("function_call", StopReason.TOOL), ("content_filter", StopReason.REFUSED)],
        ("something_new", StopReason.OTHER),
    ],
)
def test_every_reason_ends_the_answer(word: str, stop: StopReason) -> None:
    last = read(choice({"content": "x"}, word))[-1]
    assert last == Finished(stop, None, {"finish_reason": word})


def test_a_refusal_is_shown_and_named() -> None:
    events = read(choice({"refusal": "I must not."}), END)
    assert events[1] == TextDelta("I must not.", 0)
    assert isinstance(events[-1], Finished)
    assert events[-1].stop is StopReason.REFUSED


def test_usage_is_split_into_buckets_that_do_not_overlap() -> None:
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 20,
        "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 10},
        "completion_tokens_details": {"reasoning_tokens": 8},
    }
    expected = Usage(input=30, cache_read=60, cache_write=10, output=20, reasoning=8)
    events = read(choice({"content": "x"}, "stop"), {"choices": [], "usage": usage})
    assert events[-2:] == [
        UsageReceived(expected),
        Finished(StopReason.END, expected, {"finish_reason": "stop"}),
    ]
    assert expected.total == 120


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": None}, {"prompt_tokens": "9"}, []])
def test_usage_that_tells_nothing_is_no_fault(usage: object) -> None:
    assert isinstance(read(choice({"content": "x"}, "stop", usage=usage))[-1], Finished)


def test_an_answer_without_a_reason_was_cut_short() -> None:
    error = failure(choice({"content": "Hel"}))
    assert error.kind is ErrorKind.TRUNCATED_STREAM
    assert error.retryable


def test_a_whole_completion_counts_as_an_answer() -> None:
    whole = {
        "id": "c1",
        "model": "m",
        "choices": [{"message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 1},
    }
    events = read(whole)
    assert events[0] == Started("c1", "m")
    assert events[1] == TextDelta("Hi", 0)
    assert events[-1] == Finished(StopReason.END, Usage(3, 0, 0, 1), {"finish_reason": "stop"})


@pytest.mark.parametrize(
    ("chunk", "kind"),
    [
        ({"error": {"message": "busy", "type": "overloaded_error"}}, ErrorKind.OVERLOADED),
        ({"error": {"message": "gone", "code": 502}}, ErrorKind.SERVER),
        ({"error": {"message": "no", "code": "insufficient_quota"}}, ErrorKind.BILLING),
        ({"error": "model crashed"}, ErrorKind.SERVER),
        (
            [{"error": {"code": 429, "message": "slow", "status": "RESOURCE_EXHAUSTED"}}],
            ErrorKind.RATE_LIMITED,
        ),
        (choice({"content": ""}, "error"), ErrorKind.SERVER),
        ("text", ErrorKind.PROTOCOL),
        ([1, 2], ErrorKind.PROTOCOL),
    ],
)
def test_a_fault_in_the_middle_is_an_error(chunk: object, kind: ErrorKind) -> None:
    assert failure(choice({"content": "Hel"}), chunk).kind is kind


def test_a_chunk_that_is_no_json_is_an_error_that_shows_it_harmlessly() -> None:
    reader = ChunkReader("Peer")
    with pytest.raises(ProviderError) as caught:
        list(reader.feed("<html>\x1b]0;owned\x07"))
    assert caught.value.kind is ErrorKind.PROTOCOL
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    "chunk",
    [
        {},
        {"choices": None},
        {"choices": [None]},
        {"choices": [{"delta": None}]},
        {"choices": [{"delta": []}]},
    ],
)
def test_chunks_that_say_nothing_are_passed_over(chunk: object) -> None:
    assert isinstance(read(chunk, END)[-1], Finished)


def test_reading_a_long_prompt_is_progress() -> None:
    progress = {"total": 1000, "cache": 0, "processed": 512}
    assert read({"prompt_progress": progress, **choice({})}, END)[1] == Progress(
        "Reading the conversation", 512, 1000, "steps"
    )
    assert not any(
        isinstance(event, Progress) for event in read({"prompt_progress": {**progress, "cache": 990}}, END)
    )


def test_a_request_carries_the_system_prompt_the_parameters_and_the_wish_for_usage() -> None:
    request = ChatRequest("m", [Message.of("user", "Hi")], system="Be kind.", parameters={"temperature": 0.5})
    assert request_body(request, extra={"temperature": 1.0, "seed": 1}) == {
        "model": "m",
        "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0.5,
        "seed": 1,
    }


def test_a_parameter_cannot_replace_the_messages() -> None:
    request = ChatRequest("m", [Message.of("user", "Hi")], parameters={"messages": "none", "stream": False})
    body = request_body(request)
    assert body["stream"] is True
    assert body["messages"] == [{"role": "user", "content": "Hi"}]


def test_pictures_and_files_go_with_the_text_of_the_user() -> None:
    parts = (
        TextPart("What is this?"),
        ImagePart("image/png", data=b"\x00\x01"),
        ImagePart("image/png", url="https://example.org/a.png"),
        FilePart("a.pdf", "application/pdf", b"%PDF"),
    )
    body = request_body(ChatRequest("m", [Message("user", parts)]))
    assert body["messages"] == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAE="}},
                {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
                {
                    "type": "file",
                    "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="},
                },
            ],
        }
    ]


def test_tool_calls_and_their_results_are_replayed() -> None:
    messages = [
        Message(
            "assistant", (ThinkingPart("hm"), ToolCallPart("a", "ls", ""), ToolCallPart("b", "cat", "{}"))
        ),
        Message("user", (ToolResultPart("a", "one"), ToolResultPart("b", "two"), TextPart("Go on."))),
    ]
    assert request_body(ChatRequest("m", messages))["messages"] == [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "ls", "arguments": "{}"}},
                {"id": "b", "type": "function", "function": {"name": "cat", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "tool_call_id": "a", "content": "one"},
        {"role": "tool", "tool_call_id": "b", "content": "two"},
        {"role": "user", "content": "Go on."},
    ]


def test_a_message_without_anything_to_say_is_left_out() -> None:
    messages = [Message("assistant", (ThinkingPart("hm"),)), Message("user", ())]
    assert request_body(ChatRequest("m", messages))["messages"] == []
