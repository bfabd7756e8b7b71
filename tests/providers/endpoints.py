"""Compatible endpoints for tests, sent to a peer, and what is asked of them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import SecretStr

from jackfield import (
    ChatRequest,
    Credential,
    Message,
    ProviderError,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
)
from providers.compatible import FAMILY, CompatibleProvider
from providers.compatible_rows import Row
from tests.providers.conftest import MakeContext
from tests.providers.peer import DONE, Peer, Reply, chunk

KEY = Credential(secrets={"key": SecretStr("s3cret")})
ANSWER = Reply([chunk({"content": "Hi"}), chunk(finish_reason="stop"), DONE])
ROW = Row(
    "Acme",
    "https://acme.example/v1",
    "https://acme.example/docs",
    env=("ACME_KEY",),
    key_url="https://a.example",
)


def request(text: str = "Hi", model: str = "m", **parameters: Any) -> ChatRequest:
    return ChatRequest(model, [Message.of("user", text)], "acme", parameters=parameters)


def offer(
    make_context: MakeContext, peer: Peer | str, row: Row = ROW, **options: object
) -> CompatibleProvider:
    """The provider of a row, sent to the address of a peer."""
    provider = CompatibleProvider("acme", row)
    url = peer if isinstance(peer, str) else f"{peer.url}/v1"
    provider.use(make_context("acme", **({"url": url, **options} if url else options)))
    return provider


def built_in(make_context: MakeContext, peer: Peer, name: str, **options: object) -> CompatibleProvider:
    """A provider that comes with the app, sent to the address of a peer."""
    plugin = FAMILY.make(name)
    plugin.on_init(make_context(name, url=peer.url, **options))
    (provider,) = plugin.providers()
    assert isinstance(provider, CompatibleProvider)
    return provider


async def answer(
    provider: CompatibleProvider, asked: ChatRequest | None = None, credential: Credential | None = KEY
) -> list[StreamEvent]:
    return [event async for event in provider.stream(asked or request(), credential)]


async def failure(
    provider: CompatibleProvider, asked: ChatRequest | None = None, credential: Credential | None = KEY
) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await answer(provider, asked, credential)
    assert caught.value.title
    assert caught.value.hint
    return caught.value


def listing(*items: object) -> Reply:
    return Reply([json.dumps({"data": items}).encode()], content_type="application/json")


def refusal(status: int, message: str, **headers: str) -> Reply:
    body = json.dumps({"error": {"message": message, "type": "invalid_request_error"}})
    return Reply([body.encode()], status, "application/json", headers)


def texts(events: list[StreamEvent], kind: type[TextDelta | ThinkingDelta] = TextDelta) -> str:
    return "".join(event.text for event in events if isinstance(event, kind))
