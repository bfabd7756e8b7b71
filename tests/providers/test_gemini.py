"""The Gemini provider: what it sends, what it keeps for the next turn, and how it fails."""

from __future__ import annotations

import json
from base64 import b64encode

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
    OpaqueReceived,
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
)
from providers.gemini import GeminiPlugin, read_models, thinking_config
from providers.wire.gemini_generate import request_body
from providers.wire.gemini_reader import GenerateReader
from providers.wire.sse import EventReader
from registry.answer import AnswerBuilder
from registry.cleaning import StreamCleaner
from tests.providers.conftest import MakeContext
from tests.providers.normal import recorded
from tests.providers.peer import Peer, Reply, running_peer

KEY = "AIza-very-secret"
CREDENTIAL = Credential(secrets={"key": SecretStr(KEY)})
MODEL = "gemini-3.8-flash"
REPLY = Reply([recorded("gemini", "text")])


def offer(make_context: MakeContext, peer: Peer | str) -> Provider:
    plugin = GeminiPlugin()
    plugin.on_init(make_context("gemini", base_url=peer if isinstance(peer, str) else peer.url))
    return plugin.providers()[0]


def question(model: str = MODEL, **parameters: str | float) -> ChatRequest:
    return ChatRequest(model, [Message.of("user", "Hi")], "gemini", parameters=dict(parameters))


async def answer(provider: Provider, request: ChatRequest) -> list[StreamEvent]:
    return [event async for event in provider.stream(request, CREDENTIAL)]


async def failing(provider: Provider, credential: Credential | None = CREDENTIAL) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        async for _ in provider.stream(question(), credential):
            pass
    assert caught.value.hint
    assert KEY not in f"{caught.value} {caught.value!r} {caught.value.__dict__}"
    return caught.value


def read(name: str, model: str = MODEL) -> list[StreamEvent]:
    """The events of a recorded stream, cleaned as a turn cleans them."""
    reader, cleaner = GenerateReader("Gemini", model), StreamCleaner()
    events = [
        given for event in EventReader().feed(recorded("gemini", name)) for given in reader.feed(event.data)
    ]
    return [clean for event in [*events, reader.finish({})] for clean in cleaner.clean(event)]


def answered(name: str) -> Message:
    """The message of the assistant that a recorded stream gives."""
    builder = AnswerBuilder(f"gemini/{MODEL}")
    for event in read(name):
        builder.add(event)
    return builder.response.message


def sent(*messages: Message, model: str = MODEL, signed_calls: bool = True) -> list[dict[str, object]]:
    body = request_body(ChatRequest(model, list(messages)), signed_calls=signed_calls)
    contents = body["contents"]
    assert isinstance(contents, list)
    return contents


def parts_of(content: dict[str, object]) -> list[dict[str, object]]:
    parts = content["parts"]
    assert isinstance(parts, list)
    return parts


HI = Message.of("user", "Hi")


async def test_the_key_goes_in_a_header_and_never_in_the_address(make_context: MakeContext) -> None:
    async with running_peer(REPLY) as peer:
        request = question("models/gemini-3.8-flash", temperature=0.5, max_tokens=100, effort="High")
        request.system = "Be brief."
        request.messages.append(Message.of("system", "Be kind."))
        events = await answer(offer(make_context, peer), request)
    line, headers, _ = peer.requests[0]
    assert line == "POST /v1beta/models/gemini-3.8-flash:streamGenerateContent?alt=sse HTTP/1.1"
    assert headers["x-goog-api-key"] == KEY
    assert peer.sent() == {
        "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
        "systemInstruction": {"parts": [{"text": "Be brief.\n\nBe kind."}]},
        "generationConfig": {
            "maxOutputTokens": 100,
            "temperature": 0.5,
            "thinkingConfig": {"includeThoughts": True, "thinkingLevel": "HIGH"},
        },
    }
    said = {"request_id": "resp-g1", "finish_reason": "STOP"}
    assert events[-1] == Finished(StopReason.END, events[-1].usage, said)  # type: ignore[union-attr]


async def test_the_name_of_a_model_stays_one_piece_of_the_address(make_context: MakeContext) -> None:
    async with running_peer(REPLY) as peer:
        await answer(offer(make_context, f"{peer.url}/v1"), question("../../x?key=1#"))
    assert peer.requests[0][0].split()[1] == (
        "/v1/models/..%2F..%2Fx%3Fkey%3D1%23:streamGenerateContent?alt=sse"
    )


