"""The OpenAI provider: what it sends, what it keeps for the next turn, and how it fails."""

from __future__ import annotations

import json

import pytest
from pydantic import SecretStr

from jackfield import (
    ApiKey,
    ChatRequest,
    Credential,
    ErrorKind,
    FilePart,
    Finished,
    ImagePart,
    Message,
    Part,
    Provider,
    ProviderError,
    ServerToolUsed,
    StopReason,
    StreamEvent,
    TextDelta,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolResultPart,
    Usage,
)
from providers.openai import OpenAIPlugin, read_models
from providers.wire.openai_responses import request_body
from providers.wire.openai_responses_reader import ResponsesReader, read_usage
from providers.wire.sse import EventReader
from registry.answer import AnswerBuilder
from tests.providers.conftest import MakeContext
from tests.providers.normal import recorded
from tests.providers.peer import Peer, Reply, running_peer

KEY = "sk-very-secret"
CREDENTIAL = Credential(secrets={"key": SecretStr(KEY)})
MODEL = "gpt-5.6-sol"


def offer(make_context: MakeContext, peer: Peer | str, **options: object) -> Provider:
    plugin = OpenAIPlugin()
    address = peer if isinstance(peer, str) else f"{peer.url}/v1"
    plugin.on_init(make_context("openai", base_url=address, **options))
    return plugin.providers()[0]


async def answer(provider: Provider, request: ChatRequest | None = None) -> list[StreamEvent]:
    asked = request or ChatRequest(MODEL, [Message.of("user", "Hi")], "openai")
    return [event async for event in provider.stream(asked, CREDENTIAL)]


async def failing(provider: Provider, credential: Credential | None = CREDENTIAL) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        async for _ in provider.stream(ChatRequest(MODEL, [Message.of("user", "Hi")]), credential):
            pass
    assert caught.value.hint
    assert KEY not in f"{caught.value} {caught.value!r} {caught.value.__dict__}"
    return caught.value


def read(stream: bytes, model: str = MODEL) -> list[StreamEvent]:
    lines, reader = EventReader(), ResponsesReader("OpenAI", model)
    events = [given for event in lines.feed(stream) for given in reader.feed(event.data)]
    return [*events, reader.finish({})]


def answered(name: str, model: str = MODEL) -> Message:
    """The message of the assistant that a recorded stream gives."""
    builder = AnswerBuilder(f"openai/{model}")
    for event in read(recorded("openai_responses", name), model):
        builder.add(event)
    return builder.response.message


def sent(messages: list[Message], model: str = MODEL, **parameters: str | float) -> list[dict[str, object]]:
    body = request_body(ChatRequest(model, messages, parameters=dict(parameters)), reasons=True)
    items = body["input"]
    assert isinstance(items, list)
    return items


REPLY = Reply([recorded("openai_responses", "text")])


async def test_a_request_is_stateless_and_asks_for_encrypted_thoughts(make_context: MakeContext) -> None:
    async with running_peer(REPLY) as peer:
        provider = offer(make_context, peer, organization="org-1", project="proj-1")
        request = ChatRequest(MODEL, [Message.of("user", "Hi")], "openai", "Be brief.", {"effort": "High"})
        events = await answer(provider, request)
    line, headers, _ = peer.requests[0]
    assert line == "POST /v1/responses HTTP/1.1"
    assert headers["authorization"] == f"Bearer {KEY}"
    assert (headers["openai-organization"], headers["openai-project"]) == ("org-1", "proj-1")
    assert peer.sent() == {
        "model": MODEL,
        "instructions": "Be brief.",
        "input": [{"role": "user", "content": "Hi"}],
        "stream": True,
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "reasoning": {"effort": "high", "summary": "auto"},
    }
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "Hello, wörld 🌍!"


@pytest.mark.parametrize(
    ("model", "parameters", "expected", "left_out"),
    [
        ("gpt-4.1", {"temperature": 0.5, "max_tokens": 5}, {"temperature": 0.5, "max_output_tokens": 16}, ""),
        ("gpt-4.1", {"effort": "low"}, {}, "effort"),
        (
            MODEL,
            {"temperature": 0.5, "max_tokens": 500},
            {
                "max_output_tokens": 500,
                "reasoning": {"summary": "auto"},
                "include": ["reasoning.encrypted_content"],
            },
            "temperature",
        ),
        (
            MODEL,
            {"temperature": 0.5, "effort": "none"},
            {
                "temperature": 0.5,
                "reasoning": {"effort": "none", "summary": "auto"},
                "include": ["reasoning.encrypted_content"],
            },
            "",
        ),
    ],
)
async def test_a_model_is_sent_only_what_it_accepts(
    make_context: MakeContext,
    model: str,
    parameters: dict[str, str | float],
    expected: dict[str, object],
    left_out: str,
) -> None:
    async with running_peer(REPLY) as peer:
        request = ChatRequest(model, [Message.of("user", "Hi")], "openai", parameters=dict(parameters))
        events = await answer(offer(make_context, peer), request)
    always = {"model", "input", "stream", "store"}
    assert {key: value for key, value in peer.sent().items() if key not in always} == expected
    assert isinstance(events[-1], Finished)
    assert events[-1].details.get("left_out", "") == left_out


