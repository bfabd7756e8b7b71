"""The provider against a small Acme. Signing in is done by the app, so a token is given to it here."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path

import acme_server
import pytest
from acme_provider import AcmePlugin

from jackfield import (
    ChatRequest,
    Credential,
    ErrorKind,
    Finished,
    Message,
    OAuthCode,
    PluginContext,
    ProviderError,
    StreamEvent,
    TextDelta,
)


@pytest.fixture
def server() -> Iterator[acme_server.AcmeServer]:
    with acme_server.running() as running:
        running.tokens.add("good")
        yield running


def asked(url: str, token: str) -> list[StreamEvent]:
    """What the provider answers on its first question."""
    plugin = AcmePlugin()
    context = PluginContext(plugin.name, {"base_url": url}, Path("unused"), logging.getLogger("tests"))
    plugin.on_init(context)
    (provider,) = plugin.providers()
    credential = Credential.model_validate({"secrets": {"access_token": token}})

    async def run() -> list[StreamEvent]:
        assert [model.id for model in await provider.models(credential)] == ["anvil-1"]
        request = ChatRequest("anvil-1", [Message.of("user", "two anvils")])
        return [event async for event in provider.stream(request, credential)]

    return asyncio.run(run())


def test_it_answers_who_is_signed_in(server: acme_server.AcmeServer) -> None:
    events = asked(server.url, "good")
    text = "".join(event.text for event in events if isinstance(event, TextDelta))
    assert text == "Acme heard: two anvils "
    assert isinstance(events[-1], Finished)


def test_a_token_that_is_not_taken_is_an_error_of_signing_in(server: acme_server.AcmeServer) -> None:
    with pytest.raises(ProviderError) as raised:
        asked(server.url, "stolen")
    assert (raised.value.kind, raised.value.status) == (ErrorKind.AUTH, 401)


def test_a_server_that_is_not_there_is_an_error_of_the_connection() -> None:
    with pytest.raises(ProviderError) as raised:
        asked("http://127.0.0.1:1", "good")
    assert raised.value.kind is ErrorKind.CONNECTION


def test_it_is_signed_in_to_with_the_browser() -> None:
    (method,) = AcmePlugin().auth_methods()
    assert isinstance(method, OAuthCode)
    assert method.client_id == "jackfield"
