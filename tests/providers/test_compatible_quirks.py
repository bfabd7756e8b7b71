"""What each quirk of a compatible endpoint changes in requests and answers."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from jackfield import (
    ChatRequest,
    CitationReceived,
    ErrorKind,
    Finished,
    Message,
    OpaqueReceived,
    ProviderError,
    StopReason,
    StreamEvent,
    TextPart,
    ThinkingDelta,
    ThinkingPart,
    ToolCallPart,
    ToolResultPart,
)
from providers.wire.chat_completions import ChunkReader
from providers.wire.chat_request import request_body
from providers.wire.quirks import Quirks
from tests.providers.conftest import MakeContext
from tests.providers.endpoints import (
    ANSWER,
    answer,
    built_in,
    request,
    texts,
)
from tests.providers.peer import Reply, running_peer


def read(quirks: Quirks, *chunks: object) -> list[StreamEvent]:
    reader = ChunkReader("Acme", quirks)
    events = [event for given in chunks for event in reader.feed(json.dumps(given))]
    return [*events, *reader.finish()]


def said(delta: object = None, reason: str | None = None, **fields: Any) -> dict[str, object]:
    return {"choices": [{"index": 0, "delta": delta or {}, "finish_reason": reason}], **fields}


# -- quirks of requests -------------------------------------------------------------------------------------


def body_of(quirks: Quirks, asked: ChatRequest | None = None) -> dict[str, Any]:
    return request_body(asked or request(), quirks=quirks)


def test_the_limit_has_the_name_that_the_server_knows() -> None:
    assert (
        body_of(Quirks(max_tokens="max_completion_tokens"), request(max_tokens=5))["max_completion_tokens"]
        == 5
    )
    assert body_of(Quirks(), request(max_tokens=5))["max_tokens"] == 5


def test_the_system_prompt_has_the_role_that_the_server_knows() -> None:
    asked = replace(request(), system="Be kind.")
    assert body_of(Quirks(system_role="developer"), asked)["messages"][0]["role"] == "developer"
    assert body_of(Quirks(), asked)["messages"][0]["role"] == "system"


def test_usage_is_asked_for_unless_the_server_refuses_the_question() -> None:
    assert body_of(Quirks())["stream_options"] == {"include_usage": True}
    assert "stream_options" not in body_of(Quirks(stream_options=False))


@pytest.mark.parametrize(
    ("name", "effort", "fields"),
    [
        ("openrouter", "high", {"reasoning": {"effort": "high"}}),
        ("openrouter", "none", {"reasoning": {"effort": "none"}}),
        ("deepseek", "medium", {"thinking": {"type": "enabled"}, "reasoning_effort": "low"}),
        ("deepseek", "max", {"thinking": {"type": "enabled"}, "reasoning_effort": "max"}),
        ("deepseek", "off", {"thinking": {"type": "disabled"}}),
        ("together", "low", {"reasoning": {"enabled": True}, "reasoning_effort": "low"}),
        ("qwen", "high", {"enable_thinking": True}),
        ("qwen", "None", {"enable_thinking": False}),
        ("cohere", "low", {"reasoning_effort": "high"}),
        ("nvidia", "low", {"chat_template_kwargs": {"enable_thinking": True}}),
        ("groq", "medium", {"reasoning_effort": "medium"}),
        (
            "zai",
            "high",
            {"thinking": {"type": "enabled", "clear_thinking": False}, "reasoning_effort": "high"},
        ),
        ("ollama-server", "max", {"reasoning_effort": "max"}),
        ("lmstudio-server", "xhigh", {"reasoning_effort": "high"}),
        ("vllm-server", "none", {"chat_template_kwargs": {"enable_thinking": False}}),
        (
            "llamacpp-server",
            "low",
            {
                "chat_template_kwargs": {"enable_thinking": True, "reasoning_effort": "low"},
                "return_progress": True,
            },
        ),
    ],
)
async def test_an_effort_is_asked_for_as_the_server_understands_it(
    make_context: MakeContext, name: str, effort: str, fields: dict[str, object]
) -> None:
    async with running_peer(ANSWER) as peer:
        await answer(built_in(make_context, peer, name), request(effort=effort))
    sent = peer.sent()
    for usual in ("model", "messages", "stream", "stream_options"):
        sent.pop(usual, None)
    assert sent == fields


def test_an_effort_is_left_out_where_nothing_stands_for_it() -> None:
    assert body_of(Quirks(effort_on={}), request(effort="high")).keys() == body_of(Quirks()).keys()


def test_parameters_are_renamed_dropped_and_win_over_further_fields() -> None:
    quirks = Quirks(rename={"seed": "random_seed"}, drop=("user",), extra={"top_p": 1, "safe": True})
    body = body_of(quirks, request(seed=3, user="me", top_p=0.5))
    assert (body["random_seed"], body["top_p"], body["safe"]) == (3, 0.5, True)
    assert "seed" not in body
    assert "user" not in body


CALLED = [
    Message("assistant", (ThinkingPart("hm"), TextPart("So."), ToolCallPart("call_" + "x" * 50, "ls", "{}"))),
    Message("user", (ToolResultPart("call_" + "x" * 50, "done"),)),
    Message("assistant", (ThinkingPart("well"), TextPart("Done."))),
]


@pytest.mark.parametrize(
    ("back", "thoughts"), [("never", [None, None]), ("calls", ["hm", None]), ("always", ["hm", "well"])]
)
def test_thoughts_go_back_where_the_server_wants_them(back: Any, thoughts: list[str | None]) -> None:
    messages = body_of(Quirks(thinking_back=back), ChatRequest("m", CALLED))["messages"]
    answers = [message for message in messages if message["role"] == "assistant"]
    assert [message.get("reasoning_content") for message in answers] == thoughts


def test_a_call_without_a_thought_has_the_field_all_the_same() -> None:
    messages = [Message("assistant", (ToolCallPart("a", "ls", "{}"),))]
    body = body_of(Quirks(thinking_back="calls", thinking_field="reasoning"), ChatRequest("m", messages))
    assert body["messages"][0]["reasoning"] == ""


def test_ids_of_calls_have_the_shape_that_the_server_accepts_in_call_and_result() -> None:
    for quirks, shape in ((Quirks(tool_ids="nine"), 9), (Quirks(tool_ids="short"), 40)):
        call, result, _ = body_of(quirks, ChatRequest("m", CALLED))["messages"]
        given = call["tool_calls"][0]["id"]
        assert given.isalnum()
        assert len(given) == shape
        assert result["tool_call_id"] == given
    kept = [Message("assistant", (ToolCallPart("abcDEF123", "ls", "{}"),))]
    messages = body_of(Quirks(tool_ids="nine"), ChatRequest("m", kept))["messages"]
    assert messages[0]["tool_calls"][0]["id"] == "abcDEF123"


def test_messages_of_one_in_a_row_are_joined_where_turns_have_to_alternate() -> None:
    picture = Message("user", (TextPart("Look"), *CALLED[0].parts[:0]))
    messages = [Message.of("user", "One"), picture, Message.of("assistant", "Yes"), Message.of("user", "Two")]
    body = body_of(Quirks(alternate=True), ChatRequest("m", messages))
    assert [(message["role"], message["content"]) for message in body["messages"]] == [
        ("user", "One\n\nLook"),
        ("assistant", "Yes"),
        ("user", "Two"),
    ]


async def test_xai_is_asked_in_the_responses_dialect(make_context: MakeContext) -> None:
    done = {"type": "response.completed", "response": {"id": "r", "status": "completed", "output": []}}
    delta = {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "Hi"}
    body = [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in (delta, done)]
    async with running_peer(Reply(body)) as peer:
        events = await answer(
            built_in(make_context, peer, "xai"), request(model="grok-4.7", effort="low", temperature=0.1)
        )
    assert peer.requests[0][0] == "POST /responses HTTP/1.1"
    assert peer.sent()["reasoning"] == {"effort": "low"}
    assert peer.sent()["temperature"] == 0.1
    assert texts(events) == "Hi"


# -- quirks of answers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, 5, 1000])
def test_thoughts_between_tags_are_told_from_the_answer_however_they_are_cut(size: int) -> None:
    whole = "\n<think>\nLet me <b>see</thin>.</think>\n\nIt is <think> 4."
    pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
    events = read(
        Quirks(think_tags=True), *(said({"content": piece}) for piece in pieces), said(None, "stop")
    )
    assert texts(events, ThinkingDelta) == "Let me <b>see</thin>."
    assert texts(events) == "It is <think> 4."


@pytest.mark.parametrize("whole", ["Plain", "  ", "<thin", "<thinker>", "a <think>b</think>"])
def test_text_that_does_not_begin_with_a_thought_stays_as_it_is(whole: str) -> None:
    events = read(
        Quirks(think_tags=True), *(said({"content": letter}) for letter in whole), said(None, "stop")
    )
    assert texts(events) == whole
    assert texts(events, ThinkingDelta) == ""


def test_tags_are_text_where_the_server_is_not_known_to_think_in_them() -> None:
    assert texts(read(Quirks(), said({"content": "<think>a</think>"}, "stop"))) == "<think>a</think>"


def test_a_thought_that_is_cut_off_is_no_answer() -> None:
    events = read(Quirks(think_tags=True), said({"content": "<think>hm</thi"}, "length"))
    assert texts(events, ThinkingDelta) == "hm</thi"
    assert texts(events) == ""


DETAILS = Quirks(thinking_back="always", thinking_field="reasoning_details")


def test_signed_thoughts_of_openrouter_come_together_and_go_back_as_they_came() -> None:
    events = read(
        DETAILS,
        said(
            {
                "reasoning": "Let ",
                "reasoning_details": [{"type": "reasoning.text", "index": 0, "text": "Let "}],
            }
        ),
        said(
            {"reasoning": "me", "reasoning_details": [{"type": "reasoning.text", "index": 0, "text": "me"}]}
        ),
        said(
            {"reasoning_details": [{"type": "reasoning.text", "index": 0, "text": None, "signature": "sig"}]}
        ),
        said({"reasoning_details": [{"type": "reasoning.encrypted", "index": 1, "data": "x"}]}),
        said({"content": "Hi"}, "stop"),
    )
    (opaque,) = [event for event in events if isinstance(event, OpaqueReceived)]
    expected = [
        {"type": "reasoning.text", "index": 0, "text": "Let me", "signature": "sig"},
        {"type": "reasoning.encrypted", "index": 1, "data": "x"},
    ]
    assert json.loads(opaque.opaque) == expected
    assert opaque.index == next(event.index for event in events if isinstance(event, ThinkingDelta))

    parts = (ThinkingPart("Let me", opaque.opaque), TextPart("Hi"))
    for writer, back in (("acme/m", expected), ("other/m", None)):
        messages = [Message("assistant", parts, writer)]
        body = body_of(DETAILS, ChatRequest("m", messages, "acme"))
        assert body["messages"][0].get("reasoning_details") == back


def test_what_is_kept_of_a_thought_may_be_damaged() -> None:
    for opaque in ("{", '"x"', None, "[" * 100_000):
        messages = [Message("assistant", (ThinkingPart("a", opaque), TextPart("b")))]
        assert "reasoning_details" not in body_of(DETAILS, ChatRequest("m", messages))["messages"][0]


def test_thoughts_of_mistral_stand_in_a_list_of_content() -> None:
    content = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
        {"type": "text", "text": "Hi"},
    ]
    events = read(Quirks(), said({"content": content}, "stop"))
    assert (texts(events, ThinkingDelta), texts(events)) == ("hm", "Hi")


@pytest.mark.parametrize(
    "chunk_with_usage",
    [
        said(None, "stop", x_groq={"id": "r", "usage": {"prompt_tokens": 3, "completion_tokens": 2}}),
        {
            "choices": [
                {"finish_reason": "stop", "delta": {}, "usage": {"prompt_tokens": 3, "completion_tokens": 2}}
            ]
        },
    ],
    ids=["groq", "moonshot"],
)
def test_usage_is_found_where_the_server_puts_it(chunk_with_usage: object) -> None:
    finished = read(Quirks(), said({"content": "Hi"}), chunk_with_usage)[-1]
    assert isinstance(finished, Finished)
    assert finished.usage is not None
    assert (finished.usage.input, finished.usage.output) == (3, 2)


def test_a_fault_that_groq_reports_beside_the_answer_is_an_error() -> None:
    with pytest.raises(ProviderError, match="over capacity"):
        read(Quirks(), {"choices": [], "x_groq": {"id": "r", "error": "over capacity"}})


def test_sources_are_named_once() -> None:
    found: dict[str, Any] = {
        "search_results": [{"title": "A", "url": "https://a.example"}],
        "citations": ["https://a.example"],
    }
    note = {"type": "url_citation", "url_citation": {"url": "https://b.example", "title": "B"}}
    events = read(Quirks(), said({"content": "x"}, **found), said({"annotations": [note]}, "stop", **found))
    cited = [event for event in events if isinstance(event, CitationReceived)]
    assert cited == [CitationReceived("https://a.example", "A"), CitationReceived("https://b.example", "B")]


def test_a_message_that_repeats_the_whole_answer_beside_a_delta_is_passed_over() -> None:
    last = {"choices": [{"delta": {}, "message": {"content": "Hello"}, "finish_reason": "stop"}]}
    assert texts(read(Quirks(), said({"content": "Hello"}), last)) == "Hello"


def test_reasons_to_end_that_only_one_server_gives_are_understood() -> None:
    quirks = Quirks(stops={"sensitive": "refused", "broken": "fault"})
    finished = read(quirks, said({"content": "x"}, "sensitive"))[-1]
    assert isinstance(finished, Finished)
    assert finished.stop is StopReason.REFUSED
    with pytest.raises(ProviderError) as caught:
        read(quirks, said({"content": "x"}, "broken"))
    assert caught.value.kind is ErrorKind.SERVER