async def test_an_account_that_may_not_see_thoughts_still_gets_answers(make_context: MakeContext) -> None:
    message = "Your organization must be verified to generate reasoning summaries."
    body = {"error": {"message": message, "type": "invalid_request_error", "param": "reasoning.summary"}}
    refusal = Reply([json.dumps(body).encode()], 400, "application/json")
    async with running_peer(refusal, REPLY) as peer:
        provider = offer(make_context, peer)
        await answer(provider)
        await answer(provider)
    asked = [json.loads(body)["reasoning"] for _, _, body in peer.requests]
    assert asked == [{"summary": "auto"}, {}, {}]


async def test_the_request_id_is_told_at_the_end(make_context: MakeContext) -> None:
    reply = Reply(REPLY.body, headers={"x-request-id": "req_7"})
    async with running_peer(reply) as peer:
        events = await answer(offer(make_context, peer))
    assert isinstance(events[-1], Finished)
    assert events[-1].details == {"request_id": "req_7", "finish_reason": "completed"}


def test_pictures_and_documents_go_with_the_text_of_the_user() -> None:
    parts: tuple[Part, ...] = (
        TextPart("See"),
        ImagePart("image/png", b"\x89PNG"),
        ImagePart("image/png", url="https://example.org/a.png"),
        FilePart("a.pdf", "application/pdf", b"%PDF"),
    )
    assert sent([Message("user", parts)]) == [
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "See"},
                {"type": "input_image", "image_url": "data:image/png;base64,iVBORw=="},
                {"type": "input_image", "image_url": "https://example.org/a.png"},
                {
                    "type": "input_file",
                    "filename": "a.pdf",
                    "file_data": "data:application/pdf;base64,JVBERg==",
                },
            ],
        }
    ]


def test_thoughts_and_phases_go_back_as_they_came() -> None:
    said = sent([Message.of("user", "Q"), answered("reasoning_then_text"), Message.of("user", "And?")])
    assert said[1:3] == [
        {
            "type": "reasoning",
            "id": "rs_0",
            "summary": [
                {"type": "summary_text", "text": "**Thinking**\nabout it"},
                {"type": "summary_text", "text": "Second thought"},
            ],
            "encrypted_content": "gAAAAABo-final",
        },
        {
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "id": "msg_1",
            "phase": "final_answer",
            "content": [{"type": "output_text", "text": "It is 42.", "annotations": []}],
        },
    ]


def test_another_model_is_sent_the_words_alone() -> None:
    said = sent([Message.of("user", "Q"), answered("reasoning_then_text")], "gpt-5.4")
    assert said[1:] == [{"role": "assistant", "content": "It is 42."}]


def test_thoughts_are_dropped_when_the_answer_after_them_was_changed() -> None:
    changed = answered("reasoning_then_text").with_text("It is 43.")
    assert sent([changed]) == [{"role": "assistant", "content": "It is 43."}]


def test_calls_go_back_with_one_result_each() -> None:
    results = Message("user", (ToolResultPart("call_B", "12:00"), ToolResultPart("call_of_nobody", "?")))
    said = sent([answered("tool_calls_interleaved"), results])
    assert [item["type"] for item in said] == [
        "reasoning",
        "function_call",
        "function_call",
        "function_call_output",
        "function_call_output",
    ]
    assert said[1] == {
        "type": "function_call",
        "id": "fc_1",
        "call_id": "call_A",
        "name": "weather",
        "arguments": '{"city":"Köln"}',
    }
    assert {item["call_id"]: item["output"] for item in said[3:]} == {
        "call_A": "The call was not run.",
        "call_B": "12:00",
    }


