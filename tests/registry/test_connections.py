"""What a provider signs in with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest

from jackfield import (
    ApiKey,
    AuthMethod,
    ChatRequest,
    Credential,
    Finished,
    NoAuth,
    Plugin,
    Provider,
    StreamEvent,
)
from registry.connections import resolve_credential
from registry.paths import find_paths
from registry.registry import PluginRegistry


class Service(Provider):
    name = "service"

    async def stream(self, request: ChatRequest, credential: Credential | None) -> AsyncIterator[StreamEvent]:
        yield Finished()


class ServicePlugin(Plugin):
    name = "service"
    version = "1"

    def auth_methods(self) -> Sequence[AuthMethod]:
        return [NoAuth(name="none"), ApiKey(name="key", env=("SERVICE_KEY", "OLD_SERVICE_KEY"))]

    def providers(self) -> Sequence[Provider]:
        return [Service()]


class OtherPlugin(Plugin):
    name = "another"
    version = "1"

    def auth_methods(self) -> Sequence[AuthMethod]:
        return [ApiKey(env=("ANOTHER_KEY",))]


@pytest.fixture
def registry() -> PluginRegistry:
    registry = PluginRegistry(find_paths())
    registry.register(OtherPlugin())
    registry.register(ServicePlugin())
    return registry


def key(credential: Credential | None) -> str:
    assert credential is not None
    return credential.secrets["key"].get_secret_value()


def test_the_first_variable_that_is_set_is_the_key(registry: PluginRegistry) -> None:
    env = {"SERVICE_KEY": "first", "OLD_SERVICE_KEY": "second"}
    assert key(resolve_credential(registry, "service", env)) == "first"
    assert key(resolve_credential(registry, "service", {"SERVICE_KEY": " ", "OLD_SERVICE_KEY": "b\n"})) == "b"


def test_without_a_variable_there_is_no_credential(registry: PluginRegistry) -> None:
    assert resolve_credential(registry, "service", {}) is None


def test_a_provider_never_gets_the_key_of_another_plugin(registry: PluginRegistry) -> None:
    assert resolve_credential(registry, "service", {"ANOTHER_KEY": "x"}) is None
    assert resolve_credential(registry, "unknown", {"ANOTHER_KEY": "x"}) is None


def test_a_credential_hides_its_key(registry: PluginRegistry) -> None:
    credential = resolve_credential(registry, "service", {"SERVICE_KEY": "sesame"})
    assert "sesame" not in f"{credential!r} {credential}"
