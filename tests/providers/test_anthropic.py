"""The Anthropic provider: what it sends, what it replays, whom it asks for models, and how it fails."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from base64 import b64encode
from pathlib import Path
from typing import Any

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
    Model,
    Part,
    ProviderError,
    TextDelta,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolResultPart,
)
from providers.anthropic import AnthropicPlugin, AnthropicProvider
from providers.wire.anthropic_abilities import KNOWN_MODELS, known_abilities, read_model
from providers.wire.anthropic_messages import build_conversation
from providers.wire.anthropic_parameters import request_fields
from registry.contract import list_auth_methods, list_models, list_providers
from tests.providers.anthropic_peer import (
    CREDENTIAL,
    END,
    KEY,
    WHOLE,
    answer_with,
    begin,
    event,
    fail_with,
    offer,
    question,
    text,
)
from tests.providers.conftest import MakeContext
from tests.providers.peer import Peer, Reply, running_peer

MODEL = "claude-sonnet-5-5"
CACHE = {"cache_control": {"type": "ephemeral"}}


def request(*messages: Message, system: str | None = None) -> ChatRequest:
    return ChatRequest(MODEL, list(messages), "anthropic", system)


def wire(*messages: Message) -> list[Any]:
    return list(build_conversation(request(*messages)).messages)


def answered(*parts: Part, model: str = f"anthropic/{MODEL}") -> Message:
    return Message("assistant", parts, model)


def json_reply(body: object, status: int = 200, **headers: str) -> Reply:
    return Reply([json.dumps(body).encode()], status, "application/json", headers)


# -- the plugin ---------------------------------------------------------------------------------------------


def test_the_plugin_is_what_the_contract_allows() -> None:
    plugin = AnthropicPlugin()
    assert not plugin.on_by_default
    (method,) = plugin.auth_methods()
    assert isinstance(method, ApiKey)
    assert method.env == ("ANTHROPIC_API_KEY",)
    assert method.key_url.startswith("https://")
    assert list_auth_methods(plugin)
    (provider,) = list_providers(plugin)
    assert provider.name == "anthropic"
    assert len(list_models(provider)) == len(KNOWN_MODELS)
    assert all(known_abilities(model.id) for model in KNOWN_MODELS)


async def test_without_a_key_the_variable_is_named(make_context: MakeContext) -> None:
    provider = offer(make_context, "http://127.0.0.1:9")
    for credential in (None, Credential(), Credential(secrets={"key": SecretStr(" ")})):
        with pytest.raises(ProviderError, match="ANTHROPIC_API_KEY") as caught:
            await anext(aiter(provider.stream(question(), credential)))
        assert caught.value.kind is ErrorKind.AUTH


async def test_the_key_and_the_version_are_in_the_headers(make_context: MakeContext) -> None:
    async with running_peer(Reply(WHOLE)) as peer:
        events = await answer_with(offer(make_context, f"{peer.url}/v1/"))
    line, headers, _ = peer.requests[0]
    assert line == "POST /v1/messages HTTP/1.1"
    assert headers["x-api-key"] == KEY
    assert headers["anthropic-version"] == "2023-06-01"  # no server of Anthropic's
    assert headers["accept"] == "text/event-stream"
    assert TextDelta("Hello", 0) in events


@pytest.mark.parametrize(
    ("parameters", "options", "version"),
    [
        ({}, {}, "2026-10-21"),
        ({"temperature": 0.5}, {}, "2023-06-01"),
        ({}, {"api_version": "2030-01-01"}, "2030-01-01"),
        ({}, {"base_url": "https://gateway.example"}, "2023-06-01"),
    ],
)
def test_the_version_fits_the_server_and_the_request(
    make_context: MakeContext, parameters: dict[str, float], options: dict[str, str], version: str
) -> None:
    provider = AnthropicProvider()
    provider.use(make_context("anthropic", **options))
    fields = request_fields(question("claude-haiku-4-5", **parameters), known_abilities("claude-haiku-4-5"))
    assert provider._version(fields) == version


async def test_the_address_comes_from_the_environment_when_no_option_names_one(
    make_context: MakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_peer(Reply(WHOLE)) as peer:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", peer.url)
        plugin = AnthropicPlugin()
        plugin.on_init(make_context("anthropic"))
        assert isinstance((await answer_with(plugin.providers()[0]))[-1], Finished)


async def test_an_address_that_is_none_is_named(make_context: MakeContext) -> None:
    error, _ = await fail_with(offer(make_context, "api.anthropic.com"))
    assert "base_url" in error.title


async def test_the_request_id_is_kept(make_context: MakeContext) -> None:
    async with running_peer(Reply(WHOLE, headers={"request-id": "req_9"})) as peer:
        last = (await answer_with(offer(make_context, peer)))[-1]
    assert isinstance(last, Finished)
    assert last.details["request_id"] == "req_9"


async def test_the_key_is_in_no_log(make_context: MakeContext, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with running_peer(json_reply({"error": {"message": "no"}}, 401)) as peer:
        await fail_with(offer(make_context, peer))
    assert KEY not in caplog.text


@pytest.mark.parametrize("key", ["sk-ä", "sk\nx", "sk-\x00"])
async def test_a_key_that_cannot_be_sent_is_told_but_not_shown(make_context: MakeContext, key: str) -> None:
    async with running_peer(Reply(WHOLE)) as peer:
        provider = offer(make_context, peer)
        with pytest.raises(ProviderError) as caught:
            await anext(aiter(provider.stream(question(), Credential(secrets={"key": SecretStr(key)}))))
    assert caught.value.kind is ErrorKind.AUTH
    assert key not in str(caught.value)
    assert caught.value.__cause__ is None


def test_saying_what_there_is_loads_nothing_heavy() -> None:
    script = (
        "import sys; from providers.anthropic import AnthropicPlugin; AnthropicPlugin().providers();"
        "print(*{'httpx', 'pydantic', 'anyio', 'ssl'} & set(sys.modules))"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=root, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == ""


# -- messages -----------------------------------------------------------------------------------------------


def test_the_last_message_and_the_system_prompt_are_marked_for_the_cache() -> None:
    asked = request(Message.of("user", "a"), answered(TextPart("b")), Message.of("user", "c"), system="Be.")
    conversation = build_conversation(asked)
    assert conversation.system == [{"type": "text", "text": "Be.", **CACHE}]
    assert conversation.messages == [
        {"role": "user", "content": [{"type": "text", "text": "a"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "b"}]},
        {"role": "user", "content": [{"type": "text", "text": "c", **CACHE}]},
    ]


def test_system_messages_join_the_system_prompt() -> None:
    asked = request(Message.of("system", "First."), Message.of("user", "a"))
    asked.system = "Be."
    assert [block["text"] for block in build_conversation(asked).system] == ["Be.", "First."]


def test_attachments_are_sent_as_they_are_read() -> None:
    (message,) = wire(
        Message(
            "user",
            (
                ImagePart("image/png", b"png"),
                ImagePart("image/png", url="https://example.org/a.png"),
                FilePart("a.pdf", "application/pdf", b"pdf"),
                FilePart("a.txt", "text/plain", "é".encode()),
                TextPart("What is it?"),
            ),
        )
    )
    data = b64encode(b"png").decode()
    assert message["content"] == [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}},
        {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}},
        {
            "type": "document",
            "source": {
                "type": "base64",
                "media_type": "application/pdf",
                "data": b64encode(b"pdf").decode(),
            },
            "title": "a.pdf",
        },
        {
            "type": "document",
            "source": {"type": "text", "media_type": "text/plain", "data": "é"},
            "title": "a.txt",
        },
        {"type": "text", "text": "What is it?", **CACHE},
    ]


@pytest.mark.parametrize("part", [ImagePart("image/tiff", b"x"), FilePart("a.zip", "application/zip", b"x")])
def test_an_attachment_that_no_model_reads_is_named(part: Part) -> None:
    with pytest.raises(ProviderError, match="cannot be read") as caught:
        wire(Message("user", (part,)))
    assert caught.value.kind is ErrorKind.BAD_REQUEST


def test_results_come_first_and_every_call_has_one() -> None:
    messages = wire(
        Message.of("user", "Go"),
        answered(ToolCallPart("a", "x", '{"p": 1}'), ToolCallPart("b", "y", ""), ToolCallPart("c", "z", "{")),
        Message(
            "user", (TextPart("And?"), ToolResultPart("b", "B", is_error=True), ToolResultPart("a", "A"))
        ),
    )
    assert messages[1]["content"] == [
        {"type": "tool_use", "id": "a", "name": "x", "input": {"p": 1}},
        {"type": "tool_use", "id": "b", "name": "y", "input": {}},
        {"type": "tool_use", "id": "c", "name": "z", "input": {"arguments": "{"}},
    ]
    assert messages[2]["content"] == [
        {"type": "tool_result", "tool_use_id": "b", "content": "B", "is_error": True},
        {"type": "tool_result", "tool_use_id": "a", "content": "A"},
        {
            "type": "tool_result",
            "tool_use_id": "c",
            "content": "The call was interrupted; there is no result.",
            "is_error": True,
        },
        {"type": "text", "text": "And?", **CACHE},
    ]


def test_ids_of_other_providers_become_allowed_and_unlike() -> None:
    calls = (ToolCallPart("f!1", "x", "{}"), ToolCallPart("same", "x", "{}"), ToolCallPart("same", "x", "{}"))
    results = (ToolResultPart("same", "1"), ToolResultPart("same", "2"), ToolResultPart("f!1", "3"))
    messages = wire(Message.of("user", "Go"), answered(*calls), Message("user", results))
    asked = [block["id"] for block in messages[1]["content"]]
    given = {block["tool_use_id"]: block["content"] for block in messages[2]["content"]}
    assert len(set(asked)) == 3
    assert all(id_.replace("_", "").isalnum() for id_ in asked)
    assert [given[id_] for id_ in asked] == ["3", "1", "2"]


def test_a_result_that_nobody_asked_for_is_text() -> None:
    (message,) = wire(Message("user", (ToolResultPart("gone", "42"),)))
    assert message["content"][0]["type"] == "text"
    assert "42" in message["content"][0]["text"]


def test_what_is_empty_is_left_out_and_turns_alternate() -> None:
    messages = wire(
        Message.of("user", "a"), answered(TextPart(" \n"), ThinkingPart("cut off")), Message.of("user", "b")
    )
    assert messages == [
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b", **CACHE}]}
    ]


async def thought(make_context: MakeContext, asked: ChatRequest) -> tuple[ThinkingPart, Peer]:
    """What the model thought about a request, with what goes back."""
    block = {"type": "thinking", "thinking": "Hm", "signature": "Sig="}
    start = event("content_block_start", index=0, content_block=block)
    reply = Reply([begin(), start, event("content_block_stop", index=0), text("Hi", 1), END])
    async with running_peer(reply) as peer:
        events = await answer_with(offer(make_context, peer), asked)
    opaque = next(item.opaque for item in events if hasattr(item, "opaque"))
    return ThinkingPart("Hm", opaque), peer


async def test_a_thought_goes_back_unchanged_only_where_it_fits(make_context: MakeContext) -> None:
    first = Message.of("user", "Why?")
    part, _ = await thought(make_context, request(first, system="Be."))
    answer = answered(part, TextPart("Hi"))
    more = Message.of("user", "And?")

    def thoughts(*messages: Message, system: str | None = "Be.", model: str = MODEL) -> list[object]:
        asked = ChatRequest(model, list(messages), "anthropic", system)
        said = [block for message in wire_of(asked) for block in message["content"]]
        return [block for block in said if block["type"] == "thinking"]

    kept = {"type": "thinking", "thinking": "Hm", "signature": "Sig="}
    assert thoughts(first, answer, more) == [kept]
    assert thoughts(first, answer.with_text("Edited"), more) == [kept]  # only what comes before is bound
    assert thoughts(Message.of("user", "Edited"), answer, more) == []
    assert thoughts(first, answer, more, system="Other") == []
    assert thoughts(first, answer, more, model="claude-opus-5-5") == []
    assert thoughts(first, answered(part, model="openai/gpt"), more) == []
    assert thoughts(first, answered(ThinkingPart("no signature"), TextPart("x")), more) == []


def wire_of(asked: ChatRequest) -> list[Any]:
    return list(build_conversation(asked).messages)


async def test_a_thought_that_is_refused_all_the_same_is_left_out(make_context: MakeContext) -> None:
    first = Message.of("user", "Why?")
    part, _ = await thought(make_context, request(first))
    asked = request(first, answered(part, TextPart("Hi")), Message.of("user", "And?"))
    message = "messages.1.content.0: The block is bound to a different conversation"
    refusal = json_reply(
        {"type": "error", "error": {"type": "invalid_request_error", "message": message}}, 400
    )
    async with running_peer(refusal, Reply(WHOLE)) as peer:
        events = await answer_with(offer(make_context, peer), asked)
    assert isinstance(events[-1], Finished)
    assert [b'"thinking":"Hm"' in body for _, _, body in peer.requests] == [True, False]


@pytest.mark.parametrize("opaque", ["", "[", "[1]", '{"block": 7}', "null", '{"citations": 0}'])
def test_what_was_kept_but_makes_no_sense_is_left_out(opaque: str) -> None:
    said = answered(ThinkingPart("", opaque), TextPart("b", opaque))
    assert wire(Message.of("user", "a"), said)[1]["content"] == [{"type": "text", "text": "b"}]


# -- parameters ---------------------------------------------------------------------------------------------

SHOWN = {"type": "adaptive", "display": "summarized"}


@pytest.mark.parametrize(
    ("model", "parameters", "fields", "left_out"),
    [
        (MODEL, {}, {"max_tokens": 32000, "thinking": SHOWN}, []),
        ("claude-haiku-4-5-20251001", {}, {"max_tokens": 32000}, []),
        ("somebody-elses", {}, {"max_tokens": 8192}, []),
        ("claude-haiku-4-5", {"max_tokens": 999_999}, {"max_tokens": 64_000}, []),
        (
            "claude-haiku-4-5",
            {"thinking": True, "max_tokens": 4000},
            {"max_tokens": 4000, "thinking": {"type": "enabled", "budget_tokens": 3999}},
            [],
        ),
        (
            "claude-haiku-4-5",
            {"thinking": True, "effort": "high"},
            {"max_tokens": 32000, "thinking": {"type": "enabled", "budget_tokens": 16384}},
            [],
        ),
        ("claude-haiku-4-5", {"thinking": True, "max_tokens": 500}, {"max_tokens": 500}, ["thinking"]),
        ("claude-haiku-4-5", {"effort": "high"}, {"max_tokens": 32000}, ["effort"]),
        ("claude-haiku-4-5", {"temperature": 0.2}, {"max_tokens": 32000, "temperature": 0.2}, []),
        ("claude-sonnet-4-6", {"temperature": 0.2}, {"max_tokens": 32000, "temperature": 0.2}, []),
        (
            "claude-sonnet-4-6",
            {"thinking": 5000},
            {"max_tokens": 32000, "thinking": {"type": "enabled", "budget_tokens": 5000}},
            [],
        ),
        (
            "claude-sonnet-4-6",
            {"effort": "xhigh"},
            {"max_tokens": 32000, "thinking": SHOWN, "output_config": {"effort": "high"}},
            ["effort"],
        ),
        (MODEL, {"temperature": 0.2}, {"max_tokens": 32000, "thinking": SHOWN}, ["temperature"]),
        (MODEL, {"thinking": False}, {"max_tokens": 32000, "thinking": {"type": "between_tools"}}, []),
        (
            "claude-opus-5",
            {"thinking": "off", "effort": "max"},
            {"max_tokens": 32000, "thinking": {"type": "disabled"}, "output_config": {"effort": "high"}},
            ["effort"],
        ),
        ("claude-opus-5-5", {"thinking": False}, {"max_tokens": 32000}, ["thinking"]),
        (
            "claude-opus-5-5",
            {"thinking": 4096, "effort": "max"},
            {"max_tokens": 32000, "thinking": SHOWN, "output_config": {"effort": "max"}},
            [],
        ),
        (MODEL, {"effort": "extreme"}, {"max_tokens": 32000, "thinking": SHOWN}, ["effort"]),
        (
            MODEL,
            {"service_tier": "auto"},
            {"max_tokens": 32000, "thinking": SHOWN, "service_tier": "auto"},
            [],
        ),
    ],
)
def test_parameters_become_what_the_model_accepts(
    model: str, parameters: dict[str, Any], fields: dict[str, object], left_out: list[str]
) -> None:
    made = request_fields(question(model, **parameters), known_abilities(model))
    assert made.body == fields
    assert made.left_out == left_out


async def test_what_was_left_out_is_said_with_the_answer(make_context: MakeContext) -> None:
    async with running_peer(Reply(WHOLE)) as peer:
        last = (await answer_with(offer(make_context, peer), question(temperature=0.5)))[-1]
    assert isinstance(last, Finished)
    assert last.details["left_out"] == "temperature"


# -- models -------------------------------------------------------------------------------------------------


def listed(model_id: str, **fields: object) -> dict[str, object]:
    yes, no = {"supported": True}, {"supported": False}
    return {
        "type": "model",
        "id": model_id,
        "display_name": model_id.title(),
        "lifecycle": "active",
        "max_input_tokens": 400_000,
        "max_tokens": 50_000,
        "capabilities": {
            "image_input": yes,
            "pdf_input": no,
            "thinking": {
                "supported": True,
                "types": {"adaptive": no, "enabled": no, "disabled": yes, "between_tools": no},
            },
            "effort": {"supported": True, "low": yes, "high": yes, "max": no},
        },
        **fields,
    }


async def test_models_are_listed_page_by_page_and_their_abilities_used(make_context: MakeContext) -> None:
    pages = [
        json_reply(
            {
                "data": [listed("new-a"), listed("old", lifecycle="retired")],
                "has_more": True,
                "last_id": "old",
            }
        ),
        json_reply({"data": [listed("new-b", capabilities=None), {"id": "\x1b[2J"}, 7], "has_more": False}),
        Reply(WHOLE),
    ]
    async with running_peer(*pages) as peer:
        provider = offer(make_context, peer)
        models = await provider.models(CREDENTIAL)
        await answer_with(provider, question("new-a", effort="max", thinking=False))
    assert models == (
        Model("new-a", "New-A", 400_000, 50_000, ("text", "image"), reasoning=True, tools=True),
        Model("new-b", "New-B", 400_000, 50_000, ("text",), reasoning=False, tools=True),
    )
    assert "after_id" not in peer.requests[0][0]
    assert "after_id=old" in peer.requests[1][0]
    sent = peer.sent()
    assert sent["output_config"] == {"effort": "high"}
    assert sent["thinking"] == {"type": "disabled"}


async def test_without_a_key_the_known_models_are_listed(make_context: MakeContext) -> None:
    for credential in (None, Credential()):
        assert await offer(make_context, "http://127.0.0.1:9").models(credential) == KNOWN_MODELS


async def test_a_refusal_to_list_is_an_error(make_context: MakeContext) -> None:
    refusal = {"type": "error", "error": {"type": "authentication_error", "message": "invalid x-api-key"}}
    async with running_peer(json_reply(refusal, 401)) as peer:
        provider = offer(make_context, peer)
        with pytest.raises(ProviderError) as caught:
            await provider.models(CREDENTIAL)
    assert caught.value.kind is ErrorKind.AUTH


def test_a_listed_model_of_any_shape_is_read_or_left_out() -> None:
    assert read_model({}) is None
    assert read_model({"id": "a", "capabilities": {"thinking": 7, "effort": []}, "max_tokens": "x"})
    assert read_model({"id": "claude-haiku-4-5", "capabilities": 3}) == (
        Model("claude-haiku-4-5", tools=True),
        known_abilities("claude-haiku-4-5"),
    )