def test_calls_of_other_models_are_made_to_fit() -> None:
    call = ToolCallPart("toolu_1", "files.list", "", '{"gemini": "gemini-3.8-flash"}')
    assert sent([Message("assistant", (ThinkingPart("hm", "not json"), call))])[0] == {
        "type": "function_call",
        "call_id": "toolu_1",
        "name": "files_list",
        "arguments": "{}",
    }


def test_pieces_of_one_message_go_back_as_one_message() -> None:
    said = sent([answered("two_texts_in_one_message")])
    assert [item["id"] for item in said] == ["msg_0"]
    assert said[0]["content"] == [
        {"type": "output_text", "text": "One.", "annotations": []},
        {"type": "output_text", "text": "Two.", "annotations": []},
    ]


def test_a_refusal_goes_back_as_one() -> None:
    [item] = sent([answered("refusal")])
    assert item["content"] == [{"type": "refusal", "refusal": "I cannot help with that."}]


def test_items_that_are_new_to_us_go_back_unread() -> None:
    items = sent([answered("unknown_events_and_comments")])
    assert {"id": "nt_1", "type": "novel_item", "data": "opaque"} in items


def test_a_search_at_the_server_is_told_and_goes_back() -> None:
    events = read(recorded("openai_responses", "web_search_citations"))
    used = [(event.name, event.state) for event in events if isinstance(event, ServerToolUsed)]
    assert used[0] == ("web_search", "in_progress")
    assert used[-1] == ("web_search", "completed")
    items = sent([answered("web_search_citations")])
    assert [item["type"] for item in items] == ["web_search_call", "message"]


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("fault_failed", ErrorKind.SERVER, "Half"),
        ("fault_error_event", ErrorKind.RATE_LIMITED, ""),
        ("fault_truncated", ErrorKind.TRUNCATED_STREAM, "Cut"),
    ],
)
def test_a_fault_in_the_middle_is_an_error_after_what_came(name: str, kind: ErrorKind, said: str) -> None:
    events: list[StreamEvent] = []

    def read_on() -> None:
        reader = ResponsesReader("OpenAI", MODEL)
        for event in EventReader().feed(recorded("openai_responses", name)):
            events.extend(reader.feed(event.data))
        reader.finish({})

    with pytest.raises(ProviderError) as caught:
        read_on()
    assert caught.value.kind is kind
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == said


def failed(code: str | None) -> dict[str, object]:
    return {"type": "response.failed", "response": {"error": code and {"code": code}}}


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ({"type": "error", "code": "server_error", "message": "m"}, ErrorKind.SERVER),
        ({"type": "error", "error": {"code": "insufficient_quota", "message": "m"}}, ErrorKind.BILLING),
        ({"type": "error", "error": {"code": "context_length_exceeded"}}, ErrorKind.CONTEXT_OVERFLOW),
        (failed("invalid_prompt"), ErrorKind.CONTENT_FILTER),
        (failed("invalid_image_format"), ErrorKind.BAD_REQUEST),
        (failed(None), ErrorKind.SERVER),
        ({"error": {"message": "m", "code": "invalid_api_key"}}, ErrorKind.AUTH),
    ],
)
def test_every_shape_of_a_fault_is_understood(event: dict[str, object], kind: ErrorKind) -> None:
    with pytest.raises(ProviderError) as caught:
        ResponsesReader("OpenAI", MODEL).feed(json.dumps(event))
    assert caught.value.kind is kind


def test_a_call_that_was_never_completed_is_not_run() -> None:
    reader = ResponsesReader("OpenAI", MODEL)
    item = {"type": "function_call", "id": "fc_0", "call_id": "c", "name": "rm"}
    reader.feed(json.dumps({"type": "response.output_item.added", "output_index": 0, "item": item}))
    with pytest.raises(ProviderError) as caught:
        reader.feed(json.dumps({"type": "response.completed", "response": {"output": []}}))
    assert caught.value.kind is ErrorKind.TRUNCATED_STREAM


def test_a_whole_response_counts_as_an_answer() -> None:
    stream = recorded("openai_responses", "tool_calls_interleaved")
    last = json.loads(EventReader().feed(stream)[-1].data)["response"]
    reader, builder = ResponsesReader("OpenAI", MODEL), AnswerBuilder(f"openai/{MODEL}")
    for event in [*reader.feed(json.dumps(last)), reader.finish({})]:
        builder.add(event)
    assert builder.response.message == answered("tool_calls_interleaved")
    assert builder.response.stop is StopReason.TOOL


