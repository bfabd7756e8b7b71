"""Asks the Anthropic provider for an answer from a test's own server."""

from __future__ import annotations

import json

import pytest
from pydantic import SecretStr

from jackfield import ChatRequest, Credential, Message, Provider, ProviderError, StreamEvent
from providers.anthropic import AnthropicPlugin
from tests.providers.conftest import MakeContext
from tests.providers.peer import Peer

KEY = "sk-ant-very-secret"
CREDENTIAL = Credential(secrets={"key": SecretStr(KEY)})


def offer(make_context: MakeContext, peer: Peer | str, **options: object) -> Provider:
    """The provider, sent to the address of a peer."""
    plugin = AnthropicPlugin()
    address = peer if isinstance(peer, str) else peer.url
    plugin.on_init(make_context("anthropic", base_url=address, **options))
    return plugin.providers()[0]


def question(model: str = "claude-sonnet-5-5", **parameters: str | float | bool) -> ChatRequest:
    """A request with these parameters."""
    return ChatRequest(model, [Message.of("user", "Hi")], "anthropic", parameters=dict(parameters))


async def answer_with(provider: Provider, request: ChatRequest | None = None) -> list[StreamEvent]:
    """All events of an answer."""
    return [event async for event in provider.stream(request or question(), CREDENTIAL)]


async def fail_with(
    provider: Provider, request: ChatRequest | None = None
) -> tuple[ProviderError, list[StreamEvent]]:
    """The error of an answer, and what came before it; the key is in neither."""
    events: list[StreamEvent] = []

    async def read() -> None:
        async for event in provider.stream(request or question(), CREDENTIAL):
            events.append(event)  # noqa: PERF401 - what came before the error counts

    with pytest.raises(ProviderError) as caught:
        await read()
    assert caught.value.title
    assert caught.value.hint
    assert KEY not in f"{caught.value} {caught.value!r}"
    return caught.value, events


def event(kind: str, **fields: object) -> bytes:
    """One event of a Messages stream."""
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


def begin(model: str = "claude-sonnet-5-5") -> bytes:
    """The first event of an answer."""
    message = {"id": "msg_1", "model": model, "content": [], "usage": {"input_tokens": 9, "output_tokens": 1}}
    return event("message_start", message=message)


def text(words: str, index: int = 0) -> bytes:
    """A block with this text."""
    return b"".join(
        [
            event("content_block_start", index=index, content_block={"type": "text", "text": ""}),
            event("content_block_delta", index=index, delta={"type": "text_delta", "text": words}),
            event("content_block_stop", index=index),
        ]
    )


END = event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 2}) + event(
    "message_stop"
)
WHOLE = [begin(), text("Hello"), END]
