"""The catalogue is loaded for models that may cost something, and not before."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jackfield import (
    ChatRequest,
    Credential,
    Finished,
    Message,
    Model,
    Plugin,
    Provider,
    StopReason,
    StreamEvent,
    TextPart,
    Usage,
)
from providers.anthropic import AnthropicPlugin
from registry.catalogue import catalogue
from registry.catalogue.catalogue import forget_catalogue
from registry.manifest import ProviderEntry
from registry.models import ModelChoice, choose_model
from registry.paths import Paths
from registry.registry import PluginRegistry
from registry.settings import Settings
from tui.conversation import Entry
from tui.facts import Facts


class FreeProvider(Provider):
    name = "free"
    title = "Free"
    known_models = (Model("one"),)

    async def stream(
        self, request: ChatRequest, credential: Credential | None
    ) -> AsyncGenerator[StreamEvent]:
        yield Finished(StopReason.END)


class FreePlugin(Plugin):
    name = "free"
    version = "1"

    def providers(self) -> tuple[Provider, ...]:
        return (FreeProvider(),)


@pytest.fixture
def host(tmp_path: Path) -> Any:
    paths = Paths(tmp_path / "config", tmp_path / "data", tmp_path / "cache")
    registry = PluginRegistry(paths)
    registry.register(FreePlugin())
    registry.register(AnthropicPlugin())
    forget_catalogue()
    return SimpleNamespace(paths=paths, registry=registry, settings=Settings())


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """Gets an item each time that the snapshot is read."""
    times: list[None] = []
    packaged = catalogue._packaged

    def note() -> Any:
        times.append(None)
        return packaged()

    monkeypatch.setattr(catalogue, "_packaged", note)
    return times


def answered(model: str) -> Entry:
    message = Message("assistant", (TextPart("Hi"),), model)
    return Entry(message, usage=Usage(input=5, output=2))


async def loaded(facts: Facts) -> bool:
    """Whether the catalogue is loaded; False when nothing asks for it."""
    loading = asyncio.ensure_future(anext(facts.load()))
    await asyncio.sleep(0)
    if facts._needed.is_set():
        await asyncio.wait_for(loading, 10)
        return True
    loading.cancel()
    return False


async def test_a_model_that_nobody_signs_in_for_needs_no_catalogue(host: Any, read: list[None]) -> None:
    facts = Facts(host)
    choice = choose_model(host.registry, "free/one")
    assert facts.enrich(choice) == choice
    assert facts.account([answered("free/one")], choice).turn is None
    assert not await loaded(facts)
    assert read == []


async def test_a_model_with_a_price_has_it_loaded(host: Any, read: list[None]) -> None:
    facts = Facts(host)
    choice = ModelChoice(
        ProviderEntry("anthropic", "Anthropic", plugin="anthropic"), Model("claude-opus-4-1")
    )
    assert facts.enrich(choice).model.context_window is None
    assert await loaded(facts)
    assert facts.enrich(choice).model.context_window
    assert read == [None]


async def test_an_older_answer_of_another_model_has_it_loaded(host: Any, read: list[None]) -> None:
    facts = Facts(host)
    choice = choose_model(host.registry, "free/one")
    said = answered("anthropic/claude-opus-4-1")
    facts.account([said], choice)
    assert await loaded(facts)
    assert facts.account([said], choice).turn
    assert read == [None]