@pytest.mark.parametrize(
    ("model", "effort", "config"),
    [
        ("gemini-3.8-flash", None, {"includeThoughts": True}),
        ("gemini-3.8-flash", "minimal", {"includeThoughts": True, "thinkingLevel": "LOW"}),
        ("gemini-3.5-flash", "minimal", {"includeThoughts": True, "thinkingLevel": "MINIMAL"}),
        ("gemini-flash-latest", "medium", {"includeThoughts": True, "thinkingLevel": "MEDIUM"}),
        ("gemini-3.1-pro-preview", "none", {"includeThoughts": True, "thinkingLevel": "LOW"}),
        ("gemini-4-argon", "max", {"includeThoughts": True, "thinkingLevel": "HIGH"}),
        ("gemini-2.5-pro", "none", {"includeThoughts": True, "thinkingBudget": 128}),
        ("gemini-2.5-flash", "none", {"thinkingBudget": 0}),
        ("gemini-2.5-flash", "high", {"includeThoughts": True, "thinkingBudget": 24_576}),
        ("gemma-4-31b-it", "low", {"includeThoughts": True, "thinkingLevel": "MINIMAL"}),
        ("gemini-2.0-flash", "high", None),
        ("gemini-2.5-flash-image", None, None),
    ],
)
def test_an_effort_is_a_level_or_a_budget_as_the_model_has_it(
    model: str, effort: str | None, config: dict[str, object] | None
) -> None:
    assert thinking_config(model, effort) == config


async def test_an_effort_that_does_not_exist_is_named(make_context: MakeContext) -> None:
    with pytest.raises(ProviderError) as caught:
        await answer(offer(make_context, "http://127.0.0.1:9"), question(effort="enormous"))
    assert caught.value.kind is ErrorKind.BAD_REQUEST
    assert "medium" in caught.value.hint


async def test_a_parameter_that_the_model_lacks_is_left_out_and_named(make_context: MakeContext) -> None:
    async with running_peer(REPLY) as peer:
        events = await answer(offer(make_context, peer), question("gemini-2.0-flash", effort="high"))
    assert "generationConfig" not in peer.sent()
    assert isinstance(events[-1], Finished)
    assert events[-1].details["left_out"] == "effort"


def test_pictures_and_documents_go_inline() -> None:
    parts: tuple[Part, ...] = (
        TextPart("See"),
        ImagePart("image/png", b"\x89PNG"),
        ImagePart("image/png", url="https://example.org/a.png"),
        FilePart("a.pdf", "application/pdf", b"%PDF"),
    )
    assert sent(Message("user", parts)) == [
        {
            "role": "user",
            "parts": [
                {"text": "See"},
                {"inlineData": {"mimeType": "image/png", "data": "iVBORw=="}},
                {"fileData": {"fileUri": "https://example.org/a.png", "mimeType": "image/png"}},
                {"inlineData": {"mimeType": "application/pdf", "data": "JVBERg=="}},
            ],
        }
    ]


def test_a_signature_goes_back_on_the_part_that_it_came_with() -> None:
    assert sent(HI, answered("signed_text"))[1] == {
        "role": "model",
        "parts": [{"text": "Signed part.", "thoughtSignature": "QUJD"}, {"text": " Unsigned pieces."}],
    }


def test_a_signature_on_an_empty_text_goes_back_on_an_empty_text() -> None:
    assert sent(HI, answered("thoughts_then_text"))[1] == {
        "role": "model",
        "parts": [{"text": "The answer is 42."}, {"text": "", "thoughtSignature": "Cs4BAQ=="}],
    }


def test_another_model_is_sent_no_signature() -> None:
    assert parts_of(sent(HI, answered("signed_text"), model="gemini-2.5-pro")[1]) == [
        {"text": "Signed part."},
        {"text": " Unsigned pieces."},
    ]


def test_a_call_and_its_result_carry_the_id_that_the_model_gave() -> None:
    result = Message("user", (ToolResultPart("f1", "a.txt"), TextPart("And?")))
    call, results = sent(HI, answered("function_call"), result)[1:]
    assert parts_of(call) == [
        {
            "functionCall": {
                "id": "f1",
                "name": "ls",
                "args": {"path": ".", "deep": {"n": [1, 2.5, None, True]}},
            },
            "thoughtSignature": "Cs4BZm9v",
        }
    ]
    assert results == {
        "role": "user",
        "parts": [
            {"functionResponse": {"id": "f1", "name": "ls", "response": {"output": "a.txt"}}},
            {"text": "And?"},
        ],
    }


