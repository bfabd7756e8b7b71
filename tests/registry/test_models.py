"""Which model answers, and what a provider may say of its models."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from jackfield import (
    ApiKey,
    AuthMethod,
    ChatRequest,
    Credential,
    ErrorKind,
    Finished,
    Model,
    Plugin,
    Provider,
    ProviderError,
)
from registry.chat import StreamEvent
from registry.connections import Connections
from registry.errors import JackfieldError, PluginError
from registry.models import available_models, choose_model, first_model, merge_models
from registry.paths import Paths, find_paths
from registry.registry import PluginRegistry
from registry.secret_store import SecretStores, StoreKind
from tests.registry.connection_fixtures import key, make_cheap_file, make_connections


class Answers(Provider):
    name = "answers"
    title = "Answers"
    known_models = (Model("one", "Number One", 4096), Model("two"))
    live: object = ()

    async def models(self, credential: Credential | None) -> Sequence[Model]:
        if isinstance(self.live, Exception):
            raise self.live
        return self.live  # type: ignore[return-value]  # a plugin may give anything

    async def stream(self, request: ChatRequest, credential: Credential | None) -> AsyncIterator[StreamEvent]:
        yield Finished()


class Unknown(Answers):
    name = "unknown"
    title = "Unknown"
    known_models: Sequence[Model] = ()  # type: ignore[assignment]


class ProviderPlugin(Plugin):
    name = "provider-plugin"
    version = "1.0"

    def __init__(self, *given: Provider) -> None:
        self._given = given

    def providers(self) -> Sequence[Provider]:
        return self._given


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncIterator[PluginRegistry]:
    """A registry with a provider that names no models, and one that does."""
    made = PluginRegistry(Paths(tmp_path, tmp_path, tmp_path))
    made.register(ProviderPlugin(Unknown(), Answers()))
    yield made
    await made.aclose()


@pytest.mark.parametrize(
    ("reference", "chosen"),
    [
        ("answers", "answers/one"),
        ("answers/", "answers/one"),
        ("answers/two", "answers/two"),
        ("answers/new/with/slashes", "answers/new/with/slashes"),
        ("unknown/any", "unknown/any"),
    ],
)
async def test_a_reference_names_a_model(registry: PluginRegistry, reference: str, chosen: str) -> None:
    assert choose_model(registry, reference).reference == chosen


async def test_a_known_model_comes_with_what_is_known_of_it(registry: PluginRegistry) -> None:
    assert choose_model(registry, "answers/one").model.context_window == 4096


@pytest.mark.parametrize(
    ("reference", "title"),
    [
        ("nobody/gpt", "There is no provider named nobody"),
        ("x\x1b[31my/gpt", "There is no provider named xy"),
        ("unknown", "Unknown names no model of its own"),
    ],
)
async def test_a_wrong_reference_says_what_to_do(
    registry: PluginRegistry, reference: str, title: str
) -> None:
    with pytest.raises(JackfieldError) as caught:
        choose_model(registry, reference)
    assert caught.value.title == title
    assert "jackfield models" in caught.value.hint


async def test_without_a_provider_there_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(JackfieldError, match="No model is there"):
        await first_model(PluginRegistry(Paths(tmp_path, tmp_path, tmp_path)), _no_connections)


def _no_connections() -> Connections:
    raise AssertionError("no account is needed, so none is looked for")


class Keyed(ProviderPlugin):
    name = "keyed"

    def auth_methods(self) -> Sequence[AuthMethod]:
        return [ApiKey(env=("KEYED_KEY",))]


class KeyedAnswers(Answers):
    name = "keyed"


async def test_who_chose_nothing_begins_with_a_model_that_can_answer(tmp_path: Path) -> None:
    paths = find_paths()
    registry = PluginRegistry(paths)
    registry.register(Keyed(KeyedAnswers()))
    registry.register(ProviderPlugin(Unknown(), Answers()))
    env = {"KEYED_KEY": ""}
    connections = make_connections(registry=registry, env=env)
    try:
        assert (await first_model(registry, lambda: connections)).reference == "answers/one"
        env["KEYED_KEY"] = "sk-0123456789"
        assert (await first_model(registry, lambda: connections)).reference == "keyed/one"
        env["KEYED_KEY"] = " "
        await make_cheap_file()
        await connections.add("keyed", ApiKey(), key("sk-0123456789"))
        assert (await first_model(registry, lambda: connections)).reference == "keyed/one"
    finally:
        await connections.aclose()
        await registry.aclose()


async def test_where_every_provider_needs_an_account_the_first_one_asks_for_it(tmp_path: Path) -> None:
    registry = PluginRegistry(find_paths())
    registry.register(Keyed(KeyedAnswers()))
    connections = make_connections(registry=registry)
    try:
        assert (await first_model(registry, lambda: connections)).reference == "keyed/one"
    finally:
        await connections.aclose()
        await registry.aclose()


async def test_where_no_account_is_needed_none_is_looked_for(registry: PluginRegistry) -> None:
    assert (await first_model(registry, _no_connections)).reference == "answers/one"


async def listed(registry: PluginRegistry, live: object) -> list[Model]:
    entry = next(entry for entry in registry.providers() if entry.name == "answers")
    provider = await registry.provider("answers")
    assert isinstance(provider, Answers)
    provider.live = live
    paths = find_paths()
    connections = Connections(registry, paths, SecretStores(paths, StoreKind.SESSION), env={})
    return await available_models(registry, connections, entry)


async def test_what_a_provider_says_of_its_models_is_made_safe(registry: PluginRegistry) -> None:
    hostile = Model("a\x1b[31mb", "c\u202ed", "many", -1, ("text\x07",))  # type: ignore[arg-type]
    assert await listed(registry, [hostile, "no model"]) == [Model("ab", "cd", None, None, ("text",))]


@pytest.mark.parametrize("live", [None, 3, ValueError("a bug\x1b[31m")])
async def test_a_provider_that_cannot_list_is_a_clear_error(registry: PluginRegistry, live: object) -> None:
    with pytest.raises(PluginError) as caught:
        await listed(registry, live)
    assert caught.value.title == "Answers failed to list its models"
    assert "\x1b" not in str(caught.value)


async def test_an_error_of_the_provider_itself_is_passed_on(registry: PluginRegistry) -> None:
    refused = ProviderError(ErrorKind.CONNECTION, "Nobody answers")
    with pytest.raises(ProviderError) as caught:
        await listed(registry, refused)
    assert caught.value is refused


def test_live_facts_replace_known_ones_and_keep_their_place() -> None:
    known = [Model("one", context_window=1), Model("two")]
    live = [Model("three"), Model("one", context_window=2)]
    assert merge_models(known, live) == [Model("one", context_window=2), Model("two"), Model("three")]
