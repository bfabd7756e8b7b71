"""The four dialects, each with a provider that speaks it and the pieces of an answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import SecretStr

from jackfield import ChatRequest, Credential, Message, Plugin
from providers.anthropic import AnthropicPlugin
from providers.compatible import FAMILY
from providers.gemini import GeminiPlugin
from providers.openai import OpenAIPlugin
from registry.paths import find_paths
from registry.registry import PluginRegistry
from registry.turn import Turn

KEY = "sk-very-secret"
CREDENTIAL = Credential(secrets={"key": SecretStr(KEY)})


def sse(body: Mapping[str, object]) -> bytes:
    """One event."""
    return f"data: {json.dumps(body)}\n\n".encode()


@dataclass(frozen=True)
class Call:
    """A call of a tool, with its arguments as the model wrote them."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True)
class Dialect:
    """A dialect as a test needs it."""

    name: str
    provider: str
    """The provider that speaks it, which is also the name of its plugin."""
    model: str
    plugin: Callable[[], Plugin]
    url_variable: str
    key_variable: str
    path: str
    """What follows a server's root in the provider's address."""
    begin: bytes
    text: Callable[[str], bytes]
    """The event that brings this text."""
    calls: Callable[[Sequence[Call]], bytes]
    """The events with these calls, in place of any text."""
    end: bytes

    def environment(self, root: str) -> dict[str, str]:
        """What sends the provider to the server at this address, with a key."""
        return {self.url_variable: root + self.path, self.key_variable: KEY}

    def turn(
        self, monkeypatch: pytest.MonkeyPatch, root: str, messages: Sequence[Message] = (), **parameters: Any
    ) -> tuple[PluginRegistry, Turn]:
        """A turn with the server at this address, and the registry to close after it."""
        monkeypatch.setenv(self.url_variable, root + self.path)
        registry = PluginRegistry(find_paths())
        registry.register(self.plugin())
        asked = [*messages] or [Message.of("user", "Hi")]
        request = ChatRequest(self.model, asked, self.provider, parameters=parameters)
        return registry, Turn(registry, request, CREDENTIAL)


def _messages_text(words: str) -> bytes:
    return sse({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": words}})


def _messages_calls(calls: Sequence[Call]) -> bytes:
    events: list[Mapping[str, object]] = []
    for index, call in enumerate(calls, 1):
        block = {"type": "tool_use", "id": call.id, "name": call.name, "input": {}}
        delta = {"type": "input_json_delta", "partial_json": call.arguments}
        events += [
            {"type": "content_block_start", "index": index, "content_block": block},
            {"type": "content_block_delta", "index": index, "delta": delta},
            {"type": "content_block_stop", "index": index},
        ]
    return b"".join(map(sse, events))


def _responses_text(words: str) -> bytes:
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    return sse({"type": "response.output_text.delta", **place, "delta": words})


def _responses_calls(calls: Sequence[Call]) -> bytes:
    events: list[Mapping[str, object]] = []
    for index, call in enumerate(calls, 1):
        item = {"type": "function_call", "id": f"fc_{index}", "call_id": call.id, "name": call.name}
        place = {"output_index": index, "item_id": f"fc_{index}"}
        events += [
            {"type": "response.output_item.added", "output_index": index, "item": {**item, "arguments": ""}},
            {"type": "response.function_call_arguments.delta", **place, "delta": call.arguments},
            {
                "type": "response.output_item.done",
                "output_index": index,
                "item": {**item, "arguments": call.arguments},
            },
        ]
    return b"".join(map(sse, events))


def _gemini(*parts: Mapping[str, object], **fields: object) -> bytes:
    content = {"role": "model", "parts": parts}
    return sse({"candidates": [{"index": 0, "content": content, **fields}], "responseId": "r"})


def _gemini_calls(calls: Sequence[Call]) -> bytes:
    """Arguments are an object here; what is none cannot be said."""
    parts = [
        {"functionCall": {"id": call.id, "name": call.name, "args": _object_or_text(call.arguments)}}
        for call in calls
    ]
    return _gemini(*parts)


def _object_or_text(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _chat(delta: Mapping[str, object], reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return sse({"id": "c1", "object": "chat.completion.chunk", "model": "m", "choices": [choice]})


def _chat_calls(calls: Sequence[Call]) -> bytes:
    listed = [
        {
            "index": index,
            "id": call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        }
        for index, call in enumerate(calls)
    ]
    return _chat({"tool_calls": listed})


DIALECTS = (
    Dialect(
        "messages",
        "anthropic",
        "claude-opus-4-1",
        AnthropicPlugin,
        "ANTHROPIC_BASE_URL",
        "ANTHROPIC_API_KEY",
        "",
        sse({"type": "message_start", "message": {"id": "msg_1", "model": "m", "content": []}})
        + sse({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        _messages_text,
        _messages_calls,
        sse({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}})
        + sse({"type": "message_stop"}),
    ),
    Dialect(
        "responses",
        "openai",
        "gpt-5.4",
        OpenAIPlugin,
        "OPENAI_BASE_URL",
        "OPENAI_API_KEY",
        "/v1",
        sse({"type": "response.created", "response": {"id": "r", "model": "m", "output": []}}),
        _responses_text,
        _responses_calls,
        sse({"type": "response.completed", "response": {"id": "r", "status": "completed", "output": []}}),
    ),
    Dialect(
        "generate",
        "gemini",
        "gemini-2.5-pro",
        GeminiPlugin,
        "GOOGLE_GEMINI_BASE_URL",
        "GEMINI_API_KEY",
        "/v1beta",
        b": nothing comes before the first text\n\n",
        lambda words: _gemini({"text": words}),
        _gemini_calls,
        _gemini({"text": ""}, finishReason="STOP"),
    ),
    Dialect(
        "chat",
        "custom",
        "deepseek-reasoner",
        lambda: FAMILY.make("custom"),
        "CUSTOM_API_URL",
        "CUSTOM_API_KEY",
        "/v1",
        _chat({"role": "assistant", "content": ""}),
        lambda words: _chat({"content": words}),
        _chat_calls,
        _chat({}, "stop") + b"data: [DONE]\n\n",
    ),
)
ALL_DIALECTS = pytest.mark.parametrize("dialect", DIALECTS, ids=[dialect.name for dialect in DIALECTS])