def test_calls_without_an_id_are_told_apart_and_answered_together() -> None:
    said = answered("function_calls_parallel")
    ids = [part.id for part in said.parts if isinstance(part, ToolCallPart)]
    assert len(set(ids)) == 2
    results = Message("user", (ToolResultPart(ids[1], "noon"), ToolResultPart(ids[0], "no", is_error=True)))
    calls, responses = sent(HI, said, results)[1:]
    assert parts_of(calls) == [
        {"functionCall": {"name": "weather", "args": {"city": "Köln"}}, "thoughtSignature": "c2lnMQ=="},
        {"functionCall": {"name": "time", "args": {}}},
    ]
    assert parts_of(responses) == [
        {"functionResponse": {"name": "weather", "response": {"error": "no"}}},
        {"functionResponse": {"name": "time", "response": {"output": "noon"}}},
    ]


def test_a_call_of_another_provider_is_signed_with_the_documented_dummy() -> None:
    calls = Message("assistant", (ToolCallPart("c1", "ls", "[1]"), ToolCallPart("c2", "ls", "{bad")))
    dummy = b64encode(b"skip_thought_signature_validator").decode()
    first, second = parts_of(sent(HI, calls)[1])
    assert first == {"functionCall": {"name": "ls", "args": {"arguments": "[1]"}}, "thoughtSignature": dummy}
    assert second == {"functionCall": {"name": "ls", "args": {"arguments": "{bad"}}}
    assert "thoughtSignature" not in parts_of(sent(HI, calls, signed_calls=False)[1])[0]


def test_a_call_that_was_never_run_has_a_result_that_says_so() -> None:
    [response] = parts_of(sent(HI, answered("function_call"))[2])
    assert response == {
        "functionResponse": {"id": "f1", "name": "ls", "response": {"error": "The call was not run."}}
    }


def test_turns_alternate_and_the_user_begins() -> None:
    contents = sent(Message.of("assistant", "A"), HI, Message.of("user", "?"), Message.of("assistant", ""))
    assert [content["role"] for content in contents] == ["user", "model", "user"]
    assert parts_of(contents[2]) == [{"text": "Hi"}, {"text": "?"}]


def test_thoughts_without_a_signature_stay_here() -> None:
    said = Message("assistant", (ThinkingPart("hm", "{}"), ThinkingPart("x", "no json"), TextPart("Yes")))
    assert parts_of(sent(HI, said)[1]) == [{"text": "Yes"}]


def test_code_that_ran_at_the_server_is_told_and_goes_back() -> None:
    used = [event for event in read("code_execution") if isinstance(event, ServerToolUsed)]
    assert [(event.name, event.state) for event in used] == [
        ("code_execution", "started"),
        ("code_execution", "OUTCOME_OK"),
    ]
    assert parts_of(sent(HI, answered("code_execution"))[1]) == [
        {"executableCode": {"language": "PYTHON", "code": "print(6*7)"}},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "42\n"}},
        {"text": "It is 42."},
    ]


@pytest.mark.parametrize(
    ("name", "stop", "reason"),
    [
        ("safety", StopReason.REFUSED, "SAFETY"),
        ("prompt_blocked", StopReason.REFUSED, "SAFETY"),
        ("unknown_reason", StopReason.OTHER, "QUANTUM_COLLAPSE"),
        ("max_tokens", StopReason.LENGTH, "MAX_TOKENS"),
    ],
)
def test_the_reason_is_told_in_the_servers_own_word(name: str, stop: StopReason, reason: str) -> None:
    last = read(name)[-1]
    assert isinstance(last, Finished)
    assert (last.stop, last.details["finish_reason"]) == (stop, reason)


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("fault_in_the_middle", ErrorKind.OVERLOADED, "Half"),
        ("fault_wrapped_in_a_list", ErrorKind.RATE_LIMITED, ""),
        ("fault_malformed_call", ErrorKind.SERVER, ""),
        ("fault_truncated", ErrorKind.TRUNCATED_STREAM, "Cut"),
        ("fault_raw_json", ErrorKind.SERVER, "Half"),
    ],
)
def test_a_fault_in_the_middle_is_an_error_after_what_came(name: str, kind: ErrorKind, said: str) -> None:
    events: list[StreamEvent] = []

    def read_on() -> None:
        reader, lines = GenerateReader("Gemini", MODEL), EventReader()
        for event in [*lines.feed(recorded("gemini", name)), *lines.finish()]:
            events.extend(reader.feed(event.data))
        reader.finish({})

    with pytest.raises(ProviderError) as caught:
        read_on()
    assert caught.value.kind is kind
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == said
    if name == "fault_raw_json":
        assert "An internal error has occurred." in caught.value.detail
    if name == "fault_wrapped_in_a_list":
        assert caught.value.retry_after_s == 46