def test_encrypted_thoughts_that_only_the_last_event_holds_are_kept() -> None:
    stream = recorded("openai_responses", "reasoning_then_text").decode()
    stream = stream.replace('"encrypted_content":"gAAAAABo-final",', "", 1)  # in the item, not at the end
    builder = AnswerBuilder(f"openai/{MODEL}")
    for event in read(stream.encode()):
        builder.add(event)
    assert builder.response.message == answered("reasoning_then_text")


def test_items_without_a_place_are_told_apart_by_id() -> None:
    stream = recorded("openai_responses", "tool_calls_interleaved").decode()
    for index in range(3):
        stream = stream.replace(f'"output_index":{index},', "")
    builder = AnswerBuilder(f"openai/{MODEL}")
    for event in read(stream.encode()):
        builder.add(event)
    assert builder.response.message == answered("tool_calls_interleaved")


def test_usage_that_makes_no_sense_is_no_fault() -> None:
    usage = {"input_tokens": 5, "input_tokens_details": {"cached_tokens": 9}, "output_tokens": None}
    assert read_usage(usage) == Usage(0, 9, 0, 0, 0)


@pytest.mark.parametrize("credential", [None, Credential(), Credential(secrets={"key": SecretStr(" ")})])
async def test_without_a_key_the_error_says_where_to_put_one(
    make_context: MakeContext, credential: Credential | None
) -> None:
    error = await failing(offer(make_context, "http://127.0.0.1:9"), credential)
    assert error.kind is ErrorKind.AUTH
    assert "OPENAI_API_KEY" in error.hint


@pytest.mark.parametrize("address", ["localhost:80", "ftp://a", "http://[", "https://"])
async def test_an_option_that_is_no_address_is_named(make_context: MakeContext, address: str) -> None:
    error = await failing(offer(make_context, address))
    assert error.kind is ErrorKind.BAD_REQUEST
    assert "base_url" in error.title


async def test_a_plugin_that_is_off_answers_nothing() -> None:
    assert (await failing(OpenAIPlugin().providers()[0])).kind is ErrorKind.UNAVAILABLE


async def test_a_wrong_key_is_an_error_that_does_not_tell_it(make_context: MakeContext) -> None:
    body = {"error": {"message": "Incorrect API key provided.", "code": "invalid_api_key"}}
    async with running_peer(Reply([json.dumps(body).encode()], 401, "application/json")) as peer:
        error = await failing(offer(make_context, peer))
    assert (error.kind, error.status) == (ErrorKind.AUTH, 401)


async def test_an_event_of_megabytes_arrives_whole(make_context: MakeContext) -> None:
    text = "é" * 2_000_000
    item = {"type": "message", "id": "m", "content": [{"type": "output_text", "text": text}]}
    last = {"type": "response.completed", "response": {"status": "completed", "output": [item]}}
    async with running_peer(Reply([b"data: " + json.dumps(last).encode() + b"\n\n"])) as peer:
        events = await answer(offer(make_context, peer))
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == text


async def test_the_models_that_chat_are_listed_the_newest_first(make_context: MakeContext) -> None:
    ids = [
        "gpt-4.1",
        "whisper-1",
        "gpt-5.6-sol",
        "text-embedding-3-small",
        "gpt-image-2",
        "gpt-5.4-2026-03-05",
    ]
    listed = [{"id": name, "created": at, "object": "model"} for at, name in enumerate(ids)]
    body = json.dumps({"object": "list", "data": [*listed, {"id": "\x1b[31m"}, {"id": 5}, None]}).encode()
    async with running_peer(Reply([body], 200, "application/json")) as peer:
        provider = offer(make_context, peer)
        models = await provider.models(CREDENTIAL)
    assert peer.requests[0][0] == "GET /v1/models HTTP/1.1"
    assert [model.id for model in models] == ["gpt-5.4-2026-03-05", "gpt-5.6-sol", "gpt-4.1"]
    assert (models[0].name, models[0].reasoning) == ("GPT-5.4 (2026-03-05)", True)
    assert models[2].context_window == 1_047_576


@pytest.mark.parametrize("body", [None, [], {"data": None}, {"data": [{"id": ""}]}])
def test_a_list_that_is_none_has_no_models(body: object) -> None:
    assert read_models(body) == ()


def test_the_plugin_takes_a_key_and_is_off_until_switched_on() -> None:
    plugin = OpenAIPlugin()
    [method] = plugin.auth_methods()
    assert isinstance(method, ApiKey)
    assert method.env == ("OPENAI_API_KEY",)
    assert not plugin.on_by_default
    assert len({model.id for model in plugin.providers()[0].known_models}) >= 12
