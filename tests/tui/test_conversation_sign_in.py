"""A conversation whose provider has to be signed in to."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from registry.chat import Message
from registry.connections import SignInNeededError
from registry.manifest import ProviderEntry
from registry.models import ModelChoice
from registry.paths import find_paths
from registry.provider import Model
from registry.secret_store import StoreKind
from registry.settings import LoadedConfig, SecretsSettings, Settings
from tests.registry.connection_fixtures import KEY, ServicePlugin, key
from tui.conversation import Conversation
from tui.host import Host

CHOICE = ModelChoice(ProviderEntry("service", "Service", plugin="service"), Model("one"))


@pytest.fixture
async def host() -> AsyncIterator[Host]:
    settings = Settings(history=False, secrets=SecretsSettings(StoreKind.SESSION))
    host = Host(find_paths(), LoadedConfig(settings), plugins_off=True, complain=lambda _: None)
    await host.start()
    host.registry.register(ServicePlugin())
    yield host
    await host.aclose()


async def test_the_active_connection_signs_a_turn_in(host: Host) -> None:
    assert host.stores.chosen is StoreKind.SESSION
    await host.connections.add("service", KEY, key("of-work"))
    conversation = Conversation(host)
    await conversation.say(Message.of("user", "Hi"))
    assert [event async for event in conversation.answer(CHOICE)]
    answer = conversation.last_answer()
    assert answer is not None
    assert answer.message.text == "of-work"


async def test_a_connection_that_needs_a_new_sign_in_fails_the_turn_and_keeps_the_prompt(host: Host) -> None:
    connection = await host.connections.add("service", KEY, key("of-work"))
    await (await host.stores.store(StoreKind.SESSION)).delete("jackfield:service", connection.label)
    host.connections._kept.forget(connection)
    conversation = Conversation(host)
    await conversation.say(Message.of("user", "Hi"))
    with pytest.raises(SignInNeededError, match="no longer signed in"):
        [event async for event in conversation.answer(CHOICE)]
    assert [entry.message.text for entry in conversation.entries] == ["Hi", ""]
    assert conversation.entries[-1].state == "error"
    assert conversation.can_retry()