def test_an_answer_with_nothing_in_it_is_a_fault() -> None:
    reader = GenerateReader("Gemini", MODEL)
    reader.feed('{"candidates": [{"content": {"parts": [{"text": ""}]}, "finishReason": "STOP"}]}')
    with pytest.raises(ProviderError) as caught:
        reader.finish({})
    assert caught.value.kind is ErrorKind.SERVER


def test_a_list_of_chunks_counts_as_an_answer() -> None:
    """What a server sends that was not asked for events."""
    lines = EventReader().feed(recorded("gemini", "thoughts_then_text"))
    reader = GenerateReader("Gemini", MODEL)
    events = reader.feed(json.dumps([json.loads(line.data) for line in lines]))
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "The answer is 42."
    assert sum(isinstance(event, OpaqueReceived) for event in events) == 1


@pytest.mark.parametrize(
    ("status", "details", "kind"),
    [
        (400, [{"reason": "API_KEY_INVALID"}], ErrorKind.AUTH),
        (403, [], ErrorKind.PERMISSION),
        (404, [], ErrorKind.NOT_FOUND),
        (429, [{"violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel"}]}], ErrorKind.BILLING),
    ],
)
async def test_a_refusal_is_an_error_of_its_kind(
    make_context: MakeContext, status: int, details: list[object], kind: ErrorKind
) -> None:
    body = {"error": {"code": status, "message": "No.", "status": "X", "details": details}}
    async with running_peer(Reply([json.dumps([body]).encode()], status, "application/json")) as peer:
        error = await failing(offer(make_context, peer))
    assert (error.kind, error.status) == (kind, status)
    assert len(peer.requests) == 1


@pytest.mark.parametrize("credential", [None, Credential()])
async def test_without_a_key_the_error_says_where_to_put_one(
    make_context: MakeContext, credential: Credential | None
) -> None:
    error = await failing(offer(make_context, "http://127.0.0.1:9"), credential)
    assert error.kind is ErrorKind.AUTH
    assert "GEMINI_API_KEY" in error.hint


async def test_every_page_of_models_is_read(make_context: MakeContext) -> None:
    def page(*names: str, **fields: str) -> Reply:
        models = [
            {
                "name": f"models/{name}",
                "displayName": name.title(),
                "inputTokenLimit": 1000,
                "outputTokenLimit": 100,
                "supportedGenerationMethods": ["embedContent" if "embed" in name else "generateContent"],
                "thinking": True,
            }
            for name in names
        ]
        return Reply([json.dumps({"models": models, **fields}).encode()], 200, "application/json")

    first = page("gemini-9", "gemini-embedding-1", nextPageToken="t/2")
    async with running_peer(first, page("gemma-9", "gemini-9-tts")) as peer:
        models = await offer(make_context, peer).models(CREDENTIAL)
    assert [line for line, _, _ in peer.requests] == [
        "GET /v1beta/models?pageSize=1000 HTTP/1.1",
        "GET /v1beta/models?pageSize=1000&pageToken=t%2F2 HTTP/1.1",
    ]
    assert [(model.id, model.title, model.context_window, model.output_limit) for model in models] == [
        ("gemini-9", "Gemini-9", 1000, 100),
        ("gemma-9", "Gemma-9", 1000, 100),
    ]
    assert models[0].modalities == ("text", "image", "file")


@pytest.mark.parametrize("body", [None, [], {"models": None}, {"models": [{"name": "models/\x1b[31m"}, 5]}])
def test_a_list_that_is_none_has_no_models(body: object) -> None:
    assert read_models(body) == ()


def test_the_plugin_takes_a_key_and_is_off_until_switched_on() -> None:
    plugin = GeminiPlugin()
    [method] = plugin.auth_methods()
    assert isinstance(method, ApiKey)
    assert method.env == ("GEMINI_API_KEY", "GOOGLE_API_KEY")
    assert not plugin.on_by_default
    assert all(model.reasoning for model in plugin.providers()[0].known_models)
